//! Stored code lives as long as a record names it, and no record names code that is
//! not there. Time is virtual: it moves only while nothing else is to do.

mod stage;

use std::time::Duration;

use model::RootId;
use serde_json::json;
use stage::{FUNCTIONS, Stage, function, path, zip, zip_base64};

/// Longer than from one pass of the sweep to the next.
const ONE_PASS: Duration = Duration::from_secs(310);

async fn fetched(stage: &Stage) -> Vec<u8> {
    let got = stage.get(&path("f", "")).await.expect(200);
    let url = got["Code"]["Location"].as_str().unwrap();
    let answer = stage.get(url.strip_prefix(stage::ORIGIN).unwrap()).await;
    assert_eq!(answer.status, 200);
    answer.bytes
}

#[tokio::test(start_paused = true)]
async fn replaced_code_goes_after_a_while_and_named_code_stays() {
    let stage = Stage::new();
    stage.create("f").await;
    stage.post(&path("f", "/versions"), json!({})).await.expect(201);
    for content in ["two", "three"] {
        stage.put(&path("f", "/code"), json!({"ZipFile": zip_base64(content)})).await.expect(200);
    }
    assert_eq!(stage.roots().len(), 3);
    tokio::time::sleep(ONE_PASS).await;
    assert_eq!(stage.roots().len(), 3, "environments may still be starting with it");
    tokio::time::sleep(ONE_PASS).await;
    assert_eq!(stage.roots().len(), 2, "$LATEST and version 1");
    assert_eq!(fetched(&stage).await, zip("three"));

    stage.delete(&path("f", "?Qualifier=1")).await.expect(204);
    tokio::time::sleep(2 * ONE_PASS).await;
    assert_eq!(stage.roots().len(), 1);
    stage.delete(&path("f", "")).await.expect(204);
    tokio::time::sleep(2 * ONE_PASS).await;
    assert_eq!(stage.roots(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn i26_a_refused_commit_leaves_no_record_and_its_code_goes() {
    let stage = Stage::new();
    let body = |handler: &str| stage::function_with("f", json!({ "Handler": handler }));
    let (one, two) =
        tokio::join!(stage.post(FUNCTIONS, body("a.b")), stage.post(FUNCTIONS, body("c.d")));
    assert_eq!(one.status + two.status, 201 + 409);
    assert_eq!(stage.roots().len(), 2, "both had stored their code before the commit");
    let winner = if one.status == 201 { one } else { two }.json();
    let shown = stage.get(&path("f", "/configuration")).await.expect(200);
    assert_eq!(shown, winner);
    tokio::time::sleep(2 * ONE_PASS).await;
    assert_eq!(stage.roots().len(), 1);
    assert_eq!(fetched(&stage).await, zip("one"));
}

#[tokio::test(start_paused = true)]
async fn i26_a_start_after_a_kill_removes_code_without_a_record() {
    let stage = Stage::new();
    stage.create("f").await;
    let kept = stage.roots();
    // As a kill between storing the code and the commit leaves it; and what others keep.
    for name in ["fn-0123456789abcdef0123456789abcdef", "layer-1"] {
        let root = RootId(name.into());
        stage.objects.create_root(&root).unwrap();
        stage.objects.put(&root, &b"half"[..]).unwrap();
    }
    let stage = stage.restart();
    tokio::time::sleep(ONE_PASS).await;
    let mut wanted = kept;
    wanted.push("layer-1".into());
    assert_eq!(stage.roots(), wanted);
    assert_eq!(fetched(&stage).await, zip("one"));
    // The name was never taken by the call that was killed.
    stage.post(FUNCTIONS, function("g")).await.expect(201);
}

#[tokio::test(start_paused = true)]
async fn a_function_made_again_does_not_meet_its_old_environments() {
    let stage = Stage::new();
    let account = model::AccountId::parse(stage::ACCOUNT).unwrap();
    let key = store::schema::function_head(account, &model::FunctionName::parse("f").unwrap());
    stage.create("f").await;
    let first = stage.store.read(&key).await.unwrap().unwrap().value;
    stage.delete(&path("f", "")).await.expect(204);
    tokio::time::sleep(Duration::from_millis(1)).await;
    stage.create("f").await;
    let second = stage.store.read(&key).await.unwrap().unwrap().value;
    assert_ne!(model::PoolKey::of(&first), model::PoolKey::of(&second));
}

#[tokio::test(start_paused = true)]
async fn a_link_ends_with_its_time_and_with_its_process() {
    let stage = Stage::new();
    stage.create("f").await;
    let got = stage.get(&path("f", "")).await.expect(200);
    let url = got["Code"]["Location"].as_str().unwrap();
    let target = url.strip_prefix(stage::ORIGIN).unwrap().to_owned();
    tokio::time::sleep(Duration::from_secs(599)).await;
    assert_eq!(stage.get(&target).await.status, 200);
    tokio::time::sleep(Duration::from_secs(2)).await;
    let message = stage.get(&target).await.refused(403, "AccessDeniedException");
    assert_eq!(message, "Request has expired");
    let stage = stage.restart();
    let message = stage.get(&target).await.refused(403, "AccessDeniedException");
    assert_eq!(message, "Access Denied");
}
