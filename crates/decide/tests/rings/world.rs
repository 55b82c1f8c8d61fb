//! A false world of two fleets: frontends that know different ring versions for a
//! while, real books, fake workers that hold (owner, epoch), messages that are
//! delayed by seed and keep their order between two parties.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use decide::{
    Book, Dice, Fact,
    arcs::start_of_version,
    book::{Acquire, Config, Input, Mode, Output, Reply, Routed, StartId, Ticket},
    handoff::may_exit,
    probe::{Answer, Budget, Hints, Probe, Step},
    ring::{Candidates, Preds, Rings},
};
use model::{
    AccountId, Attrs, Capacity, EnvId, Epoch, FleetId, FunctionName, Grant, Hosted, ManagerId, Now,
    PoolKey, RingRecord, RingVersion, Span, WorkerId, function::Architecture,
};

const WORKERS: u64 = 4;
const INIT: Span = Span::millis(200);
const ASKS_MAX: u64 = 1_000;
/// A manager that does not answer is given up after so long.
const SILENCE: Span = Span::millis(50);

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Party {
    Frontend(usize),
    Manager(ManagerId),
    Worker(WorkerId),
}

#[derive(Clone, Debug)]
enum Order {
    Start { from: ManagerId, start: StartId, key: Arc<PoolKey> },
    Retire { from: ManagerId, env: EnvId, epoch: Epoch },
    Transfer { from: ManagerId, env: EnvId, epoch: Epoch, to: ManagerId },
    Run { call: usize, by: ManagerId, grant: Grant },
}

#[derive(Clone, Copy, Debug)]
enum Word {
    Answered { ask: u64, by: ManagerId, reply: Reply },
    Failed { ask: u64, by: ManagerId },
    Silent { ask: u64, by: ManagerId },
    Refused,
    Ran,
}

#[derive(Clone, Debug)]
enum Event {
    Arrive(usize),
    ToManager(ManagerId, Input),
    ToWorker(WorkerId, Order),
    ToFrontend(usize, Word),
    InitDone { worker: WorkerId, from: ManagerId, start: StartId, key: Arc<PoolKey> },
    RunDone { env: EnvId, call: usize },
    Killed(EnvId),
    Learn(usize, Arc<Rings>),
    Wake(ManagerId),
}

#[derive(Debug)]
pub(crate) struct Manager {
    pub(crate) book: Book,
    pub(crate) alive: bool,
    /// When it will be woken.
    wake: Option<Now>,
    /// A bad build: it refuses every acquire.
    pub(crate) fails: bool,
}

#[derive(Debug)]
pub(crate) struct Env {
    pub(crate) owner: ManagerId,
    pub(crate) key: Arc<PoolKey>,
    epoch: Epoch,
    running: Option<usize>,
    doomed: bool,
}

#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) function: usize,
    frontend: usize,
    run: Span,
    candidates: Candidates,
    probe: Option<Probe>,
    /// Predecessors that were asked for this call.
    asked: Preds,
    /// To be asked plainly, because the owner failed.
    fallback: Vec<ManagerId>,
    asks: u64,
    pub(crate) arrived: Now,
    /// When it was granted its environment last.
    pub(crate) granted: Option<Now>,
    pub(crate) ended: Option<Now>,
    pub(crate) by: RingVersion,
    pub(crate) manager: Option<ManagerId>,
    pub(crate) error: bool,
    pub(crate) refusals: u32,
}

