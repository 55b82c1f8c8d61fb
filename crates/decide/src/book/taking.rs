//! The owner's side of a handoff: a call that misses waits, for a bounded time, for
//! what the key's predecessors have (`decide::handoff`). Invariant: every call that
//! waits for predecessors goes on when the ask of its key ends: served, with a start
//! or a hope as any other, or told that nothing is idle.

use alloc::{sync::Arc, vec::Vec};

use model::{
    Attrs, Hosted, KeptValue, KeyHash, ManagerId, Now, RingVersion,
    handoff::{Ask, Given, Moved, Word},
    limits,
};

use super::{
    Acquire, Book, Mode, Output, Outputs, Reply, Ticket, Waiter, envs, pools, refuse, supply,
};
use crate::{affinity::Record, fact::Fact, handoff::Progress, ring::VERSIONS_MAX};

/// The settings of the ring versions that this manager has heard of.
#[derive(Debug, Default)]
pub(super) struct Settings {
    known: Vec<(RingVersion, Attrs)>,
}

impl Settings {
    pub(super) fn learn(&mut self, v: RingVersion, attrs: Attrs) {
        match self.known.binary_search_by_key(&v, |(known, _)| *known) {
            Ok(at) => self.known[at].1 = attrs,
            Err(at) => self.known.insert(at, (v, attrs)),
        }
        let surplus = self.known.len().saturating_sub(VERSIONS_MAX);
        self.known.drain(..surplus);
    }

    /// Those of a version; of the newest below it where a frontend is ahead.
    pub(super) fn of(&self, v: RingVersion) -> Option<&Attrs> {
        self.known.iter().rev().find(|(known, _)| *known <= v).map(|(_, attrs)| attrs)
    }
}

impl Book {
    /// Whether one more call of the key is too many for this manager (A4).
    pub(super) fn key_is_full(&self, ask: &Acquire) -> bool {
        let Some(attrs) = self.settings.of(ask.routed.by) else { return false };
        let load = self.load(ask.hash);
        load.busy.saturating_add(load.waiting) >= attrs.per_mgr_cap
    }

    /// Whether a call that missed waits for the predecessors of its key.
    pub(super) fn ask_predecessors(&mut self, now: Now, ask: &Acquire, out: &mut Outputs) -> bool {
        let full = |pool: &pools::Pool| pool.queue.len() >= limits::WAITERS_MAX;
        if self.pools.get(ask.hash).is_some_and(full) {
            return false;
        }
        let mut questions = Vec::new();
        let waits = self.asks.wants(now, ask.hash, &ask.routed, &mut questions);
        tell_all(questions, out);
        waits
    }

    /// Puts the call in its pool's queue until the ask of its key ends.
    pub(super) fn await_predecessors(&mut self, now: Now, ask: Acquire, out: &mut Outputs) {
        let Acquire { ticket, hash, key, mode, deadline, routed, .. } = ask;
        self.learn_home(now, &key, routed.home);
        let pool = self.pools.open(hash, &key);
        pool.routed(routed.by);
        pool.queue.push_back(ticket);
        self.pools.client_came(pools::client_of(&key));
        let asking = Some(mode);
        let waiter = Waiter { key: hash, since: now, deadline, patient_until: None, asking };
        self.waiting.add(ticket, waiter);
        out.push(Output::Fact(Fact::Waiting { ticket, key: hash, start: None }));
    }

    pub(super) fn hear(&mut self, now: Now, from: ManagerId, word: Word, out: &mut Outputs) {
        match word {
            Word::Ask(ask) => self.give(now, from, ask, out),
            Word::Answer { hash, given } => self.take_answer(now, from, hash, given, out),
            Word::Offer(moved) => self.take_moved(now, moved, out),
            Word::AskValue { hash, value } => self.give_value(now, from, (hash, value), out),
            Word::ValueAt { hash, value, at } => {
                self.value_at(now, from, (hash, value), at, out);
            }
        }
    }

    fn take_answer(
        &mut self,
        now: Now,
        from: ManagerId,
        hash: KeyHash,
        given: Given,
        out: &mut Outputs,
    ) {
        let progress = self.asks.answered(hash, from, &given);
        if let Given::Envs { moved, .. } = given {
            for moved in moved {
                self.take_moved(now, moved, out);
            }
        }
        match progress {
            Progress::Stale => {}
            Progress::Waiting if self.asking_calls(hash).next().is_some() => {}
            Progress::Waiting | Progress::RoundOver => self.round_over(now, hash, out),
        }
    }

