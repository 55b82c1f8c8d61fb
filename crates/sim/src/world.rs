//! The false world: frontends, managers and workers around the real machines, one
//! heap of events, one set of dice. Each role's part stands in its own file; here
//! are the events, the loop, and the checks after the last call.
//!
//! Between a manager and a worker messages keep their order, as on one connection;
//! between frontends and the others they may overtake each other.

mod faults;
mod frontends;
mod managers;
mod tally;
mod workers;

use std::{collections::BTreeMap, sync::Arc};

use decide::{
    Dice,
    admit::{AccountLimits, Counter},
    arcs::Bounds,
    book::{Input, Reply, StartId},
    ring::Ring,
};
use model::{
    AccountId, EnvId, Epoch, KeyHash, LeaseId, ManagerId, Now, PoolKey, Register, RingVersion,
    Span, function::Architecture, invariant, limits,
};

use crate::{
    heap::Heap,
    log::Log,
    outcome::{End, Outcome},
    workload::Workload,
};
use faults::Fault;
pub use faults::Faults;
use frontends::{CallState, Frontend};
use managers::Manager;
use tally::Tally;
use workers::{Done, Order, Worker};

/// Heartbeats, counter expiry and shrinking of sets.
const BEAT: Span = Span::secs(5);
/// The world runs on for so long after the last call, so that leases end.
const QUIET: Span = Span::secs(30);

#[derive(Clone, Debug)]
pub struct Config {
    pub frontends: usize,
    pub managers: usize,
    pub workers: usize,
    pub worker_memory_mb: u64,
    pub worker_slots: u32,
    /// The account's concurrency.
    pub concurrency: u32,
    pub idle_ttl: Span,
    pub create_tokens: (u32, u32),
    /// Whether calls may hope for what others use or wait for.
    pub patience: bool,
    /// A call that waits longer for an environment is refused.
    pub wait_max: Span,
    pub faults: Faults,
    pub keep_log: bool,
    /// Print each line at once, so that it is seen where a run panics.
    pub echo_log: bool,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            frontends: 1,
            managers: 1,
            workers: 1,
            worker_memory_mb: 1 << 40,
            worker_slots: u32::MAX,
            concurrency: limits::ACCOUNT_CONCURRENCY_DEFAULT,
            idle_ttl: limits::IDLE_TTL,
            create_tokens: (limits::CREATE_TOKENS_MAX, limits::CREATE_TOKENS_PER_SEC),
            patience: true,
            wait_max: Span::secs(900),
            faults: Faults::NONE,
            keep_log: false,
            echo_log: false,
        }
    }
}

impl Config {
    /// A small world with faults, scarce or ample.
    pub fn random(dice: &mut Dice) -> Config {
        let mut up_to = |n| 1 + dice.below(n);
        Config {
            frontends: up_to(4) as usize,
            managers: up_to(5) as usize,
            workers: up_to(4) as usize,
            worker_memory_mb: 2_048 * up_to(8),
            concurrency: 20 * up_to(8) as u32,
            patience: up_to(2) == 1,
            idle_ttl: Span::secs(up_to(60)),
            wait_max: Span::secs(up_to(30)),
            faults: Faults::SOME,
            ..Config::default()
        }
    }
}

/// What a frontend hears about one of its calls.
#[derive(Clone, Copy, Debug)]
enum Word {
    Reply {
        /// Which question of the call it answers.
        ask: u64,
        manager: usize,
        reply: Reply,
        register: Option<Register>,
    },
    /// The manager died before it answered.
    NoAnswer {
        ask: u64,
        manager: usize,
    },
    /// The worker refused the lease, or was not there: nothing ran.
    RunRefused,
    Ran,
    /// The worker died while the call ran.
    Broken,
}

#[derive(Debug)]
enum Event {
    Arrive { call: usize },
    ToManager { manager: usize, life: u64, input: Input, register: Option<Register> },
    ToFrontend { call: usize, life: u64, word: Word },
    ToWorker { worker: usize, life: u64, order: Order },
    InWorker { worker: usize, life: u64, done: Done },
    Wake { manager: usize, life: u64 },
    Beat,
    Fault(Fault),
}

