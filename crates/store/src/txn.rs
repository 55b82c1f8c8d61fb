//! A transaction: all preconditions hold and all operations happen, or none. The
//! meaning stands here once, over any ordered table; engines only keep bytes.

use std::{collections::BTreeSet, fmt};

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::{
    key::{Key, TypedKey},
    limits::{TRANSACTION_BYTES_MAX, TRANSACTION_PARTS_MAX, VALUE_BYTES_MAX},
    record::{self, RecordError, Value},
};

/// Grows by one with every transaction that changes something, over the whole store.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Revision(pub u64);

/// What must be so for a transaction to happen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Precondition {
    Exists(Key),
    Absent(Key),
    /// The key was last changed by exactly this revision.
    VersionIs(Key, Revision),
}

#[derive(Clone, PartialEq, Eq)]
pub enum Op {
    Put(Key, Bytes),
    /// Of an absent key: no change, no error.
    Delete(Key),
}

/// Preconditions and operations, built by chaining.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Transaction {
    pub preconditions: Vec<Precondition>,
    pub ops: Vec<Op>,
}

/// A stored value with the revision that last changed it.
#[derive(Clone, PartialEq, Eq)]
pub struct Entry {
    pub key: Key,
    pub value: Bytes,
    pub revision: Revision,
}

/// Why a transaction is refused before it is tried. A bug or a limit of the caller.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unacceptable {
    #[error("{parts} preconditions and operations, at most {TRANSACTION_PARTS_MAX} are allowed")]
    TooManyParts { parts: usize },
    #[error("the value of {key} has {bytes} bytes, at most {VALUE_BYTES_MAX} are allowed")]
    ValueTooLarge { key: Key, bytes: usize },
    #[error("keys and values have {bytes} bytes, at most {TRANSACTION_BYTES_MAX} are allowed")]
    TooLarge { bytes: usize },
    #[error("two operations on {key}")]
    TwoOps { key: Key },
    #[error(transparent)]
    Record(#[from] RecordError),
}

#[derive(Debug, thiserror::Error)]
pub enum TransactError {
    /// Nothing happened: a precondition on this key does not hold. Read and try again.
    #[error("a precondition on {key} does not hold")]
    Conflict { key: Key },
    /// Nothing happened.
    #[error("transaction refused")]
    Unacceptable(#[from] Unacceptable),
    /// Nothing happened: the engine failed before the commit (disk full, damage).
    #[error("the store could not apply the transaction: {detail}")]
    Failed { detail: String },
    /// It may or may not have happened: reading shows which. Where the disk did not
    /// confirm it, the store refuses writes until it is opened again.
    #[error("the store could not confirm the commit: {detail}")]
    Uncertain { detail: String },
    /// Nothing happened: there was no way to the process that has the store open.
    #[error("the process that has the store open does not answer")]
    Unreachable,
    #[error("the store is closed")]
    Closed,
}

#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    #[error("the store could not read {what}: {detail}")]
    Failed { what: String, detail: String },
    #[error("reading {key}")]
    Record {
        key: Key,
        #[source]
        source: RecordError,
    },
    #[error("the store could not read {what}: the process that has it open does not answer")]
    Unreachable { what: String },
    #[error("the store is closed")]
    Closed,
}

/// Values may hold secrets: only their sizes are shown.
impl fmt::Debug for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Op::Put(key, value) => write!(f, "Put({key}, {} bytes)", value.len()),
            Op::Delete(key) => write!(f, "Delete({key})"),
        }
    }
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {}: {} bytes", self.key, self.revision.0, self.value.len())
    }
}

impl Precondition {
    pub fn key(&self) -> &Key {
        match self {
            Precondition::Exists(key)
            | Precondition::Absent(key)
            | Precondition::VersionIs(key, _) => key,
        }
    }

    fn holds(&self, found: Option<Revision>) -> bool {
        match self {
            Precondition::Exists(_) => found.is_some(),
            Precondition::Absent(_) => found.is_none(),
            Precondition::VersionIs(_, revision) => found == Some(*revision),
        }
    }
}

impl Op {
    pub fn key(&self) -> &Key {
        match self {
            Op::Put(key, _) | Op::Delete(key) => key,
        }
    }

