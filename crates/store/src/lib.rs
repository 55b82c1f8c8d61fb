//! Metadata: what functions, versions, settings and credentials exist, and who
//! holds which lease. `transact`, `get`, `list`, `watch` and `lease` over an
//! engine: the embedded one (SQLite), memory (simulator, tests), or another process
//! that has one open and `serve`s it.
//!
//! The wall: what a value means is known to `model` only; the store orders keys,
//! compares revisions and keeps bytes. Every key is named in `schema`. Time is an
//! argument; only between processes a clock bounds how long is waited. Not on the path of an invoke; roles there hold a
//! watched cache.

pub mod follow;
pub mod key;
pub mod lease;
pub mod limits;
pub mod record;
pub mod schema;
pub mod settings;
pub mod sqlite;
pub mod txn;
pub mod watch;

mod feed;
mod memory;
mod page;
mod remote;
mod serve;
mod store;
mod translate;

pub use follow::{Follow, FollowError, Followed};
pub use key::{Key, Prefix, TypedKey, TypedPrefix};
pub use lease::{Lease, LeaseError, LeaseName};
pub use page::Page;
pub use record::{RecordError, Value};
pub use remote::StoreCaller;
pub use serve::{StoreInbox, serve};
pub use settings::{AccessKeyId, AccountLimits, Credential, Installation};
pub use sqlite::OpenError;
pub use store::{Found, FoundPage, Store};
pub use txn::{
    Entry, Op, Precondition, ReadError, Revision, TransactError, Transaction, Unacceptable,
};
pub use watch::{Change, Commit, Ended, Watch};
