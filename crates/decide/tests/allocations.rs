//! The warm path allocates nothing: what a call does between its arrival and its
//! answer, where an environment is idle, is done in memory that earlier calls left.
//! A counting allocator watches; each test has its control, which does allocate.

use std::sync::Arc;

use decide::{
    Book, Dice,
    admit::{AccountLimits, Ask, Counter, CreateGate},
    arcs::{self, Bounds, RingArc},
    book::{self, Acquire, Input, Mode, Outcome, Output, Outputs, Reply, Ticket},
    ring::Ring,
    route,
    search::{Answer, Next, Route, Search, Steering},
};
use model::{
    AccountId, Capacity, EnvId, Epoch, FrontendId, FunctionName, Hosted, KeyHash, Load, ManagerId,
    Now, PoolKey, RingVersion, Span, TenantId, VersionId, WorkerId, function::Architecture,
};

fn allocations(act: impl FnOnce()) -> u64 {
    allocation_counter::measure(act).count_total
}

fn account() -> AccountId {
    AccountId::parse("000000000001").unwrap()
}

fn name(n: usize) -> FunctionName {
    FunctionName::parse(&format!("f{n}")).unwrap()
}

fn key(n: usize) -> Arc<PoolKey> {
    Arc::new(PoolKey::plain(account(), name(n)))
}

#[test]
fn the_counting_allocator_counts() {
    assert!(allocations(|| drop(std::hint::black_box(vec![1_u8; 64]))) > 0);
}

#[test]
fn admission_allocates_nothing_after_the_first_calls() {
    let limits = AccountLimits { concurrency: 1_000, tenant: Some(500) };
    let mut counter = Counter::new(limits, Span::secs(15));
    let names: Vec<FunctionName> = (0..50).map(name).collect();
    let tenant = TenantId::parse("blue").unwrap();
    let mut held = Vec::with_capacity(64);
    let mut now = Now(0);
    let mut round = |counter: &mut Counter| {
        for (at, function) in names.iter().enumerate() {
            now += Span::millis(7);
            let ask = Ask {
                account: account(),
                function,
                version: VersionId::Published(at as u64 % 3),
                tenant: Some(&tenant),
                holder: FrontendId(at as u64 % 40),
            };
            counter.peek(now, &ask).unwrap();
            held.push(counter.take(now, &ask).unwrap().lease);
            counter.renew(now, ask.holder);
            assert!(counter.deadline().is_some());
        }
        for lease in held.drain(..) {
            assert!(counter.give_back(lease));
        }
    };
    assert!(allocations(|| round(&mut counter)) > 0, "the control: first calls do");
    round(&mut counter);
    assert_eq!(allocations(|| (0..20).for_each(|_| round(&mut counter))), 0);
}

#[test]
fn the_create_gate_allocates_nothing_for_a_known_function() {
    let mut gate = CreateGate::default();
    let function = name(1);
    let mut take = || gate.take(Now(0), account(), &function).unwrap();
    assert!(allocations(&mut take) > 0, "the control");
    assert_eq!(allocations(|| (0..100).for_each(|_| take())), 0);
}

#[test]
fn routing_and_probing_allocate_nothing_after_the_first_answers() {
    let members: Vec<ManagerId> = (0..1_000).map(ManagerId).collect();
    let ring = Ring::new(RingVersion(1), &members);
    let (mut steering, mut dice) = (Steering::new(FrontendId(1)), Dice::new(1));
    let bounds = Bounds::of(1_000, ring.len());
    let mut round = |steering: &mut Steering| {
        for n in 0..200_u128 {
            let start = arcs::start_of_account(account()) ^ (n as u64) << 56;
            let arc = RingArc { start, size: 1 + n as u16 % 16 };
            let plan = route::plan(1, None, arc);
            assert_eq!(plan.provisioned, None);
            let provisioned = (n % 2 == 0).then_some((KeyHash(n + 1_000), arc));
            let route = Route { key: KeyHash(n), start, provisioned, bounds };
            let mut search = Search::begin(Now(0), route, &ring, steering);
            while let Next::Ask { manager, mode, .. } =
                search.next(Now(0), &ring, steering, &mut dice)
            {
                let (load, took) = (Load::default(), Span::millis(3));
                let answer = match mode {
                    Mode::Existing => Answer::NoIdle,
                    Mode::ExistingOrNew => Answer::Granted { load, warm: n % 3 == 0, took },
                };
                search.answered(manager, answer, steering);
                if mode == Mode::ExistingOrNew {
                    break;
                }
            }
        }
    };
    assert!(allocations(|| round(&mut steering)) > 0, "the control: hints of new keys do");
    assert_eq!(allocations(|| (0..5).for_each(|_| round(&mut steering))), 0);
}

/// A book with one idle environment for each key.
fn warm_book(keys: &[(KeyHash, Arc<PoolKey>)], out: &mut Outputs) -> Book {
    let mut book = Book::new(book::Config::default());
    let capacity =
        Capacity { memory_mb: 1 << 40, slots: u32::MAX, architecture: Architecture::X86_64 };
    book.handle(Now(0), Input::WorkerOffers { worker: WorkerId(1), capacity }, out);
    let records = keys.iter().enumerate().map(|(n, (_, key))| Hosted {
        env: EnvId::new(WorkerId(1), n as u64),
        key: Arc::clone(key),
        epoch: Epoch(1),
        busy: false,
    });
    let envs = records.collect();
    book.handle(Now(0), Input::Rebuild { worker: WorkerId(1), envs }, out);
    out.clear();
    book
}

#[test]
fn a_warm_turn_of_the_book_allocates_nothing() {
    let keys: Vec<_> = (0..500).map(key).map(|key| (key.hash(), key)).collect();
    let mut out = Outputs::new();
    let mut book = warm_book(&keys, &mut out);
    let mut ticket = 0;
    let mut round = |book: &mut Book| {
        for (hash, key) in &keys {
            ticket += 1;
            let now = Now(ticket * 10);
            let (ticket, deadline) = (Ticket(ticket), now + Span::secs(9));
            let routed = book::Routed::default();
            let (hash, key, mode) = (*hash, Arc::clone(key), Mode::ExistingOrNew);
            let ask = Acquire {
                ticket,
                hash,
                key,
                mode,
                deadline,
                client_cap: 10,
                routed,
                affinity: None,
            };
            book.handle(now, Input::Acquire(ask), &mut out);
            let grant = out.drain(..).find_map(|output| {
                let Output::Reply { reply: Reply::Grant(grant, _), .. } = output else {
                    return None;
                };
                Some(grant)
            });
            let grant = grant.unwrap();
            assert!(grant.warm && book.deadline().is_some());
            book.handle(now, Input::RunStarted { lease: grant.lease }, &mut out);
            if grant.env.0 % 2 == 0 {
                let (env, epoch) = (grant.env, grant.epoch);
                book.handle(now, Input::Idle { env, epoch }, &mut out);
            }
            let ended = Input::Released { lease: grant.lease, outcome: Outcome::Reusable };
            book.handle(now, ended, &mut out);
            out.clear();
        }
    };
    round(&mut book);
    assert_eq!(allocations(|| (0..5).for_each(|_| round(&mut book))), 0);
    let mut new = Outputs::new();
    assert!(allocations(|| drop(warm_book(&keys, &mut new))) > 0, "the control");
}
