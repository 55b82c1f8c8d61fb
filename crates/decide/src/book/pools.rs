//! The pools of a book: what it holds for each pool key. Invariant: the counts of
//! a pool are the numbers of its entries by state, and a pool exists while it has
//! an entry, a waiting call or a start.

use alloc::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use model::{AccountId, KeyHash, PoolKey};

use super::{
    envs::List,
    message::{Load, Ticket},
};

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
    pub(super) starting: u32,
}

impl Pool {
    fn new(key: Arc<PoolKey>) -> Pool {
        Pool { key, shelf: List::EMPTY, queue: VecDeque::new(), busy: 0, leaving: 0, starting: 0 }
    }

    pub(super) fn load(&self) -> Load {
        let waiting = u32::try_from(self.queue.len()).unwrap_or(u32::MAX);
        Load { idle: self.shelf.len(), busy: self.busy, starting: self.starting, waiting }
    }

    fn is_empty(&self) -> bool {
        let entries = self.shelf.len() + self.busy + self.leaving + self.starting;
        entries == 0 && self.queue.is_empty()
    }
}

#[derive(Debug, Default)]
pub(super) struct Pools {
    pools: BTreeMap<KeyHash, Pool>,
    /// Granted, running or waiting calls of each account at this manager (A6).
    clients: BTreeMap<AccountId, u32>,
}

impl Pools {
    pub(super) fn get(&self, hash: KeyHash) -> Option<&Pool> {
        self.pools.get(&hash)
    }

    pub(super) fn get_mut(&mut self, hash: KeyHash) -> Option<&mut Pool> {
        self.pools.get_mut(&hash)
    }

    pub(super) fn open(&mut self, hash: KeyHash, key: &Arc<PoolKey>) -> &mut Pool {
        self.pools.entry(hash).or_insert_with(|| Pool::new(Arc::clone(key)))
    }

    pub(super) fn close_if_empty(&mut self, hash: KeyHash) {
        if self.pools.get(&hash).is_some_and(Pool::is_empty) {
            self.pools.remove(&hash);
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (KeyHash, &Pool)> {
        self.pools.iter().map(|(hash, pool)| (*hash, pool))
    }

    pub(super) fn client_calls(&self, account: AccountId) -> u32 {
        self.clients.get(&account).copied().unwrap_or(0)
    }

    pub(super) fn client_came(&mut self, account: AccountId) {
        *self.clients.entry(account).or_insert(0) += 1;
    }

    /// The count stays in the map at zero, so that a busy client allocates once.
    pub(super) fn client_left(&mut self, account: AccountId) {
        if let Some(calls) = self.clients.get_mut(&account) {
            *calls = calls.saturating_sub(1);
        }
    }
}
