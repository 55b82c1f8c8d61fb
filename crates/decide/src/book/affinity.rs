//! Calls that want the environment which served their value before (A8). Invariant:
//! a call that asked by a value is answered with a marker, so that nobody takes a new
//! environment for the one that he knew (I25).

use model::{AffinityAsk, EnvId, Now, Reason, Span, WhenBusy};

use super::{
    Acquire, Book, Output, Outputs, Ticket,
    envs::{Seat, State},
    pools, refuse, turns,
};
use crate::{
    affinity::{Home, Insisting, Key, Record},
    fact::Fact,
    keep,
};

/// Idle environments looked at for the home of a new value.
const SCAN_MAX: usize = 16;

enum Found {
    Idle(Seat),
    Busy,
    Lost,
}

impl Book {
    /// `since`: when the call came, which is earlier than now where it waited for an
    /// environment that was lost.
    pub(super) fn acquire_by_value(
        &mut self,
        now: Now,
        since: Now,
        ask: Acquire,
        asked: AffinityAsk,
        out: &mut Outputs,
    ) {
        let (ticket, key) = (ask.ticket, (ask.hash, asked.value));
        let found = match self.affinity.home(&key) {
            None if self.seeks_elsewhere(now, since, &ask, &asked, out) => return,
            None => Found::Lost,
            Some(Home::Sought(_)) => Found::Busy,
            Some(Home::At(env)) => self.find(env, &ask),
        };
        match (found, asked.when_busy) {
            (Found::Idle(seat), _) => {
                if !self.throttle(&ask, out) {
                    self.affinity.come_back(ticket, key, asked);
                    self.pools.client_came(pools::client_of(&ask.key));
                    self.grant(now, seat, ticket, turns::Waited::NONE, out);
                }
            }
            (Found::Lost, _) => {
                if let Some(Home::At(env)) = self.affinity.home(&key) {
                    self.affinity.lost(env);
                }
                self.affinity.seek(now, ticket, key, asked);
                self.acquire_first(now, ask, out);
            }
            (Found::Busy, WhenBusy::Wait(span)) => {
                let until = (since + span).min(ask.deadline);
                if until <= now {
                    return refuse(ticket, ask.hash, Reason::AffinityBusy, Span::ZERO, out);
                }
                if !self.throttle(&ask, out) {
                    self.pools.client_came(pools::client_of(&ask.key));
                    out.push(Output::Fact(Fact::Waiting { ticket, key: ask.hash, start: None }));
                    self.affinity.insist(Insisting::new(ask, since, until), key, asked);
                }
            }
            (Found::Busy, WhenBusy::Overflow) => self.overflow(now, ask, key, out),
            (Found::Busy, WhenBusy::Reject) => {
                refuse(ticket, ask.hash, Reason::AffinityBusy, Span::ZERO, out);
            }
        }
    }

    /// The call takes what there is, and the value keeps what it has.
    pub(super) fn overflow(&mut self, now: Now, ask: Acquire, key: Key, out: &mut Outputs) {
        let ticket = ask.ticket;
        if let Some(asked) = ask.affinity {
            self.affinity.overflow(ticket, key, asked);
        }
        self.acquire_any(now, ask, out);
        self.forget_unless_waiting(ticket);
    }

    fn find(&self, env: EnvId, ask: &Acquire) -> Found {
        let seat = self.envs.seat_of(env);
        let Some((seat, entry)) = seat.and_then(|seat| Some((seat, self.envs.get(seat)?))) else {
            return Found::Lost;
        };
        match entry.state {
            State::Idle { .. } if entry.key == ask.hash => Found::Idle(seat),
            State::Granted { .. } | State::Running { .. } | State::Between => Found::Busy,
            State::Idle { .. } | State::Leaving | State::Moving { .. } => Found::Lost,
        }
    }

    /// A value's first call: of the idle environments the one that fewest others call
    /// their own, so that they do not wait for each other.
    fn acquire_first(&mut self, now: Now, ask: Acquire, out: &mut Outputs) {
        let ticket = ask.ticket;
        let free = self.pools.get(ask.hash).filter(|pool| pool.key == ask.key).and_then(|pool| {
            let shelf = self.envs.shelf(&pool.shelf).take(SCAN_MAX);
            let values = |seat: &Seat| self.envs.get(*seat).map(|e| self.affinity.values_of(e.env));
            shelf.min_by_key(values)
        });
        match free {
            Some(seat) if !self.throttle(&ask, out) => {
                self.pools.client_came(pools::client_of(&ask.key));
                self.grant(now, seat, ticket, turns::Waited::NONE, out);
            }
            Some(_) => {}
            None => self.acquire_any(now, ask, out),
        }
        self.forget_unless_waiting(ticket);
    }

    /// A call that was answered with something else than an environment.
    fn forget_unless_waiting(&mut self, ticket: Ticket) {
        if self.waiting.get(ticket).is_none() {
            self.affinity.ended(ticket);
        }
    }

