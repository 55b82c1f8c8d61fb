//! `lambent up`: the order in which the platform comes up and goes down. Roles are
//! wired in `up/roles.rs`; what they do is theirs.
//!
//! settings → isolation judged → spawner process → executor → store, installation →
//! roles → listening → told to the user → … → no new calls → running calls end →
//! executor and spawner end.

pub(crate) mod members;
pub(crate) mod settings;
pub(crate) mod spawner;

mod banner;
mod host;
mod install;
mod isolation;
mod links;
mod page;
mod panics;
mod roles;
mod shutdown;

use std::{io::IsTerminal, net::SocketAddr, path::PathBuf, time::Duration};

use anyhow::Context;
use platform::{Clock, Entropy, Meters, TaskKind, Tasks, tasks::Stop};
use sandbox::Launcher;

use self::{
    banner::Banner,
    install::Installed,
    isolation::Isolation,
    links::Links,
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
        data::create(&settings.data)?;
        let host = match settings.hosts_functions() {
            // The helper is a fork of a process that has no threads yet.
            true => Some((
                isolation::judge(settings.allow_weak_isolation)?,
                spawner::start(&settings.data)?,
            )),
            false => None,
        };
        let executor = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .max_blocking_threads(BLOCKING_THREADS_MAX)
            .on_thread_start(platform::cores::begin_free)
            .build()
            .context("starting the executor")?;
        let stop = executor.block_on(self.serve(settings, host));
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
        host: Option<(Isolation, Launcher)>,
    ) -> anyhow::Result<Stop> {
        let signals = Signals::listen().context("listening to signals")?;
        let (clock, entropy, tasks) = (Clock::system(), Entropy::system(), Tasks::default());
        let mut links = Links::new(&settings, &tasks)?;
        let (isolation, launcher) = host.unzip();
        let meters = Meters::default();
        let listener = settings.answers_the_public().then(|| listen(&settings)).transpose()?;
        let page = show_metrics(&settings, &meters, &clock, &tasks)?;
        let public = listener.as_ref().map(tokio::net::TcpListener::local_addr).transpose()?;
        let come_up = async {
            let store = open_store(&settings, &links, &clock, &tasks)?;
            let installed = installed(&settings, &store, &clock, &entropy).await?;
            let objects = settings.controls().then(|| open_objects(&settings)).transpose()?;
            let ground = roles::Ground {
                clock: clock.clone(),
                entropy: entropy.clone(),
                tasks: tasks.clone(),
                meters,
                store,
                objects,
                launcher,
            };
            let started =
                roles::start(&settings, &installed, &ground, &mut links, listener).await?;
            anyhow::Ok((installed, started))
        };
        let (installed, started) = tokio::select! {
            up = come_up => up?,
            () = signals.asked() => return Ok(Stop::Asked),
        };
        let access = public.map(|address| access(&installed, address));
        if let Some(access) = &access {
            data::write_access(&settings.data, access)?;
        }
        // The API's own port shows them to this host.
        let shown = page.or(public.filter(|address| address.ip().is_loopback()));
        let banner =
            Banner::gather(&settings, access.as_ref(), shown, &installed, isolation, &tasks)
                .await?;
        if self.json {
            banner.json()?
        } else {
            banner.text()?
        }
        let demo = async {
            match access {
                Some(access) => self.demonstrate(Client::new(access, clock, tasks.clone())?).await,
                None => std::future::pending().await,
            }
        };
        let stop = tokio::select! {
            stop = tasks.stopped() => stop,
            () = signals.asked() => Stop::Asked,
            demo = demo => demo.map(|()| Stop::Asked)?,
        };
        tasks.stop(stop.clone());
        shutdown::calls_end(&started, &signals).await;
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

/// The file, where this process has control of it; else the way to that process.
fn open_store(
    settings: &Checked,
    links: &Links<'_>,
    clock: &Clock,
    tasks: &Tasks,
) -> anyhow::Result<store::Store> {
    if !settings.controls() {
        let caller = links.store().context("--members says nothing of control")?;
        return Ok(store::Store::remote(caller, clock.clone(), tasks));
    }
    let store = store::Store::open(&settings.store).map_err(|error| {
        let what = format!("the metadata cannot be opened: {:#}", anyhow::Error::from(error));
        Failure::failed(what, "is another `lambent up` running on this --data?")
    })?;
    if let Some(inbox) = links.open_store()? {
        store::serve(store.clone(), clock.clone(), tasks, inbox);
    }
    Ok(store)
}

/// Control makes an installation; the others wait until there is one.
async fn installed(
    settings: &Checked,
    store: &store::Store,
    clock: &Clock,
    entropy: &Entropy,
) -> anyhow::Result<Installed> {
    if settings.controls() {
        install::install(store, clock, entropy, settings.region.as_ref()).await
    } else {
        install::find(store).await
    }
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

fn show_metrics(
    settings: &Checked,
    meters: &Meters,
    clock: &Clock,
    tasks: &Tasks,
) -> anyhow::Result<Option<SocketAddr>> {
    meters.keep(clock.clone(), tasks);
    let Some(address) = settings.metrics else { return Ok(None) };
    let listener = platform::listen::tcp(address).map_err(|error| {
        let todo = "another program may have the port: choose one with --metrics ADDRESS:PORT";
        Failure::failed(error.to_string(), todo)
    })?;
    let address = listener.local_addr()?;
    let page = page::serve(listener, meters.clone(), tasks.clone());
    tasks.spawn(TaskKind::Listener, "page of metrics", page);
    Ok(Some(address))
}

/// What clients on this host need. An address that stands for all of them is
/// reached over loopback.
fn access(installed: &Installed, mut address: SocketAddr) -> Access {
    if address.ip().is_unspecified() {
        let loopback: std::net::IpAddr = match address {
            SocketAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
            SocketAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
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
