//! The book from outside: inputs in, outputs out, at instants that the test
//! chooses. Random transitions against a reference model run in `sim`.

use std::sync::Arc;

use decide::{
    Book, Fact,
    book::{
        Acquire, Config, Input, LeaseCounts, Mode, Outcome, Output, Reply, Routed, StartId, Ticket,
        Whose, Why,
    },
    fact::RetireWhy,
};
use model::{
    AccountId, Capacity, Class, CpuClass, Digest, EnvId, Epoch, FunctionName, Grant, Hosted,
    LeaseId, Load, Now, PoolKey, Reason, Span, Trouble, VersionId, WorkerId,
    function::Architecture, limits,
};

const WORKER: WorkerId = WorkerId(1);
const FOREVER: Now = Now(u64::MAX);

fn key(function: &str, memory_mb: u32) -> Arc<PoolKey> {
    Arc::new(PoolKey {
        account: AccountId::parse("000000000001").unwrap(),
        function: FunctionName::parse(function).unwrap(),
        version: VersionId::Latest,
        code: Digest([0; 32]),
        revision: 1,
        runtime_version: 1,
        class: Class::OnDemand,
        tenant: None,
        policy: 0,
        cpu_class: CpuClass { architecture: Architecture::X86_64, template: 0, emulated: false },
        memory_mb,
        profile: model::Profile::default(),
    })
}

/// A book, a clock, and what came out since the last look.
struct Desk {
    book: Book,
    now: Now,
    out: Vec<Output>,
    tickets: u64,
    envs: u64,
}

impl Desk {
    fn new(memory_mb: u64) -> Desk {
        Desk::with(Config::default(), memory_mb)
    }

    fn with(config: Config, memory_mb: u64) -> Desk {
        let book = Book::new(config);
        let mut desk = Desk { book, now: Now(0), out: Vec::new(), tickets: 0, envs: 0 };
        desk.offer(WORKER, memory_mb);
        desk
    }

    fn offer(&mut self, worker: WorkerId, memory_mb: u64) {
        let architecture = Architecture::X86_64;
        let capacity = Capacity { memory_mb, slots: 100_000, architecture };
        self.tell(Input::WorkerOffers { worker, capacity });
    }

    fn tell(&mut self, input: Input) {
        self.book.handle(self.now, input, &mut self.out);
    }

    fn at(&mut self, span: Span) -> &mut Desk {
        self.now = Now(0) + span;
        self.tell(Input::Deadline);
        self
    }

    fn ask(&mut self, key: &Arc<PoolKey>, mode: Mode, deadline: Now, client_cap: u32) -> Ticket {
        self.tickets += 1;
        let ticket = Ticket(self.tickets);
        let (hash, key) = (key.hash(), Arc::clone(key));
        self.tell(Input::Acquire(Acquire {
            ticket,
            hash,
            key,
            mode,
            deadline,
            client_cap,
            routed: Routed::default(),
            affinity: None,
        }));
        ticket
    }

    fn acquire(&mut self, key: &Arc<PoolKey>) -> Ticket {
        self.ask(key, Mode::ExistingOrNew, FOREVER, u32::MAX)
    }

    fn take_out(&mut self) -> Vec<Output> {
        std::mem::take(&mut self.out)
    }

    fn reply(&self, ticket: Ticket) -> Option<Reply> {
        self.out.iter().find_map(|output| match output {
            Output::Reply { ticket: to, reply } => (*to == ticket).then_some(*reply),
            Output::Start { .. }
            | Output::Retire { .. }
            | Output::Report(_)
            | Output::Tell { .. }
            | Output::Transfer { .. }
            | Output::Fact(_) => None,
        })
    }

    fn granted(&self, ticket: Ticket) -> Grant {
        match self.reply(ticket) {
            Some(Reply::Grant(grant, _)) => grant,
            other => panic!("{ticket:?} was answered {other:?}"),
        }
    }

    fn refused(&self, ticket: Ticket) -> Reason {
        match self.reply(ticket) {
            Some(Reply::Refused { reason, .. }) => reason,
            other => panic!("{ticket:?} was answered {other:?}"),
        }
    }

    /// Takes the starts that were sent, and answers each with a new environment.
    fn starts(&mut self) -> Vec<(StartId, WorkerId)> {
        let sent = |output: &Output| match output {
            Output::Start { start, worker, .. } => Some((*start, *worker)),
            Output::Reply { .. }
            | Output::Retire { .. }
            | Output::Report(_)
            | Output::Tell { .. }
            | Output::Transfer { .. }
            | Output::Fact(_) => None,
        };
        let found: Vec<_> = self.out.iter().filter_map(sent).collect();
        self.out.retain(|output| !matches!(output, Output::Start { .. }));
        found
    }

