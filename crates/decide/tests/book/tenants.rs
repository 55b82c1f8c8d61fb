//! Tenants of one function in one book (A9): environments are divided among them,
//! generic ones are bound one way, and no history makes one serve two.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use decide::{
    Book, Dice, Fact,
    book::{
        Acquire, Config, Input, Mode, Outcome, Output, Reply, StartId, Target, TenantRules, Ticket,
    },
    fact::RetireWhy,
};
use model::{
    AccountId, AtCap, Capacity, Class, EnvId, Epoch, FunctionName, Grant, Hosted, LeaseId, Now,
    PoolKey, Reason, Span, TenantId, VersionId, function::Architecture, limits, tenancy,
};

use crate::desk::{WORKER, asked, offered, plain};

fn account() -> AccountId {
    AccountId::parse("000000000001").unwrap()
}

fn function() -> FunctionName {
    FunctionName::parse("f").unwrap()
}

fn generic() -> Arc<PoolKey> {
    Arc::new(plain("f"))
}

fn of_tenant(tenant: u64) -> Arc<PoolKey> {
    let tenant = TenantId::parse(&format!("tenant {tenant}")).unwrap();
    Arc::new(generic().bound_to(tenant).unwrap())
}

/// What a worker knows of one of its environments.
#[derive(Clone, Debug)]
struct Env {
    key: Arc<PoolKey>,
    epoch: Epoch,
    running: Option<LeaseId>,
}

/// A book with one worker, whose environments count their calls and remember whom
/// they served.
struct Desk {
    book: Book,
    now: Now,
    tickets: u64,
    made: u64,
    /// Starts that the worker has not answered.
    starts: BTreeMap<StartId, Arc<PoolKey>>,
    hosted: BTreeMap<EnvId, Env>,
    asked: BTreeMap<Ticket, Arc<PoolKey>>,
    grants: BTreeMap<Ticket, Grant>,
    refusals: BTreeMap<Ticket, Reason>,
    facts: Vec<Fact>,
    /// Every tenant whose call began in an environment, ever.
    served: BTreeMap<EnvId, BTreeSet<Option<TenantId>>>,
    ended_by_worker: usize,
}

impl Desk {
    fn new() -> Desk {
        Desk::with(Config::default())
    }

    fn with(config: Config) -> Desk {
        let mut desk = Desk {
            book: Book::new(config),
            now: Now(0),
            tickets: 0,
            made: 0,
            starts: BTreeMap::new(),
            hosted: BTreeMap::new(),
            asked: BTreeMap::new(),
            grants: BTreeMap::new(),
            refusals: BTreeMap::new(),
            facts: Vec::new(),
            served: BTreeMap::new(),
            ended_by_worker: 0,
        };
        desk.tell(offered(WORKER, 1 << 30));
        desk
    }

    fn rule(&mut self, at_cap: AtCap, concurrency: u32) {
        let environments_max = tenancy::environments_max(concurrency);
        let (account, function) = (account(), function());
        let rules = TenantRules { account, function, at_cap, environments_max };
        self.tell(Input::TenantRules(rules));
    }

    fn tell(&mut self, input: Input) {
        let mut out = Vec::new();
        self.book.handle(self.now, input, &mut out);
        for output in out {
            self.perform(output);
        }
        let counted = self.book.tenant_environments(account(), &function());
        let bound = self.book.pools().filter(|(key, _)| key.tenant.is_some());
        let sum: u32 = bound.map(|(_, load)| load.idle + load.busy + load.starting).sum();
        assert_eq!(counted, sum, "the count of a function is the sum of its pools");
    }

    fn perform(&mut self, output: Output) {
        match output {
            Output::Reply { ticket, reply: Reply::Grant(grant, _) } => {
                self.grants.insert(ticket, grant);
            }
            Output::Reply { ticket, reply: Reply::Refused { reason, .. } } => {
                self.refusals.insert(ticket, reason);
            }
            Output::Start { start, key, .. } => {
                self.starts.insert(start, key);
            }
            Output::Retire { env, epoch, .. } => {
                let free = |hosted: &Env| epoch >= hosted.epoch && hosted.running.is_none();
                let leaves = self.hosted.get(&env).is_some_and(free);
                self.leave(env, leaves);
            }
            Output::Fact(fact) => self.facts.push(fact),
            Output::Reply { .. }
            | Output::Report(_)
            | Output::Tell { .. }
            | Output::AskTokens { .. }
            | Output::ReturnTokens { .. }
            | Output::Transfer { .. } => {}
        }
    }

