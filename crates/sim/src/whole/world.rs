//! The stage: a network, a store, and one process for each member. Processes are
//! killed and started again; the clients of the world speak HTTP to its frontends, and
//! its operator asks managers and workers what they hold.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError, atomic::Ordering::Relaxed},
    time::Duration,
};

use decide::ring::Ring;
use model::{AccountId, FrontendId, Hosted, ManagerId, RingVersion, WorkerId};
use platform::{
    Clock, Entropy, Tasks,
    transport::{Pace, Simulated},
};
use store::Store;
use wire::{
    manager::{Inspection, ManagerAnswer, ManagerCall},
    worker::{WorkerAnswer, WorkerCall},
};

use super::{
    Disk, Guests, Member, Record,
    process::{self, Land, Process},
};

pub(super) const WALL_MS: u64 = 1_795_262_461_000;
const OPERATOR: &str = "operator";

/// How many of each role there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fleet {
    pub frontends: u64,
    pub managers: u64,
    pub workers: u64,
}

impl Fleet {
    pub const ONE: Fleet = Fleet { frontends: 1, managers: 1, workers: 1 };

    pub fn members(self) -> impl Iterator<Item = Member> {
        let workers = (1..=self.workers).map(|n| Member::Worker(WorkerId(n)));
        let managers = (1..=self.managers).map(|n| Member::Manager(ManagerId(n)));
        let frontends = (1..=self.frontends).map(|n| Member::Frontend(FrontendId(n)));
        workers.chain(managers).chain(frontends)
    }
}

/// What a world is made of.
#[derive(Debug)]
pub(super) struct Settings {
    pub(super) seed: u64,
    pub(super) fleet: Fleet,
    pub(super) book: decide::book::Config,
    /// Of each worker.
    pub(super) memory_mb: u64,
    pub(super) doubles: u64,
    pub(super) pace: Option<Pace>,
    pub(super) keep_log: bool,
    pub(super) echo_log: bool,
}

impl Settings {
    pub(super) fn calm(seed: u64, fleet: Fleet) -> Settings {
        Settings {
            seed,
            fleet,
            book: decide::book::Config::default(),
            memory_mb: 1 << 20,
            doubles: 0,
            pace: None,
            keep_log: false,
            echo_log: false,
        }
    }
}

#[derive(Debug)]
pub struct World {
    pub guests: Guests,
    pub record: Record,
    /// The first of them.
    pub worker: frontend::WorkerCaller,
    pub(super) clock: Clock,
    pub(super) land: Land,
    pub(super) managers: BTreeMap<ManagerId, frontend::ManagerCaller>,
    pub(super) workers: BTreeMap<WorkerId, frontend::WorkerCaller>,
    processes: Mutex<BTreeMap<Member, Process>>,
    /// By how much the clocks of members were set, over all their lives.
    steps_ms: Mutex<BTreeMap<Member, i64>>,
    /// Of functions that were changed, once everybody may know.
    revisions: Mutex<BTreeMap<String, u64>>,
    /// Ring versions that were published by number.
    versions: Mutex<u64>,
}

impl World {
    pub async fn start(seed: u64) -> World {
        World::sized(seed, Fleet::ONE).await
    }

    #[expect(clippy::expect_used, reason = "a scene without directories cannot be played")]
    pub async fn sized(seed: u64, fleet: Fleet) -> World {
        let disk = Arc::new(Disk::new().expect("directories can be made"));
        World::made(Settings::calm(seed, fleet), disk).await
    }

    pub(super) async fn made(settings: Settings, disk: Arc<Disk>) -> World {
        let clock = Clock::simulated(WALL_MS);
        let record = Record::new(clock.clone(), settings.keep_log, settings.echo_log);
        let network = Simulated::new();
        let operator = process::exchange(&network, OPERATOR, &Tasks::default());
        if let Some(pace) = settings.pace {
            network.set_pace(pace);
        }
        let fleet = settings.fleet;
        let guests = Guests::new(record.clone());
        let land = Land {
            network,
            store: Store::memory(),
            disk,
            entropy: Entropy::seeded(settings.seed),
            guests: guests.clone(),
            record: record.clone(),
            frontends: (1..=fleet.frontends).map(FrontendId).collect(),
            managers: (1..=fleet.managers).map(ManagerId).collect(),
            workers: (1..=fleet.workers).map(WorkerId).collect(),
            book: settings.book,
            memory_mb: settings.memory_mb,
            doubles: settings.doubles,
            gossip_lost: Arc::default(),
        };
        let managers: BTreeMap<_, frontend::ManagerCaller> = (land.managers.iter())
            .map(|id| (*id, process::caller(&operator, OPERATOR, "manager", Member::Manager(*id))))
            .collect();
        let workers: BTreeMap<_, frontend::WorkerCaller> = (land.workers.iter())
            .map(|id| (*id, process::caller(&operator, OPERATOR, "worker", Member::Worker(*id))))
            .collect();
        let worker = workers[&WorkerId(1)].clone();
        let world = World {
            guests,
            record,
            worker,
            clock,
            land,
            managers,
            workers,
            processes: Mutex::default(),
            steps_ms: Mutex::default(),
            revisions: Mutex::default(),
            versions: Mutex::default(),
        };
        for member in fleet.members() {
            world.revive(member).await;
        }
        world.settle().await;
        world
    }

    fn processes(&self) -> MutexGuard<'_, BTreeMap<Member, Process>> {
        self.processes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn frontend(&self, number: usize) -> Option<frontend::Frontend> {
        let member = Member::Frontend(FrontendId(number as u64 + 1));
        self.processes().get(&member)?.frontend.clone()
    }

    pub fn is_up(&self, member: Member) -> bool {
        self.processes().contains_key(&member)
    }

