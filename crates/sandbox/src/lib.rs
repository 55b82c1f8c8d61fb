//! The wall around a function: a process in its own namespaces, control groups, system
//! call filter and file system, started by a spawner process. The worker holds a
//! [`Launcher`] and one [`Sandbox`] per environment. Not here: what runs inside, when it
//! is started, reused or ended. This is the only crate with `unsafe` code.
#![allow(unsafe_code, reason = "kernel calls that no safe wrapper offers; each has its proof")]

mod cgroup;
mod child;
mod cores;
pub mod fake;
mod landlock;
mod limited;
mod limits;
mod network;
mod packet;
pub mod probe;
pub mod process;
mod protocol;
mod rights;
mod root;
mod scratch;
mod seccomp;
pub mod spawner;
mod spec;
mod stopwatch;

use std::{
    io,
    net::TcpListener,
    os::{fd::OwnedFd, unix::net::UnixStream},
};

pub use limited::{Limit, MissingLimit};
pub use process::{Spawner, StartError};
pub use protocol::{ExitStatus, Stage};
pub use scratch::{NoDisk, Scratch, ScratchDisk, ScratchStep};
pub use spec::{Bind, Spec, SpecError};

/// What makes sandboxes.
#[derive(Clone, Debug)]
pub enum Launcher {
    Process(Spawner),
    Fake(fake::Launcher),
}

/// One sandbox whose program runs or has ended. Dropping it kills everything inside.
#[derive(Debug)]
pub enum Sandbox {
    Process(Box<process::Running>),
    Fake(fake::Running),
}

/// The end of a sandbox's program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exit {
    pub status: ExitStatus,
    /// The kernel killed something inside because of the memory limit.
    pub out_of_memory: bool,
}

/// Why a launch failed. Nothing of the sandbox remains.
#[derive(Debug, thiserror::Error)]
pub enum LaunchError {
    #[error("launching a sandbox: {0}")]
    Spec(#[from] SpecError),
    /// The program is missing, not executable or of a foreign format: the user's matter.
    #[error("launching a sandbox, executing its program: {}", io::Error::from_raw_os_error(*.errno))]
    Exec { errno: i32 },
    #[error("launching a sandbox, {}: {}", .stage.doing(), io::Error::from_raw_os_error(*.errno))]
    SetUp { stage: Stage, errno: i32 },
    #[error("launching a sandbox: its memory limit is too small to start in")]
    OutOfMemory,
    #[error("launching a sandbox: it was killed before its program started")]
    Killed,
    #[error("launching a sandbox: the spawner is gone")]
    SpawnerGone,
    #[error("launching a sandbox: the spawner sent something unexpected")]
    Protocol,
    #[error("launching a sandbox: {0}")]
    Unsendable(String),
    #[error("launching a sandbox: {0}")]
    Io(#[from] io::Error),
}

/// Microseconds of each phase of a launch; see SANDBOX.md for what they should be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LaunchTimings {
    pub cgroup_us: u64,
    /// Taking a scratch on disk from the stock, or making one.
    pub scratch_us: u64,
    pub clone_us: u64,
    /// Joining the control groups and waiting for the user map.
    pub join_us: u64,
    pub mounts_us: u64,
    pub network_us: u64,
    pub rights_us: u64,
    pub exec_us: u64,
}

impl Launcher {
    /// Returns when the program's image is loaded.
    pub async fn launch(&self, spec: Spec) -> Result<Sandbox, LaunchError> {
        match self {
            Launcher::Process(spawner) => {
                spawner.launch(spec).await.map(Box::new).map(Sandbox::Process)
            }
            Launcher::Fake(fake) => fake.launch(spec).await.map(Sandbox::Fake),
        }
    }

