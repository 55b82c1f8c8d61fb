//! What workers and control tell the book: environments that leave, are lost, or are
//! found again.

use std::sync::Arc;

use decide::book::{Input, LeaseCounts, Outcome, Output, Whose};
use model::{
    EnvId, Epoch, Grant, Hosted, ManagerId, PoolKey, Reason, RingVersion, Span, WorkerId,
    handoff::{Ask, Moved, Word},
};

use crate::desk::{Desk, WORKER, key, load};

const OTHER: ManagerId = ManagerId(2);

#[test]
fn a_lost_worker_takes_its_environments_and_its_starts_move() {
    let (mut desk, f) = (Desk::new(1_024), key("f", 128));
    let busy = desk.cold_or_warm(&f);
    desk.run(busy);
    let waits = desk.acquire(&f);
    assert_eq!(desk.starts()[0].1, WORKER);
    desk.offer(WorkerId(2), 1_024);
    desk.tell(Input::WorkerLost { worker: WORKER });
    assert_eq!(desk.book.environments(), 0);
    let (start, worker) = desk.starts()[0];
    assert_eq!(worker, WorkerId(2));
    let env = desk.finish_start(start, worker);
    assert_eq!(desk.granted(waits).env, env);
    assert_eq!(desk.book.lease_counts(), LeaseCounts { granted: 2, started: 1, returned: 0 });
}

#[test]
fn a_changed_function_keeps_only_its_new_pool() {
    let (mut desk, old) = (Desk::new(10_240), key("f", 128));
    let new = Arc::new(PoolKey { revision: 2, ..(*old).clone() });
    let busy = desk.stock(&old, 2)[1];
    let held = desk.cold_or_warm(&old);
    assert_eq!(held.env, busy.env);
    desk.run(held);
    let kept = desk.stock(&new, 1)[0];
    let bystander = desk.stock(&key("g", 128), 1)[0];
    let (account, function) = (old.account, old.function.clone());
    let keep = Some(new.hash());
    desk.tell(Input::Retire(Whose { account, function, version: None, keep }));
    assert_eq!(desk.retired().len(), 1);
    desk.release(held.lease, Outcome::Reusable);
    let mut retired = desk.retired();
    retired.sort_unstable();
    assert_eq!(retired.len(), 2);
    assert!(retired.contains(&held.env));
    assert!(!retired.contains(&kept.env) && !retired.contains(&bystander.env));
    assert_eq!(desk.load(&new).idle, 1);
}

#[test]
fn what_is_being_started_for_a_changed_function_serves_its_caller_and_leaves() {
    let (mut desk, f) = (Desk::new(1_024), key("f", 128));
    let ticket = desk.acquire(&f);
    let (account, function) = (f.account, f.function.clone());
    desk.tell(Input::Retire(Whose { account, function, version: None, keep: None }));
    desk.finish_starts();
    let grant = desk.granted(ticket);
    desk.run(grant);
    desk.release(grant.lease, Outcome::Reusable);
    assert_eq!(desk.retired(), [grant.env]);
}

#[test]
fn a_draining_worker_gets_nothing_new_and_empties() {
    let (mut desk, f) = (Desk::new(1_024), key("f", 128));
    let idle_and_busy = desk.stock(&f, 2);
    let held = desk.cold_or_warm(&f);
    desk.run(held);
    desk.tell(Input::WorkerDrains { worker: WORKER });
    assert_eq!(desk.retired().len(), 1);
    let waits = desk.acquire(&key("g", 128));
    assert_eq!(desk.refused(waits), Reason::NoCapacity);
    desk.release(held.lease, Outcome::Reusable);
    assert_eq!(desk.retired().len(), 2);
    assert!(idle_and_busy.iter().all(|grant| desk.retired().contains(&grant.env)));
}

