//! What managers and frontends say to a worker: build an environment, retire one,
//! run one invocation in one.

use std::sync::Arc;

use bytes::Bytes;
use model::{
    AccountId, Capacity, EnvId, Epoch, ExecutionReport, FunctionConfig, FunctionName, Hosted,
    LeaseId, ManagerId, PayloadRef, PoolKey, RequestId, Span, TenantId,
};
use serde::{Deserialize, Serialize};

/// To the worker, with an answer.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum WorkerCall {
    Start(Start),
    Run(Box<Run>),
    ReadLogs(ReadLogs),
    /// What the worker offers, and all that it hosts for this manager.
    List {
        manager: ManagerId,
    },
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum WorkerAnswer {
    /// The environment exists. An init that failed is the first run's to tell.
    Started(Started),
    /// The environment could not be built.
    StartFailed(StartFailure),
    /// The invocation ended; its response bytes travel beside.
    Ran(Box<Ran>),
    /// Refused without running anything: the epoch is old (I5), or the
    /// environment is gone or busy (I1).
    Refused(Refusal),
    Listed(Listed),
    Logs(LogLines),
    LogsUnreadable {
        message: String,
    },
}

/// To the worker, without an answer.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum WorkerNote {
    /// From its owner. Who is not is told that it is gone.
    Retire { env: EnvId, epoch: Epoch, from: ManagerId },
    /// From its owner: another manager is to be it, where the environment is free and
    /// no epoch above this one was seen (A3). Grants of this epoch and below are
    /// refused from then on (I5).
    Transfer { env: EnvId, epoch: Epoch, from: ManagerId, to: ManagerId },
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Start {
    /// Who owns the environment and hears of it.
    pub manager: ManagerId,
    pub key: Arc<PoolKey>,
    pub config: Arc<FunctionConfig>,
    pub epoch: Epoch,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Started {
    pub env: EnvId,
    /// Where this environment's grants begin to count.
    pub epoch: Epoch,
    pub init: Span,
}

/// A worker as a manager needs to know it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Listed {
    pub capacity: Capacity,
    pub envs: Vec<Hosted>,
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
    /// Nobody waited for the environment's init: it is no part of this call.
    pub warm: bool,
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

/// Why an environment could not be built, told apart by who has to act.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum StartFailure {
    /// The host has no such runtime, or may not use another version.
    InvalidRuntime { message: String },
    /// The code has no program to start.
    InvalidEntryPoint { message: String },
    /// The function's own init failed, of an environment that is made ahead of calls.
    InitFailed { message: String },
    /// The host has less room than the manager thought.
    NoRoom,
    /// The platform failed.
    Platform { message: String },
}

/// Log lines of a function from a position on.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ReadLogs {
    pub account: AccountId,
    pub function: FunctionName,
    pub after: u64,
    pub bytes_max: u64,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LogLines {
    /// One JSON object per line: `t` epoch milliseconds, `s` stream, `m` message.
    pub lines: Bytes,
    /// The position after them.
    pub next: u64,
}
