//! The warm path of the book: who is granted what, and how a lease ends. What a call
//! waits for where nothing is idle: `waiting` and `supply`.

use std::sync::Arc;

use decide::{
    Fact,
    book::{Input, LeaseCounts, Mode, Outcome, Output, Reply, Ticket, Why},
    fact::RetireWhy,
};
use model::{AccountId, Load, Now, PoolKey, Span, limits};

use crate::desk::{Desk, FOREVER, WORKER, key, load};

#[test]
fn a_first_call_is_cold_and_the_next_is_warm_in_the_same_environment() {
    let (mut desk, f) = (Desk::new(1_024), key("f", 128));
    let first = desk.cold_or_warm(&f);
    assert!(!first.warm);
    desk.run(first);
    desk.release(first.lease, Outcome::Reusable);
    let second = desk.cold_or_warm(&f);
    assert!(second.warm);
    assert_eq!(second.env, first.env);
    assert!(second.epoch > first.epoch, "each grant has a higher epoch (I6)");
    assert_ne!(second.lease, first.lease);
}

#[test]
fn existing_takes_what_is_idle_and_starts_nothing() {
    let (mut desk, f) = (Desk::new(1_024), key("f", 128));
    let ticket = desk.ask(&f, Mode::Existing, FOREVER, u32::MAX);
    assert_eq!(desk.reply(ticket), Some(Reply::NoIdle(Load::default())));
    assert!(desk.starts().is_empty());
    desk.stock(&f, 1);
    let ticket = desk.ask(&f, Mode::Existing, FOREVER, u32::MAX);
    assert!(desk.granted(ticket).warm);
}

#[test]
fn keys_are_never_mixed() {
    let mut desk = Desk::new(10_240);
    let base = key("f", 128);
    desk.stock(&base, 3);
    let others = [
        key("g", 128),
        key("f", 256),
        Arc::new(PoolKey { revision: 2, ..(*base).clone() }),
        Arc::new(PoolKey { policy: 9, ..(*base).clone() }),
    ];
    for other in &others {
        let ticket = desk.ask(other, Mode::Existing, FOREVER, u32::MAX);
        assert!(matches!(desk.reply(ticket), Some(Reply::NoIdle(_))), "{other:?}");
    }
}

#[test]
fn a5_5_after_a_peak_the_tail_goes_cold() {
    let (mut desk, f) = (Desk::new(100_000), key("f", 128));
    desk.stock(&f, 100);
    // Ten at a time, once a second, for longer than the idle TTL.
    for second in 1..=700 {
        desk.at(Span::secs(second));
        let grants: Vec<_> = (0..10).map(|_| desk.cold_or_warm(&f)).collect();
        assert!(grants.iter().all(|grant| grant.warm));
        for grant in grants {
            desk.release(grant.lease, Outcome::Reusable);
        }
        for env in desk.retired() {
            desk.tell(Input::Gone { env });
        }
        desk.take_out();
    }
    assert_eq!(desk.book.environments(), 10);
    assert_eq!(desk.book.place().used(WORKER).unwrap().memory_mb, 10 * 128);
}

#[test]
fn a5_6_leases_of_a_dead_frontend_return_in_time() {
    let (mut desk, f) = (Desk::new(1_000_000), key("f", 128));
    desk.stock(&f, 1_000);
    let tickets: Vec<_> = (0..1_000).map(|_| desk.acquire(&f)).collect();
    let leases: Vec<_> = tickets.iter().map(|ticket| desk.granted(*ticket).lease).collect();
    assert_eq!(desk.load(&f), load(0, 1_000, 0, 0));
    assert_eq!(desk.book.deadline(), Some((Now(0) + limits::ENV_LEASE_TTL, Why::LeaseExpiry)));
    desk.at(limits::ENV_LEASE_TTL);
    assert_eq!(desk.load(&f), load(1_000, 0, 0, 0));
    let counts = LeaseCounts { granted: 2_000, started: 1_000, returned: 1_000 };
    assert_eq!(desk.book.lease_counts(), counts);
    // The frontend that was only slow ends nothing of anybody's.
    desk.release(leases[0], Outcome::Reusable);
    assert_eq!(desk.book.lease_counts(), counts);
}

