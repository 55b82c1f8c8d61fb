//! The spawner: a single-threaded process that clones sandboxes, so that the async
//! worker never forks. It serves one socket, request by request; each launch is told
//! about on its own socket (see `protocol`). End of file on the socket means that the
//! worker is gone: every sandbox is killed and its groups are removed.

mod clone;

use std::{
    collections::HashMap,
    os::fd::{AsFd, FromRawFd, OwnedFd, RawFd},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    net::{RecvFlags, SendFlags},
    process::{PidfdFlags, Signal, getpid, pidfd_open, pidfd_send_signal},
};

use crate::{
    cgroup::{Group, Join, Limits, Parent},
    child, landlock,
    limited::{Limit, MissingLimit},
    limits::{
        END_TRIES_MAX, END_WAIT_MS, LIVE_MAX, LIVE_SWEEP_MIN, REMOVE_RETRY_MS, REMOVE_TRIES_MAX,
    },
    packet,
    protocol::{Event, Failure, Hello, Request, Setup, Stage},
    rights,
    scratch::{NoDisk, Scratch, ScratchDisk, Stock},
    seccomp::Filter,
    spec::Spec,
    stopwatch::Stopwatch,
};

/// Where [`crate::Spawner::start`] puts the socket of the program it starts.
pub const SOCKET_FD: RawFd = 0;

/// The body of the hidden subcommand. `fd` is the spawner socket, [`SOCKET_FD`].
pub fn main(fd: RawFd) -> ! {
    // SAFETY: the caller hands over the descriptor it was started with, and nothing else
    // in this process uses it.
    let socket = unsafe { OwnedFd::from_raw_fd(fd) };
    ignore_signals();
    rights::raise_open_files();
    let code = match Serving::begin(socket) {
        Ok(Some(mut serving)) => {
            serving.serve();
            serving.end();
            0
        }
        Ok(None) | Err(_) => 1,
    };
    std::process::exit(code)
}

/// Whether this process may create all namespaces of a sandbox. The child ends at once.
pub(crate) fn try_namespaces() -> std::io::Result<()> {
    clone::try_empty()
}

/// A terminal's Ctrl-C reaches us too; the worker decides when sandboxes end. Children
/// are reaped by the kernel: their pidfds tell what is needed.
fn ignore_signals() {
    for signal in [libc::SIGINT, libc::SIGTERM, libc::SIGHUP, libc::SIGCHLD] {
        // SAFETY: ignoring runs no code of ours.
        unsafe { libc::signal(signal, libc::SIG_IGN) };
    }
}

/// Descriptors that came with one launch.
struct Ends {
    status: OwnedFd,
    channel: OwnedFd,
    stdout: OwnedFd,
    stderr: OwnedFd,
}

/// What a sandbox gets from us before its first process exists.
struct Grant {
    group: Group,
    join: Join,
    scratch: Result<OwnedFd, NoDisk>,
    cgroup_us: u64,
    scratch_us: u64,
}

struct Serving {
    socket: OwnedFd,
    parent: Parent,
    filter: Filter,
    landlock_abi: u32,
    identities: clone::Identities,
    /// Makes names of groups unique: one of a dead sandbox may linger for a moment.
    launches: u64,
    /// By first process: what has to be killed when we end.
    live: HashMap<i32, (OwnedFd, Group)>,
    /// So many of them before the gone are looked for again.
    live_sweep: usize,
    dying: Vec<(Group, u32)>,
    scratch: Result<Stock, NoDisk>,
}

