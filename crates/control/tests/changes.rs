//! Functions are changed: code, configuration, versions, tags. What is refused changes
//! nothing, and `revision` grows exactly where environments have to be replaced.

mod stage;

use serde_json::{Value, json};
use stage::{FUNCTIONS, Stage, function_with, path, zip_base64};

const ARN: &str = "arn:aws:lambda:us-east-1:123456789012:function:f";

/// `revision` of the stored head: part of the key by which environments are reused.
async fn stored_revision(stage: &Stage) -> u64 {
    let account = model::AccountId::parse(stage::ACCOUNT).unwrap();
    let name = model::FunctionName::parse("f").unwrap();
    let key = store::schema::function_head(account, &name);
    stage.store.read(&key).await.unwrap().unwrap().value.revision
}

#[tokio::test]
async fn new_code_takes_the_place_of_the_old() {
    let stage = Stage::new();
    let created = stage.create("f").await;
    let first = stored_revision(&stage).await;
    let dry = json!({"ZipFile": zip_base64("two"), "DryRun": true});
    let dry = stage.put(&path("f", "/code"), dry).await.expect(200);
    assert_ne!(dry["CodeSha256"], created["CodeSha256"]);
    assert_eq!(stage.get(&path("f", "/configuration")).await.expect(200), created);

    let updated = stage.put(&path("f", "/code"), json!({"ZipFile": zip_base64("two")})).await;
    let updated = updated.expect(200);
    assert_eq!(updated["CodeSha256"], dry["CodeSha256"]);
    assert_ne!(updated["RevisionId"], created["RevisionId"]);
    let second = stored_revision(&stage).await;
    assert!(second > first);

    // The same archive again changes nothing that an environment could notice.
    let same = stage.put(&path("f", "/code"), json!({"ZipFile": zip_base64("two")})).await;
    assert_ne!(same.expect(200)["RevisionId"], updated["RevisionId"]);
    assert_eq!(stored_revision(&stage).await, second);
    assert_eq!(stage.roots().len(), 2);
}

#[tokio::test]
async fn code_that_is_refused_changes_nothing() {
    let stage = Stage::new();
    let created = stage.create("f").await;
    let invalid = "InvalidParameterValueException";
    let cases = [
        (json!({}), 400, invalid),
        (json!({"ZipFile": "aGVsbG8="}), 400, invalid),
        (json!({"S3Bucket": "bucket", "S3Key": "k"}), 400, invalid),
        (json!({"ZipFile": zip_base64("2"), "Architectures": ["arm64"]}), 400, invalid),
        (
            json!({"ZipFile": zip_base64("2"), "RevisionId": "other"}),
            412,
            "PreconditionFailedException",
        ),
    ];
    for (body, status, exception) in cases {
        stage.put(&path("f", "/code"), body).await.refused(status, exception);
    }
    assert_eq!(stage.get(&path("f", "/configuration")).await.expect(200), created);
    assert_eq!(stage.roots().len(), 1);
}

#[tokio::test]
async fn configuration_changes_where_it_is_given_and_stays_where_not() {
    let stage = Stage::new();
    let body = function_with(
        "f",
        json!({"Description": "d", "Environment": {"Variables": {"KEY": "v"}}, "Timeout": 7}),
    );
    let mut wanted = stage.post(FUNCTIONS, body).await.expect(201);
    let revision = stored_revision(&stage).await;
    let change = json!({"MemorySize": 256, "RevisionId": wanted["RevisionId"]});
    let mut changed = stage.put(&path("f", "/configuration"), change).await.expect(200);
    assert!(stored_revision(&stage).await > revision);
    assert_ne!(changed["RevisionId"], wanted["RevisionId"]);
    wanted["MemorySize"] = json!(256);
    for volatile in ["RevisionId", "LastModified"] {
        wanted[volatile] = Value::Null;
        changed[volatile] = Value::Null;
    }
    assert_eq!(changed, wanted);

    let emptied = json!({"Environment": {"Variables": {}}, "Description": ""});
    let emptied = stage.put(&path("f", "/configuration"), emptied).await.expect(200);
    assert!(emptied.get("Environment").is_none());
    assert_eq!(emptied["Description"], "");
    let vpc = json!({"VpcConfig": {"SubnetIds": [], "SecurityGroupIds": []}});
    stage.put(&path("f", "/configuration"), vpc).await.expect(200);
}

#[tokio::test]
async fn configuration_that_is_refused_changes_nothing() {
    let stage = Stage::new();
    let created = stage.create("f").await;
    let invalid = "InvalidParameterValueException";
    let cases = [
        (json!({"MemorySize": 20_000}), 400, invalid),
        (json!({"MemorySize": 1}), 400, "ValidationException"),
        (json!({"Runtime": "ruby3.3"}), 400, invalid),
        (json!({"Environment": {"Variables": {"_HANDLER": "x"}}}), 400, "ValidationException"),
        (json!({"Environment": {"Variables": {"LAMBDA_TASK_ROOT": "x"}}}), 400, invalid),
        (json!({"LoggingConfig": {"ApplicationLogLevel": "WARN"}}), 400, invalid),
        (json!({"Timeout": 5, "RevisionId": "other"}), 412, "PreconditionFailedException"),
    ];
    for (body, status, exception) in cases {
        stage.put(&path("f", "/configuration"), body).await.refused(status, exception);
    }
    let answer = stage.put(&path("f:7", "/configuration"), json!({"Timeout": 5})).await;
    answer.refused(400, invalid);
    assert_eq!(stage.get(&path("f", "/configuration")).await.expect(200), created);
}

