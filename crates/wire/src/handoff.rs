//! What managers say to each other when keys move from one to another (A3), and how
//! predecessors travel with a call. The meaning is `decide::handoff`'s; an
//! environment is named with its worker in it.

use model::{KeyHash, ManagerId, RingVersion};
use serde::{Deserialize, Serialize};

use crate::worker::Hosted;

#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Word {
    Ask(Ask),
    Answer {
        hash: KeyHash,
        given: Given,
    },
    /// It became idle after the answer, and belongs to the one that is told.
    Offer(Hosted),
}

/// Give me environments of this key: I own it now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ask {
    pub hash: KeyHash,
    pub by: RingVersion,
    pub max: u32,
    /// Owners that share what there is; 0: whatever is needed.
    pub askers: u16,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Given {
    /// They belong to the asker already. `more`: there are idle ones left.
    Envs {
        moved: Vec<Hosted>,
        more: bool,
    },
    Empty,
    Busy,
}

/// A manager to ask when the asked one misses; lower tiers first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pred {
    pub manager: ManagerId,
    pub tier: u8,
    pub askers: u16,
}