    fn retired(&self) -> Vec<EnvId> {
        let retire = |output: &Output| match output {
            Output::Retire { env, .. } => Some(*env),
            Output::Reply { .. }
            | Output::Start { .. }
            | Output::Report(_)
            | Output::Tell { .. }
            | Output::Transfer { .. }
            | Output::Fact(_) => None,
        };
        self.out.iter().filter_map(retire).collect()
    }

    fn finish_start(&mut self, start: StartId, worker: WorkerId) -> EnvId {
        self.envs += 1;
        let env = EnvId::new(worker, self.envs);
        self.tell(Input::Started { start, env, epoch: Epoch(1) });
        env
    }

    fn finish_starts(&mut self) {
        for (start, worker) in self.starts() {
            self.finish_start(start, worker);
        }
    }

    /// A call from start to end, cold or warm.
    fn cold_or_warm(&mut self, key: &Arc<PoolKey>) -> Grant {
        let ticket = self.acquire(key);
        self.finish_starts();
        self.granted(ticket)
    }

    fn run(&mut self, grant: Grant) {
        self.tell(Input::RunStarted { lease: grant.lease });
    }

    fn release(&mut self, lease: LeaseId, outcome: Outcome) {
        self.tell(Input::Released { lease, outcome });
    }

    /// `n` environments of the key, idle, made in one burst.
    fn stock(&mut self, key: &Arc<PoolKey>, n: usize) -> Vec<Grant> {
        let tickets: Vec<_> = (0..n).map(|_| self.acquire(key)).collect();
        self.finish_starts();
        let grants: Vec<_> = tickets.iter().map(|ticket| self.granted(*ticket)).collect();
        for grant in &grants {
            self.run(*grant);
            self.release(grant.lease, Outcome::Reusable);
        }
        self.take_out();
        grants
    }

    fn load(&self, key: &PoolKey) -> Load {
        self.book.load(key.hash())
    }
}

fn load(idle: u32, busy: u32, starting: u32, waiting: u32) -> Load {
    Load { idle, busy, starting, waiting }
}

#[test]
fn a_first_call_is_cold_and_the_next_is_warm_in_the_same_environment() {
    let (mut desk, f) = (Desk::new(1_024), key("f", 128));
    let first = desk.cold_or_warm(&f);
    assert!(!first.warm);
    desk.run(first);
    desk.release(first.lease, Outcome::Reusable);
    let second = desk.cold_or_warm(&f);
    assert!(second.warm);
    assert_eq!(second.env, first.env);
    assert!(second.epoch > first.epoch, "each grant has a higher epoch (I6)");
    assert_ne!(second.lease, first.lease);
}

#[test]
fn existing_takes_what_is_idle_and_starts_nothing() {
    let (mut desk, f) = (Desk::new(1_024), key("f", 128));
    let ticket = desk.ask(&f, Mode::Existing, FOREVER, u32::MAX);
    assert_eq!(desk.reply(ticket), Some(Reply::NoIdle(Load::default())));
    assert!(desk.starts().is_empty());
    desk.stock(&f, 1);
    let ticket = desk.ask(&f, Mode::Existing, FOREVER, u32::MAX);
    assert!(desk.granted(ticket).warm);
}

#[test]
fn keys_are_never_mixed() {
    let mut desk = Desk::new(10_240);
    let base = key("f", 128);
    desk.stock(&base, 3);
    let others = [
        key("g", 128),
        key("f", 256),
        Arc::new(PoolKey { revision: 2, ..(*base).clone() }),
        Arc::new(PoolKey { policy: 9, ..(*base).clone() }),
    ];
    for other in &others {
        let ticket = desk.ask(other, Mode::Existing, FOREVER, u32::MAX);
        assert!(matches!(desk.reply(ticket), Some(Reply::NoIdle(_))), "{other:?}");
    }
}

#[test]
fn a_waiting_call_takes_what_becomes_idle_first_and_the_orphan_becomes_stock() {
    let (mut desk, f) = (Desk::new(1_024), key("f", 128));
    let first = desk.cold_or_warm(&f);
    desk.run(first);
    let second = desk.acquire(&f);
    let orphan = desk.starts();
    assert_eq!(orphan.len(), 1);
    desk.release(first.lease, Outcome::Reusable);
    let grant = desk.granted(second);
    assert!(grant.warm, "it waited for no init of its environment");
    assert_eq!(grant.env, first.env);
    // The next caller rides on the orphan instead of starting another.
    let third = desk.acquire(&f);
    assert!(desk.starts().is_empty());
    let made = desk.finish_start(orphan[0].0, orphan[0].1);
    assert_eq!(desk.granted(third).env, made);
    assert_eq!(desk.load(&f), load(0, 2, 0, 0));
}

