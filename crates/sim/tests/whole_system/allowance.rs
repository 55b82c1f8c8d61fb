//! What frontends admit by themselves: calls of a large account out of blocks of slots,
//! and of any account, up to a share of its limit, while nobody counts.

use std::time::Duration;

use serde_json::json;
use sim::whole::{Fleet, World, on_paused_clock};

const THREE: Fleet = Fleet { frontends: 3, managers: 3, workers: 3 };

/// As many calls at once, the frontends in turn; how many are served and refused.
async fn calls(world: &World, name: &str, calls: usize, ms: u64) -> (usize, usize) {
    let event = json!({ "ms": ms }).to_string();
    let calls = (0..calls).map(|call| world.invoke_at(call % 3, name, &event, &[]));
    let answers = futures_util::future::join_all(calls).await;
    let with = |status| answers.iter().filter(|answer| answer.status == status).count();
    assert_eq!(with(200) + with(429), answers.len());
    (with(200), with(429))
}

/// Longer than two heartbeats.
async fn beats() {
    tokio::time::sleep(Duration::from_secs(12)).await;
}

/// Five managers hold ten calls of an account each: without one of them there is room.
#[test]
fn without_its_counter_an_account_runs_up_to_every_frontends_share_and_not_above() {
    for loudly in [true, false] {
        on_paused_clock(async {
            let world = World::sized(51, Fleet { managers: 5, ..THREE }).await;
            world.limit(30).await;
            world.create("f", 30, None).await;
            assert_eq!(calls(&world, "f", 60, 500).await, (30, 30), "counted");
            let counter = world.counter();
            world.kill(counter, loudly);
            for _ in 0..3 {
                assert_eq!(calls(&world, "f", 60, 500).await, (30, 30), "ten at each");
            }
            let all_at_one = (0..50).map(|_| world.invoke("f", json!({"ms": 500})));
            let at_one = futures_util::future::join_all(all_at_one).await;
            assert_eq!(at_one.iter().filter(|answer| answer.status == 200).count(), 10);
            world.revive(counter).await;
            beats().await;
            let before = world.inspect().await.counted;
            assert_eq!(calls(&world, "f", 60, 500).await, (30, 30), "counted again");
            let seen = world.inspect().await;
            assert_eq!((seen.counted - before, seen.in_flight), (60, 0));
        });
    }
}

#[test]
fn without_its_counter_a_reservation_admits_nobody() {
    on_paused_clock(async {
        let world = World::sized(55, THREE).await;
        world.create("f", 3, None).await;
        world.create("kept", 3, Some(5)).await;
        world.kill(world.counter(), true);
        assert_eq!(world.invoke("f", json!({})).await.status, 200);
        assert_eq!(world.invoke("kept", json!({})).await.status, 503);
    });
}

#[test]
fn a_large_account_is_admitted_without_a_message_for_each_call() {
    on_paused_clock(async {
        let world = World::sized(52, THREE).await;
        world.limit(100_000).await;
        world.create("f", 30, None).await;
        world.create("kept", 30, Some(5)).await;
        assert_eq!(calls(&world, "f", 60, 40).await, (60, 0));
        // It was busy: the next heartbeats borrow.
        beats().await;
        let counted = world.inspect().await.counted;
        for _ in 0..10 {
            assert_eq!(calls(&world, "f", 300, 40).await, (300, 0));
        }
        let seen = world.inspect().await;
        assert_eq!(seen.counted, counted, "nobody asked about single calls");
        assert!((300..300 + 3 * 64).contains(&seen.lent), "{} slots are lent", seen.lent);
        assert_eq!(calls(&world, "kept", 9, 500).await, (5, 4), "a reservation is exact");
        assert_eq!(world.guests.most_at_once_in_one(), 1);
        // What was borrowed goes back with the heartbeats, and every lease has ended.
        tokio::time::sleep(Duration::from_secs(30)).await;
        let seen = world.inspect().await;
        assert_eq!((seen.lent, seen.in_flight), (0, 0));
        assert_eq!(seen.leases_granted, seen.leases_started + seen.leases_returned);
    });
}

/// The control run of the one above.
#[test]
fn a_small_account_is_counted_call_by_call() {
    on_paused_clock(async {
        let world = World::sized(53, THREE).await;
        world.create("f", 30, None).await;
        calls(&world, "f", 60, 40).await;
        beats().await;
        calls(&world, "f", 60, 40).await;
        let seen = world.inspect().await;
        assert_eq!((seen.counted, seen.lent), (120, 0));
    });
}

#[test]
fn a_large_account_goes_on_without_its_counter() {
    on_paused_clock(async {
        let world = World::sized(54, THREE).await;
        world.limit(9_000).await;
        world.create("f", 30, None).await;
        calls(&world, "f", 60, 40).await;
        beats().await;
        calls(&world, "f", 60, 40).await;
        world.kill(world.counter(), true);
        for _ in 0..3 {
            assert_eq!(calls(&world, "f", 300, 40).await, (300, 0));
            beats().await;
        }
        let seen = world.inspect().await;
        assert_eq!(seen.leases_granted, seen.leases_started + seen.leases_returned);
    });
}