pub(crate) struct Options {
    pub(crate) frontends: usize,
    pub(crate) functions: usize,
    /// Messages take up to so much longer than a tenth of a millisecond.
    pub(crate) jitter: Span,
    /// Off, for the control: owners know of no predecessors.
    pub(crate) handoff: bool,
    /// Off, for the control: workers accept any epoch.
    pub(crate) fence: bool,
    /// Frontends ask predecessors when an owner fails.
    pub(crate) fallback: bool,
    /// How long a lease lasts.
    pub(crate) lease_ttl: Span,
    /// A frontend takes up to so long from its lease to the run.
    pub(crate) dither: Span,
    /// Versions as they will be published, where many worlds publish the same: points
    /// of rings take longer than schedules.
    pub(crate) prepared: Arc<Vec<Rings>>,
    pub(crate) seed: u64,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            frontends: 1,
            functions: 1,
            jitter: Span::ZERO,
            handoff: true,
            fence: true,
            fallback: true,
            lease_ttl: Span::secs(2),
            dither: Span::ZERO,
            prepared: Arc::default(),
            seed: 1,
        }
    }
}

pub(crate) struct World {
    pub(crate) now: Now,
    options: Options,
    dice: Dice,
    heap: BTreeMap<(Now, u64), Event>,
    count: u64,
    links: BTreeMap<(Party, Party), Now>,
    pub(crate) managers: BTreeMap<ManagerId, Manager>,
    pub(crate) envs: BTreeMap<EnvId, Env>,
    made: u64,
    rings: Vec<Arc<Rings>>,
    hints: Hints,
    pub(crate) calls: Vec<Call>,
    keys: Vec<Arc<PoolKey>>,
    pub(crate) published: Rings,
    pub(crate) starts: u64,
    pub(crate) facts: Vec<(ManagerId, Fact)>,
    /// What an environment was accepted for although its owner was another (I5).
    pub(crate) unfenced: u32,
    /// Managers that leave when they may: the version that does without each.
    pub(crate) leaving: BTreeMap<ManagerId, RingVersion>,
    pub(crate) left: BTreeMap<ManagerId, Now>,
}

pub(crate) fn managers(ids: std::ops::Range<u64>) -> Vec<ManagerId> {
    ids.map(ManagerId).collect()
}

fn key(n: usize) -> Arc<PoolKey> {
    Arc::new(PoolKey::plain(
        AccountId::parse("000000000001").unwrap(),
        FunctionName::parse(&format!("f{n}")).unwrap(),
    ))
}

impl World {
    pub(crate) fn new(options: Options) -> World {
        World {
            now: Now(0) + Span::secs(1),
            dice: Dice::new(options.seed),
            heap: BTreeMap::new(),
            count: 0,
            links: BTreeMap::new(),
            managers: BTreeMap::new(),
            envs: BTreeMap::new(),
            made: 0,
            rings: vec![Arc::default(); options.frontends],
            hints: Hints::default(),
            calls: Vec::new(),
            keys: (0..options.functions).map(key).collect(),
            published: Rings::default(),
            starts: 0,
            facts: Vec::new(),
            unfenced: 0,
            leaving: BTreeMap::new(),
            left: BTreeMap::new(),
            options,
        }
    }

    pub(crate) fn dice(&mut self) -> &mut Dice {
        &mut self.dice
    }

    pub(crate) fn key(&self, function: usize) -> &Arc<PoolKey> {
        &self.keys[function]
    }

    /// Publishes the next version with every key, known everywhere within `within`.
    pub(crate) fn deploy(&mut self, members: &[ManagerId], attrs: Attrs, share: u16, within: Span) {
        let fleet = FleetId(members[0].0);
        let next = self.published.successor(fleet, members.to_vec(), attrs);
        self.publish(RingRecord { key_share: share, ..next }, within);
    }

    pub(crate) fn publish(&mut self, record: RingRecord, within: Span) {
        for member in &record.members {
            self.build(*member);
        }
        let at = self
            .options
            .prepared
            .iter()
            .position(|rings| rings.newest().is_some_and(|newest| *newest.record() == record));
        match at {
            Some(at) => self.published = self.options.prepared[at].clone(),
            None => self.published.learn(record),
        }
        let view = Arc::new(self.published.clone());
        for frontend in 0..self.options.frontends {
            let late = Span::micros(self.dice.below(within.as_micros() + 1));
            self.push(self.now + late, Event::Learn(frontend, Arc::clone(&view)));
        }
        let told: Vec<ManagerId> = self.managers.keys().copied().collect();
        for manager in told {
            let late = Span::micros(self.dice.below(within.as_micros() + 1));
            for version in self.published.versions().to_vec() {
                let input = Input::Ring { v: version.v(), attrs: *version.attrs() };
                self.push(self.now + late, Event::ToManager(manager, input));
            }
        }
    }

