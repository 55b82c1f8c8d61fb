//! Ring versions that carry settings (A4): spread, idle time, profile, and what may
//! not be published.

use decide::ring::publish::{Facts, Unfit};
use model::{Attrs, FleetId, ManagerId, Profile, Span, ring::KEY_SHARE_WHOLE};

use crate::{
    AT_ONCE, SHORT, call_each, warm_world,
    world::{Options, World, managers},
};

fn spread(spread: u16) -> Attrs {
    Attrs { spread, ..Attrs::default() }
}

/// Calls at once of one key that has forty idle environments under another
/// spread: cold starts, and the environments that each new manager has then.
fn change_spread(
    from: u16,
    to: u16,
    calls: usize,
    new: &[ManagerId],
    seed: u64,
) -> (World, u64, Vec<usize>) {
    let options = Options { seed, jitter: Span::micros(200), ..Options::default() };
    let mut world = World::new(options);
    world.deploy(&managers(0..8), spread(from), KEY_SHARE_WHOLE, AT_ONCE);
    world.pass(SHORT);
    for _ in 0..40 {
        world.call(0, AT_ONCE, Span::secs(1));
    }
    world.pass(Span::secs(3));
    assert_eq!(world.starts, 40);
    world.deploy(new, spread(to), KEY_SHARE_WHOLE, AT_ONCE);
    world.pass(SHORT);
    let first = world.calls.len();
    for _ in 0..calls {
        world.call(0, AT_ONCE, Span::secs(1));
    }
    world.pass(Span::secs(3));
    world.check_at_rest();
    let cold = world.starts - 40;
    let of = |manager: &ManagerId| {
        world.calls[first..].iter().filter(|call| call.manager == Some(*manager)).count()
    };
    let served = new.iter().map(of).filter(|n| *n > 0).collect();
    (world, cold, served)
}

#[test]
fn a4_1_a_wider_spread_makes_no_cold_start() {
    let mut sum = [0; 4];
    for seed in 0..20 {
        let (_, cold, served) = change_spread(2, 4, 40, &managers(10..18), seed);
        assert_eq!(cold, 0, "seed {seed}: {served:?}");
        assert_eq!(served.len(), 4, "seed {seed}: {served:?}");
        sum.iter_mut().zip(served).for_each(|(sum, n)| *sum += n);
        // The same managers: frontends know by their hints who has idle ones.
        let (_, cold, served) = change_spread(2, 4, 40, &managers(0..8), seed);
        assert_eq!(cold, 0, "seed {seed}: {served:?}");
    }
    // Frontends choose by dice, so that one run may be less even than the average.
    assert!(sum.iter().all(|sum| (100..=300).contains(sum)), "{sum:?} of 200");
}

#[test]
fn a4_2_a_narrower_spread_asks_two_predecessors_each_and_makes_no_cold_start() {
    for seed in 0..20 {
        // As many calls as there are environments: an owner that the dice gave more
        // calls than its two predecessors had finds the rest with the others.
        let (_, cold, served) = change_spread(4, 2, 40, &managers(10..18), seed);
        assert_eq!(cold, 0, "seed {seed}: {served:?}");
        let (world, cold, _) = change_spread(4, 2, 20, &managers(10..18), seed);
        assert_eq!(cold, 0, "seed {seed}");
        let asked: Vec<usize> = world.asked().values().map(|asked| asked.len()).collect();
        assert_eq!(asked, [2, 2], "seed {seed}");
    }
}

#[test]
fn a4_3_a_shorter_idle_time_holds_for_the_share_and_goes_back() {
    let options = Options { functions: 1_000, ..Options::default() };
    let mut world = warm_world(options, &managers(0..3));
    let short = Attrs { idle_ttl_s: 60, ..Attrs::default() };
    world.deploy(&managers(0..3), short, 100, AT_ONCE);
    world.pass(SHORT);
    let calls = call_each(&mut world, 1_000);
    let by_new = |call: &&crate::world::Call| call.by.0 == 2;
    let share: Vec<usize> =
        world.calls[calls].iter().filter(by_new).map(|call| call.function).collect();
    assert!((5..=15).contains(&share.len()), "{} of 1,000", share.len());
    world.pass(Span::secs(70));
    let alive = |world: &World, function: usize| {
        world.envs.values().any(|env| env.key == *world.key(function))
    };
    for function in 0..1_000 {
        assert_eq!(alive(&world, function), !share.contains(&function), "function {function}");
    }
    let back = world.published.way_back().unwrap();
    world.publish(back, AT_ONCE);
    world.pass(SHORT);
    call_each(&mut world, 1_000);
    world.pass(Span::secs(500));
    assert!((0..1_000).all(|function| alive(&world, function)), "600 s again");
    world.pass(Span::secs(110));
    assert!(!(0..1_000).any(|function| alive(&world, function)));
}

