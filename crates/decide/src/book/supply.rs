//! Where environments come from: the create gate, a worker with room, or room made
//! by retiring what has been idle longest. Invariant: a waiting call has a start, or
//! hopes for what its pool has, for a bounded time.
//!
//! A call that finds nothing idle gets a start of its own only where that serves it
//! sooner than what its pool has (`Pool::hope`): a slow init of a short function
//! does not call for one environment per caller. Averages can be wrong, so that
//! hope ends (`Pool::patience`), and then the call gets its start.

use alloc::{sync::Arc, vec::Vec};

use model::{Class, EnvId, Epoch, KeyHash, Now, PoolKey, Reason, Span, Trouble, WorkerId, limits};

use super::{
    Book,
    envs::{NewEntry, Seat, State},
    message::{Output, Outputs, Reply, StartId, Ticket},
    refuse,
    starts::Start,
};
use crate::{
    fact::{Fact, RetireWhy},
    place::{Need, Used},
};

/// Idle environments looked at to make room for one start; beyond it: no capacity.
const EVICT_SCAN_MAX: usize = 4_096;

/// The first attempt to make an environment for a call.
#[derive(Clone, Copy)]
pub(super) struct First {
    pub(super) ticket: Ticket,
}

pub(super) type Refusal = (Reason, Span);

impl Book {
    /// What a call with `ahead` calls before it waits for: a start of its own, or,
    /// until the instant told, what the pool has.
    pub(super) fn source(
        &mut self,
        now: Now,
        hash: KeyHash,
        key: &Arc<PoolKey>,
        first: First,
        ahead: usize,
        out: &mut Outputs,
    ) -> Result<(Option<StartId>, Option<Now>), Refusal> {
        let config = self.config;
        let pool = self.pools.open(hash, key);
        let alive = pool.is_alive() && config.patience;
        let patient_until = Some(now + pool.patience(now));
        let free_mb = self.place.free_mb(key.cpu_class.architecture);
        let greedy = alive && pool.is_greedy(now, free_mb);
        if greedy || config.hope(pool, now) > ahead {
            return Ok((None, patient_until));
        }
        match self.begin_start(now, hash, key, first, out) {
            // Without room for another, what the pool has is the next best.
            Err((Reason::NoCapacity, _)) if alive => Ok((None, patient_until)),
            begun => begun.map(|start| (start, None)),
        }
    }

    /// None where the start waits for its create token.
    pub(super) fn begin_start(
        &mut self,
        now: Now,
        hash: KeyHash,
        key: &Arc<PoolKey>,
        first: First,
        out: &mut Outputs,
    ) -> Result<Option<StartId>, Refusal> {
        self.make_tenant_room(now, key, out)?;
        let start = Start {
            hash,
            key: Arc::clone(key),
            worker: None,
            since: now,
            attempt: 1,
            ticket: Some(first.ticket),
            token: None,
            unwanted: false,
        };
        self.begin_with_token(now, start, out)
    }

    /// Sends the start to a worker, or into the line while room is being made.
    pub(super) fn place_start(
        &mut self,
        now: Now,
        mut start: Start,
        avoid: Option<WorkerId>,
        out: &mut Outputs,
    ) -> Result<StartId, Refusal> {
        let (hash, key) = (start.hash, Arc::clone(&start.key));
        let need = Need::of(hash, &key);
        start.worker = self.place.choose(need, avoid).ok();
        let worker = start.worker;
        let full = self.envs.len() >= super::envs::ENVS_MAX;
        if full || (worker.is_none() && !self.make_room(now, need, out)) {
            return Err((Reason::NoCapacity, Span::ZERO));
        }
        let id = self.starts.add(start);
        if let Some(pool) = self.pools.get_mut(hash) {
            pool.start_added(now);
        }
        self.tenants.came(hash, &key);
        match worker {
            Some(worker) => self.send_start(id, hash, key, worker, out),
            None => out.push(Output::Fact(Fact::StartAwaitsRoom { start: id, key: hash })),
        }
        Ok(id)
    }

    fn send_start(
        &mut self,
        start: StartId,
        hash: KeyHash,
        key: Arc<PoolKey>,
        worker: WorkerId,
        out: &mut Outputs,
    ) {
        let memory_mb = key.memory_mb;
        self.place.reserve(worker, memory_mb);
        out.push(Output::Fact(Fact::StartBegan { start, key: hash, worker, memory_mb }));
        out.push(Output::Start { start, worker, key });
    }

    /// Whether there will be room on some worker: what leaves already suffices, or
    /// the longest idle environments on one worker do and are retired now.
    fn make_room(&mut self, now: Now, need: Need, out: &mut Outputs) -> bool {
        if self.place.workers().any(|w| self.place.room_when_left(w, need, Used::default())) {
            return true;
        }
        let Some(victims) = self.victims(need) else { return false };
        for seat in victims {
            let since = match self.envs.get(seat).map(|entry| entry.state) {
                Some(State::Idle { since }) => since,
                Some(State::Granted { .. } | State::Running { .. } | State::Leaving)
                | Some(State::Moving { .. } | State::Between)
                | None => continue,
            };
            self.retire(seat, RetireWhy::Evicted, now.since(since), out);
        }
        true
    }