struct World<'a> {
    config: &'a Config,
    workload: &'a Workload,
    keys: Vec<(KeyHash, Arc<PoolKey>)>,
    dice: Dice,
    now: Now,
    heap: Heap<Event>,
    log: Log,
    ring: Ring,
    counter: Counter,
    frontends: Vec<Frontend>,
    managers: Vec<Manager>,
    workers: Vec<Worker>,
    calls: Vec<CallState>,
    /// The last delivery between a manager and a worker, by direction.
    lines: BTreeMap<(bool, usize, usize), Now>,
    tally: Tally,
}

/// Plays the workload. The same arguments give the same outcome, byte for byte.
///
/// # Panics
/// Where a numbered invariant is broken.
pub fn run(config: &Config, workload: &Workload, seed: u64) -> Outcome {
    let mut world = World::new(config, workload, seed);
    world.prepare();
    let mut quiet_at = None;
    while let Some((at, event)) = world.heap.pop() {
        // In the end only what is on its way arrives; nothing new begins.
        let begins = matches!(event, Event::Beat | Event::Wake { .. } | Event::Fault(_));
        if begins && quiet_at.is_some_and(|end| at > end) {
            continue;
        }
        world.tally.pass(world.now, at);
        world.now = at;
        world.take(event);
        if quiet_at.is_none() && world.tally.ended as usize == workload.calls.len() {
            quiet_at = Some(at + QUIET);
            world.tally.stop();
        }
    }
    world.check_end();
    world.tally.outcome(world.log)
}

fn account() -> AccountId {
    AccountId::parse("000000000001").unwrap_or_else(|| unreachable!("twelve digits"))
}

