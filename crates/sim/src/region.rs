//! A region in virtual time: a hundred frontends, a thousand managers, a hundred
//! thousand slots, a million functions, and the real decisions between them. Unlike
//! `world` it keeps no log and no call that has ended, and its messages are neither
//! lost nor late, so that its cost is that of the decisions.
//!
//! Workers divide their slots among a few managers each, so that no manager counts on
//! room that another may take. Accounts are counted by the manager that owns them.

mod frontends;
mod incidents;
mod managers;
mod population;
mod summary;
mod workers;

use std::{collections::BTreeMap, sync::Arc};

use decide::{
    Dice,
    admit::{AccountLimits, Counter},
    arcs::{self, Bounds, gossip},
    book::{Input, Reply, StartId},
    ring::Ring,
};
use model::{
    AccountId, EnvId, Grant, KeyHash, LeaseId, ManagerId, Now, PoolKey, Register, RingVersion,
    Span, invariant, limits,
};

use crate::heap::Heap;
use frontends::{Call, Frontend};
pub use incidents::Incident;
use managers::Manager;
pub use population::{Arrivals, Distributions, Function, Population};
pub use summary::Summary;
use workers::{Env, Worker};

/// Heartbeats and expiry of leases.
const BEAT: Span = Span::secs(5);
/// Looks at sets that may shrink.
const SHRINK: Span = Span::secs(10);
/// One way between a manager and a worker; the same for all, so that order is kept.
const LINE: Span = Span::micros(250);
/// The region runs on for so long after its span, so that leases end.
const QUIET: Span = Span::secs(30);

#[derive(Clone, Debug)]
pub struct Config {
    pub frontends: usize,
    pub managers: usize,
    pub workers: usize,
    pub slots_per_worker: u32,
    /// Managers that one worker divides its slots among.
    pub managers_per_worker: usize,
    /// Concurrency of every account.
    pub concurrency: u32,
    pub idle_ttl: Span,
    pub create_tokens: (u32, u32),
    /// Calls arrive for so long.
    pub span: Span,
    pub incidents: Vec<(Now, Incident)>,
    /// Gossip between frontends that is lost.
    pub gossip_loss_percent: u64,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            frontends: limits::CELL_FRONTENDS_MAX,
            managers: limits::CELL_MANAGERS_MAX,
            workers: limits::CELL_WORKERS_MAX,
            slots_per_worker: 100,
            managers_per_worker: 10,
            concurrency: limits::ACCOUNT_CONCURRENCY_DEFAULT,
            idle_ttl: limits::IDLE_TTL,
            create_tokens: (limits::CREATE_TOKENS_MAX, limits::CREATE_TOKENS_PER_SEC),
            span: Span::secs(60),
            incidents: Vec::new(),
            gossip_loss_percent: 0,
        }
    }
}

/// A client's register on its way, under the start of the client's arc.
type Told = Option<(u64, Register)>;

#[derive(Debug)]
enum Event {
    Arrive,
    ToManager {
        manager: u32,
        life: u32,
        input: Box<Input>,
        told: Told,
    },
    Answer {
        call: u32,
        ask: u32,
        manager: u32,
        reply: Reply,
        told: Told,
    },
    /// The manager is not there.
    Silent {
        call: u32,
        ask: u32,
        manager: u32,
    },
    Run {
        call: u32,
        ask: u32,
        grant: Grant,
    },
    RunRefused {
        call: u32,
        ask: u32,
    },
    RunDone {
        env: EnvId,
        call: u32,
        ask: u32,
    },
    Ran {
        call: u32,
        ask: u32,
    },
    InitDone {
        manager: u32,
        life: u32,
        start: StartId,
        key: Arc<PoolKey>,
        worker: u32,
    },
    Killed {
        env: EnvId,
    },
    Wake {
        manager: u32,
        life: u32,
    },
    Beat,
    Shrink,
    Gossip,
    Heard {
        frontend: u32,
        news: Arc<[(u64, Register)]>,
    },
    Incident(Incident),
}