    fn leave(&mut self, env: EnvId, leaves: bool) {
        if leaves {
            self.hosted.remove(&env);
            self.tell(Input::Gone { env });
        }
    }

    fn ask(&mut self, key: &Arc<PoolKey>, mode: Mode) -> Ticket {
        self.tickets += 1;
        let ticket = Ticket(self.tickets);
        self.asked.insert(ticket, Arc::clone(key));
        let deadline = self.now + Span::secs(900);
        self.tell(Input::Acquire(Acquire { mode, deadline, ..asked(ticket, key) }));
        ticket
    }

    fn finish_start(&mut self, start: StartId) -> Option<EnvId> {
        let key = self.starts.remove(&start)?;
        self.made += 1;
        let env = EnvId::new(WORKER, self.made);
        self.hosted.insert(env, Env { key, epoch: Epoch(1), running: None });
        self.tell(Input::Started { start, env, epoch: Epoch(1) });
        Some(env)
    }

    fn finish_starts(&mut self) {
        while let Some(start) = self.starts.keys().next().copied() {
            self.finish_start(start);
        }
    }

    /// The call's run begins where the worker accepts it, which learns whose the
    /// environment is.
    fn begin(&mut self, ticket: Ticket) -> bool {
        let Some(grant) = self.grants.get(&ticket).copied() else { return false };
        let key = Arc::clone(&self.asked[&ticket]);
        let Some(hosted) = self.hosted.get_mut(&grant.env) else { return false };
        if grant.epoch <= hosted.epoch || hosted.running.is_some() {
            return false;
        }
        if hosted.key.tenant.is_some() && hosted.key != key {
            // The worker knows better than a book that has forgotten: it ends what
            // two tenants are told to have.
            self.hosted.remove(&grant.env);
            self.ended_by_worker += 1;
            self.tell(Input::Gone { env: grant.env });
            return false;
        }
        let whose = self.served.entry(grant.env).or_default();
        whose.insert(key.tenant.clone());
        assert_eq!(whose.len(), 1, "{} serves {whose:?} (I3)", grant.env);
        (hosted.key, hosted.epoch, hosted.running) = (key, grant.epoch, Some(grant.lease));
        self.tell(Input::RunStarted { lease: grant.lease });
        true
    }

    fn end(&mut self, env: EnvId) {
        let Some(hosted) = self.hosted.get_mut(&env) else { return };
        hosted.running = None;
        let epoch = hosted.epoch;
        self.tell(Input::Idle { env, epoch });
    }

    /// A call from start to end, cold or warm.
    fn call(&mut self, tenant: u64) -> Result<Grant, Reason> {
        let ticket = self.ask(&of_tenant(tenant), Mode::ExistingOrNew);
        self.finish_starts();
        if let Some(reason) = self.refusals.get(&ticket) {
            return Err(*reason);
        }
        assert!(self.begin(ticket), "a granted call runs");
        let grant = self.grants[&ticket];
        self.end(grant.env);
        Ok(grant)
    }

    /// Generic environments, ready: starts whose callers went away.
    fn generic_ready<const N: usize>(&mut self) -> [EnvId; N] {
        let tickets = [(); N].map(|()| self.ask(&generic(), Mode::ExistingOrNew));
        for ticket in tickets {
            self.tell(Input::Cancel { ticket });
        }
        tickets.map(|_| {
            let start = *self.starts.keys().next().unwrap();
            self.finish_start(start).unwrap()
        })
    }

    /// What the installation keeps ready for whoever comes.
    fn stock(&mut self, key: &Arc<PoolKey>, share: u32) {
        let (hash, key, epoch) = (key.hash(), Arc::clone(key), Epoch(1));
        self.tell(Input::SetTarget(Target { key, hash, share, epoch }));
        self.finish_starts();
    }