    fn victims(&self, need: Need) -> Option<Vec<Seat>> {
        let mut freed: Vec<(WorkerId, Used, Vec<Seat>)> = Vec::new();
        for seat in self.envs.idle_line().take(EVICT_SCAN_MAX) {
            let entry = self.envs.get(seat)?;
            let at = match freed.iter().position(|(worker, ..)| *worker == entry.worker) {
                Some(at) => at,
                None => {
                    freed.push((entry.worker, Used::default(), Vec::new()));
                    freed.len() - 1
                }
            };
            let (worker, used, seats) = &mut freed[at];
            used.memory_mb += u64::from(entry.memory_mb);
            used.slots += 1;
            seats.push(seat);
            if self.place.room_when_left(*worker, need, *used) {
                return Some(core::mem::take(seats));
            }
        }
        None
    }

    /// Room may have come: the line of starts moves, oldest first.
    pub(super) fn place_waiting(&mut self, now: Now, out: &mut Outputs) {
        while let Some(id) = self.starts.first_unplaced() {
            let Some(start) = self.starts.get(id) else { return };
            let (hash, key) = (start.hash, Arc::clone(&start.key));
            let need = Need::of(hash, &key);
            if let Ok(worker) = self.place.choose(need, None) {
                self.starts.placed(id, worker);
                self.send_start(id, hash, key, worker, out);
            } else if self.make_room(now, need, out) {
                return;
            } else {
                self.fail_start(now, id, Trouble::NoRoom, out);
            }
        }
    }

    pub(super) fn started(
        &mut self,
        now: Now,
        id: StartId,
        env: EnvId,
        epoch: Epoch,
        out: &mut Outputs,
    ) {
        let placed = self.starts.get(id).and_then(|start| start.worker);
        let Some((worker, start)) = placed.and_then(|w| Some((w, self.starts.remove(id)?))) else {
            // Given up meanwhile: what the worker made belongs to nobody.
            out.push(Output::Fact(Fact::Stale { env: Some(env), lease: None }));
            let (worker, epoch) = (env.worker(), epoch.next());
            return out.push(Output::Retire { env, worker, epoch });
        };
        let Start { hash, key, since, unwanted, .. } = start;
        if let Some(pool) = self.pools.get_mut(hash) {
            pool.start_left(since);
            pool.learn_init(now, now.since(since));
        }
        out.push(Output::Fact(Fact::StartEnded {
            start: id,
            key: hash,
            env,
            took: now.since(since),
        }));
        let (kept, memory_mb) = (self.targets.keeps(hash, &key), key.memory_mb);
        let entry = NewEntry { env, worker, key: hash, memory_mb, epoch, unwanted, kept };
        self.targets.started(hash);
        match self.envs.insert(entry) {
            Some(seat) => {
                if let Some(entry) = self.envs.get_mut(seat) {
                    entry.built = now.since(since);
                }
                self.settle(now, seat, true, out);
            }
            None => {
                // An environment cannot be made twice; its room was counted twice.
                self.place.release(worker, memory_mb, false);
                self.tenants.left(hash, &key);
                out.push(Output::Fact(Fact::Stale { env: Some(env), lease: None }));
                self.feed(now, hash, out);
            }
        }
        self.pools.close_if_empty(hash);
    }

    pub(super) fn start_failed(&mut self, now: Now, id: StartId, why: Trouble, out: &mut Outputs) {
        self.fail_start(now, id, why, out);
        self.place_waiting(now, out);
    }

    pub(super) fn expire_start(&mut self, now: Now, out: &mut Outputs) {
        if let Some((id, _)) = self.starts.oldest() {
            self.start_failed(now, id, Trouble::Platform, out);
        }
    }

    pub(super) fn fail_start(&mut self, now: Now, id: StartId, why: Trouble, out: &mut Outputs) {
        let Some(start) = self.starts.remove(id) else { return };
        let (hash, worker) = (start.hash, start.worker);
        self.tenants.left(hash, &start.key);
        if let Some(worker) = worker {
            self.place.release(worker, start.key.memory_mb, false);
        }
        let Some(pool) = self.pools.get_mut(hash) else { return };
        pool.start_left(start.since);
        let short = pool.queue.len() > self.config.hope(pool, now);
        let own = start.ticket.filter(|ticket| self.waiting.get(*ticket).is_some());
        let victim = own.or(pool.queue.front().copied().filter(|_| short));
        out.push(Output::Fact(Fact::StartFailed { start: id, key: hash, why }));
        if start.key.class == Class::Provisioned {
            self.targets.start_failed(now, hash, why);
            return self.pools.close_if_empty(hash);
        }
        match why {
            Trouble::Init => {
                if let Some(ticket) = victim {
                    self.end_wait(now, ticket, false, out);
                    out.push(Output::Reply { ticket, reply: Reply::StartFailed { start: id } });
                }
            }
            Trouble::NoRoom | Trouble::Platform => {
                if short {
                    self.try_again(now, id, start, why, victim, out);
                } else {
                    self.return_token(&start, out);
                }
            }
        }
        // Who hoped for it hopes for less now.
        self.feed(now, hash, out);
        self.pools.close_if_empty(hash);
    }