    /// The process is gone. `loudly`: its connections break, as when the host lives on;
    /// else nobody is told.
    pub fn kill(&self, member: Member, loudly: bool) {
        let name = member.to_string();
        let Some(process) = self.processes().remove(&member) else { return };
        self.record
            .line(format_args!("{name} killed, {}", if loudly { "loudly" } else { "silently" }));
        // Before its destructors run: a dead process says nothing.
        if loudly {
            self.land.network.cut(&name);
        } else {
            self.land.network.silence(&name);
        }
        process.tasks.kill();
    }

    /// Another life of a member that is down.
    #[expect(clippy::expect_used, reason = "a member that cannot start ends the play")]
    pub async fn revive(&self, member: Member) {
        // Time moves only once nothing is left of the life before.
        self.settle().await;
        if self.is_up(member) {
            return;
        }
        self.land.network.cut(&member.to_string());
        let step = self.steps().get(&member).copied().unwrap_or(0);
        let wall_ms = self.clock.wall_ms().saturating_add_signed(step);
        let process = Process::start(&self.land, member, wall_ms).await;
        self.record.line(format_args!("{member} started"));
        self.processes().insert(member, process.expect("a member starts"));
    }

    /// Breaks all connections to a member and of it.
    pub fn cut(&self, member: Member) {
        self.record.line(format_args!("{member} cut off"));
        self.land.network.cut(&member.to_string());
    }

    /// Nothing that one of the two says reaches the other any more, and nobody is told.
    pub fn part(&self, one: Member, other: Member) {
        self.land.network.part(&one.to_string(), &other.to_string());
    }

    fn steps(&self) -> MutexGuard<'_, BTreeMap<Member, i64>> {
        self.steps_ms.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn versions(&self) -> MutexGuard<'_, u64> {
        self.versions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn revisions(&self) -> MutexGuard<'_, BTreeMap<String, u64>> {
        self.revisions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sets a member's wall clock, in this life and those after.
    pub fn step_clock(&self, member: Member, by_ms: i64) {
        self.record.line(format_args!("{member} clock set by {by_ms} ms"));
        *self.steps().entry(member).or_default() += by_ms;
        if let Some(process) = self.processes().get(&member) {
            process.clock.step(by_ms);
        }
    }

    /// Of a thousand notes between frontends, so many are lost from now on.
    pub fn lose_gossip(&self, of_thousand: u64) {
        self.land.gossip_lost.store(of_thousand, Relaxed);
    }

    /// How wide each frontend takes the account's set to be, and how often it narrowed it.
    pub fn widths(&self) -> Vec<(u16, usize)> {
        let processes = self.processes();
        let frontends = processes.values().filter_map(|process| process.frontend.as_ref());
        frontends.map(|frontend| (frontend.width(account()), frontend.shrinks())).collect()
    }

    /// Tasks of members that failed and would have ended their process.
    pub(super) fn stopped(&self) -> Vec<Member> {
        use futures_util::FutureExt;
        let processes = self.processes();
        let over = processes.values().filter(|p| p.tasks.stopped().now_or_never().is_some());
        over.map(|process| process.member).collect()
    }

    /// What follows the store, and lists, have caught up when time can move on.
    pub(super) async fn settle(&self) {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }

    /// What the first worker hosts for the first manager.
    pub async fn hosted(&self) -> Vec<Hosted> {
        self.settle().await;
        self.hosted_for(WorkerId(1), ManagerId(1)).await.unwrap_or_default()
    }

    /// None where the worker does not answer.
    pub(super) async fn hosted_for(
        &self,
        worker: WorkerId,
        manager: ManagerId,
    ) -> Option<Vec<Hosted>> {
        let answer = self.workers.get(&worker)?.call(WorkerCall::List { manager }).await;
        let Ok(WorkerAnswer::Listed(listed)) = answer else { return None };
        Some(listed.envs)
    }

    pub(super) async fn inspect_one(&self, manager: ManagerId) -> Option<Inspection> {
        let answer = self.managers.get(&manager)?.call(ManagerCall::Inspect).await;
        let Ok(ManagerAnswer::Inspection(inspection)) = answer else { return None };
        Some(inspection)
    }

    /// The manager that counts the account's calls.
    #[expect(clippy::expect_used, reason = "a world has managers")]
    pub fn counter(&self) -> Member {
        let ring = Ring::new(RingVersion(1), &self.land.managers);
        let start = decide::arcs::start_of_account(account());
        Member::Manager(ring.owner(start).expect("the ring has members"))
    }

    /// Managers that know of environments.
    pub async fn holders(&self) -> usize {
        self.settle().await;
        let mut holders = 0;
        for manager in &self.land.managers {
            let holds = self.inspect_one(*manager).await.is_some_and(|seen| seen.environments > 0);
            holders += usize::from(holds);
        }
        holders
    }

    /// All managers together.
    pub async fn inspect(&self) -> Inspection {
        self.settle().await;
        let mut sum = Inspection::default();
        for manager in &self.land.managers {
            let Some(inspection) = self.inspect_one(*manager).await else { continue };
            sum.in_flight += inspection.in_flight;
            sum.counted += inspection.counted;
            sum.lent += inspection.lent;
            sum.environments += inspection.environments;
            sum.idle += inspection.idle;
            sum.leases_granted += inspection.leases_granted;
            sum.leases_started += inspection.leases_started;
            sum.leases_returned += inspection.leases_returned;
            sum.starts += inspection.starts;
        }
        sum
    }
}

pub(super) fn account() -> AccountId {
    #[expect(clippy::expect_used, reason = "a constant of ours")]
    AccountId::parse("000000000001").expect("an account's number")
}
