//! The engine of the simulator and of tests: the same meaning, in memory, without
//! threads, so that the same calls give the same answers in the same order.

use std::{
    collections::BTreeMap,
    ops::Bound,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;

use crate::{
    feed::Feed,
    key::{Key, Prefix},
    page::{Filling, Page},
    txn::{self, Entry, Revision, Table, TransactError, Transaction, Verdict},
};

#[derive(Debug)]
pub(crate) struct Memory {
    state: Mutex<State>,
    feed: Arc<Feed>,
}

#[derive(Debug, Default)]
struct State {
    entries: Entries,
    revision: Revision,
}

#[derive(Debug, Default)]
struct Entries(BTreeMap<Key, (Bytes, Revision)>);

impl Memory {
    pub(crate) fn new(feed: Arc<Feed>) -> Memory {
        Memory { state: Mutex::default(), feed }
    }

    pub(crate) fn transact(&self, transaction: Transaction) -> Result<Revision, TransactError> {
        let mut state = self.lock();
        let last = state.revision;
        let verdict = txn::apply(&mut state.entries, last, transaction);
        match verdict.unwrap_or_else(|never| match never {}) {
            Verdict::Conflict { key } => Err(TransactError::Conflict { key }),
            Verdict::Applied { revision, changed } => {
                state.revision = revision;
                // Under the lock: commits reach watchers in their order.
                self.feed.publish(revision, changed);
                Ok(revision)
            }
        }
    }

    pub(crate) fn get(&self, key: &Key) -> Option<Entry> {
        let state = self.lock();
        state.entries.0.get(key).map(|held| entry(key, held))
    }

    pub(crate) fn list(&self, prefix: &Prefix, after: Option<&Key>, limit: usize) -> Page {
        let state = self.lock();
        let from = match after {
            Some(key) if key.as_str() >= prefix.as_str() => Bound::Excluded(key.as_str()),
            Some(_) | None => Bound::Included(prefix.as_str()),
        };
        let found = state.entries.0.range::<str, _>((from, Bound::Unbounded));
        let mut page = Filling::new(state.revision, limit);
        for (key, held) in found.take_while(|(key, _)| prefix.holds(key)) {
            if !page.take(entry(key, held)) {
                break;
            }
        }
        page.done()
    }

    /// `apply` changes nothing before its last check, so the state is always whole.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn entry(key: &Key, (value, revision): &(Bytes, Revision)) -> Entry {
    Entry { key: key.clone(), value: value.clone(), revision: *revision }
}

impl Table for Entries {
    type Error = std::convert::Infallible;

    fn revision_of(&self, key: &Key) -> Result<Option<Revision>, Self::Error> {
        Ok(self.0.get(key).map(|(_, revision)| *revision))
    }

    fn put(&mut self, key: &Key, value: &Bytes, revision: Revision) -> Result<(), Self::Error> {
        self.0.insert(key.clone(), (value.clone(), revision));
        Ok(())
    }

    fn delete(&mut self, key: &Key) -> Result<(), Self::Error> {
        self.0.remove(key);
        Ok(())
    }
}

/// Lets a map of keys be searched from a prefix, which is no key.
impl std::borrow::Borrow<str> for Key {
    fn borrow(&self) -> &str {
        self.as_str()
    }
}
