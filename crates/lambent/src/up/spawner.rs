//! The helper process that makes sandboxes: this binary again, with a subcommand
//! that people do not see. It is started before the executor has threads.

use std::path::Path;

use anyhow::Context;
use sandbox::{Launcher, ScratchDisk, Spawner};

use crate::failure::Exit;

const SUBCOMMAND: &str = "sandbox-spawner";

#[derive(Debug, clap::Args)]
pub(crate) struct SandboxSpawner {}

impl SandboxSpawner {
    pub(crate) fn run(self) -> anyhow::Result<Exit> {
        sandbox::spawner::main(sandbox::spawner::SOCKET_FD)
    }
}

/// Scratch of functions is kept below the data directory.
pub(super) fn start(data: &Path) -> anyhow::Result<Launcher> {
    let program = std::env::current_exe().context("looking for this program's file")?;
    let disk = ScratchDisk {
        directory: worker::scratch_directory(data),
        usual_bytes: u64::from(model::limits::SCRATCH_MB_MIN) * 1024 * 1024,
    };
    let spawner = Spawner::start_with_scratch(&program, &[SUBCOMMAND], disk)
        .context("starting the spawner")?;
    Ok(Launcher::Process(spawner))
}
