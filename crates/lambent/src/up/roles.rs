//! Wiring: every role in this process, each with its mailbox. This is the whole
//! graph; nothing else connects one role with another.

use anyhow::Context;
use decide::{book, ring::Ring};
use frontend::{Credentials, Frontend, Trust};
use model::{
    Attrs, Capacity, FrontendId, ManagerId, Region, RingVersion, WorkerId, function::Architecture,
};
use objects::{Objects, ReadOnly};
use platform::{Clock, Entropy, Meters, Tasks};
use sandbox::Launcher;
use store::Store;
use tokio::net::TcpListener;

use super::{
    install::Installed,
    links::Links,
    members::Role,
    settings::{Auth, Checked, Runtimes},
};

/// Leases that a start of the process may count before it would meet those of a
/// start one millisecond later.
const LEASE_BITS: u32 = 20;
/// Functions run on the processor that the platform runs on.
const ARCHITECTURE: Architecture =
    if cfg!(target_arch = "aarch64") { Architecture::Arm64 } else { Architecture::X86_64 };

/// What all roles share.
#[derive(Debug)]
pub(super) struct Ground {
    pub(super) clock: Clock,
    pub(super) entropy: Entropy,
    pub(super) tasks: Tasks,
    pub(super) meters: Meters,
    pub(super) store: Store,
    /// Where there is control, which alone writes them.
    pub(super) objects: Option<Objects>,
    /// Where there is a worker.
    pub(super) launcher: Option<Launcher>,
}

/// What of this process's roles may still hold calls.
#[derive(Debug, Default)]
pub(super) struct Started {
    frontend: Option<Frontend>,
    worker: Option<worker::Worker>,
}

impl Started {
    /// Calls under way here.
    pub(super) fn calls(&self) -> usize {
        let at_frontend = self.frontend.as_ref().map_or(0, Frontend::calls);
        at_frontend + self.worker.as_ref().map_or(0, worker::Worker::calls)
    }
}

/// Starts every role of this process; the frontend last, so that who is let in is
/// served.
pub(super) async fn start(
    settings: &Checked,
    installed: &Installed,
    ground: &Ground,
    links: &mut Links<'_>,
    listener: Option<TcpListener>,
) -> anyhow::Result<Started> {
    let mut started = Started::default();
    // Mailboxes before roles: each role gets the ways to all others.
    let mut mailboxes = Mailboxes::default();
    for role in &settings.roles {
        match *role {
            Role::Control => mailboxes.control = Some(links.open_control()?),
            Role::Frontend(id) => mailboxes.frontend = links.open_frontend(id)?,
            Role::Manager(id) => mailboxes.manager = Some((id, links.open_manager(id)?)),
            Role::Worker(id) => mailboxes.worker = Some((id, links.open_worker(id)?)),
        }
    }
    let region = &installed.installation.region;
    if let Some((id, inbox)) = mailboxes.worker {
        let host = worker::Ground {
            clock: ground.clock.clone(),
            entropy: ground.entropy.clone(),
            tasks: ground.tasks.clone(),
            launcher: ground.launcher.clone().context("no sandboxes can be made")?,
            objects: ReadOnly::at(&settings.objects),
            managers: links.managers(Role::Worker(id)),
        };
        let worker = worker::start(worker_settings(id, settings, region), host, inbox);
        started.worker = Some(worker.context("starting the worker")?);
    }
    if let Some((id, inbox)) = mailboxes.manager {
        let book = manager_settings(id, &ground.clock, links);
        let Ground { clock, tasks, meters, store, .. } = ground;
        manager::start(book, clock.clone(), tasks, meters.clone(), store.clone(), inbox);
    }
    if let Some(inbox) = mailboxes.control {
        let publisher = control::rings::Publisher::new(ground.store.clone());
        let managers = settings.members.managers().collect();
        let published = publisher.first(managers, Attrs::default()).await;
        published.context("publishing the first ring")?;
        control::start(
            control_settings(region, links),
            ground.clock.clone(),
            ground.entropy.clone(),
            &ground.tasks,
            ground.store.clone(),
            ground.objects.clone().context("stored code is not open")?,
            inbox,
        );
        control::start_provisioning(
            control::Provisioning { ring: ring(settings), managers: links.managers(Role::Control) },
            ground.clock.clone(),
            &ground.tasks,
            ground.meters.clone(),
            ground.store.clone(),
        );
    }
    for role in &settings.roles {
        if let Role::Frontend(id) = *role {
            let inbox = mailboxes.frontend.take();
            started.frontend = Some(frontend(id, inbox, settings, installed, (ground, links))?);
        }
    }
    links.listen().await?;
    if let (Some(frontend), Some(listener)) = (&started.frontend, listener) {
        frontend.listen(listener);
    }
    Ok(started)
}

