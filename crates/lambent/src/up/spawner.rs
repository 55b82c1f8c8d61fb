//! The helper process that makes sandboxes: this binary again, with a subcommand
//! that people do not see. It is started before the executor has threads.

use anyhow::Context;
use sandbox::{Launcher, Spawner};

use crate::failure::Exit;

const SUBCOMMAND: &str = "sandbox-spawner";

#[derive(Debug, clap::Args)]
pub(crate) struct SandboxSpawner {}

impl SandboxSpawner {
    pub(crate) fn run(self) -> anyhow::Result<Exit> {
        sandbox::spawner::main(sandbox::spawner::SOCKET_FD)
    }
}

pub(super) fn start() -> anyhow::Result<Launcher> {
    let program = std::env::current_exe().context("looking for this program's file")?;
    let spawner = Spawner::start(&program, &[SUBCOMMAND]).context("starting the spawner")?;
    Ok(Launcher::Process(spawner))
}
