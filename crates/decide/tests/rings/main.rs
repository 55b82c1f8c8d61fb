//! Ring versions and handoff in a false world of two fleets, in virtual time: the
//! acceptance lines of A3 and A4 at the level of decisions.

mod interleavings;
mod settings;
mod world;

use model::{Attrs, ManagerId, Span, ring::KEY_SHARE_WHOLE};

use world::{Options, World, managers};

const AT_ONCE: Span = Span::ZERO;
const SHORT: Span = Span::millis(10);

/// A world in which every function has one idle environment in the old fleet.
fn warm_world(options: Options, old: &[ManagerId]) -> World {
    let functions = options.functions;
    let mut world = World::new(options);
    world.deploy(old, Attrs::default(), KEY_SHARE_WHOLE, AT_ONCE);
    world.pass(SHORT);
    call_each(&mut world, functions);
    assert_eq!(world.starts, functions as u64, "one environment each");
    world
}

/// One call of each function, one every tenth of a millisecond; their numbers.
fn call_each(world: &mut World, functions: usize) -> std::ops::Range<usize> {
    let first = world.calls.len();
    for n in 0..functions {
        world.call(n, Span::micros(100 * n as u64), SHORT);
    }
    world.pass(Span::micros(100 * functions as u64) + Span::secs(2));
    first..world.calls.len()
}

fn cold_after_replacing_the_fleet(handoff: bool) -> u64 {
    let options = Options { functions: 1_000, frontends: 3, handoff, ..Options::default() };
    let mut world = warm_world(options, &managers(0..5));
    let before = world.starts;
    world.deploy(&managers(10..15), Attrs::default(), KEY_SHARE_WHOLE, SHORT);
    world.pass(Span::secs(1));
    call_each(&mut world, 1_000);
    world.check_at_rest();
    world.starts - before
}

#[test]
fn a3_1_a_new_fleet_makes_hardly_any_cold_start() {
    let cold = cold_after_replacing_the_fleet(true);
    assert!(cold <= 10, "{cold} cold starts");
    assert_eq!(cold_after_replacing_the_fleet(false), 1_000, "the control without handoff");
}

#[test]
fn a3_2_the_same_share_of_keys_is_served_by_the_new_fleet_all_the_time() {
    let options = Options { functions: 2_000, frontends: 3, ..Options::default() };
    let mut world = warm_world(options, &managers(0..5));
    world.deploy(&managers(10..15), Attrs::default(), 500, SHORT);
    world.pass(Span::secs(1));
    let mut before: Option<Vec<usize>> = None;
    for _ in 0..11 {
        let calls = call_each(&mut world, 2_000);
        let by_new = |call: &&world::Call| call.manager.unwrap().0 >= 10;
        let served: Vec<usize> =
            world.calls[calls].iter().filter(by_new).map(|call| call.function).collect();
        assert!((80..=120).contains(&served.len()), "{} of 2,000", served.len());
        assert!(before.is_none_or(|before| before == served), "other keys than before");
        before = Some(served);
        world.pass(Span::secs(60));
    }
    assert_eq!(world.starts, 2_000, "no cold start");
}

/// Errors among 1,000 calls at 5 % of a bad build, then after the way back: errors
/// and cold starts.
fn bad_build(fallback: bool) -> (usize, usize, u64) {
    let options = Options { functions: 1_000, frontends: 3, fallback, ..Options::default() };
    let mut world = warm_world(options, &managers(0..5));
    world.deploy(&managers(10..15), Attrs::default(), 500, SHORT);
    for bad in managers(10..15) {
        world.managers.get_mut(&bad).unwrap().fails = true;
    }
    world.pass(Span::secs(1));
    let errors = |world: &World, calls: std::ops::Range<usize>| {
        world.calls[calls].iter().filter(|call| call.error).count()
    };
    let calls = call_each(&mut world, 1_000);
    let while_bad = errors(&world, calls);
    let back = world.published.way_back().unwrap();
    world.publish(back, Span::secs(1));
    world.pass(Span::secs(5));
    let before = world.starts;
    let calls = call_each(&mut world, 1_000);
    (while_bad, errors(&world, calls), world.starts - before)
}

#[test]
fn a3_3_a_bad_build_is_felt_by_few_or_none_and_goes_back_at_once() {
    let (while_bad, after, cold) = bad_build(false);
    assert!((1..=60).contains(&while_bad), "{while_bad} of 1,000 keys at 5 %");
    assert_eq!(after, 0);
    assert!(cold <= 10, "{cold} cold starts of 1,000");
    assert_eq!(bad_build(true), (0, 0, 0), "with the way to the predecessor");
}

