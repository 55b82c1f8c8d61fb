//! How fast a function may spread, counted over all managers: the create gate (A6).
//! Thousands of calls at once, so that these scenes take a while.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use model::ManagerId;
use serde_json::json;
use sim::whole::{Fleet, Member, World, on_paused_clock};

/// One of them at a time: each has thousands of fake sandboxes, which are open files.
static ALONE: Mutex<()> = Mutex::new(());

/// Room for 10,000 environments.
const FLEET: Fleet = Fleet { frontends: 3, managers: 4, workers: 10 };
const MINUTE_MS: u64 = 60_000;

async fn world(seed: u64, functions: &[&str]) -> World {
    let world = World::sized(seed, FLEET).await;
    world.limit(10_000).await;
    for name in functions {
        world.create(name, 90, None).await;
    }
    world
}

/// Offers the calls at once, the refused ones again every 100 ms. How many ran at once
/// at most, at the beginning and after each second.
async fn offer(world: &World, name: &str, calls: usize, secs: u64) -> Vec<u32> {
    let until = tokio::time::Instant::now() + Duration::from_secs(secs);
    let event = json!({ "ms": MINUTE_MS }).to_string();
    let one = |call: usize| {
        let event = &event;
        async move {
            loop {
                let answer = world.invoke_at(call % 3, name, event, &[]).await;
                if answer.status == 200 {
                    return;
                }
                assert_eq!(answer.status, 429, "{}", answer.json());
                assert!(answer.headers.contains_key("retry-after"));
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    };
    let all = futures_util::future::join_all((0..calls).map(one));
    let watch = async {
        let mut running = Vec::new();
        loop {
            running.push(world.guests.most_at_once());
            if tokio::time::Instant::now() >= until {
                return running;
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    };
    tokio::pin!(all);
    tokio::select! {
        biased;
        running = watch => running,
        _ = &mut all => panic!("calls of a minute ended"),
    }
}

fn near(seen: u32, expected: u32) -> bool {
    seen.abs_diff(expected) * 20 <= expected
}

#[test]
fn a6_2_a_thousand_start_at_once_and_then_a_hundred_each_second_over_all_managers() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    on_paused_clock(async {
        let world = world(61, &["f"]).await;
        let running = offer(&world, "f", 3_000, 20).await;
        assert!(near(running[1], 1_100), "{running:?}");
        assert!(near(running[10], 2_000), "{running:?}");
        assert!(near(running[20], 3_000), "{running:?}");
        assert!(world.holders().await > 1, "the test is about several managers");
    });
}

#[test]
fn a6_4_two_functions_have_a_thousand_each_over_all_managers() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    on_paused_clock(async {
        let world = world(62, &["f", "g"]).await;
        let both = [("f", 1_500), ("g", 1_500)].map(|(name, calls)| offer(&world, name, calls, 1));
        let running = futures_util::future::join_all(both).await;
        assert!(near(running[0][1], 2_200), "{running:?}");
    });
}

#[test]
fn a6_3_idle_minutes_bring_nothing_over_all_managers() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    on_paused_clock(async {
        let world = world(63, &["f"]).await;
        assert_eq!(together(&world, 1_000, 1_000).await, 1_000);
        // Ten idle minutes: what was made is gone, and the bucket is full, not fuller.
        tokio::time::sleep(Duration::from_secs(620)).await;
        assert_eq!(world.inspect().await.environments, 0);
        let before = world.inspect().await.starts;
        offer(&world, "f", 3_000, 1).await;
        let starts = u32::try_from(world.inspect().await.starts - before).unwrap();
        assert!(near(starts, 1_100), "{starts}");
    });
}

#[test]
fn a6_5_a_thousand_warm_ones_are_free_over_all_managers() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    on_paused_clock(async {
        let world = world(64, &["f"]).await;
        assert_eq!(together(&world, 1_000, 30_000).await, 1_000);
        assert!(world.holders().await > 1, "the test is about several managers");
        let before = world.inspect().await.starts;
        assert_eq!(together(&world, 2_000, MINUTE_MS).await, 2_000);
        assert_eq!(world.guests.most_at_once(), 2_000);
        assert_eq!(world.inspect().await.starts - before, 1_000);
    });
}

/// The bound: a share of one bucket at each of the others, on top of what the home gives
/// to those that reach it.
#[test]
fn without_the_home_of_its_bucket_a_function_goes_by_shares() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    for dead in [true, false] {
        on_paused_clock(async {
            let world = world(65, &["f"]).await;
            // The account is spread, so that its calls reach other managers.
            assert_eq!(together(&world, 1_000, 1_000).await, 1_000);
            tokio::time::sleep(Duration::from_secs(700)).await;
            let home = world.counter();
            let others = (1..=4).map(|id| Member::Manager(ManagerId(id)));
            for other in others.filter(|other| *other != home) {
                world.part(home, other);
            }
            if dead {
                world.kill(home, true);
            }
            let before = world.inspect().await.starts;
            offer(&world, "f", 3_000, 2).await;
            let starts = world.inspect().await.starts - before;
            let expected = if dead { 250..=900 } else { 1_000..=2_150 };
            assert!(expected.contains(&starts), "{starts} starts where the home is dead: {dead}");
        });
    }
}

/// All at once; how many were served.
async fn together(world: &World, calls: usize, ms: u64) -> usize {
    let event = json!({ "ms": ms }).to_string();
    let calls = (0..calls).map(|call| world.invoke_at(call % 3, "f", &event, &[]));
    let answers = futures_util::future::join_all(calls).await;
    answers.iter().filter(|answer| answer.status == 200).count()
}
