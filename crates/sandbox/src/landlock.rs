//! Landlock rules of a sandbox: read and execute everywhere that is visible, write in
//! `/tmp`, `/dev/shm` and a few devices only. A second wall behind read-only mounts.
//! A kernel without Landlock is reported by the survey, not here.

use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};

use rustix::{
    fs::{CWD, Mode, OFlags, openat},
    io::Errno,
};

const CREATE_VERSION: u32 = 1;
const RULE_PATH_BENEATH: u32 = 1;

const EXECUTE: u64 = 1;
const WRITE_FILE: u64 = 1 << 1;
const READ_FILE: u64 = 1 << 2;
const READ_DIR: u64 = 1 << 3;
/// Removing, making and linking: bits 4 to 13 of the first ABI and its successor.
const CHANGE_DIR: u64 = 0x3ff0;
const TRUNCATE: u64 = 1 << 14;
const SCOPE_ABSTRACT_UNIX_AND_SIGNALS: u64 = 3;

#[repr(C)]
struct RulesetAttr {
    handled_access_fs: u64,
    handled_access_net: u64,
    scoped: u64,
}

#[repr(C, packed)]
struct PathBeneath {
    allowed_access: u64,
    parent_fd: i32,
}

/// The version of Landlock that this kernel has, 0 for none.
pub(crate) fn abi() -> u32 {
    // SAFETY: asking for the version reads no memory of ours.
    let version = unsafe {
        libc::syscall(libc::SYS_landlock_create_ruleset, std::ptr::null::<u8>(), 0, CREATE_VERSION)
    };
    u32::try_from(version).unwrap_or(0)
}

/// Restricts the calling process and its children. Needs `no_new_privs`.
pub(crate) fn restrict(abi: u32) -> Result<(), Errno> {
    let handled = handled(abi);
    let ruleset = create(abi, handled)?;
    allow(&ruleset, "/", handled & (EXECUTE | READ_FILE | READ_DIR))?;
    allow(&ruleset, "/tmp", handled)?;
    allow(&ruleset, "/dev/shm", handled)?;
    for device in ["/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom"] {
        allow(&ruleset, device, handled & (READ_FILE | WRITE_FILE | TRUNCATE))?;
    }
    // SAFETY: takes a descriptor and a number, no memory.
    let done =
        unsafe { libc::syscall(libc::SYS_landlock_restrict_self, ruleset.as_raw_fd(), 0_u32) };
    if done == 0 { Ok(()) } else { Err(last_errno()) }
}

fn handled(abi: u32) -> u64 {
    let linking = if abi >= 2 { CHANGE_DIR } else { CHANGE_DIR & !(1 << 13) };
    let truncate = if abi >= 3 { TRUNCATE } else { 0 };
    EXECUTE | WRITE_FILE | READ_FILE | READ_DIR | linking | truncate
}

fn create(abi: u32, handled: u64) -> Result<OwnedFd, Errno> {
    let scoped = if abi >= 6 { SCOPE_ABSTRACT_UNIX_AND_SIGNALS } else { 0 };
    let attr = RulesetAttr { handled_access_fs: handled, handled_access_net: 0, scoped };
    let size = match abi {
        0..=3 => 8,
        4 | 5 => 16,
        _ => size_of::<RulesetAttr>(),
    };
    // SAFETY: `attr` is valid for reads of `size` bytes, at most its own size.
    let fd =
        unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, &raw const attr, size, 0_u32) };
    let fd = i32::try_from(fd).map_err(|_| Errno::INVAL)?;
    if fd < 0 {
        return Err(last_errno());
    }
    // SAFETY: the kernel just returned this descriptor; nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

fn allow(ruleset: &OwnedFd, path: &str, access: u64) -> Result<(), Errno> {
    let place = openat(CWD, path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
    let rule = PathBeneath { allowed_access: access, parent_fd: place.as_fd().as_raw_fd() };
    // SAFETY: `rule` has the packed layout of the kernel's struct and lives in the call.
    let done = unsafe {
        libc::syscall(
            libc::SYS_landlock_add_rule,
            ruleset.as_raw_fd(),
            RULE_PATH_BENEATH,
            &raw const rule,
            0_u32,
        )
    };
    if done == 0 { Ok(()) } else { Err(last_errno()) }
}

fn last_errno() -> Errno {
    Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::INVAL)
}