    /// The environment is free: whether a call insisted on it, and has it now.
    pub(super) fn grant_to_insisting(
        &mut self,
        now: Now,
        seat: Seat,
        fresh: bool,
        out: &mut Outputs,
    ) -> bool {
        let Some(env) = self.envs.get(seat).map(|entry| entry.env) else { return false };
        let Some((ticket, since)) = self.affinity.next_for(env) else { return false };
        let waited = turns::Waited { time: now.since(since), for_init: fresh };
        self.grant(now, seat, ticket, waited, out);
        true
    }

    /// The caller of a call that insists went away. False where it does not insist.
    pub(super) fn cancel_insisting(&mut self, now: Now, ticket: Ticket, out: &mut Outputs) -> bool {
        // A call that binds or overflows waits in its pool's queue as others do.
        if self.waiting.get(ticket).is_some() {
            return false;
        }
        if self.cancel_seeking(ticket) {
            return true;
        }
        let Some(call) = self.affinity.ended(ticket) else { return false };
        self.stop_insisting(now, &call, true, out);
        true
    }

    pub(super) fn affinity_due(&mut self, now: Now, out: &mut Outputs) {
        while let Some(call) = self.affinity.late(now) {
            self.stop_insisting(now, &call, false, out);
            let (ticket, hash) = (call.ask.ticket, call.ask.hash);
            refuse(ticket, hash, Reason::AffinityBusy, Span::ZERO, out);
        }
        let envs = &self.envs;
        let busy = |env| {
            let entry = envs.seat_of(env).and_then(|seat| envs.get(seat));
            entry.is_some_and(|e| matches!(e.state, State::Granted { .. } | State::Running { .. }))
        };
        self.affinity.forget_unused(now, busy);
    }

    fn stop_insisting(&mut self, now: Now, call: &Insisting, cancelled: bool, out: &mut Outputs) {
        self.pools.client_left(pools::client_of(&call.ask.key));
        let (ticket, key) = (call.ask.ticket, call.ask.hash);
        let waited = now.since(call.since);
        out.push(Output::Fact(Fact::WaitEnded { ticket, key, waited, cancelled }));
    }

    /// The last thing in every step: calls whose environment was lost meanwhile take
    /// the way of a first call.
    pub(super) fn readmit_orphans(&mut self, now: Now, out: &mut Outputs) {
        while let Some(Insisting { ask, since, .. }) = self.affinity.next_orphan() {
            self.pools.client_left(pools::client_of(&ask.key));
            match ask.affinity {
                Some(asked) => self.acquire_by_value(now, since, ask, asked, out),
                None => self.acquire_any(now, ask, out),
            }
        }
    }

    /// The worker says what an environment stores after a run.
    pub(super) fn stores(&mut self, now: Now, env: EnvId, bytes: u64, out: &mut Outputs) {
        let Some(seat) = self.envs.seat_of(env) else {
            return out.push(Output::Fact(Fact::Stale { env: Some(env), lease: None }));
        };
        let Some(entry) = self.envs.get_mut(seat) else { return };
        entry.stores = bytes;
        let (key, state, cost) = (entry.key, entry.state, entry.built);
        let Some(pool) = self.pools.get_mut(key) else { return };
        let account = pool.key.account;
        match state {
            State::Leaving => return,
            State::Idle { .. } => {
                let ttl = self.config.idle_ttl_of(&pool.key, self.settings.of(pool.by));
                self.envs.shelve(seat, &mut pool.shelf, now, keep::keep(ttl, bytes));
            }
            State::Granted { .. } | State::Running { .. } => {}
            State::Moving { .. } | State::Between => {}
        }
        self.kept.stores(account, env, bytes, cost);
        while self.kept.bytes(account) > self.config.keep_bytes_max {
            let idle = |env| self.envs.seat_of(env).and_then(|seat| self.envs.idle_since(seat));
            let Some(env) = self.kept.cheapest(account, |env| idle(env).is_some()) else { break };
            let Some(seat) = self.envs.seat_of(env) else { break };
            let since = self.envs.idle_since(seat).unwrap_or(now);
            self.retire(seat, crate::fact::RetireWhy::KeepBudget, now.since(since), out);
        }
    }

    /// The environment leaves this book, or leaves for good.
    pub(super) fn forget_stored(&mut self, env: EnvId, account: model::AccountId) {
        self.affinity.lost(env);
        self.kept.forget(account, env);
    }

    /// The values of an environment, to go with it to another manager (A3).
    pub fn affinities(&self, now: Now, env: EnvId) -> alloc::vec::Vec<Record> {
        self.affinity.records(now, env)
    }

    pub(super) fn take_affinity(&mut self, now: Now, record: Record) {
        let seat = self.envs.seat_of(record.env);
        let here = seat.and_then(|seat| self.envs.get(seat));
        if here.is_some_and(|entry| entry.key == record.key.0) {
            self.affinity.take(now, record);
        }
    }
}
