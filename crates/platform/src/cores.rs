//! Cores of this host: which one a caller's bytes came from, and where the thread
//! that serves runs. Invariant: a thread is only ever held to a core that it was
//! given, and whoever sets its cores from outside has the last word.

mod caller;
mod nearness;
mod seat;

pub use caller::{CallerCore, Traced};
pub use nearness::{Change, LONG, Nearness};
pub use rustix::thread::CpuSet;
pub use seat::{allowed, answered, begin_free, called, held, let_go, told};

/// The core this thread runs on now.
pub fn here() -> usize {
    rustix::thread::sched_getcpu()
}

/// One core as a set.
pub fn only(core: usize) -> CpuSet {
    let mut set = CpuSet::new();
    set.set(core);
    set
}
