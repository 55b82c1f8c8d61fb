//! Watches: who follows a prefix sees every commit that touches it, whole and in
//! order, or is told to list again. Nothing is skipped in silence.
//!
//! Not durable: commits are kept in memory since the store was opened. Both engines
//! publish here right after a commit and before it is acknowledged.

use std::{
    collections::VecDeque,
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU8, Ordering},
    },
};

use bytes::Bytes;
use tokio::sync::mpsc;

use crate::{
    key::{Key, Prefix},
    limits::{COMMITS_KEPT_MAX, WATCH_QUEUE_MAX, WATCHES_MAX},
    txn::{Op, Revision},
};

/// One key's new value, or `None` where it was deleted.
#[derive(Clone, PartialEq, Eq)]
pub struct Change {
    pub key: Key,
    pub value: Option<Bytes>,
}

/// What one transaction changed under the watched prefix; never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Commit {
    pub revision: Revision,
    pub changes: Vec<Change>,
}

/// Why a watch gives no more commits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Ended {
    /// List the prefix again and watch from that revision.
    #[error("the watcher fell behind, or began before the commits that are kept: list again")]
    Lagged,
    #[error("{WATCHES_MAX} watches are open already")]
    TooManyWatches,
    #[error("the store is closed")]
    Closed,
}

/// A stream of commits. Dropping it ends it.
#[derive(Debug)]
pub struct Watch {
    /// Commits that were made before the watch began.
    backlog: VecDeque<Commit>,
    queue: mpsc::Receiver<Commit>,
    ended: Arc<EndedCell>,
}

impl Watch {
    /// The next commit under the prefix. Every error is final.
    pub async fn next(&mut self) -> Result<Commit, Ended> {
        if let Some(commit) = self.backlog.pop_front() {
            return Ok(commit);
        }
        self.queue.recv().await.ok_or_else(|| self.ended.get())
    }

    /// What is there now, without waiting.
    pub fn try_next(&mut self) -> Result<Option<Commit>, Ended> {
        if let Some(commit) = self.backlog.pop_front() {
            return Ok(Some(commit));
        }
        match self.queue.try_recv() {
            Ok(commit) => Ok(Some(commit)),
            Err(mpsc::error::TryRecvError::Empty) => Ok(None),
            Err(mpsc::error::TryRecvError::Disconnected) => Err(self.ended.get()),
        }
    }

    fn ended(why: Ended) -> Watch {
        let (_, queue) = mpsc::channel(1);
        Watch { backlog: VecDeque::new(), queue, ended: EndedCell::new(why) }
    }
}

/// Set before the sender is dropped, read after the queue is empty.
#[derive(Debug)]
struct EndedCell(AtomicU8);

impl EndedCell {
    fn new(why: Ended) -> Arc<EndedCell> {
        Arc::new(EndedCell(AtomicU8::new(why as u8)))
    }

    fn set(&self, why: Ended) {
        self.0.store(why as u8, Ordering::Release);
    }

    fn get(&self) -> Ended {
        let found = self.0.load(Ordering::Acquire);
        let all = [Ended::Lagged, Ended::TooManyWatches, Ended::Closed];
        all.into_iter().find(|why| *why as u8 == found).unwrap_or(Ended::Closed)
    }
}

/// The publishing side, shared by the engine and the store's handles.
#[derive(Debug)]
pub(crate) struct Feed(Mutex<State>);

#[derive(Debug)]
struct State {
    /// The newest commits, oldest first, unfiltered.
    kept: VecDeque<Commit>,
    /// Every commit after this revision is in `kept`.
    floor: Revision,
    watchers: Vec<Watcher>,
}

#[derive(Debug)]
struct Watcher {
    prefix: Prefix,
    queue: mpsc::Sender<Commit>,
    ended: Arc<EndedCell>,
}

impl Feed {
    /// `opened_at` is the revision the store has before the first commit of this life.
    pub(crate) fn new(opened_at: Revision) -> Feed {
        let state = State { kept: VecDeque::new(), floor: opened_at, watchers: Vec::new() };
        Feed(Mutex::new(state))
    }

    pub(crate) fn watch(&self, prefix: Prefix, from: Revision) -> Watch {
        let mut state = self.lock();
        if from < state.floor {
            return Watch::ended(Ended::Lagged);
        }
        state.watchers.retain(|watcher| !watcher.queue.is_closed());
        if state.watchers.len() >= WATCHES_MAX {
            return Watch::ended(Ended::TooManyWatches);
        }
        let later = state.kept.iter().filter(|commit| commit.revision > from);
        let backlog = later.filter_map(|commit| commit.under(&prefix)).collect();
        let (sender, queue) = mpsc::channel(WATCH_QUEUE_MAX);
        let ended = EndedCell::new(Ended::Closed);
        state.watchers.push(Watcher { prefix, queue: sender, ended: ended.clone() });
        Watch { backlog, queue, ended }
    }

    pub(crate) fn publish(&self, revision: Revision, changed: Vec<Op>) {
        if changed.is_empty() {
            return;
        }
        let commit = Commit { revision, changes: changed.into_iter().map(Change::from).collect() };
        let mut state = self.lock();
        state.watchers.retain(|watcher| watcher.send(&commit));
        state.kept.push_back(commit);
        if state.kept.len() > COMMITS_KEPT_MAX
            && let Some(oldest) = state.kept.pop_front()
        {
            state.floor = oldest.revision;
        }
    }

    /// The state is whole between statements, so a panic elsewhere does not spoil it.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Watcher {
    /// False where the watcher is gone or too slow.
    fn send(&self, commit: &Commit) -> bool {
        let Some(commit) = commit.under(&self.prefix) else {
            return !self.queue.is_closed();
        };
        match self.queue.try_send(commit) {
            Ok(()) => true,
            Err(mpsc::error::TrySendError::Closed(_)) => false,
            Err(mpsc::error::TrySendError::Full(_)) => {
                self.ended.set(Ended::Lagged);
                false
            }
        }
    }
}

impl Commit {
    fn under(&self, prefix: &Prefix) -> Option<Commit> {
        let under = self.changes.iter().filter(|change| prefix.holds(&change.key));
        let changes: Vec<Change> = under.cloned().collect();
        (!changes.is_empty()).then_some(Commit { revision: self.revision, changes })
    }
}

/// Values may hold secrets: only their sizes are shown.
impl fmt::Debug for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.value {
            Some(value) => write!(f, "{} is now {} bytes", self.key, value.len()),
            None => write!(f, "{} is deleted", self.key),
        }
    }
}

impl From<Op> for Change {
    fn from(op: Op) -> Change {
        match op {
            Op::Put(key, value) => Change { key, value: Some(value) },
            Op::Delete(key) => Change { key, value: None },
        }
    }
}
