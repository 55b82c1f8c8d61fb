//! `clone3` into all namespaces at once, and the identities that sandboxes get. Each
//! sandbox of a privileged spawner is another host user, so that neither signals nor
//! per-user limits cross; an ordinary user can only lend its own.

use std::{
    fs, io,
    os::fd::{AsRawFd, FromRawFd, OwnedFd},
};

use crate::rights::USER;

pub(super) enum Side {
    Child,
    Parent { pid: i32, pidfd: OwnedFd },
}

const NAMESPACES: i32 = libc::CLONE_NEWUSER
    | libc::CLONE_NEWNS
    | libc::CLONE_NEWPID
    | libc::CLONE_NEWNET
    | libc::CLONE_NEWIPC
    | libc::CLONE_NEWUTS;
const NEW_TIME: u64 = 0x80;
const INTO_CGROUP: u64 = 0x2_0000_0000;

/// Like fork, into new namespaces and, with `group`, into a v2 group. The cgroup
/// namespace comes later: it must start from the groups that are joined by hand.
pub(super) fn into_sandbox(group: Option<&OwnedFd>) -> io::Result<Side> {
    let mut pidfd: libc::c_int = -1;
    let into = if group.is_some() { INTO_CGROUP } else { 0 };
    let flags = u64::from((NAMESPACES | libc::CLONE_PIDFD).cast_unsigned()) | NEW_TIME | into;
    // SAFETY: all-zero bytes are valid arguments.
    let mut arguments: libc::clone_args = unsafe { std::mem::zeroed() };
    arguments.flags = flags;
    arguments.pidfd = (&raw mut pidfd).addr() as u64;
    arguments.exit_signal = libc::SIGCHLD as u64;
    arguments.cgroup = group.map_or(0, |fd| fd.as_raw_fd() as u64);
    // SAFETY: without CLONE_VM and with no stack this is a fork. The spawner has one
    // thread, so no lock is held by anyone else in the copy; `try_empty` takes none.
    let pid = unsafe {
        libc::syscall(libc::SYS_clone3, &raw mut arguments, size_of::<libc::clone_args>())
    };
    match pid {
        -1 => Err(io::Error::last_os_error()),
        0 => Ok(Side::Child),
        pid => {
            // SAFETY: the kernel stored a descriptor that nobody else owns.
            let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd) };
            Ok(Side::Parent { pid: pid as i32, pidfd })
        }
    }
}

/// The namespaces alone, for the survey: the child does nothing but end.
pub(super) fn try_empty() -> io::Result<()> {
    // A caller with threads may hold locks in the copy, so the child takes none: it makes
    // one system call and is gone.
    match into_sandbox(None)? {
        // SAFETY: `_exit` runs nothing of the copy.
        Side::Child => unsafe { libc::_exit(0) },
        Side::Parent { pidfd, .. } => {
            let id = rustix::process::WaitId::PidFd(std::os::fd::AsFd::as_fd(&pidfd));
            rustix::process::waitid(id, rustix::process::WaitIdOptions::EXITED)?;
            Ok(())
        }
    }
}

/// Host users given to sandboxes.
#[derive(Debug)]
pub(super) enum Identities {
    /// Ours alone: the spawner has no right over others.
    Own { uid: u32, gid: u32 },
    /// One of a range for each sandbox, in turn.
    Range { first: u32, count: u32, next: u32 },
}

/// Far above what distributions and directory services give out.
const WIDE: (u32, u32) = (0x7000_0000, 1 << 20);
/// Inside containers that map only 64 Ki users.
const NARROW: (u32, u32) = (20_000, 40_000);

impl Identities {
    pub(super) fn of_this_process() -> Identities {
        let uid = rustix::process::geteuid().as_raw();
        let gid = rustix::process::getegid().as_raw();
        let map = fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
        let range = [WIDE, NARROW].into_iter().find(|&(first, count)| mapped(&map, first, count));
        match range {
            Some((first, count)) if uid == 0 => Identities::Range { first, count, next: 0 },
            Some(_) | None => Identities::Own { uid, gid },
        }
    }

    pub(super) fn may_drop_groups(&self) -> bool {
        match self {
            Identities::Own { .. } => false,
            Identities::Range { .. } => true,
        }
    }

    pub(super) fn write_maps(&mut self, pid: i32) -> io::Result<()> {
        let (uid, gid) = match self {
            Identities::Own { uid, gid } => {
                fs::write(format!("/proc/{pid}/setgroups"), "deny")?;
                (*uid, *gid)
            }
            Identities::Range { first, count, next } => {
                *next = (*next + 1) % *count;
                (*first + *next, *first + *next)
            }
        };
        fs::write(format!("/proc/{pid}/uid_map"), format!("{USER} {uid} 1"))?;
        fs::write(format!("/proc/{pid}/gid_map"), format!("{USER} {gid} 1"))
    }
}

/// Whether a range lies within one line of a uid map (inside, outside, count).
fn mapped(map: &str, first: u32, count: u32) -> bool {
    map.lines().any(|line| {
        let numbers: Vec<u64> = line.split_whitespace().filter_map(|n| n.parse().ok()).collect();
        match numbers[..] {
            [inside, _, length] => {
                inside <= u64::from(first) && u64::from(first) + u64::from(count) <= inside + length
            }
            _ => false,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_come_from_the_map() {
        let cases = [
            ("0 0 4294967295", WIDE, true),
            ("0 100000 65536", WIDE, false),
            ("0 100000 65536", NARROW, true),
            ("0 1000 1", NARROW, false),
            ("", NARROW, false),
        ];
        for (map, (first, count), expected) in cases {
            assert_eq!(mapped(map, first, count), expected, "{map:?}");
        }
    }
}
