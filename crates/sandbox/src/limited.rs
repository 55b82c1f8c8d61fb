//! Limits that this host cannot enforce, named so that nobody takes a sandbox for
//! stronger than it is. Found by the cgroup driver and the stock of scratch, shown by the worker and doctor.

use serde::{Deserialize, Serialize};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Limit {
    Memory,
    Cpu,
    Pids,
    Freeze,
    GroupKill,
    Scratch,
}

/// A limit without enforcement and the reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MissingLimit {
    pub limit: Limit,
    pub reason: String,
}

impl Limit {
    pub fn name(self) -> &'static str {
        match self {
            Limit::Memory => "memory limit",
            Limit::Cpu => "CPU share",
            Limit::Pids => "limit of processes",
            Limit::Freeze => "freezing of idle sandboxes",
            Limit::GroupKill => "kill as one group",
            Limit::Scratch => "scratch on disk",
        }
    }

    /// What the operator has to live with.
    pub fn consequence(self) -> &'static str {
        match self {
            Limit::Memory => "no memory limit enforced: a function can use all memory of this host",
            Limit::Cpu => "no CPU share enforced: a function can use every CPU",
            Limit::Pids => "only RLIMIT_NPROC bounds the number of processes",
            Limit::Freeze => "idle functions keep running in the background",
            Limit::GroupKill => "sandboxes are killed through their PID namespace instead",
            Limit::Scratch => "files in /tmp count against the memory limit of the function",
        }
    }
}
