//! What frontends and a counter say to each other about blocks of a large account's
//! slots, and what a manager gives another of a function's create bucket (A6). Of slots both say whole states under a number that grows, so that lost, repeated and
//! late messages do no harm.

use serde::{Deserialize, Serialize};

use crate::{ids::AccountId, time::Span};

/// What a frontend holds of an account and how many slots more it wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlockAsk {
    pub account: AccountId,
    /// Grows with every question of the frontend about the account.
    pub seq: u64,
    pub held: u32,
    pub want: u32,
}

/// What a frontend has of an account from now on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lent {
    pub account: AccountId,
    /// Of the question that it answers.
    pub seq: u64,
    /// Slots that the frontend has now, those it held included.
    pub slots: u32,
    /// Slots that are lent at a time; absent where the account is counted exactly.
    pub block: Option<u32>,
    /// Somebody got less than it wanted: unused slots should come back at once.
    pub pressed: bool,
    /// What the account may have in flight, and the frontends that share it.
    pub limit: u32,
    pub frontends: u32,
}

/// Create tokens: at most as many as were wanted, and where they are fewer, the time
/// until there is one more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokensGiven {
    pub given: u32,
    pub wait: Span,
}
