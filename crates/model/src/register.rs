//! How wide a client's set of managers is, as frontends and managers tell each other
//! (A7). Two that meet hold the same one afterwards, in whatever order they met.

use serde::{Deserialize, Serialize};

use crate::ids::{AccountId, Epoch, FrontendId};

/// The size of a client's set, as it travels between frontends and managers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Register {
    pub epoch: Epoch,
    /// Breaks ties between two writers of one epoch.
    pub writer: FrontendId,
    pub size: u16,
}

impl Register {
    /// The one both sides hold after they met. Associative, commutative, idempotent.
    #[must_use]
    pub fn join(self, other: Register) -> Register {
        self.max(other)
    }
}

/// What one frontend tells another of a client's set (A7).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientSize {
    /// Where the client's arc starts, and whose calls it serves.
    pub start: u64,
    pub account: AccountId,
    pub register: Register,
}
