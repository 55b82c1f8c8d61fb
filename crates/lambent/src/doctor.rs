//! `lambent doctor`

use crate::failure::Exit;

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  lambent doctor")]
pub(crate) struct Doctor {
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

impl Doctor {
    pub(crate) fn run(self) -> anyhow::Result<Exit> {
        Ok(Exit::Success)
    }
}
