//! A region in virtual time: managers with real books, the provisioning controller,
//! the counter, frontends that search as in production, and workers that only take
//! as long as the test says. Messages take a millisecond; a question of a frontend
//! is answered at once.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use decide::{
    Book, Dice, Fact,
    admit::{AccountLimits, Ask, Counter},
    arcs::{self, Bounds, RingArc},
    book::{self, Acquire, Input, Outcome, Output, Reply, Routed, Ticket},
    fact::RetireWhy,
    provision::{self, Controller, Status, Want},
    ring::Ring,
    route::{self, Served, SetRecord, SetView},
    search::{Answer, Next, Route, Search, Set, Steering},
};
use model::{
    AccountId, Capacity, Class, EnvId, Epoch, FrontendId, FunctionName, KeyHash, LeaseId, Load,
    ManagerId, Now, PoolKey, Reason, RingVersion, Span, TargetReport, Trouble, VersionId, WorkerId,
    function::Architecture, limits,
};

const HOP: Span = Span::millis(1);

pub(crate) fn account() -> AccountId {
    AccountId::parse("000000000001").unwrap()
}

fn key(function: &str, class: Class) -> Arc<PoolKey> {
    Arc::new(PoolKey {
        version: VersionId::Published(1),
        class,
        ..PoolKey::plain(account(), FunctionName::parse(function).unwrap())
    })
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Config {
    pub(crate) managers: u64,
    pub(crate) frontends: u64,
    /// Of the one worker that each manager places on.
    pub(crate) memory_mb: u64,
    pub(crate) init: Span,
    pub(crate) theta_percent: u32,
    /// Control run: frontends go by `n <= limit` and look only in the limit's arc.
    pub(crate) naive: bool,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            managers: 20,
            frontends: 3,
            memory_mb: 1_000_000,
            init: Span::secs(2),
            theta_percent: route::THETA_PERCENT,
            naive: false,
        }
    }
}

/// How one call went.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Call {
    pub(crate) began: Now,
    /// When its handler started.
    pub(crate) ran: Option<Now>,
    pub(crate) warm: bool,
    pub(crate) served: Option<Served>,
    /// Whether the environment was of the set, whatever it counts as.
    pub(crate) in_set: bool,
    pub(crate) refused: Option<Reason>,
    pub(crate) failed: bool,
    pub(crate) ended: bool,
}

struct Open {
    function: &'static str,
    lasts: Span,
    /// Begun again for ever when it ends: one unit of steady load.
    steady: bool,
    lease: Option<LeaseId>,
    /// The manager that it was asked of last, and what it got there.
    at: Option<(u64, Option<(LeaseId, EnvId)>)>,
}

struct Manager {
    book: Book,
    wake: Option<Now>,
}

struct Frontend {
    steering: Steering,
    dice: Dice,
    views: BTreeMap<KeyHash, SetView>,
}

#[derive(Clone, Debug)]
enum Event {
    Wake { manager: u64 },
    Started { manager: u64, start: book::StartId, env: EnvId },
    Gone { manager: u64, env: EnvId },
    Target { manager: u64, target: book::Target },
    Report { manager: u64, report: TargetReport },
    Controller,
    Began { manager: u64, lease: LeaseId },
    End { call: usize },
}

pub(crate) struct Stage {
    pub(crate) config: Config,
    pub(crate) now: Now,
    events: BTreeMap<(Now, u64), Event>,
    order: u64,
    managers: BTreeMap<u64, Manager>,
    frontends: Vec<Frontend>,
    pub(crate) counter: Counter,
    pub(crate) controller: Controller,
    ring: Arc<Ring>,
    pub(crate) records: BTreeMap<KeyHash, SetRecord>,
    pub(crate) statuses: Vec<(Now, Status)>,
    calls: Vec<Open>,
    pub(crate) log: Vec<Call>,
    /// Steady load: calls at once, wanted and there.
    steady: BTreeMap<&'static str, (u32, u32)>,
    envs: u64,
    busy: BTreeSet<EnvId>,
    /// Inits of each class since the last look, and what was retired as surplus.
    pub(crate) inits: BTreeMap<Class, u32>,
    pub(crate) surplus_retired: u32,
    pub(crate) init_fails: bool,
    pub(crate) dropped_targets: u32,
}

