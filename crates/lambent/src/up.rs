//! `lambent up`: the order in which the platform comes up and goes down. Roles are
//! wired in `up/roles.rs`; what they do is theirs.
//!
//! settings → isolation judged → spawner process → executor → store, installation →
//! roles → listening → told to the user → … → no new calls → running calls end →
//! executor and spawner end.

pub(crate) mod settings;
pub(crate) mod spawner;

mod banner;
mod host;
mod install;
mod isolation;
mod panics;
mod roles;
mod shutdown;

use std::{io::IsTerminal, path::PathBuf, time::Duration};

use anyhow::Context;
use platform::{Clock, Entropy, Tasks, tasks::Stop};
use sandbox::Launcher;

use self::{
    banner::Banner,
    install::Installed,
    isolation::Isolation,
    settings::{Checked, Settings},
    shutdown::Signals,
};
use crate::{
    client::Client,
    data::{self, Access},
    demo,
    failure::{Exit, Failure},
};

/// Threads for work that waits for the disk. More would only queue there instead.
const BLOCKING_THREADS_MAX: usize = 16;
/// Blocking work that is under way when the process ends gets so long.
const BLOCKING_END_TIMEOUT: Duration = Duration::from_secs(2);

const EXAMPLES: &str = "\
Examples:
  lambent up                                   serve on 127.0.0.1:4574
  lambent up --demo                            also deploy and time three functions
  lambent up --data ./data --listen 127.0.0.1:0 --json
  lambent up --auth any                        accept any credentials (loopback only)

Then, in another terminal:
  eval \"$(lambent env)\" && aws lambda list-functions

SIGINT or SIGTERM: no new calls are taken, running ones get 10 seconds, exit code 0.
A second signal ends the process at once.";

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Up {
    /// Deploy a Python, a Node and a compiled function, and time their calls. Ends
    /// afterwards unless standard output is a terminal.
    #[arg(long)]
    demo: bool,
    /// The demo's compiled function: a program that speaks the Runtime API.
    #[arg(long, value_name = "FILE", requires = "demo")]
    demo_binary: Option<PathBuf>,
    /// Say where the platform listens as one JSON object.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    settings: Settings,
}

impl Up {
    pub(crate) fn run(self) -> anyhow::Result<Exit> {
        let settings = self.settings.clone().check()?;
        platform::telemetry::start(settings.log_style, &settings.log)
            .map_err(|error| Failure::usage(error.to_string(), "write it as --log info"))?;
        panics::log();
        let isolation = isolation::judge(settings.allow_weak_isolation)?;
        data::create(&settings.data)?;
        // The helper is a fork of a process that has no threads yet.
        let launcher = spawner::start(&settings.data)?;
        let executor = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .max_blocking_threads(BLOCKING_THREADS_MAX)
            .build()
            .context("starting the executor")?;
        let stop = executor.block_on(self.serve(settings, isolation, launcher));
        executor.shutdown_timeout(BLOCKING_END_TIMEOUT);
        match stop? {
            Stop::Asked => Ok(Exit::Success),
            Stop::Failed { task } => {
                let todo = "its reason stands in the log; start again with --log info for more";
                Err(Failure::failed(format!("the {task} failed, so the platform ends"), todo)
                    .into())
            }
        }
    }

    async fn serve(
        &self,
        settings: Checked,
        isolation: Isolation,
        launcher: Launcher,
    ) -> anyhow::Result<Stop> {
        let signals = Signals::listen().context("listening to signals")?;
        let (clock, entropy, tasks) = (Clock::system(), Entropy::system(), Tasks::default());
        let store = open_store(&settings)?;
        let installed =
            install::install(&store, &clock, &entropy, settings.region.as_ref()).await?;
        let listener = listen(&settings)?;
        let access = access(&installed, listener.local_addr()?);
        let ground = roles::Ground {
            clock: clock.clone(),
            entropy,
            tasks: tasks.clone(),
            store,
            objects: open_objects(&settings)?,
            launcher,
        };
        let manager = roles::start(&settings, &installed, ground, listener).await?;
        data::write_access(&settings.data, &access)?;
        let banner = Banner::gather(&settings, &access, isolation, &tasks).await?;
        if self.json {
            banner.json()?
        } else {
            banner.text()?
        }
        let demo = async {
            let client = Client::new(access, clock, tasks.clone())?;
            self.demonstrate(client).await
        };
        let stop = tokio::select! {
            stop = tasks.stopped() => stop,
            () = signals.asked() => Stop::Asked,
            demo = demo => demo.map(|()| Stop::Asked)?,
        };
        tasks.stop(stop.clone());
        shutdown::calls_end(&manager, &signals).await;
        Ok(stop)
    }

    /// Ends only where the process is to end with the demo.
    async fn demonstrate(&self, client: Client) -> anyhow::Result<()> {
        if self.demo {
            demo::run(client, self.demo_binary.as_deref(), self.json).await?;
        }
        if !self.demo || std::io::stdout().is_terminal() {
            std::future::pending::<()>().await;
        }
        Ok(())
    }
}

fn open_store(settings: &Checked) -> anyhow::Result<store::Store> {
    store::Store::open(&settings.store).map_err(|error| {
        let what = format!("the metadata cannot be opened: {:#}", anyhow::Error::from(error));
        Failure::failed(what, "is another `lambent up` running on this --data?").into()
    })
}

fn open_objects(settings: &Checked) -> anyhow::Result<objects::Objects> {
    objects::Objects::open(&settings.objects).map_err(|error| {
        let what = format!("stored code cannot be opened: {:#}", anyhow::Error::from(error));
        Failure::failed(what, "is another `lambent up` running on this --data?").into()
    })
}

fn listen(settings: &Checked) -> anyhow::Result<tokio::net::TcpListener> {
    platform::listen::tcp(settings.listen).map_err(|error| {
        let todo = "another program may have the port: choose one with --listen ADDRESS:PORT";
        Failure::failed(error.to_string(), todo).into()
    })
}

/// What clients on this host need. An address that stands for all of them is
/// reached over loopback.
fn access(installed: &Installed, mut address: std::net::SocketAddr) -> Access {
    if address.ip().is_unspecified() {
        let loopback: std::net::IpAddr = match address {
            std::net::SocketAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
            std::net::SocketAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
        };
        address.set_ip(loopback);
    }
    let Installed { installation, credential } = installed;
    Access {
        endpoint: format!("http://{address}"),
        region: installation.region.to_string(),
        account: installation.account.to_string(),
        access_key_id: credential.id.to_string(),
        secret_access_key: credential.secret.clone(),
    }
}
