//! Reserved concurrency and the account it is taken from; calls that race. Racing
//! calls use metadata on disk, where their reads and writes really interleave.

mod stage;

use serde_json::{Value, json};
use stage::{ACCOUNT, FUNCTIONS, Stage, function, path, zip_base64};

fn put_target(name: &str) -> String {
    format!("/2017-10-31/functions/{name}/concurrency")
}

fn get_target(name: &str) -> String {
    format!("/2019-09-30/functions/{name}/concurrency")
}

async fn reserve(stage: &Stage, name: &str, units: i64) -> stage::Answer {
    stage.put(&put_target(name), json!({ "ReservedConcurrentExecutions": units })).await
}

const TOO_MUCH: &str = "Specified ReservedConcurrentExecutions for function decreases account's \
                        UnreservedConcurrentExecution below its minimum value of [100].";

#[tokio::test]
async fn a6_6_a_hundred_units_stay_unreserved() {
    let stage = Stage::new();
    for name in ["f", "g"] {
        stage.create(name).await;
    }
    // Name, units, whether it fits into what the account has: 1000 units.
    let steps = [
        ("f", 901, false),
        ("f", 900, true),
        ("g", 1, false),
        ("g", 0, true),
        ("f", 500, true),
        ("g", 400, true),
        ("g", 401, false),
        ("g", 5_000_000_000, false),
    ];
    for (name, units, fits) in steps {
        let answer = reserve(&stage, name, units).await;
        if fits {
            let body = answer.expect(200);
            assert_eq!(body, json!({ "ReservedConcurrentExecutions": units }), "{name} {units}");
            assert_eq!(stage.get(&get_target(name)).await.expect(200), body);
        } else {
            let message = answer.refused(400, "InvalidParameterValueException");
            assert_eq!(message, TOO_MUCH, "{name} {units}");
        }
    }
    reserve(&stage, "g", -1).await.refused(400, "ValidationException");
    reserve(&stage, "g:1", 1).await.refused(400, "InvalidParameterValueException");
    let got = stage.get(&path("g", "")).await.expect(200);
    assert_eq!(got["Concurrency"], json!({"ReservedConcurrentExecutions": 400}));

    stage.delete(&put_target("g")).await.expect(204);
    assert_eq!(stage.get(&get_target("g")).await.expect(200), json!({}));
    stage.delete(&path("f", "")).await.expect(204);
    reserve(&stage, "g", 900).await.expect(200);
}

#[tokio::test]
async fn a6_6_an_operators_limit_counts() {
    let stage = Stage::new();
    stage.create("f").await;
    let account = model::AccountId::parse(ACCOUNT).unwrap();
    let limits = store::AccountLimits { concurrency: 120 };
    let key = store::schema::account_limits(account);
    let transaction = store::Transaction::new().put(&key, &limits).unwrap();
    stage.store.transact(transaction).await.unwrap();
    reserve(&stage, "f", 21).await.refused(400, "InvalidParameterValueException");
    reserve(&stage, "f", 20).await.expect(200);
    let kept = stage.store.read(&key).await.unwrap().unwrap();
    assert_eq!(kept.value, limits);
    // A limit lowered below the reservations does not stop anybody from giving back.
    let limits = store::AccountLimits { concurrency: 50 };
    let transaction = store::Transaction::new().put(&key, &limits).unwrap();
    stage.store.transact(transaction).await.unwrap();
    reserve(&stage, "f", 21).await.refused(400, "InvalidParameterValueException");
    reserve(&stage, "f", 10).await.expect(200);
}

#[tokio::test]
async fn account_settings_show_limits_and_use() {
    let stage = Stage::new();
    let target = "/2016-08-19/account-settings/";
    let empty = stage.get(target).await.expect(200);
    assert_eq!(
        empty,
        json!({
            "AccountLimit": {
                "TotalCodeSize": 80_530_636_800_u64, "CodeSizeUnzipped": 262_144_000,
                "CodeSizeZipped": 52_428_800, "ConcurrentExecutions": 1_000,
                "UnreservedConcurrentExecutions": 1_000,
            },
            "AccountUsage": {"TotalCodeSize": 0, "FunctionCount": 0},
        })
    );
    let size = stage.create("f").await["CodeSize"].as_u64().unwrap();
    stage.create("g").await;
    stage.post(&path("g", "/versions"), json!({})).await.expect(201);
    reserve(&stage, "f", 300).await.expect(200);
    let used = stage.get(target).await.expect(200);
    assert_eq!(used["AccountUsage"], json!({"TotalCodeSize": 3 * size, "FunctionCount": 2}));
    assert_eq!(used["AccountLimit"]["UnreservedConcurrentExecutions"], 700);
}

/// Statuses of calls made at once, sorted.
async fn statuses(calls: Vec<impl Future<Output = stage::Answer>>) -> Vec<u16> {
    let answers = futures_util::future::join_all(calls).await;
    let mut statuses: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
    statuses.sort_unstable();
    statuses
}

#[tokio::test]
async fn of_two_creations_at_once_one_succeeds() {
    for stage in [Stage::new(), Stage::durable()] {
        let calls = (0..2).map(|_| stage.post(FUNCTIONS, function("f"))).collect();
        assert_eq!(statuses(calls).await, [201, 409]);
    }
}

#[tokio::test]
async fn of_two_updates_of_one_revision_one_succeeds() {
    let stage = Stage::durable();
    let created = stage.create("f").await;
    let code = |content: &str| json!({"ZipFile": zip_base64(content), "RevisionId": created["RevisionId"]});
    let target = path("f", "/code");
    let calls = ["two", "three"].map(|content| stage.put(&target, code(content))).into();
    assert_eq!(statuses(calls).await, [200, 412]);

    let revision = stage.get(&path("f", "/configuration")).await.expect(200)["RevisionId"].take();
    let target = path("f", "/configuration");
    let change = |seconds: u32| json!({"Timeout": seconds, "RevisionId": revision});
    let calls = [10, 20, 30, 40].map(|seconds| stage.put(&target, change(seconds))).into();
    assert_eq!(statuses(calls).await, [200, 412, 412, 412]);
}

#[tokio::test]
async fn changes_at_once_without_a_revision_all_happen() {
    let stage = Stage::durable();
    stage.create("f").await;
    let target = path("f", "/configuration");
    let changes: [Value; 4] = [
        json!({"MemorySize": 256}),
        json!({"Timeout": 60}),
        json!({"Description": "d"}),
        json!({"Handler": "b.c"}),
    ];
    let calls = changes.clone().map(|change| stage.put(&target, change)).into();
    assert_eq!(statuses(calls).await, [200; 4]);
    let shown = stage.get(&target).await.expect(200);
    for change in changes {
        for (key, value) in change.as_object().unwrap() {
            assert_eq!(shown[key], *value, "{key}");
        }
    }
}

#[tokio::test]
async fn a6_6_reservations_at_once_do_not_exceed_the_account() {
    let stage = Stage::durable();
    for name in ["f", "g", "h"] {
        stage.create(name).await;
    }
    let calls = ["f", "g", "h"].map(|name| reserve(&stage, name, 400)).into();
    assert_eq!(statuses(calls).await, [200, 200, 400]);
}
