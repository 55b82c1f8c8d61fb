//! `lambent deploy`: what lies on this disk becomes a function. It is packed and
//! recognised here; the platform is asked through its public API only.

pub(crate) mod detect;
pub(crate) mod pack;

use std::{path::PathBuf, time::Duration};

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Map, Value, json};
use worker::Interpreters;

use self::{detect::Detected, pack::Package};
use crate::{
    client::{
        self, Client,
        api::{Configuration, Function, Variables},
        reach::Reach,
    },
    failure::{Exit, Failure},
    ls, print,
};

const READY_POLL: Duration = Duration::from_millis(50);
/// Nothing that a deployment waits for takes as long as this.
const READY_TIMEOUT: Duration = Duration::from_secs(60);
/// Below this an upload is over before a line about it could be read.
const SHOW_PROGRESS_BYTES: usize = 1024 * 1024;

const EXAMPLES: &str = "\
Examples:
  lambent deploy ./hello                       Python or Node, from its files
  lambent deploy hello.zip --name hello --runtime python3.11 --handler app.main
  lambent deploy target/release/bootstrap --name fast --memory 256
  lambent deploy ./hello --env TABLE=users --env STAGE=test --timeout 10

What the runtime is taken from:
  a file named bootstrap, or an executable     provided.al2023
  package.json, *.mjs, *.cjs, *.js             the newest Node of this host
  *.py                                         the newest Python of this host

.git, __pycache__ and .DS_Store are left out. Settings that are not given stay as they are.";

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Deploy {
    /// A directory, a zip, an executable, or one source file.
    #[arg(value_name = "DIR|ZIP|FILE")]
    path: PathBuf,
    /// Name of the function; without it, that of the directory or file.
    #[arg(long)]
    name: Option<String>,
    /// Runtime identifier of the Lambda API; without it, found from the files.
    #[arg(long)]
    runtime: Option<String>,
    /// Entry point, as the runtime wants it; without it, found from the files.
    #[arg(long)]
    handler: Option<String>,
    /// Memory in MB; processor share grows with it.
    #[arg(long, value_name = "MB")]
    memory: Option<u32>,
    /// Seconds that a call may take.
    #[arg(long, value_name = "SECONDS")]
    timeout: Option<u32>,
    /// Environment variable; repeatable. Given ones replace all earlier ones.
    #[arg(long = "env", value_name = "K=V", value_parser = variable)]
    variables: Vec<(String, String)>,
    /// Print the function's configuration as one JSON object.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    reach: Reach,
}

impl Deploy {
    pub(crate) fn run(self) -> anyhow::Result<Exit> {
        let package = pack::package(&self.path)?;
        let name = match &self.name {
            Some(name) => name.clone(),
            None => detect::name(&self.path)?,
        };
        let given = self.given();
        let progress = progress(&package);
        let (function, done) = client::block_on(async {
            let mut client = self.reach.client()?;
            deploy(&mut client, &name, &package, given).await
        })?;
        progress.finish_and_clear();
        if self.json {
            print::json(&function)?;
        } else {
            print::out(ls::table(std::slice::from_ref(&function)).as_bytes())?;
            print::line(&format!("\n{done}. Call it: lambent invoke {name} --payload '{{}}'"))?;
        }
        Ok(Exit::Success)
    }

    /// What the command line sets.
    fn given(&self) -> Configuration {
        let variables: Map<_, _> =
            self.variables.iter().map(|(k, v)| (k.clone(), Value::from(v.as_str()))).collect();
        Configuration {
            runtime: self.runtime.clone(),
            handler: self.handler.clone(),
            memory_size: self.memory,
            timeout: self.timeout,
            environment: (!variables.is_empty()).then_some(Variables { variables }),
        }
    }
}

/// Creates the function, or updates it where there is one of that name; returns
/// it ready to be called, and what was done.
pub(crate) async fn deploy(
    client: &mut Client,
    name: &str,
    package: &Package,
    given: Configuration,
) -> anyhow::Result<(Function, &'static str)> {
    if client.find(name).await?.is_none() {
        let configuration = complete(package, given)?;
        client.create(name, &configuration, &package.zip).await?;
        return Ok((ready(client, name).await?, "Created"));
    }
    client.update_code(name, &package.zip).await?;
    let mut function = ready(client, name).await?;
    let nothing = serde_json::to_value(&given)? == json!({});
    if !nothing {
        function = reconfigure(client, name, &given).await?;
    }
    Ok((function, "Updated"))
}

/// Changes what is given and waits until the function can be called.
pub(crate) async fn reconfigure(
    client: &mut Client,
    name: &str,
    given: &Configuration,
) -> anyhow::Result<Function> {
    client.update_configuration(name, given).await?;
    ready(client, name).await
}

/// What was not given is found in the files.
fn complete(package: &Package, given: Configuration) -> anyhow::Result<Configuration> {
    let (Some(_), Some(_)) = (&given.runtime, &given.handler) else {
        let Detected { language, handler } =
            detect::detect(&package.sources, given.runtime.as_deref(), given.handler.as_deref())?;
        let host: Vec<_> = Interpreters::find().list().map(|(name, _)| name).collect();
        return Ok(Configuration {
            runtime: given.runtime.or_else(|| Some(language.newest(&host))),
            handler: Some(handler),
            ..given
        });
    };
    Ok(given)
}

/// Waits until the function can be called and no update of it is under way.
async fn ready(client: &mut Client, name: &str) -> anyhow::Result<Function> {
    let wait = async {
        loop {
            let Some(function) = client.find(name).await? else {
                let todo = "somebody else deletes it; try again";
                return Err(Failure::failed(format!("{name} is gone"), todo).into());
            };
            let state = function.state.as_deref();
            let update = function.last_update_status.as_deref();
            if state == Some("Failed") || update == Some("Failed") {
                return Err(not_ready(&function).into());
            }
            if state == Some("Active") && update != Some("InProgress") {
                return Ok(function);
            }
            tokio::time::sleep(READY_POLL).await;
        }
    };
    tokio::time::timeout(READY_TIMEOUT, wait).await.unwrap_or_else(|_| {
        let what = format!("{name} is not ready after {READY_TIMEOUT:?}");
        Err(Failure::failed(what, "`lambent ls` shows its state").into())
    })
}

fn not_ready(function: &Function) -> Failure {
    let reason = function.state_reason.as_deref();
    let reason = reason.or(function.last_update_status_reason.as_deref());
    let what = format!("{}: {}", function.function_name, reason.unwrap_or("it has failed"));
    Failure::failed(what, "change the code or the settings as it says, and deploy again")
}

/// Shows itself only on a terminal.
fn progress(package: &Package) -> ProgressBar {
    if package.zip.len() < SHOW_PROGRESS_BYTES {
        return ProgressBar::hidden();
    }
    let size = ls::size(package.zip.len() as u64);
    let bar = ProgressBar::new_spinner().with_message(format!("uploading {size}"));
    bar.set_style(ProgressStyle::default_spinner());
    bar.enable_steady_tick(Duration::from_millis(100));
    bar
}

fn variable(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.into(), value.into())),
        Some(_) | None => Err(format!("{text:?} is not of the form NAME=VALUE")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_split_at_the_first_sign() {
        assert_eq!(variable("A=b=c"), Ok(("A".into(), "b=c".into())));
        assert_eq!(variable("A="), Ok(("A".into(), String::new())));
        assert!(variable("A").is_err());
        assert!(variable("=b").is_err());
    }
}