impl Stage {
    pub(crate) fn new(config: Config) -> Stage {
        let members: Vec<ManagerId> = (0..config.managers).map(ManagerId).collect();
        let ring = Arc::new(Ring::new(RingVersion(1), &members));
        let frontend = |at| Frontend {
            steering: Steering::new(FrontendId(at)),
            dice: Dice::new(at),
            views: BTreeMap::new(),
        };
        let limits = AccountLimits { concurrency: 1_000, tenant: None };
        let mut stage = Stage {
            config,
            now: Now(0),
            events: BTreeMap::new(),
            order: 0,
            managers: BTreeMap::new(),
            frontends: (0..config.frontends).map(frontend).collect(),
            counter: Counter::new(limits, Span::secs(1_000_000)),
            controller: Controller::new(Arc::clone(&ring)),
            ring,
            records: BTreeMap::new(),
            statuses: Vec::new(),
            calls: Vec::new(),
            log: Vec::new(),
            steady: BTreeMap::new(),
            envs: 0,
            busy: BTreeSet::new(),
            inits: BTreeMap::new(),
            surplus_retired: 0,
            init_fails: false,
            dropped_targets: 0,
        };
        for manager in 0..config.managers {
            let book = Book::new(book::Config::default());
            stage.managers.insert(manager, Manager { book, wake: None });
            let capacity = Capacity {
                memory_mb: config.memory_mb,
                slots: 100_000,
                architecture: Architecture::X86_64,
            };
            stage.tell(manager, Input::WorkerOffers { worker: WorkerId(manager), capacity });
        }
        stage
    }

    pub(crate) fn set_limit(&mut self, function: &str, limit: u32) {
        let key = key(function, Class::Provisioned);
        let hash = key.hash();
        let stored = self.records.get(&hash).copied();
        self.control(provision::Input::Want(Want {
            key,
            hash,
            limit,
            stored,
            epoch_min: Epoch(0),
        }));
    }

    /// Sets a limit, waits until it is there, and forgets what it took.
    pub(crate) fn provisioned(&mut self, function: &str, limit: u32) {
        self.set_limit(function, limit);
        self.pass(Span::secs(30));
        assert_eq!(self.status(function).map(|s| s.state), Some(provision::State::Ready));
        assert_eq!(self.in_set(function), limit);
        self.inits.clear();
    }

    pub(crate) fn status(&self, function: &str) -> Option<Status> {
        self.controller.status(key(function, Class::Provisioned).hash())
    }

    pub(crate) fn record(&self, function: &str) -> Option<SetRecord> {
        self.records.get(&key(function, Class::Provisioned).hash()).copied()
    }

    pub(crate) fn members(&self, arc: RingArc) -> Vec<ManagerId> {
        let mut members = Vec::new();
        self.ring.members(arc.start, arc.size, &mut members);
        members
    }

    /// Environments of a set in all books.
    pub(crate) fn in_set(&self, function: &str) -> u32 {
        let hash = key(function, Class::Provisioned).hash();
        let loads = self.managers.values().map(|manager| manager.book.load(hash));
        loads.map(|load| load.idle + load.busy).sum()
    }

    pub(crate) fn busy_in_set(&self, function: &str) -> u32 {
        let hash = key(function, Class::Provisioned).hash();
        self.managers.values().map(|manager| manager.book.load(hash).busy).sum()
    }

    /// The process is gone: its book, and with it its environments. Whoever watches
    /// finds out after `notice` and publishes a ring without it.
    pub(crate) fn kill_manager(&mut self, manager: ManagerId, notice: Span) {
        self.managers.remove(&manager.0);
        for call in 0..self.calls.len() {
            // A call that waits at it, without an environment yet, is on its path.
            if self.calls[call].at == Some((manager.0, None)) && self.calls[call].lease.is_some() {
                self.log[call].failed = true;
                self.give_back(call);
            }
        }
        self.pass(notice);
        self.control(provision::Input::ManagerLost(manager));
        let members: Vec<ManagerId> = self.managers.keys().map(|m| ManagerId(*m)).collect();
        self.publish(&members);
    }

    pub(crate) fn publish(&mut self, members: &[ManagerId]) {
        let version = RingVersion(self.ring.version().0 + 1);
        self.ring = Arc::new(Ring::new(version, members));
        self.control(provision::Input::Ring(Arc::clone(&self.ring)));
    }