    fn build(&mut self, id: ManagerId) {
        if self.managers.contains_key(&id) {
            return;
        }
        let lease_ttl = self.options.lease_ttl;
        let config = Config { patience: false, lease_ttl, ..Config::default() };
        let book = Book::new(config);
        let manager = Manager { book, alive: true, wake: None, fails: false };
        self.managers.insert(id, manager);
        let capacity =
            Capacity { memory_mb: 1 << 40, slots: 1 << 30, architecture: Architecture::X86_64 };
        for worker in 0..WORKERS {
            let worker = WorkerId(worker);
            self.at_manager(id, Input::WorkerOffers { worker, capacity });
        }
    }

    pub(crate) fn kill(&mut self, manager: ManagerId) {
        self.managers.get_mut(&manager).unwrap().alive = false;
    }

    /// A call at `after` from now; its number.
    pub(crate) fn call(&mut self, function: usize, after: Span, run: Span) -> usize {
        let frontend = self.dice.below(self.options.frontends as u64) as usize;
        let number = self.calls.len();
        self.calls.push(Call {
            function,
            frontend,
            run,
            candidates: Candidates::default(),
            probe: None,
            asked: Preds::NONE,
            fallback: Vec::new(),
            asks: 0,
            arrived: self.now + after,
            granted: None,
            ended: None,
            by: RingVersion(0),
            manager: None,
            error: false,
            refusals: 0,
        });
        self.push(self.now + after, Event::Arrive(number));
        number
    }

    pub(crate) fn pass(&mut self, span: Span) {
        let until = self.now + span;
        while let Some(entry) = self.heap.first_entry()
            && entry.key().0 <= until
        {
            let ((at, _), event) = entry.remove_entry();
            self.now = self.now.max(at);
            self.event(event);
        }
        self.now = until;
    }

    fn push(&mut self, at: Now, event: Event) {
        self.count += 1;
        self.heap.insert((at, self.count), event);
    }

    /// When a message arrives: not before the ones sent earlier on the same link.
    fn hop(&mut self, from: Party, to: Party) -> Now {
        let jitter = Span::micros(self.dice.below(self.options.jitter.as_micros() + 1));
        let at = self.now + Span::micros(100) + jitter;
        let last = self.links.entry((from, to)).or_insert(at);
        *last = at.max(*last);
        *last
    }

    fn event(&mut self, event: Event) {
        match event {
            Event::Arrive(call) => self.begin(call),
            Event::ToManager(manager, input) => self.at_manager(manager, input),
            Event::ToWorker(worker, order) => self.at_worker(worker, order),
            Event::ToFrontend(call, word) => self.at_frontend(call, word),
            Event::InitDone { worker, from, start, key } => {
                self.made += 1;
                let (env, epoch) = (EnvId::new(worker, self.made), Epoch(1));
                let made = Env { owner: from, key, epoch, running: None, doomed: false };
                self.envs.insert(env, made);
                self.tell(worker, from, Input::Started { start, env, epoch });
            }
            Event::RunDone { env, call } => self.run_done(env, call),
            Event::Killed(env) => {
                let gone = self.envs.remove(&env).unwrap();
                self.tell(env.worker(), gone.owner, Input::Gone { env });
            }
            Event::Learn(frontend, view) => {
                let newest = |rings: &Rings| rings.newest().map(|v| v.v());
                if newest(&self.rings[frontend]) <= newest(&view) {
                    self.rings[frontend] = view;
                }
            }
            Event::Wake(id) => {
                let manager = self.managers.get_mut(&id).unwrap();
                if manager.wake == Some(self.now) {
                    manager.wake = None;
                    self.at_manager(id, Input::Deadline);
                }
            }
        }
        self.let_leave();
    }

