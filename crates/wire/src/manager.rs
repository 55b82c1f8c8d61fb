//! What frontends and workers say to a manager: concurrency leases from its
//! counter, environment leases from its book.

use std::sync::Arc;

use model::{
    AccountId, EnvId, Epoch, FrontendId, FunctionConfig, FunctionName, KeyHash, LeaseId, PoolKey,
    Reason, RequestId, Span, TenantId, VersionId, WorkerId,
};
use serde::{Deserialize, Serialize};

use crate::worker::StartFailure;

/// To the manager, with an answer.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum ManagerCall {
    Admit(Admit),
    Acquire(Acquire),
    /// What the counter and the book hold now, for operators and tests.
    Inspect,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum ManagerAnswer {
    Admitted {
        lease: LeaseId,
    },
    Denied(Denied),
    /// Nothing idle here, or no more calls of this account here.
    AskAnother,
    Granted(Grant),
    /// The environment that the call waited for could not be built.
    StartFailed(StartFailure),
    Inspection(Inspection),
}

/// To the manager, without an answer.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum ManagerNote {
    /// A concurrency lease ended.
    Return { lease: LeaseId },
    /// A frontend lives: all of its concurrency leases last on (I4).
    Renew { holder: FrontendId },
    /// An environment lease that was never started goes back.
    Unused { lease: LeaseId },
    /// From the worker: the call of this lease has begun.
    RunStarted { env: EnvId, lease: LeaseId },
    /// From the worker: free again.
    Idle { env: EnvId, epoch: Epoch },
    /// From the worker: it exists no longer.
    Gone { env: EnvId },
}

/// May one more call of this function run now?
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Admit {
    pub request: RequestId,
    pub account: AccountId,
    pub function: FunctionName,
    pub version: VersionId,
    pub tenant: Option<TenantId>,
    pub holder: FrontendId,
}

/// One environment for one call.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Acquire {
    pub request: RequestId,
    pub key: Arc<PoolKey>,
    pub hash: KeyHash,
    /// What a new environment would be built from.
    pub config: Arc<FunctionConfig>,
}

/// An environment lease.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Grant {
    pub env: EnvId,
    pub worker: WorkerId,
    pub lease: LeaseId,
    pub epoch: Epoch,
    /// No init was waited for.
    pub warm: bool,
}

/// A refusal: one reason, and when to come again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Denied {
    pub reason: Reason,
    pub retry_after: Span,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inspection {
    pub in_flight: u64,
    pub environments: u64,
    pub idle: u64,
    pub leases_granted: u64,
    pub leases_started: u64,
    pub leases_returned: u64,
    pub starts: u64,
}
