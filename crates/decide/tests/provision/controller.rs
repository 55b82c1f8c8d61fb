//! The provisioning controller where things go wrong: changes of the ring, lost
//! messages, its own restart, inits that fail, workers that are full.

use decide::provision::{Cause, State};
use model::{ManagerId, Span, limits};

use crate::stage::{Config, Stage};

#[test]
fn a1_a_changed_ring_is_filled_after_the_time_for_handoff() {
    let mut stage = Stage::new(Config::default());
    stage.provisioned("f", 10);
    let before = stage.record("f").unwrap();
    let leaves = stage.members(before.arc)[0];
    let stay: Vec<ManagerId> = (0..20).map(ManagerId).filter(|m| *m != leaves).collect();
    stage.publish(&stay);
    let after = stage.record("f").unwrap();
    assert!(after.epoch > before.epoch && after.ring > before.ring);
    stage.pass(limits::HANDOFF_WAIT - Span::millis(10));
    assert_eq!(stage.inits.len(), 0, "a handoff may bring them");
    stage.pass(Span::secs(10));
    let (kept, made) = (stage.in_set("f"), stage.inits.values().sum::<u32>());
    assert_eq!((kept, made), (15, 5), "the old member's leave when they were idle");
    stage.pass(Span::secs(70));
    assert_eq!(stage.in_set("f"), 10);
    assert_eq!(stage.status("f").map(|s| s.state), Some(State::Ready));
}

#[test]
fn a_ring_change_elsewhere_moves_nothing() {
    let mut stage = Stage::new(Config::default());
    stage.provisioned("f", 10);
    let members = stage.members(stage.record("f").unwrap().arc);
    let other = (0..20).map(ManagerId).find(|m| !members.contains(m)).unwrap();
    let stay: Vec<ManagerId> = (0..20).map(ManagerId).filter(|m| *m != other).collect();
    stage.publish(&stay);
    stage.pass(Span::secs(100));
    assert_eq!((stage.in_set("f"), stage.inits.len(), stage.surplus_retired), (10, 0, 0));
}

#[test]
fn lost_targets_are_sent_again() {
    let mut stage = Stage::new(Config::default());
    stage.dropped_targets = 3;
    stage.set_limit("f", 10);
    stage.pass(Span::secs(20));
    assert_eq!(stage.in_set("f"), 10);
    assert_eq!(stage.status("f").map(|s| s.state), Some(State::Ready));
}

#[test]
fn i6_a_restarted_controller_goes_on_with_higher_epochs_and_loses_no_drain() {
    let mut stage = Stage::new(Config::default());
    stage.provisioned("f", 100);
    stage.set_limit("f", 10);
    stage.pass(Span::secs(20));
    let before = stage.record("f").unwrap();
    assert_eq!(before.wide, 20);
    stage.restart_controller("f", 10);
    stage.pass(Span::secs(10));
    let after = stage.record("f").unwrap();
    assert!(after.epoch > before.epoch);
    assert_eq!((after.wide, stage.in_set("f")), (20, 100), "the surplus stays findable");
    stage.pass(Span::secs(100));
    assert_eq!((stage.in_set("f"), stage.record("f").unwrap().wide), (10, 2));
    assert_eq!(stage.inits.len(), 0);
}

#[test]
fn i6_a_restarted_controller_finishes_a_deletion() {
    let mut stage = Stage::new(Config::default());
    stage.provisioned("f", 10);
    stage.set_limit("f", 0);
    stage.pass(Span::secs(5));
    stage.restart_controller("f", 0);
    stage.pass(Span::secs(10));
    assert!(stage.record("f").is_some());
    stage.pass(Span::secs(100));
    assert_eq!((stage.in_set("f"), stage.record("f")), (0, None));
}

#[test]
fn an_init_that_fails_is_told_and_not_tried_for_ever() {
    let mut stage = Stage::new(Config { managers: 2, ..Config::default() });
    stage.init_fails = true;
    stage.set_limit("f", 10);
    stage.pass(Span::secs(60));
    let status = stage.status("f").unwrap();
    assert_eq!((status.state, status.cause), (State::Failed, Some(Cause::Init)));
    assert_eq!((status.requested, status.available), (10, 0));
    let tried = stage.inits.clone();
    stage.pass(Span::secs(10_000));
    assert_eq!(stage.inits, tried);
    // A new limit is a new attempt.
    stage.init_fails = false;
    stage.set_limit("f", 9);
    stage.pass(Span::secs(60));
    assert_eq!((stage.in_set("f"), stage.status("f").unwrap().state), (9, State::Ready));
}

#[test]
fn full_workers_are_told_as_in_progress_with_what_there_is() {
    let mut stage = Stage::new(Config { managers: 2, memory_mb: 3 * 128, ..Config::default() });
    stage.set_limit("f", 10);
    stage.pass(Span::secs(60));
    let status = stage.status("f").unwrap();
    assert_eq!((status.state, status.cause), (State::InProgress, Some(Cause::NoCapacity)));
    assert_eq!((status.requested, status.available), (10, 6));
    stage.set_limit("f", 6);
    stage.pass(Span::secs(5));
    assert_eq!(stage.status("f").unwrap().state, State::Ready);
}
