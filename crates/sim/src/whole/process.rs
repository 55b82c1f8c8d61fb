//! One process of the installation: its tasks, its clock, its place in the network, and
//! the role that runs in it. Killed, it leaves nothing but what others remember.

use std::{
    collections::BTreeMap,
    io,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use decide::ring::Ring;
use model::{
    Capacity, FrontendId, ManagerId, Region, RingVersion, WorkerId, function::Architecture,
};
use platform::{
    Body, Clock, Entropy, Inbox, Meters, TaskKind, Tasks,
    transport::{Address, Caller, Exchange, Mail, Network, Simulated, in_process},
};
use sandbox::{Launcher, fake};
use serde::{Serialize, de::DeserializeOwned};
use store::Store;
use wire::{
    manager::{ManagerAnswer, ManagerCall},
    worker::{WorkerAnswer, WorkerCall},
};

use super::{Disk, Guests, Member, Record, world::account};

/// What all processes stand on.
#[derive(Clone, Debug)]
pub(super) struct Land {
    pub(super) network: Simulated,
    pub(super) store: Store,
    pub(super) disk: Arc<Disk>,
    pub(super) entropy: Entropy,
    pub(super) guests: Guests,
    pub(super) record: Record,
    pub(super) frontends: Vec<FrontendId>,
    pub(super) managers: Vec<ManagerId>,
    pub(super) workers: Vec<WorkerId>,
    pub(super) book: decide::book::Config,
    pub(super) memory_mb: u64,
    /// Notes out of a thousand that arrive twice.
    pub(super) doubles: u64,
    /// Those between frontends that do not arrive.
    pub(super) gossip_lost: Arc<AtomicU64>,
}

#[derive(Debug)]
pub(super) struct Process {
    pub(super) member: Member,
    pub(super) clock: Clock,
    pub(super) tasks: Tasks,
    /// Of a frontend.
    pub(super) frontend: Option<frontend::Frontend>,
}

/// Launches that wait for their player.
const LAUNCHES_MAX: usize = 64;

impl Process {
    /// `wall_ms`: what its clock shows now.
    pub(super) async fn start(land: &Land, member: Member, wall_ms: u64) -> io::Result<Process> {
        let tasks = Tasks::simulated();
        let clock = Clock::simulated(wall_ms);
        let here = Here { land, member, clock: clock.clone(), tasks: tasks.clone() };
        let frontend = match member {
            Member::Frontend(frontend) => Some(here.frontend(frontend).await?),
            Member::Manager(manager) => {
                here.manager(manager).await?;
                None
            }
            Member::Worker(worker) => {
                here.worker(worker).await?;
                None
            }
        };
        Ok(Process { member, clock, tasks, frontend })
    }
}

/// A process that is being started.
struct Here<'l> {
    land: &'l Land,
    member: Member,
    clock: Clock,
    tasks: Tasks,
}

