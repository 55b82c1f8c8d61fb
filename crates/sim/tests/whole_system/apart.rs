//! Connections that break under load: what fails is what was under way, and nothing
//! of it lasts.

use std::{collections::BTreeSet, time::Duration};

use model::{ManagerId, WorkerId};
use serde_json::json;
use sim::whole::{Fleet, Member, World, on_paused_clock};

const FLEET: Fleet = Fleet { frontends: 3, managers: 3, workers: 3 };

async fn calls(world: &World, name: &str, calls: usize, ms: u64) -> Vec<u16> {
    let event = json!({ "ms": ms }).to_string();
    let calls = (0..calls).map(|call| world.invoke_at(call % 3, name, &event, &[]));
    futures_util::future::join_all(calls).await.iter().map(|answer| answer.status).collect()
}

#[test]
fn many_calls_over_many_roles() {
    on_paused_clock(async {
        let world = World::sized(41, FLEET).await;
        world.create("f", 3, None).await;
        world.create("g", 3, Some(7)).await;
        for _ in 0..5 {
            let all = calls(&world, "f", 60, 40).await;
            assert_eq!(all.into_iter().collect::<BTreeSet<_>>(), BTreeSet::from([200]));
        }
        let reserved = calls(&world, "g", 40, 500).await;
        assert_eq!(reserved.iter().filter(|status| **status == 200).count(), 7);
        let large = json!({"bytes": 4_000_000}).to_string();
        assert_eq!(world.invoke_at(1, "f", &large, &[]).await.status, 200);
        tokio::time::sleep(Duration::from_secs(3)).await;
        let seen = world.inspect().await;
        assert_eq!(seen.in_flight, 0);
        assert_eq!(seen.leases_granted, seen.leases_started + seen.leases_returned);
        assert_eq!(world.guests.most_at_once_in_one(), 1);
        assert!(seen.starts < 300, "reuse: {} starts", seen.starts);
    });
}

#[test]
fn i1_i2_connections_that_break_under_load_break_nothing_else() {
    let roles: [fn(u64) -> Member; 2] =
        [|number| Member::Worker(WorkerId(number)), |number| Member::Manager(ManagerId(number))];
    for role in roles {
        on_paused_clock(async {
            let name = role(1);
            let world = World::sized(42, FLEET).await;
            world.create("f", 3, None).await;
            let mut failed = 0;
            for round in 0..30 {
                // New environments: their calls wait at managers when those are cut off.
                world.change("f").await;
                let break_off = async {
                    // Somewhere between the first message and the last.
                    tokio::time::sleep(Duration::from_millis(30 + round * 7)).await;
                    world.cut(role(1 + round % 3));
                };
                let (all, ()) = tokio::join!(calls(&world, "f", 60, 100), break_off);
                failed += all.iter().filter(|status| **status != 200).count();
            }
            assert!(failed > 0, "no cut of a {name} met a call");
            // Nothing lasts: leases end by their terms, and new calls are served.
            tokio::time::sleep(Duration::from_secs(30)).await;
            let seen = world.inspect().await;
            assert_eq!(seen.in_flight, 0, "{name}");
            let after = calls(&world, "f", 60, 100).await;
            assert!(after.iter().all(|status| *status == 200), "{name}: {after:?}");
            assert_eq!(world.guests.most_at_once_in_one(), 1, "{name}");
        });
    }
}
