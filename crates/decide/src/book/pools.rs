//! The pools of a book: what it holds for each pool key. Invariant: the counts of
//! a pool are the numbers of its entries by state, and a pool exists while it has
//! an entry, a waiting call or a start.

use alloc::{boxed::Box, collections::VecDeque, sync::Arc, vec::Vec};

use model::{AccountId, Class, KeyHash, Load, ManagerId, Now, PoolKey, RingVersion, Span};

use super::{envs::List, message::Ticket};
use crate::{
    handoff::Heirs,
    table::{Lined, Table},
};

/// What a run is taken to last before the first has ended.
const RUN_UNKNOWN: Span = Span::secs(10);
/// Where none of a key's starts ended for so long, its inits are slow ones.
const SLOW_INIT: Span = Span::secs(1);
/// The shortest time to hope.
const PATIENCE_MIN: Span = Span::millis(5);
/// A new observation counts for one part in so many.
const AVERAGE_PARTS: u64 = 4;

/// A moving average of times, in microseconds; the largest number: none was seen.
#[derive(Clone, Copy, Debug)]
struct Average(u32);

impl Average {
    const UNKNOWN: Average = Average(u32::MAX);

    fn get(self) -> Option<Span> {
        (self.0 != u32::MAX).then_some(Span::micros(u64::from(self.0)))
    }

    fn learn(&mut self, seen: Span) {
        let mixed = |old: Span| {
            let sum = old.as_micros() * (AVERAGE_PARTS - 1) + seen.as_micros();
            Span(sum / AVERAGE_PARTS)
        };
        let seen = self.get().map_or(seen, mixed).as_micros();
        self.0 = u32::try_from(seen).map_or(u32::MAX - 1, |micros| micros.min(u32::MAX - 1));
    }
}

/// Whose calls at this manager a call of the key counts as (A6). Calls of a
/// provisioned set count as nobody's: what is above the set scales as if there were
/// none (A1).
pub(super) fn client_of(key: &PoolKey) -> Option<AccountId> {
    match key.class {
        Class::OnDemand => Some(key.account),
        Class::Provisioned => None,
    }
}

#[derive(Debug)]
pub(super) struct Pool {
    pub(super) key: Arc<PoolKey>,
    /// Idle environments, most recently used first.
    pub(super) shelf: List,
    /// Waiting calls, oldest first.
    pub(super) queue: VecDeque<Ticket>,
    /// Granted or running.
    pub(super) busy: u32,
    pub(super) leaving: u32,
    /// On their way to another manager.
    pub(super) moving: u32,
    /// The newest ring version that sent a call of the key here.
    pub(super) by: RingVersion,
    /// The key's owners in a newer version that have asked for environments.
    pub(super) heirs: Option<Box<Heirs>>,
    starting: u32,
    /// Since when starts are open and none of them has ended.
    quiet_since: Now,
    /// Sum of the instants at which those starts began.
    started_sum: u64,
    /// What an init and a run of this key take.
    init: Average,
    run: Average,
}

const _: () = assert!(size_of::<(KeyHash, Pool)>() <= 128);

impl Pool {
    fn new(key: Arc<PoolKey>) -> Pool {
        Pool {
            key,
            shelf: List::EMPTY,
            queue: VecDeque::new(),
            busy: 0,
            leaving: 0,
            moving: 0,
            by: RingVersion(0),
            heirs: None,
            starting: 0,
            quiet_since: Now(0),
            started_sum: 0,
            init: Average::UNKNOWN,
            run: Average::UNKNOWN,
        }
    }

    pub(super) fn load(&self) -> Load {
        let waiting = u32::try_from(self.queue.len()).unwrap_or(u32::MAX);
        Load { idle: self.shelf.len(), busy: self.busy, starting: self.starting, waiting }
    }

    pub(super) fn client(&self) -> Option<AccountId> {
        client_of(&self.key)
    }

    /// A call came by this version: heirs by older ones have lost the key again.
    pub(super) fn routed(&mut self, by: RingVersion) {
        self.by = self.by.max(by);
        if self.heirs.as_ref().is_some_and(|heirs| heirs.by() < by) {
            self.heirs = None;
        }
    }

    pub(super) fn next_heir(&mut self) -> Option<ManagerId> {
        self.heirs.as_mut()?.next()
    }

    pub(super) fn starting(&self) -> usize {
        self.starting as usize
    }

    pub(super) fn start_added(&mut self, since: Now) {
        if self.starting == 0 {
            self.quiet_since = since;
        }
        self.starting += 1;
        self.started_sum += since.0;
    }

