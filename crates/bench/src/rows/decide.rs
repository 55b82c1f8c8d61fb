//! What the decisions of one warm call cost, by themselves: no socket, no sandbox.
//! The floor of a row is the same decision in the smallest installation, so that
//! the ratio says how its cost grows with members and keys.

use std::sync::Arc;

use decide::{
    Book, Dice,
    admit::{AccountLimits, Ask, Counter},
    arcs::{self, Bounds, RingArc},
    book::{self, Acquire, Input, Mode, Outcome, Output, Outputs, Reply, Ticket},
    ring::Ring,
    route,
    search::{Answer, Next, Route, Search, Steering},
};
use model::{
    AccountId, Capacity, EnvId, Epoch, FrontendId, FunctionName, Hosted, KeyHash, LeaseId, Load,
    ManagerId, Now, PoolKey, RingVersion, Span, VersionId, WorkerId, function::Architecture,
};

use platform::clock::thread_cpu_ns;

use crate::{report::Row, sample::Samples};

const MEMBERS: [u64; 3] = [10, 1_000, 10_000];
const KEYS: [usize; 2] = [1_000, 1_000_000];
/// Functions of one account.
const FUNCTIONS: usize = 100;
/// A frontend's arc is this wide, as a busy client's is.
const ARC: u16 = 4;

/// Functions, their keys and the order in which calls come.
struct Keys {
    keys: Vec<(KeyHash, Arc<PoolKey>)>,
    draws: Vec<u32>,
}

impl Keys {
    fn new(count: usize, draws: usize) -> anyhow::Result<Keys> {
        let mut dice = Dice::new(1);
        let keys = (0..count).map(|n| {
            let key = key(n)?;
            Ok((key.hash(), Arc::new(key)))
        });
        let below = |_| u32::try_from(dice.below(count as u64)).unwrap_or(0);
        Ok(Keys {
            keys: keys.collect::<anyhow::Result<_>>()?,
            draws: (0..draws).map(below).collect(),
        })
    }

    fn of(&self, draws: &[u32]) -> impl Iterator<Item = &(KeyHash, Arc<PoolKey>)> {
        draws.iter().map(|at| &self.keys[*at as usize])
    }
}

fn key(n: usize) -> anyhow::Result<PoolKey> {
    let account = AccountId::parse(&format!("{:012}", n / FUNCTIONS));
    Ok(PoolKey {
        version: VersionId::Published(1),
        ..PoolKey::plain(
            account.ok_or_else(|| anyhow::anyhow!("no account {n}"))?,
            FunctionName::parse(&format!("function-{n}"))?,
        )
    })
}

/// What a frontend and a counter hold, in an installation of so many members.
struct Region {
    ring: Ring,
    steering: Steering,
    counter: Counter,
    dice: Dice,
    members: u64,
    into: Vec<ManagerId>,
}

impl Region {
    fn new(members: u64) -> Region {
        let managers: Vec<ManagerId> = (0..members).map(ManagerId).collect();
        Region {
            ring: Ring::new(RingVersion(1), &managers),
            steering: Steering::new(FrontendId(1)),
            counter: Counter::new(AccountLimits::default(), Span::secs(15)),
            dice: Dice::new(2),
            members,
            into: Vec::new(),
        }
    }

    fn route(&mut self, key: &PoolKey) -> u64 {
        let start = arcs::start_of_account(key.account);
        let plan = route::plan(1, None, RingArc { start, size: ARC });
        self.into.clear();
        self.ring.members(plan.on_demand.start, plan.on_demand.size, &mut self.into);
        self.into.last().map_or(0, |manager| manager.0)
    }

    /// Route and choice of the manager to ask; the first has an idle environment.
    fn search(&mut self, now: Now, hash: KeyHash, key: &PoolKey) {
        let start = arcs::start_of_account(key.account);
        let managers = self.ring.len();
        let bounds = Bounds::of(1_000, managers);
        let route = Route { key: hash, start, provisioned: None, bounds };
        let mut search = Search::begin(now, route, &self.ring, &mut self.steering);
        let next = search.next(now, &self.ring, &mut self.steering, &mut self.dice);
        if let Next::Ask { manager, .. } = next {
            let load = Load { idle: 1, ..Load::default() };
            let answer = Answer::Granted { load, warm: true, took: Span::ZERO };
            search.answered(manager, answer, &mut self.steering);
        }
    }

    fn admit(&mut self, now: Now, key: &PoolKey) -> Option<LeaseId> {
        let holder = FrontendId(self.dice.below(self.members));
        let (account, function, version) = (key.account, &key.function, key.version);
        let ask = Ask { account, function, version, tenant: None, holder };
        self.counter.take(now, &ask).ok().map(|admitted| admitted.lease)
    }
}

/// A book with one idle environment for each key.
struct Warm {
    book: Book,
    out: Outputs,
    ticket: u64,
}

impl Warm {
    fn new(keys: &Keys) -> Warm {
        let mut warm =
            Warm { book: Book::new(book::Config::default()), out: Vec::new(), ticket: 0 };
        let architecture = Architecture::X86_64;
        let capacity = Capacity { memory_mb: 1 << 40, slots: u32::MAX, architecture };
        let worker = WorkerId(1);
        warm.book.handle(Now(0), Input::WorkerOffers { worker, capacity }, &mut warm.out);
        let record = |(n, (_, key)): (usize, &(KeyHash, Arc<PoolKey>))| Hosted {
            env: EnvId::new(worker, n as u64),
            key: Arc::clone(key),
            epoch: Epoch(1),
            busy: false,
        };
        let envs = keys.keys.iter().enumerate().map(record).collect();
        warm.book.handle(Now(0), Input::Rebuild { worker, envs }, &mut warm.out);
        warm.out.clear();
        warm
    }

