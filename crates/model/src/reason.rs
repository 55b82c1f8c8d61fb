//! Why a call was refused. A refusal carries exactly one reason, and reasons of
//! limits and reasons of capacity are disjoint (I27).

use serde::{Deserialize, Serialize};

use crate::time::Span;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Reason {
    // Limits: 429, the caller asks for more than was agreed.
    ConcurrentInvocationLimitExceeded,
    FunctionInvocationRateLimitExceeded,
    ReservedFunctionConcurrentInvocationLimitExceeded,
    ReservedFunctionInvocationRateLimitExceeded,
    CallerRateLimitExceeded,
    ConcurrentSnapshotCreateLimitExceeded,
    /// A tenant's own limit inside a function (A9, ours).
    TenantConcurrentInvocationLimitExceeded,
    /// A function has as many environments bound to tenants as it may (A9).
    TenantEnvironmentLimitExceeded,
    /// The environment that the call insists on is busy (A8, ours).
    AffinityBusy,
    // Capacity: 503, the installation has less than was agreed.
    /// No worker has room for the environment.
    NoCapacity,
    /// No manager answered in time.
    NoManager,
}

/// A refusal: one reason, and when to come again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Denied {
    pub reason: Reason,
    /// Time until asking again may help: zero where unknown, `Span(u64::MAX)` where
    /// waiting alone does not.
    pub retry_after: Span,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReasonKind {
    Limit,
    Capacity,
}

impl Reason {
    pub const fn kind(self) -> ReasonKind {
        match self {
            Reason::ConcurrentInvocationLimitExceeded
            | Reason::FunctionInvocationRateLimitExceeded
            | Reason::ReservedFunctionConcurrentInvocationLimitExceeded
            | Reason::ReservedFunctionInvocationRateLimitExceeded
            | Reason::CallerRateLimitExceeded
            | Reason::ConcurrentSnapshotCreateLimitExceeded
            | Reason::TenantConcurrentInvocationLimitExceeded
            | Reason::TenantEnvironmentLimitExceeded
            | Reason::AffinityBusy => ReasonKind::Limit,
            Reason::NoCapacity | Reason::NoManager => ReasonKind::Capacity,
        }
    }

    /// The word in the answer's `Reason`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Reason::ConcurrentInvocationLimitExceeded => "ConcurrentInvocationLimitExceeded",
            Reason::FunctionInvocationRateLimitExceeded => "FunctionInvocationRateLimitExceeded",
            Reason::ReservedFunctionConcurrentInvocationLimitExceeded => {
                "ReservedFunctionConcurrentInvocationLimitExceeded"
            }
            Reason::ReservedFunctionInvocationRateLimitExceeded => {
                "ReservedFunctionInvocationRateLimitExceeded"
            }
            Reason::CallerRateLimitExceeded => "CallerRateLimitExceeded",
            Reason::ConcurrentSnapshotCreateLimitExceeded => {
                "ConcurrentSnapshotCreateLimitExceeded"
            }
            Reason::TenantConcurrentInvocationLimitExceeded => {
                "TenantConcurrentInvocationLimitExceeded"
            }
            Reason::TenantEnvironmentLimitExceeded => "TenantEnvironmentLimitExceeded",
            Reason::AffinityBusy => "AffinityBusy",
            Reason::NoCapacity => "NoCapacity",
            Reason::NoManager => "NoManager",
        }
    }
}
