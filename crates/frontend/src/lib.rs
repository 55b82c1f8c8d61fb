//! Frontend: the public HTTP role. It authenticates, resolves, admits, routes and
//! carries payloads. `invoke.rs` is the function to read first.
//!
//! The wall: it knows not how environments are made, and holds nothing durable.
#![forbid(unsafe_code)]

mod accounts;
mod acquire;
mod admit;
mod affinity;
mod allowance;
mod authenticate;
mod control;
mod exact;
mod gossip;
mod head;
mod heartbeat;
mod held;
mod http;
mod invoke;
mod logs;
mod meter;
mod metrics;
mod payload;
mod provisioned;
mod refusal;
mod resolve;
mod respond;
mod rings;
mod route;
mod run;
mod shrink;
mod view;

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use decide::ring::Ring;
use model::{AccountId, FrontendId, ManagerId, Region, WorkerId};
use platform::{
    Caller, Clock, Entropy, Inbox, Meters, Running, TaskKind, Tasks, cores::CallerCore,
};
use store::Store;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpListener,
};
use wire::{
    control::{ControlAnswer, ControlCall},
    frontend::FrontendNote,
    manager::{ManagerAnswer, ManagerCall, ManagerNote},
    worker::{WorkerAnswer, WorkerCall, WorkerNote},
};

pub use authenticate::{Credentials, Trust};

pub type ManagerCaller = Caller<ManagerCall, ManagerAnswer, ManagerNote>;
pub type WorkerCaller = Caller<WorkerCall, WorkerAnswer, WorkerNote>;
pub type FrontendCaller = Caller<(), (), FrontendNote>;
pub type FrontendInbox = Inbox<(), (), FrontendNote>;
pub type ControlCaller = Caller<ControlCall, ControlAnswer, ()>;

#[derive(Debug)]
pub struct Settings {
    pub frontend: FrontendId,
    /// All of them, this one included.
    pub frontends: Vec<FrontendId>,
    pub region: Region,
    pub trust: Trust,
    /// `GET /metrics` is answered on the public port.
    pub shows_metrics: bool,
}

/// What a frontend is made of. Clocks, stores and transports are arguments.
#[derive(Debug)]
pub struct Ground {
    pub clock: Clock,
    pub entropy: Entropy,
    pub tasks: Tasks,
    pub meters: Meters,
    pub store: Store,
    /// Of the managers that are configured; published versions take its place.
    pub ring: Ring,
    pub managers: BTreeMap<ManagerId, ManagerCaller>,
    pub workers: BTreeMap<WorkerId, WorkerCaller>,
    pub control: ControlCaller,
    /// The other frontends, and what they say to this one; none where there are none.
    pub peers: BTreeMap<FrontendId, FrontendCaller>,
    pub inbox: Option<FrontendInbox>,
}

/// What every request sees.
#[derive(Debug)]
pub(crate) struct Gate {
    frontend: FrontendId,
    region: Region,
    trust: authenticate::Checker,
    clock: Clock,
    entropy: Entropy,
    tasks: Tasks,
    meters: Meters,
    meter: meter::Meter,
    shows_metrics: bool,
    view: view::View,
    exact: Arc<exact::Exact>,
    router: route::Router,
    allowances: allowance::Allowed,
    managers: BTreeMap<ManagerId, ManagerCaller>,
    workers: BTreeMap<WorkerId, WorkerCaller>,
    control: ControlCaller,
    held: held::Held,
    calls: Running,
    shrinks: AtomicUsize,
}

/// A frontend that is ready to serve connections.
#[derive(Clone, Debug)]
pub struct Frontend {
    gate: Arc<Gate>,
}

impl Frontend {
    /// Starts what runs beside the calls: the watched cache and the heartbeat.
    pub fn start(settings: Settings, ground: Ground) -> Frontend {
        let Settings { frontend, frontends, region, trust, shows_metrics } = settings;
        let Ground { clock, entropy, tasks, meters, store, ring, managers, workers, .. } = ground;
        let Ground { control, peers, inbox, .. } = ground;
        let exact = Arc::new(exact::Exact::default());
        let view = view::View::new(region.clone(), Arc::clone(&exact));
        let follow = view.clone().follow(store.clone(), tasks.clone());
        tasks.spawn(TaskKind::Role, "frontend's view of functions", follow);
        let trust = authenticate::Checker::new(trust, &region);
        let entropy_seed = entropy.u64();
        let gate = Arc::new(Gate {
            frontend,
            region,
            trust,
            clock,
            entropy,
            tasks: tasks.clone(),
            meter: meter::Meter::new(meters.clone()),
            meters,
            shows_metrics,
            view,
            exact,
            allowances: allowance::Allowed::new(frontends.len()),
            router: route::Router::new(frontend, frontends, ring, entropy_seed),
            managers,
            workers,
            control,
            held: held::Held::default(),
            calls: Running::default(),
            shrinks: AtomicUsize::new(0),
        });
        let rings = rings::follow(Arc::clone(&gate), store.clone());
        tasks.spawn(TaskKind::Role, "frontend's view of rings", rings);
        let sets = provisioned::follow(Arc::clone(&gate), store.clone());
        tasks.spawn(TaskKind::Role, "frontend's view of provisioned sets", sets);
        let accounts = accounts::follow(Arc::clone(&gate), store);
        tasks.spawn(TaskKind::Role, "frontend's view of accounts", accounts);
        let allowances = heartbeat::beat_allowances(Arc::clone(&gate));
        tasks.spawn(TaskKind::Role, "heartbeat", allowances);
        for manager in gate.managers.keys() {
            let beat = heartbeat::beat(Arc::clone(&gate), *manager);
            tasks.spawn(TaskKind::Role, "heartbeat", beat);
        }
        tasks.spawn(TaskKind::Role, "width of sets", shrink::watch(Arc::clone(&gate)));
        if let Some(inbox) = inbox {
            tasks.spawn(TaskKind::Role, "gossip", gossip::tell(Arc::clone(&gate), peers));
            tasks.spawn(TaskKind::Role, "gossip", gossip::hear(Arc::clone(&gate), inbox));
        }
        Frontend { gate }
    }

    /// Calls under way here.
    pub fn calls(&self) -> usize {
        self.gate.calls.calls()
    }

    /// Managers that an account's calls are spread over, as known here.
    pub fn width(&self, account: AccountId) -> u16 {
        self.gate.router.width(account)
    }

    /// How often this frontend narrowed the set of a client.
    pub fn shrinks(&self) -> usize {
        self.gate.shrinks.load(Ordering::Relaxed)
    }

    /// Serves a listener until the process is asked to stop.
    pub fn listen(&self, listener: TcpListener) {
        let serve = http::serve(Arc::clone(&self.gate), listener);
        self.gate.tasks.spawn(TaskKind::Listener, "public listener", serve);
    }

    /// Serves one connection over any stream; the simulator has no sockets.
    pub fn serve<S>(&self, stream: S)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let connection = http::connection(Arc::clone(&self.gate), stream, CallerCore::unknown());
        self.gate.tasks.spawn(TaskKind::Connection, "connection", connection);
    }
}
