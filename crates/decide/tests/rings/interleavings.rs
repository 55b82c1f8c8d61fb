//! Random schedules in which frontends know different ring versions, over fleets
//! that hand over to each other and back (A3.5).

use model::{Attrs, Span, ring::KEY_SHARE_WHOLE};

use crate::world::{Options, World, managers};

/// One schedule. Says how often a worker ran a grant of somebody who was not the
/// owner any more, and how many grants it refused.
fn schedule(seed: u64, fence: bool) -> (u32, u32) {
    let options = Options {
        frontends: 3,
        functions: 2,
        jitter: Span::millis(1 + seed % 8),
        fence,
        // Leases expire under frontends that are slow to use them.
        lease_ttl: Span::millis(20),
        dither: Span::millis(if seed.is_multiple_of(2) { 40 } else { 0 }),
        seed,
        ..Options::default()
    };
    let mut world = World::new(options);
    world.deploy(&managers(0..2), Attrs::default(), KEY_SHARE_WHOLE, Span::ZERO);
    world.pass(Span::millis(1));
    let spread = |n| Attrs { spread: n, ..Attrs::default() };
    for (fleet, attrs) in [(10..12, spread(2)), (0..2, spread(1)), (20..23, spread(3))] {
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
        world.deploy(&managers(fleet), attrs, KEY_SHARE_WHOLE, within);
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
    let mut refused = 0;
    for seed in 0..10_000 {
        let (unfenced, refusals) = schedule(seed, true);
        assert_eq!(unfenced, 0, "I5 at seed {seed}");
        refused += refusals;
    }
    assert!(refused > 0, "no schedule needed the fence: they prove nothing");
}

#[test]
fn a3_5_without_the_fence_old_grants_do_run() {
    let unfenced: u32 = (0..2_000).map(|seed| schedule(seed, false).0).sum();
    assert!(unfenced > 0, "the control finds nothing");
}

#[test]
fn the_same_seed_is_the_same_schedule() {
    assert_eq!(schedule(7, true), schedule(7, true));
}
