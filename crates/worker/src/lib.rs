//! Worker: the agent of one host. It fetches code, builds environments, serves
//! the Runtime API inside them, runs invocations and keeps their logs. It is the
//! source of truth about which environments exist.
//!
//! The wall: it knows no rings and no other workers, and nothing of the public
//! HTTP API. Its start and its mailbox are all that others see.
#![forbid(unsafe_code)]

mod binding;
mod channel;
mod code;
mod environment;
mod failure;
mod interpreters;
mod lines;
mod link;
mod logs;
mod managers;
mod output;
mod room;
mod runtime_api;
mod runtime_files;
mod spec;
mod start;
mod tenure;
mod worker;

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use model::{Capacity, ManagerId, Region, WorkerId};
use objects::ReadOnly;
use platform::{Caller, Clock, Entropy, Inbox, Running, TaskKind, Tasks};
use sandbox::Launcher;
use tokio::sync::OnceCell;
use wire::{
    manager::{ManagerAnswer, ManagerCall, ManagerNote},
    worker::{WorkerAnswer, WorkerCall, WorkerNote},
};

pub use interpreters::{Interpreters, Missing};

pub type WorkerInbox = Inbox<WorkerCall, WorkerAnswer, WorkerNote>;
pub type ManagerCaller = Caller<ManagerCall, ManagerAnswer, ManagerNote>;

/// What a worker is made of. Clocks, stores and transports are arguments.
#[derive(Debug)]
pub struct Settings {
    pub worker: WorkerId,
    pub region: Region,
    /// Caches, runtime clients and logs live below.
    pub data: PathBuf,
    pub missing_runtimes: Missing,
    pub capacity: Capacity,
}

#[derive(Debug)]
pub struct Ground {
    pub clock: Clock,
    pub entropy: Entropy,
    pub tasks: Tasks,
    pub launcher: Launcher,
    pub objects: ReadOnly,
    pub managers: BTreeMap<ManagerId, ManagerCaller>,
}

/// Where the launcher is to keep the scratch of sandboxes, below [`Settings::data`].
pub fn scratch_directory(data: &Path) -> PathBuf {
    data.join("cache/scratch")
}

/// A started worker, as its process sees it.
#[derive(Clone, Debug)]
pub struct Worker {
    running: Arc<Running>,
}

impl Worker {
    /// Calls that run here now.
    pub fn calls(&self) -> usize {
        self.running.calls()
    }
}

/// Starts the worker's owner task.
pub fn start(settings: Settings, ground: Ground, inbox: WorkerInbox) -> io::Result<Worker> {
    start_with(settings, ground, OnceCell::new(), inbox)
}

/// The same on a host whose interpreters are known, and not searched for.
pub fn start_knowing(
    settings: Settings,
    ground: Ground,
    interpreters: Interpreters,
    inbox: WorkerInbox,
) -> io::Result<Worker> {
    start_with(settings, ground, OnceCell::new_with(Some(interpreters)), inbox)
}

fn start_with(
    settings: Settings,
    ground: Ground,
    interpreters: OnceCell<Interpreters>,
    inbox: WorkerInbox,
) -> io::Result<Worker> {
    let Ground { clock, entropy, tasks, launcher, objects, managers } = ground;
    let host = Arc::new(start::Host {
        launcher,
        code: code::CodeCache::open(settings.data.join("cache/code"), objects, tasks.clone())?,
        runtimes: runtime_files::unpack(&settings.data)?,
        interpreters,
        missing: settings.missing_runtimes,
        logs: logs::Logs::start(settings.data.join("logs"), clock.clone())?,
        region: settings.region,
        clock,
        entropy,
        tasks: tasks.clone(),
        managers: managers::Managers::new(settings.worker, managers, tasks.clone()),
        running: Arc::default(),
    });
    let owner = worker::Owner::run(
        settings.worker,
        room::Room::new(settings.capacity),
        Arc::clone(&host),
        inbox,
    );
    tasks.spawn(TaskKind::Role, "worker", owner);
    let worker = Worker { running: Arc::clone(&host.running) };
    // Found ahead of the first call; a failure is told by the call that needs it.
    tasks.spawn(TaskKind::Background, "interpreter search", async move {
        let _ = host.interpreters().await;
    });
    Ok(worker)
}
