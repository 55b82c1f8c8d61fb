//! What is said on the spawner's sockets. The worker sends a [`Request`] on the one
//! spawner socket; everything about one launch comes back on a socket of its own, of
//! which the spawner and the sandbox's first process hold the other end:
//!
//! ```text
//! Launch → Refused                                   (nothing was created)
//!        → Spawned → Failed                          (set-up or exec failed)
//!                  → Started → Exited                (the program ended)
//!                            → end of file           (killed as a whole)
//! ```

use serde::{Deserialize, Serialize};

use crate::{
    cgroup::Group,
    limited::MissingLimit,
    scratch::{Scratch, ScratchDisk},
    spec::Spec,
};

/// First message to the spawner.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Setup {
    pub(crate) scratch: Option<ScratchDisk>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Request {
    /// With descriptors: status, channel, stdout, stderr.
    Launch(Box<Spec>),
    /// The sandbox is dead or dying: its groups are to vanish.
    Remove(Group),
}

/// First message of the spawner on its own socket.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Hello {
    pub(crate) missing: Vec<MissingLimit>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Event {
    Refused(Failure),
    /// With the pidfd of the sandbox's first process.
    Spawned {
        group: Group,
        cgroup_us: u64,
        scratch_us: u64,
        clone_us: u64,
        scratch: Scratch,
    },
    Failed(Failure),
    /// The program's image is loaded. With the listener of the Runtime API.
    Started(Phases),
    Exited(ExitStatus),
}

/// How the program ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ExitStatus {
    Code(i32),
    Signal(i32),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Failure {
    pub(crate) stage: Stage,
    pub(crate) errno: i32,
}

/// The step of a launch that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Stage {
    Capacity,
    Cgroup,
    Clone,
    Identity,
    Sources,
    Mounts,
    Network,
    Rights,
    Landlock,
    Seccomp,
    Fork,
    WorkingDirectory,
    Exec,
}

impl Stage {
    pub fn doing(self) -> &'static str {
        match self {
            Stage::Capacity => "finding room for another sandbox",
            Stage::Cgroup => "setting up its control groups",
            Stage::Clone => "creating its namespaces",
            Stage::Identity => "taking its user identity",
            Stage::Sources => "opening its code and system directories",
            Stage::Mounts => "mounting its file system",
            Stage::Network => "bringing up its loopback and listener",
            Stage::Rights => "dropping rights",
            Stage::Landlock => "applying the Landlock rules",
            Stage::Seccomp => "applying the system call filter",
            Stage::Fork => "forking its program",
            Stage::WorkingDirectory => "entering its working directory",
            Stage::Exec => "executing its program",
        }
    }
}

/// Microseconds the first process spent in each phase.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Phases {
    pub(crate) join_us: u64,
    pub(crate) mounts_us: u64,
    pub(crate) network_us: u64,
    pub(crate) rights_us: u64,
    pub(crate) exec_us: u64,
}