    /// A platform failure costs the user no second token; it costs the call one of
    /// its attempts (I8).
    fn try_again(
        &mut self,
        now: Now,
        id: StartId,
        start: Start,
        why: Trouble,
        victim: Option<Ticket>,
        out: &mut Outputs,
    ) {
        let hash = start.hash;
        let again = Start { attempt: start.attempt + 1, since: now, worker: None, ..start.clone() };
        let may = again.attempt <= limits::ATTEMPTS_MAX && start.worker.is_some();
        let mut placed = Err((Reason::NoCapacity, Span::ZERO));
        if may {
            placed = self.place_start(now, again.clone(), start.worker, out);
            if placed.is_err() && why == Trouble::Platform {
                placed = self.place_start(now, again, None, out);
            }
        }
        if let Err((reason, retry_after)) = placed {
            self.return_token(&start, out);
            let Some(ticket) = victim else { return };
            self.end_wait(now, ticket, false, out);
            match why {
                Trouble::Init | Trouble::Platform => {
                    let reply = Reply::StartFailed { start: id };
                    out.push(Output::Reply { ticket, reply });
                }
                Trouble::NoRoom => refuse(ticket, hash, reason, retry_after, out),
            }
        }
    }

    /// A call has hoped in vain: a start for it, unless one is on its way to it. It
    /// goes on hoping only where there is no room but something of its pool to hope
    /// for.
    pub(super) fn expire_patience(&mut self, now: Now, out: &mut Outputs) {
        let Some((_, ticket)) = self.waiting.next_impatient() else { return };
        self.waiting.set_patience(ticket, None);
        let Some(hash) = self.waiting.get(ticket).map(|waiter| waiter.key) else { return };
        let Some(pool) = self.pools.get(hash) else { return };
        let place = pool.queue.iter().position(|other| *other == ticket).unwrap_or(0);
        let (again, key) = (now + pool.patience(now), Arc::clone(&pool.key));
        let hopes = pool.is_alive() && pool.hope(now) > place;
        // Before the first init has ended nobody knows better; after that, a call that
        // hoped for as long as an init takes was told wrong.
        let greedy = pool.is_greedy(now, self.place.free_mb(key.cpu_class.architecture));
        if pool.starting() > place || greedy || (hopes && !pool.knows_init()) {
            return self.waiting.set_patience(ticket, Some(again));
        }
        match self.begin_start(now, hash, &key, First { ticket }, out) {
            Ok(_) => {}
            Err(_) if hopes => self.waiting.set_patience(ticket, Some(again)),
            Err((reason, wait)) => {
                self.end_wait(now, ticket, false, out);
                refuse(ticket, hash, reason, wait, out);
            }
        }
    }

    /// Starts what a pool lacks after it lost an environment or a start.
    pub(super) fn feed(&mut self, now: Now, hash: KeyHash, out: &mut Outputs) {
        // Calls that wait for predecessors get their starts when those have none.
        while !self.asks.is_open(hash) {
            let Some(pool) = self.pools.get(hash) else { return };
            let at = self.config.hope(pool, now);
            let (Some(ticket), key) = (pool.queue.get(at).copied(), Arc::clone(&pool.key)) else {
                return;
            };
            if let Err((reason, wait)) = self.begin_start(now, hash, &key, First { ticket }, out) {
                self.end_wait(now, ticket, false, out);
                refuse(ticket, hash, reason, wait, out);
            }
        }
    }

    /// A start that still awaits its token or room, and that no call needs any more, is
    /// undone.
    pub(super) fn drop_spare_starts(&mut self, hash: KeyHash, out: &mut Outputs) {
        let spare = |pool: &super::pools::Pool| pool.starting() > pool.queue.len();
        while self.pools.get(hash).is_some_and(spare) && self.drop_from_line(hash) {}
        while let Some(pool) = self.pools.get_mut(hash)
            && pool.starting() > pool.queue.len()
            && let Some(id) = self.starts.unplaced_of(hash)
            && let Some(start) = self.starts.remove(id)
        {
            pool.start_left(start.since);
            self.tenants.left(hash, &start.key);
            out.push(Output::Fact(Fact::StartDropped { start: id, key: hash }));
            self.return_token(&start, out);
        }
    }
}