    /// Time passes, and what is due is done when it is.
    fn pass(&mut self, span: Span) {
        let until = self.now + span;
        while let Some((at, _)) = self.book.deadline()
            && at <= until
        {
            self.now = at.max(self.now);
            self.tell(Input::Deadline);
        }
        self.now = until;
    }

    fn retired(&self, why: RetireWhy) -> Vec<EnvId> {
        let retired = self.facts.iter().filter_map(|fact| {
            let Fact::Retired { env, why: for_what, .. } = fact else { return None };
            (*for_what == why).then_some(*env)
        });
        retired.collect()
    }
}

fn shuffled(calls: &mut [u64], dice: &mut Dice) {
    for at in (1..calls.len()).rev() {
        calls.swap(at, dice.below(at as u64 + 1) as usize);
    }
}

#[test]
fn a9_2_twenty_tenants_with_fifty_calls_each_share_nothing() {
    let (mut desk, mut dice) = (Desk::new(), Dice::new(92));
    let mut calls: Vec<u64> = (0..1_000).map(|call| call % 20).collect();
    shuffled(&mut calls, &mut dice);
    let mut counters: BTreeMap<EnvId, u64> = BTreeMap::new();
    let mut owners: BTreeMap<EnvId, u64> = BTreeMap::new();
    for tenant in calls {
        let grant = desk.call(tenant).unwrap();
        assert_eq!(*owners.entry(grant.env).or_insert(tenant), tenant, "seen by two tenants");
        *counters.entry(grant.env).or_default() += 1;
    }
    assert_eq!(owners.len(), 20, "one environment for each tenant");
    assert!(counters.values().all(|calls| *calls == 50), "warm within a tenant: {counters:?}");
}

#[test]
fn a9_2_tenants_in_parallel_share_nothing_either() {
    let (mut desk, mut dice) = (Desk::new(), Dice::new(93));
    let mut calls: Vec<u64> = (0..1_000).map(|call| call % 20).collect();
    shuffled(&mut calls, &mut dice);
    let mut open: Vec<Ticket> = Vec::new();
    for tenant in calls {
        open.push(desk.ask(&of_tenant(tenant), Mode::ExistingOrNew));
        desk.finish_starts();
        if open.len() > 30 {
            let ticket = open.swap_remove(dice.below(open.len() as u64) as usize);
            if desk.begin(ticket) {
                desk.end(desk.grants[&ticket].env);
            }
        }
    }
    assert!(desk.served.values().all(|whose| whose.len() == 1));
    assert!(desk.served.len() < 200, "reused within tenants: {}", desk.served.len());
}

#[test]
fn a9_5_in_aws_mode_the_twenty_sixth_tenant_is_refused() {
    let mut desk = Desk::new();
    desk.rule(AtCap::Refuse, 10);
    for tenant in 0..25 {
        desk.call(tenant).unwrap();
    }
    assert_eq!(desk.call(25), Err(Reason::TenantEnvironmentLimitExceeded));
    assert_eq!(desk.hosted.len(), 25, "the idle ones of others stay");
    assert!(desk.call(7).is_ok_and(|grant| grant.warm), "who has one is served");
    // A second environment of a tenant counts like a new tenant's.
    let first = desk.ask(&of_tenant(3), Mode::ExistingOrNew);
    assert!(desk.begin(first));
    let second = desk.ask(&of_tenant(3), Mode::ExistingOrNew);
    assert_eq!(desk.refusals[&second], Reason::TenantEnvironmentLimitExceeded);
}

#[test]
fn a9_5_in_eviction_mode_the_longest_idle_of_another_tenant_ends() {
    let mut desk = Desk::new();
    desk.rule(AtCap::Evict, 10);
    let mut envs = Vec::new();
    for tenant in 0..25 {
        desk.pass(Span::secs(1));
        envs.push(desk.call(tenant).unwrap().env);
    }
    // Tenant 0's has just been used, so that tenant 1's is idle longest.
    desk.pass(Span::secs(1));
    desk.call(0).unwrap();
    desk.pass(Span::secs(1));
    let grant = desk.call(25).unwrap();
    assert!(!grant.warm && !envs.contains(&grant.env), "a new environment");
    assert_eq!(desk.retired(RetireWhy::TenantCap), [envs[1]]);
    assert_eq!((desk.hosted.len(), desk.hosted.contains_key(&envs[1])), (25, false));
}

