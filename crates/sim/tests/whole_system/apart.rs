//! Roles in separate processes: the same scenes over connections of a simulated
//! network, with real frames and real messages, and connections that break under load.

use std::{collections::BTreeSet, time::Duration};

use platform::{
    Caller, Tasks,
    transport::{Address, Exchange, Network, Simulated},
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::json;

use crate::world::{Fleet, World, on_paused_clock};

/// How callers lead to roles.
pub(crate) enum Ways {
    /// All in one process.
    Here,
    /// Each role in a process of its own.
    Apart { network: Simulated, near: Exchange, tasks: Tasks },
}

impl Ways {
    fn apart() -> Ways {
        let tasks = Tasks::default();
        let network = Simulated::new();
        let near = Exchange::new(Network::simulated(&network), tasks.clone());
        Ways::Apart { network, near, tasks }
    }

    pub(crate) async fn lead<Q, A, N>(
        &self,
        role: &'static str,
        number: u64,
        here: Caller<Q, A, N>,
    ) -> Caller<Q, A, N>
    where
        Q: Serialize + DeserializeOwned + Send + 'static,
        A: Serialize + DeserializeOwned + Send + 'static,
        N: Serialize + DeserializeOwned + Send + 'static,
    {
        let Ways::Apart { network, near, tasks } = self else { return here };
        let name = format!("{role}-{number}");
        let address = Address::Simulated(name.clone());
        let far = Exchange::new(Network::simulated(network), tasks.clone());
        far.register(&name, &here, |_| true).unwrap();
        far.listen(&address).await.unwrap();
        near.caller("others", role, &name, address)
    }

    fn cut(&self, place: &str) {
        let Ways::Apart { network, .. } = self else { panic!("nothing to cut") };
        network.cut(place);
    }
}

const FLEET: Fleet = Fleet { frontends: 3, managers: 3, workers: 3 };

async fn calls(world: &World, name: &str, calls: usize, ms: u64) -> Vec<u16> {
    let event = json!({ "ms": ms }).to_string();
    let calls = (0..calls).map(|call| world.invoke_at(call % 3, name, &event, &[]));
    futures_util::future::join_all(calls).await.iter().map(|answer| answer.status).collect()
}

#[test]
fn roles_apart_do_as_in_one_process() {
    on_paused_clock(async {
        let world = World::over(41, FLEET, Ways::apart()).await;
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
        assert_eq!(world.player.most_at_once_in_one(), 1);
        assert!(seen.starts < 300, "reuse: {} starts", seen.starts);
    });
}

#[test]
fn i1_i2_connections_that_break_under_load_break_nothing_else() {
    for role in ["worker", "manager"] {
        on_paused_clock(async {
            let world = World::over(42, FLEET, Ways::apart()).await;
            world.create("f", 3, None).await;
            let mut failed = 0;
            for round in 0..30 {
                // New environments: their calls wait at managers when those are cut off.
                world.change("f").await;
                let break_off = async {
                    // Somewhere between the first message and the last.
                    tokio::time::sleep(Duration::from_millis(30 + round * 7)).await;
                    world.ways.cut(&format!("{role}-{}", 1 + round % 3));
                };
                let (all, ()) = tokio::join!(calls(&world, "f", 60, 100), break_off);
                failed += all.iter().filter(|status| **status != 200).count();
            }
            assert!(failed > 0, "no cut of a {role} met a call");
            // Nothing lasts: leases end by their terms, and new calls are served.
            tokio::time::sleep(Duration::from_secs(30)).await;
            let seen = world.inspect().await;
            assert_eq!(seen.in_flight, 0, "{role}");
            let after = calls(&world, "f", 60, 100).await;
            assert!(after.iter().all(|status| *status == 200), "{role}: {after:?}");
            assert_eq!(world.player.most_at_once_in_one(), 1, "{role}");
        });
    }
}