#[test]
fn a_book_is_rebuilt_from_what_workers_list() {
    let (mut desk, f) = (Desk::new(1_024), key("f", 128));
    let known = desk.stock(&f, 2);
    let (idle, busy) = (EnvId::new(WORKER, 77), EnvId::new(WORKER, 78));
    let record = |env, epoch, busy| Hosted { env, key: Arc::clone(&f), epoch, busy };
    let records = vec![
        record(known[0].env, Epoch(40), false),
        record(idle, Epoch(5), false),
        record(busy, Epoch(6), true),
    ];
    desk.tell(Input::Rebuild { worker: WORKER, envs: records });
    assert_eq!(desk.load(&f), load(2, 1, 0, 0));
    assert_eq!(desk.book.place().used(WORKER).unwrap().slots, 3);
    // I6: grants go on above every epoch that the worker has seen.
    let epochs: Vec<_> = (0..2).map(|_| desk.cold_or_warm(&f)).map(|g| (g.env, g.epoch)).collect();
    assert!(epochs.contains(&(known[0].env, Epoch(41))) && epochs.contains(&(idle, Epoch(6))));
    desk.tell(Input::Idle { env: busy, epoch: Epoch(6) });
    assert_eq!(desk.cold_or_warm(&f).env, busy);
}

#[test]
fn i7_an_end_that_overtook_a_list_is_believed() {
    let (mut desk, f) = (Desk::new(1_024), key("f", 128));
    let known = desk.stock(&f, 1)[0].env;
    let unknown = EnvId::new(WORKER, 77);
    for env in [known, unknown] {
        desk.tell(Input::Gone { env });
    }
    let record = |env| Hosted { env, key: Arc::clone(&f), epoch: Epoch(9), busy: false };
    let envs = vec![record(known), record(unknown), record(EnvId::new(WORKER, 78))];
    desk.tell(Input::Rebuild { worker: WORKER, envs: envs.clone() });
    assert_eq!(desk.load(&f), load(1, 0, 0, 0));
    // Much later the worker is believed: they are this manager's again.
    desk.at(Span::secs(31));
    desk.tell(Input::Rebuild { worker: WORKER, envs });
    assert_eq!(desk.load(&f), load(3, 0, 0, 0));
}

#[test]
fn i7_what_notes_were_lost_about_is_learnt_from_the_next_list() {
    let (mut desk, f) = (Desk::new(1_024), key("f", 128));
    let granted: Vec<Grant> = desk.stock(&f, 4).iter().map(|_| desk.cold_or_warm(&f)).collect();
    let [ended, begun, unseen, leaving] = granted[..] else { panic!("{granted:?}") };
    desk.run(ended);
    desk.run(leaving);
    desk.release(leaving.lease, Outcome::Broken);
    assert_eq!(desk.retired(), [leaving.env]);
    let record = |grant: Grant, epoch, busy| {
        let (env, key) = (grant.env, Arc::clone(&f));
        Hosted { env, key, epoch, busy }
    };
    let records = vec![
        record(ended, ended.epoch, false),
        record(begun, begun.epoch, true),
        // Its grant is still on the way: the list says nothing of it.
        record(unseen, Epoch(unseen.epoch.0 - 1), false),
        record(leaving, leaving.epoch, false),
    ];
    desk.tell(Input::Rebuild { worker: WORKER, envs: records });
    assert_eq!(desk.load(&f), load(1, 2, 0, 0));
    assert_eq!(desk.retired(), [leaving.env, leaving.env], "it is told once more");
    let counts = desk.book.lease_counts();
    assert_eq!((counts.started, counts.returned), (4 + 3, 0));
    // The note that was only slow changes nothing.
    desk.tell(Input::RunStarted { lease: begun.lease });
    desk.tell(Input::Idle { env: ended.env, epoch: ended.epoch });
    assert_eq!(desk.load(&f), load(1, 2, 0, 0));
    desk.tell(Input::Idle { env: begun.env, epoch: begun.epoch });
    desk.release(unseen.lease, Outcome::NotStarted);
    assert_eq!(desk.load(&f), load(3, 0, 0, 0));
    let counts = desk.book.lease_counts();
    assert_eq!(counts.granted, counts.started + counts.returned);
}