fn frontend(
    id: FrontendId,
    inbox: Option<frontend::FrontendInbox>,
    settings: &Checked,
    installed: &Installed,
    (ground, links): (&Ground, &Links<'_>),
) -> anyhow::Result<Frontend> {
    let role = Role::Frontend(id);
    let gate = frontend::Ground {
        clock: ground.clock.clone(),
        entropy: ground.entropy.clone(),
        tasks: ground.tasks.clone(),
        meters: ground.meters.clone(),
        store: ground.store.clone(),
        ring: ring(settings),
        managers: links.managers(role),
        workers: links.workers(role),
        control: links.control(role).context("there is no way to control")?,
        peers: links.frontends(id),
        inbox,
    };
    let own = frontend::Settings {
        frontend: id,
        frontends: settings.members.frontends().collect(),
        region: installed.installation.region.clone(),
        trust: trust(settings, installed),
        // Whom the address is for is on this host already.
        shows_metrics: settings.listen.ip().is_loopback(),
    };
    Ok(Frontend::start(own, gate))
}

#[derive(Default)]
struct Mailboxes {
    frontend: Option<frontend::FrontendInbox>,
    control: Option<control::ControlInbox>,
    manager: Option<(ManagerId, manager::ManagerInbox)>,
    worker: Option<(WorkerId, worker::WorkerInbox)>,
}

/// Every process computes the same one.
fn ring(settings: &Checked) -> Ring {
    let members: Vec<ManagerId> = settings.members.managers().collect();
    Ring::new(RingVersion(1), &members)
}

fn worker_settings(id: WorkerId, settings: &Checked, region: &Region) -> worker::Settings {
    worker::Settings {
        worker: id,
        region: region.clone(),
        data: settings.data.clone(),
        missing_runtimes: match settings.runtimes {
            Runtimes::Nearest => worker::Missing::Nearest,
            Runtimes::Strict => worker::Missing::Strict,
        },
        capacity: capacity(settings),
    }
}

fn control_settings(region: &Region, links: &Links<'_>) -> control::Settings {
    let managers = links.managers(Role::Control);
    control::Settings { region: region.clone(), architecture: ARCHITECTURE, managers }
}

fn manager_settings(manager: ManagerId, clock: &Clock, links: &Links<'_>) -> manager::Settings {
    let role = Role::Manager(manager);
    let mut peers = links.managers(role);
    peers.remove(&manager);
    let first_lease = clock.wall_ms() << LEASE_BITS;
    manager::Settings {
        manager,
        book: book::Config { first_lease, ..book::Config::default() },
        workers: links.workers(role),
        peers,
    }
}

fn capacity(settings: &Checked) -> Capacity {
    let Checked { memory_mb, slots, .. } = *settings;
    Capacity { memory_mb, slots, architecture: ARCHITECTURE }
}

fn trust(settings: &Checked, installed: &Installed) -> Trust {
    let Installed { installation, credential } = installed;
    match settings.auth {
        Auth::Signed => {
            let mut credentials = Credentials::default();
            credentials.add(credential.id.as_str(), &credential.secret, credential.account);
            Trust::Signed(credentials)
        }
        Auth::Any => Trust::Anybody(installation.account),
    }
}
