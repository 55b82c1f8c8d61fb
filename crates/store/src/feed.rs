//! The publishing side of watches: the newest commits, and who waits for more. Every
//! engine has one, and publishes right after a commit and before it is acknowledged.
//! Not durable: it begins with the store's revision when it was opened.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
};

use tokio::sync::{mpsc, watch};
use wire::store::Position;

use crate::{
    key::Prefix,
    limits::{CHANGES_BYTES_MAX, COMMITS_KEPT_MAX, KEPT_BYTES_MAX, WATCH_QUEUE_MAX, WATCHES_MAX},
    txn::{Op, Revision},
    watch::{Change, Commit, Ended, EndedCell, Watch},
};

#[derive(Debug)]
pub(crate) struct Feed {
    state: Mutex<State>,
    /// Of the last commit; for those who wait without a watch.
    newest: watch::Sender<Revision>,
    opened_at: Revision,
    /// Told to other processes, so that they know a revision of another history.
    life: OnceLock<u64>,
}

/// What followed a position.
#[derive(Debug)]
pub(crate) enum Since {
    Commits(Vec<Commit>),
    /// Not everything is known; from here on it is.
    Begin(Position),
}

#[derive(Debug)]
struct State {
    /// The newest commits, oldest first, unfiltered.
    kept: VecDeque<Commit>,
    /// Of keys and values in `kept`.
    kept_bytes: usize,
    /// Every commit after this revision is in `kept`.
    floor: Revision,
    watchers: Vec<Watcher>,
}

#[derive(Debug)]
struct Watcher {
    prefix: Prefix,
    /// It knows what was committed until then.
    from: Revision,
    queue: mpsc::Sender<Commit>,
    ended: Arc<EndedCell>,
}

impl Feed {
    /// `opened_at` is the revision the store has before the first commit of this life.
    pub(crate) fn new(opened_at: Revision) -> Feed {
        let (kept, watchers) = (VecDeque::new(), Vec::new());
        let state = Mutex::new(State { kept, kept_bytes: 0, floor: opened_at, watchers });
        let (newest, life) = (watch::Sender::new(opened_at), OnceLock::new());
        Feed { state, newest, opened_at, life }
    }

    pub(crate) fn opened_at(&self) -> Revision {
        self.opened_at
    }

    /// The first name that is offered stays.
    pub(crate) fn life_or(&self, offered: u64) -> u64 {
        *self.life.get_or_init(|| offered)
    }

    /// Wakes with every commit, and errs once the store is closed.
    pub(crate) fn newest(&self) -> watch::Receiver<Revision> {
        self.newest.subscribe()
    }

    /// Commits after a position, from the oldest on, as many as fit one answer.
    pub(crate) fn since(&self, life: u64, after: Option<Position>) -> Since {
        let state = self.lock();
        let newest = *self.newest.borrow();
        let known = after.map(|after| (Revision(after.revision), after.life == life));
        let Some(after) = known.and_then(|(after, same_life)| {
            // An earlier life ended no later than this one was opened.
            let same_history = same_life || after == self.opened_at;
            (same_history && (state.floor..=newest).contains(&after)).then_some(after)
        }) else {
            return Since::Begin(Position { life, revision: newest.0 });
        };
        let first = state.kept.partition_point(|commit| commit.revision <= after);
        let mut bytes = 0;
        let fits = |commit: &&Commit| {
            let begun = bytes;
            bytes += commit.bytes();
            begun < CHANGES_BYTES_MAX
        };
        Since::Commits(state.kept.range(first..).take_while(fits).cloned().collect())
    }

    /// For a copy of another process's feed: commits up to `at` are not known here.
    /// Who may have missed one is told to list again; where the copy begins another
    /// history, everybody is.
    pub(crate) fn restart(&self, at: Revision, other_history: bool) {
        let mut state = self.lock();
        state.kept.clear();
        state.kept_bytes = 0;
        state.floor = at;
        state.watchers.retain(|watcher| {
            let missed_nothing = !other_history && watcher.from >= at;
            if !missed_nothing {
                watcher.ended.set(Ended::Lagged);
            }
            missed_nothing
        });
        self.newest.send_replace(at);
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
        let (watch, ended) = Watch::open(backlog, queue);
        state.watchers.push(Watcher { prefix, from, queue: sender, ended });
        watch
    }

    pub(crate) fn publish(&self, revision: Revision, changed: Vec<Op>) {
        if !changed.is_empty() {
            let changes = changed.into_iter().map(Change::from).collect();
            self.publish_commit(Commit { revision, changes });
        }
    }

    pub(crate) fn publish_commit(&self, commit: Commit) {
        let mut state = self.lock();
        let newest = commit.revision;
        state.watchers.retain(|watcher| watcher.send(&commit));
        state.keep(commit);
        // Under the lock: revisions are told in their order.
        self.newest.send_replace(newest);
    }

    /// The state is whole between statements, so a panic elsewhere does not spoil it.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn keep(&mut self, commit: Commit) {
        self.kept_bytes += commit.bytes();
        self.kept.push_back(commit);
        while (self.kept.len() > COMMITS_KEPT_MAX || self.kept_bytes > KEPT_BYTES_MAX)
            && let Some(oldest) = self.kept.pop_front()
        {
            self.kept_bytes -= oldest.bytes();
            self.floor = oldest.revision;
        }
    }
}

impl Watcher {
    /// False where the watcher is gone or too slow.
    fn send(&self, commit: &Commit) -> bool {
        let wanted = (commit.revision > self.from).then(|| commit.under(&self.prefix));
        let Some(commit) = wanted.flatten() else {
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