impl Here<'_> {
    fn exchange(&self) -> Exchange {
        exchange(&self.land.network, &self.member.to_string(), &self.tasks)
    }

    fn callers<I, Q, A, N>(
        &self,
        exchange: &Exchange,
        role: &'static str,
        members: impl Iterator<Item = (I, Member)>,
    ) -> BTreeMap<I, Caller<Q, A, N>>
    where
        I: Ord,
        Q: Serialize,
        A: DeserializeOwned,
        N: Serialize,
    {
        let from = self.member.to_string();
        members.map(|(id, to)| (id, caller(exchange, &from, role, to))).collect()
    }

    fn managers(&self, exchange: &Exchange) -> BTreeMap<ManagerId, frontend::ManagerCaller> {
        let members = self.land.managers.iter().map(|id| (*id, Member::Manager(*id)));
        self.callers(exchange, "manager", members)
    }

    fn workers(&self, exchange: &Exchange) -> BTreeMap<WorkerId, frontend::WorkerCaller> {
        let members = self.land.workers.iter().map(|id| (*id, Member::Worker(*id)));
        self.callers(exchange, "worker", members)
    }

    /// Listens at the member's place, for the role that reads the inbox.
    async fn serve<Q, A, N>(
        &self,
        exchange: &Exchange,
        role: &'static str,
        repeats: Repeats<Q, A>,
    ) -> io::Result<Inbox<Q, A, N>>
    where
        Q: Serialize + DeserializeOwned + Clone + Send + Sync + 'static,
        A: Serialize + DeserializeOwned + Send + Sync + 'static,
        N: Serialize + DeserializeOwned + Clone + Send + Sync + 'static,
    {
        let name = self.member.to_string();
        let (inner, inbox) = in_process(role);
        let (outer, arrivals) = in_process(role);
        let refused = |error: &dyn std::fmt::Display| io::Error::other(error.to_string());
        exchange.register(&name, &outer, |_| true).map_err(|error| refused(&error))?;
        exchange.listen(&Address::Simulated(name)).await.map_err(|error| refused(&error))?;
        let doubling = Doubling {
            role: inner,
            dice: self.land.entropy.clone(),
            doubled: self.land.doubles,
            lost: if role == "frontend" {
                Arc::clone(&self.land.gossip_lost)
            } else {
                Arc::default()
            },
            repeats,
            record: self.land.record.clone(),
            tasks: self.tasks.clone(),
        };
        self.tasks.spawn(TaskKind::Background, "mail", doubling.run(arrivals));
        Ok(inbox)
    }

    async fn frontend(&self, frontend: FrontendId) -> io::Result<frontend::Frontend> {
        let exchange = self.exchange();
        let others = self.land.frontends.iter().filter(|other| **other != frontend);
        let others = others.map(|id| (*id, Member::Frontend(*id)));
        let peers = self.callers(&exchange, "frontend", others);
        let inbox = self.serve(&exchange, "frontend", ((|_| false), (|_| true))).await?;
        let trust = frontend::Trust::Anybody(account());
        let frontends = self.land.frontends.clone();
        let region = region();
        let settings =
            frontend::Settings { frontend, frontends, region, trust, shows_metrics: true };
        let ground = frontend::Ground {
            clock: self.clock.clone(),
            entropy: self.land.entropy.clone(),
            tasks: self.tasks.clone(),
            meters: Meters::default(),
            store: self.land.store.clone(),
            ring: Ring::new(RingVersion(1), &self.land.managers),
            managers: self.managers(&exchange),
            workers: self.workers(&exchange),
            control: in_process("control").0,
            peers,
            inbox: Some(inbox),
        };
        Ok(frontend::Frontend::start(settings, ground))
    }

    async fn manager(&self, manager: ManagerId) -> io::Result<()> {
        let exchange = self.exchange();
        let workers = self.workers(&exchange);
        let inbox = self.serve(&exchange, "manager", NEVER).await?;
        // As the binary counts on from the lives before.
        let first_lease = self.clock.wall_ms() << LEASES_PER_MS_BITS;
        let book = decide::book::Config { first_lease, ..self.land.book };
        let mut peers = self.managers(&exchange);
        peers.remove(&manager);
        let settings = manager::Settings { manager, book, workers, peers };
        let store = self.land.store.clone();
        let (clock, meters) = (self.clock.clone(), Meters::default());
        manager::start(settings, clock, &self.tasks, meters, store, inbox);
        Ok(())
    }

    async fn worker(&self, worker: WorkerId) -> io::Result<()> {
        let exchange = self.exchange();
        let managers = self.managers(&exchange);
        let inbox = self.serve(&exchange, "worker", RUNS).await?;
        let (launcher, guests) = fake::Launcher::new(LAUNCHES_MAX);
        let play = self.land.guests.clone().play(guests);
        // Of the world, not of the process: guests hear that their sandbox has ended.
        Tasks::default().spawn(TaskKind::Background, "guests", play);
        let (memory_mb, architecture) = (self.land.memory_mb, Architecture::X86_64);
        let settings = worker::Settings {
            worker,
            region: region(),
            data: self.land.disk.of(self.member),
            missing_runtimes: worker::Missing::Nearest,
            capacity: Capacity { memory_mb, slots: 1_000, architecture },
        };
        let ground = worker::Ground {
            clock: self.clock.clone(),
            entropy: self.land.entropy.clone(),
            tasks: self.tasks.clone(),
            launcher: Launcher::Fake(launcher),
            objects: self.land.disk.objects.read_only(),
            managers,
        };
        let python = worker::Interpreters::python(11, "/usr/bin/python3.11".into());
        worker::start_knowing(settings, ground, python, inbox).map(drop)
    }
}