struct Region<'a> {
    config: &'a Config,
    population: &'a Population,
    keys: Vec<Option<(KeyHash, Arc<PoolKey>)>>,
    /// Accounts by the start of their arcs.
    starts: BTreeMap<u64, AccountId>,
    arrivals: population::Source<'a>,
    dice: Dice,
    now: Now,
    heap: Heap<Event>,
    ring: Ring,
    counters: Vec<Counter>,
    frontends: Vec<Frontend>,
    managers: Vec<Manager>,
    workers: Vec<Worker>,
    envs: BTreeMap<EnvId, Env>,
    calls: Vec<Call>,
    free: Vec<u32>,
    /// Frontends that came after one that died.
    lives: usize,
    sum: Summary,
}

/// Plays a region. The same arguments give the same summary.
///
/// # Panics
/// Where a numbered invariant is broken.
pub fn play(config: &Config, population: &Population, arrivals: &Arrivals, seed: u64) -> Summary {
    let mut region = Region::new(config, population, arrivals, seed);
    region.prepare();
    let end = Now(0) + config.span + QUIET;
    while let Some((at, event)) = region.heap.pop() {
        // In the end only what is on its way arrives; nothing new begins.
        let begins = matches!(
            event,
            Event::Beat | Event::Gossip | Event::Shrink | Event::Wake { .. } | Event::Incident(_)
        );
        if begins && at > end && region.calls_open() == 0 {
            continue;
        }
        region.now = at;
        region.take(event);
    }
    region.check_end();
    region.summary()
}

