//! Scenes of keys that move from some managers to others (A3): what the worker lets
//! happen, and what callers see of it.

use model::{EnvId, Epoch, ManagerId, RingState};
use serde_json::json;
use sim::whole::{Fleet, World, on_paused_clock};
use wire::worker::{Refusal, WorkerAnswer, WorkerCall, WorkerNote};

use crate::run_of;

fn transfer(env: EnvId, epoch: u64, from: u64, to: u64) -> WorkerNote {
    let (from, to) = (ManagerId(from), ManagerId(to));
    WorkerNote::Transfer { env, epoch: Epoch(epoch), from, to }
}

/// The one manager of three that holds the environment, and another.
async fn holder(world: &World) -> (u64, u64) {
    for manager in 1..=3 {
        if !world.hosted_by(manager).await.is_empty() {
            return (manager, manager % 3 + 1);
        }
    }
    panic!("nobody holds an environment");
}

const THREE: Fleet = Fleet { frontends: 1, managers: 3, workers: 1 };

#[test]
fn i5_an_owner_that_gave_an_environment_away_runs_nothing_in_it() {
    on_paused_clock(async {
        let world = World::sized(41, THREE).await;
        world.create("f", 3, None).await;
        assert_eq!(world.invoke("f", json!({})).await.status, 200);
        let (old, new) = holder(&world).await;
        let env = world.hosted_by(old).await[0].env;
        // Only its owner gives it away.
        world.worker.note(transfer(env, 9, 6 - old - new, new)).await.unwrap();
        assert_eq!(world.hosted_by(old).await.len(), 1);
        // And only with an epoch that is not behind.
        world.worker.note(transfer(env, 1, old, new)).await.unwrap();
        assert_eq!(world.hosted_by(old).await.len(), 1);
        world.worker.note(transfer(env, 2, old, new)).await.unwrap();
        assert_eq!(world.hosted_by(old).await.len(), 0);
        let hosted = world.hosted_by(new).await;
        assert_eq!((hosted[0].env, hosted[0].epoch), (env, Epoch(3)));
        assert_eq!((world.held_by(old).await, world.held_by(new).await), (0, 1));
        // What the old owner had granted is refused, and it cannot retire it.
        let run = WorkerCall::Run(Box::new(run_of(env, 3)));
        let answer = world.worker.call(run).await.unwrap();
        assert!(matches!(answer, WorkerAnswer::Refused(Refusal::OldEpoch)), "{answer:?}");
        let retire = WorkerNote::Retire { env, epoch: Epoch(9), from: ManagerId(old) };
        world.worker.note(retire).await.unwrap();
        assert_eq!(world.hosted_by(new).await.len(), 1);
        let run = WorkerCall::Run(Box::new(run_of(env, 4)));
        assert!(matches!(world.worker.call(run).await.unwrap(), WorkerAnswer::Ran(_)));
    });
}

#[test]
fn a_busy_or_ending_environment_stays_with_its_owner() {
    on_paused_clock(async {
        let world = World::sized(42, THREE).await;
        world.create("f", 3, None).await;
        assert_eq!(world.invoke("f", json!({})).await.status, 200);
        let (old, new) = holder(&world).await;
        let env = world.hosted_by(old).await[0].env;
        let call = world.invoke("f", json!({"ms": 1_000}));
        let give = async {
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            world.worker.note(transfer(env, 9, old, new)).await.unwrap();
            world.hosted_by(old).await
        };
        let (answer, hosted) = futures_util::future::join(call, give).await;
        assert_eq!((answer.status, hosted.len(), hosted[0].busy), (200, 1, true));
        let retire = WorkerNote::Retire { env, epoch: Epoch(9), from: ManagerId(old) };
        world.worker.note(retire).await.unwrap();
        world.worker.note(transfer(env, 9, old, new)).await.unwrap();
        assert_eq!(world.hosted_by(new).await.len(), 0);
        assert_eq!((world.held_by(old).await, world.held_by(new).await), (0, 0));
    });
}

const SIX: Fleet = Fleet { frontends: 3, managers: 6, workers: 3 };
const FUNCTIONS: u64 = 50;

