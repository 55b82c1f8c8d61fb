//! What roles say to each other about environments and the hosts under them: what
//! exists, who may use it for one call, and why one could not be made. The worker is
//! the authority on what exists; the rest are copies and hints.

use alloc::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::{
    affinity::AffinityAnswer,
    function::Architecture,
    ids::{EnvId, Epoch, LeaseId, WorkerId},
    pool_key::PoolKey,
};

/// One environment, as its worker tells of it. Which worker that is, its id says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hosted {
    pub env: EnvId,
    pub key: Arc<PoolKey>,
    /// The worker counts from here.
    pub epoch: Epoch,
    pub busy: bool,
}

/// What a host has for environments, in use or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Capacity {
    pub memory_mb: u64,
    pub slots: u32,
    pub architecture: Architecture,
}

/// An environment lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    pub env: EnvId,
    pub worker: WorkerId,
    pub lease: LeaseId,
    /// The worker refuses a lower one (I5). Grows by one with each grant.
    pub epoch: Epoch,
    /// False where this call waited for this environment's init.
    pub warm: bool,
    /// Where the call asked by affinity: whether it got what served its value before.
    pub affinity: Option<AffinityAnswer>,
}

/// Hints about one pool; they only steer (I7).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Load {
    pub idle: u32,
    pub busy: u32,
    pub starting: u32,
    pub waiting: u32,
}

/// Why an environment could not be made, as far as it matters to what is done next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Trouble {
    /// The user's init crashed or ran out of time: the caller gets the error, the
    /// create token stays spent.
    Init,
    /// The worker has less room than was thought.
    NoRoom,
    /// The platform failed: worker lost, code not fetched, sandbox not built.
    Platform,
}
