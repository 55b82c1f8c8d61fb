//! The rows, one file per group. Each measures ours and its floors by turns, so
//! that both meet the same machine.

pub(crate) mod burst;
pub(crate) mod cold;
pub(crate) mod decide;
pub(crate) mod launch;
pub(crate) mod payload;
pub(crate) mod processes;
pub(crate) mod rings;
pub(crate) mod start;
pub(crate) mod throughput;
pub(crate) mod trace;
pub(crate) mod warm;
