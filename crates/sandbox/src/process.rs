//! The worker's side of process sandboxes: the handle of the spawner and the handle of
//! one running sandbox. Nothing is forked here; waiting is waiting for descriptors.

use std::{
    fs::File,
    io,
    net::TcpListener,
    os::{
        fd::{AsFd, OwnedFd},
        unix::net::UnixStream,
    },
    path::Path,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex, OnceLock},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
    net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, socketpair},
    pipe::{PipeFlags, pipe_with},
    process::{Signal, pidfd_send_signal},
    thread::CpuSet,
};
use tokio::{
    io::{Interest, unix::AsyncFd},
    sync::OnceCell,
};

use crate::{
    Exit, ExitStatus, LaunchError, LaunchTimings, MissingLimit, Spec,
    cgroup::{Group, peak_of},
    limits::HELLO_WAIT,
    packet::{self, PacketError},
    protocol::{Event, Failure, Hello, Phases, Request, Setup, Stage},
    scratch::{Scratch, ScratchDisk},
};

/// Why no spawner runs.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("starting the spawner {program}: {source}")]
    Program { program: String, source: io::Error },
    #[error("the spawner ended or stayed silent before its first message")]
    Silent,
    #[error("talking to the fresh spawner: {0}")]
    Socket(String),
}

#[derive(Debug)]
struct Shared {
    socket: OwnedFd,
    /// For waiting when the socket is full; made when that first happens.
    room: OnceLock<AsyncFd<OwnedFd>>,
    missing: Vec<MissingLimit>,
    child: Mutex<Child>,
}

impl Drop for Shared {
    fn drop(&mut self) {
        // End of file makes the spawner kill its sandboxes and leave; it is reaped here.
        rustix::net::shutdown(&self.socket, rustix::net::Shutdown::Both).ok();
        if let Ok(child) = self.child.get_mut() {
            child.wait().ok();
        }
    }
}

/// The handle of a spawner. When the last copy is dropped, its sandboxes are killed.
#[derive(Clone, Debug)]
pub struct Spawner(Arc<Shared>);

impl Spawner {
    /// Starts `program args…`, which must call [`crate::spawner::main`]. Blocks for a
    /// few milliseconds. Scratch of its sandboxes is memory.
    pub fn start(program: &Path, args: &[&str]) -> Result<Spawner, StartError> {
        Spawner::start_with(program, args, None)
    }

    /// The same with scratch on disk where the host allows it, which is tried first
    /// (about 50 ms). Where it does not, [`Spawner::missing_limits`] says so.
    pub fn start_with_scratch(
        program: &Path,
        args: &[&str],
        disk: ScratchDisk,
    ) -> Result<Spawner, StartError> {
        Spawner::start_with(program, args, Some(disk))
    }

    fn start_with(
        program: &Path,
        args: &[&str],
        scratch: Option<ScratchDisk>,
    ) -> Result<Spawner, StartError> {
        let failed = |error: PacketError| StartError::Socket(error.to_string());
        let (socket, theirs) = packet::pair().map_err(|error| failed(error.into()))?;
        let child = Command::new(program).args(args).stdin(Stdio::from(theirs)).spawn().map_err(
            |source| StartError::Program { program: program.display().to_string(), source },
        )?;
        let setup = Setup { scratch };
        packet::send(socket.as_fd(), &setup, &[], SendFlags::DONTWAIT).map_err(failed)?;
        let mut fds = [PollFd::new(&socket, PollFlags::IN)];
        let wait = Timespec { tv_sec: HELLO_WAIT.as_secs().cast_signed(), tv_nsec: 0 };
        let ready = poll(&mut fds, Some(&wait)).unwrap_or(0);
        if ready == 0 {
            return Err(StartError::Silent);
        }
        let hello = packet::receive::<Hello>(socket.as_fd(), RecvFlags::DONTWAIT);
        let (hello, _) = hello.map_err(failed)?.ok_or(StartError::Silent)?;
        let shared = Shared {
            socket,
            room: OnceLock::new(),
            missing: hello.missing,
            child: Mutex::new(child),
        };
        Ok(Spawner(Arc::new(shared)))
    }

    /// Limits that this host does not enforce.
    pub fn missing_limits(&self) -> &[MissingLimit] {
        &self.0.missing
    }

