//! A1: calls up to the limit are warm, and calls above it scale as if there were
//! no set.

use decide::{provision::State, route::Served};
use model::{Class, ManagerId, Reason, Span};

use crate::stage::{Config, Stage};

const SECOND: Span = Span::secs(1);

#[test]
fn a1_2_calls_up_to_the_limit_are_warm_and_the_next_spills() {
    let mut stage = Stage::new(Config::default());
    stage.provisioned("f", 10);
    let ten = stage.calls(10, "f", SECOND);
    assert!(ten.iter().all(|call| stage.log[*call].ran == Some(stage.now)));
    assert!(ten.iter().all(|call| stage.log[*call].warm && stage.log[*call].in_set));
    assert_eq!(stage.served_as(Served::Provisioned), 10);
    assert_eq!(stage.inits.len(), 0);
    let eleventh = stage.call("f", SECOND);
    stage.pass(Span::secs(10));
    let log = stage.log[eleventh];
    assert!(log.ended && !log.in_set);
    assert_eq!(stage.served_as(Served::Spillover), 1);
    assert_eq!(stage.inits.get(&Class::OnDemand), Some(&1));
}

/// When the last of a burst of 200 starts, and the stage.
fn burst_of_200(limit: u32) -> (Span, Stage) {
    let mut stage = Stage::new(Config::default());
    if limit > 0 {
        stage.provisioned("f", limit);
    }
    let calls = stage.calls(200, "f", Span::secs(30));
    let began = stage.now;
    stage.pass(Span::secs(100));
    assert!(calls.iter().all(|call| stage.log[*call].ended));
    let last = calls.iter().filter_map(|call| stage.log[*call].ran).max().unwrap();
    (last.since(began), stage)
}

#[test]
fn a1_3_burst_is_not_inhibited() {
    let (with, stage) = burst_of_200(10);
    assert_eq!(stage.served_as(Served::Provisioned), 10);
    assert_eq!(stage.served_as(Served::Spillover), 190);
    let (without, control) = burst_of_200(0);
    assert_eq!(control.served_as(Served::OnDemand), 200);
    let tenth = without.as_micros() / 10;
    assert!(with.as_micros().abs_diff(without.as_micros()) <= tenth, "{with:?}, {without:?}");
}

#[test]
fn a1_4_another_function_at_its_limit_touches_nothing() {
    // Room for 1,100 environments in all: the flood needs what can be made free.
    let memory_mb = 55 * 128;
    let mut stage = Stage::new(Config { memory_mb, ..Config::default() });
    stage.provisioned("f", 10);
    let warmed = stage.calls(150, "h", Span::millis(10));
    stage.pass(Span::secs(20));
    assert!(warmed.iter().all(|call| stage.log[*call].ended));
    let told = stage.statuses.len();
    let flood = stage.calls(1_200, "g", Span::secs(60));
    stage.pass(Span::secs(30));
    let running = flood.iter().filter(|call| stage.log[**call].ran.is_some()).count();
    let limited = |call: &&usize| {
        stage.log[**call].refused == Some(Reason::ConcurrentInvocationLimitExceeded)
    };
    assert_eq!((running, flood.iter().filter(limited).count()), (990, 210));
    assert!(flood.iter().all(|call| !stage.log[*call].in_set));
    assert_eq!(stage.statuses.len(), told, "the set was ready all the time");
    let ten = stage.calls(10, "f", SECOND);
    assert!(ten.iter().all(|call| stage.log[*call].in_set && stage.log[*call].warm));
}

#[test]
fn a1_6_a_killed_member_is_made_good_within_30_s() {
    let mut stage = Stage::new(Config::default());
    stage.provisioned("f", 10);
    stage.steady("f", 8);
    stage.pass(Span::secs(10));
    assert_eq!(stage.served_as(Served::Spillover), 0);
    let told = stage.statuses.len();
    let killed = stage.now;
    let victim = stage.members(stage.record("f").unwrap().arc)[0];
    stage.kill_manager(victim, Span::secs(3));
    stage.pass(Span::secs(27));
    let spilled = stage.served_as(Served::Spillover);
    assert!(spilled > 0);
    let states: Vec<State> = stage.statuses[told..].iter().map(|(_, s)| s.state).collect();
    assert_eq!(states.first(), Some(&State::InProgress), "{states:?}");
    assert_eq!(states.last(), Some(&State::Ready));
    let ready = stage.statuses.last().unwrap().0;
    assert!(ready.since(killed) <= Span::secs(30), "{:?}", ready.since(killed));
    assert_eq!(stage.in_set("f"), 10);
    assert!(stage.log.iter().all(|call| !call.failed && call.refused.is_none()));
    stage.pass(Span::secs(10));
    assert_eq!(stage.served_as(Served::Spillover), spilled, "no call spills any more");
}

#[test]
fn a1_6_the_call_that_waited_at_the_killed_manager_is_the_one_that_fails() {
    let mut stage = Stage::new(Config { managers: 1, ..Config::default() });
    stage.provisioned("f", 2);
    let calls = stage.calls(3, "f", SECOND);
    stage.kill_manager(ManagerId(0), Span::secs(1));
    assert_eq!(calls.iter().filter(|call| stage.log[**call].failed).count(), 1);
}

#[test]
fn a_set_is_used_while_it_is_being_filled() {
    let mut stage = Stage::new(Config { init: Span::secs(5), ..Config::default() });
    stage.set_limit("f", 10);
    stage.pass(Span::secs(4));
    assert_eq!(stage.status("f").map(|s| (s.available, s.allocated)), Some((0, 10)));
    let early = stage.call("f", SECOND);
    stage.pass(Span::secs(2));
    assert!(!stage.log[early].in_set, "nobody waits for a set");
    let later = stage.call("f", SECOND);
    assert!(stage.log[later].in_set && stage.log[later].warm);
}
