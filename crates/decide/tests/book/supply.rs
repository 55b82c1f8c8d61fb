//! Starts of the book: the create gate, room and what makes it, failures. Which worker
//! is chosen is `place`.

use decide::book::{Config, Input, Mode, Outcome, Output, Reply};
use model::{Now, Reason, Span, Trouble, WorkerId};

use crate::desk::{Desk, WORKER, key, load};

#[test]
fn no_room_is_a_reason_of_capacity_and_costs_no_token() {
    let config = Config { create_tokens: (1, 0), ..Config::default() };
    let (mut desk, f) = (Desk::with(config, 100), key("f", 128));
    let ticket = desk.acquire(&f);
    assert_eq!(desk.refused(ticket), Reason::NoCapacity);
    desk.offer(WORKER, 128);
    assert!(!desk.cold_or_warm(&f).warm, "the token came back");
}

#[test]
fn the_create_gate_limits_new_environments_and_not_idle_ones() {
    let (mut desk, f) = (Desk::new(1_000_000), key("f", 128));
    desk.stock(&f, 1_000);
    desk.now = Now(0) + Span::secs(10);
    // a6_5: 1,000 idle and 1,000 tokens serve 2,000 calls.
    let tickets: Vec<_> = (0..2_001).map(|_| desk.acquire(&f)).collect();
    assert_eq!(desk.starts().len(), 1_000);
    let over = desk.reply(tickets[2_000]);
    let reason = Reason::FunctionInvocationRateLimitExceeded;
    let retry_after = Span::millis(10);
    assert_eq!(over, Some(Reply::Refused { reason, retry_after }));
}

#[test]
fn a6_5_a_thousand_idle_and_a_thousand_new() {
    let (mut desk, f) = (Desk::new(1_000_000), key("f", 128));
    desk.stock(&f, 1_000);
    desk.now = Now(0) + Span::secs(10);
    let tickets: Vec<_> = (0..2_000).map(|_| desk.acquire(&f)).collect();
    desk.finish_starts();
    let warm = tickets.iter().filter(|ticket| desk.granted(**ticket).warm).count();
    assert_eq!((warm, desk.load(&f).busy), (1_000, 2_000));
}

#[test]
fn a6_2_a_thousand_start_at_once_and_a_hundred_each_second() {
    // 3,000 calls of a minute, refused ones offered again every 100 ms.
    let (mut desk, f) = (Desk::new(1 << 30), key("f", 128));
    let mut left = 3_000;
    for tick in 0..=200 {
        desk.at(Span::millis(100 * tick));
        while left > 0 {
            let ticket = desk.acquire(&f);
            let refused = matches!(desk.reply(ticket), Some(Reply::Refused { .. }));
            if refused {
                let reason = desk.refused(ticket);
                assert_eq!(reason, Reason::FunctionInvocationRateLimitExceeded);
                break;
            }
            left -= 1;
        }
        desk.finish_starts();
        let running = desk.load(&f).busy;
        for output in desk.take_out() {
            if let Output::Reply { reply: Reply::Grant(grant, _), .. } = output {
                desk.run(grant);
            }
        }
        let expected = (1_000 + 10 * tick as u32).min(3_000);
        let off = running.abs_diff(expected) * 100;
        assert!(off <= expected * 5, "{running} run after {tick} ticks, not {expected}");
    }
    assert_eq!(left, 0);
}

#[test]
fn a_burst_of_an_unknown_key_gets_a_start_for_each_call() {
    let (mut desk, f) = (Desk::new(1 << 20), key("f", 128));
    for _ in 0..1_000 {
        desk.acquire(&f);
    }
    assert_eq!(desk.starts().len(), 1_000);
}

#[test]
fn slow_inits_of_one_key_leave_room_for_the_others() {
    for (patience, most) in [(true, 3), (false, 10)] {
        let config = Config { patience, ..Config::default() };
        let (mut desk, slow) = (Desk::with(config, 1_024), key("slow", 100));
        desk.acquire(&slow);
        for second in 2..60 {
            desk.at(Span::secs(second));
            for _ in 0..20 {
                desk.acquire(&slow);
            }
        }
        let starting = desk.load(&slow).starting;
        assert!(starting <= most, "{starting} starts with patience {patience}");
        let other = desk.acquire(&key("other", 500));
        desk.finish_starts();
        assert_eq!(desk.reply(other).is_some_and(|r| matches!(r, Reply::Grant(..))), patience);
    }
}