impl Serving {
    /// `None` when the worker is gone already.
    fn begin(socket: OwnedFd) -> Result<Option<Serving>, packet::PacketError> {
        let received = packet::receive::<Setup>(socket.as_fd(), RecvFlags::empty())?;
        let Some((setup, _)) = received else { return Ok(None) };
        let scratch = open_scratch(setup.scratch.as_ref());
        let parent = Parent::open();
        let mut missing = parent.missing.clone();
        if let (Some(_), Err(reason)) = (&setup.scratch, &scratch) {
            missing.push(MissingLimit { limit: Limit::Scratch, reason: reason.to_string() });
        }
        let hello = Hello { missing };
        packet::send(socket.as_fd(), &hello, &[], SendFlags::empty())?;
        Ok(Some(Serving {
            socket,
            parent,
            filter: Filter::build(),
            landlock_abi: landlock::abi(),
            identities: clone::Identities::of_this_process(),
            launches: 0,
            live: HashMap::new(),
            live_sweep: LIVE_SWEEP_MIN,
            dying: Vec::new(),
            scratch,
        }))
    }

    fn serve(&mut self) {
        loop {
            if self.has_chores() && !readable(&self.socket, REMOVE_RETRY_MS) {
                self.do_chores();
                continue;
            }
            match packet::receive::<Request>(self.socket.as_fd(), RecvFlags::empty()) {
                Ok(Some((Request::Launch(spec), fds))) => self.launch(&spec, fds),
                Ok(Some((Request::Remove(group), _))) => self.remove(group),
                Ok(None) | Err(_) => return,
            }
        }
    }

    fn has_chores(&self) -> bool {
        !self.dying.is_empty() || self.scratch.as_ref().is_ok_and(Stock::is_hungry)
    }

    /// What is done while nobody asks for anything.
    fn do_chores(&mut self) {
        self.remove_dying();
        if let Ok(stock) = &mut self.scratch {
            stock.refill();
        }
    }

    fn launch(&mut self, spec: &Spec, fds: Vec<OwnedFd>) {
        let Ok([status, channel, stdout, stderr]) = <[OwnedFd; 4]>::try_from(fds) else { return };
        let ends = Ends { status, channel, stdout, stderr };
        let Ok(status) = ends.status.try_clone() else { return };
        if let Err(failure) = self.spawn(spec, ends) {
            packet::tell(&status, &Event::Refused(failure), &[]);
        }
    }

    fn spawn(&mut self, spec: &Spec, ends: Ends) -> Result<(), Failure> {
        let failed = |stage| {
            move |error: std::io::Error| Failure {
                stage,
                errno: error.raw_os_error().unwrap_or(libc::EINVAL),
            }
        };
        self.forget_gone();
        if self.live.len() >= LIVE_MAX {
            return Err(Failure { stage: Stage::Capacity, errno: libc::EAGAIN });
        }
        let mut watch = Stopwatch::start();
        self.launches += 1;
        let name = format!("{}-{}", spec.id, self.launches);
        let limits = Limits {
            memory_bytes: spec.memory_bytes,
            cpu_millis: spec.cpu_millis,
            pids_max: spec.pids_max,
        };
        let (group, join) = self.parent.create(&name, limits).map_err(failed(Stage::Cgroup))?;
        let cgroup_us = watch.lap_us();
        let scratch = match &mut self.scratch {
            Ok(stock) => stock.take(spec.scratch_bytes),
            Err(reason) => Err(*reason),
        };
        let scratch_us = watch.lap_us();
        let grant = Grant { group: group.clone(), join, scratch, cgroup_us, scratch_us };
        let (pid, pidfd) = match self.clone_child(spec, ends, grant, &mut watch) {
            Ok(child) => child,
            Err(error) => {
                self.remove(group);
                return Err(failed(Stage::Clone)(error));
            }
        };
        self.live.insert(pid, (pidfd, group));
        Ok(())
    }