    /// A controller of another life, which knows what was stored.
    pub(crate) fn restart_controller(&mut self, function: &str, limit: u32) {
        self.controller = Controller::new(Arc::clone(&self.ring));
        self.set_limit(function, limit);
    }

    /// Starts a call; its index in `log`.
    pub(crate) fn call(&mut self, function: &'static str, lasts: Span) -> usize {
        self.begin(function, lasts, false)
    }

    pub(crate) fn calls(&mut self, n: usize, function: &'static str, lasts: Span) -> Vec<usize> {
        (0..n).map(|_| self.call(function, lasts)).collect()
    }

    /// So many calls of a function at any time from now on, each of about half a second.
    pub(crate) fn steady(&mut self, function: &'static str, wanted: u32) {
        let (_, running) = self.steady.get(function).copied().unwrap_or_default();
        self.steady.insert(function, (wanted, running));
        for _ in running..wanted {
            self.begin_steady(function);
        }
    }

    fn begin_steady(&mut self, function: &'static str) {
        // Lengths differ, so that calls do not march in step.
        let lasts = Span::millis(350 + (self.order * 37) % 301);
        self.steady.entry(function).or_default().1 += 1;
        self.begin(function, lasts, true);
    }

    fn begin(&mut self, function: &'static str, lasts: Span, steady: bool) -> usize {
        let call = self.calls.len();
        self.calls.push(Open { function, lasts, steady, lease: None, at: None });
        self.log.push(Call {
            began: self.now,
            ran: None,
            warm: false,
            served: None,
            in_set: false,
            refused: None,
            failed: false,
            ended: false,
        });
        let on_demand = key(function, Class::OnDemand);
        let at = call % self.frontends.len();
        let ask = Ask {
            account: account(),
            function: &on_demand.function,
            version: on_demand.version,
            tenant: None,
            holder: FrontendId(at as u64),
        };
        match self.counter.take(self.now, &ask) {
            Ok(admitted) => {
                self.calls[call].lease = Some(admitted.lease);
                self.search(call, at, admitted.in_version, &on_demand);
            }
            Err(refusal) => self.log[call].refused = Some(refusal.reason),
        }
        call
    }

    /// The path of a frontend: plan, search, ask.
    fn search(&mut self, call: usize, at: usize, in_version: u32, on_demand: &Arc<PoolKey>) {
        let provisioned = key(self.calls[call].function, Class::Provisioned);
        let hash = provisioned.hash();
        let set = self.frontends[at].views.get(&hash).map(SetView::set);
        let start = arcs::start_of_account(account());
        let mut plan = route::plan(in_version, set.as_ref(), RingArc { start, size: 1 });
        if self.config.naive && set.is_some_and(|set| in_version > set.limit) {
            plan.provisioned = None;
        }
        let route = Route {
            key: on_demand.hash(),
            start,
            provisioned: plan.provisioned.map(|arc| (hash, arc)),
            bounds: Bounds::of(1_000, self.ring.len()),
        };
        let (now, ring) = (self.now, Arc::clone(&self.ring));
        let client_cap = route.bounds.cap();
        let mut search = Search::begin(now, route, &ring, &mut self.frontends[at].steering);
        if let Some(view) = self.frontends[at].views.get(&hash)
            && plan.surplus.is_some()
            && !self.config.naive
        {
            search = search.with_surplus(view.surplus(&ring));
        }
        loop {
            let Frontend { steering, dice, .. } = &mut self.frontends[at];
            let (manager, asked, mode) = match search.next(now, &ring, steering, dice) {
                Next::Ask { manager, set, mode } => (manager, set, mode),
                Next::Refused(reason) => {
                    self.log[call].refused = Some(reason);
                    return self.give_back(call);
                }
            };
            let of = match asked {
                Set::Provisioned => Arc::clone(&provisioned),
                Set::OnDemand => Arc::clone(on_demand),
            };
            self.calls[call].at = Some((manager.0, None));
            self.log[call].in_set = asked == Set::Provisioned;
            let ask = Acquire {
                ticket: Ticket(call as u64),
                hash: of.hash(),
                key: of,
                mode,
                deadline: Now(u64::MAX),
                client_cap,
                routed: Routed::default(),
                affinity: None,
            };
            let hash = ask.hash;
            let reply = match self.managers.contains_key(&manager.0) {
                true => self.tell(manager.0, Input::Acquire(ask)),
                false => Some(Answer::Silent),
            };
            let load = self.managers.get(&manager.0).map(|manager| manager.book.load(hash));
            // Without an answer it waits for a start, and will be served.
            let Some(answer) = reply else { return };
            let frontend = &mut self.frontends[at];
            search.answered(manager, answer, &mut frontend.steering);
            if asked == Set::Provisioned
                && let (Some(load), Some(view)) = (load, frontend.views.get_mut(&hash))
            {
                view.heard(manager, load);
            }
            if let Answer::Granted { .. } = answer {
                return;
            }
        }
    }

