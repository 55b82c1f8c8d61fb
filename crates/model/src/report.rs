//! `ExecutionReport`: what one run of a handler came to, with an error class and
//! the arm it ran on. It feeds the log line, metrics and rollout verdicts.

use alloc::string::String;

use serde::{Deserialize, Serialize};

use crate::{
    ids::{EnvId, RequestId},
    time::Span,
};

/// Which target of a rollout ran the call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Arm {
    #[default]
    Old,
    New,
}

/// How a run ended, told apart by who has to act on it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ErrorClass {
    None,
    /// The handler returned an error.
    Handler,
    /// The code could not be initialised.
    Init,
    /// The handler ran longer than the function's timeout.
    Timeout,
    /// More memory than configured.
    OutOfMemory,
    /// The runtime process ended by itself.
    Exit,
    /// The response was larger than allowed.
    ResponseTooLarge,
    /// The platform failed; the user is not charged.
    Platform(String),
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExecutionReport {
    pub request: RequestId,
    pub env: EnvId,
    pub class: ErrorClass,
    pub arm: Arm,
    pub duration: Span,
    pub billed: Span,
    /// Present when this run waited for, or was the first after, an init.
    pub init: Option<Span>,
    pub memory_mb: u32,
    pub memory_used_mb: u32,
}
