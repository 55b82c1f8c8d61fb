//! `lambent version`: for people and, as JSON, for scripts. The same number as
//! `lambent --version`.

use serde_json::json;

use crate::{failure::Exit, print};

#[derive(Debug, clap::Args)]
pub(crate) struct Version {
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

impl Version {
    pub(crate) fn run(self) -> anyhow::Result<Exit> {
        let version = env!("CARGO_PKG_VERSION");
        if self.json {
            print::json(&json!({ "version": version }))?;
        } else {
            print::line(&format!("lambent {version}"))?;
        }
        Ok(Exit::Success)
    }
}