#[test]
fn a9_5_a_tenant_does_not_evict_itself_and_busy_ones_stay() {
    let mut desk = Desk::new();
    desk.rule(AtCap::Evict, 1);
    // Two environments are allowed: one busy of tenant 1, one idle of tenant 2.
    let busy = desk.ask(&of_tenant(1), Mode::ExistingOrNew);
    desk.finish_starts();
    assert!(desk.begin(busy));
    let idle = desk.call(2).unwrap();
    let more = desk.ask(&of_tenant(2), Mode::ExistingOrNew);
    assert_eq!(desk.grants[&more].env, idle.env);
    assert!(desk.begin(more));
    let none = desk.ask(&of_tenant(2), Mode::ExistingOrNew);
    assert_eq!(desk.refusals[&none], Reason::TenantEnvironmentLimitExceeded);
    assert!(desk.retired(RetireWhy::TenantCap).is_empty());
}

#[test]
fn a9_6_a_stock_of_five_serves_new_tenants_without_init_and_refills() {
    let mut desk = Desk::new();
    desk.stock(&generic(), 5);
    assert_eq!(desk.book.load(generic().hash()).idle, 5);
    let mut bound = BTreeSet::new();
    for tenant in 0..12 {
        let ticket = desk.ask(&of_tenant(tenant), Mode::ExistingOrNew);
        let grant = desk.grants[&ticket];
        assert!(grant.warm, "tenant {tenant} waits for no init");
        assert!(bound.insert(grant.env), "and gets one that nobody had");
        assert!(desk.begin(ticket));
        desk.end(grant.env);
        desk.finish_starts();
        assert_eq!(desk.book.load(generic().hash()).idle, 5, "the stock is five again");
    }
    for tenant in 0..12 {
        assert!(bound.contains(&desk.call(tenant).unwrap().env), "bound from then on");
    }
    // Neither time nor a call takes from the stock what it does not give back.
    desk.pass(Span::secs(3_600));
    assert_eq!(desk.book.load(generic().hash()).idle, 5);
    assert_eq!(desk.hosted.len(), 5, "those of tenants have gone idle for too long");
}

#[test]
fn a9_6_without_a_stock_the_first_call_of_a_tenant_waits_for_an_init() {
    let mut desk = Desk::new();
    assert!(!desk.call(1).unwrap().warm);
}

#[test]
fn provisioned_generic_environments_are_bound_on_first_use_and_stay_provisioned() {
    let mut desk = Desk::new();
    let provisioned = Arc::new(PoolKey { class: Class::Provisioned, ..(*generic()).clone() });
    desk.stock(&provisioned, 2);
    let tenant = TenantId::parse("tenant 1").unwrap();
    let key = Arc::new(provisioned.bound_to(tenant).unwrap());
    let ticket = desk.ask(&key, Mode::Existing);
    let grant = desk.grants[&ticket];
    assert!(grant.warm && desk.begin(ticket));
    desk.end(grant.env);
    desk.finish_starts();
    assert_eq!(desk.book.load(provisioned.hash()).idle, 2);
    assert_eq!(desk.book.load(key.hash()).idle, 1);
    let on_demand = desk.ask(&of_tenant(1), Mode::Existing);
    assert_eq!(desk.grants.get(&on_demand), None, "it is of the provisioned class");
}

#[test]
fn a9_6_a_generic_environment_serves_a_new_tenant_at_once_and_is_bound_for_good() {
    let mut desk = Desk::new();
    let [stock] = desk.generic_ready();
    let grant = desk.call(1).unwrap();
    assert!(grant.warm && grant.env == stock, "no init is waited for");
    assert!(desk.facts.iter().any(|fact| matches!(fact, Fact::Bound { env, .. } if *env == stock)));
    assert_eq!(desk.book.load(generic().hash()), Default::default());
    let other = desk.ask(&of_tenant(2), Mode::Existing);
    assert_eq!(desk.grants.get(&other), None, "it is generic no more");
    assert_eq!(desk.call(1).unwrap().env, stock, "the tenant keeps it");
}