#[tokio::test]
async fn a_version_is_frozen_and_made_only_of_something_new() {
    let stage = Stage::new();
    stage.create("f").await;
    let one = stage.post(&path("f", "/versions"), json!({"Description": "first"})).await;
    let one = one.expect(201);
    assert_eq!((&one["Version"], &one["Description"]), (&json!("1"), &json!("first")));
    assert_eq!(one["FunctionArn"], format!("{ARN}:1"));
    let again = stage.post(&path("f", "/versions"), json!({})).await.expect(201);
    assert_eq!(again, one);

    let update = json!({"ZipFile": zip_base64("two"), "Publish": true});
    let two = stage.put(&path("f", "/code"), update).await.expect(200);
    assert_eq!(two["Version"], "2");
    assert_eq!(stage.get(&path("f", "/configuration?Qualifier=1")).await.expect(200), one);

    let wrong = json!({"CodeSha256": one["CodeSha256"]});
    let answer = stage.post(&path("f", "/versions"), wrong).await;
    let message = answer.refused(400, "InvalidParameterValueException");
    assert!(message.contains("is different from current CodeSHA256"), "{message}");
    let answer = stage.post(&path("f", "/versions"), json!({"RevisionId": "other"})).await;
    answer.refused(412, "PreconditionFailedException");

    // A number is not used twice, even where its version was deleted.
    stage.delete(&path("f", "?Qualifier=2")).await.expect(204);
    let three = stage.post(&path("f", "/versions"), json!({})).await.expect(201);
    assert_eq!(three["Version"], "3");
    assert_eq!(versions(&stage, 50).await, ["$LATEST", "1", "3"]);
}

#[tokio::test]
async fn versions_are_listed_in_pages() {
    let stage = Stage::new();
    stage.create("f").await;
    for memory in 200..211 {
        stage.put(&path("f", "/configuration"), json!({"MemorySize": memory})).await.expect(200);
        stage.post(&path("f", "/versions"), json!({})).await.expect(201);
    }
    let all: Vec<String> =
        std::iter::once("$LATEST".into()).chain((1..=11).map(|n| n.to_string())).collect();
    for items in [1, 5, 12, 50] {
        assert_eq!(versions(&stage, items).await, all, "{items}");
    }
}

async fn versions(stage: &Stage, items: usize) -> Vec<String> {
    let mut seen = Vec::new();
    let mut marker = String::new();
    loop {
        let target = path("f", &format!("/versions?MaxItems={items}&Marker={marker}"));
        let page = stage.get(&target).await.expect(200);
        let found = page["Versions"].as_array().unwrap();
        assert!(!found.is_empty() && found.len() <= items);
        seen.extend(found.iter().map(|v| v["Version"].as_str().unwrap().to_owned()));
        for version in found {
            let number = version["Version"].as_str().unwrap();
            assert_eq!(version["FunctionArn"], format!("{ARN}:{number}"));
        }
        match page["NextMarker"].as_str() {
            Some(next) => marker = next.to_owned(),
            None => return seen,
        }
    }
}

#[tokio::test]
async fn tags_change_and_environments_stay() {
    let stage = Stage::new();
    stage.create("f").await;
    let revision = stored_revision(&stage).await;
    let target = "/2017-03-31/tags/arn%3Aaws%3Alambda%3Aus-east-1%3A123456789012%3Afunction%3Af";
    let tag = |tags: Value| stage.post(target, json!({ "Tags": tags }));
    tag(json!({"a": "1", "b": "2"})).await.expect(204);
    tag(json!({"b": "3"})).await.expect(204);
    assert_eq!(stage.get(target).await.expect(200), json!({"Tags": {"a": "1", "b": "3"}}));
    stage.delete(&format!("{target}?tagKeys=a&tagKeys=none")).await.expect(204);
    assert_eq!(stage.get(target).await.expect(200), json!({"Tags": {"b": "3"}}));
    assert_eq!(stored_revision(&stage).await, revision);

    tag(json!({})).await.refused(400, "InvalidParameterValueException");
    let many: Value = (0..50).map(|n| (format!("k{n}"), json!("v"))).collect();
    tag(many).await.refused(400, "InvalidParameterValueException");
    let version = format!("{target}%3A1");
    stage.get(&version).await.refused(400, "InvalidParameterValueException");
    let other = target.replace("%3Af", "%3Ag").replace("%3Agunction", "%3Afunction");
    stage.get(&other).await.refused(404, "ResourceNotFoundException");
}

#[tokio::test]
async fn what_no_function_has_is_answered_as_absent() {
    let stage = Stage::new();
    stage.create("f").await;
    let cases = [
        ("/2020-06-30/functions/f/code-signing-config", json!({})),
        ("/2015-03-31/functions/f/aliases", json!({"Aliases": []})),
        ("/2021-10-31/functions/f/urls", json!({"FunctionUrlConfigs": []})),
        ("/2015-03-31/event-source-mappings/", json!({"EventSourceMappings": []})),
        ("/2018-10-31/layers", json!({"Layers": []})),
    ];
    for (target, wanted) in cases {
        assert_eq!(stage.get(target).await.expect(200), wanted, "{target}");
    }
    let answer = stage.get(&path("f", "/policy")).await;
    answer.refused(404, "ResourceNotFoundException");
}