#[test]
fn waiting_calls_are_served_in_the_order_they_came() {
    let (mut desk, f) = (Desk::new(1_024), key("f", 128));
    let tickets: Vec<_> = (0..3).map(|_| desk.acquire(&f)).collect();
    let starts = desk.starts();
    for (at, (start, worker)) in starts.into_iter().rev().enumerate() {
        let env = desk.finish_start(start, worker);
        assert_eq!(desk.granted(tickets[at]).env, env);
    }
}

#[test]
fn a5_5_after_a_peak_the_tail_goes_cold() {
    let (mut desk, f) = (Desk::new(100_000), key("f", 128));
    desk.stock(&f, 100);
    // Ten at a time, once a second, for longer than the idle TTL.
    for second in 1..=700 {
        desk.at(Span::secs(second));
        let grants: Vec<_> = (0..10).map(|_| desk.cold_or_warm(&f)).collect();
        assert!(grants.iter().all(|grant| grant.warm));
        for grant in grants {
            desk.release(grant.lease, Outcome::Reusable);
        }
        for env in desk.retired() {
            desk.tell(Input::Gone { env });
        }
        desk.take_out();
    }
    assert_eq!(desk.book.environments(), 10);
    assert_eq!(desk.book.place().used(WORKER).unwrap().memory_mb, 10 * 128);
}

#[test]
fn a5_6_leases_of_a_dead_frontend_return_in_time() {
    let (mut desk, f) = (Desk::new(1_000_000), key("f", 128));
    desk.stock(&f, 1_000);
    let tickets: Vec<_> = (0..1_000).map(|_| desk.acquire(&f)).collect();
    let leases: Vec<_> = tickets.iter().map(|ticket| desk.granted(*ticket).lease).collect();
    assert_eq!(desk.load(&f), load(0, 1_000, 0, 0));
    assert_eq!(desk.book.deadline(), Some((Now(0) + limits::ENV_LEASE_TTL, Why::LeaseExpiry)));
    desk.at(limits::ENV_LEASE_TTL);
    assert_eq!(desk.load(&f), load(1_000, 0, 0, 0));
    let counts = LeaseCounts { granted: 2_000, started: 1_000, returned: 1_000 };
    assert_eq!(desk.book.lease_counts(), counts);
    // The frontend that was only slow ends nothing of anybody's.
    desk.release(leases[0], Outcome::Reusable);
    assert_eq!(desk.book.lease_counts(), counts);
}

#[test]
fn a_run_told_after_the_expiry_is_believed() {
    let (mut desk, f) = (Desk::new(1_024), key("f", 128));
    let late = desk.cold_or_warm(&f);
    desk.at(limits::ENV_LEASE_TTL);
    assert_eq!(desk.load(&f).idle, 1);
    desk.run(late);
    assert_eq!(desk.load(&f), load(0, 1, 0, 0));
    assert_eq!(
        desk.book.lease_counts(),
        LeaseCounts { granted: 1, started: 1, returned: 0 },
        "it counts as started, not as returned"
    );
    desk.tell(Input::Idle { env: late.env, epoch: late.epoch });
    assert_eq!(desk.load(&f).idle, 1);
}

#[test]
fn the_end_of_a_lease_is_told_twice_and_counts_once() {
    let (mut desk, f) = (Desk::new(1_024), key("f", 128));
    let first = desk.cold_or_warm(&f);
    desk.run(first);
    desk.release(first.lease, Outcome::Reusable);
    let second = desk.cold_or_warm(&f);
    // The worker's word about the first run comes late: the second goes on.
    desk.tell(Input::Idle { env: first.env, epoch: first.epoch });
    desk.tell(Input::RunStarted { lease: first.lease });
    assert_eq!(desk.load(&f), load(0, 1, 0, 0));
    desk.tell(Input::Idle { env: second.env, epoch: second.epoch });
    desk.release(second.lease, Outcome::Reusable);
    assert_eq!(desk.load(&f), load(1, 0, 0, 0));
    assert_eq!(desk.book.lease_counts(), LeaseCounts { granted: 2, started: 2, returned: 0 });
}