    /// Process id of the spawner, for operators.
    pub fn pid(&self) -> u32 {
        self.0.child.lock().map_or(0, |child| child.id())
    }

    pub async fn launch(&self, spec: Spec) -> Result<Running, LaunchError> {
        spec.check()?;
        let (status, their_status) = packet::pair().map_err(resources)?;
        let (channel, their_channel) =
            socketpair(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)
                .map_err(resources)?;
        let (stdout, their_stdout) = pipe_with(PipeFlags::CLOEXEC).map_err(resources)?;
        let (stderr, their_stderr) = pipe_with(PipeFlags::CLOEXEC).map_err(resources)?;
        let fds = [their_status, their_channel, their_stdout, their_stderr];
        self.send(&Request::Launch(Box::new(spec)), &fds).await?;
        drop(fds);
        let status = watched(status, Interest::READABLE)?;
        let mut running = self.spawned(status).await?;
        running.channel = Some(channel.into());
        running.stdout = Some(stdout);
        running.stderr = Some(stderr);
        let error = match next(&running.status).await? {
            Some((Event::Started(phases), fds)) => {
                running.listener = fds.into_iter().next().map(TcpListener::from);
                running.add(phases);
                return Ok(running);
            }
            Some((Event::Failed(failure) | Event::Refused(failure), _)) => refusal(failure),
            Some((Event::Spawned { .. } | Event::Exited(_), _)) => LaunchError::Protocol,
            None if running.group.out_of_memory() => LaunchError::OutOfMemory,
            None => LaunchError::Killed,
        };
        running.dispose().await;
        Err(error)
    }

    async fn spawned(&self, status: AsyncFd<OwnedFd>) -> Result<Running, LaunchError> {
        match next(&status).await? {
            Some((Event::Spawned { group, cgroup_us, scratch_us, clone_us, scratch }, fds)) => {
                let pidfd = fds.into_iter().next().ok_or(LaunchError::Protocol)?;
                let before =
                    LaunchTimings { cgroup_us, scratch_us, clone_us, ..LaunchTimings::default() };
                Ok(Running {
                    spawner: self.clone(),
                    status,
                    pidfd: watched(pidfd, Interest::READABLE)?,
                    peak: group.open_memory_peak(),
                    group,
                    exit: OnceCell::new(),
                    listener: None,
                    channel: None,
                    stdout: None,
                    stderr: None,
                    scratch,
                    timings: before,
                })
            }
            Some((Event::Refused(failure) | Event::Failed(failure), _)) => Err(refusal(failure)),
            Some((Event::Started(_) | Event::Exited(_), _)) => Err(LaunchError::Protocol),
            None => Err(LaunchError::SpawnerGone),
        }
    }

    async fn send(&self, request: &Request, fds: &[OwnedFd]) -> Result<(), LaunchError> {
        let borrowed: Vec<_> = fds.iter().map(AsFd::as_fd).collect();
        loop {
            match packet::send(self.0.socket.as_fd(), request, &borrowed, SendFlags::DONTWAIT) {
                Ok(()) => return Ok(()),
                Err(PacketError::Socket(Errno::AGAIN)) => {
                    let mut ready = self.room()?.writable().await?;
                    ready.clear_ready();
                }
                Err(PacketError::Socket(Errno::PIPE | Errno::CONNRESET)) => {
                    return Err(LaunchError::SpawnerGone);
                }
                Err(error) => return Err(LaunchError::Unsendable(error.to_string())),
            }
        }
    }

    fn room(&self) -> io::Result<&AsyncFd<OwnedFd>> {
        if let Some(room) = self.0.room.get() {
            return Ok(room);
        }
        let room = watched(self.0.socket.try_clone()?, Interest::WRITABLE)?;
        Ok(self.0.room.get_or_init(|| room))
    }

    /// Without waiting: if the socket is full, the next start of a spawner cleans up.
    fn remove(&self, group: &Group) {
        if group.remove().is_err() {
            let request = Request::Remove(group.clone());
            packet::send(self.0.socket.as_fd(), &request, &[], SendFlags::DONTWAIT).ok();
        }
    }
}

/// Inside a tokio runtime.
fn watched(fd: OwnedFd, interest: Interest) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: an `OwnedFd` stays open and keeps its number as long as it lives, and it is
    // never taken out of the `AsyncFd`.
    unsafe { AsyncFd::register_with_interest(fd, interest) }.map_err(io::Error::from)
}

