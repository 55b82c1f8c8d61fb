//! A function's affinity as it is set, read and taken away (A8); what means nothing is
//! refused, in the words of the API.

mod stage;

use serde_json::json;
use stage::Stage;

const AFFINITY: &str = "/lambent/v1/functions/f/affinity";

#[tokio::test]
async fn an_affinity_is_set_read_replaced_and_taken_away() {
    let stage = Stage::new();
    stage.create("f").await;
    stage.get(AFFINITY).await.refused(404, "ResourceNotFoundException");
    let wait = json!({
        "Source": "Header", "BusyPolicy": "Wait", "WaitMilliseconds": 2_000, "TtlSeconds": 600,
    });
    let overflow = json!({"Source": "Principal", "BusyPolicy": "Overflow", "TtlSeconds": 60});
    for given in [wait, overflow] {
        assert_eq!(stage.put(AFFINITY, given.clone()).await.expect(200), given);
        assert_eq!(stage.get(AFFINITY).await.expect(200), given);
    }
    assert_eq!(stage.delete(AFFINITY).await.status, 204);
    stage.get(AFFINITY).await.refused(404, "ResourceNotFoundException");
    stage.delete("/2015-03-31/functions/f").await;
    stage.get(AFFINITY).await.refused(404, "ResourceNotFoundException");
}

#[tokio::test]
async fn what_means_nothing_is_refused() {
    let stage = Stage::new();
    stage.create("f").await;
    let with = |more: serde_json::Value| {
        let mut body = json!({"Source": "Header", "BusyPolicy": "Reject", "TtlSeconds": 60});
        for (name, value) in more.as_object().unwrap() {
            body[name] = value.clone();
        }
        body
    };
    stage.put(AFFINITY, with(json!({}))).await.expect(200);
    let (value, content) = ("InvalidParameterValueException", "InvalidRequestContentException");
    let cases = [
        (json!({"TtlSeconds": 0}), value),
        (json!({"TtlSeconds": 86_401}), value),
        (json!({"WaitMilliseconds": 1}), value),
        (json!({"BusyPolicy": "Wait"}), value),
        (json!({"BusyPolicy": "Wait", "WaitMilliseconds": 900_001}), value),
        (json!({"Source": "Cookie"}), content),
        (json!({"Sauce": 1}), content),
    ];
    for (more, error) in cases {
        stage.put(AFFINITY, with(more)).await.refused(400, error);
    }
}