    fn let_leave(&mut self) {
        if self.leaving.is_empty() {
            return;
        }
        let announced: Vec<RingVersion> =
            self.rings.iter().filter_map(|rings| rings.newest().map(|v| v.v())).collect();
        for (id, without) in self.leaving.clone() {
            let obligations = self.managers[&id].book.obligations();
            if may_exit(obligations, without, announced.iter().copied()) {
                self.leaving.remove(&id);
                self.left.insert(id, self.now);
                self.kill(id);
            }
        }
    }

    // Managers.

    fn at_manager(&mut self, id: ManagerId, input: Input) {
        let manager = self.managers.get_mut(&id).unwrap();
        if !manager.alive {
            return;
        }
        let mut out = Vec::new();
        if let (true, Input::Acquire(ask)) = (manager.fails, &input) {
            let (call, ask) = (ask.ticket.0 / ASKS_MAX, ask.ticket.0 % ASKS_MAX);
            return self.answer(id, call as usize, Word::Failed { ask, by: id });
        }
        manager.book.handle(self.now, input, &mut out);
        for output in out {
            self.perform(id, output);
        }
        self.plan_wake(id);
    }

    fn plan_wake(&mut self, id: ManagerId) {
        let manager = self.managers.get_mut(&id).unwrap();
        let Some((at, _)) = manager.book.deadline() else { return };
        let at = at.max(self.now);
        if manager.wake.is_none_or(|planned| at < planned) {
            manager.wake = Some(at);
            self.push(at, Event::Wake(id));
        }
    }

    fn perform(&mut self, id: ManagerId, output: Output) {
        match output {
            Output::Reply { ticket, reply } => {
                let (call, ask) = ((ticket.0 / ASKS_MAX) as usize, ticket.0 % ASKS_MAX);
                if call >= self.calls.len() {
                    return; // Its frontend died.
                }
                self.answer(id, call, Word::Answered { ask, by: id, reply });
            }
            Output::Start { start, worker, key } => {
                self.starts += 1;
                self.order(Party::Manager(id), worker, Order::Start { from: id, start, key });
            }
            Output::Retire { env, worker, epoch } => {
                self.order(Party::Manager(id), worker, Order::Retire { from: id, env, epoch });
            }
            Output::Transfer { env, worker, epoch, to } => {
                let order = Order::Transfer { from: id, env, epoch, to };
                self.order(Party::Manager(id), worker, order);
            }
            Output::Tell { to, word } => {
                let at = self.hop(Party::Manager(id), Party::Manager(to));
                self.push(at, Event::ToManager(to, Input::Hear { from: id, word }));
            }
            Output::AskTokens { .. } | Output::ReturnTokens { .. } => {
                panic!("every manager has its own create buckets here")
            }
            Output::Report(report) => panic!("{report:?} of no target"),
            Output::Fact(fact) => self.facts.push((id, fact)),
        }
    }

    fn answer(&mut self, from: ManagerId, call: usize, word: Word) {
        let to = Party::Frontend(self.calls[call].frontend);
        let at = self.hop(Party::Manager(from), to);
        self.push(at, Event::ToFrontend(call, word));
    }

    fn order(&mut self, from: Party, worker: WorkerId, order: Order) {
        let at = self.hop(from, Party::Worker(worker));
        self.push(at, Event::ToWorker(worker, order));
    }

    fn tell(&mut self, worker: WorkerId, to: ManagerId, input: Input) {
        let at = self.hop(Party::Worker(worker), Party::Manager(to));
        self.push(at, Event::ToManager(to, input));
    }

    // Workers.

