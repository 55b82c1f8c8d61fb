//! What workers say about themselves, and what control says about functions:
//! environments that leave, are lost, or are found again. The worker is the
//! authority on what exists; the book can be rebuilt by asking.

use alloc::{collections::BTreeSet, vec::Vec};

use model::{EnvId, Hosted, Now, PoolKey, Trouble, WorkerId};

use super::{
    Book,
    envs::{NewEntry, Seat, State},
    message::{Output, Outputs, Whose},
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
            self.start_failed(now, start, Trouble::Platform, out);
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
        let in_line = self.tokens.iter_mut();
        for start in in_line.chain(self.starts.iter_mut().map(|(_, start)| start)) {
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
        envs: Vec<Hosted>,
        out: &mut Outputs,
    ) {
        let listed: BTreeSet<EnvId> = envs.iter().map(|hosted| hosted.env).collect();
        for env in self.env_ids_on(worker) {
            if !listed.contains(&env) {
                self.lose(now, env, out);
            }
        }
        for hosted in envs {
            match self.envs.seat_of(hosted.env) {
                Some(seat) => self.believe(now, seat, &hosted, out),
                // The word that it left, or ended, overtook the list.
                None if !self.departed.admits(now, hosted.env, hosted.epoch) => {}
                None => self.adopt(now, worker, &hosted, out),
            }
        }
    }

    fn believe(&mut self, now: Now, seat: Seat, hosted: &Hosted, out: &mut Outputs) {
        let Some(entry) = self.envs.get_mut(seat) else { return };
        let (granted, state) = (entry.epoch, entry.state);
        entry.epoch = entry.epoch.max(hosted.epoch);
        if !self.learn_tenant(now, seat, &hosted.key, out) {
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
            State::Granted { .. } | State::Running { .. } if hosted.epoch >= granted => {
                self.catch_up(now, seat, hosted, out);
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
    fn catch_up(&mut self, now: Now, seat: Seat, hosted: &Hosted, out: &mut Outputs) {
        let Some(entry) = self.envs.get(seat) else { return };
        let (lease, granted) = (entry.lease, matches!(entry.state, State::Granted { .. }));
        if granted {
            self.run_started(now, lease, out);
        }
        if !hosted.busy {
            self.idle(now, hosted.env, hosted.epoch, out);
        }
    }

    pub(super) fn adopt(&mut self, now: Now, worker: WorkerId, hosted: &Hosted, out: &mut Outputs) {
        let hash = hosted.key.hash();
        self.pools.open(hash, &hosted.key);
        let entry = NewEntry {
            env: hosted.env,
            worker,
            key: hash,
            memory_mb: hosted.key.memory_mb,
            epoch: hosted.epoch,
            unwanted: false,
            kept: self.targets.keeps(hash, &hosted.key),
        };
        let Some(seat) = self.envs.insert(entry) else {
            self.pools.close_if_empty(hash);
            let (env, epoch) = (hosted.env, hosted.epoch.next());
            return out.push(Output::Retire { env, worker, epoch });
        };
        self.targets.found(now, hash, &hosted.key);
        self.place.reserve(worker, hosted.key.memory_mb);
        self.tenants.came(hash, &hosted.key);
        out.push(Output::Fact(Fact::Adopted { env: hosted.env, key: hash, worker }));
        if hosted.busy {
            self.adopt_busy(now, seat, &hosted.key);
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
