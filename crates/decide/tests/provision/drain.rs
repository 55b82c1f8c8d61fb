//! A2: what is there goes on being used while it lasts, and leaves when nobody does.
//! Each "no cold starts" has its control run with the naive rule or its numbers.

use decide::{provision::State, route::Served};
use model::{Class, Span};

use crate::stage::{Config, Stage, T_DRAIN};

const LONG: Span = Span::secs(60);

/// Cold starts in a minute of 60 calls at once after the limit fell from 100 to 10.
fn lowered(naive: bool) -> (usize, Stage) {
    let mut stage = Stage::new(Config { naive, ..Config::default() });
    stage.provisioned("f", 100);
    stage.steady("f", 60);
    stage.pass(Span::secs(30));
    assert_eq!(stage.log.iter().filter(|call| !call.warm && call.ran.is_some()).count(), 0);
    let lowered = stage.now;
    stage.set_limit("f", 10);
    stage.pass(Span::secs(60));
    (stage.cold_since(lowered), stage)
}

#[test]
fn a2_1_lowering_the_limit_makes_no_cold_starts() {
    let (cold, stage) = lowered(false);
    assert_eq!(cold, 0);
    assert_eq!(stage.inits.len(), 0);
    let status = stage.status("f").unwrap();
    assert_eq!((status.requested, status.available, status.state), (10, 10, State::Ready));
}

#[test]
fn a2_1_control_the_naive_rule_makes_them() {
    let (cold, _) = lowered(true);
    assert!((40..=60).contains(&cold), "{cold} cold starts");
}

#[test]
fn a2_2_the_surplus_is_gone_ten_seconds_after_the_drain_time() {
    let (_, mut stage) = lowered(false);
    stage.steady("f", 5);
    stage.pass(T_DRAIN + Span::secs(10));
    assert_eq!((stage.in_set("f"), stage.surplus_retired), (10, 90));
    // The stage asserts that none was retired while busy.
    assert_eq!(stage.cold_since(model::Now(0)), 0);
    let record = stage.record("f").unwrap();
    assert_eq!((record.limit, record.wide), (10, record.arc.size), "frontends look no wider");
}

#[test]
fn a2_3_deleting_under_load_makes_no_cold_starts() {
    let mut stage = Stage::new(Config::default());
    stage.provisioned("f", 20);
    stage.steady("f", 20);
    stage.pass(Span::secs(10));
    let deleted = stage.now;
    stage.set_limit("f", 0);
    // What users see is decided by the record alone: nothing is wanted any more.
    assert_eq!(stage.record("f").unwrap().limit, 0);
    stage.pass(Span::secs(300));
    assert_eq!(stage.cold_since(deleted), 0);
    assert_eq!(stage.in_set("f"), 20);
    let as_provisioned = stage.served_as(Served::Provisioned);
    stage.pass(Span::secs(5));
    assert_eq!(stage.served_as(Served::Provisioned), as_provisioned, "they are on-demand ones now");
    stage.steady("f", 0);
    stage.pass(Span::secs(55));
    assert_eq!(stage.in_set("f"), 20);
    assert!(stage.record("f").is_some(), "findable as long as there are any");
    stage.pass(model::limits::IDLE_TTL);
    assert_eq!(stage.in_set("f"), 0);
    assert_eq!((stage.record("f"), stage.status("f")), (None, None));
}

/// Ten busy ones in the set, of which some end, and others spilled beside it.
fn set_and_spilled(theta_percent: u32, in_set: usize, spilled: usize) -> Stage {
    let mut stage = Stage::new(Config { theta_percent, ..Config::default() });
    stage.provisioned("f", 10);
    stage.calls(10 - in_set, "f", Span::secs(10));
    stage.calls(in_set, "f", LONG);
    assert_eq!(stage.busy_in_set("f"), 10);
    stage.calls(spilled, "f", LONG);
    stage.pass(Span::secs(12));
    assert_eq!(stage.busy_in_set("f"), in_set as u32);
    assert_eq!(stage.counter.leases(), in_set + spilled);
    stage
}

#[test]
fn a2_4_above_the_limit_the_set_is_asked_below_theta_only() {
    for (busy, spilled, in_set) in [(8, 2, false), (7, 3, true)] {
        let mut stage = set_and_spilled(80, busy, spilled);
        let eleventh = stage.call("f", Span::secs(1));
        stage.pass(Span::secs(5));
        assert_eq!(stage.log[eleventh].in_set, in_set, "{busy} of 10 busy");
        assert!(stage.log[eleventh].ended);
    }
}

#[test]
fn a2_5_calls_come_back_to_the_set_after_a_spill() {
    let mut stage = set_and_spilled(decide::route::THETA_PERCENT, 4, 5);
    let next = stage.calls(5, "f", Span::secs(1));
    for call in next {
        let log = stage.log[call];
        assert!(log.warm && log.in_set && log.ran == Some(stage.now), "{log:?}");
    }
}

/// 100, 10 for so long, then 100 again, under 60 calls at once: new inits.
fn down_and_up(low_for: Span) -> (u32, Stage) {
    let mut stage = Stage::new(Config::default());
    stage.provisioned("f", 100);
    stage.steady("f", 60);
    stage.pass(Span::secs(100));
    stage.set_limit("f", 10);
    stage.pass(low_for);
    stage.set_limit("f", 100);
    stage.pass(Span::secs(30));
    assert_eq!(stage.inits.get(&Class::OnDemand), None);
    (stage.inits.get(&Class::Provisioned).copied().unwrap_or(0), stage)
}

#[test]
fn a2_6_raising_again_adopts_the_survivors() {
    let (inits, stage) = down_and_up(Span::secs(20));
    assert_eq!((inits, stage.in_set("f")), (0, 100));
    let (inits, stage) = down_and_up(Span::secs(70));
    assert!((1..=40).contains(&inits), "{inits} inits");
    assert_eq!(stage.in_set("f"), 100);
    assert_eq!(stage.cold_since(model::Now(0)), 0);
}

#[test]
fn a2_7_a_drain_blocks_no_more_than_what_runs() {
    let mut stage = Stage::new(Config::default());
    stage.provisioned("f", 100);
    stage.calls(60, "f", LONG);
    stage.pass(Span::secs(2));
    stage.set_limit("f", 10);
    stage.pass(Span::secs(2));
    let admitted = |stage: &mut Stage| {
        let flood = stage.calls(1_000, "g", Span::secs(5));
        stage.pass(Span::secs(10));
        flood.iter().filter(|call| stage.log[**call].ended).count()
    };
    assert_eq!(admitted(&mut stage), 1_000 - 60, "60 of the set run");
    stage.pass(Span::secs(60));
    assert_eq!(stage.busy_in_set("f"), 0);
    assert!(stage.in_set("f") >= 60, "{} are still there", stage.in_set("f"));
    assert_eq!(admitted(&mut stage), 1_000 - 10, "none runs, 10 are paid for");
}
