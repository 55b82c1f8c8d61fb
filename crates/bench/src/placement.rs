//! Where the processes of a warm call run. Which core the next process wakes on
//! costs more than any code and is the scheduler's mood, so warm calls are also
//! measured with ours and the floors held to the same cores.

use std::{cell::Cell, fs};

use anyhow::Context;
use rustix::{
    io::Errno,
    process::Pid,
    thread::{CpuSet, sched_getaffinity, sched_setaffinity},
};

use crate::tree;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Placement {
    /// As the scheduler likes.
    Free,
    /// The generator, the platform and the runtimes share one core.
    OneCore,
    /// The generator has a core of its own.
    Apart,
}

pub(crate) const PLACEMENTS: [Placement; 3] =
    [Placement::Free, Placement::OneCore, Placement::Apart];

impl Placement {
    pub(crate) fn suffix(self) -> &'static str {
        match self {
            Placement::Free => "",
            Placement::OneCore => ", one core",
            Placement::Apart => ", generator apart",
        }
    }
}

/// The cores this process was given at its start.
#[derive(Debug)]
pub(crate) struct Cores {
    all: CpuSet,
    numbers: Vec<usize>,
    /// Something was held to a core here: until then, freedom is left as it is, for
    /// the platform places threads of its own.
    placed: Cell<bool>,
}

impl Cores {
    pub(crate) fn given() -> anyhow::Result<Cores> {
        let all = sched_getaffinity(None).context("asking for this process's cores")?;
        let numbers = (0..CpuSet::MAX_CPU).filter(|core| all.is_set(*core)).collect();
        Ok(Cores { all, numbers, placed: Cell::new(false) })
    }

    /// Says whether there are cores enough; nothing is moved where there are not.
    pub(crate) fn place(&self, placement: Placement) -> anyhow::Result<bool> {
        let at = |index: usize| self.numbers.get(index).map(|core| only(*core));
        let pair = match placement {
            Placement::Free => Some((self.all, self.all)),
            Placement::OneCore => at(0).zip(at(0)),
            Placement::Apart => at(0).zip(at(1)),
        };
        let Some((generator, others)) = pair else { return Ok(false) };
        if placement == Placement::Free && !self.placed.get() {
            return Ok(true);
        }
        self.placed.set(placement != Placement::Free);
        let own = std::process::id();
        set(own, &generator)?;
        for pid in tree::descendants(own) {
            set(pid, &others)?;
        }
        Ok(true)
    }
}

impl Drop for Cores {
    fn drop(&mut self) {
        if let Err(error) = self.place(Placement::Free) {
            eprintln!("bench: processes may still be held to some cores: {error:#}");
        }
    }
}

fn only(core: usize) -> CpuSet {
    let mut set = CpuSet::new();
    set.set(core);
    set
}

/// Every thread of a process; those that end meanwhile need no core.
fn set(pid: u32, cores: &CpuSet) -> anyhow::Result<()> {
    for task in fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten() {
        let thread = task.file_name().to_str().and_then(|name| name.parse().ok());
        let Some(thread) = thread.and_then(Pid::from_raw) else { continue };
        match sched_setaffinity(Some(thread), cores) {
            Ok(()) | Err(Errno::SRCH) => {}
            Err(error) => return Err(error).with_context(|| format!("placing process {pid}")),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_are_held_and_let_go() {
        let cores = Cores::given().unwrap();
        assert!(cores.place(Placement::OneCore).unwrap());
        assert_eq!(sched_getaffinity(None).unwrap().count(), 1);
        assert_eq!(cores.place(Placement::Apart).unwrap(), cores.numbers.len() > 1);
        let all = cores.all;
        drop(cores);
        assert_eq!(sched_getaffinity(None).unwrap(), all);
    }
}
