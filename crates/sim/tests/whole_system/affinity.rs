//! Calls that want the environment which served their value before, through all
//! roles and in their public form (A8).

use std::collections::BTreeMap;

use model::{Affinity, Span, WhenBusy, affinity::Source};
use serde_json::json;

use sim::whole::{Answer, Fleet, World, on_paused_clock};

async fn with_affinity(seed: u64, when_busy: WhenBusy) -> World {
    sized(seed, when_busy, Fleet { frontends: 1, managers: 1, workers: 1 }).await
}

async fn sized(seed: u64, when_busy: WhenBusy, fleet: Fleet) -> World {
    let world = World::sized(seed, fleet).await;
    world.create("f", 30, None).await;
    let affinity = Affinity { source: Source::Header, when_busy, ttl: Span::secs(600) };
    world.set("f", |settings| settings.affinity = Some(affinity)).await;
    world
}

async fn call(world: &World, value: &str, ms: u64) -> Answer {
    let event = json!({ "ms": ms }).to_string();
    world.invoke_with("f", &event, &[("x-lambent-affinity", value)]).await
}

fn env_of(answer: &Answer) -> String {
    answer.json()["env"].to_string()
}

fn marker(answer: &Answer) -> Option<&str> {
    answer.headers.get("x-lambent-affinity").map(|value| value.to_str().unwrap())
}

const WAIT: WhenBusy = WhenBusy::Wait(Span::secs(2));

#[test]
fn a8_2_each_value_has_one_environment_whichever_frontend_and_manager_serve_it() {
    on_paused_clock(async {
        let fleet = Fleet { frontends: 3, managers: 4, workers: 2 };
        let world = sized(31, WAIT, fleet).await;
        let mut homes: BTreeMap<String, (String, u64)> = BTreeMap::new();
        for round in 0..6_usize {
            for number in 0..50 {
                let value = format!("s{number}");
                let headers = [("x-lambent-affinity", value.as_str())];
                let answer = world.invoke_at(round % 3, "f", "{\"ms\":5}", &headers).await;
                assert_eq!(answer.status, 200);
                let expected = if round == 0 { "new" } else { "kept" };
                assert_eq!(marker(&answer), Some(expected), "{value}");
                let count = answer.json()["count"].as_u64().unwrap();
                let (env, before) =
                    homes.entry(value).or_insert_with(|| (env_of(&answer), count - 1)).clone();
                assert_eq!(env_of(&answer), env);
                assert!(count > before, "what the environment knows has grown");
            }
        }
        let unnamed = world.invoke("f", json!({"ms": 1})).await;
        assert_eq!((unnamed.status, marker(&unnamed)), (200, None));
    });
}

#[test]
fn a8_3_a_caller_is_told_that_its_environment_is_gone() {
    on_paused_clock(async {
        let world = with_affinity(32, WAIT).await;
        let first = call(&world, "s1", 1).await;
        assert_eq!(marker(&call(&world, "s1", 1).await), Some("kept"));
        let event = json!({"exit": 1}).to_string();
        let died = world.invoke_with("f", &event, &[("x-lambent-affinity", "s1")]).await;
        assert!(died.function_error());
        let next = call(&world, "s1", 1).await;
        assert_eq!((next.status, marker(&next)), (200, Some("new")));
        assert_ne!(env_of(&next), env_of(&first));
        let later = call(&world, "s1", 1).await;
        assert_eq!((env_of(&later), marker(&later)), (env_of(&next), Some("kept")));
    });
}

#[test]
fn a8_4_two_parallel_calls_of_a_value() {
    on_paused_clock(async {
        let cases = [(WAIT, 33), (WhenBusy::Overflow, 34), (WhenBusy::Reject, 35)];
        for (when_busy, seed) in cases {
            let world = with_affinity(seed, when_busy).await;
            let home = env_of(&call(&world, "s1", 1).await);
            let (one, two) = tokio::join!(call(&world, "s1", 500), call(&world, "s1", 500));
            let (kept, other) = if marker(&one) == Some("kept") { (one, two) } else { (two, one) };
            assert_eq!((env_of(&kept), marker(&kept)), (home.clone(), Some("kept")));
            match when_busy {
                WhenBusy::Wait(_) => {
                    assert_eq!((env_of(&other), marker(&other)), (home.clone(), Some("kept")));
                }
                WhenBusy::Overflow => {
                    assert_eq!(marker(&other), Some("new"));
                    assert_ne!(env_of(&other), home);
                }
                WhenBusy::Reject => assert_eq!(other.status, 429),
            }
            assert_eq!(env_of(&call(&world, "s1", 1).await), home, "the value stays");
        }
    });
}

#[test]
fn a_value_that_nobody_can_use_is_refused() {
    on_paused_clock(async {
        let world = World::start(37).await;
        world.create("f", 3, None).await;
        assert_eq!(call(&world, "s1", 1).await.status, 400);
        let world = with_affinity(38, WAIT).await;
        assert_eq!(call(&world, "s 1", 1).await.status, 400);
    });
}

/// Values bound at managers 1 to 3, then 4 to 6 in their place: how many of them are
/// told that their environment is the one of before.
async fn kept_over_a_new_fleet(values: usize, at_once: bool, prev: Option<u64>) -> usize {
    let world = sized(39, WAIT, Fleet { frontends: 1, managers: 6, workers: 3 }).await;
    world.limit(3_000).await;
    world.publish(1, &[1, 2, 3], None).await;
    let names: Vec<String> = (0..values).map(|number| format!("s{number}")).collect();
    let mut homes = Vec::new();
    if at_once {
        let calls = names.iter().map(|name| call(&world, name, 2_000));
        homes = futures_util::future::join_all(calls).await;
    } else {
        for name in &names {
            homes.push(call(&world, name, 1).await);
        }
    }
    assert!(homes.iter().all(|answer| (answer.status, marker(answer)) == (200, Some("new"))));
    world.publish(2, &[4, 5, 6], prev).await;
    let mut kept = 0;
    for (name, home) in names.iter().zip(&homes) {
        let next = call(&world, name, 1).await;
        let same = env_of(&next) == env_of(home);
        // Nobody is told that it is the same where it is another one.
        assert!(next.status == 200 && (marker(&next) != Some("kept") || same), "{name}");
        kept += usize::from(marker(&next) == Some("kept"));
    }
    for name in &names {
        assert_eq!(marker(&call(&world, name, 1).await), Some("kept"), "{name} once more");
    }
    kept
}

#[test]
fn a8_6_bound_values_reach_their_environments_over_a_new_fleet_of_managers() {
    on_paused_clock(async {
        let kept = kept_over_a_new_fleet(1_000, true, Some(1)).await;
        assert!(kept >= 990, "{kept} of 1,000");
    });
    // Values that share environments, which belong to one manager at a time.
    on_paused_clock(async {
        let kept = kept_over_a_new_fleet(100, false, Some(1)).await;
        assert!(kept >= 99, "{kept} of 100");
    });
    // The control run: a version that follows none has nobody to ask.
    on_paused_clock(async {
        assert_eq!(kept_over_a_new_fleet(100, false, None).await, 0);
    });
}
