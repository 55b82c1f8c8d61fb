//! Random schedules in which frontends know different ring versions, over fleets
//! that hand over to each other and back (A3.5).

use std::sync::Arc;

use decide::ring::Rings;
use model::{Attrs, FleetId, RingRecord, Span, ring::KEY_SHARE_WHOLE};

use crate::world::{Options, World, managers};

/// Who serves, one fleet after the other, and how many managers each key has.
const FLEETS: [(std::ops::Range<u64>, u16); 4] = [(0..2, 1), (10..12, 2), (0..2, 1), (20..23, 3)];

fn spread(spread: u16) -> Attrs {
    Attrs { spread, ..Attrs::default() }
}

/// The versions that every schedule publishes.
fn prepare() -> Arc<Vec<Rings>> {
    let mut rings = Rings::default();
    let publish = |(fleet, managers_per_key): (std::ops::Range<u64>, u16)| {
        let members = managers(fleet);
        let next = rings.successor(FleetId(members[0].0), members, spread(managers_per_key));
        rings.learn(RingRecord { key_share: KEY_SHARE_WHOLE, ..next });
        rings.clone()
    };
    Arc::new(FLEETS.map(publish).to_vec())
}

/// One schedule. Says how often a worker ran a grant of somebody who was not the
/// owner any more, and how many grants it refused.
fn schedule(seed: u64, fence: bool, prepared: &Arc<Vec<Rings>>) -> (u32, u32) {
    let options = Options {
        frontends: 3,
        functions: 2,
        jitter: Span::millis(1 + seed % 8),
        fence,
        // Leases expire under frontends that are slow to use them.
        lease_ttl: Span::millis(20),
        dither: Span::millis(if seed.is_multiple_of(2) { 40 } else { 0 }),
        prepared: Arc::clone(prepared),
        seed,
        ..Options::default()
    };
    let mut world = World::new(options);
    let [first, later @ ..] = FLEETS;
    world.deploy(&managers(first.0), spread(first.1), KEY_SHARE_WHOLE, Span::ZERO);
    world.pass(Span::millis(1));
    for (fleet, managers_per_key) in later {
        for _ in 0..6 {
            let (function, after) = (world.dice().below(2), world.dice().below(60));
            let run = Span::millis(world.dice().below(20));
            world.call(function as usize, Span::millis(after), run);
        }
        world.pass(Span::millis(30));
        let late = model::ManagerId(world.dice().below(2) + 10 * world.dice().below(2));
        if world.managers.contains_key(&late) {
            world.reconnect(late);
        }
        let within = Span::millis(world.dice().below(60));
        world.deploy(&managers(fleet), spread(managers_per_key), KEY_SHARE_WHOLE, within);
    }
    // A frontend dies with a lease, now and then.
    if seed.is_multiple_of(3) {
        world.lose_lease(0, model::ManagerId(seed % 2));
    }
    for _ in 0..6 {
        world.call(0, Span::millis(20), Span::millis(5));
    }
    world.pass(Span::secs(10));
    if fence {
        world.check_at_rest();
    }
    (world.unfenced, world.calls.iter().map(|call| call.refusals).sum())
}

#[test]
fn a3_5_no_schedule_runs_two_calls_at_once_or_an_old_grant() {
    let (mut refused, prepared) = (0, prepare());
    for seed in 0..10_000 {
        let (unfenced, refusals) = schedule(seed, true, &prepared);
        assert_eq!(unfenced, 0, "I5 at seed {seed}");
        refused += refusals;
    }
    assert!(refused > 0, "no schedule needed the fence: they prove nothing");
}

#[test]
fn a3_5_without_the_fence_old_grants_do_run() {
    let prepared = prepare();
    let unfenced: u32 = (0..2_000).map(|seed| schedule(seed, false, &prepared).0).sum();
    assert!(unfenced > 0, "the control finds nothing");
}

#[test]
fn the_same_seed_is_the_same_schedule() {
    let prepared = prepare();
    assert_eq!(schedule(7, true, &prepared), schedule(7, true, &prepared));
}