#[test]
fn a_broken_environment_serves_nobody_again() {
    let (mut desk, f) = (Desk::new(128), key("f", 128));
    let first = desk.cold_or_warm(&f);
    desk.run(first);
    desk.release(first.lease, Outcome::Broken);
    assert_eq!(desk.retired(), [first.env]);
    // Its room is free when the worker says so, and not before.
    let second = desk.acquire(&f);
    assert!(desk.starts().is_empty());
    desk.tell(Input::Gone { env: first.env });
    desk.finish_starts();
    assert_ne!(desk.granted(second).env, first.env);
}

#[test]
fn an_idle_environment_leaves_after_its_ttl() {
    let (mut desk, f) = (Desk::new(1_024), key("f", 128));
    let made = desk.stock(&f, 1)[0];
    assert_eq!(desk.book.deadline(), Some((Now(0) + limits::IDLE_TTL, Why::IdleTtl)));
    desk.at(limits::IDLE_TTL);
    let out = desk.take_out();
    let why = RetireWhy::IdleTtl;
    let fact = Fact::Retired { env: made.env, key: f.hash(), why, idle: limits::IDLE_TTL };
    assert!(out.iter().any(|output| matches!(output, Output::Fact(told) if *told == fact)));
    let fenced = |output: &Output| matches!(output, Output::Retire { env, epoch, .. } if *env == made.env && *epoch > made.epoch);
    assert!(out.iter().any(fenced), "a retirement outranks every lease of before");
    desk.tell(Input::Gone { env: made.env });
    assert_eq!((desk.book.environments(), desk.book.deadline()), (0, None));
}

#[test]
fn a_call_that_waits_too_long_is_refused_for_capacity() {
    let (mut desk, f) = (Desk::new(1_024), key("f", 128));
    let ticket = desk.ask(&f, Mode::ExistingOrNew, Now(5_000), u32::MAX);
    assert_eq!(desk.book.deadline(), Some((Now(5_000), Why::CallerDeadline)));
    desk.at(Span::micros(5_000));
    assert_eq!(desk.refused(ticket), Reason::NoCapacity);
    desk.finish_starts();
    assert_eq!(desk.load(&f), load(1, 0, 0, 0), "what was started for it is stock");
}

#[test]
fn a_caller_that_went_away_gets_nothing() {
    let (mut desk, f) = (Desk::new(1_024), key("f", 128));
    let ticket = desk.acquire(&f);
    desk.tell(Input::Cancel { ticket });
    desk.finish_starts();
    assert_eq!(desk.reply(ticket), None);
    assert_eq!(desk.load(&f), load(1, 0, 0, 0));
    assert_eq!(desk.book.calls_waiting(), 0);
}

#[test]
fn no_room_is_a_reason_of_capacity_and_costs_no_token() {
    let config = Config { create_tokens: (1, 0), ..Config::default() };
    let (mut desk, f) = (Desk::with(config, 100), key("f", 128));
    let ticket = desk.acquire(&f);
    assert_eq!(desk.refused(ticket), Reason::NoCapacity);
    desk.offer(WORKER, 128);
    assert!(!desk.cold_or_warm(&f).warm, "the token came back");
}

#[test]
fn the_create_gate_limits_new_environments_and_not_idle_ones() {
    let (mut desk, f) = (Desk::new(1_000_000), key("f", 128));
    desk.stock(&f, 1_000);
    desk.now = Now(0) + Span::secs(10);
    // a6_5: 1,000 idle and 1,000 tokens serve 2,000 calls.
    let tickets: Vec<_> = (0..2_001).map(|_| desk.acquire(&f)).collect();
    assert_eq!(desk.starts().len(), 1_000);
    let over = desk.reply(tickets[2_000]);
    let reason = Reason::FunctionInvocationRateLimitExceeded;
    let retry_after = Span::millis(10);
    assert_eq!(over, Some(Reply::Refused { reason, retry_after }));
}

#[test]
fn a6_5_a_thousand_idle_and_a_thousand_new() {
    let (mut desk, f) = (Desk::new(1_000_000), key("f", 128));
    desk.stock(&f, 1_000);
    desk.now = Now(0) + Span::secs(10);
    let tickets: Vec<_> = (0..2_000).map(|_| desk.acquire(&f)).collect();
    desk.finish_starts();
    let warm = tickets.iter().filter(|ticket| desk.granted(**ticket).warm).count();
    assert_eq!((warm, desk.load(&f).busy), (1_000, 2_000));
}

