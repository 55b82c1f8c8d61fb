//! The ring publisher and what operators see of it (A4): versions in the store, and
//! the answers of `/admin/rings`.

mod stage;

use control::rings::{PublishError, Publisher};
use decide::ring::publish::{Facts, Unfit};
use model::{Attrs, FleetId, ManagerId, RingState};
use serde_json::{Value, json};
use stage::Stage;

const RINGS: &str = "/admin/rings";
const MANAGERS: [ManagerId; 4] = [ManagerId(1), ManagerId(2), ManagerId(3), ManagerId(4)];

fn facts(in_flight_max: u64) -> Facts<'static> {
    Facts { managers: &MANAGERS, in_flight_max }
}

/// Two managers serve; two others are being rolled out with another idle time.
async fn baking() -> (Stage, Publisher) {
    let stage = Stage::new();
    let publisher = Publisher::new(stage.store.clone());
    publisher.first(MANAGERS[..2].to_vec(), Attrs::default()).await.unwrap();
    let attrs = Attrs { idle_ttl_s: 60, ..Attrs::default() };
    publisher.deploy(FleetId(2), MANAGERS[2..].to_vec(), attrs, None, facts(0)).await.unwrap();
    (stage, publisher)
}

fn column(shown: &Value, name: &str) -> Value {
    shown["versions"].as_array().unwrap().iter().map(|version| version[name].clone()).collect()
}

#[tokio::test]
async fn a4_6_operators_see_versions_settings_shares_and_owners() {
    let (stage, _) = baking().await;
    let shown = stage.get(RINGS).await.expect(200);
    assert_eq!(column(&shown, "v"), json!([2, 1]));
    assert_eq!(column(&shown, "prev"), json!([1, null]));
    assert_eq!(column(&shown, "key_share"), json!([100, 10_000]));
    assert_eq!(column(&shown, "state"), json!(["Baking", "Active"]));
    assert_eq!(column(&shown, "members"), json!([[3, 4], [1, 2]]));
    let newest = &shown["versions"][0];
    let attrs = json!({
        "spread": 1, "per_mgr_cap": u32::MAX, "idle_ttl_s": 60,
        "profile": {"sandbox": 0, "worker_class": 0},
    });
    assert_eq!(newest["attrs"], attrs);
    let share = |at: usize| newest["shares"][at]["share"].as_u64().unwrap();
    assert_eq!(newest["shares"][0]["manager"], 3);
    assert!((share(0) + share(1)).abs_diff(1_000_000) <= 2);
    assert_eq!(newest["parts"].as_array().unwrap().len(), 96);
}

#[tokio::test]
async fn a_version_bakes_by_steps_and_goes_back_by_another_version() {
    let (stage, publisher) = baking().await;
    let mut shares = Vec::new();
    loop {
        let answer = stage.post(&format!("{RINGS}/step"), json!({})).await;
        if answer.status != 200 {
            let text = answer.refused(409, "ResourceConflictException");
            assert!(text.contains("no next step"), "{text}");
            break;
        }
        shares.push(answer.json()["versions"][0]["key_share"].clone());
    }
    assert_eq!(Value::from(shares), json!([500, 2_500, 10_000]));
    let shown = stage.get(RINGS).await.expect(200);
    assert_eq!(column(&shown, "state"), json!(["Active", "Retiring"]));
    let shown = stage.post(&format!("{RINGS}/back"), json!({})).await.expect(200);
    assert_eq!(column(&shown, "v"), json!([3, 2, 1]));
    assert_eq!(column(&shown, "state"), json!(["Active", "Retiring", "Retiring"]));
    assert_eq!(column(&shown, "members"), json!([[1, 2], [3, 4], [1, 2]]));
    let rings = publisher.rings().await.unwrap();
    assert_eq!(rings.newest().unwrap().attrs().idle_ttl_s, 600);
}

#[tokio::test]
async fn rings_outlive_a_restart_and_the_first_is_published_once() {
    let stage = Stage::durable();
    let publisher = Publisher::new(stage.store.clone());
    for _ in 0..2 {
        publisher.first(MANAGERS[..1].to_vec(), Attrs::default()).await.unwrap();
    }
    let stage = stage.restart();
    let shown = stage.get(RINGS).await.expect(200);
    assert_eq!(column(&shown, "v"), json!([1]));
}

#[tokio::test]
async fn a4_5_what_does_not_fit_is_not_published() {
    let (_stage, publisher) = baking().await;
    let attrs = Attrs { spread: 2, per_mgr_cap: 10, ..Attrs::default() };
    let refused = publisher.deploy(FleetId(3), MANAGERS.to_vec(), attrs, None, facts(21)).await;
    let Err(PublishError::Unfit(Unfit::TooSmall { .. })) = refused else {
        panic!("{refused:?}");
    };
    assert_eq!(publisher.rings().await.unwrap().versions().len(), 2, "nothing was written");
    let record =
        publisher.deploy(FleetId(3), MANAGERS.to_vec(), attrs, None, facts(20)).await.unwrap();
    assert_eq!((record.v.0, record.state), (3, RingState::Baking));
}