    /// One input of a book and everything that it said; the answer to an acquire.
    fn tell(&mut self, manager: u64, input: Input) -> Option<Answer> {
        let asked = if let Input::Acquire(ask) = &input { Some(ask.ticket) } else { None };
        let mut out = Vec::new();
        let there = self.managers.get_mut(&manager)?;
        there.book.handle(self.now, input, &mut out);
        let mut answer = None;
        for output in out {
            match output {
                Output::Reply { ticket, reply } => {
                    let told = self.reply(manager, ticket, reply);
                    answer = answer.or(told.filter(|_| asked == Some(ticket)));
                }
                Output::Start { start, key, .. } => {
                    *self.inits.entry(key.class).or_insert(0) += 1;
                    self.envs += 1;
                    let env = EnvId::new(WorkerId(manager), self.envs);
                    self.push(self.config.init, Event::Started { manager, start, env });
                }
                Output::Retire { env, .. } => {
                    assert!(!self.busy.contains(&env), "{env} was retired while busy");
                    self.push(HOP, Event::Gone { manager, env });
                }
                Output::Report(report) => self.push(HOP, Event::Report { manager, report }),
                Output::Fact(Fact::Retired { why: RetireWhy::Surplus, .. }) => {
                    self.surplus_retired += 1;
                }
                Output::Fact(_) => {}
                Output::Tell { .. } | Output::Transfer { .. } => panic!("nobody hands over here"),
                Output::AskTokens { .. } | Output::ReturnTokens { .. } => {
                    panic!("no home is named")
                }
            }
        }
        self.plan_wake(manager);
        answer
    }

    fn plan_wake(&mut self, manager: u64) {
        let Some(there) = self.managers.get_mut(&manager) else { return };
        let Some((due, _)) = there.book.deadline() else { return };
        if there.wake.is_none_or(|wake| due < wake) {
            there.wake = Some(due);
            self.push(due.since(self.now), Event::Wake { manager });
        }
    }

    fn reply(&mut self, manager: u64, ticket: Ticket, reply: Reply) -> Option<Answer> {
        let call = ticket.0 as usize;
        match reply {
            Reply::Grant(grant, load) => {
                let lasts = self.calls.get(call)?.lasts;
                self.calls[call].at = Some((manager, Some((grant.lease, grant.env))));
                self.busy.insert(grant.env);
                let function = self.calls[call].function;
                let limit = self.record(function).map_or(0, |record| record.limit);
                let by_set = self.log[call].in_set.then(|| self.busy_in_set(function));
                let log = &mut self.log[call];
                (log.ran, log.warm) = (Some(self.now), grant.warm);
                log.served = Some(route::served(limit, by_set));
                self.push(lasts, Event::End { call });
                let took = self.now.since(self.log[call].began);
                self.push(HOP, Event::Began { manager, lease: grant.lease });
                Some(Answer::Granted { load, warm: grant.warm, took })
            }
            Reply::NoIdle(_) => Some(Answer::NoIdle),
            Reply::Throttle(_) => Some(Answer::Throttled),
            Reply::Refused { reason, .. } => {
                self.log[call].refused = Some(reason);
                self.give_back(call);
                None
            }
            Reply::StartFailed { .. } => {
                self.log[call].failed = true;
                self.give_back(call);
                None
            }
        }
    }

    fn give_back(&mut self, call: usize) {
        if let Some(lease) = self.calls[call].lease.take() {
            self.counter.give_back(lease);
        }
    }

