//! What a manager counts: facts of its book as they happen, and, when somebody reads
//! the page, what stands in the book and in the counter at that moment.

use std::collections::BTreeSet;

use decide::{
    admit::Counter as Admissions,
    book::Book,
    fact::{Fact, RetireWhy},
};
use model::{AccountId, Load, Trouble, limits};
use platform::meters::{Asked, Counter, Gauge, Meters};
use tokio::sync::mpsc;

use crate::{metrics, owner::Event};

#[derive(Debug)]
pub(crate) struct Meter {
    meters: Meters,
    warm: Counter,
    cold: Counter,
    starts: Counter,
    handed_over: Counter,
    adopted: Counter,
    stale: Counter,
    environments: ByState,
    memory_mb: ByState,
    waiting: Gauge,
    /// Accounts that have a series of their own.
    accounts: BTreeSet<AccountId>,
}

#[derive(Debug)]
struct ByState {
    idle: Gauge,
    busy: Gauge,
    starting: Gauge,
}

impl ByState {
    fn new(meters: &Meters, metric: fn(&Meters, &str) -> Gauge) -> ByState {
        let of = |state| metric(meters, state);
        ByState { idle: of("idle"), busy: of("busy"), starting: of("starting") }
    }

    fn set(&self, idle: u64, busy: u64, starting: u64) {
        let value = |count: u64| count as f64;
        self.idle.set(value(idle));
        self.busy.set(value(busy));
        self.starting.set(value(starting));
    }
}

impl Meter {
    /// From now on the owner is asked for its values when the page is read.
    pub(crate) fn new(meters: Meters, events: mpsc::Sender<Event>) -> Meter {
        meters.sample_with(move |asked| {
            // A full queue leaves the values of before.
            let _ = events.try_send(Event::Asked(asked));
        });
        Meter {
            warm: metrics::environments_granted_total(&meters, "true"),
            cold: metrics::environments_granted_total(&meters, "false"),
            starts: metrics::environment_starts_total(&meters),
            handed_over: metrics::environments_handed_over_total(&meters),
            adopted: metrics::environments_adopted_total(&meters),
            stale: metrics::stale_messages_total(&meters),
            environments: ByState::new(&meters, metrics::environments),
            memory_mb: ByState::new(&meters, metrics::environment_memory_mb),
            waiting: metrics::calls_waiting(&meters),
            accounts: BTreeSet::new(),
            meters,
        }
    }

    pub(crate) fn count(&self, fact: &Fact) {
        match fact {
            Fact::Granted { warm: true, .. } => self.warm.increment(1),
            Fact::Granted { warm: false, .. } => self.cold.increment(1),
            Fact::StartBegan { .. } => self.starts.increment(1),
            Fact::StartFailed { why, .. } => {
                metrics::environment_start_failures_total(&self.meters, failure(*why)).increment(1);
            }
            Fact::Retired { why, .. } => {
                metrics::environments_retired_total(&self.meters, retired(*why)).increment(1);
            }
            Fact::Adopted { .. } => self.adopted.increment(1),
            Fact::HandedOver { .. } => self.handed_over.increment(1),
            Fact::Stale { .. } => self.stale.increment(1),
            // Counted by whoever is served or refused, or seen in the book's loads.
            Fact::Missed { .. }
            | Fact::Waiting { .. }
            | Fact::Throttled { .. }
            | Fact::Refused { .. }
            | Fact::WaitEnded { .. }
            | Fact::StartAwaitsRoom { .. }
            | Fact::StartDropped { .. }
            | Fact::StartEnded { .. }
            | Fact::RunBegan { .. }
            | Fact::RunEnded { .. }
            | Fact::LeaseReturned { .. }
            | Fact::Shelved { .. }
            | Fact::Bound { .. }
            | Fact::Gone { .. }
            | Fact::TargetSet { .. }
            | Fact::TargetForgotten { .. }
            | Fact::HandoffAsked { .. }
            | Fact::HandoffEnded { .. } => {}
        }
    }

    /// The page is waiting.
    pub(crate) fn sample(&mut self, book: &Book, counter: &Admissions, asked: Asked) {
        let (mut envs, mut memory) = ([0_u64; 3], [0_u64; 3]);
        for (key, load) in book.pools() {
            let Load { idle, busy, starting, waiting: _ } = load;
            for (at, count) in [idle, busy, starting].into_iter().enumerate() {
                envs[at] += u64::from(count);
                memory[at] += u64::from(count) * u64::from(key.memory_mb);
            }
        }
        self.environments.set(envs[0], envs[1], envs[2]);
        self.memory_mb.set(memory[0], memory[1], memory[2]);
        self.waiting.set(book.calls_waiting() as f64);
        let leases = book.lease_counts();
        let states = [
            ("granted", leases.granted),
            ("started", leases.started),
            ("returned", leases.returned),
        ];
        for (state, count) in states {
            metrics::environment_leases_total(&self.meters, state).absolute(count);
        }
        for (account, in_use, claimed) in counter.accounts() {
            if self.accounts.len() < limits::ACCOUNTS_METERED_MAX {
                self.accounts.insert(account);
            }
            if !self.accounts.contains(&account) {
                continue;
            }
            let id = account.to_string();
            metrics::account_concurrent_executions(&self.meters, &id).set(f64::from(in_use));
            let unreserved = f64::from(claimed.unreserved_in_flight);
            metrics::unreserved_concurrent_executions(&self.meters, &id).set(unreserved);
            let total = f64::from(claimed.total());
            metrics::claimed_account_concurrency(&self.meters, &id).set(total);
        }
        drop(asked);
    }
}

fn failure(why: Trouble) -> &'static str {
    match why {
        Trouble::Init => "init",
        Trouble::NoRoom => "no_room",
        Trouble::Platform => "platform",
    }
}

fn retired(why: RetireWhy) -> &'static str {
    match why {
        RetireWhy::IdleTtl => "idle_ttl",
        RetireWhy::Evicted => "evicted",
        RetireWhy::KeepBudget => "keep_budget",
        RetireWhy::TenantCap => "tenant_cap",
        RetireWhy::Drained => "drained",
        RetireWhy::Broken => "broken",
        RetireWhy::Surplus => "surplus",
    }
}