    pub(crate) fn bytes(&self) -> usize {
        match self {
            Op::Put(key, value) => key.as_str().len() + value.len(),
            Op::Delete(key) => key.as_str().len(),
        }
    }
}

impl Transaction {
    pub fn new() -> Transaction {
        Transaction::default()
    }

    #[must_use]
    pub fn require(mut self, precondition: Precondition) -> Transaction {
        self.preconditions.push(precondition);
        self
    }

    #[must_use]
    pub fn require_exists<T>(self, key: &TypedKey<T>) -> Transaction {
        self.require(Precondition::Exists(key.key().clone()))
    }

    #[must_use]
    pub fn require_absent<T>(self, key: &TypedKey<T>) -> Transaction {
        self.require(Precondition::Absent(key.key().clone()))
    }

    #[must_use]
    pub fn require_version<T>(self, key: &TypedKey<T>, revision: Revision) -> Transaction {
        self.require(Precondition::VersionIs(key.key().clone(), revision))
    }

    pub fn put<T: Value>(
        mut self,
        key: &TypedKey<T>,
        value: &T,
    ) -> Result<Transaction, RecordError> {
        self.ops.push(Op::Put(key.key().clone(), record::encode(value)?));
        Ok(self)
    }

    #[must_use]
    pub fn delete<T>(self, key: &TypedKey<T>) -> Transaction {
        self.delete_key(key.key().clone())
    }

    #[must_use]
    pub fn delete_key(mut self, key: Key) -> Transaction {
        self.ops.push(Op::Delete(key));
        self
    }

    /// Of all keys and values.
    fn bytes(&self) -> usize {
        let preconditions = self.preconditions.iter().map(|p| p.key().as_str().len());
        preconditions.sum::<usize>() + self.ops.iter().map(Op::bytes).sum::<usize>()
    }

    /// What no engine would accept is refused before it waits in a queue.
    pub(crate) fn check(&self) -> Result<(), Unacceptable> {
        let parts = self.preconditions.len() + self.ops.len();
        if parts > TRANSACTION_PARTS_MAX {
            return Err(Unacceptable::TooManyParts { parts });
        }
        let bytes = self.bytes();
        if bytes > TRANSACTION_BYTES_MAX {
            return Err(Unacceptable::TooLarge { bytes });
        }
        let mut keys = BTreeSet::new();
        for op in &self.ops {
            if !keys.insert(op.key()) {
                return Err(Unacceptable::TwoOps { key: op.key().clone() });
            }
            if let Op::Put(key, value) = op
                && value.len() > VALUE_BYTES_MAX
            {
                return Err(Unacceptable::ValueTooLarge { key: key.clone(), bytes: value.len() });
            }
        }
        Ok(())
    }
}

/// The table of an engine, inside its own transaction.
pub(crate) trait Table {
    type Error;
    fn revision_of(&self, key: &Key) -> Result<Option<Revision>, Self::Error>;
    fn put(&mut self, key: &Key, value: &Bytes, revision: Revision) -> Result<(), Self::Error>;
    fn delete(&mut self, key: &Key) -> Result<(), Self::Error>;
}

/// What came of a transaction that the engine could carry out.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The store is at this revision; each operation that changed something.
    Applied {
        revision: Revision,
        changed: Vec<Op>,
    },
    Conflict {
        key: Key,
    },
}

/// Applies a transaction to a table that stands at `last`.
pub(crate) fn apply<T: Table>(
    table: &mut T,
    last: Revision,
    transaction: Transaction,
) -> Result<Verdict, T::Error> {
    for precondition in &transaction.preconditions {
        let key = precondition.key();
        if !precondition.holds(table.revision_of(key)?) {
            return Ok(Verdict::Conflict { key: key.clone() });
        }
    }
    let revision = Revision(last.0 + 1);
    let mut changed = Vec::with_capacity(transaction.ops.len());
    for op in transaction.ops {
        match &op {
            Op::Put(key, value) => table.put(key, value, revision)?,
            Op::Delete(key) if table.revision_of(key)?.is_none() => continue,
            Op::Delete(key) => table.delete(key)?,
        }
        changed.push(op);
    }
    let revision = if changed.is_empty() { last } else { revision };
    Ok(Verdict::Applied { revision, changed })
}