/// One key has 21 calls at two managers, another 20 at one.
#[tokio::test]
async fn a4_5_a_deployment_that_cannot_carry_what_managers_have_in_flight_is_refused() {
    let (stage, publisher) = baking().await;
    for (manager, key, calls) in [(1, 7, 9), (4, 7, 12), (2, 8, 20)] {
        stage.busy.set(manager, key, calls);
    }
    let asked = |spread: u16, cap: u32| json!({"members": [1, 2, 3, 4], "spread": spread, "per_mgr_cap": cap, "key_share": 10_000});
    let text = stage.post(RINGS, asked(2, 10)).await.refused(409, "ResourceConflictException");
    assert!(text.contains("take 20 calls of one key, and one has 21 in flight now"), "{text}");
    assert_eq!(publisher.rings().await.unwrap().versions().len(), 2, "nothing was written");
    let shown = stage.post(RINGS, asked(3, 7)).await.expect(200);
    assert_eq!(shown["versions"][0]["attrs"]["spread"], 3);
    // A setting that is left out stays, and goes on to hold.
    let text =
        stage.post(RINGS, json!({"spread": 2})).await.refused(409, "ResourceConflictException");
    assert!(text.contains("take 14 calls"), "{text}");
}

#[tokio::test]
async fn a4_4_a_deployment_names_its_profile() {
    let (stage, _) = baking().await;
    let asked = json!({"sandbox_profile": 3, "worker_class": 1});
    let shown = stage.post(RINGS, asked).await.expect(200);
    let profile = json!({"sandbox": 3, "worker_class": 1});
    assert_eq!(shown["versions"][0]["attrs"]["profile"], profile);
    let shown = stage.post(RINGS, json!({"idle_ttl_s": 20})).await.expect(200);
    assert_eq!(shown["versions"][0]["attrs"]["profile"], profile);
}

#[tokio::test]
async fn no_more_versions_are_kept_than_are_known() {
    let (stage, publisher) = baking().await;
    for _ in 0..6 {
        publisher.back().await.unwrap();
    }
    let shown = stage.get(RINGS).await.expect(200);
    assert_eq!(column(&shown, "v"), json!([8, 7, 6, 5]));
}

#[tokio::test]
async fn of_two_publishers_at_once_one_is_told_to_look_again() {
    let stage = Stage::durable();
    let publisher = Publisher::new(stage.store.clone());
    publisher.first(MANAGERS.to_vec(), Attrs::default()).await.unwrap();
    let deploy =
        || publisher.deploy(FleetId(2), MANAGERS.to_vec(), Attrs::default(), None, facts(0));
    let results = futures_util::future::join_all((0..8).map(|_| deploy())).await;
    let versions: Vec<u64> = results.iter().flatten().map(|record| record.v.0).collect();
    let mut distinct = versions.clone();
    distinct.sort_unstable();
    distinct.dedup();
    assert_eq!(distinct.len(), versions.len(), "one number twice: {versions:?}");
    let others = results.iter().filter_map(|result| result.as_ref().err());
    assert!(others.into_iter().all(|error| matches!(error, PublishError::Contended)));
}

#[tokio::test]
async fn an_operator_replaces_the_fleet_at_once_or_by_a_share() {
    let (stage, publisher) = baking().await;
    let asked = json!({"members": [2, 4], "key_share": 10_000, "idle_ttl_s": 30});
    let shown = stage.post(RINGS, asked).await.expect(200);
    assert_eq!(column(&shown, "v"), json!([3, 2, 1]));
    assert_eq!(column(&shown, "state"), json!(["Active", "Retiring", "Retiring"]));
    assert_eq!(column(&shown, "fleet"), json!([3, 2, 1]));
    assert_eq!(shown["versions"][0]["members"], json!([2, 4]));
    // Only a setting, for the first step's share.
    let shown = stage.post(RINGS, json!({"idle_ttl_s": 20})).await.expect(200);
    let newest = publisher.rings().await.unwrap().newest().unwrap().record().clone();
    assert_eq!((newest.v.0, newest.fleet, newest.key_share), (4, FleetId(3), 100));
    assert_eq!(newest.members, [ManagerId(2), ManagerId(4)]);
    assert_eq!(shown["versions"][0]["attrs"]["idle_ttl_s"], 20);
}

#[tokio::test]
async fn a_deployment_that_makes_no_sense_is_refused() {
    let (stage, publisher) = baking().await;
    let cases = [
        (json!({"members": [9]}), "manager 9 does not exist"),
        (json!({"members": []}), "at least one manager"),
        (json!({"key_share": 10_001}), "above the whole"),
        (json!({"idle_ttl_s": 0}), "idle_ttl_s must be at least 1"),
    ];
    for (asked, text) in cases {
        let refused = stage.post(RINGS, asked).await.refused(409, "ResourceConflictException");
        assert!(refused.contains(text), "{refused}");
    }
    let unknown = stage.post(RINGS, json!({"member": [1]})).await;
    unknown.refused(400, "InvalidRequestContentException");
    assert_eq!(publisher.rings().await.unwrap().versions().len(), 2, "nothing was written");
}