    fn at_worker(&mut self, worker: WorkerId, order: Order) {
        match order {
            Order::Start { from, start, key } => {
                self.push(self.now + INIT, Event::InitDone { worker, from, start, key });
            }
            Order::Retire { from, env, epoch } => self.retire(from, env, epoch),
            Order::Transfer { from, env, epoch, to } => self.transfer(from, env, epoch, to),
            Order::Run { call, by, grant } => self.run(call, by, grant),
        }
    }

    fn retire(&mut self, from: ManagerId, id: EnvId, epoch: Epoch) {
        let Some(env) = self.envs.get_mut(&id).filter(|env| env.owner == from) else {
            return self.tell(id.worker(), from, Input::Gone { env: id });
        };
        if epoch >= env.epoch && env.running.is_none() {
            env.epoch = epoch;
            if !std::mem::replace(&mut env.doomed, true) {
                self.push(self.now + Span::millis(2), Event::Killed(id));
            }
        } else if env.running.is_none() && !env.doomed {
            let epoch = env.epoch;
            self.tell(id.worker(), from, Input::Idle { env: id, epoch });
        }
    }

    fn transfer(&mut self, from: ManagerId, id: EnvId, epoch: Epoch, to: ManagerId) {
        let fence = self.options.fence;
        let Some(env) = self.envs.get_mut(&id).filter(|env| env.owner == from) else {
            return self.tell(id.worker(), from, Input::Gone { env: id });
        };
        if env.running.is_some() || env.doomed || epoch < env.epoch {
            let epoch = env.epoch;
            return self.tell(id.worker(), from, Input::TransferRefused { env: id, epoch });
        }
        env.owner = to;
        if fence {
            env.epoch = epoch.next();
        }
        let epoch = epoch.next();
        let moved = Hosted { env: id, key: Arc::clone(&env.key), epoch, busy: false };
        self.tell(id.worker(), from, Input::Transferred { env: id, epoch, to });
        self.tell(id.worker(), to, Input::Owned(moved));
    }

    fn run(&mut self, call: usize, by: ManagerId, grant: Grant) {
        let expected = self.profiled(call);
        let fence = self.options.fence;
        let env = self.envs.get_mut(&grant.env);
        let fits = |env: &&mut Env| {
            env.running.is_none() && !env.doomed && (!fence || grant.epoch > env.epoch)
        };
        let Some(env) = env.filter(fits) else {
            let at =
                self.hop(Party::Worker(grant.worker), Party::Frontend(self.calls[call].frontend));
            return self.push(at, Event::ToFrontend(call, Word::Refused));
        };
        assert_eq!(env.key, expected, "I3: call {call} in an environment of another key");
        // A grant of the owner of before is one that the fence must refuse.
        self.unfenced += u32::from(env.owner != by);
        env.epoch = grant.epoch;
        env.running = Some(call);
        let (owner, run) = (env.owner, self.calls[call].run);
        self.tell(grant.worker, owner, Input::RunStarted { lease: grant.lease });
        self.push(self.now + run, Event::RunDone { env: grant.env, call });
    }

    fn run_done(&mut self, id: EnvId, call: usize) {
        let env = self.envs.get_mut(&id).unwrap();
        assert_eq!(env.running.take(), Some(call), "I1: {id} runs two calls");
        let (owner, epoch) = (env.owner, env.epoch);
        self.tell(id.worker(), owner, Input::Idle { env: id, epoch });
        let to = Party::Frontend(self.calls[call].frontend);
        let at = self.hop(Party::Worker(id.worker()), to);
        self.push(at, Event::ToFrontend(call, Word::Ran));
    }

    // Frontends.

    /// The key of a call as the version that decides serves it.
    fn profiled(&self, call: usize) -> Arc<PoolKey> {
        let key = &self.keys[self.calls[call].function];
        let version = self.published.get(self.calls[call].by);
        let profiled = version.and_then(|version| version.profiled(key));
        profiled.map_or_else(|| Arc::clone(key), Arc::new)
    }