#[test]
fn a6_1_a_manager_full_of_a_client_asks_to_try_another() {
    let mut desk = Desk::new(100_000);
    let (f, g) = (key("f", 128), key("g", 128));
    let other =
        Arc::new(PoolKey { account: AccountId::parse("000000000002").unwrap(), ..(*f).clone() });
    for at in 0..10 {
        let key = if at % 2 == 0 { &f } else { &g };
        desk.ask(key, Mode::ExistingOrNew, FOREVER, 10);
    }
    let eleventh = desk.ask(&f, Mode::ExistingOrNew, FOREVER, 10);
    assert!(matches!(desk.reply(eleventh), Some(Reply::Throttle(_))));
    let others = desk.ask(&other, Mode::ExistingOrNew, FOREVER, 10);
    desk.finish_starts();
    let grant = desk.granted(others);
    desk.release(grant.lease, Outcome::Reusable);
    let grant = desk.granted(Ticket(1));
    desk.release(grant.lease, Outcome::Reusable);
    let next = desk.ask(&f, Mode::ExistingOrNew, FOREVER, 10);
    assert!(desk.granted(next).warm);
}

#[test]
fn a_failed_init_is_told_to_its_caller_and_keeps_the_token() {
    let config = Config { create_tokens: (1, 0), ..Config::default() };
    let (mut desk, f) = (Desk::with(config, 1_024), key("f", 128));
    let ticket = desk.acquire(&f);
    let (start, _) = desk.starts()[0];
    desk.tell(Input::StartFailed { start, why: Trouble::Init });
    assert_eq!(desk.reply(ticket), Some(Reply::StartFailed { start }));
    let next = desk.acquire(&f);
    assert_eq!(desk.refused(next), Reason::FunctionInvocationRateLimitExceeded);
    assert_eq!(desk.book.place().used(WORKER).unwrap().memory_mb, 0);
}

#[test]
fn a_platform_failure_is_tried_once_more_elsewhere() {
    let config = Config { create_tokens: (1, 0), ..Config::default() };
    let (mut desk, f) = (Desk::with(config, 1_024), key("f", 128));
    desk.offer(WorkerId(2), 1_024);
    let ticket = desk.acquire(&f);
    let (first, at) = desk.starts()[0];
    desk.tell(Input::StartFailed { start: first, why: Trouble::Platform });
    let (second, elsewhere) = desk.starts()[0];
    assert_ne!(at, elsewhere);
    desk.tell(Input::StartFailed { start: second, why: Trouble::Platform });
    assert!(desk.starts().is_empty(), "I8: two attempts");
    assert_eq!(desk.reply(ticket), Some(Reply::StartFailed { start: second }));
    // Both tokens came back.
    let grant = desk.cold_or_warm(&f);
    assert!(!grant.warm);
}

#[test]
fn a_lost_worker_takes_its_environments_and_its_starts_move() {
    let (mut desk, f) = (Desk::new(1_024), key("f", 128));
    let busy = desk.cold_or_warm(&f);
    desk.run(busy);
    let waits = desk.acquire(&f);
    assert_eq!(desk.starts()[0].1, WORKER);
    desk.offer(WorkerId(2), 1_024);
    desk.tell(Input::WorkerLost { worker: WORKER });
    assert_eq!(desk.book.environments(), 0);
    let (start, worker) = desk.starts()[0];
    assert_eq!(worker, WorkerId(2));
    let env = desk.finish_start(start, worker);
    assert_eq!(desk.granted(waits).env, env);
    assert_eq!(desk.book.lease_counts(), LeaseCounts { granted: 2, started: 1, returned: 0 });
}

#[test]
fn idle_environments_make_room_longest_idle_first() {
    let (mut desk, f, g) = (Desk::new(256), key("f", 128), key("g", 128));
    let old = desk.stock(&f, 1)[0];
    desk.now = Now(1);
    let young = desk.stock(&g, 1)[0];
    let h = key("h", 128);
    let ticket = desk.acquire(&h);
    assert_eq!(desk.retired(), [old.env]);
    assert!(desk.starts().is_empty(), "leaving is not gone");
    desk.tell(Input::Gone { env: old.env });
    desk.finish_starts();
    assert_ne!(desk.granted(ticket).env, young.env);
    assert_eq!(desk.book.place().used(WORKER).unwrap().memory_mb, 256);
}

