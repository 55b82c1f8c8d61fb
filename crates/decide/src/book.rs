//! The book: which environments of its pool keys are idle, and who gets which.
//! Authority on idle and busy; not on existence (the worker) and not on limits
//! (`admit`). On the path it answers an `Acquire` after probing chose this manager.
//!
//! The parts, each a file with its own invariant: `envs`, `pools`, `waiting`, `starts`,
//! `turns` from grant to the next, `supply` starting and making room, `tokens` whether
//! they may, `target` what is provisioned, `tenants`, `affinity`, `values` of affinity
//! that others had, `taking` and `giving` the two sides of a handoff, `fleet` what
//! workers say. `place` chooses workers, `CreateGate` limits.
//! Most recently used first, so that the tail of a peak goes cold and is reclaimed
//! (A5). The warm path allocates nothing.

mod affinity;
mod envs;
mod fleet;
mod giving;
mod message;
mod pools;
mod starts;
mod supply;
mod taking;
mod target;
mod tenants;
mod tokens;
mod turns;
mod values;
mod waiting;

use alloc::{collections::VecDeque, vec::Vec};

use model::{
    AccountId, Attrs, Class, FunctionName, KeyHash, Load, Now, PoolKey, Reason, Span,
    check_invariant, invariant, limits,
};

pub use message::{
    Acquire, Input, Mode, Outcome, Output, Outputs, Reply, Routed, StartId, Target, TenantRules,
    Ticket, Whose, Why,
};

use crate::{
    admit::{CreateGate, Tokens},
    affinity::Table,
    fact::Fact,
    handoff::{Asks, Departed, Gives},
    keep::Kept,
    place::Place,
};
use envs::Envs;
use pools::Pools;
use starts::Starts;
use taking::Settings;
use target::Targets;
use tenants::Tenants;
use values::Values;
use waiting::{Waiter, Waiting};

/// A start that was not answered by then is taken as failed: longer than any init.
const START_TTL: Span = Span::secs(limits::TIMEOUT_SECS_MAX as u64 + 60);

/// Keys named as the busiest of a book; those behind them are left out.
const BUSIEST_MAX: usize = 1_024;

/// Settings of one book.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    pub idle_ttl: Span,
    /// The same for environments that are bound to a tenant (A9).
    pub tenant_idle_ttl: Span,
    /// Bytes that environments of one account may store here (A8).
    pub keep_bytes_max: u64,
    pub lease_ttl: Span,
    /// First number of this book's leases and starts; after a restart larger than any
    /// before. 40 bits count.
    pub first_lease: u64,
    /// The create bucket of each function: size, and tokens per second.
    pub create_tokens: (u32, u32),
    /// Managers among which a bucket is divided while its home cannot be reached.
    pub managers: u32,
    /// Whether a call may hope for an environment that others use or wait for; if
    /// not, each waiting call has a start.
    pub patience: bool,
    /// How long a surplus of provisioned environments is kept unused.
    pub drain_after: Span,
    /// Starts in flight for one provisioned target.
    pub provisioned_starts: u32,
}

impl Config {
    /// The settings of the ring version that decided for the key go before our own.
    fn idle_ttl_of(&self, key: &PoolKey, attrs: Option<&Attrs>) -> Span {
        let ttl = attrs.map_or(self.idle_ttl, Attrs::idle_ttl);
        if key.tenant.is_some() { ttl.min(self.tenant_idle_ttl) } else { ttl }
    }

    fn hope(&self, pool: &pools::Pool, now: Now) -> usize {
        if self.patience { pool.hope(now) } else { pool.starting() }
    }
}

impl Default for Config {
    fn default() -> Config {
        Config {
            idle_ttl: limits::IDLE_TTL,
            tenant_idle_ttl: limits::TENANT_IDLE_TTL,
            keep_bytes_max: limits::KEEP_BYTES_MAX,
            lease_ttl: limits::ENV_LEASE_TTL,
            first_lease: 0,
            create_tokens: (limits::CREATE_TOKENS_MAX, limits::CREATE_TOKENS_PER_SEC),
            managers: 1,
            patience: true,
            drain_after: limits::DRAIN_AFTER,
            provisioned_starts: limits::PROVISIONED_STARTS_MAX,
        }
    }
}

/// Every lease ever granted, by what became of it (I2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LeaseCounts {
    pub granted: u64,
    pub started: u64,
    pub returned: u64,
}