#[test]
fn a_bound_environment_that_ran_nothing_is_bound_all_the_same() {
    for outcome in [Outcome::NotStarted, Outcome::Reusable] {
        let mut desk = Desk::new();
        let [stock] = desk.generic_ready();
        let ticket = desk.ask(&of_tenant(1), Mode::ExistingOrNew);
        let lease = desk.grants[&ticket].lease;
        desk.tell(Input::Released { lease, outcome });
        let other = desk.ask(&of_tenant(2), Mode::Existing);
        assert_eq!(desk.grants.get(&other), None, "{outcome:?}");
        // The worker may not have heard of the tenant: the book's word stands.
        let record = Hosted { env: stock, key: generic(), epoch: Epoch(1), busy: false };
        desk.tell(Input::Rebuild { worker: WORKER, envs: vec![record] });
        let other = desk.ask(&of_tenant(2), Mode::Existing);
        assert_eq!(desk.grants.get(&other), None, "{outcome:?}");
        let own = desk.ask(&of_tenant(1), Mode::Existing);
        assert_eq!(desk.grants[&own].env, stock);
    }
}

#[test]
fn the_worker_is_believed_about_whose_an_environment_is() {
    let mut desk = Desk::new();
    let [stock] = desk.generic_ready();
    let record = |key| Hosted { env: stock, key, epoch: Epoch(3), busy: false };
    desk.tell(Input::Rebuild { worker: WORKER, envs: vec![record(of_tenant(1))] });
    let other = desk.ask(&of_tenant(2), Mode::Existing);
    assert_eq!(desk.grants.get(&other), None);
    // A bound one that is said to be another's is nobody's.
    desk.tell(Input::Rebuild { worker: WORKER, envs: vec![record(of_tenant(2))] });
    assert_eq!(desk.retired(RetireWhy::Drained), [stock]);
}

#[test]
fn a_generic_environment_that_served_a_call_is_never_bound() {
    let mut desk = Desk::new();
    let ticket = desk.ask(&generic(), Mode::ExistingOrNew);
    desk.finish_starts();
    assert!(desk.begin(ticket));
    desk.end(desk.grants[&ticket].env);
    let tenant = desk.ask(&of_tenant(1), Mode::Existing);
    assert_eq!(desk.grants.get(&tenant), None);
}

#[test]
fn a_tenant_that_waits_for_its_start_takes_a_generic_one_that_is_ready_first() {
    let mut desk = Desk::new();
    let spare = desk.ask(&generic(), Mode::ExistingOrNew);
    let generic_start = *desk.starts.keys().next_back().unwrap();
    desk.tell(Input::Cancel { ticket: spare });
    let ticket = desk.ask(&of_tenant(1), Mode::ExistingOrNew);
    assert_eq!(desk.grants.get(&ticket), None, "its own start is on the way");
    let env = desk.finish_start(generic_start).unwrap();
    assert_eq!(desk.grants[&ticket].env, env);
}

#[test]
fn environments_of_tenants_stay_idle_for_a_shorter_time() {
    let mut desk = Desk::new();
    let [stock, other] = desk.generic_ready();
    let bound = desk.call(1).unwrap().env;
    let generic = if bound == stock { other } else { stock };
    desk.pass(limits::TENANT_IDLE_TTL);
    assert_eq!(desk.retired(RetireWhy::IdleTtl), [bound]);
    desk.pass(limits::IDLE_TTL);
    assert_eq!(desk.retired(RetireWhy::IdleTtl), [bound, generic]);
}

#[test]
fn a_changed_function_keeps_what_tenants_have_of_the_new_code() {
    let mut desk = Desk::new();
    let kept = desk.call(1).unwrap().env;
    let whose = |keep| decide::book::Whose {
        account: account(),
        function: function(),
        version: Some(VersionId::Latest),
        keep: Some(keep),
    };
    desk.tell(Input::Retire(whose(generic().hash())));
    assert_eq!(desk.call(1).unwrap().env, kept);
    let newer = PoolKey { revision: 2, ..(*generic()).clone() };
    desk.tell(Input::Retire(whose(newer.hash())));
    assert_eq!(desk.retired(RetireWhy::Drained), [kept]);
}