    /// All that were asked together have answered, or their time is over, or nobody
    /// needs their answers any more.
    pub(super) fn round_over(&mut self, now: Now, hash: KeyHash, out: &mut Outputs) {
        let waiting = self.asking_calls(hash).count();
        let mut questions = Vec::new();
        if waiting > 0 && self.asks.next_round(now, hash, waiting, &mut questions) {
            return tell_all(questions, out);
        }
        let Some(took) = self.asks.end(now, hash, waiting == 0) else { return };
        let served = waiting == 0;
        out.push(Output::Fact(Fact::HandoffEnded { key: hash, took, served }));
        let left: Vec<Ticket> = self.asking_calls(hash).collect();
        for ticket in left {
            self.go_on(now, hash, ticket, out);
        }
        self.pools.close_if_empty(hash);
    }

    /// With the values that it served; its worker may have told of it before.
    fn take_moved(&mut self, now: Now, moved: Moved, out: &mut Outputs) {
        let Moved { hosted, values } = moved;
        let (env, hash) = (hosted.env, hosted.key.hash());
        self.take(now, hosted, out);
        let keys: Vec<_> = values.iter().map(|kept| (hash, kept.value)).collect();
        for (key, KeptValue { ttl, left, seq, .. }) in keys.iter().copied().zip(values) {
            self.take_affinity(now, Record { key, env, ttl, left, seq });
        }
        for key in keys {
            self.value_came(now, key, out);
        }
    }

    /// An environment that belongs to this manager now, by the word of its worker.
    pub(super) fn take(&mut self, now: Now, moved: Hosted, out: &mut Outputs) {
        let (env, epoch) = (moved.env, moved.epoch);
        if self.envs.seat_of(env).is_some() || !self.departed.admits(now, env, epoch) {
            return out.push(Output::Fact(Fact::Stale { env: Some(env), lease: None }));
        }
        self.adopt(now, env.worker(), &moved, out);
        if let Some(seat) = self.envs.seat_of(env) {
            self.envs.mark_taken(seat);
        }
    }

    fn asking_calls(&self, hash: KeyHash) -> impl Iterator<Item = Ticket> + '_ {
        let queue = self.pools.get(hash).into_iter().flat_map(|pool| pool.queue.iter().copied());
        queue.filter(|t| self.waiting.get(*t).is_some_and(|waiter| waiter.asking.is_some()))
    }

    /// The predecessors of the call's key have nothing for it.
    fn go_on(&mut self, now: Now, hash: KeyHash, ticket: Ticket, out: &mut Outputs) {
        let Some(mode) = self.waiting.asked_in_vain(ticket) else { return };
        let Some(pool) = self.pools.get(hash) else { return };
        let ahead = pool.queue.iter().position(|other| *other == ticket).unwrap_or(0);
        let key = Arc::clone(&pool.key);
        let creates = mode == Mode::ExistingOrNew && key.class == model::Class::OnDemand;
        if !creates {
            let load = pool.load();
            self.end_wait(now, ticket, false, out);
            out.push(Output::Fact(Fact::Missed { ticket, key: hash }));
            return out.push(Output::Reply { ticket, reply: Reply::NoIdle(load) });
        }
        match self.source(now, hash, &key, supply::First { ticket }, ahead, out) {
            Ok((_, patient_until)) => self.waiting.set_patience(ticket, patient_until),
            Err((reason, retry_after)) => {
                self.end_wait(now, ticket, false, out);
                refuse(ticket, hash, reason, retry_after, out);
            }
        }
    }
}

fn tell_all(questions: Vec<(ManagerId, Ask)>, out: &mut Outputs) {
    for (to, ask) in questions {
        out.push(Output::Fact(Fact::HandoffAsked { key: ask.hash, to, by: ask.by }));
        out.push(Output::Tell { to, word: Word::Ask(ask) });
    }
}

impl envs::Envs {
    fn mark_taken(&mut self, seat: envs::Seat) {
        if let Some(entry) = self.get_mut(seat) {
            entry.taken = true;
        }
    }
}