#[derive(Debug)]
pub struct Book {
    config: Config,
    envs: Envs,
    pools: Pools,
    waiting: Waiting,
    starts: Starts,
    targets: Targets,
    tenants: Tenants,
    affinity: Table,
    values: Values,
    kept: Kept,
    settings: Settings,
    asks: Asks,
    gives: Gives,
    departed: Departed,
    place: Place,
    gate: CreateGate,
    tokens: Tokens<starts::Start>,
    leases: LeaseCounts,
}

impl Book {
    pub fn new(config: Config) -> Book {
        let (size, per_sec) = config.create_tokens;
        Book {
            config,
            envs: Envs::new(config.first_lease),
            pools: Pools::default(),
            waiting: Waiting::default(),
            starts: Starts::new(config.first_lease),
            targets: Targets::default(),
            tenants: Tenants::default(),
            affinity: Table::default(),
            values: Values::default(),
            kept: Kept::default(),
            settings: Settings::default(),
            asks: Asks::default(),
            gives: Gives::default(),
            departed: Departed::default(),
            place: Place::new(),
            gate: CreateGate::new(size, per_sec),
            tokens: Tokens::new(config.create_tokens, config.managers),
            leases: LeaseCounts::default(),
        }
    }

    /// Takes one input and appends what has to be done, in order.
    pub fn handle(&mut self, now: Now, input: Input, out: &mut Outputs) {
        match input {
            Input::Acquire(ask) => match ask.affinity {
                None => self.acquire_any(now, ask, out),
                Some(asked) => self.acquire_by_value(now, now, ask, asked, out),
            },
            Input::Cancel { ticket } => self.cancel(now, ticket, out),
            Input::Started { start, env, epoch } => self.started(now, start, env, epoch, out),
            Input::StartFailed { start, why } => self.start_failed(now, start, why, out),
            Input::RunStarted { lease } => self.run_started(now, lease, out),
            Input::Released { lease, outcome } => self.released(now, lease, outcome, out),
            Input::Idle { env, epoch } => self.idle(now, env, epoch, out),
            Input::Gone { env } => self.gone(now, env, out),
            Input::Retire(whose) => self.retire_whose(now, &whose, out),
            Input::Stores { env, bytes } => self.stores(now, env, bytes, out),
            Input::Affinity(record) => self.take_affinity(now, record),
            Input::TenantRules(rules) => self.tenants.rule(rules),
            Input::WorkerOffers { worker, capacity } => {
                self.place.offer(worker, capacity);
                self.place_waiting(now, out);
            }
            Input::WorkerDrains { worker } => self.worker_drains(now, worker, out),
            Input::WorkerLost { worker } => self.worker_lost(now, worker, out),
            Input::Rebuild { worker, envs } => self.rebuild(now, worker, envs, out),
            Input::SetTarget(target) => self.set_target(now, target, out),
            Input::Ring { v, attrs } => self.settings.learn(v, attrs),
            Input::Hear { from, word } => self.hear(now, from, word, out),
            Input::Owned(moved) => self.take(now, moved, out),
            Input::Transferred { env, epoch, to } => self.transferred(now, env, epoch, to, out),
            Input::TransferRefused { env, epoch } => self.transfer_refused(now, env, epoch, out),
            Input::Tokens { whose, seq, given } => {
                self.tokens_answered(now, &whose, seq, given, out);
            }
            Input::Deadline => self.due(now, out),
        }
        self.readmit_orphans(now, out);
        self.pursue_touched(now, out);
        self.check();
    }

    /// The next instant at which `Input::Deadline` is due, and the reason.
    pub fn deadline(&self) -> Option<(Now, Why)> {
        let lease = self.envs.oldest_granted();
        let idle = self.envs.next_idle_out();
        let call = self.waiting.next_deadline();
        let start = self.starts.oldest();
        let hope = self.waiting.next_impatient();
        let due = [
            lease.map(|(_, since)| (since + self.config.lease_ttl, Why::LeaseExpiry)),
            call.map(|(at, _)| (at, Why::CallerDeadline)),
            start.map(|(_, since)| (since + START_TTL, Why::StartOverdue)),
            hope.map(|(at, _)| (at, Why::Patience)),
            self.asks.due().map(|(at, _)| (at, Why::Handoff)),
            self.gives.due().map(|(at, ..)| (at, Why::Handoff)),
            self.tokens.due().map(|(at, ..)| (at, Why::Tokens)),
            self.affinity.deadline().map(|at| (at, Why::Affinity)),
            self.values.due().map(|at| (at, Why::Affinity)),
            self.targets.tick_at().map(|at| (at, Why::TargetTick)),
            idle.map(|(_, due, _)| (due, Why::IdleTtl)),
        ];
        due.into_iter().flatten().min()
    }

