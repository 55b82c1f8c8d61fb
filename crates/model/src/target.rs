//! How a manager's share of a provisioned set is doing, as it tells the provisioning
//! controller.

use serde::{Deserialize, Serialize};

use crate::{environment::Trouble, ids::Epoch, pool_key::KeyHash};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TargetReport {
    pub hash: KeyHash,
    pub epoch: Epoch,
    pub share: u32,
    /// Environments that exist: busy and idle.
    pub envs: u32,
    pub busy: u32,
    pub idle: u32,
    pub starting: u32,
    /// Starts that failed since the target was set.
    pub failed: u32,
    pub effort: Effort,
}

/// What a manager does about what a target lacks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Effort {
    Going,
    /// Waits a while before it tries again.
    Retrying(Trouble),
    /// The user's init failed too often: nothing until the target is set anew.
    GivenUp,
}