#[test]
fn a4_4_another_profile_drains_the_old_environments_and_serves_from_new_ones() {
    let options = Options { functions: 20, ..Options::default() };
    let mut world = warm_world(options, &managers(0..3));
    let profile = Profile { sandbox: 1, worker_class: 0 };
    world.deploy(&managers(0..3), Attrs { profile, ..Attrs::default() }, KEY_SHARE_WHOLE, AT_ONCE);
    world.pass(SHORT);
    // The worker of the false world checks each run: its environment has the profile
    // of the version that decided (I3).
    call_each(&mut world, 20);
    world.check_at_rest();
    assert_eq!(world.starts, 40, "each was served from a new one");
    assert_eq!(world.asked().len(), 0, "nobody was asked for the old ones");
    let of = |world: &World, wanted: Profile| {
        world.envs.values().filter(|env| env.key.profile == wanted).count()
    };
    assert_eq!((of(&world, Profile::default()), of(&world, profile)), (20, 20));
    for _ in 0..7 {
        world.pass(Span::secs(100));
        call_each(&mut world, 20);
    }
    assert_eq!((of(&world, Profile::default()), of(&world, profile)), (0, 20));
    assert_eq!(world.starts, 40);
}

#[test]
fn a4_5_settings_that_cannot_carry_what_runs_are_refused() {
    let mut world = World::new(Options::default());
    world.deploy(&managers(0..4), spread(2), KEY_SHARE_WHOLE, AT_ONCE);
    world.pass(SHORT);
    for _ in 0..20 {
        world.call(0, AT_ONCE, Span::secs(10));
    }
    world.pass(Span::secs(1));
    let loads = world.managers.values().map(|m| m.book.load(world.key(0).hash()));
    let in_flight_max: u64 = loads.map(|load| u64::from(load.busy)).sum();
    assert_eq!(in_flight_max, 20);
    let members = managers(0..4);
    let facts = Facts { managers: &members, in_flight_max };
    let check = |spread, per_mgr_cap| {
        let attrs = Attrs { spread, per_mgr_cap, ..Attrs::default() };
        let next = world.published.successor(FleetId(1), members.clone(), attrs);
        world.published.check(&next, facts)
    };
    assert_eq!(check(4, 5), Ok(()));
    assert_eq!(check(2, 10), Ok(()), "a higher cap for a narrower spread");
    let unfit = check(3, 6).unwrap_err();
    assert_eq!(unfit, Unfit::TooSmall { spread: 3, per_mgr_cap: 6, in_flight: 20 });
    assert!(unfit.to_string().contains("20 in flight"), "{unfit}");
}

#[test]
fn a4_the_cap_of_a_version_holds_for_each_key_at_each_manager() {
    let mut world = World::new(Options { functions: 2, ..Options::default() });
    let attrs = Attrs { spread: 2, per_mgr_cap: 3, ..Attrs::default() };
    world.deploy(&managers(0..2), attrs, KEY_SHARE_WHOLE, AT_ONCE);
    world.pass(SHORT);
    for function in [0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1] {
        world.call(function, AT_ONCE, Span::secs(1));
    }
    world.pass(Span::secs(5));
    for function in 0..2 {
        let calls = || world.calls.iter().filter(|call| call.function == function);
        let served = |id| calls().filter(|call| call.manager == Some(ManagerId(id))).count();
        let served = [served(0), served(1)];
        assert!(served.iter().all(|n| *n <= 3) && served.contains(&3), "{served:?}");
    }
    assert!(world.calls.iter().any(|call| call.error), "eight do not fit in six");
}
