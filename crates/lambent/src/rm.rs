//! `lambent rm`: functions deleted by name. One that cannot be deleted does not
//! keep the others.

use serde_json::json;

use crate::{
    client::{self, reach::Reach},
    failure::{self, Exit},
    print,
};

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  lambent rm my-function\n  lambent rm $(lambent ls --json | jq -r '.[].FunctionName')"
)]
pub(crate) struct Rm {
    /// Functions to delete.
    #[arg(required = true, value_name = "NAME")]
    names: Vec<String>,
    /// Print one JSON object with the names of what was deleted.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    reach: Reach,
}

impl Rm {
    pub(crate) fn run(self) -> anyhow::Result<Exit> {
        let Rm { names, json, reach } = self;
        let (deleted, exit) = client::block_on(async {
            let mut client = reach.client()?;
            let (mut deleted, mut exit) = (Vec::new(), Exit::Success);
            for name in &names {
                match client.delete(name).await {
                    Ok(()) => deleted.push(name.clone()),
                    Err(error) => exit = failure::report(&error),
                }
            }
            Ok((deleted, exit))
        })?;
        if json {
            print::json(&json!({ "deleted": deleted }))?;
        } else if !deleted.is_empty() {
            print::line(&format!("deleted {}", deleted.join(", ")))?;
        }
        Ok(exit)
    }
}
