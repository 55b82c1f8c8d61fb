//! The API of provisioned concurrency: what may be asked for, what is shown, and that
//! nothing is promised twice. What comes of it: `provisioning.rs` and `decide`.

mod stage;

use serde_json::{Value, json};
use stage::{Stage, path};

fn target(name: &str, qualifier: &str) -> String {
    format!("/2019-09-30/functions/{name}/provisioned-concurrency?Qualifier={qualifier}")
}

fn list(name: &str, rest: &str) -> String {
    format!("/2019-09-30/functions/{name}/provisioned-concurrency?List=ALL{rest}")
}

async fn put(stage: &Stage, name: &str, qualifier: &str, units: i64) -> stage::Answer {
    let body = json!({ "ProvisionedConcurrentExecutions": units });
    stage.put(&target(name, qualifier), body).await
}

/// A function with so many published versions.
async fn with_versions(stage: &Stage, name: &str, versions: u32) {
    stage.create(name).await;
    for version in 1..=versions {
        let change = json!({ "Description": format!("{version}") });
        stage.put(&path(name, "/configuration"), change).await.expect(200);
        stage.call("POST", &path(name, "/versions"), json!({})).await.expect(201);
    }
}

async fn reserve(stage: &Stage, name: &str, units: u32) -> stage::Answer {
    let body = json!({ "ReservedConcurrentExecutions": units });
    stage.put(&format!("/2017-10-31/functions/{name}/concurrency"), body).await
}

#[tokio::test]
async fn a_version_is_provisioned_shown_and_freed() {
    let stage = Stage::new();
    with_versions(&stage, "f", 1).await;
    stage
        .get(&target("f", "1"))
        .await
        .refused(404, "ProvisionedConcurrencyConfigNotFoundException");
    let body = put(&stage, "f", "1", 10).await.expect(202);
    assert_eq!(body["Status"], "IN_PROGRESS");
    assert_eq!(body["RequestedProvisionedConcurrentExecutions"], 10);
    assert_eq!(body["AvailableProvisionedConcurrentExecutions"], 0);
    assert_eq!(body["AllocatedProvisionedConcurrentExecutions"], 0);
    assert_eq!(stage.get(&target("f", "1")).await.expect(200), body);
    let listed = stage.get(&list("f", "")).await.expect(200);
    let item = &listed["ProvisionedConcurrencyConfigs"][0];
    assert_eq!(item["FunctionArn"], "arn:aws:lambda:us-east-1:123456789012:function:f:1");
    assert_eq!(item["LastModified"], body["LastModified"]);
    stage.delete(&target("f", "1")).await.expect(204);
    // A2.3: not found at once, whatever of the set is left.
    let refused = stage.get(&target("f", "1")).await;
    let message = refused.refused(404, "ProvisionedConcurrencyConfigNotFoundException");
    assert_eq!(message, "No Provisioned Concurrency Config found for this function");
    stage.delete(&target("f", "1")).await.expect(204);
    let listed = stage.get(&list("f", "")).await.expect(200);
    assert_eq!(listed, json!({ "ProvisionedConcurrencyConfigs": [] }));
}

#[tokio::test]
async fn only_published_versions_and_at_least_one() {
    let stage = Stage::new();
    with_versions(&stage, "f", 1).await;
    let cases = [
        ("f", "$LATEST", 1, 400, "InvalidParameterValueException"),
        ("f", "1", 0, 400, "ValidationException"),
        ("f", "1", -3, 400, "ValidationException"),
        ("f", "2", 1, 404, "ResourceNotFoundException"),
        ("f", "live", 1, 404, "ResourceNotFoundException"),
        ("g", "1", 1, 404, "ResourceNotFoundException"),
        ("f:1", "2", 1, 400, "InvalidParameterValueException"),
    ];
    for (name, qualifier, units, status, error) in cases {
        put(&stage, name, qualifier, units).await.refused(status, error);
    }
    let unqualified = "/2019-09-30/functions/f/provisioned-concurrency";
    let body = json!({ "ProvisionedConcurrentExecutions": 1 });
    stage.put(unqualified, body).await.refused(400, "ValidationException");
    stage.get(&list("g", "")).await.refused(404, "ResourceNotFoundException");
    put(&stage, "f:1", "1", 1).await.expect(202);
}

