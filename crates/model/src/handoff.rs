//! What managers say to each other when keys move from one to another (A3), and the
//! predecessors that a call names. Who says what when is `decide::handoff`'s.

use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use crate::{
    affinity::KeptValue,
    environment::Hosted,
    ids::{ManagerId, RingVersion},
    payload::Digest,
    pool_key::KeyHash,
};

/// What one manager says to another.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Word {
    Ask(Ask),
    Answer {
        hash: KeyHash,
        given: Given,
    },
    /// It became idle after the answer, and belongs to the one that is told.
    Offer(Moved),
    /// Give me the environment of this value: its calls come to me now (A8). An idle one
    /// comes as an offer.
    AskValue {
        hash: KeyHash,
        value: Digest,
    },
    /// Why it does not come.
    ValueAt {
        hash: KeyHash,
        value: Digest,
        at: ValuePlace,
    },
}

/// Where the environment of a value is that is not given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ValuePlace {
    Nowhere,
    /// It stays until it is free.
    Busy,
    /// It went there.
    With(ManagerId),
}

/// An environment that belongs to the one who is told, and the values whose calls it
/// served.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Moved {
    pub hosted: Hosted,
    pub values: Vec<KeptValue>,
}

/// Give me environments of this key: I own it now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ask {
    pub hash: KeyHash,
    /// The version that made the asker the owner.
    pub by: RingVersion,
    /// No more than so many.
    pub max: u32,
    /// Owners that share what there is; 0: whatever is needed.
    pub askers: u16,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Given {
    /// They belong to the asker already. `more`: there are idle ones left.
    Envs {
        moved: Vec<Moved>,
        more: bool,
    },
    Empty,
    /// Too many questions: nothing now, perhaps later.
    Busy,
}

/// A manager to ask when the asked one misses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pred {
    pub manager: ManagerId,
    /// Asked together; a lower number first.
    pub tier: u8,
    /// Owners that it has to share its environments between; 0: it gives what is
    /// asked for.
    pub askers: u16,
}
