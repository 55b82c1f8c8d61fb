//! Watches: who follows a prefix sees every commit that touches it, whole and in
//! order, or is told to list again. Nothing is skipped in silence.
//!
//! The side of the one who watches; where commits come from stands in `feed`.

use std::{
    collections::VecDeque,
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
};

use bytes::Bytes;
use tokio::sync::mpsc;

use crate::{
    key::{Key, Prefix},
    limits::{PART_BYTES, WATCHES_MAX},
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

    /// And where the publisher notes why it ended, before it drops its sender.
    pub(crate) fn open(
        backlog: VecDeque<Commit>,
        queue: mpsc::Receiver<Commit>,
    ) -> (Watch, Arc<EndedCell>) {
        let ended = EndedCell::new(Ended::Closed);
        (Watch { backlog, queue, ended: Arc::clone(&ended) }, ended)
    }

    pub(crate) fn ended(why: Ended) -> Watch {
        let (_, queue) = mpsc::channel(1);
        Watch { backlog: VecDeque::new(), queue, ended: EndedCell::new(why) }
    }
}

/// Set before the sender is dropped, read after the queue is empty.
#[derive(Debug)]
pub(crate) struct EndedCell(AtomicU8);

impl EndedCell {
    fn new(why: Ended) -> Arc<EndedCell> {
        Arc::new(EndedCell(AtomicU8::new(why as u8)))
    }

    pub(crate) fn set(&self, why: Ended) {
        self.0.store(why as u8, Ordering::Release);
    }

    fn get(&self) -> Ended {
        let found = self.0.load(Ordering::Acquire);
        let all = [Ended::Lagged, Ended::TooManyWatches, Ended::Closed];
        all.into_iter().find(|why| *why as u8 == found).unwrap_or(Ended::Closed)
    }
}

impl Commit {
    /// As reckoned for messages.
    pub(crate) fn bytes(&self) -> usize {
        let bytes = |change: &Change| {
            PART_BYTES + change.key.as_str().len() + change.value.as_ref().map_or(0, Bytes::len)
        };
        PART_BYTES + self.changes.iter().map(bytes).sum::<usize>()
    }

    pub(crate) fn under(&self, prefix: &Prefix) -> Option<Commit> {
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