#[test]
fn a_start_that_awaits_room_is_undone_when_its_call_is_served() {
    let config = Config { create_tokens: (3, 0), ..Config::default() };
    let (mut desk, f, g) = (Desk::with(config, 256), key("f", 128), key("g", 128));
    let busy = desk.cold_or_warm(&f);
    desk.run(busy);
    let idle = desk.stock(&g, 1)[0];
    let ticket = desk.acquire(&f);
    assert_eq!(desk.retired(), [idle.env]);
    desk.release(busy.lease, Outcome::Reusable);
    assert_eq!(desk.granted(ticket).env, busy.env);
    desk.tell(Input::Gone { env: idle.env });
    assert!(desk.starts().is_empty());
    assert_eq!(desk.load(&f), load(0, 1, 0, 0));
}

#[test]
fn a_changed_function_keeps_only_its_new_pool() {
    let (mut desk, old) = (Desk::new(10_240), key("f", 128));
    let new = Arc::new(PoolKey { revision: 2, ..(*old).clone() });
    let busy = desk.stock(&old, 2)[1];
    let held = desk.cold_or_warm(&old);
    assert_eq!(held.env, busy.env);
    desk.run(held);
    let kept = desk.stock(&new, 1)[0];
    let bystander = desk.stock(&key("g", 128), 1)[0];
    let (account, function) = (old.account, old.function.clone());
    let keep = Some(new.hash());
    desk.tell(Input::Retire(Whose { account, function, version: None, keep }));
    assert_eq!(desk.retired().len(), 1);
    desk.release(held.lease, Outcome::Reusable);
    let mut retired = desk.retired();
    retired.sort_unstable();
    assert_eq!(retired.len(), 2);
    assert!(retired.contains(&held.env));
    assert!(!retired.contains(&kept.env) && !retired.contains(&bystander.env));
    assert_eq!(desk.load(&new).idle, 1);
}

#[test]
fn what_is_being_started_for_a_changed_function_serves_its_caller_and_leaves() {
    let (mut desk, f) = (Desk::new(1_024), key("f", 128));
    let ticket = desk.acquire(&f);
    let (account, function) = (f.account, f.function.clone());
    desk.tell(Input::Retire(Whose { account, function, version: None, keep: None }));
    desk.finish_starts();
    let grant = desk.granted(ticket);
    desk.run(grant);
    desk.release(grant.lease, Outcome::Reusable);
    assert_eq!(desk.retired(), [grant.env]);
}

#[test]
fn a_draining_worker_gets_nothing_new_and_empties() {
    let (mut desk, f) = (Desk::new(1_024), key("f", 128));
    let idle_and_busy = desk.stock(&f, 2);
    let held = desk.cold_or_warm(&f);
    desk.run(held);
    desk.tell(Input::WorkerDrains { worker: WORKER });
    assert_eq!(desk.retired().len(), 1);
    let waits = desk.acquire(&key("g", 128));
    assert_eq!(desk.refused(waits), Reason::NoCapacity);
    desk.release(held.lease, Outcome::Reusable);
    assert_eq!(desk.retired().len(), 2);
    assert!(idle_and_busy.iter().all(|grant| desk.retired().contains(&grant.env)));
}

#[test]
fn a_book_is_rebuilt_from_what_workers_list() {
    let (mut desk, f) = (Desk::new(1_024), key("f", 128));
    let known = desk.stock(&f, 2);
    let (idle, busy) = (EnvId::new(WORKER, 77), EnvId::new(WORKER, 78));
    let record = |env, epoch, busy| Hosted { env, key: Arc::clone(&f), epoch, busy };
    let records = vec![
        record(known[0].env, Epoch(40), false),
        record(idle, Epoch(5), false),
        record(busy, Epoch(6), true),
    ];
    desk.tell(Input::Rebuild { worker: WORKER, envs: records });
    assert_eq!(desk.load(&f), load(2, 1, 0, 0));
    assert_eq!(desk.book.place().used(WORKER).unwrap().slots, 3);
    // I6: grants go on above every epoch that the worker has seen.
    let epochs: Vec<_> = (0..2).map(|_| desk.cold_or_warm(&f)).map(|g| (g.env, g.epoch)).collect();
    assert!(epochs.contains(&(known[0].env, Epoch(41))) && epochs.contains(&(idle, Epoch(6))));
    desk.tell(Input::Idle { env: busy, epoch: Epoch(6) });
    assert_eq!(desk.cold_or_warm(&f).env, busy);
}