impl<'a> Region<'a> {
    fn new(
        config: &'a Config,
        population: &'a Population,
        arrivals: &'a Arrivals,
        seed: u64,
    ) -> Region<'a> {
        let members: Vec<ManagerId> = (0..config.managers as u64).map(ManagerId).collect();
        let limits = AccountLimits { concurrency: config.concurrency, tenant: None };
        let counter = || Counter::new(limits, limits::CONCURRENCY_LEASE_TTL);
        let mut dice = Dice::new(seed);
        Region {
            config,
            population,
            keys: vec![None; population.functions.len()],
            starts: BTreeMap::new(),
            arrivals: population::Source::new(population, arrivals, Dice::new(dice.roll())),
            dice,
            now: Now(0),
            heap: Heap::new(),
            ring: Ring::new(RingVersion(1), &members),
            counters: std::iter::repeat_with(counter).take(config.managers).collect(),
            frontends: (0..config.frontends).map(Frontend::new).collect(),
            managers: (0..config.managers).map(|_| Manager::new(config, 0)).collect(),
            workers: (0..config.workers).map(|_| Worker::default()).collect(),
            envs: BTreeMap::new(),
            calls: Vec::new(),
            free: Vec::new(),
            lives: 0,
            sum: Summary::default(),
        }
    }

    fn prepare(&mut self) {
        for manager in 0..self.managers.len() {
            self.offer_to(manager);
        }
        // What workers offer is known before the first call.
        while let Some((_, event)) = self.heap.pop() {
            self.take(event);
        }
        self.plan_arrival();
        self.heap.push(self.now + gossip::EVERY, Event::Gossip);
        self.heap.push(self.now + BEAT, Event::Beat);
        self.heap.push(self.now + SHRINK, Event::Shrink);
        for (at, incident) in &self.config.incidents {
            self.heap.push(*at, Event::Incident(*incident));
        }
    }

    fn take(&mut self, event: Event) {
        match event {
            Event::Arrive => self.arrive(),
            Event::ToManager { manager, life, input, told } => {
                self.at_manager(manager, life, *input, told);
            }
            Event::Answer { call, ask, manager, reply, told } if self.waits(call, ask) => {
                self.answered(call, manager, reply, told);
            }
            Event::Silent { call, ask, manager } if self.waits(call, ask) => {
                self.silent(call, manager);
            }
            Event::RunRefused { call, ask } if self.waits(call, ask) => self.run_refused(call),
            Event::Ran { call, ask } if self.waits(call, ask) => self.served(call),
            // Of a question that was answered otherwise meanwhile.
            Event::Answer { .. }
            | Event::Silent { .. }
            | Event::RunRefused { .. }
            | Event::Ran { .. } => {}
            Event::Run { call, ask, grant } => self.run(call, ask, grant),
            Event::RunDone { env, call, ask } => self.run_done(env, call, ask),
            Event::InitDone { manager, life, start, key, worker } => {
                self.init_done(manager, life, start, key, worker);
            }
            Event::Killed { env } => self.killed(env),
            Event::Wake { manager, life } => {
                if self.managers[manager as usize].life == life {
                    self.managers[manager as usize].wake = None;
                    self.at_manager(manager, life, Input::Deadline, None);
                }
            }
            Event::Beat => self.beat(),
            Event::Shrink => {
                self.shrink_sets();
                self.heap.push(self.now + SHRINK, Event::Shrink);
            }
            Event::Gossip => self.gossip(),
            Event::Heard { frontend, news } => self.heard(frontend, &news),
            Event::Incident(incident) => self.strike(incident),
        }
    }

    fn beat(&mut self) {
        for counter in &mut self.counters {
            if counter.leases() > 0 {
                for frontend in &self.frontends {
                    counter.renew(self.now, frontend.id);
                }
                counter.expire(self.now);
            }
        }
        self.sum.note_leases(self.managers.iter().map(|manager| manager.book.lease_counts()));
        self.heap.push(self.now + BEAT, Event::Beat);
    }

    /// One way between a frontend and a manager or worker.
    fn hop(&mut self) -> Now {
        self.now + Span::micros(100 + self.dice.below(300))
    }

    fn bounds(&self) -> Bounds {
        Bounds::of(self.config.concurrency, self.config.managers)
    }

    /// The key of a function, made when it is first called.
    fn key(&mut self, function: u32) -> (KeyHash, Arc<PoolKey>) {
        let functions = &self.population.functions;
        let slot = &mut self.keys[function as usize];
        let (hash, key) = slot.get_or_insert_with(|| {
            let key = functions[function as usize].key(function);
            (key.hash(), Arc::new(key))
        });
        (*hash, Arc::clone(key))
    }

    fn start_of(&mut self, account: AccountId) -> u64 {
        let start = arcs::start_of_account(account);
        self.starts.insert(start, account);
        start
    }

    fn calls_open(&self) -> usize {
        self.calls.len() - self.free.len()
    }

    /// Nothing is owed, and the books agree with the workers.
    fn check_end(&self) {
        assert_eq!(self.calls_open(), 0, "calls that never ended");
        let leases: usize = self.counters.iter().map(Counter::leases).sum();
        assert_eq!(leases, 0, "I4 broken: leases outlived their holders");
        let mut hosted = vec![0_usize; self.managers.len()];
        for env in self.envs.values() {
            hosted[env.manager as usize] += 1;
        }
        for (at, manager) in self.managers.iter().enumerate() {
            let counts = manager.book.lease_counts();
            let settled = counts.started + counts.returned;
            assert_eq!(counts.granted, settled, "I2 broken: leases open in a quiet region");
            let known = manager.book.environments();
            assert_eq!(known, hosted[at], "I7 broken: manager {at} and the workers disagree");
        }
        let broken: Vec<_> = invariant::broken_counts().filter(|(_, count)| *count > 0).collect();
        assert!(broken.is_empty(), "invariants broken: {broken:?}");
    }

    fn summary(mut self) -> Summary {
        let sets = self.frontends.iter().flat_map(|frontend| frontend.steering.wide_sets());
        self.sum.widest_last = sets.map(|arc| arc.size).max().unwrap_or(1);
        let widest = self.sum.widest_last;
        let has = |frontend: &&Frontend| {
            let mut sizes = frontend.steering.wide_sets().map(|arc| arc.size);
            sizes.any(|size| size == widest)
        };
        let having = self.frontends.iter().filter(has).count();
        self.sum.narrower_last = if widest > 1 { self.frontends.len() - having } else { 0 };
        self.sum.measure(&self.managers, self.keys.iter().flatten().count());
        self.sum
    }
}