const LEASES_PER_MS_BITS: u32 = 4;

pub(super) fn exchange(network: &Simulated, place: &str, tasks: &Tasks) -> Exchange {
    Exchange::new(Network::simulated(&network.at(place)), tasks.clone())
}

pub(super) fn caller<Q, A, N>(
    exchange: &Exchange,
    from: &str,
    role: &'static str,
    to: Member,
) -> Caller<Q, A, N>
where
    Q: Serialize,
    A: DeserializeOwned,
    N: Serialize,
{
    let to = to.to_string();
    exchange.caller(from, role, &to, Address::Simulated(to.clone()))
}

/// Which calls may arrive twice, and which answer to the second is right.
type Repeats<Q, A> = (fn(&Q) -> bool, fn(&A) -> bool);

/// A manager's calls have effects each time, so its transport never repeats them.
const NEVER: Repeats<ManagerCall, ManagerAnswer> = (|_| false, |_| true);
/// A run has one epoch, which a worker takes once (I5).
const RUNS: Repeats<WorkerCall, WorkerAnswer> = (
    |call| matches!(call, WorkerCall::Run(_)),
    |answer| matches!(answer, WorkerAnswer::Refused(_)),
);

/// Hands mail on as it comes; some of it twice, the second time after whatever came
/// meanwhile.
struct Doubling<Q, A, N> {
    role: Caller<Q, A, N>,
    dice: Entropy,
    /// Notes out of a thousand: that arrive twice, and that do not arrive.
    doubled: u64,
    lost: Arc<AtomicU64>,
    repeats: Repeats<Q, A>,
    record: Record,
    tasks: Tasks,
}

enum Late<Q, N> {
    Call(Q, Body),
    Note(N),
}

impl<Q, A, N> Doubling<Q, A, N>
where
    Q: Clone + Send + Sync + 'static,
    A: Send + 'static,
    N: Clone + Send + Sync + 'static,
{
    async fn run(self, mut arrivals: Inbox<Q, A, N>) {
        let mut late = None;
        while let Some(mail) = arrivals.next().await {
            if self.is_lost() {
                continue;
            }
            let again = self.draw(&mail);
            if self.role.pass_on(mail).await.is_err() {
                return;
            }
            match std::mem::replace(&mut late, again) {
                Some(Late::Note(note)) => drop(self.role.note(note).await),
                Some(Late::Call(call, body)) => self.ask(call, body),
                None => {}
            }
        }
    }

    fn is_lost(&self) -> bool {
        let lost = self.lost.load(Relaxed);
        lost > 0 && self.dice.u64() % 1_000 < lost
    }

    fn draw(&self, mail: &Mail<Q, A, N>) -> Option<Late<Q, N>> {
        if self.doubled == 0 || self.dice.u64() % 1_000 >= self.doubled {
            return None;
        }
        match mail {
            Mail::Note(note) => Some(Late::Note(note.clone())),
            Mail::Call(call) if (self.repeats.0)(&call.message) => match &call.body {
                Body::Whole(bytes) => {
                    Some(Late::Call(call.message.clone(), Body::Whole(bytes.clone())))
                }
                Body::Empty => Some(Late::Call(call.message.clone(), Body::Empty)),
                Body::Stream(_) => None,
            },
            Mail::Call(_) => None,
        }
    }

    fn ask(&self, call: Q, body: Body) {
        let (role, right, record) = (self.role.clone(), self.repeats.1, self.record.clone());
        self.tasks.spawn(TaskKind::Background, "repeated call", async move {
            let answered = role.call_with(call, body).await;
            if answered.is_ok_and(|(answer, _)| !right(&answer)) {
                record.violation(format_args!("I5: a repeated run was not refused"));
            }
        });
    }
}

/// The only one; its text is valid.
fn region() -> Region {
    #[expect(clippy::expect_used, reason = "a constant of ours")]
    Region::parse("us-east-1").expect("a region")
}
