//! Wiring: every role in this process, each with its mailbox. This is the whole
//! graph; nothing else connects one role with another.

use std::collections::BTreeMap;

use anyhow::Context;
use decide::{book, ring::Ring};
use frontend::{Credentials, Frontend, Trust};
use model::{Attrs, FrontendId, ManagerId, Region, RingVersion, WorkerId, function::Architecture};
use objects::Objects;
use platform::{Clock, Entropy, Tasks, transport::in_process};
use sandbox::Launcher;
use store::Store;
use tokio::net::TcpListener;
use wire::worker::Offer;

use super::{
    install::Installed,
    settings::{Auth, Checked, Runtimes},
    shutdown::ManagerCaller,
};

/// One process has one of each.
const FRONTEND: FrontendId = FrontendId(1);
const MANAGER: ManagerId = ManagerId(1);
const WORKER: WorkerId = WorkerId(1);
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
    pub(super) store: Store,
    pub(super) objects: Objects,
    pub(super) launcher: Launcher,
}

/// Starts every role; the frontend last, so that who is let in is served.
pub(super) async fn start(
    settings: &Checked,
    installed: &Installed,
    ground: Ground,
    listener: TcpListener,
) -> anyhow::Result<ManagerCaller> {
    let Ground { clock, entropy, tasks, store, objects, launcher } = ground;
    let region = &installed.installation.region;
    let publisher = control::rings::Publisher::new(store.clone());
    publisher.first(vec![MANAGER], Attrs::default()).await.context("publishing the first ring")?;
    let (manager, manager_inbox) = in_process("manager");
    let (worker, worker_inbox) = in_process("worker");
    let (control, control_inbox) = in_process("control");
    let host = worker::Ground {
        clock: clock.clone(),
        entropy: entropy.clone(),
        tasks: tasks.clone(),
        launcher,
        objects: objects.clone(),
        managers: BTreeMap::from([(MANAGER, manager.clone())]),
    };
    worker::start(worker_settings(settings, region), host, worker_inbox)
        .context("starting the worker")?;
    let book = manager_settings(&clock, worker.clone());
    manager::start(book, clock.clone(), &tasks, store.clone(), manager_inbox);
    control::start(
        control::Settings { region: region.clone(), architecture: ARCHITECTURE },
        clock.clone(),
        entropy.clone(),
        &tasks,
        store.clone(),
        objects,
        control_inbox,
    );
    let ring = Ring::new(RingVersion(1), &[MANAGER]);
    control::start_provisioning(
        control::Provisioning {
            ring: ring.clone(),
            managers: BTreeMap::from([(MANAGER, manager.clone())]),
        },
        clock.clone(),
        &tasks,
        store.clone(),
    );
    let trust = trust(settings, installed);
    let gate = frontend::Ground {
        clock,
        entropy,
        tasks,
        store,
        ring,
        managers: BTreeMap::from([(MANAGER, manager.clone())]),
        workers: BTreeMap::from([(WORKER, worker)]),
        control,
    };
    let gate_settings = frontend::Settings { frontend: FRONTEND, region: region.clone(), trust };
    Frontend::start(gate_settings, gate).listen(listener);
    Ok(manager)
}

fn worker_settings(settings: &Checked, region: &Region) -> worker::Settings {
    worker::Settings {
        worker: WORKER,
        region: region.clone(),
        data: settings.data.clone(),
        missing_runtimes: match settings.runtimes {
            Runtimes::Nearest => worker::Missing::Nearest,
            Runtimes::Strict => worker::Missing::Strict,
        },
        offer: offer(settings),
    }
}

fn manager_settings(clock: &Clock, worker: manager::WorkerCaller) -> manager::Settings {
    let first_lease = clock.wall_ms() << LEASE_BITS;
    manager::Settings {
        manager: MANAGER,
        book: book::Config { first_lease, ..book::Config::default() },
        workers: BTreeMap::from([(WORKER, worker)]),
    }
}

fn offer(settings: &Checked) -> Offer {
    let Checked { memory_mb, slots, .. } = *settings;
    Offer { memory_mb, slots, architecture: ARCHITECTURE }
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