fn offered(hosted: Hosted) -> Word {
    Word::Offer(Moved { hosted, values: Vec::new() })
}

/// An environment that another manager asked for and has; the epoch that it left with.
fn given_away(desk: &mut Desk, f: &Arc<PoolKey>) -> (EnvId, Epoch) {
    let env = desk.stock(f, 1)[0].env;
    let ask = Word::Ask(Ask { hash: f.hash(), by: RingVersion(2), max: 1, askers: 0 });
    desk.tell(Input::Hear { from: OTHER, word: ask });
    let sent = desk.take_out().into_iter().find_map(|output| {
        let Output::Transfer { epoch, .. } = output else { return None };
        Some(epoch)
    });
    let left = sent.expect("it is idle").next();
    desk.tell(Input::Transferred { env, epoch: left, to: OTHER });
    assert_eq!(desk.book.environments(), 0);
    (env, left)
}

#[test]
fn i7_an_environment_that_came_back_stays_when_word_of_its_leaving_is_repeated() {
    let (mut desk, f) = (Desk::new(1_024), key("f", 128));
    let (env, left) = given_away(&mut desk, &f);
    desk.tell(Input::Owned(Hosted { env, key: Arc::clone(&f), epoch: left.next(), busy: false }));
    assert_eq!(desk.load(&f), load(1, 0, 0, 0));
    desk.tell(Input::Transferred { env, epoch: left, to: OTHER });
    assert_eq!(desk.load(&f), load(1, 0, 0, 0));
    assert!(desk.cold_or_warm(&f).warm);
}

#[test]
fn i7_an_environment_comes_back_though_it_was_told_to_be_over_for_this_manager() {
    let (mut desk, f) = (Desk::new(1_024), key("f", 128));
    let (env, left) = given_away(&mut desk, &f);
    // An order to its worker was repeated: it is another manager's by now.
    desk.tell(Input::Gone { env });
    let offer = |epoch| Hosted { env, key: Arc::clone(&f), epoch, busy: false };
    desk.tell(Input::Owned(offer(left)));
    assert_eq!(desk.load(&f), load(0, 0, 0, 0), "that was before it left");
    desk.tell(Input::Owned(offer(left.next())));
    assert_eq!(desk.load(&f), load(1, 0, 0, 0));
    // Now it ends, and the other manager's offer of it comes late.
    desk.tell(Input::Gone { env });
    desk.tell(Input::Hear { from: OTHER, word: offered(offer(left.next())) });
    assert_eq!(desk.load(&f), load(0, 0, 0, 0));
}

#[test]
fn i7_an_offer_that_comes_after_the_end_is_not_believed() {
    let (mut desk, f) = (Desk::new(1_024), key("f", 128));
    let env = EnvId::new(WORKER, 77);
    desk.tell(Input::Gone { env });
    let offer = Hosted { env, key: Arc::clone(&f), epoch: Epoch(3), busy: false };
    desk.tell(Input::Hear { from: OTHER, word: offered(offer) });
    assert_eq!(desk.book.environments(), 0);
}

#[test]
fn i7_a_list_from_before_an_environment_was_given_away_is_not_believed() {
    let (mut desk, f) = (Desk::new(1_024), key("f", 128));
    let (env, left) = given_away(&mut desk, &f);
    let list = |epoch| {
        let envs = vec![Hosted { env, key: Arc::clone(&f), epoch, busy: false }];
        Input::Rebuild { worker: WORKER, envs }
    };
    desk.tell(list(Epoch(left.0 - 1)));
    assert_eq!(desk.book.environments(), 0);
    desk.tell(list(left.next()));
    assert_eq!(desk.load(&f), load(1, 0, 0, 0), "it came back, and the word of that was lost");
}