    fn begin(&mut self, number: usize) {
        let call = &mut self.calls[number];
        let key = &self.keys[call.function];
        let start = start_of_version(key.account, &key.function, key.version);
        let hash = key.hash();
        self.rings[call.frontend].for_arc(hash, start, 1, &mut call.candidates);
        let members: Vec<ManagerId> = call.candidates.members.iter().map(|c| c.manager).collect();
        assert!(!members.is_empty(), "no ring serves call {number}");
        call.by = call.candidates.by;
        call.asked = Preds::NONE;
        let budget = Budget { time: Span::secs(1), ..Budget::default() };
        call.probe = Some(Probe::new(self.now, hash, &members, budget));
        self.ask_next(number);
    }

    fn ask_next(&mut self, number: usize) {
        if let Some(manager) = self.calls[number].fallback.pop() {
            return self.ask(number, manager, Mode::ExistingOrNew, Preds::NONE);
        }
        let call = &mut self.calls[number];
        let probe = call.probe.as_mut().unwrap();
        let Step::Ask { manager, mode } = probe.next(self.now, &mut self.hints, &mut self.dice)
        else {
            call.error = true;
            call.ended = Some(self.now);
            return;
        };
        let candidate = call.candidates.members.iter().find(|c| c.manager == manager).unwrap();
        let preds = candidate.preds.without(&call.asked);
        for pred in preds.as_slice() {
            call.asked.push(*pred);
        }
        let preds = if self.options.handoff { preds } else { Preds::NONE };
        self.ask(number, manager, mode, preds);
    }

    fn ask(&mut self, number: usize, manager: ManagerId, mode: Mode, preds: Preds) {
        let key = self.profiled(number);
        let call = &mut self.calls[number];
        call.asks += 1;
        let (ask, frontend) = (call.asks, call.frontend);
        let routed = Routed { by: call.by, preds, home: None };
        let input = Input::Acquire(Acquire {
            ticket: Ticket(number as u64 * ASKS_MAX + ask),
            hash: key.hash(),
            key,
            mode,
            deadline: self.now + Span::secs(60),
            client_cap: u32::MAX,
            routed,
            affinity: None,
        });
        if self.managers[&manager].alive {
            let at = self.hop(Party::Frontend(frontend), Party::Manager(manager));
            self.push(at, Event::ToManager(manager, input));
        } else {
            let word = Word::Silent { ask, by: manager };
            self.push(self.now + SILENCE, Event::ToFrontend(number, word));
        }
    }

    fn at_frontend(&mut self, number: usize, word: Word) {
        let call = &mut self.calls[number];
        let probe = call.probe.as_mut().unwrap();
        match word {
            Word::Answered { ask, .. } | Word::Failed { ask, .. } | Word::Silent { ask, .. }
                if ask != call.asks => {}
            Word::Answered { by, reply: Reply::Grant(grant, load), .. } => {
                let answer = Answer::Granted { load, warm: grant.warm };
                probe.answered(by, answer, &mut self.hints);
                call.granted = Some(self.now);
                call.manager = Some(by);
                let dither = Span::micros(self.dice.below(self.options.dither.as_micros() + 1));
                let at = self.now + Span::micros(100) + dither;
                let order = Order::Run { call: number, by, grant };
                self.push(at, Event::ToWorker(grant.worker, order));
            }
            Word::Answered { by, reply: Reply::NoIdle(_), .. } => {
                probe.answered(by, Answer::NoIdle, &mut self.hints);
                self.ask_next(number);
            }
            Word::Answered { by, reply: Reply::Throttle(_), .. } | Word::Silent { by, .. } => {
                probe.answered(by, Answer::Unusable, &mut self.hints);
                self.ask_next(number);
            }
            Word::Answered { reply, .. } => panic!("call {number} was answered {reply:?}"),
            Word::Failed { by, .. } => self.failed(number, by),
            Word::Refused => {
                call.refusals += 1;
                assert!(call.refusals < 10, "call {number} is refused for ever");
                self.begin(number);
            }
            Word::Ran => {
                assert_eq!(call.ended, None, "call {number} ended twice");
                call.ended = Some(self.now);
            }
        }
    }