/// Any history over five tenants, the generic key, lost messages, restarts of the
/// book's view, crashes and expiries; `Desk` asserts after each step.
fn random_history(seed: u64, forgets: bool) -> Desk {
    let (mut desk, mut dice) = (Desk::new(), Dice::new(seed));
    let mut open: Vec<Ticket> = Vec::new();
    for _ in 0..400 {
        let pick = |dice: &mut Dice, n: usize| dice.below(n as u64) as usize;
        match dice.below(16) {
            0..=4 => {
                let mode = if dice.chance(1, 4) { Mode::Existing } else { Mode::ExistingOrNew };
                let tenant = dice.below(5);
                open.push(desk.ask(&of_tenant(tenant), mode));
            }
            5 => {
                let ticket = desk.ask(&generic(), Mode::ExistingOrNew);
                match desk.grants.get(&ticket).map(|grant| grant.lease) {
                    Some(lease) => {
                        desk.tell(Input::Released { lease, outcome: Outcome::NotStarted });
                    }
                    None => desk.tell(Input::Cancel { ticket }),
                }
            }
            6 | 7 => {
                let starts: Vec<_> = desk.starts.keys().copied().collect();
                if !starts.is_empty() {
                    desk.finish_start(starts[pick(&mut dice, starts.len())]);
                }
            }
            8 | 9 if !open.is_empty() => {
                desk.begin(open[pick(&mut dice, open.len())]);
            }
            10 | 11 => {
                let running = desk.hosted.iter().filter(|(_, hosted)| hosted.running.is_some());
                let running: Vec<EnvId> = running.map(|(env, _)| *env).collect();
                if !running.is_empty() {
                    desk.end(running[pick(&mut dice, running.len())]);
                }
            }
            12 if !open.is_empty() => {
                let ticket = open.swap_remove(pick(&mut dice, open.len()));
                match desk.grants.get(&ticket) {
                    Some(grant) => {
                        let lease = grant.lease;
                        let outcomes = [Outcome::NotStarted, Outcome::Broken, Outcome::Reusable];
                        let outcome = outcomes[pick(&mut dice, 3)];
                        desk.tell(Input::Released { lease, outcome });
                    }
                    None => desk.tell(Input::Cancel { ticket }),
                }
            }
            13 => {
                let envs: Vec<EnvId> = desk.hosted.keys().copied().collect();
                if !envs.is_empty() && dice.chance(1, 3) {
                    let env = envs[pick(&mut dice, envs.len())];
                    desk.hosted.remove(&env);
                    desk.tell(Input::Gone { env });
                }
            }
            14 => {
                let records = desk.hosted.iter().map(|(env, hosted)| Hosted {
                    env: *env,
                    key: Arc::clone(&hosted.key),
                    epoch: hosted.epoch,
                    busy: hosted.running.is_some(),
                });
                let envs = records.collect();
                if forgets && dice.chance(1, 4) {
                    // The book forgets everything and asks the worker.
                    desk.tell(Input::WorkerLost { worker: WORKER });
                    desk.starts.clear();
                    let architecture = Architecture::X86_64;
                    let capacity = Capacity { memory_mb: 1 << 30, slots: 100_000, architecture };
                    desk.tell(Input::WorkerOffers { worker: WORKER, capacity });
                }
                desk.tell(Input::Rebuild { worker: WORKER, envs });
            }
            _ => desk.pass(Span::millis(dice.below(3_000))),
        }
        if dice.chance(1, 50) {
            let (at_cap, max) =
                ([AtCap::Evict, AtCap::Refuse][pick(&mut dice, 2)], 1 + dice.below(8));
            desk.rule(at_cap, max as u32);
        }
    }
    desk
}

#[test]
fn i3_no_history_makes_an_environment_serve_two_tenants() {
    let (mut bound, mut refused, mut forgotten) = (0, 0, 0);
    for seed in 0..300 {
        // Where the book forgets nothing, the worker never has to know better.
        let desk = random_history(seed, false);
        assert_eq!(desk.ended_by_worker, 0, "seed {seed}");
        let is_bound = |fact: &&Fact| matches!(fact, Fact::Bound { .. });
        bound += desk.facts.iter().filter(is_bound).count();
        refused += desk.refusals.len();
        forgotten += random_history(seed, true).ended_by_worker;
    }
    assert!(bound > 300 && refused > 100 && forgotten > 0, "{bound} {refused} {forgotten}");
}