fn resources(error: Errno) -> LaunchError {
    LaunchError::Io(error.into())
}

fn refusal(failure: Failure) -> LaunchError {
    let Failure { stage, errno } = failure;
    if stage == Stage::Exec {
        return LaunchError::Exec { errno };
    }
    LaunchError::SetUp { stage, errno }
}

async fn next(status: &AsyncFd<OwnedFd>) -> Result<Option<(Event, Vec<OwnedFd>)>, LaunchError> {
    loop {
        let mut ready = status.readable().await?;
        match packet::receive(status.get_ref().as_fd(), RecvFlags::DONTWAIT) {
            Err(PacketError::Socket(Errno::AGAIN)) => ready.clear_ready(),
            Ok(message) => return Ok(message),
            Err(_) => return Err(LaunchError::Protocol),
        }
    }
}

/// A sandbox whose program was executed. Dropping it kills everything in it.
#[derive(Debug)]
pub struct Running {
    spawner: Spawner,
    status: AsyncFd<OwnedFd>,
    pidfd: AsyncFd<OwnedFd>,
    group: Group,
    /// Where the kernel tells the peak of memory, if the host measures it.
    peak: Option<File>,
    exit: OnceCell<Exit>,
    listener: Option<TcpListener>,
    channel: Option<UnixStream>,
    stdout: Option<OwnedFd>,
    stderr: Option<OwnedFd>,
    scratch: Scratch,
    timings: LaunchTimings,
}

impl Running {
    pub fn take_listener(&mut self) -> Option<TcpListener> {
        self.listener.take()
    }

    pub fn take_channel(&mut self) -> Option<UnixStream> {
        self.channel.take()
    }

    pub fn take_stdout(&mut self) -> Option<OwnedFd> {
        self.stdout.take()
    }

    pub fn take_stderr(&mut self) -> Option<OwnedFd> {
        self.stderr.take()
    }

    /// What holds the files of `/tmp`.
    pub fn scratch(&self) -> Scratch {
        self.scratch
    }

    fn add(&mut self, phases: Phases) {
        let Phases { join_us, mounts_us, network_us, rights_us, exec_us } = phases;
        self.timings =
            LaunchTimings { join_us, mounts_us, network_us, rights_us, exec_us, ..self.timings };
    }

    pub fn timings(&self) -> LaunchTimings {
        self.timings
    }

    /// Until the program has ended; may be called and cancelled any number of times.
    pub async fn wait(&self) -> Exit {
        *self.exit.get_or_init(|| self.ended()).await
    }

    async fn ended(&self) -> Exit {
        // Without a last word the first process itself was killed, and all with it.
        let status = match next(&self.status).await {
            Ok(Some((Event::Exited(status), _))) => status,
            Ok(_) | Err(_) => ExitStatus::Signal(libc::SIGKILL),
        };
        Exit { status, out_of_memory: self.group.out_of_memory() }
    }

    pub fn memory_peak(&self) -> Option<u64> {
        self.peak.as_ref().and_then(peak_of)
    }

    pub fn reset_memory_peak(&self) -> bool {
        self.group.reset_memory_peak()
    }

    pub fn set_memory(&self, bytes: u64) -> io::Result<()> {
        self.group.set_memory(bytes)
    }

    pub fn set_cpu(&self, millis: u32) -> io::Result<()> {
        self.group.set_cpu(millis)
    }

    pub fn hold_to_cores(&self, cores: &CpuSet) -> io::Result<()> {
        crate::cores::hold(&self.group.threads()?, cores)
    }

    pub fn freeze(&self) -> io::Result<()> {
        self.group.freeze()
    }

    pub fn thaw(&self) -> io::Result<()> {
        self.group.thaw()
    }

    /// `SIGTERM` to the program, as at the beginning of a shutdown.
    pub fn terminate(&self) {
        pidfd_send_signal(self.pidfd.get_ref(), Signal::TERM).ok();
    }

    /// Kills every process inside, frozen or not.
    pub fn kill(&self) {
        self.group.kill();
        pidfd_send_signal(self.pidfd.get_ref(), Signal::KILL).ok();
    }

    /// Kills, waits until the kernel has taken everything apart, removes the groups.
    pub async fn dispose(self) {
        self.kill();
        self.pidfd.readable().await.ok();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.kill();
        self.spawner.remove(&self.group);
    }
}
