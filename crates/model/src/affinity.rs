//! Affinity: a call that wants the environment which served its value before (A8).
//! A kept environment is a cache, never a promise, so that each answer says
//! whether it is the same one.

use serde::{Deserialize, Serialize};

use crate::{payload::Digest, time::Span};

/// What a call does where its environment is busy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum WhenBusy {
    /// In the order of arrival, for so long; then it is refused.
    Wait(Span),
    /// It runs in any environment of the pool; the value keeps its own.
    Overflow,
    Reject,
}

/// What makes a call's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Source {
    /// The header that the caller sends; without it the call has no value.
    Header,
    /// Who calls, whatever is sent.
    Principal,
}

/// What a user sets for one function.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Affinity {
    pub source: Source,
    pub when_busy: WhenBusy,
    pub ttl: Span,
}

/// What a call asks for beside its pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AffinityAsk {
    /// SHA-256 over the authenticated principal and the value, so that nobody's
    /// value selects what another's selected.
    pub value: Digest,
    pub when_busy: WhenBusy,
    /// How long the value keeps its environment after its last call.
    pub ttl: Span,
}

/// What the caller is told (I25).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum AffinityAnswer {
    /// Nothing of earlier calls with this value is there.
    New,
    /// The environment of the value's earlier calls.
    Kept,
}

impl AffinityAnswer {
    /// The word of the answer's header.
    pub const fn as_str(self) -> &'static str {
        match self {
            AffinityAnswer::New => "new",
            AffinityAnswer::Kept => "kept",
        }
    }
}

/// A value that an environment served, on its way to another manager with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptValue {
    pub value: Digest,
    pub ttl: Span,
    /// Time until it is forgotten.
    pub left: Span,
    /// The higher of two for one value is the newer.
    pub seq: u64,
}
