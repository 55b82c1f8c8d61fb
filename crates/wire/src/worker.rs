//! What managers and frontends say to a worker: build an environment, retire one,
//! run one invocation in one.

use std::sync::Arc;

use bytes::Bytes;
use model::{
    EnvId, Epoch, ExecutionReport, FunctionConfig, LeaseId, PayloadRef, PoolKey, RequestId, Span,
    TenantId,
};
use serde::{Deserialize, Serialize};

/// To the worker, with an answer.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum WorkerCall {
    Start(Start),
    Run(Box<Run>),
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum WorkerAnswer {
    /// The environment exists. An init that failed is the first run's to tell.
    Started(Started),
    /// The environment could not be built.
    StartFailed { message: String },
    /// The invocation ended; its response bytes travel beside.
    Ran(Box<Ran>),
    /// Refused without running anything: the epoch is old (I5), or the
    /// environment is gone or busy (I1).
    Refused(Refusal),
}

/// To the worker, without an answer.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum WorkerNote {
    Retire { env: EnvId, epoch: Epoch },
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Start {
    pub key: Arc<PoolKey>,
    pub config: Arc<FunctionConfig>,
    pub epoch: Epoch,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Started {
    pub env: EnvId,
    pub init: Span,
}

/// One invocation.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Run {
    pub env: EnvId,
    pub lease: LeaseId,
    pub epoch: Epoch,
    pub request: RequestId,
    pub payload: PayloadRef,
    /// The ARN as the caller's qualifier makes it.
    pub invoked_arn: Arc<str>,
    pub trace_id: Option<String>,
    /// JSON text, decoded from the header.
    pub client_context: Option<String>,
    pub tenant: Option<TenantId>,
    /// The caller wants the last 4 KiB of log.
    pub tail: bool,
}

/// How an invocation went.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Ran {
    pub report: ExecutionReport,
    /// `Unhandled`, where the function failed; the body is then the error's JSON.
    pub function_error: bool,
    pub payload: PayloadRef,
    pub log_tail: Option<Bytes>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Refusal {
    OldEpoch,
    NoSuchEnvironment,
    Busy,
}