    fn clone_child(
        &mut self,
        spec: &Spec,
        ends: Ends,
        grant: Grant,
        watch: &mut Stopwatch,
    ) -> std::io::Result<(i32, OwnedFd)> {
        let (gate, opener) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)?;
        let spawner = pidfd_open(getpid(), PidfdFlags::empty())?;
        let Ends { status, channel, stdout, stderr } = ends;
        let Grant { group, join, scratch, cgroup_us, scratch_us } = grant;
        match clone::into_sandbox(join.unified.as_ref())? {
            clone::Side::Child => {
                drop(opener);
                child::run(child::Job {
                    spec,
                    filter: &self.filter,
                    landlock_abi: self.landlock_abi,
                    tasks: join.tasks,
                    gate,
                    drop_groups: self.identities.may_drop_groups(),
                    scratch: scratch.ok(),
                    spawner,
                    status,
                    channel,
                    stdout,
                    stderr,
                })
            }
            clone::Side::Parent { pid, pidfd } => {
                // A child without maps meets the closed gate and ends.
                self.identities.write_maps(pid)?;
                let clone_us = watch.lap_us();
                let scratch = self.hold(&pidfd, scratch);
                let event = Event::Spawned { group, cgroup_us, scratch_us, clone_us, scratch };
                packet::tell(&status, &event, &[pidfd.as_fd()]);
                rustix::io::write(&opener, &[1])?;
                Ok((pid, pidfd))
            }
        }
    }

    /// The sandbox has its copy of the mount; the remover gets one for its end.
    fn hold(&self, sandbox: &OwnedFd, scratch: Result<OwnedFd, NoDisk>) -> Scratch {
        match (&self.scratch, scratch) {
            (Ok(stock), Ok(mount)) => {
                stock.remove_after(sandbox, &mount);
                Scratch::Disk
            }
            (Err(reason), _) => Scratch::Memory(*reason),
            (Ok(_), Err(reason)) => Scratch::Memory(reason),
        }
    }

    /// A worker that could remove the groups itself tells us nothing about it.
    fn forget_gone(&mut self) {
        if self.live.len() >= self.live_sweep {
            self.live.retain(|_, (pidfd, group)| !(readable(pidfd, 0) && group.is_gone()));
            self.live_sweep = (2 * self.live.len()).clamp(LIVE_SWEEP_MIN, LIVE_MAX);
        }
    }

    fn remove(&mut self, group: Group) {
        self.live.retain(|_, (_, held)| *held != group);
        if group.remove().is_err() {
            self.dying.push((group, 0));
        }
    }

    fn remove_dying(&mut self) {
        self.dying.retain_mut(|(group, tries)| {
            *tries += 1;
            group.remove().is_err() && *tries < REMOVE_TRIES_MAX
        });
    }

    /// Kills all and leaves nothing behind.
    fn end(mut self) {
        for (pidfd, group) in self.live.values() {
            group.kill();
            pidfd_send_signal(pidfd, Signal::KILL).ok();
        }
        for (_, (pidfd, group)) in self.live.drain() {
            readable(&pidfd, END_WAIT_MS);
            self.dying.push((group, 0));
        }
        for _ in 0..END_TRIES_MAX {
            self.remove_dying();
            if self.dying.is_empty() {
                break;
            }
            // Nobody can wake us before the time is over; what remains is tried again.
            let pause = i64::from(REMOVE_RETRY_MS) * 1_000_000;
            let _ = rustix::thread::nanosleep(&Timespec { tv_sec: 0, tv_nsec: pause });
        }
        self.parent.remove();
        if let Ok(stock) = self.scratch {
            stock.end();
        }
    }
}

fn open_scratch(disk: Option<&ScratchDisk>) -> Result<Stock, NoDisk> {
    disk.map_or(Err(NoDisk::NotAsked), Stock::open)
}

fn readable(fd: &impl AsFd, wait_ms: i32) -> bool {
    let mut fds = [PollFd::new(fd, PollFlags::IN)];
    let wait = Timespec {
        tv_sec: i64::from(wait_ms / 1000),
        tv_nsec: i64::from(wait_ms % 1000) * 1_000_000,
    };
    poll(&mut fds, Some(&wait)).is_ok_and(|ready| ready > 0)
}
