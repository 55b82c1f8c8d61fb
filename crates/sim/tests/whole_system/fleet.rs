//! Scenes with several frontends, managers and workers: what each of them alone
//! cannot show.

use std::collections::BTreeSet;

use serde_json::json;

use sim::whole::{Answer, Fleet, World, on_paused_clock};

const THREE: Fleet = Fleet { frontends: 3, managers: 3, workers: 3 };

/// As many calls at once, the frontends in turn.
async fn invoke_everywhere(world: &World, name: &str, calls: usize, ms: u64) -> Vec<Answer> {
    let event = json!({ "ms": ms }).to_string();
    let calls = (0..calls).map(|call| world.invoke_at(call % 3, name, &event, &[]));
    futures_util::future::join_all(calls).await
}

fn envs(answers: &[Answer]) -> BTreeSet<String> {
    answers.iter().map(|answer| answer.json()["env"].to_string()).collect()
}

#[test]
fn every_frontend_finds_the_same_warm_environment() {
    on_paused_clock(async {
        let world = World::sized(31, THREE).await;
        world.create("f", 3, None).await;
        let mut answers = Vec::new();
        for call in 0..9 {
            answers.push(world.invoke_at(call % 3, "f", "{}", &[]).await);
        }
        assert!(answers.iter().all(|answer| answer.status == 200));
        assert_eq!(envs(&answers).len(), 1);
        assert_eq!(world.inspect().await.starts, 1);
    });
}

#[test]
fn reserved_concurrency_is_exact_over_several_frontends() {
    on_paused_clock(async {
        let world = World::sized(32, THREE).await;
        world.create("f", 3, Some(7)).await;
        let answers = invoke_everywhere(&world, "f", 40, 500).await;
        let with = |status| answers.iter().filter(|answer| answer.status == status).count();
        assert_eq!((with(200), with(429)), (7, 33));
        assert_eq!(world.guests.most_at_once(), 7);
    });
}

#[test]
fn i2_leases_balance_over_several_managers_and_workers() {
    on_paused_clock(async {
        let world = World::sized(33, THREE).await;
        world.create("f", 3, None).await;
        world.create("g", 3, None).await;
        for _ in 0..5 {
            let calls = [("f", 60), ("g", 10)];
            let both = calls.map(|(name, calls)| invoke_everywhere(&world, name, calls, 40));
            for answers in futures_util::future::join_all(both).await {
                assert!(answers.iter().all(|answer| answer.status == 200));
            }
        }
        tokio::time::sleep(std::time::Duration::from_secs(3)).await;
        let seen = world.inspect().await;
        assert_eq!(seen.in_flight, 0);
        assert_eq!(seen.leases_granted, 5 * 70);
        assert_eq!(seen.leases_granted, seen.leases_started + seen.leases_returned);
        assert_eq!(world.guests.most_at_once_in_one(), 1);
        assert!(seen.starts <= 70, "reuse: {} starts", seen.starts);
    });
}

/// Ten managers: each may hold a hundred calls of the account, so that 250 at once
/// spread it over three of them.
#[test]
fn a6_7_a_set_shrinks_to_one_and_the_steady_calls_stay_warm() {
    on_paused_clock(async {
        let world = World::sized(34, Fleet { frontends: 3, managers: 10, workers: 3 }).await;
        world.create("f", 30, None).await;
        let burst = invoke_everywhere(&world, "f", 250, 2_000).await;
        assert!(burst.iter().all(|answer| answer.status == 200));
        let holders = world.holders().await;
        assert!((3..=5).contains(&holders), "the burst is spread over {holders} managers");
        let starts = world.inspect().await.starts;
        // A steady five for four minutes: the set narrows one by one meanwhile.
        for _ in 0..240 {
            let answers = invoke_everywhere(&world, "f", 5, 1_000).await;
            assert!(answers.iter().all(|answer| answer.status == 200));
        }
        assert_eq!(world.inspect().await.starts, starts, "no cold start while it shrinks");
        // Environments of those that left have idled out or will: new calls go to one.
        tokio::time::sleep(std::time::Duration::from_secs(700)).await;
        invoke_everywhere(&world, "f", 5, 1_000).await;
        assert_eq!(world.holders().await, 1);
    });
}
