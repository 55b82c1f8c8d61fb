//! Scratch on disk: the `/tmp` of a sandbox is a small file system of its own on a loop
//! device, so that its files do not count as memory and end at their size with `ENOSPC`.
//! This is the spawner's side: a stock of ready mounts and what is said when there is
//! none. The first process of a sandbox moves one into place (`root`).
//!
//! ```text
//! template (once per size) → image without a name → loop device → detached mount
//!     → stock → moved into a sandbox → given up by the remover when it is dead
//! ```
//! The mount holds the device, the device the image, and nothing has a name: whoever
//! dies, in whatever order, the last one to go takes all of it along.

mod device;
mod image;
mod remover;

use std::{collections::VecDeque, io, os::fd::OwnedFd, path::PathBuf};

use serde::{Deserialize, Serialize};

use crate::limits::SCRATCH_STOCK_MAX;
use image::Images;
use remover::Remover;

/// Where scratch space is kept on disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScratchDisk {
    /// Created if absent. Its file system holds every scratch, as far as it is written.
    pub directory: PathBuf,
    /// What most sandboxes will ask for: tried and stocked before the first one.
    pub usual_bytes: u64,
}

/// What holds the files of a sandbox's `/tmp`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Scratch {
    Disk,
    /// They count against the memory limit of the sandbox.
    Memory(NoDisk),
}

/// Why scratch is not on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum NoDisk {
    #[error("no directory for scratch was given")]
    NotAsked,
    #[error("loop devices need root")]
    NotRoot,
    #[error("mke2fs (package e2fsprogs) is not installed")]
    NoMke2fs,
    #[error("mke2fs could not make a file system of that size")]
    Mke2fs,
    #[error("the directory for scratch is itself in memory")]
    InMemory,
    #[error("the disk of the scratch directory has less free space than one scratch")]
    NoRoom,
    #[error("{}: {}", .step.doing(), io::Error::from_raw_os_error(*.errno))]
    Failed { step: ScratchStep, errno: i32 },
}

/// The step towards a scratch on disk that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ScratchStep {
    Directory,
    Remover,
    Template,
    Image,
    Device,
    Mount,
}

impl ScratchStep {
    pub fn doing(self) -> &'static str {
        match self {
            ScratchStep::Directory => "looking at the scratch directory",
            ScratchStep::Remover => "starting the process that removes scratch",
            ScratchStep::Template => "preparing the file system that scratch is copied from",
            ScratchStep::Image => "writing an image into the scratch directory",
            ScratchStep::Device => "attaching a loop device",
            ScratchStep::Mount => "mounting scratch",
        }
    }

    fn failed<E: Into<io::Error>>(self) -> impl Fn(E) -> NoDisk {
        move |error| {
            let errno = error.into().raw_os_error().unwrap_or(libc::EINVAL);
            NoDisk::Failed { step: self, errno }
        }
    }
}

/// What every scratch on disk needs, by looking only; for the survey.
pub(crate) fn survey() -> Result<(), NoDisk> {
    if !rustix::process::geteuid().is_root() {
        return Err(NoDisk::NotRoot);
    }
    device::look()?;
    image::program().map(|_| ())
}

/// One mount that no sandbox has yet.
#[derive(Debug)]
struct Ready {
    bytes: u64,
    mount: OwnedFd,
}

/// Ready mounts, oldest first.
#[derive(Debug)]
pub(crate) struct Stock {
    images: Images,
    remover: Remover,
    ready: VecDeque<Ready>,
    /// The size asked for last: the one that is kept in stock.
    wanted_bytes: u64,
    /// Making one failed: not tried again before one is asked for.
    resting: bool,
}

impl Stock {
    /// Makes a first scratch, so that a host which cannot is known now.
    pub(crate) fn open(disk: &ScratchDisk) -> Result<Stock, NoDisk> {
        survey()?;
        let remover = Remover::start().map_err(ScratchStep::Remover.failed())?;
        let mut images = Images::open(&disk.directory)?;
        let first = make(&mut images, disk.usual_bytes)?;
        let ready = VecDeque::from([Ready { bytes: disk.usual_bytes, mount: first }]);
        let wanted_bytes = disk.usual_bytes;
        Ok(Stock { images, remover, ready, wanted_bytes, resting: false })
    }

    /// An empty scratch of at least `bytes`, which nobody else ever had.
    pub(crate) fn take(&mut self, bytes: u64) -> Result<OwnedFd, NoDisk> {
        self.wanted_bytes = bytes;
        self.resting = false;
        let found = self.ready.iter().position(|ready| ready.bytes == bytes);
        match found.and_then(|index| self.ready.remove(index)) {
            Some(ready) => Ok(ready.mount),
            None => make(&mut self.images, bytes),
        }
    }

    pub(crate) fn is_hungry(&self) -> bool {
        let fitting = self.ready.iter().filter(|ready| ready.bytes == self.wanted_bytes).count();
        !self.resting && fitting < SCRATCH_STOCK_MAX
    }

    /// One step towards a full stock. For moments in which nobody waits.
    pub(crate) fn refill(&mut self) {
        if !self.is_hungry() {
            return;
        }
        let other = self.ready.iter().position(|ready| ready.bytes != self.wanted_bytes);
        if self.ready.len() >= SCRATCH_STOCK_MAX
            && let Some(unfit) = other.and_then(|index| self.ready.remove(index))
        {
            self.remover.give_up(unfit.mount);
        }
        match make(&mut self.images, self.wanted_bytes) {
            Ok(mount) => self.ready.push_back(Ready { bytes: self.wanted_bytes, mount }),
            // Who asks next tries again, and tells.
            Err(_) => self.resting = true,
        }
    }

    /// The remover lets go of a mount when the sandbox that has it is dead.
    pub(crate) fn remove_after(&self, sandbox: &OwnedFd, mount: &OwnedFd) {
        self.remover.give_up_after(sandbox, mount);
    }

    /// After the last sandbox is dead: returns when nothing is left.
    pub(crate) fn end(self) {
        drop(self.ready);
        self.remover.end();
    }
}

fn make(images: &mut Images, bytes: u64) -> Result<OwnedFd, NoDisk> {
    device::mount(&images.fresh(bytes)?)
}