#[test]
fn a_run_told_after_the_expiry_is_believed() {
    let (mut desk, f) = (Desk::new(1_024), key("f", 128));
    let late = desk.cold_or_warm(&f);
    desk.at(limits::ENV_LEASE_TTL);
    assert_eq!(desk.load(&f).idle, 1);
    desk.run(late);
    assert_eq!(desk.load(&f), load(0, 1, 0, 0));
    assert_eq!(
        desk.book.lease_counts(),
        LeaseCounts { granted: 1, started: 1, returned: 0 },
        "it counts as started, not as returned"
    );
    desk.tell(Input::Idle { env: late.env, epoch: late.epoch });
    assert_eq!(desk.load(&f).idle, 1);
}

#[test]
fn the_end_of_a_lease_is_told_twice_and_counts_once() {
    let (mut desk, f) = (Desk::new(1_024), key("f", 128));
    let first = desk.cold_or_warm(&f);
    desk.run(first);
    desk.release(first.lease, Outcome::Reusable);
    let second = desk.cold_or_warm(&f);
    // The worker's word about the first run comes late: the second goes on.
    desk.tell(Input::Idle { env: first.env, epoch: first.epoch });
    desk.tell(Input::RunStarted { lease: first.lease });
    assert_eq!(desk.load(&f), load(0, 1, 0, 0));
    desk.tell(Input::Idle { env: second.env, epoch: second.epoch });
    desk.release(second.lease, Outcome::Reusable);
    assert_eq!(desk.load(&f), load(1, 0, 0, 0));
    assert_eq!(desk.book.lease_counts(), LeaseCounts { granted: 2, started: 2, returned: 0 });
}

#[test]
fn a_broken_environment_serves_nobody_again() {
    let (mut desk, f) = (Desk::new(128), key("f", 128));
    let first = desk.cold_or_warm(&f);
    desk.run(first);
    desk.release(first.lease, Outcome::Broken);
    assert_eq!(desk.retired(), [first.env]);
    // Its room is free when the worker says so, and not before.
    let second = desk.acquire(&f);
    assert!(desk.starts().is_empty());
    desk.tell(Input::Gone { env: first.env });
    desk.finish_starts();
    assert_ne!(desk.granted(second).env, first.env);
}

#[test]
fn an_idle_environment_leaves_after_its_ttl() {
    let (mut desk, f) = (Desk::new(1_024), key("f", 128));
    let made = desk.stock(&f, 1)[0];
    assert_eq!(desk.book.deadline(), Some((Now(0) + limits::IDLE_TTL, Why::IdleTtl)));
    desk.at(limits::IDLE_TTL);
    let out = desk.take_out();
    let why = RetireWhy::IdleTtl;
    let fact = Fact::Retired { env: made.env, key: f.hash(), why, idle: limits::IDLE_TTL };
    assert!(out.iter().any(|output| matches!(output, Output::Fact(told) if *told == fact)));
    let fenced = |output: &Output| matches!(output, Output::Retire { env, epoch, .. } if *env == made.env && *epoch > made.epoch);
    assert!(out.iter().any(fenced), "a retirement outranks every lease of before");
    desk.tell(Input::Gone { env: made.env });
    assert_eq!((desk.book.environments(), desk.book.deadline()), (0, None));
}

#[test]
fn a6_1_a_manager_full_of_a_client_asks_to_try_another() {
    let mut desk = Desk::new(100_000);
    let (f, g) = (key("f", 128), key("g", 128));
    let other =
        Arc::new(PoolKey { account: AccountId::parse("000000000002").unwrap(), ..(*f).clone() });
    for at in 0..10 {
        let key = if at % 2 == 0 { &f } else { &g };
        desk.ask(key, Mode::ExistingOrNew, FOREVER, 10);
    }
    let eleventh = desk.ask(&f, Mode::ExistingOrNew, FOREVER, 10);
    assert!(matches!(desk.reply(eleventh), Some(Reply::Throttle(_))));
    let others = desk.ask(&other, Mode::ExistingOrNew, FOREVER, 10);
    desk.finish_starts();
    let grant = desk.granted(others);
    desk.release(grant.lease, Outcome::Reusable);
    let grant = desk.granted(Ticket(1));
    desk.release(grant.lease, Outcome::Reusable);
    let next = desk.ask(&f, Mode::ExistingOrNew, FOREVER, 10);
    assert!(desk.granted(next).warm);
}
