//! Scenes of ring versions that carry settings (A4): over how many managers a key is
//! spread, which environments a profile keeps apart, what is known of calls in flight,
//! and which version decided.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::{Arc, Mutex},
};

use model::{Attrs, KeyHash, Profile, RingRecord};
use serde_json::json;
use sim::whole::{Fleet, World, on_paused_clock};
use tracing::{
    Event, Metadata, Subscriber,
    field::{Field, Visit},
    span,
};

const TWELVE: Fleet = Fleet { frontends: 1, managers: 12, workers: 2 };
const OLD: [u64; 6] = [1, 2, 3, 4, 5, 6];
const NEW: [u64; 6] = [7, 8, 9, 10, 11, 12];

fn spread(v: u64, members: &[u64], spread: u16) -> RingRecord {
    let prev = v.checked_sub(1).filter(|prev| *prev > 0);
    let record = World::ring_record(v, members, prev);
    RingRecord { attrs: Attrs { spread, ..record.attrs }, ..record }
}

/// Forty warm environments of one function under one spread, then so many calls at once
/// under another, at other managers: cold starts, and the environments of each new
/// manager that has any.
async fn change_spread(seed: u64, from: u16, to: u16, calls: usize) -> (u64, Vec<u64>) {
    let world = World::sized(seed, TWELVE).await;
    world.publish_record(spread(1, &OLD, from)).await;
    world.create("f", 30, None).await;
    let warm = world.invoke_all("f", vec![json!({"ms": 1_000}); 40]).await;
    assert!(warm.iter().all(|answer| answer.status == 200));
    assert_eq!(world.inspect().await.starts, 40);
    let mut holders = 0;
    for manager in OLD {
        holders += u16::from(world.held_by(manager).await > 0);
    }
    assert_eq!(holders, from, "managers that a key was spread over");
    world.publish_record(spread(2, &NEW, to)).await;
    let again = world.invoke_all("f", vec![json!({"ms": 1_000}); calls]).await;
    assert!(again.iter().all(|answer| answer.status == 200));
    let mut held = Vec::new();
    for manager in NEW {
        held.extend(Some(world.held_by(manager).await).filter(|held| *held > 0));
    }
    (world.inspect().await.starts - 40, held)
}

#[test]
fn a4_1_a_wider_spread_makes_no_cold_start_and_shares_the_key_out() {
    for seed in 0..8 {
        on_paused_clock(async move {
            let (cold, held) = change_spread(seed, 2, 4, 40).await;
            assert_eq!((cold, held.len()), (0, 4), "seed {seed}: {held:?}");
            assert!(held.iter().all(|n| (5..=15).contains(n)), "seed {seed}: {held:?}");
        });
    }
}

#[test]
fn a4_2_a_narrower_spread_makes_no_cold_start() {
    for seed in 0..8 {
        on_paused_clock(async move {
            let (cold, held) = change_spread(seed, 4, 2, 40).await;
            assert_eq!((cold, held.len()), (0, 2), "seed {seed}: {held:?}");
        });
    }
}

#[test]
fn a4_4_another_profile_drains_the_old_environments_and_serves_from_new_ones() {
    on_paused_clock(async {
        let world = World::sized(48, Fleet { workers: 1, ..TWELVE }).await;
        world.publish(1, &OLD, None).await;
        world.create("f", 30, None).await;
        let envs = |answers: &[sim::whole::Answer]| -> BTreeSet<String> {
            assert!(answers.iter().all(|answer| answer.status == 200));
            answers.iter().map(|answer| answer.json()["env"].to_string()).collect()
        };
        let ten = || vec![json!({"ms": 500}); 10];
        let old = envs(&world.invoke_all("f", ten()).await);
        let record = World::ring_record(2, &OLD, Some(1));
        let profile = Profile { sandbox: 1, worker_class: 0 };
        let attrs = Attrs { profile, ..record.attrs };
        world.publish_record(RingRecord { attrs, ..record }).await;
        let new = envs(&world.invoke_all("f", ten()).await);
        assert!(old.is_disjoint(&new), "{old:?} and {new:?}");
        // The old ones idle out; the new ones serve on meanwhile.
        for _ in 0..13 {
            tokio::time::sleep(std::time::Duration::from_secs(50)).await;
            assert!(envs(&world.invoke_all("f", ten()).await).is_subset(&new));
        }
        let mut hosted = Vec::new();
        for manager in OLD {
            hosted.extend(world.hosted_by(manager).await);
        }
        let alive: BTreeSet<Profile> = hosted.iter().map(|hosted| hosted.key.profile).collect();
        assert_eq!((hosted.len(), alive), (10, BTreeSet::from([profile])));
    });
}

#[test]
fn a4_5_managers_say_what_their_keys_have_in_flight() {
    on_paused_clock(async {
        let world = World::sized(49, TWELVE).await;
        world.publish_record(spread(1, &OLD, 2)).await;
        for name in ["f", "g"] {
            world.create(name, 30, None).await;
        }
        let calls = world.invoke_all("f", vec![json!({"ms": 10_000}); 20]);
        let few = world.invoke_all("g", vec![json!({"ms": 10_000}); 3]);
        let look = async {
            tokio::time::sleep(std::time::Duration::from_secs(5)).await;
            let mut sums: BTreeMap<KeyHash, u32> = BTreeMap::new();
            for manager in OLD {
                for (key, calls) in world.busiest_at(manager).await {
                    *sums.entry(key).or_insert(0) += calls;
                }
            }
            sums.into_values().collect::<BTreeSet<u32>>()
        };
        let (_, _, seen) = futures_util::future::join3(calls, few, look).await;
        assert_eq!(seen, BTreeSet::from([3, 20]));
        for manager in OLD {
            assert!(world.busiest_at(manager).await.is_empty(), "all have ended");
        }
    });
}

/// Keeps what is logged of questions for environments: function, manager and version.
#[derive(Clone, Default)]
struct Acquires(Arc<Mutex<Vec<BTreeMap<&'static str, String>>>>);

impl Subscriber for Acquires {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_event() && metadata.target() == "frontend::acquire"
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut fields = Fields(BTreeMap::new());
        event.record(&mut fields);
        self.0.lock().unwrap().push(fields.0);
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

struct Fields(BTreeMap<&'static str, String>);

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0.insert(field.name(), format!("{value:?}"));
    }
}

#[test]
fn a4_6_every_acquire_is_logged_with_the_ring_version_that_decided_it() {
    let logged = Acquires::default();
    tracing::subscriber::with_default(logged.clone(), || {
        on_paused_clock(async {
            let world = World::sized(50, TWELVE).await;
            world.create("f", 30, None).await;
            for (v, calls) in [(1, 3), (2, 5)] {
                let members = if v == 1 { OLD } else { NEW };
                world.publish_record(spread(v, &members, 1)).await;
                for _ in 0..calls {
                    assert_eq!(world.invoke("f", json!({})).await.status, 200);
                }
            }
        });
    });
    let logged = logged.0.lock().unwrap();
    let of = |v: &str| logged.iter().filter(|fields| fields["ring_v"] == v).count();
    assert_eq!((of("1"), of("2"), logged.len()), (3, 5, 8), "{logged:?}");
    for fields in logged.iter() {
        let manager: u64 = fields["manager"].parse().unwrap();
        let old = fields["ring_v"] == "1";
        assert_eq!((OLD.contains(&manager), NEW.contains(&manager)), (old, !old), "{fields:?}");
        assert!(fields["function"].contains('f') && !fields["request"].is_empty());
    }
}
