//! The store's words as `wire` has them, and back. What comes in may be of a faulty
//! peer: a key that cannot be is an error, never a panic.

use model::Now;
use wire::store as wired;
use wired::Refusal;

use crate::{
    key::{Key, Prefix},
    lease::LeaseError,
    limits::KEY_BYTES_MAX,
    page::Page,
    txn::{Entry, Op, Precondition, ReadError, Revision, TransactError, Transaction},
    watch::{Change, Commit},
};

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a key or prefix has no bytes, or more than {KEY_BYTES_MAX}")]
pub struct Malformed;

pub(crate) fn key(text: String) -> Result<Key, Malformed> {
    Key::stored(text).ok_or(Malformed)
}

pub(crate) fn prefix(text: String) -> Result<Prefix, Malformed> {
    if text.len() > KEY_BYTES_MAX { Err(Malformed) } else { Ok(Prefix::new(text)) }
}

fn text(key: &Key) -> String {
    key.as_str().to_owned()
}

fn all<T, U: TryFrom<T>>(from: Vec<T>) -> Result<Vec<U>, U::Error> {
    from.into_iter().map(U::try_from).collect()
}

fn all_out<T, U: From<T>>(from: Vec<T>) -> Vec<U> {
    from.into_iter().map(U::from).collect()
}

pub(crate) fn transact(transaction: Transaction) -> wired::StoreCall {
    wired::StoreCall::Transact {
        preconditions: all_out(transaction.preconditions),
        ops: all_out(transaction.ops),
    }
}

pub(crate) fn transaction(
    preconditions: Vec<wired::Precondition>,
    ops: Vec<wired::Op>,
) -> Result<Transaction, Malformed> {
    Ok(Transaction { preconditions: all(preconditions)?, ops: all(ops)? })
}

pub(crate) fn commits(commits: Vec<wired::Commit>) -> Result<Vec<Commit>, Malformed> {
    all(commits)
}

impl From<Precondition> for wired::Precondition {
    fn from(precondition: Precondition) -> Self {
        match precondition {
            Precondition::Exists(key) => Self::Exists(text(&key)),
            Precondition::Absent(key) => Self::Absent(text(&key)),
            Precondition::VersionIs(key, revision) => Self::VersionIs(text(&key), revision.0),
        }
    }
}

impl TryFrom<wired::Precondition> for Precondition {
    type Error = Malformed;
    fn try_from(precondition: wired::Precondition) -> Result<Self, Malformed> {
        Ok(match precondition {
            wired::Precondition::Exists(text) => Self::Exists(key(text)?),
            wired::Precondition::Absent(text) => Self::Absent(key(text)?),
            wired::Precondition::VersionIs(text, at) => Self::VersionIs(key(text)?, Revision(at)),
        })
    }
}

impl From<Op> for wired::Op {
    fn from(op: Op) -> Self {
        match op {
            Op::Put(key, value) => Self::Put(text(&key), wired::Value(value)),
            Op::Delete(key) => Self::Delete(text(&key)),
        }
    }
}

impl TryFrom<wired::Op> for Op {
    type Error = Malformed;
    fn try_from(op: wired::Op) -> Result<Self, Malformed> {
        Ok(match op {
            wired::Op::Put(text, value) => Self::Put(key(text)?, value.0),
            wired::Op::Delete(text) => Self::Delete(key(text)?),
        })
    }
}

impl From<Entry> for wired::Entry {
    fn from(entry: Entry) -> Self {
        let (key, value) = (text(&entry.key), wired::Value(entry.value));
        Self { key, value, revision: entry.revision.0 }
    }
}

impl TryFrom<wired::Entry> for Entry {
    type Error = Malformed;
    fn try_from(entry: wired::Entry) -> Result<Self, Malformed> {
        let (key, revision) = (key(entry.key)?, Revision(entry.revision));
        Ok(Self { key, value: entry.value.0, revision })
    }
}

impl From<Page> for wired::Page {
    fn from(page: Page) -> Self {
        Self { entries: all_out(page.entries), revision: page.revision.0, more: page.more }
    }
}

impl TryFrom<wired::Page> for Page {
    type Error = Malformed;
    fn try_from(page: wired::Page) -> Result<Self, Malformed> {
        let (entries, revision) = (all(page.entries)?, Revision(page.revision));
        Ok(Self { entries, revision, more: page.more })
    }
}

impl From<Commit> for wired::Commit {
    fn from(commit: Commit) -> Self {
        let changes = commit.changes.into_iter().map(|Change { key, value }| match value {
            Some(value) => wired::Op::Put(text(&key), wired::Value(value)),
            None => wired::Op::Delete(text(&key)),
        });
        Self { revision: commit.revision.0, changes: changes.collect() }
    }
}

impl TryFrom<wired::Commit> for Commit {
    type Error = Malformed;
    fn try_from(commit: wired::Commit) -> Result<Self, Malformed> {
        let changes = commit.changes.into_iter().map(|op| Op::try_from(op).map(Change::from));
        let changes = changes.collect::<Result<_, _>>()?;
        Ok(Self { revision: Revision(commit.revision), changes })
    }
}

impl From<Malformed> for Refusal {
    fn from(malformed: Malformed) -> Refusal {
        Refusal::Unacceptable { detail: malformed.to_string() }
    }
}

impl From<TransactError> for Refusal {
    fn from(error: TransactError) -> Refusal {
        match error {
            TransactError::Conflict { key } => Refusal::Conflict { key: text(&key) },
            TransactError::Unacceptable(why) => Refusal::Unacceptable { detail: why.to_string() },
            TransactError::Failed { detail } => Refusal::Failed { detail },
            TransactError::Uncertain { detail } => Refusal::Uncertain { detail },
            TransactError::Unreachable | TransactError::Closed => Refusal::Closed,
        }
    }
}

impl From<ReadError> for Refusal {
    fn from(error: ReadError) -> Refusal {
        match error {
            ReadError::Failed { detail, .. } => Refusal::Failed { detail },
            ReadError::Record { .. } => Refusal::Failed { detail: error.to_string() },
            ReadError::Unreachable { .. } | ReadError::Closed => Refusal::Closed,
        }
    }
}

pub(crate) fn lease_refusal(error: LeaseError, now: Now) -> Refusal {
    match error {
        LeaseError::Held { holder, until, .. } => Refusal::Held { holder, left: until.since(now) },
        LeaseError::Lost { .. } => Refusal::Lost,
        LeaseError::TooMany => Refusal::TooManyLeases,
        LeaseError::Write { source, .. } => source.into(),
        LeaseError::Read { source, .. } => source.into(),
        LeaseError::Unreachable { .. } => Refusal::Closed,
    }
}
