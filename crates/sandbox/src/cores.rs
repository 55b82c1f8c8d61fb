//! On which cores the threads of a sandbox may run. A thread that is started while
//! its maker is held to a core is held there too, and let go with the others.

use std::io;

use rustix::{
    io::Errno,
    process::Pid,
    thread::{CpuSet, sched_getaffinity, sched_setaffinity},
};

/// Holds threads to one core, or to all that this process may use.
pub(crate) fn hold(threads: &[Pid], core: Option<usize>) -> io::Result<()> {
    let cores = match core {
        Some(core) => {
            let mut one = CpuSet::new();
            one.set(core);
            one
        }
        None => sched_getaffinity(None)?,
    };
    for thread in threads {
        match sched_setaffinity(Some(*thread), &cores) {
            // Ended meanwhile.
            Ok(()) | Err(Errno::SRCH) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}
