//! What workers say about themselves, and what control says about functions:
//! environments that leave, are lost, or are found again. The worker is the
//! authority on what exists; the book can be rebuilt by asking.

use alloc::{collections::BTreeSet, vec::Vec};

use model::{EnvId, Now, PoolKey, WorkerId};

use super::{
    Book,
    envs::{NewEntry, Seat, State},
    message::{EnvRecord, Output, Outputs, StartFailure, Whose},
    pools,
};
use crate::fact::{Fact, RetireWhy};

impl Book {
    pub(super) fn worker_drains(&mut self, now: Now, worker: WorkerId, out: &mut Outputs) {
        self.place.drain(worker);
        let there: Vec<Seat> = self.envs.on_worker(worker).collect();
        self.send_away(now, &there, out);
        for (_, start) in self.starts.iter_mut() {
            start.unwanted |= start.worker == Some(worker);
        }
    }

    pub(super) fn worker_lost(&mut self, now: Now, worker: WorkerId, out: &mut Outputs) {
        self.place.forget(worker);
        let envs: Vec<EnvId> = self.env_ids_on(worker);
        let starts: Vec<_> = self.starts.on_worker(worker).collect();
        // Should it come back, they may be there still.
        for env in envs {
            self.lose(now, env, out);
        }
        for start in starts {
            self.start_failed(now, start, StartFailure::Platform, out);
        }
    }

    pub(super) fn retire_whose(&mut self, now: Now, whose: &Whose, out: &mut Outputs) {
        self.targets.withdraw(now, self.config.drain_after, whose);
        let meant = |seat: &Seat| {
            let entry = self.envs.get(*seat);
            let pool = entry.and_then(|entry| self.pools.get(entry.key));
            pool.is_some_and(|pool| whose.means(&pool.key))
        };
        let seats: Vec<Seat> = self.envs.seats().filter(meant).collect();
        self.send_away(now, &seats, out);
        for (_, start) in self.starts.iter_mut() {
            start.unwanted |= whose.means(&start.key);
        }
        if whose.version.is_none() {
            self.tenants.forget(whose.account, &whose.function);
        }
    }

    /// Idle ones leave now, busy ones when their call has ended.
    fn send_away(&mut self, now: Now, seats: &[Seat], out: &mut Outputs) {
        for seat in seats {
            let Some(entry) = self.envs.get_mut(*seat) else { continue };
            entry.unwanted = true;
            match entry.state {
                State::Idle { since } => {
                    self.retire(*seat, RetireWhy::Drained, now.since(since), out);
                }
                State::Granted { .. } | State::Running { .. } => {}
                State::Leaving | State::Moving { .. } | State::Between => {}
            }
        }
    }

    /// The worker's whole list: unknown environments are adopted, missing ones are
    /// gone, and of known ones that much is believed which no message on its way can
    /// contradict.
    pub(super) fn rebuild(
        &mut self,
        now: Now,
        worker: WorkerId,
        records: Vec<EnvRecord>,
        out: &mut Outputs,
    ) {
        let listed: BTreeSet<EnvId> = records.iter().map(|record| record.env).collect();
        for env in self.env_ids_on(worker) {
            if !listed.contains(&env) {
                self.lose(now, env, out);
            }
        }
        for record in records {
            match self.envs.seat_of(record.env) {
                Some(seat) => self.believe(now, seat, &record, out),
                // Its end overtook the list.
                None if self.departed.is_gone(record.env) => {}
                None => self.adopt(now, worker, &record, out),
            }
        }
    }

    fn believe(&mut self, now: Now, seat: Seat, record: &EnvRecord, out: &mut Outputs) {
        let Some(entry) = self.envs.get_mut(seat) else { return };
        let (granted, state) = (entry.epoch, entry.state);
        entry.epoch = entry.epoch.max(record.epoch);
        if !self.learn_tenant(now, seat, &record.key, out) {
            self.send_away(now, &[seat], out);
        }
        match state {
            // The order to move it, or the answer, may have been lost: should it have
            // moved after all, the worker says so.
            State::Moving { .. } => {
                self.stays(now, seat, out);
                self.settle(now, seat, false, out);
            }
            // The order to leave may have been lost: once more.
            State::Leaving => self.repeat_retire(seat, out),
            State::Granted { .. } | State::Running { .. } if record.epoch >= granted => {
                self.catch_up(now, seat, record, out);
            }
            State::Granted { .. } | State::Running { .. } => {}
            State::Idle { .. } | State::Between => {}
        }
    }

    fn repeat_retire(&self, seat: Seat, out: &mut Outputs) {
        let Some(entry) = self.envs.get(seat) else { return };
        let (env, worker, epoch) = (entry.env, entry.worker, entry.epoch);
        out.push(Output::Retire { env, worker, epoch });
    }

    /// The worker has seen the newest grant: what it says is what came of that, and its
    /// notes about it may have been lost with a connection.
    fn catch_up(&mut self, now: Now, seat: Seat, record: &EnvRecord, out: &mut Outputs) {
        let Some(entry) = self.envs.get(seat) else { return };
        let (lease, granted) = (entry.lease, matches!(entry.state, State::Granted { .. }));
        if granted {
            self.run_started(now, lease, out);
        }
        if !record.busy {
            self.idle(now, record.env, record.epoch, out);
        }
    }

    pub(super) fn adopt(
        &mut self,
        now: Now,
        worker: WorkerId,
        record: &EnvRecord,
        out: &mut Outputs,
    ) {
        let hash = record.key.hash();
        self.pools.open(hash, &record.key);
        let entry = NewEntry {
            env: record.env,
            worker,
            key: hash,
            memory_mb: record.key.memory_mb,
            epoch: record.epoch,
            unwanted: false,
            kept: self.targets.keeps(hash, &record.key),
        };
        let Some(seat) = self.envs.insert(entry) else {
            self.pools.close_if_empty(hash);
            let (env, epoch) = (record.env, record.epoch.next());
            return out.push(Output::Retire { env, worker, epoch });
        };
        self.targets.found(now, hash, &record.key);
        self.place.reserve(worker, record.key.memory_mb);
        self.tenants.came(hash, &record.key);
        out.push(Output::Fact(Fact::Adopted { env: record.env, key: hash, worker }));
        if record.busy {
            self.adopt_busy(now, seat, &record.key);
        } else {
            self.settle(now, seat, false, out);
        }
    }

    fn adopt_busy(&mut self, now: Now, seat: Seat, key: &PoolKey) {
        let Some(pool) = self.envs.get(seat).and_then(|entry| self.pools.get_mut(entry.key)) else {
            return;
        };
        pool.busy += 1;
        self.envs.run(seat, &mut pool.shelf, now);
        self.pools.client_came(pools::client_of(key));
    }

    fn env_ids_on(&self, worker: WorkerId) -> Vec<EnvId> {
        let seats = self.envs.on_worker(worker);
        seats.filter_map(|seat| self.envs.get(seat)).map(|entry| entry.env).collect()
    }
}

impl Whose {
    pub(super) fn means(&self, key: &PoolKey) -> bool {
        key.account == self.account
            && key.function == self.function
            && self.version.is_none_or(|version| version == key.version)
            // Those of tenants stay with the generic ones that they were made like.
            && self.keep.is_none_or(|keep| key.generic_hash().unwrap_or_else(|| key.hash()) != keep)
    }
}