impl<'a> World<'a> {
    fn new(config: &'a Config, workload: &'a Workload, seed: u64) -> World<'a> {
        let members: Vec<ManagerId> = (0..config.managers as u64).map(ManagerId).collect();
        let limits = AccountLimits { concurrency: config.concurrency, tenant: None };
        let mut dice = Dice::new(seed);
        let calls = workload.calls.iter();
        let frontends = config.frontends as u64;
        let calls = calls.map(|call| CallState::new(call, dice.below(frontends) as usize));
        let calls = calls.collect();
        World {
            config,
            workload,
            keys: keys(workload),
            dice,
            now: Now(0),
            heap: Heap::new(),
            log: Log::new(config.keep_log, config.echo_log),
            ring: Ring::new(RingVersion(1), &members),
            counter: Counter::new(limits, limits::CONCURRENCY_LEASE_TTL),
            frontends: (0..config.frontends)
                .map(|at| Frontend::new(at, config.frontends))
                .collect(),
            managers: (0..config.managers).map(|_| Manager::new(config, 0)).collect(),
            workers: (0..config.workers).map(|_| Worker::default()).collect(),
            calls,
            lines: BTreeMap::new(),
            tally: Tally::default(),
        }
    }

    fn prepare(&mut self) {
        for (call, planned) in self.workload.calls.iter().enumerate() {
            self.heap.push(planned.at, Event::Arrive { call });
        }
        for worker in 0..self.workers.len() {
            self.offer(worker);
        }
        self.heap.push(self.now + BEAT, Event::Beat);
        self.plan_faults();
    }

    fn take(&mut self, event: Event) {
        match event {
            Event::Arrive { call } => self.arrive(call),
            Event::ToManager { manager, life, input, register } => {
                if self.managers[manager].life == life {
                    self.at_manager(manager, input, register);
                }
            }
            Event::ToFrontend { call, life, word } => {
                // Words to a dead frontend reach nobody.
                if self.calls[call].life == life && self.calls[call].end != Some(End::Lost) {
                    self.at_frontend(call, word);
                }
            }
            Event::ToWorker { worker, life, order } => self.at_worker(worker, life, order),
            Event::InWorker { worker, life, done } => {
                if self.workers[worker].life == life {
                    self.in_worker(worker, done);
                }
            }
            Event::Wake { manager, life } => {
                if self.managers[manager].life == life {
                    self.managers[manager].wake = None;
                    self.at_manager(manager, Input::Deadline, None);
                }
            }
            Event::Beat => self.beat(),
            Event::Fault(fault) => self.strike(fault),
        }
    }

    fn beat(&mut self) {
        for frontend in &self.frontends {
            self.counter.renew(self.now, frontend.id);
        }
        let ended = self.counter.expire(self.now);
        if ended > 0 {
            self.log.line(self.now, format_args!("counter expired {ended} leases"));
        }
        self.shrink_sets();
        self.heap.push(self.now + BEAT, Event::Beat);
    }

    /// One way between two processes.
    fn hop(&mut self) -> Now {
        let slow = self.dice.chance(self.config.faults.slow_per_mille, 1_000);
        let extra = if slow { self.dice.below(3_000_000) } else { 0 };
        self.now + Span::micros(50 + self.dice.below(450) + extra)
    }

    /// One way between a manager and a worker: never before the message ahead.
    fn hop_in_line(&mut self, down: bool, manager: usize, worker: usize) -> Now {
        let at = self.hop();
        let last = self.lines.entry((down, manager, worker)).or_insert(at);
        *last = (*last).max(at);
        *last
    }

    fn bounds(&self) -> Bounds {
        Bounds::of(self.config.concurrency, self.config.managers)
    }

    fn end_call(&mut self, call: usize, end: End) {
        let state = &mut self.calls[call];
        // I27: one end, so one reason.
        assert!(
            state.end.is_none(),
            "I27 broken: call {call} ended as {:?} and {end:?}",
            state.end
        );
        state.end = Some(end);
        self.log.line(self.now, format_args!("call {call} ended {end:?}"));
        let run = self.workload.functions[state.function].run;
        self.tally.end(state.function, end, self.now.since(state.at), run, state.probes);
        let lease = state.concurrency.take();
        // A dead frontend returns nothing: its lease ends with its heartbeat (I4).
        if let Some(lease) = lease.filter(|_| end != End::Lost) {
            self.counter.give_back(lease);
        }
    }

    /// After the last call and a quiet time: nothing is owed, and the books agree
    /// with the workers.
    fn check_end(&self) {
        let open: Vec<usize> =
            (0..self.calls.len()).filter(|c| self.calls[*c].end.is_none()).collect();
        assert!(open.is_empty(), "calls that never ended: {open:?}");
        assert_eq!(self.counter.leases(), 0, "I4 broken: leases outlived their holders");
        for (at, manager) in self.managers.iter().enumerate() {
            let counts = manager.book.lease_counts();
            let settled = counts.started + counts.returned;
            assert_eq!(counts.granted, settled, "I2 broken: leases open in a quiet world");
            let hosted = self.workers.iter().map(|worker| worker.owned_by(at)).sum::<usize>();
            assert_eq!(
                manager.book.environments(),
                hosted,
                "I7 broken: manager {at} and the workers disagree about what exists"
            );
        }
        let broken: Vec<_> = invariant::broken_counts().filter(|(_, count)| *count > 0).collect();
        assert!(broken.is_empty(), "invariants broken: {broken:?}");
    }
}

/// Keys of one function that differ in their revision.
pub(crate) fn key_of_revision(revision: u64) -> PoolKey {
    let name = model::FunctionName::parse("f").unwrap_or_else(|_| unreachable!("a name"));
    PoolKey { revision, ..key_of(&name, 128 << revision) }
}

pub(crate) fn key_of(function: &model::FunctionName, memory_mb: u32) -> PoolKey {
    PoolKey { memory_mb, ..PoolKey::plain(account(), function.clone()) }
}

fn keys(workload: &Workload) -> Vec<(KeyHash, Arc<PoolKey>)> {
    let key = |f: &crate::workload::Function| key_of(&f.name, f.memory_mb);
    let keys = workload.functions.iter().map(key);
    keys.map(|key| (key.hash(), Arc::new(key))).collect()
}
