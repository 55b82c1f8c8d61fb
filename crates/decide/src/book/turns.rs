//! From one grant to the next: how an environment is leased, run, and either given
//! to the next waiting call, shelved, or retired. Invariants: an environment is
//! granted only when no lease is open on it (I1), each lease ends once (I2).

use model::{EnvId, Epoch, Grant, LeaseId, Now, Span, check_invariant, invariant};

use super::{
    Book,
    envs::{List, Seat, State},
    message::{Outcome, Output, Outputs, Reply, Ticket},
};
use crate::{
    fact::{Fact, RetireWhy},
    keep,
};

/// What a call waited for before it was granted.
#[derive(Clone, Copy)]
pub(super) struct Waited {
    pub(super) time: Span,
    /// For the init of the environment that it got.
    pub(super) for_init: bool,
}

impl Waited {
    pub(super) const NONE: Waited = Waited { time: Span::ZERO, for_init: false };
}

impl Book {
    pub(super) fn grant(
        &mut self,
        now: Now,
        seat: Seat,
        ticket: Ticket,
        waited: Waited,
        out: &mut Outputs,
    ) {
        let Some(entry) = self.envs.get(seat) else { return };
        let (env, worker, key) = (entry.env, entry.worker, entry.key);
        let free = matches!(entry.state, State::Idle { .. } | State::Between);
        check_invariant!(invariant::I1, free, "environment {env} granted while {:?}", entry.state);
        let Some(pool) = self.pools.get_mut(key) else { return };
        let Some((lease, epoch)) = self.envs.grant(seat, &mut pool.shelf, now) else { return };
        pool.busy += 1;
        let load = pool.load();
        self.leases.granted += 1;
        let warm = !waited.for_init;
        let affinity = self.affinity.granted(now, ticket, env);
        let grant = Grant { env, worker, lease, epoch, warm, affinity };
        out.push(Output::Fact(Fact::Granted {
            ticket,
            key,
            env,
            lease,
            epoch,
            warm,
            waited: waited.time,
        }));
        out.push(Output::Reply { ticket, reply: Reply::Grant(grant, load) });
    }

    /// An environment that nobody holds: to the oldest waiting call, or to stock.
    /// `fresh`: its init just ended. It is counted in no state of its pool.
    pub(super) fn settle(&mut self, now: Now, seat: Seat, fresh: bool, out: &mut Outputs) {
        if self.grant_to_insisting(now, seat, fresh, out) {
            return self.place_waiting(now, out);
        }
        let Some(entry) = self.envs.get(seat) else { return };
        let (env, key, unwanted) = (entry.env, entry.key, entry.unwanted);
        let stores = entry.stores;
        let Some(pool) = self.pools.get_mut(key) else { return };
        if let Some(ticket) = pool.queue.pop_front()
            && let Some(waiter) = self.waiting.remove(ticket)
        {
            let waited = Waited { time: now.since(waiter.since), for_init: fresh };
            self.grant(now, seat, ticket, waited, out);
            self.drop_spare_starts(key, out);
        } else if unwanted {
            self.retire(seat, RetireWhy::Drained, Span::ZERO, out);
        } else if let Some(heir) = pool.next_heir() {
            self.send_over(now, seat, heir, out);
        } else if !self.bind_to_waiting(now, seat, fresh, out)
            && let Some(pool) = self.pools.get_mut(key)
        {
            let attrs = self.settings.of(pool.by);
            let ttl = self.config.idle_ttl_of(&pool.key, attrs);
            self.envs.shelve(seat, &mut pool.shelf, now, keep::keep(ttl, stores));
            out.push(Output::Fact(Fact::Shelved { env, key }));
        }
        self.place_waiting(now, out);
    }

    pub(super) fn run_started(&mut self, now: Now, lease: LeaseId, out: &mut Outputs) {
        let Some((seat, state, env)) = self.of_lease(lease) else {
            return out.push(Output::Fact(Fact::Stale { env: None, lease: Some(lease) }));
        };
        match state {
            State::Granted { .. } => self.leases.started += 1,
            // The lease had expired and nobody else got the environment since: the
            // worker is the authority on what runs.
            State::Idle { .. } => {
                self.leases.returned -= 1;
                self.leases.started += 1;
                self.client_back(seat);
            }
            // As above; the worker refuses the transfer that it was asked for.
            State::Moving { .. } => {
                self.stays(now, seat, out);
                self.leases.returned -= 1;
                self.leases.started += 1;
                self.client_back(seat);
            }
            State::Running { .. } | State::Leaving | State::Between => {
                return out.push(Output::Fact(Fact::Stale { env: Some(env), lease: Some(lease) }));
            }
        }
        self.with_shelf(seat, |envs, shelf| envs.run(seat, shelf, now));
        out.push(Output::Fact(Fact::RunBegan { lease, env }));
    }