/// Warm functions at managers 1 to 3, then 4 to 6 in their place. Environments that
/// were made when each was called once again, and where they all are.
async fn replace_the_fleet(world: &World, prev: Option<u64>) -> (u64, u64, u64) {
    world.publish(1, &[1, 2, 3], None).await;
    let names: Vec<String> = (0..FUNCTIONS).map(|number| format!("f{number}")).collect();
    for name in &names {
        world.create(name, 3, None).await;
        assert_eq!(world.invoke(name, json!({})).await.status, 200);
    }
    assert_eq!(world.inspect().await.starts, FUNCTIONS);
    world.publish(2, &[4, 5, 6], prev).await;
    for (call, name) in names.iter().enumerate() {
        assert_eq!(world.invoke_at(call % 3, name, "{}", &[]).await.status, 200);
    }
    let (mut old, mut new) = (0, 0);
    for manager in 1..=3 {
        old += world.held_by(manager).await;
        new += world.held_by(manager + 3).await;
    }
    (world.inspect().await.starts - FUNCTIONS, old, new)
}

#[test]
fn a3_1_a_replaced_fleet_serves_warm_functions_warm() {
    on_paused_clock(async {
        let world = World::sized(43, SIX).await;
        let (cold, old, new) = replace_the_fleet(&world, Some(1)).await;
        assert!(cold * 100 <= FUNCTIONS, "{cold} cold starts");
        assert_eq!((old, new), (0, FUNCTIONS));
        let seen = world.inspect().await;
        assert_eq!(seen.leases_granted, seen.leases_started + seen.leases_returned);
    });
    // The control run: a version that follows none has nobody to ask.
    on_paused_clock(async {
        let world = World::sized(43, SIX).await;
        assert_eq!(replace_the_fleet(&world, None).await, (FUNCTIONS, FUNCTIONS, FUNCTIONS));
    });
}

#[test]
fn a3_4_a_call_during_the_switch_ends_well_and_the_next_one_is_warm_at_the_new_owner() {
    on_paused_clock(async {
        let world = World::sized(44, SIX).await;
        world.publish(1, &[1, 2, 3], None).await;
        world.create("f", 90, None).await;
        let long = world.invoke("f", json!({"ms": 60_000}));
        let switch = async {
            tokio::time::sleep(std::time::Duration::from_secs(30)).await;
            world.publish(2, &[4, 5, 6], Some(1)).await;
        };
        let (first, ()) = futures_util::future::join(long, switch).await;
        assert_eq!((first.status, first.function_error()), (200, false));
        let next = world.invoke("f", json!({})).await;
        assert_eq!(next.json()["env"], first.json()["env"]);
        assert_eq!(world.inspect().await.starts, 1);
        let mut new = 0;
        for manager in 4..=6 {
            new += world.held_by(manager).await;
        }
        assert_eq!(new, 1);
    });
}

#[test]
fn a_busy_environment_is_offered_to_the_new_owner_when_it_is_free() {
    on_paused_clock(async {
        let world = World::sized(45, SIX).await;
        world.publish(1, &[1, 2, 3], None).await;
        world.create("f", 90, None).await;
        let long = world.invoke("f", json!({"ms": 10_000}));
        let meanwhile = async {
            tokio::time::sleep(std::time::Duration::from_secs(5)).await;
            world.publish(2, &[4, 5, 6], Some(1)).await;
            assert_eq!(world.invoke("f", json!({})).await.status, 200);
        };
        futures_util::future::join(long, meanwhile).await;
        assert_eq!(world.inspect().await.starts, 2, "the one was busy");
        let both = world.invoke_all("f", vec![json!({"ms": 100}); 2]).await;
        assert!(both.iter().all(|answer| answer.status == 200));
        assert_eq!(world.inspect().await.starts, 2, "and both are the new owner's now");
    });
}

/// Manager 9 does not exist: nobody reaches it. What counts calls is not part of a
/// version that bakes.
#[test]
fn a3_3_where_a_new_owner_is_not_reached_its_predecessor_serves() {
    on_paused_clock(async {
        let world = World::sized(46, SIX).await;
        world.publish(1, &[1, 2, 3], None).await;
        world.create("f", 3, None).await;
        let first = world.invoke("f", json!({})).await;
        world.publish_as(RingState::Baking, 2, &[9], Some(1)).await;
        for _ in 0..10 {
            let next = world.invoke("f", json!({})).await;
            assert_eq!((next.status, &next.json()["env"]), (200, &first.json()["env"]));
        }
        assert_eq!(world.inspect().await.starts, 1);
    });
}