    fn control(&mut self, input: provision::Input) {
        let mut out = Vec::new();
        self.controller.handle(self.now, input, &mut out);
        for output in out {
            match output {
                provision::Output::Record { hash, record } => {
                    self.records.insert(hash, record);
                    for frontend in &mut self.frontends {
                        let view = SetView::new(record, self.config.theta_percent);
                        frontend.views.entry(hash).or_insert(view).learn(record);
                    }
                }
                provision::Output::SetTarget { manager, target } => {
                    if self.dropped_targets > 0 {
                        self.dropped_targets -= 1;
                    } else {
                        self.push(HOP, Event::Target { manager: manager.0, target });
                    }
                }
                provision::Output::Status { status, .. } => self.statuses.push((self.now, status)),
                provision::Output::Charge { account, function, version, charge } => {
                    self.counter.provision(self.now, account, &function, version, charge);
                }
                provision::Output::Forget { hash } => {
                    self.records.remove(&hash);
                    for frontend in &mut self.frontends {
                        frontend.views.remove(&hash);
                    }
                }
            }
        }
        if let Some(due) = self.controller.deadline() {
            self.push(due.since(self.now), Event::Controller);
        }
    }

    fn push(&mut self, after: Span, event: Event) {
        self.order += 1;
        self.events.insert((self.now + after, self.order), event);
    }

    pub(crate) fn pass(&mut self, span: Span) {
        let end = self.now + span;
        while let Some(entry) = self.events.first_entry()
            && entry.key().0 <= end
        {
            self.now = entry.key().0;
            let event = entry.remove();
            self.happen(event);
        }
        self.now = end;
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Wake { manager } => {
                if let Some(there) = self.managers.get_mut(&manager) {
                    there.wake = None;
                }
                self.tell(manager, Input::Deadline);
            }
            Event::Started { manager, start, env } => {
                let input = match self.init_fails {
                    true => Input::StartFailed { start, why: Trouble::Init },
                    false => Input::Started { start, env, epoch: Epoch(1) },
                };
                self.tell(manager, input);
            }
            Event::Gone { manager, env } => {
                self.tell(manager, Input::Gone { env });
            }
            Event::Target { manager, target } => {
                self.tell(manager, Input::SetTarget(target));
            }
            Event::Report { manager, report } => {
                let load = Load {
                    idle: report.idle,
                    busy: report.busy,
                    starting: report.starting,
                    waiting: 0,
                };
                if self.managers.contains_key(&manager) {
                    let manager = ManagerId(manager);
                    for frontend in &mut self.frontends {
                        if let Some(view) = frontend.views.get_mut(&report.hash) {
                            view.heard(manager, load);
                        }
                    }
                    self.control(provision::Input::Report { manager, report });
                }
            }
            Event::Controller => self.control(provision::Input::Deadline),
            Event::Began { manager, lease } => {
                self.tell(manager, Input::RunStarted { lease });
            }
            Event::End { call } => self.end(call),
        }
    }

    fn end(&mut self, call: usize) {
        let Some((manager, Some((lease, env)))) = self.calls[call].at.take() else { return };
        self.log[call].ended = true;
        self.busy.remove(&env);
        self.give_back(call);
        self.tell(manager, Input::Released { lease, outcome: Outcome::Reusable });
        let Open { function, steady, .. } = self.calls[call];
        if self.log[call].in_set {
            let at = call % self.frontends.len();
            let hash = key(function, Class::Provisioned).hash();
            if let Some(view) = self.frontends[at].views.get_mut(&hash) {
                view.freed(ManagerId(manager));
            }
        }
        if steady && let Some((wanted, running)) = self.steady.get_mut(function) {
            *running -= 1;
            if running < wanted {
                self.begin_steady(function);
            }
        }
    }

    /// Calls since `from` that waited for an init.
    pub(crate) fn cold_since(&self, from: Now) -> usize {
        let ran = |call: &&Call| call.began >= from && call.ran.is_some();
        self.log.iter().filter(ran).filter(|call| !call.warm).count()
    }

    pub(crate) fn served_as(&self, served: Served) -> usize {
        self.log.iter().filter(|call| call.served == Some(served)).count()
    }
}

pub(crate) const T_DRAIN: Span = limits::DRAIN_AFTER;