    pub(super) fn released(
        &mut self,
        now: Now,
        lease: LeaseId,
        outcome: Outcome,
        out: &mut Outputs,
    ) {
        let Some((seat, state, env)) = self.of_lease(lease) else {
            return out.push(Output::Fact(Fact::Stale { env: None, lease: Some(lease) }));
        };
        match (state, outcome) {
            (State::Granted { since } | State::Running { since }, Outcome::Reusable) => {
                self.end_run(seat, state, since, now, out);
                self.settle(now, seat, false, out);
            }
            (State::Granted { .. }, Outcome::NotStarted) => {
                self.end_unstarted(seat, false, out);
                self.settle(now, seat, false, out);
            }
            (State::Granted { since } | State::Running { since }, Outcome::Broken) => {
                self.end_run(seat, state, since, now, out);
                self.retire(seat, RetireWhy::Broken, Span::ZERO, out);
                self.balance(now, seat, out);
            }
            (State::Idle { since }, Outcome::Broken) => {
                self.forget_lease(seat);
                self.retire(seat, RetireWhy::Broken, now.since(since), out);
            }
            // The worker said that it runs, and will say when it ends.
            (State::Running { .. }, Outcome::NotStarted)
            | (State::Idle { .. }, Outcome::Reusable | Outcome::NotStarted)
            | (State::Leaving | State::Moving { .. } | State::Between, _) => {
                out.push(Output::Fact(Fact::Stale { env: Some(env), lease: Some(lease) }));
            }
        }
    }

    /// The worker's word, with the newest epoch that it has seen. An older one than
    /// the book's is about a turn that is over.
    pub(super) fn idle(&mut self, now: Now, env: EnvId, epoch: Epoch, out: &mut Outputs) {
        let stale = Output::Fact(Fact::Stale { env: Some(env), lease: None });
        let Some(seat) = self.envs.seat_of(env) else { return out.push(stale) };
        let Some(entry) = self.envs.get_mut(seat).filter(|entry| epoch >= entry.epoch) else {
            return out.push(stale);
        };
        // Higher after this book was rebuilt while grants of before were on their way.
        entry.epoch = epoch;
        let (state, worker) = (entry.state, entry.worker);
        match state {
            State::Granted { since } | State::Running { since } => {
                self.end_run(seat, state, since, now, out);
                self.settle(now, seat, false, out);
            }
            // The order to leave was refused for its epoch: once more.
            State::Leaving => {
                entry.epoch = epoch.next();
                out.push(Output::Retire { env, worker, epoch: epoch.next() });
            }
            State::Idle { .. } | State::Moving { .. } | State::Between => out.push(stale),
        }
    }

    /// The worker's word that it exists no more.
    pub(super) fn gone(&mut self, now: Now, env: EnvId, out: &mut Outputs) {
        let entry = self.envs.seat_of(env).and_then(|seat| self.envs.get(seat));
        // Word of it may still come from a manager that had it before.
        if let Some(entry) = entry.filter(|entry| entry.taken || self.departed.knows(env)) {
            self.departed.left(env, entry.epoch);
        }
        self.departed.ended(now, env);
        self.lose(now, env, out);
    }

    pub(super) fn lose(&mut self, now: Now, env: EnvId, out: &mut Outputs) {
        let Some(seat) = self.envs.seat_of(env) else {
            return out.push(Output::Fact(Fact::Stale { env: Some(env), lease: None }));
        };
        let Some(key) = self.remove(now, seat, out) else { return };
        self.feed(now, key, out);
        self.place_waiting(now, out);
        self.pools.close_if_empty(key);
    }

    pub(super) fn expire_lease(&mut self, now: Now, out: &mut Outputs) {
        let Some((seat, _)) = self.envs.oldest_granted() else { return };
        self.end_unstarted(seat, true, out);
        self.settle(now, seat, false, out);
    }

    pub(super) fn expire_idle(&mut self, now: Now, out: &mut Outputs) {
        let Some((seat, _, since)) = self.envs.next_idle_out() else { return };
        self.retire(seat, RetireWhy::IdleTtl, now.since(since), out);
    }