    pub fn load(&self, key: KeyHash) -> Load {
        self.pools.get(key).map(pools::Pool::load).unwrap_or_default()
    }

    /// The keys with the most calls, running or waiting, the busiest first; of all keys
    /// that have any, where those are not too many (A4.5).
    pub fn busiest(&self) -> Vec<(KeyHash, u32)> {
        let calls = |load: Load| load.busy.saturating_add(load.waiting);
        let pools = self.pools.iter().map(|(hash, pool)| (hash, calls(pool.load())));
        let mut busy: Vec<(KeyHash, u32)> = pools.filter(|(_, calls)| *calls > 0).collect();
        busy.sort_by_key(|(hash, calls)| (core::cmp::Reverse(*calls), *hash));
        busy.truncate(BUSIEST_MAX);
        busy
    }

    /// Every pool with its load, in the order of their hashes.
    pub fn pools(&self) -> impl Iterator<Item = (&PoolKey, Load)> {
        self.pools.iter().map(|(_, pool)| (&*pool.key, pool.load()))
    }

    pub fn knows(&self, env: model::EnvId) -> bool {
        self.envs.seat_of(env).is_some()
    }

    /// Environments in the book, in any state.
    pub fn environments(&self) -> usize {
        self.envs.len()
    }

    /// Environments, starts and waiting calls: with any of them a manager may not exit.
    pub fn obligations(&self) -> usize {
        self.envs.len() + self.starts.len() + self.waiting.len()
    }

    pub fn calls_waiting(&self) -> usize {
        self.waiting.len() + self.affinity.insisting() + self.values.waiting()
    }

    pub fn lease_counts(&self) -> LeaseCounts {
        self.leases
    }

    /// Granted, running or waiting calls of an account at this manager (A6).
    pub fn client_calls(&self, account: AccountId) -> u32 {
        self.pools.client_calls(account)
    }

    /// Starts and environments of a function that are bound to tenants, without those
    /// that leave (A9).
    pub fn tenant_environments(&self, account: AccountId, function: &FunctionName) -> u32 {
        self.tenants.environments(account, function)
    }

    pub fn place(&self) -> &Place {
        &self.place
    }

    fn acquire_any(&mut self, now: Now, ask: Acquire, out: &mut Outputs) {
        let Acquire { ticket, hash, .. } = ask;
        let client = pools::client_of(&ask.key);
        let load = self.load(hash);
        if self.throttle(&ask, out) {
            return;
        }
        let idle = self.pools.get_mut(hash).and_then(|pool| {
            pool.routed(ask.routed.by);
            let same = alloc::sync::Arc::ptr_eq(&pool.key, &ask.key) || pool.key == ask.key;
            check_invariant!(invariant::I3, same, "two keys of hash {hash:?}");
            pool.shelf.first().filter(|_| same)
        });
        let free = match idle {
            Some(seat) => Ok(Some(seat)),
            None => self.take_generic(hash, &ask.key, now, out),
        };
        match (free, ask.mode) {
            (Ok(Some(seat)), _) => {
                self.pools.client_came(client);
                self.grant(now, seat, ticket, turns::Waited::NONE, out);
            }
            (Err((reason, wait)), Mode::ExistingOrNew) => refuse(ticket, hash, reason, wait, out),
            (Ok(None), _) if self.ask_predecessors(now, &ask, out) => {
                self.await_predecessors(now, ask, out);
            }
            // Provisioned ones are made by their target alone.
            (Ok(None), Mode::ExistingOrNew) if ask.key.class == Class::OnDemand => {
                self.wait(now, ask, out);
            }
            (Ok(None) | Err(_), Mode::Existing) | (Ok(None), Mode::ExistingOrNew) => {
                out.push(Output::Fact(Fact::Missed { ticket, key: hash }));
                out.push(Output::Reply { ticket, reply: Reply::NoIdle(load) });
            }
        }
    }

    /// Whether this manager has as many calls of the client or of the key as it may.
    fn throttle(&self, ask: &Acquire, out: &mut Outputs) -> bool {
        let Acquire { ticket, hash, .. } = *ask;
        let client_calls = |client| self.pools.client_calls(client);
        let client = pools::client_of(&ask.key);
        let full = client.is_some_and(|client| client_calls(client) >= ask.client_cap);
        let full = full || self.key_is_full(ask);
        if full {
            let account = ask.key.account;
            out.push(Output::Fact(Fact::Throttled { ticket, account }));
            out.push(Output::Reply { ticket, reply: Reply::Throttle(self.load(hash)) });
        }
        full
    }

