//! On which cores the threads of a sandbox may run. A thread that is started while
//! its maker is held to a core is held there too, and let go with the others.

use std::io;

use rustix::{
    io::Errno,
    process::Pid,
    thread::{CpuSet, sched_setaffinity},
};

pub(crate) fn hold(threads: &[Pid], cores: &CpuSet) -> io::Result<()> {
    for thread in threads {
        match sched_setaffinity(Some(*thread), cores) {
            // Ended meanwhile.
            Ok(()) | Err(Errno::SRCH) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}