    /// Tells the worker to end an idle or settled environment. It keeps its room
    /// until the worker says that it is gone.
    pub(super) fn retire(&mut self, seat: Seat, why: RetireWhy, idle: Span, out: &mut Outputs) {
        let Some(entry) = self.envs.get_mut(seat) else { return };
        // Leases of before are refused from now on.
        entry.epoch = entry.epoch.next();
        let (env, key, worker) = (entry.env, entry.key, entry.worker);
        let (epoch, memory_mb) = (entry.epoch, entry.memory_mb);
        let Some(pool) = self.pools.get_mut(key) else { return };
        self.envs.leave(seat, &mut pool.shelf);
        pool.leaving += 1;
        self.targets.touch(key);
        self.tenants.left(key, &pool.key);
        let account = pool.key.account;
        self.forget_stored(env, account);
        self.place.leaving(worker, memory_mb);
        out.push(Output::Fact(Fact::Retired { env, key, why, idle }));
        out.push(Output::Retire { env, worker, epoch });
    }

    /// Takes an entry out of the book, whatever its state.
    pub(super) fn remove(
        &mut self,
        now: Now,
        seat: Seat,
        out: &mut Outputs,
    ) -> Option<model::KeyHash> {
        let state = self.envs.get(seat)?.state;
        match state {
            State::Granted { .. } => self.end_unstarted(seat, false, out),
            State::Running { since } => self.end_run(seat, state, since, now, out),
            State::Moving { .. } => self.stays(now, seat, out),
            State::Idle { .. } | State::Leaving | State::Between => {}
        }
        let key = self.envs.get(seat)?.key;
        let pool = self.pools.get_mut(key)?;
        let was_leaving = state == State::Leaving;
        if was_leaving {
            pool.leaving -= 1;
        } else {
            self.tenants.left(key, &pool.key);
        }
        let account = pool.key.account;
        let entry = self.envs.remove(seat, &mut pool.shelf)?;
        self.forget_stored(entry.env, account);
        self.place.release(entry.worker, entry.memory_mb, was_leaving);
        self.targets.touch(key);
        out.push(Output::Fact(Fact::Gone { env: entry.env, key }));
        Some(key)
    }

    /// The lease ended after the environment ran something, or may have.
    fn end_run(&mut self, seat: Seat, state: State, since: Now, now: Now, out: &mut Outputs) {
        if matches!(state, State::Granted { .. }) {
            self.leases.started += 1;
        }
        let Some((lease, env)) = self.end(seat) else { return };
        self.forget_lease(seat);
        let held = now.since(since);
        if let Some(entry) = self.envs.get_mut(seat) {
            entry.built = Span(entry.built.0.saturating_add(held.0));
            if let Some(pool) = self.pools.get_mut(entry.key) {
                pool.learn_run(held);
            }
        }
        out.push(Output::Fact(Fact::RunEnded { lease, env, held }));
    }

    /// The lease ended before the environment ran anything. An expired one may
    /// still be told to have started, so that its number is kept.
    fn end_unstarted(&mut self, seat: Seat, expired: bool, out: &mut Outputs) {
        self.leases.returned += 1;
        let Some((lease, env)) = self.end(seat) else { return };
        if !expired {
            self.forget_lease(seat);
        }
        out.push(Output::Fact(Fact::LeaseReturned { lease, env, expired }));
    }

    fn end(&mut self, seat: Seat) -> Option<(LeaseId, EnvId)> {
        let entry = self.envs.get(seat)?;
        let (lease, env, key) = (entry.lease, entry.env, entry.key);
        let pool = self.pools.get_mut(key)?;
        pool.busy -= 1;
        let client = pool.client();
        self.envs.between(seat, &mut pool.shelf);
        self.pools.client_left(client);
        Some((lease, env))
    }

    fn client_back(&mut self, seat: Seat) {
        let Some(key) = self.envs.get(seat).map(|entry| entry.key) else { return };
        let Some(pool) = self.pools.get_mut(key) else { return };
        pool.busy += 1;
        let client = pool.client();
        self.pools.client_came(client);
    }

    fn forget_lease(&mut self, seat: Seat) {
        if let Some(entry) = self.envs.get_mut(seat) {
            entry.lease = super::envs::NO_LEASE;
        }
    }

    fn of_lease(&self, lease: LeaseId) -> Option<(Seat, State, EnvId)> {
        let seat = self.envs.seat_of_lease(lease)?;
        let entry = self.envs.get(seat)?;
        Some((seat, entry.state, entry.env))
    }

    fn balance(&mut self, now: Now, seat: Seat, out: &mut Outputs) {
        if let Some(key) = self.envs.get(seat).map(|entry| entry.key) {
            self.feed(now, key, out);
        }
    }

    fn with_shelf(&mut self, seat: Seat, act: impl FnOnce(&mut super::Envs, &mut List)) {
        let Some(key) = self.envs.get(seat).map(|entry| entry.key) else { return };
        if let Some(pool) = self.pools.get_mut(key) {
            act(&mut self.envs, &mut pool.shelf);
        }
    }
}
