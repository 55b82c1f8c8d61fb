//! A process beside the spawner that holds the scratch of every sandbox and lets go of
//! it when the sandbox is dead. The last holder of a mount pays for its end, which takes
//! milliseconds and writes what is still unwritten: here nobody waits for that. It ends
//! when the spawner is gone and every sandbox with it.

use std::{
    io,
    os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fs::{Mode, OFlags, fstatfs, openat},
    net::{RecvFlags, SendFlags},
    process::{Pid, PidfdFlags, pidfd_open},
};

use crate::{
    child,
    limits::{END_WAIT_MS, SCRATCH_HELD_MAX, SCRATCH_WRITTEN_BYTES_MAX},
    packet,
};

/// `EXT4_IOC_SHUTDOWN`, which drops what is not written yet.
const SHUTDOWN: libc::Ioctl = 0x8004_587d;
static SHUTDOWN_WITHOUT_FLUSH: u32 = 2;

/// The spawner's handle.
#[derive(Debug)]
pub(super) struct Remover {
    socket: OwnedFd,
    process: OwnedFd,
}

impl Remover {
    /// From a process with one thread.
    pub(super) fn start() -> io::Result<Remover> {
        let (socket, theirs) = packet::pair()?;
        // SAFETY: the spawner has one thread, so the copy may do whatever it likes.
        let pid = unsafe { libc::fork() };
        if pid == 0 {
            child::keep_only(theirs.as_raw_fd());
            serve(&theirs);
            child::exit(0);
        }
        let Some(pid) = Pid::from_raw(pid).filter(|pid| pid.as_raw_pid() > 0) else {
            return Err(io::Error::last_os_error());
        };
        Ok(Remover { socket, process: pidfd_open(pid, PidfdFlags::empty())? })
    }

    /// Not told (the remover is busy or dead), the sandbox's own end does the work.
    pub(super) fn give_up_after(&self, sandbox: &OwnedFd, mount: &OwnedFd) {
        self.send(&[sandbox.as_fd(), mount.as_fd()]);
    }

    pub(super) fn give_up(&self, mount: OwnedFd) {
        self.send(&[mount.as_fd()]);
    }

    fn send(&self, fds: &[BorrowedFd<'_>]) {
        packet::send(self.socket.as_fd(), &(), fds, SendFlags::DONTWAIT).ok();
    }

    pub(super) fn end(self) {
        drop(self.socket);
        let mut fds = [PollFd::new(&self.process, PollFlags::IN)];
        poll(&mut fds, Some(&milliseconds(END_WAIT_MS))).ok();
    }
}

fn milliseconds(number: i32) -> Timespec {
    Timespec { tv_sec: i64::from(number / 1000), tv_nsec: i64::from(number % 1000) * 1_000_000 }
}

struct Held {
    sandbox: OwnedFd,
    mount: OwnedFd,
}

fn serve(socket: &OwnedFd) {
    let mut held: Vec<Held> = Vec::new();
    let mut open = true;
    while open || !held.is_empty() {
        let listening = open && held.len() < SCRATCH_HELD_MAX;
        let Some((heard, dead)) = next(socket, &held, listening, open) else { return };
        for index in dead.into_iter().rev() {
            let Held { sandbox: _, mount } = held.swap_remove(index);
            let_go(mount);
        }
        if heard {
            open = receive(socket, &mut held);
        }
    }
}

/// Whether the socket has something, and the places of the dead in rising order. `None`
/// when the spawner is gone and those who live stay.
fn next(
    socket: &OwnedFd,
    held: &[Held],
    listening: bool,
    open: bool,
) -> Option<(bool, Vec<usize>)> {
    let ear = if listening { PollFlags::IN } else { PollFlags::empty() };
    let mut fds = vec![PollFd::new(socket, ear)];
    fds.extend(held.iter().map(|held| PollFd::new(&held.sandbox, PollFlags::IN)));
    // A socket whose other end is gone is always ready: it is left out then.
    let watched = if open { &mut fds[..] } else { &mut fds[1..] };
    let wait = milliseconds(END_WAIT_MS);
    let ready = rustix::io::retry_on_intr(|| poll(watched, (!open).then_some(&wait)));
    if !ready.is_ok_and(|ready| ready > 0) {
        return None;
    }
    let is_ready = |fd: &PollFd<'_>| !fd.revents().is_empty();
    let dead = fds[1..].iter().enumerate().filter(|(_, fd)| is_ready(fd)).map(|(at, _)| at);
    Some((listening && is_ready(&fds[0]), dead.collect()))
}

/// `false` when the spawner is gone.
fn receive(socket: &OwnedFd, held: &mut Vec<Held>) -> bool {
    let Ok(Some(((), mut fds))) = packet::receive(socket.as_fd(), RecvFlags::empty()) else {
        return false;
    };
    let mount = fds.pop();
    match (fds.pop(), mount) {
        (Some(sandbox), Some(mount)) => held.push(Held { sandbox, mount }),
        (None, Some(mount)) => let_go(mount),
        (_, None) => {}
    }
    true
}

fn let_go(mount: OwnedFd) {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let Ok(root) = openat(&mount, ".", flags, Mode::empty()) else { return };
    let used = fstatfs(&root).map_or(0, |space| {
        space.f_blocks.saturating_sub(space.f_bfree) * space.f_bsize.unsigned_abs()
    });
    if used > SCRATCH_WRITTEN_BYTES_MAX {
        // The kernel writes a line about each of these, so small ones are written out.
        // SAFETY: the kernel reads one number, which lives during the call.
        unsafe { libc::ioctl(root.as_raw_fd(), SHUTDOWN, &raw const SHUTDOWN_WITHOUT_FLUSH) };
    }
}
