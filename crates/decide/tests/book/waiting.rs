//! Calls that wait in the book: for what, how long, and in which order. Where
//! environments come from: `supply`.

use std::sync::Arc;

use decide::book::{Config, Input, Mode, Outcome, Why};
use model::{EnvId, Epoch, Grant, LeaseId, Now, PoolKey, Reason, Span, Trouble};

use crate::desk::{Desk, WORKER, key, load};

#[test]
fn a_waiting_call_takes_what_becomes_idle_first_and_the_orphan_becomes_stock() {
    let (mut desk, f) = (Desk::new(1_024), key("f", 128));
    let first = desk.cold_or_warm(&f);
    desk.run(first);
    let second = desk.acquire(&f);
    let orphan = desk.starts();
    assert_eq!(orphan.len(), 1);
    desk.release(first.lease, Outcome::Reusable);
    let grant = desk.granted(second);
    assert!(grant.warm, "it waited for no init of its environment");
    assert_eq!(grant.env, first.env);
    // The next caller rides on the orphan instead of starting another.
    let third = desk.acquire(&f);
    assert!(desk.starts().is_empty());
    let made = desk.finish_start(orphan[0].0, orphan[0].1);
    assert_eq!(desk.granted(third).env, made);
    assert_eq!(desk.load(&f), load(0, 2, 0, 0));
}

#[test]
fn waiting_calls_are_served_in_the_order_they_came() {
    let (mut desk, f) = (Desk::new(1_024), key("f", 128));
    let tickets: Vec<_> = (0..3).map(|_| desk.acquire(&f)).collect();
    let starts = desk.starts();
    for (at, (start, worker)) in starts.into_iter().rev().enumerate() {
        let env = desk.finish_start(start, worker);
        assert_eq!(desk.granted(tickets[at]).env, env);
    }
}

#[test]
fn a_call_that_waits_too_long_is_refused_for_capacity() {
    let (mut desk, f) = (Desk::new(1_024), key("f", 128));
    let ticket = desk.ask(&f, Mode::ExistingOrNew, Now(5_000), u32::MAX);
    assert_eq!(desk.book.deadline(), Some((Now(5_000), Why::CallerDeadline)));
    desk.at(Span::micros(5_000));
    assert_eq!(desk.refused(ticket), Reason::NoCapacity);
    desk.finish_starts();
    assert_eq!(desk.load(&f), load(1, 0, 0, 0), "what was started for it is stock");
}

#[test]
fn a_caller_that_went_away_gets_nothing() {
    let (mut desk, f) = (Desk::new(1_024), key("f", 128));
    let ticket = desk.acquire(&f);
    desk.tell(Input::Cancel { ticket });
    desk.finish_starts();
    assert_eq!(desk.reply(ticket), None);
    assert_eq!(desk.load(&f), load(1, 0, 0, 0));
    assert_eq!(desk.book.calls_waiting(), 0);
}

#[test]
fn a_call_that_hoped_for_starts_of_others_does_not_wait_for_nothing() {
    let (mut desk, f) = (Desk::new(1_024), key("f", 128));
    let mut tickets = vec![desk.acquire(&f)];
    desk.at(Span::secs(7));
    // The second hopes for the start of the first; the others have theirs.
    tickets.extend((0..3).map(|_| desk.acquire(&f)));
    assert_eq!(desk.load(&f), load(0, 0, 3, 4));
    desk.tell(Input::WorkerLost { worker: WORKER });
    for ticket in tickets {
        assert!(desk.reply(ticket).is_some(), "{ticket:?} waits for nothing");
    }
    assert_eq!(desk.load(&f), load(0, 0, 0, 0));
}

#[test]
fn one_loss_after_a_call_was_orphaned_starts_anew() {
    let (mut desk, f) = (Desk::new(1_024), key("f", 128));
    let first = desk.acquire(&f);
    let second = desk.acquire(&f);
    let starts = desk.starts();
    // The second call's start ends first and serves the first call.
    desk.finish_start(starts[1].0, starts[1].1);
    assert!(!desk.granted(first).warm);
    desk.tell(Input::StartFailed { start: starts[0].0, why: Trouble::Platform });
    desk.finish_starts();
    assert!(!desk.granted(second).warm);
}

/// A key of slow inits and short runs, one init long done, one environment busy.
fn slow_init_short_run(patience: bool) -> (Desk, Arc<PoolKey>, Grant) {
    let config = Config { patience, ..Config::default() };
    let (mut desk, f) = (Desk::with(config, 1 << 20), key("f", 128));
    let ticket = desk.acquire(&f);
    desk.at(Span::secs(10));
    desk.finish_starts();
    let first = desk.granted(ticket);
    desk.run(first);
    desk.at(Span::millis(10_100));
    desk.release(first.lease, Outcome::Reusable);
    let held = desk.cold_or_warm(&f);
    desk.run(held);
    (desk, f, held)
}

#[test]
fn a_call_hopes_where_that_is_sooner_and_has_its_start_without_patience() {
    for (patience, starts) in [(true, 0), (false, 5)] {
        let (mut desk, f, held) = slow_init_short_run(patience);
        let tickets: Vec<_> = (0..5).map(|_| desk.acquire(&f)).collect();
        assert_eq!(desk.starts().len(), starts, "patience {patience}");
        let mut lease = held.lease;
        for (at, ticket) in tickets.into_iter().enumerate() {
            desk.at(Span::millis(10_200 + 100 * at as u64));
            desk.release(lease, Outcome::Reusable);
            lease = desk.granted(ticket).lease;
            desk.run(held_again(lease));
        }
    }
}

fn held_again(lease: LeaseId) -> Grant {
    Grant { env: EnvId(0), worker: WORKER, lease, epoch: Epoch(0), warm: true, affinity: None }
}

#[test]
fn hope_ends_after_what_an_init_takes() {
    let (mut desk, f, _stuck) = slow_init_short_run(true);
    let ticket = desk.acquire(&f);
    assert!(desk.starts().is_empty());
    let (due, why) = desk.book.deadline().unwrap();
    assert_eq!(why, Why::Patience);
    assert!(due.since(desk.now) <= Span::secs(10));
    desk.at(due.since(Now(0)));
    desk.finish_starts();
    assert!(!desk.granted(ticket).warm);
}
