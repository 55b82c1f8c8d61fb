//! What processes ask of the one that has the metadata open, and its answers. Keys are
//! text here: only `store` knows which exist. Errors are data, and each says whether
//! something may have happened. There are no notes.

use std::fmt;

use bytes::Bytes;
use model::{Epoch, Span};
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum StoreCall {
    Get {
        key: String,
    },
    /// Keys under a prefix in order, those after `after`.
    List {
        prefix: String,
        after: Option<String>,
        limit: u32,
    },
    /// All preconditions hold and all operations happen, or none.
    Transact {
        preconditions: Vec<Precondition>,
        ops: Vec<Op>,
    },
    /// Commits after a position, as soon as there are any; none after a while, to be
    /// asked again. Without a position: where to begin, at once.
    Changes {
        after: Option<Position>,
    },
    Lease {
        name: String,
        holder: String,
        wish: Wish,
    },
}

/// What a holder wants of a lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Wish {
    Grant { ttl: Span },
    Renew { epoch: Epoch, ttl: Span },
    Release { epoch: Epoch },
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum StoreAnswer {
    Found(Option<Entry>),
    Listed(Page),
    /// Durable; the store's revision then.
    Committed {
        revision: u64,
    },
    Changed {
        life: u64,
        commits: Vec<Commit>,
    },
    /// Not all commits after the asked position are known; those after this one are.
    Begin(Position),
    /// The lease's epoch, and the revision that wrote it.
    Granted {
        epoch: Epoch,
        revision: u64,
    },
    /// For so long, which may be less than was asked for.
    Renewed {
        ttl: Span,
    },
    Released,
    Refused(Refusal),
}

/// How far somebody knows the commits of a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// From one opening of the store to its end; a revision of another life may be of
    /// another history.
    pub life: u64,
    pub revision: u64,
}

/// Bytes that may be secret: only their number is shown.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Value(pub Bytes);

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Precondition {
    Exists(String),
    Absent(String),
    /// The key was last changed by exactly this revision.
    VersionIs(String, u64),
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Op {
    Put(String, Value),
    Delete(String),
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    pub key: String,
    pub value: Value,
    pub revision: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Page {
    pub entries: Vec<Entry>,
    pub revision: u64,
    pub more: bool,
}

/// What one transaction changed, in the order of its operations.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Commit {
    pub revision: u64,
    pub changes: Vec<Op>,
}

/// Why a call was not answered with what it asked for. Nothing happened, unless it
/// says so.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Refusal {
    /// A precondition on this key does not hold.
    Conflict {
        key: String,
    },
    /// No store would do it: a fault of the caller.
    Unacceptable {
        detail: String,
    },
    Failed {
        detail: String,
    },
    /// It may or may not have happened.
    Uncertain {
        detail: String,
    },
    /// The store is being closed; ask again.
    Closed,
    /// Somebody holds the lease, for so long.
    Held {
        holder: String,
        left: Span,
    },
    /// The lease ran out, or someone else was granted it.
    Lost,
    TooManyLeases,
}