#[tokio::test]
async fn versions_together_stay_within_the_reservation() {
    let stage = Stage::new();
    with_versions(&stage, "f", 2).await;
    reserve(&stage, "f", 10).await.expect(200);
    put(&stage, "f", "1", 6).await.expect(202);
    let refused = put(&stage, "f", "2", 5).await;
    let message = refused.refused(400, "InvalidParameterValueException");
    assert!(message.contains("reservedConcurrentExecution"), "{message}");
    put(&stage, "f", "2", 4).await.expect(202);
    put(&stage, "f", "1", 7).await.refused(400, "InvalidParameterValueException");
    reserve(&stage, "f", 9).await.refused(400, "InvalidParameterValueException");
    stage.delete(&target("f", "2")).await.expect(204);
    reserve(&stage, "f", 6).await.expect(200);
}

#[tokio::test]
async fn the_account_keeps_a_hundred_units_for_the_others() {
    let stage = Stage::new();
    with_versions(&stage, "f", 1).await;
    with_versions(&stage, "g", 1).await;
    put(&stage, "f", "1", 901).await.refused(400, "InvalidParameterValueException");
    put(&stage, "f", "1", 600).await.expect(202);
    put(&stage, "g", "1", 301).await.refused(400, "InvalidParameterValueException");
    // Reserved units are taken from the same limit, and provisioned ones inside them
    // are not counted again.
    reserve(&stage, "g", 301).await.refused(400, "InvalidParameterValueException");
    reserve(&stage, "g", 300).await.expect(200);
    put(&stage, "g", "1", 300).await.expect(202);
    put(&stage, "f", "1", 601).await.refused(400, "InvalidParameterValueException");
    put(&stage, "f", "1", 500).await.expect(202);
    put(&stage, "f", "1", 600).await.expect(202);
}

#[tokio::test]
async fn of_two_at_once_the_second_counts_the_first() {
    let stage = Stage::durable();
    with_versions(&stage, "f", 2).await;
    let (one, two) = tokio::join!(put(&stage, "f", "1", 500), put(&stage, "f", "2", 500));
    let mut statuses = [one.status, two.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [202, 400]);
}

#[tokio::test]
async fn a_list_has_pages() {
    let stage = Stage::new();
    with_versions(&stage, "f", 3).await;
    for version in ["1", "2", "3"] {
        put(&stage, "f", version, 1).await.expect(202);
    }
    let mut versions = Vec::new();
    let mut rest = "&MaxItems=2".to_owned();
    loop {
        let page = stage.get(&list("f", &rest)).await.expect(200);
        let items = page["ProvisionedConcurrencyConfigs"].as_array().unwrap();
        versions.extend(items.iter().map(|item| item["FunctionArn"].as_str().unwrap().to_owned()));
        match page["NextMarker"].as_str() {
            Some(marker) => rest = format!("&MaxItems=2&Marker={marker}"),
            None => break,
        }
    }
    let numbers: Vec<&str> = versions.iter().map(|arn| arn.rsplit(':').next().unwrap()).collect();
    assert_eq!(numbers, ["1", "2", "3"]);
    stage.get(&list("f", "&Marker=x")).await.refused(400, "InvalidParameterValueException");
}

#[tokio::test]
async fn what_is_deleted_takes_its_configuration_along() {
    let stage = Stage::new();
    with_versions(&stage, "f", 2).await;
    put(&stage, "f", "1", 400).await.expect(202);
    put(&stage, "f", "2", 400).await.expect(202);
    stage.delete(&format!("{}?Qualifier=1", path("f", ""))).await.expect(204);
    let listed = stage.get(&list("f", "")).await.expect(200);
    assert_eq!(listed["ProvisionedConcurrencyConfigs"].as_array().map(Vec::len), Some(1));
    stage.delete(&path("f", "")).await.expect(204);
    with_versions(&stage, "f", 1).await;
    let listed = stage.get(&list("f", "")).await.expect(200);
    assert_eq!(listed["ProvisionedConcurrencyConfigs"], Value::Array(vec![]));
    put(&stage, "f", "1", 900).await.expect(202);
}

#[tokio::test]
async fn a9_1_a_function_of_tenants_has_none() {
    let stage = Stage::new();
    let mut function = stage::function("f");
    function["TenancyConfig"] = json!({ "TenantIsolationMode": "PER_TENANT" });
    function["Publish"] = json!(true);
    stage.call("POST", stage::FUNCTIONS, function).await.expect(201);
    put(&stage, "f", "1", 1).await.refused(400, "InvalidParameterValueException");
}