    /// Puts the call in its pool's queue: with a start of its own, or with the hope
    /// for what the pool has.
    fn wait(&mut self, now: Now, ask: Acquire, out: &mut Outputs) {
        let Acquire { ticket, hash, key, deadline, routed, .. } = ask;
        let pool = self.pools.open(hash, &key);
        pool.routed(routed.by);
        let ahead = pool.queue.len();
        self.learn_home(now, &key, routed.home);
        let source = if ahead >= limits::WAITERS_MAX {
            Err((Reason::NoCapacity, Span::ZERO))
        } else {
            self.source(now, hash, &key, supply::First { ticket }, ahead, out)
        };
        match source {
            Ok((start, patient_until)) => {
                self.pools.client_came(pools::client_of(&key));
                let waiter =
                    Waiter { key: hash, since: now, deadline, patient_until, asking: None };
                self.waiting.add(ticket, waiter);
                if let Some(pool) = self.pools.get_mut(hash) {
                    pool.queue.push_back(ticket);
                }
                out.push(Output::Fact(Fact::Waiting { ticket, key: hash, start }));
            }
            Err((reason, retry_after)) => {
                self.pools.close_if_empty(hash);
                refuse(ticket, hash, reason, retry_after, out);
            }
        }
    }

    fn cancel(&mut self, now: Now, ticket: Ticket, out: &mut Outputs) {
        if self.cancel_insisting(now, ticket, out) {
            return;
        }
        if self.end_wait(now, ticket, true, out).is_none() {
            out.push(Output::Fact(Fact::Stale { env: None, lease: None }));
        }
    }

    /// Takes a call out of its queue; the start that it caused may become stock.
    fn end_wait(
        &mut self,
        now: Now,
        ticket: Ticket,
        cancelled: bool,
        out: &mut Outputs,
    ) -> Option<KeyHash> {
        let waiter = self.waiting.remove(ticket)?;
        self.affinity.ended(ticket);
        if let Some(pool) = self.pools.get_mut(waiter.key) {
            drop_from(&mut pool.queue, ticket);
            let client = pool.client();
            self.pools.client_left(client);
        }
        let waited = now.since(waiter.since);
        out.push(Output::Fact(Fact::WaitEnded { ticket, key: waiter.key, waited, cancelled }));
        self.drop_spare_starts(waiter.key, out);
        self.pools.close_if_empty(waiter.key);
        Some(waiter.key)
    }

    /// Everything whose instant has come.
    fn due(&mut self, now: Now, out: &mut Outputs) {
        while let Some((at, why)) = self.deadline()
            && at <= now
        {
            match why {
                Why::LeaseExpiry => self.expire_lease(now, out),
                Why::CallerDeadline => self.expire_call(now, out),
                Why::StartOverdue => self.expire_start(now, out),
                Why::Patience => self.expire_patience(now, out),
                Why::Handoff => self.handoff_due(now, out),
                Why::Tokens => self.tokens_due(now, out),
                Why::Affinity => {
                    self.values_due(now, out);
                    self.affinity_due(now, out);
                    self.readmit_orphans(now, out);
                }
                Why::TargetTick => self.tick_targets(now, out),
                Why::IdleTtl => self.expire_idle(now, out),
            }
        }
    }

    fn handoff_due(&mut self, now: Now, out: &mut Outputs) {
        if let Some((_, hash)) = self.asks.due().filter(|(at, _)| *at <= now) {
            self.round_over(now, hash, out);
        } else if let Some((_, hash, asker)) = self.gives.due() {
            self.give_due(hash, asker, out);
        }
    }

    fn expire_call(&mut self, now: Now, out: &mut Outputs) {
        let Some((_, ticket)) = self.waiting.next_deadline() else { return };
        if let Some(key) = self.end_wait(now, ticket, false, out) {
            refuse(ticket, key, Reason::NoCapacity, Span::ZERO, out);
        }
    }

    fn check(&self) {
        let LeaseCounts { granted, started, returned } = self.leases;
        let open = u64::from(self.envs.granted());
        check_invariant!(
            invariant::I2,
            granted == started + returned + open,
            "granted {granted}, started {started}, returned {returned}, open {open}"
        );
    }
}

fn drop_from(queue: &mut VecDeque<Ticket>, ticket: Ticket) {
    if let Some(at) = queue.iter().position(|other| *other == ticket) {
        queue.remove(at);
    }
}

fn refuse(ticket: Ticket, key: KeyHash, reason: Reason, retry_after: Span, out: &mut Outputs) {
    out.push(Output::Fact(Fact::Refused { ticket, key, reason }));
    out.push(Output::Reply { ticket, reply: Reply::Refused { reason, retry_after } });
}