#[test]
fn i7_an_end_that_overtook_a_list_is_believed() {
    let (mut desk, f) = (Desk::new(1_024), key("f", 128));
    let known = desk.stock(&f, 1)[0].env;
    let unknown = EnvId::new(WORKER, 77);
    for env in [known, unknown] {
        desk.tell(Input::Gone { env });
    }
    let record = |env| Hosted { env, key: Arc::clone(&f), epoch: Epoch(9), busy: false };
    let envs = vec![record(known), record(unknown), record(EnvId::new(WORKER, 78))];
    desk.tell(Input::Rebuild { worker: WORKER, envs: envs.clone() });
    assert_eq!(desk.load(&f), load(1, 0, 0, 0));
    // Much later the worker is believed: they are this manager's again.
    desk.at(Span::secs(31));
    desk.tell(Input::Rebuild { worker: WORKER, envs });
    assert_eq!(desk.load(&f), load(3, 0, 0, 0));
}

#[test]
fn a_call_that_hoped_for_starts_of_others_does_not_wait_for_nothing() {
    let (mut desk, f) = (Desk::new(1_024), key("f", 128));
    let mut tickets = vec![desk.acquire(&f)];
    desk.at(Span::secs(7));
    // The second hopes for the start of the first; the others have theirs.
    tickets.extend((0..3).map(|_| desk.acquire(&f)));
    assert_eq!(desk.load(&f), load(0, 0, 3, 4));
    desk.tell(Input::WorkerLost { worker: WORKER });
    for ticket in tickets {
        assert!(desk.reply(ticket).is_some(), "{ticket:?} waits for nothing");
    }
    assert_eq!(desk.load(&f), load(0, 0, 0, 0));
}

#[test]
fn i7_what_notes_were_lost_about_is_learnt_from_the_next_list() {
    let (mut desk, f) = (Desk::new(1_024), key("f", 128));
    let granted: Vec<Grant> = desk.stock(&f, 4).iter().map(|_| desk.cold_or_warm(&f)).collect();
    let [ended, begun, unseen, leaving] = granted[..] else { panic!("{granted:?}") };
    desk.run(ended);
    desk.run(leaving);
    desk.release(leaving.lease, Outcome::Broken);
    assert_eq!(desk.retired(), [leaving.env]);
    let record = |grant: Grant, epoch, busy| {
        let (env, key) = (grant.env, Arc::clone(&f));
        Hosted { env, key, epoch, busy }
    };
    let records = vec![
        record(ended, ended.epoch, false),
        record(begun, begun.epoch, true),
        // Its grant is still on the way: the list says nothing of it.
        record(unseen, Epoch(unseen.epoch.0 - 1), false),
        record(leaving, leaving.epoch, false),
    ];
    desk.tell(Input::Rebuild { worker: WORKER, envs: records });
    assert_eq!(desk.load(&f), load(1, 2, 0, 0));
    assert_eq!(desk.retired(), [leaving.env, leaving.env], "it is told once more");
    let counts = desk.book.lease_counts();
    assert_eq!((counts.started, counts.returned), (4 + 3, 0));
    // The note that was only slow changes nothing.
    desk.tell(Input::RunStarted { lease: begun.lease });
    desk.tell(Input::Idle { env: ended.env, epoch: ended.epoch });
    assert_eq!(desk.load(&f), load(1, 2, 0, 0));
    desk.tell(Input::Idle { env: begun.env, epoch: begun.epoch });
    desk.release(unseen.lease, Outcome::NotStarted);
    assert_eq!(desk.load(&f), load(3, 0, 0, 0));
    let counts = desk.book.lease_counts();
    assert_eq!(counts.granted, counts.started + counts.returned);
}

#[test]
fn a_start_answered_after_it_was_given_up_is_retired() {
    let (mut desk, f) = (Desk::new(1_024), key("f", 128));
    let ticket = desk.ask(&f, Mode::ExistingOrNew, Now(1), u32::MAX);
    let (start, worker) = desk.starts()[0];
    desk.at(Span::secs(2_000));
    assert_eq!(desk.refused(ticket), Reason::NoCapacity);
    assert_eq!(desk.book.place().used(WORKER).unwrap().memory_mb, 0);
    let env = desk.finish_start(start, worker);
    assert_eq!(desk.retired(), [env]);
    assert_eq!(desk.book.environments(), 0);
}

#[test]
fn one_loss_after_a_call_was_orphaned_starts_anew() {
    let (mut desk, f) = (Desk::new(1_024), key("f", 128));
    let first = desk.acquire(&f);
    let second = desk.acquire(&f);
    let starts = desk.starts();
    // The second call's start ends first and serves the first call.
    desk.finish_start(starts[1].0, starts[1].1);
    assert!(!desk.granted(first).warm);
    desk.tell(Input::StartFailed { start: starts[0].0, why: Trouble::Platform });
    desk.finish_starts();
    assert!(!desk.granted(second).warm);
}