#[test]
fn a3_4_a_long_call_ends_and_its_environment_goes_to_the_new_owner() {
    let mut world = World::new(Options::default());
    world.deploy(&managers(0..3), Attrs::default(), KEY_SHARE_WHOLE, AT_ONCE);
    world.pass(SHORT);
    let long = world.call(0, Span::ZERO, Span::secs(60));
    world.pass(Span::secs(1));
    world.deploy(&managers(10..13), Attrs::default(), KEY_SHARE_WHOLE, SHORT);
    world.pass(Span::secs(1));
    // Meanwhile the new owner makes one of its own.
    world.call(0, Span::ZERO, SHORT);
    world.pass(Span::secs(70));
    assert!(world.calls[long].ended.is_some(), "the long call went on");
    assert_eq!(world.starts, 2);
    let (env, _) = world.envs.first_key_value().unwrap();
    assert!(world.envs[env].owner.0 >= 10, "it was offered as soon as it was idle");
    let both = [world.call(0, Span::ZERO, SHORT), world.call(0, Span::ZERO, SHORT)];
    world.pass(Span::secs(1));
    assert!(both.iter().all(|call| world.calls[*call].manager.unwrap().0 >= 10));
    assert_eq!(world.starts, 2, "both were warm");
    world.check_at_rest();
}

/// The longest wait for an environment of calls to `functions` keys.
fn longest_wait(handoff: bool, dead: bool) -> Span {
    let options = Options { functions: 200, handoff, ..Options::default() };
    let mut world = warm_world(options, &managers(0..1));
    world.deploy(&managers(10..11), Attrs::default(), KEY_SHARE_WHOLE, AT_ONCE);
    if dead {
        world.kill(ManagerId(0));
    }
    world.pass(SHORT);
    let calls = call_each(&mut world, 200);
    let waits = world.calls[calls].iter().map(|call| {
        assert!(!call.error && call.ended.is_some());
        call.granted.unwrap().since(call.arrived)
    });
    waits.max().unwrap()
}

#[test]
fn a3_6_a_dead_predecessor_costs_ten_milliseconds_and_no_error() {
    let (with, without) = (longest_wait(true, true), longest_wait(false, true));
    assert!(with > without, "the dead one was asked");
    assert!(with - without <= Span::millis(10), "{with:?} and {without:?}");
    assert!(longest_wait(true, false) < without, "the control with a living one");
}

#[test]
fn a3_6_the_same_key_does_not_wait_for_a_dead_predecessor_again() {
    let mut world = warm_world(Options::default(), &managers(0..1));
    world.deploy(&managers(10..11), Attrs::default(), KEY_SHARE_WHOLE, AT_ONCE);
    world.kill(ManagerId(0));
    world.pass(SHORT);
    for _ in 0..5 {
        world.call(0, Span::ZERO, Span::secs(5));
        world.pass(Span::secs(1));
    }
    let asked =
        world.facts.iter().filter(|(_, fact)| matches!(fact, decide::Fact::HandoffAsked { .. }));
    assert_eq!(asked.count(), 1);
}

#[test]
fn a3_7_an_old_manager_leaves_when_it_owns_nothing_and_never_before() {
    let options = Options { functions: 30, frontends: 2, ..Options::default() };
    let mut world = warm_world(options, &managers(0..2));
    let long = world.call(0, Span::ZERO, Span::secs(1_000));
    world.pass(Span::secs(1));
    let without = world.published.newest().unwrap().v().0 + 1;
    for old in managers(0..2) {
        world.leaving.insert(old, model::RingVersion(without));
    }
    world.pass(Span::secs(5));
    assert_eq!(world.left.len(), 0, "frontends still use them");
    world.deploy(&managers(10..12), Attrs::default(), KEY_SHARE_WHOLE, Span::secs(1));
    for _ in 0..2_000 {
        world.pass(Span::secs(1));
        let owned = |left: &ManagerId| world.envs.values().any(|env| env.owner == *left);
        assert!(!world.left.keys().any(owned), "one left with environments");
    }
    let last = world.left.values().max().copied().unwrap();
    assert_eq!(world.left.len(), 2);
    assert!(world.calls[long].ended.unwrap() <= last, "not from under a call");
}
