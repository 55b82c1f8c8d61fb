//! What the first process of a sandbox gives up before it forks the program: identity,
//! limits of resources, capabilities, the hope for new privileges. Order matters and
//! is kept by `child`.

use rustix::io::Errno;

use crate::limits::{LOCKED_BYTES_MAX, OPEN_FILES_MAX};

/// User and group inside, as `/etc/passwd` of the sandbox names them.
pub(crate) const USER: u32 = 990;

/// Highest capability number a kernel may have; higher ones answer `EINVAL`.
const CAPABILITY_MAX: libc::c_int = 63;

fn outcome(value: libc::c_long) -> Result<(), Errno> {
    if value == -1 { Err(last_errno()) } else { Ok(()) }
}

fn last_errno() -> Errno {
    Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::INVAL)
}

/// Becomes the sandbox's user. Its uid 0 is unmapped, so capabilities inside the new
/// user namespace survive until [`drop_capabilities`].
pub(crate) fn become_user(drop_groups: bool) -> Result<(), Errno> {
    // SAFETY: plain numbers; the process has one thread, so no other thread disagrees.
    unsafe {
        if drop_groups {
            outcome(libc::syscall(libc::SYS_setgroups, 0, std::ptr::null::<u32>()))?;
        }
        outcome(libc::syscall(libc::SYS_setresgid, USER, USER, USER))?;
        outcome(libc::syscall(libc::SYS_setresuid, USER, USER, USER))
    }
}

pub(crate) fn limit_resources(pids_max: u32) -> Result<(), Errno> {
    let pids = u64::from(pids_max);
    for (resource, value) in [
        (libc::RLIMIT_CORE, 0),
        (libc::RLIMIT_NPROC, pids),
        (libc::RLIMIT_MEMLOCK, LOCKED_BYTES_MAX),
        (libc::RLIMIT_MSGQUEUE, 0),
        (libc::RLIMIT_NICE, 0),
        (libc::RLIMIT_RTPRIO, 0),
    ] {
        set_limit(resource, value)?;
    }
    Ok(())
}

/// Apart from the others: until its exec the process may hold descriptors with higher
/// numbers, copied from a spawner of many sandboxes.
pub(crate) fn limit_open_files() -> Result<(), Errno> {
    set_limit(libc::RLIMIT_NOFILE, OPEN_FILES_MAX)
}

fn set_limit(resource: libc::__rlimit_resource_t, value: u64) -> Result<(), Errno> {
    let limit = libc::rlimit { rlim_cur: value, rlim_max: value };
    // SAFETY: `limit` is a valid struct for the length of the call.
    outcome(unsafe { libc::setrlimit(resource, &raw const limit) }.into())
}

/// The spawner holds descriptors for every sandbox: as many as the host lets it.
pub(crate) fn raise_open_files() {
    // SAFETY: `limit` is a valid place for and source of the struct.
    unsafe {
        let mut limit: libc::rlimit = std::mem::zeroed();
        if libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) == 0 {
            limit.rlim_cur = limit.rlim_max;
            libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit);
        }
    }
}

/// No exec may ever grant rights again.
pub(crate) fn no_new_privileges() -> Result<(), Errno> {
    // SAFETY: numbers only.
    outcome(unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) }.into())
}

/// The process dies with its parent, the spawner.
pub(crate) fn die_with_parent() -> Result<(), Errno> {
    // SAFETY: numbers only.
    outcome(unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL, 0, 0, 0) }.into())
}

/// Others of the same user cannot look into the process through `/proc`.
pub(crate) fn hide_memory() -> Result<(), Errno> {
    // SAFETY: numbers only.
    outcome(unsafe { libc::prctl(libc::PR_SET_DUMPABLE, 0, 0, 0, 0) }.into())
}

/// Empties bounding, ambient, inheritable, permitted and effective sets.
pub(crate) fn drop_capabilities() -> Result<(), Errno> {
    for capability in 0..=CAPABILITY_MAX {
        // SAFETY: numbers only.
        match outcome(unsafe { libc::prctl(libc::PR_CAPBSET_DROP, capability, 0, 0, 0) }.into()) {
            Ok(()) => {}
            Err(Errno::INVAL) => break,
            Err(error) => return Err(error),
        }
    }
    // SAFETY: numbers only.
    let ambient =
        unsafe { libc::prctl(libc::PR_CAP_AMBIENT, libc::PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) };
    outcome(ambient.into())?;
    let header: [u32; 2] = [0x2008_0522, 0]; // version 3, this process
    let none = [0_u32; 6];
    // SAFETY: version 3 reads a header of 8 bytes and two sets of 12.
    outcome(unsafe { libc::syscall(libc::SYS_capset, header.as_ptr(), none.as_ptr()) })
}