    pub(super) fn start_left(&mut self, since: Now) {
        self.starting -= 1;
        self.started_sum -= since.0;
    }

    pub(super) fn learn_init(&mut self, now: Now, took: Span) {
        self.quiet_since = now;
        self.init.learn(took);
    }

    pub(super) fn learn_run(&mut self, took: Span) {
        self.run.learn(took);
    }

    /// How many waiting calls the environments that exist or are being made will
    /// serve before one that is begun now would be ready.
    ///
    /// A start of age `a` will then have been ready for `a`, so that it serves one
    /// call and `a / run` more; a busy environment serves `init / run`. A call
    /// beyond that number is served sooner by a start of its own.
    pub(super) fn hope(&self, now: Now) -> usize {
        let run = self.run.get().unwrap_or(RUN_UNKNOWN).as_micros().max(1);
        let by_starts = self.ages(now) / run;
        let by_busy = match (self.init.get(), self.run.get()) {
            (Some(init), Some(_)) => u64::from(self.busy).saturating_mul(init.as_micros()) / run,
            (None, _) | (_, None) => 0,
        };
        let more = usize::try_from(by_starts.saturating_add(by_busy)).unwrap_or(usize::MAX);
        self.starting().saturating_add(more)
    }

    /// How long a call may hope before it gets a start of its own.
    pub(super) fn patience(&self, now: Now) -> Span {
        let known =
            self.init.get().unwrap_or(Span(self.ages(now) / u64::from(self.starting.max(1))));
        known.max(PATIENCE_MIN)
    }

    /// Whether one more start would give a key of slow inits more than its part of
    /// the room that is left: inits hold memory and serve nobody, so that the starts
    /// of one key may hold half as much as stays free for all. Fresh bursts are not
    /// meant.
    pub(super) fn is_greedy(&self, now: Now, free_mb: u64) -> bool {
        let starts = u64::from(self.starting);
        let slow = starts > 0 && now.since(self.quiet_since) > SLOW_INIT;
        slow && (starts + 1) * u64::from(self.key.memory_mb) * 2 > free_mb
    }

    pub(super) fn knows_init(&self) -> bool {
        self.init.get().is_some()
    }

    /// Whether anything is there that may serve a waiting call.
    pub(super) fn is_alive(&self) -> bool {
        self.busy > 0 || self.starting > 0
    }

    fn ages(&self, now: Now) -> u64 {
        u64::from(self.starting).saturating_mul(now.0).saturating_sub(self.started_sum)
    }

    fn is_empty(&self) -> bool {
        let entries = self.shelf.len() + self.busy + self.leaving + self.moving + self.starting;
        entries == 0 && self.queue.is_empty()
    }
}

#[derive(Debug, Default)]
pub(super) struct Pools {
    pools: Table<KeyHash, Pool, Lined>,
    /// Granted, running or waiting calls of each account at this manager (A6).
    clients: Table<AccountId, u32>,
}

impl Pools {
    pub(super) fn get(&self, hash: KeyHash) -> Option<&Pool> {
        self.pools.get(&hash)
    }

    pub(super) fn get_mut(&mut self, hash: KeyHash) -> Option<&mut Pool> {
        self.pools.get_mut(&hash)
    }

    pub(super) fn open(&mut self, hash: KeyHash, key: &Arc<PoolKey>) -> &mut Pool {
        self.pools.get_or_insert(&hash, || Pool::new(Arc::clone(key)))
    }

    pub(super) fn close_if_empty(&mut self, hash: KeyHash) {
        if self.pools.get(&hash).is_some_and(Pool::is_empty) {
            self.pools.remove(&hash);
        }
    }

    /// In the order of their hashes; for people and sweeps, not for calls.
    pub(super) fn iter(&self) -> impl Iterator<Item = (KeyHash, &Pool)> {
        let mut all: Vec<_> = self.pools.iter().map(|(hash, pool)| (*hash, pool)).collect();
        all.sort_unstable_by_key(|(hash, _)| *hash);
        all.into_iter()
    }

    pub(super) fn client_calls(&self, account: AccountId) -> u32 {
        self.clients.get(&account).copied().unwrap_or(0)
    }

    pub(super) fn client_came(&mut self, client: Option<AccountId>) {
        if let Some(account) = client {
            *self.clients.get_or_insert(&account, || 0) += 1;
        }
    }

    /// The count stays in the map at zero, so that a busy client allocates once.
    pub(super) fn client_left(&mut self, client: Option<AccountId>) {
        if let Some(calls) = client.and_then(|account| self.clients.get_mut(&account)) {
            *calls = calls.saturating_sub(1);
        }
    }
}
