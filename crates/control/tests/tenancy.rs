//! Functions whose environments are divided among tenants (A9): what AWS's API says
//! of them, and the settings of our own beside it.

mod stage;

use serde_json::{Value, json};
use stage::{FUNCTIONS, Stage, function_with, path};

const SETTINGS: &str = "/lambent/v1/functions/f/tenancy";
const INVALID: &str = "InvalidParameterValueException";

fn per_tenant() -> Value {
    json!({"TenancyConfig": {"TenantIsolationMode": "PER_TENANT"}})
}

async fn with_function() -> Stage {
    let stage = Stage::new();
    stage.post(FUNCTIONS, function_with("f", per_tenant())).await.expect(201);
    stage
}

#[tokio::test]
async fn a9_1_the_mode_is_given_at_creation_and_shown_by_every_read() {
    let stage = Stage::new();
    let created = stage.post(FUNCTIONS, function_with("f", per_tenant())).await.expect(201);
    let mode = per_tenant()["TenancyConfig"].take();
    assert_eq!(created["TenancyConfig"], mode);
    let shown = stage.get(&path("f", "/configuration")).await.expect(200);
    assert_eq!(shown["TenancyConfig"], mode);
    let got = stage.get(&path("f", "")).await.expect(200);
    assert_eq!(got["Configuration"]["TenancyConfig"], mode);
    let listed = stage.get(&format!("{FUNCTIONS}/")).await.expect(200);
    assert_eq!(listed["Functions"][0]["TenancyConfig"], mode);
    let published = stage.post(&path("f", "/versions"), json!({})).await.expect(201);
    assert_eq!(published["TenancyConfig"], mode);
    stage.create("plain").await;
    let shown = stage.get(&path("plain", "/configuration")).await.expect(200);
    assert_eq!(shown.get("TenancyConfig"), None);
}

#[tokio::test]
async fn a9_1_the_mode_cannot_be_changed_and_excludes_snap_start() {
    let stage = with_function().await;
    stage.create("plain").await;
    for name in ["f", "plain"] {
        let refused = stage.put(&path(name, "/configuration"), per_tenant()).await;
        let text = refused.refused(400, INVALID);
        assert!(text.contains("TenancyConfig cannot be modified"), "{text}");
    }
    let snap_start = json!({"SnapStart": {"ApplyOn": "PublishedVersions"}});
    let refused = stage.put(&path("f", "/configuration"), snap_start.clone()).await;
    assert!(refused.refused(400, INVALID).contains("SnapStart is not supported"));
    let mut both = per_tenant();
    both["SnapStart"] = snap_start["SnapStart"].clone();
    stage.post(FUNCTIONS, function_with("g", both)).await.refused(400, INVALID);
    let off = json!({"SnapStart": {"ApplyOn": "None"}, "Timeout": 7});
    let changed = stage.put(&path("f", "/configuration"), off).await.expect(200);
    assert_eq!(changed["Timeout"], 7);
    assert_eq!(changed["TenancyConfig"]["TenantIsolationMode"], "PER_TENANT");
}

#[tokio::test]
async fn a9_1_provisioned_concurrency_is_refused_unless_the_function_allows_it() {
    let stage = with_function().await;
    stage.post(&path("f", "/versions"), json!({})).await.expect(201);
    let target = "/2019-09-30/functions/f/provisioned-concurrency?Qualifier=1";
    let two = json!({"ProvisionedConcurrentExecutions": 2});
    let text = stage.put(target, two.clone()).await.refused(400, INVALID);
    assert!(text.contains("Provisioned Concurrency is not supported"), "{text}");
    stage.put(SETTINGS, json!({"AllowProvisioned": true})).await.expect(200);
    stage.put(target, two).await.expect(202);
}

#[tokio::test]
async fn a9_1_what_is_no_mode_is_refused() {
    let stage = Stage::new();
    for tenancy in [json!({}), json!({"TenantIsolationMode": "SHARED"})] {
        let body = function_with("f", json!({"TenancyConfig": tenancy}));
        stage.post(FUNCTIONS, body).await.refused(400, "ValidationException");
    }
}

#[tokio::test]
async fn our_settings_are_read_and_written_whole() {
    let stage = with_function().await;
    let default = json!({"Stock": 0, "AtCap": "Evict", "AllowProvisioned": false});
    assert_eq!(stage.get(SETTINGS).await.expect(200), default);
    let given = json!({"Stock": 5, "AtCap": "Refuse", "TenantConcurrency": 3});
    let mut shown = given.clone();
    shown["AllowProvisioned"] = json!(false);
    assert_eq!(stage.put(SETTINGS, given).await.expect(200), shown);
    assert_eq!(stage.get(SETTINGS).await.expect(200), shown);
    // They belong to the function, not to its code, and last over a restart.
    stage.put(&path("f", "/configuration"), json!({"Timeout": 9})).await.expect(200);
    let stage = stage.restart();
    assert_eq!(stage.get(SETTINGS).await.expect(200), shown);
    assert_eq!(stage.put(SETTINGS, json!({})).await.expect(200), default);
    stage.delete(&path("f", "")).await;
    stage.get(SETTINGS).await.refused(404, "ResourceNotFoundException");
}

#[tokio::test]
async fn settings_that_mean_nothing_are_refused() {
    let stage = with_function().await;
    let content = "InvalidRequestContentException";
    let cases = [
        (json!({"Stock": 101}), INVALID),
        (json!({"TenantConcurrency": 0}), INVALID),
        (json!({"Stock": -1}), content),
        (json!({"AtCap": "Sometimes"}), content),
        (json!({"Stok": 1}), content),
    ];
    for (body, error) in cases {
        stage.put(SETTINGS, body).await.refused(400, error);
    }
    stage.create("plain").await;
    let plain = "/lambent/v1/functions/plain/tenancy";
    stage.get(plain).await.refused(400, INVALID);
    stage.put(plain, json!({"Stock": 1})).await.refused(400, INVALID);
    let nobody = stage.call_bytes("GET", SETTINGS, None, Vec::new()).await;
    nobody.refused(403, "MissingAuthenticationTokenException");
}