    /// Limits that sandboxes of this launcher do without.
    pub fn missing_limits(&self) -> &[MissingLimit] {
        match self {
            Launcher::Process(spawner) => spawner.missing_limits(),
            Launcher::Fake(_) => &[],
        }
    }
}

macro_rules! delegate {
    ($self:ident, $running:ident => $call:expr) => {
        match $self {
            Sandbox::Process($running) => $call,
            Sandbox::Fake($running) => $call,
        }
    };
}

impl Sandbox {
    /// The non-blocking listener on 127.0.0.1:9001 inside.
    pub fn take_listener(&mut self) -> Option<TcpListener> {
        delegate!(self, running => running.take_listener())
    }

    /// Our end of the stream socket that the program has as descriptor 3; blocking.
    pub fn take_channel(&mut self) -> Option<UnixStream> {
        delegate!(self, running => running.take_channel())
    }

    pub fn take_stdout(&mut self) -> Option<OwnedFd> {
        delegate!(self, running => running.take_stdout())
    }

    pub fn take_stderr(&mut self) -> Option<OwnedFd> {
        delegate!(self, running => running.take_stderr())
    }

    /// Until the program has ended. Can be cancelled and asked again.
    pub async fn wait(&self) -> Exit {
        delegate!(self, running => running.wait().await)
    }

    /// Most bytes used since the start or the last reset, if the host measures it.
    pub fn memory_peak(&self) -> Option<u64> {
        delegate!(self, running => running.memory_peak())
    }

    /// Starts a new peak; `false` where the host can only tell that of the whole life.
    pub fn reset_memory_peak(&self) -> bool {
        delegate!(self, running => running.reset_memory_peak())
    }

    /// Changes the memory limit of a running sandbox.
    pub fn set_memory(&self, bytes: u64) -> io::Result<()> {
        match self {
            Sandbox::Process(running) => running.set_memory(bytes),
            Sandbox::Fake(_) => Ok(()),
        }
    }

    /// Changes the CPU share of a running sandbox, in thousandths of one CPU.
    pub fn set_cpu(&self, millis: u32) -> io::Result<()> {
        match self {
            Sandbox::Process(running) => running.set_cpu(millis),
            Sandbox::Fake(_) => Ok(()),
        }
    }

    /// Holds the threads inside to these cores. Whether there are threads to hold is
    /// the answer.
    pub fn hold_to_cores(&self, cores: &rustix::thread::CpuSet) -> io::Result<bool> {
        match self {
            Sandbox::Process(running) => running.hold_to_cores(cores).map(|()| true),
            Sandbox::Fake(_) => Ok(false),
        }
    }

    /// Stops all processes inside until [`Sandbox::thaw`] (I15). Sockets stay open.
    pub fn freeze(&self) -> io::Result<()> {
        match self {
            Sandbox::Process(running) => running.freeze(),
            Sandbox::Fake(running) => {
                running.freeze();
                Ok(())
            }
        }
    }

    pub fn thaw(&self) -> io::Result<()> {
        match self {
            Sandbox::Process(running) => running.thaw(),
            Sandbox::Fake(running) => {
                running.thaw();
                Ok(())
            }
        }
    }

    /// `SIGTERM` to the program.
    pub fn terminate(&self) {
        delegate!(self, running => running.terminate());
    }

    /// Kills every process inside, frozen or not. The end arrives through `wait`.
    pub fn kill(&self) {
        delegate!(self, running => running.kill());
    }

    /// What the launch cost; `None` for a fake.
    pub fn timings(&self) -> Option<LaunchTimings> {
        match self {
            Sandbox::Process(running) => Some(running.timings()),
            Sandbox::Fake(_) => None,
        }
    }

    /// What holds the files of `/tmp`; `None` for a fake.
    pub fn scratch(&self) -> Option<Scratch> {
        match self {
            Sandbox::Process(running) => Some(running.scratch()),
            Sandbox::Fake(_) => None,
        }
    }

    /// Kills and waits until nothing runs any more; what remains vanishes soon after.
    pub async fn dispose(self) {
        match self {
            Sandbox::Process(running) => running.dispose().await,
            Sandbox::Fake(running) => drop(running),
        }
    }
}
