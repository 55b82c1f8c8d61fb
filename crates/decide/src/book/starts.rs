//! Environments being made. Invariant: each start is either placed on a worker,
//! with its room reserved there, or in the line of those that await room.

use alloc::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use model::{KeyHash, Now, PoolKey, WorkerId};

use super::message::{StartId, Ticket};
use crate::admit::Token;

#[derive(Clone, Debug)]
pub(super) struct Start {
    pub(super) hash: KeyHash,
    pub(super) key: Arc<PoolKey>,
    /// None while it awaits room.
    pub(super) worker: Option<WorkerId>,
    pub(super) since: Now,
    /// 1 for the first; bounded by `ATTEMPTS_MAX`.
    pub(super) attempt: u32,
    /// Whose call caused it.
    pub(super) ticket: Option<Ticket>,
    /// None where it needs none, or has none yet.
    pub(super) token: Option<Token>,
    /// Its function changed or went away meanwhile.
    pub(super) unwanted: bool,
}

#[derive(Debug)]
pub(super) struct Starts {
    /// By id, which is also by age.
    open: BTreeMap<StartId, Start>,
    unplaced: VecDeque<StartId>,
    last: u64,
}

impl Starts {
    /// Numbers begin above those of the book's earlier lives.
    pub(super) fn new(first: u64) -> Starts {
        Starts { open: BTreeMap::new(), unplaced: VecDeque::new(), last: first }
    }

    pub(super) fn add(&mut self, start: Start) -> StartId {
        self.last += 1;
        let id = StartId(self.last);
        if start.worker.is_none() {
            self.unplaced.push_back(id);
        }
        self.open.insert(id, start);
        id
    }

    pub(super) fn len(&self) -> usize {
        self.open.len()
    }

    pub(super) fn get(&self, id: StartId) -> Option<&Start> {
        self.open.get(&id)
    }

    pub(super) fn remove(&mut self, id: StartId) -> Option<Start> {
        let start = self.open.remove(&id)?;
        if start.worker.is_none() {
            self.unplaced.retain(|other| *other != id);
        }
        Some(start)
    }

    pub(super) fn first_unplaced(&self) -> Option<StartId> {
        self.unplaced.front().copied()
    }

    /// The oldest unplaced start found its worker.
    pub(super) fn placed(&mut self, id: StartId, worker: WorkerId) {
        self.unplaced.retain(|other| *other != id);
        if let Some(start) = self.open.get_mut(&id) {
            start.worker = Some(worker);
        }
    }

    pub(super) fn oldest(&self) -> Option<(StartId, Now)> {
        self.open.first_key_value().map(|(id, start)| (*id, start.since))
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (StartId, &mut Start)> {
        self.open.iter_mut().map(|(id, start)| (*id, start))
    }

    pub(super) fn on_worker(&self, worker: WorkerId) -> impl Iterator<Item = StartId> + '_ {
        let there = move |(_, start): &(&StartId, &Start)| start.worker == Some(worker);
        self.open.iter().filter(there).map(|(id, _)| *id)
    }

    /// The youngest start of a pool whose caller is somebody else, or nobody.
    pub(super) fn unplaced_of(&self, hash: KeyHash) -> Option<StartId> {
        let of_pool = |id: &&StartId| self.open.get(id).is_some_and(|start| start.hash == hash);
        self.unplaced.iter().rev().find(of_pool).copied()
    }
}
