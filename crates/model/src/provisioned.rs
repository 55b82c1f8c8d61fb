//! What is stored about provisioned concurrency: what a user asked for, and what
//! the provisioning controller made of it. Two records, each with one writer.

use serde::{Deserialize, Serialize};

use crate::{
    function::FunctionConfig,
    ids::{Epoch, RingVersion},
    pool_key::{Class, PoolKey},
};

/// What a user asked for. Deleted with the user's word, while environments may live
/// on for a while.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProvisionedConfig {
    /// At least 1.
    pub requested: u32,
    /// Milliseconds since the Unix epoch.
    pub modified_ms: u64,
}

/// The controller's word about one set. It outlives the user's configuration until
/// nothing of the set is left, so that what drains stays findable.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProvisionedSet {
    pub key: PoolKey,
    /// Of the targets in force; grows (I6).
    pub epoch: Epoch,
    /// The ring version on which the arc is computed.
    pub ring: RingVersion,
    pub limit: u32,
    /// Where the arc starts, its size for the limit, and the size of the arc in which
    /// environments may be found.
    pub start: u64,
    pub size: u16,
    pub wide: u16,
    pub status: ProvisionedStatus,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProvisionedStatus {
    /// The limit that the numbers are about.
    pub requested: u32,
    pub allocated: u32,
    pub available: u32,
    pub state: ProvisionedState,
    pub cause: Option<ProvisionedCause>,
}

/// What a version's set is to its account's counter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProvisionedCharge {
    /// What was asked for: calls within it come at most ten a second for each unit.
    pub limit: u32,
    /// What it takes of the account's concurrency; more than the limit while it drains.
    pub charged: u32,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum ProvisionedState {
    #[default]
    InProgress,
    Ready,
    Failed,
}

/// Why a set has fewer environments than it should.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ProvisionedCause {
    /// The user's init fails.
    Init,
    /// No worker has room; it is tried again.
    NoCapacity,
    /// The platform failed; it is tried again.
    Platform,
}

impl PoolKey {
    /// The key of a version's provisioned environments on plain hardware.
    pub fn provisioned(config: &FunctionConfig) -> PoolKey {
        PoolKey { class: Class::Provisioned, ..PoolKey::of(config) }
    }
}