    /// From the question to the environment's return to its shelf.
    fn turn(&mut self, now: Now, hash: KeyHash, key: &Arc<PoolKey>) {
        self.ticket += 1;
        let ask = Acquire {
            ticket: Ticket(self.ticket),
            hash,
            key: Arc::clone(key),
            mode: Mode::ExistingOrNew,
            deadline: now + Span::secs(9),
            client_cap: 1_000,
            routed: book::Routed::default(),
            affinity: None,
        };
        self.book.handle(now, Input::Acquire(ask), &mut self.out);
        let granted = self.out.drain(..).find_map(|output| {
            let Output::Reply { reply: Reply::Grant(grant, _), .. } = output else { return None };
            Some(grant.lease)
        });
        let Some(lease) = granted else { return };
        self.book.handle(now, Input::RunStarted { lease }, &mut self.out);
        let ended = Input::Released { lease, outcome: Outcome::Reusable };
        self.book.handle(now, ended, &mut self.out);
        self.out.clear();
    }
}

/// Calls that are timed together.
const BATCH: usize = 32;

/// Nanoseconds of processor time of one act, over all draws: decisions wait for
/// nothing, so that neighbours on the machine are not counted. A call's own key has
/// been read before, as it has where a request was parsed and its function resolved;
/// what the decisions keep of it has not.
fn timed(keys: &Keys, mut act: impl FnMut(Now, KeyHash, &Arc<PoolKey>)) -> f64 {
    let (mut spent, mut now) = (0, Now(0));
    for batch in keys.draws.chunks(BATCH) {
        for (hash, key) in keys.of(batch) {
            std::hint::black_box(key.hash() == *hash);
        }
        let began = thread_cpu_ns();
        for (hash, key) in keys.of(batch) {
            now += Span::micros(100);
            act(now, *hash, key);
        }
        spent += thread_cpu_ns() - began;
    }
    #[expect(clippy::cast_precision_loss, reason = "a run is minutes, not centuries")]
    let nanos = spent as f64;
    #[expect(clippy::cast_precision_loss, reason = "fewer than 2^32 draws")]
    let draws = keys.draws.len() as f64;
    nanos / draws
}

const STEPS: [&str; 4] = ["route", "route and probe", "admit and give back", "together"];

pub(crate) fn measure(quick: bool) -> anyhow::Result<Vec<Row>> {
    let (rounds, draws) = if quick { (5, 50_000) } else { (15, 200_000) };
    let keys = [Keys::new(KEYS[0], draws)?, Keys::new(KEYS[1], draws)?];
    let mut regions = MEMBERS.map(Region::new);
    let mut books = [Warm::new(&keys[0]), Warm::new(&keys[1])];
    let mut steps = [(); 4].map(|()| MEMBERS.map(|_| Samples::default()));
    let mut turns = KEYS.map(|_| Samples::default());
    // The first round is the warming up and is not told.
    for round in 0..=rounds {
        for (at, region) in regions.iter_mut().enumerate() {
            let taken = one_round(&keys[1], region, &mut books[1]);
            if round > 0 {
                steps.iter_mut().zip(taken).for_each(|(of, ns)| of[at].push(ns));
            }
        }
        for (at, warm) in books.iter_mut().enumerate() {
            let ns = timed(&keys[at], |now, hash, key| warm.turn(now, hash, key));
            if round > 0 {
                turns[at].push(ns);
            }
        }
    }
    let mut rows = Vec::new();
    for (step, samples) in STEPS.iter().zip(&steps) {
        for (members, ours) in MEMBERS.iter().zip(samples) {
            let measure = format!("{step}, {members} members, 1000000 keys, cpu");
            rows.push(row(measure, ours, &samples[0], "the same with 10 members"));
        }
    }
    for (count, ours) in KEYS.iter().zip(&turns) {
        let measure = format!("book: acquire, run, release, {count} keys, cpu");
        rows.push(row(measure, ours, &turns[0], "the same with 1000 keys"));
    }
    Ok(rows)
}

/// Nanoseconds of each of `STEPS`.
fn one_round(keys: &Keys, region: &mut Region, warm: &mut Warm) -> [f64; 4] {
    let mut sum = 0_u64;
    let route = timed(keys, |_, _, key| sum = sum.wrapping_add(region.route(key)));
    std::hint::black_box(sum);
    let probe = timed(keys, |now, hash, key| region.search(now, hash, key));
    let admit = timed(keys, |now, _, key| {
        if let Some(lease) = region.admit(now, key) {
            region.counter.give_back(lease);
        }
    });
    let together = timed(keys, |now, hash, key| {
        let Some(lease) = region.admit(now, key) else { return };
        region.search(now, hash, key);
        warm.turn(now, hash, key);
        region.counter.give_back(lease);
    });
    [route, probe, admit, together]
}

fn row(measure: String, ours: &Samples, least: &Samples, what: &str) -> Row {
    let per_sec = ours.median().map_or(0.0, |ns| 1e9 / ns);
    let note = format!("{what}; {per_sec:.0} a second");
    Row::medians("decide", measure, "ns", ours, Some(least), note)
}