/// A key of slow inits and short runs, one init long done, one environment busy.
fn slow_init_short_run(patience: bool) -> (Desk, Arc<PoolKey>, Grant) {
    let config = Config { patience, ..Config::default() };
    let (mut desk, f) = (Desk::with(config, 1 << 20), key("f", 128));
    let ticket = desk.acquire(&f);
    desk.at(Span::secs(10));
    desk.finish_starts();
    let first = desk.granted(ticket);
    desk.run(first);
    desk.at(Span::millis(10_100));
    desk.release(first.lease, Outcome::Reusable);
    let held = desk.cold_or_warm(&f);
    desk.run(held);
    (desk, f, held)
}

#[test]
fn a_call_hopes_where_that_is_sooner_and_has_its_start_without_patience() {
    for (patience, starts) in [(true, 0), (false, 5)] {
        let (mut desk, f, held) = slow_init_short_run(patience);
        let tickets: Vec<_> = (0..5).map(|_| desk.acquire(&f)).collect();
        assert_eq!(desk.starts().len(), starts, "patience {patience}");
        let mut lease = held.lease;
        for (at, ticket) in tickets.into_iter().enumerate() {
            desk.at(Span::millis(10_200 + 100 * at as u64));
            desk.release(lease, Outcome::Reusable);
            lease = desk.granted(ticket).lease;
            desk.run(held_again(lease));
        }
    }
}

fn held_again(lease: LeaseId) -> Grant {
    Grant { env: EnvId(0), worker: WORKER, lease, epoch: Epoch(0), warm: true, affinity: None }
}

#[test]
fn hope_ends_after_what_an_init_takes() {
    let (mut desk, f, _stuck) = slow_init_short_run(true);
    let ticket = desk.acquire(&f);
    assert!(desk.starts().is_empty());
    let (due, why) = desk.book.deadline().unwrap();
    assert_eq!(why, Why::Patience);
    assert!(due.since(desk.now) <= Span::secs(10));
    desk.at(due.since(Now(0)));
    desk.finish_starts();
    assert!(!desk.granted(ticket).warm);
}

#[test]
fn a_burst_of_an_unknown_key_gets_a_start_for_each_call() {
    let (mut desk, f) = (Desk::new(1 << 20), key("f", 128));
    for _ in 0..1_000 {
        desk.acquire(&f);
    }
    assert_eq!(desk.starts().len(), 1_000);
}

#[test]
fn slow_inits_of_one_key_leave_room_for_the_others() {
    for (patience, most) in [(true, 3), (false, 10)] {
        let config = Config { patience, ..Config::default() };
        let (mut desk, slow) = (Desk::with(config, 1_024), key("slow", 100));
        desk.acquire(&slow);
        for second in 2..60 {
            desk.at(Span::secs(second));
            for _ in 0..20 {
                desk.acquire(&slow);
            }
        }
        let starting = desk.load(&slow).starting;
        assert!(starting <= most, "{starting} starts with patience {patience}");
        let other = desk.acquire(&key("other", 500));
        desk.finish_starts();
        assert_eq!(desk.reply(other).is_some_and(|r| matches!(r, Reply::Grant(..))), patience);
    }
}

#[test]
fn a6_2_a_thousand_start_at_once_and_a_hundred_each_second() {
    // 3,000 calls of a minute, refused ones offered again every 100 ms.
    let (mut desk, f) = (Desk::new(1 << 30), key("f", 128));
    let mut left = 3_000;
    for tick in 0..=200 {
        desk.at(Span::millis(100 * tick));
        while left > 0 {
            let ticket = desk.acquire(&f);
            let refused = matches!(desk.reply(ticket), Some(Reply::Refused { .. }));
            if refused {
                let reason = desk.refused(ticket);
                assert_eq!(reason, Reason::FunctionInvocationRateLimitExceeded);
                break;
            }
            left -= 1;
        }
        desk.finish_starts();
        let running = desk.load(&f).busy;
        for output in desk.take_out() {
            if let Output::Reply { reply: Reply::Grant(grant, _), .. } = output {
                desk.run(grant);
            }
        }
        let expected = (1_000 + 10 * tick as u32).min(3_000);
        let off = running.abs_diff(expected) * 100;
        assert!(off <= expected * 5, "{running} run after {tick} ticks, not {expected}");
    }
    assert_eq!(left, 0);
}
