//! Reuse over several managers (A5): the tail of a peak goes cold wherever it is, on few
//! managers and on many.

use std::time::Duration;

use model::limits;
use serde_json::json;
use sim::whole::{Fleet, World, on_paused_clock};

/// Keeps as many calls of a fixed length running for a time; how many failed.
async fn hold(world: &World, concurrent: usize, ms: u64, secs: u64) -> usize {
    let until = tokio::time::Instant::now() + Duration::from_secs(secs);
    let event = json!({ "ms": ms }).to_string();
    let one = |caller: usize| {
        let event = &event;
        async move {
            // Callers do not step together.
            tokio::time::sleep(Duration::from_millis(caller as u64 * 7)).await;
            let mut failed = 0;
            let mut at = caller;
            while tokio::time::Instant::now() < until {
                let answer = world.invoke_at(at % 3, "f", event, &[]).await;
                failed += usize::from(answer.status != 200);
                at += 1;
            }
            failed
        }
    };
    let failed = futures_util::future::join_all((0..concurrent).map(one)).await;
    failed.into_iter().sum()
}

#[test]
fn a5_5_the_pool_follows_the_load_down_over_several_managers() {
    // Managers, and what the account may have in flight: the first two spread it.
    for (managers, limit, spread) in [(10, 100, true), (20, 1_000, true), (3, 1_000, false)] {
        on_paused_clock(async {
            let world = World::sized(71, Fleet { frontends: 3, managers, workers: 3 }).await;
            world.limit(limit).await;
            world.create("f", 30, None).await;
            assert_eq!(hold(&world, 100, 500, 30).await, 0);
            assert!(world.inspect().await.environments > 80);
            assert_eq!(world.holders().await > 1, spread);
            let idle_ttl = limits::IDLE_TTL.to_std().as_secs();
            assert_eq!(hold(&world, 10, 500, idle_ttl + 15).await, 0);
            let left = world.inspect().await.environments;
            assert!((10..=15).contains(&left), "{left} of {managers} managers are left");
        });
    }
}