    /// A bad build: the predecessors are asked plainly, in their order.
    fn failed(&mut self, number: usize, by: ManagerId) {
        let call = &mut self.calls[number];
        let candidate = call.candidates.members.iter().find(|c| c.manager == by);
        let preds = candidate.map_or(Preds::NONE, |candidate| candidate.preds);
        if self.options.fallback {
            call.fallback = preds.as_slice().iter().rev().map(|pred| pred.manager).collect();
        }
        if call.fallback.is_empty() {
            call.error = true;
            call.ended = Some(self.now);
        } else {
            self.ask_next(number);
        }
    }

    // Looking.

    /// Once everything has come to rest: each environment is in its owner's book and
    /// in no other, and no lease is open.
    pub(crate) fn check_at_rest(&self) {
        for (id, env) in &self.envs {
            let knowing: Vec<ManagerId> = self.living().filter(|m| self.knows(*m, *id)).collect();
            let owner: Vec<ManagerId> = self.living().filter(|m| *m == env.owner).collect();
            assert_eq!(knowing, owner, "environment {id} is in other books than its owner's");
        }
        for manager in self.living() {
            let counts = self.managers[&manager].book.lease_counts();
            assert_eq!(counts.granted, counts.started + counts.returned, "I2 at {manager}");
        }
        for (number, call) in self.calls.iter().enumerate() {
            assert!(call.ended.is_some() && !call.error, "call {number} was not served: {call:?}");
        }
    }

    fn knows(&self, manager: ManagerId, env: EnvId) -> bool {
        self.managers[&manager].book.knows(env)
    }

    fn living(&self) -> impl Iterator<Item = ManagerId> + '_ {
        self.managers.iter().filter(|(_, manager)| manager.alive).map(|(id, _)| *id)
    }

    /// Predecessors that each manager asked.
    pub(crate) fn asked(&self) -> BTreeMap<ManagerId, BTreeSet<ManagerId>> {
        let mut asked: BTreeMap<ManagerId, BTreeSet<ManagerId>> = BTreeMap::new();
        for (by, fact) in &self.facts {
            if let Fact::HandoffAsked { to, .. } = fact {
                asked.entry(*by).or_default().insert(*to);
            }
        }
        asked
    }

    /// Every worker tells the manager what it hosts for it, as after a reconnect.
    pub(crate) fn reconnect(&mut self, manager: ManagerId) {
        for worker in (0..WORKERS).map(WorkerId) {
            let its = |(id, env): &(&EnvId, &Env)| {
                id.worker() == worker && env.owner == manager && !env.doomed
            };
            let record = |(id, env): (&EnvId, &Env)| Hosted {
                env: *id,
                key: Arc::clone(&env.key),
                epoch: env.epoch,
                busy: env.running.is_some(),
            };
            let envs = self.envs.iter().filter(its).map(record).collect();
            self.tell(worker, manager, Input::Rebuild { worker, envs });
        }
    }

    /// An environment lease whose frontend died before it ran anything.
    pub(crate) fn lose_lease(&mut self, function: usize, manager: ManagerId) {
        let key = Arc::clone(&self.keys[function]);
        let ticket = Ticket(u64::MAX - self.count);
        let ask = Acquire {
            ticket,
            hash: key.hash(),
            key,
            mode: Mode::Existing,
            deadline: self.now,
            client_cap: u32::MAX,
            routed: Routed::default(),
            affinity: None,
        };
        let mut out = Vec::new();
        let book = &mut self.managers.get_mut(&manager).unwrap().book;
        book.handle(self.now, Input::Acquire(ask), &mut out);
        self.plan_wake(manager);
    }
}