#[test]
fn a_failed_init_is_told_to_its_caller_and_keeps_the_token() {
    let config = Config { create_tokens: (1, 0), ..Config::default() };
    let (mut desk, f) = (Desk::with(config, 1_024), key("f", 128));
    let ticket = desk.acquire(&f);
    let (start, _) = desk.starts()[0];
    desk.tell(Input::StartFailed { start, why: Trouble::Init });
    assert_eq!(desk.reply(ticket), Some(Reply::StartFailed { start }));
    let next = desk.acquire(&f);
    assert_eq!(desk.refused(next), Reason::FunctionInvocationRateLimitExceeded);
    assert_eq!(desk.book.place().used(WORKER).unwrap().memory_mb, 0);
}

#[test]
fn a_platform_failure_is_tried_once_more_elsewhere() {
    let config = Config { create_tokens: (1, 0), ..Config::default() };
    let (mut desk, f) = (Desk::with(config, 1_024), key("f", 128));
    desk.offer(WorkerId(2), 1_024);
    let ticket = desk.acquire(&f);
    let (first, at) = desk.starts()[0];
    desk.tell(Input::StartFailed { start: first, why: Trouble::Platform });
    let (second, elsewhere) = desk.starts()[0];
    assert_ne!(at, elsewhere);
    desk.tell(Input::StartFailed { start: second, why: Trouble::Platform });
    assert!(desk.starts().is_empty(), "I8: two attempts");
    assert_eq!(desk.reply(ticket), Some(Reply::StartFailed { start: second }));
    // Both tokens came back.
    let grant = desk.cold_or_warm(&f);
    assert!(!grant.warm);
}

#[test]
fn idle_environments_make_room_longest_idle_first() {
    let (mut desk, f, g) = (Desk::new(256), key("f", 128), key("g", 128));
    let old = desk.stock(&f, 1)[0];
    desk.now = Now(1);
    let young = desk.stock(&g, 1)[0];
    let h = key("h", 128);
    let ticket = desk.acquire(&h);
    assert_eq!(desk.retired(), [old.env]);
    assert!(desk.starts().is_empty(), "leaving is not gone");
    desk.tell(Input::Gone { env: old.env });
    desk.finish_starts();
    assert_ne!(desk.granted(ticket).env, young.env);
    assert_eq!(desk.book.place().used(WORKER).unwrap().memory_mb, 256);
}

#[test]
fn a_start_that_awaits_room_is_undone_when_its_call_is_served() {
    let config = Config { create_tokens: (3, 0), ..Config::default() };
    let (mut desk, f, g) = (Desk::with(config, 256), key("f", 128), key("g", 128));
    let busy = desk.cold_or_warm(&f);
    desk.run(busy);
    let idle = desk.stock(&g, 1)[0];
    let ticket = desk.acquire(&f);
    assert_eq!(desk.retired(), [idle.env]);
    desk.release(busy.lease, Outcome::Reusable);
    assert_eq!(desk.granted(ticket).env, busy.env);
    desk.tell(Input::Gone { env: idle.env });
    assert!(desk.starts().is_empty());
    assert_eq!(desk.load(&f), load(0, 1, 0, 0));
}

#[test]
fn a_start_answered_after_it_was_given_up_is_retired() {
    let (mut desk, f) = (Desk::new(1_024), key("f", 128));
    let ticket = desk.ask(&f, Mode::ExistingOrNew, Now(1), u32::MAX);
    let (start, worker) = desk.starts()[0];
    desk.at(Span::secs(2_000));
    assert_eq!(desk.refused(ticket), Reason::NoCapacity);
    assert_eq!(desk.book.place().used(WORKER).unwrap().memory_mb, 0);
    let env = desk.finish_start(start, worker);
    assert_eq!(desk.retired(), [env]);
    assert_eq!(desk.book.environments(), 0);
}
