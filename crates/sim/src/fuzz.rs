//! One book under random transitions, beside the reference model. The transitions
//! include what never should happen: messages told twice, late, or about what is
//! long gone. A seed that fails is committed to `seeds.txt` and stays a test.

use std::{fmt, sync::Arc};

use decide::{
    Book, Dice,
    book::{
        Acquire, Config, Input, Mode, Outcome as LeaseOutcome, Outputs, Routed, StartId, Ticket,
        Whose,
    },
};
use model::{Capacity, EnvId, Epoch, KeyHash, LeaseId, Now, PoolKey, Span, WorkerId};

use crate::{
    Workload,
    log::Log,
    reference::{Doing, FAILURES, Reference, Rules},
    run,
    world::key_of_revision,
};

const STEPS: usize = 600;
const WORKER: WorkerId = WorkerId(3);

/// Where the book and the model parted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parted {
    pub seed: u64,
    pub step: usize,
    pub input: String,
    pub what: String,
}

impl fmt::Display for Parted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "seed {}, step {}: {} on {}", self.seed, self.step, self.what, self.input)
    }
}

impl std::error::Error for Parted {}

struct Player {
    dice: Dice,
    now: Now,
    keys: Vec<(KeyHash, Arc<PoolKey>)>,
    tickets: u64,
    envs: u64,
    /// Leases that were granted once, for messages that come late.
    old_leases: Vec<LeaseId>,
}

/// Plays one seed; the digest of everything that the book said.
pub fn play(seed: u64) -> Result<u128, Parted> {
    let mut dice = Dice::new(seed);
    let memory_mb = if dice.chance(1, 2) { 1_500 } else { 1 << 20 };
    let patience = dice.chance(1, 2);
    let config = Config { patience, ..Config::default() };
    let (idle_ttl, lease_ttl) = (config.idle_ttl, config.lease_ttl);
    let mut model = Reference::new(Rules { idle_ttl, lease_ttl, memory_mb, patience });
    let mut book = Book::new(config);
    let keys = (0..3).map(key_of_revision).map(|key| (key.hash(), Arc::new(key))).collect();
    let old_leases = Vec::new();
    let mut player = Player { dice, now: Now(0), keys, tickets: 0, envs: 0, old_leases };
    let mut log = Log::new(false, false);
    let mut out = Outputs::new();
    let architecture = model::function::Architecture::X86_64;
    let capacity = Capacity { memory_mb, slots: 1_000, architecture };
    book.handle(player.now, Input::WorkerOffers { worker: WORKER, capacity }, &mut out);
    for step in 0..STEPS {
        let input = player.choose(&model);
        book.handle(player.now, input.clone(), &mut out);
        log.line(player.now, format_args!("{out:?}"));
        let verdict = model.judge(player.now, &input, &out, &book);
        verdict.map_err(|what| Parted { seed, step, input: format!("{input:?}"), what })?;
        out.clear();
    }
    Ok(log.digest())
}

/// Plays a whole random world with faults; panics where an invariant breaks.
pub fn play_world(seed: u64, echo_log: bool) -> crate::Outcome {
    let mut dice = Dice::new(seed);
    let config = crate::Config { echo_log, ..crate::Config::random(&mut dice) };
    let workload = Workload::random(&mut dice, 6, 400);
    run(&config, &workload, seed)
}

impl Player {
    fn choose(&mut self, model: &Reference) -> Input {
        let leases = model.envs.iter().filter_map(|env| env.lease);
        self.old_leases
            .extend(leases.filter(|lease| !self.old_leases.contains(lease)).collect::<Vec<_>>());
        match self.dice.below(100) {
            0..=29 => self.acquire(),
            30..=44 => self.finish_start(model),
            45..=59 => self.lease_message(|lease, _| Input::RunStarted { lease }, model),
            60..=74 => {
                self.lease_message(|lease, outcome| Input::Released { lease, outcome }, model)
            }
            75..=82 => self.idle(model),
            83..=87 => self.gone(model),
            88..=90 => self.cancel(model),
            91 => self.retire(),
            _ => self.pass(),
        }
    }

    fn acquire(&mut self) -> Input {
        self.tickets += 1;
        let (hash, key) = self.pick_key();
        let mode = if self.dice.chance(1, 5) { Mode::Existing } else { Mode::ExistingOrNew };
        let wait = Span::millis(1 + self.dice.below(20_000));
        let (ticket, deadline) = (Ticket(self.tickets), self.now + wait);
        let (client_cap, routed, affinity) = (u32::MAX, Routed::default(), None);
        let ask = Acquire { ticket, hash, key, mode, deadline, client_cap, routed, affinity };
        Input::Acquire(ask)
    }

    fn finish_start(&mut self, model: &Reference) -> Input {
        let sent: Vec<StartId> = model.starts.iter().filter(|s| s.sent).map(|s| s.start).collect();
        let Some(start) = self.pick(&sent) else { return self.acquire() };
        if self.dice.chance(1, 6) {
            let why = FAILURES[self.dice.below(3) as usize];
            return Input::StartFailed { start, why };
        }
        self.envs += 1;
        let env = EnvId::new(WORKER, self.envs);
        Input::Started { start, env, epoch: Epoch(1 + self.dice.below(3)) }
    }

    /// About a lease that is open, or in one of eight cases about any that ever was.
    fn lease_message(
        &mut self,
        message: fn(LeaseId, LeaseOutcome) -> Input,
        model: &Reference,
    ) -> Input {
        let open: Vec<LeaseId> = model.envs.iter().filter_map(|env| env.lease).collect();
        let late = self.dice.chance(1, 8);
        let old = std::mem::take(&mut self.old_leases);
        let lease = if late { self.pick(&old) } else { self.pick(&open) };
        self.old_leases = old;
        let outcome = match self.dice.below(8) {
            0 => LeaseOutcome::Broken,
            1 => LeaseOutcome::NotStarted,
            _ => LeaseOutcome::Reusable,
        };
        lease.map_or_else(|| self.acquire(), |lease| message(lease, outcome))
    }

    fn idle(&mut self, model: &Reference) -> Input {
        let known: Vec<(EnvId, Epoch)> = model.envs.iter().map(|e| (e.env, e.epoch)).collect();
        let Some((env, epoch)) = self.pick(&known) else { return self.acquire() };
        let epoch = match self.dice.below(8) {
            0 | 1 => Epoch(epoch.0.saturating_sub(1)),
            2 => epoch.next(),
            _ => epoch,
        };
        Input::Idle { env, epoch }
    }

    fn gone(&mut self, model: &Reference) -> Input {
        let leaving = |doing| doing == Doing::Leaving;
        let any = self.dice.chance(1, 5);
        let envs = model.envs.iter().filter(|env| any || leaving(env.doing));
        let envs: Vec<EnvId> = envs.map(|env| env.env).collect();
        self.pick(&envs).map_or(Input::Gone { env: EnvId(1) }, |env| Input::Gone { env })
    }

    fn cancel(&mut self, model: &Reference) -> Input {
        let waiting: Vec<Ticket> = model.waiters.iter().map(|waiter| waiter.ticket).collect();
        let ticket = self.pick(&waiting).unwrap_or(Ticket(u64::MAX));
        Input::Cancel { ticket }
    }

    fn retire(&mut self) -> Input {
        let (keep, key) = self.pick_key();
        let (account, function) = (key.account, key.function.clone());
        Input::Retire(Whose { account, function, version: None, keep: Some(keep) })
    }

    fn pass(&mut self) -> Input {
        let longest = if self.dice.chance(1, 10) { 700_000_000 } else { 1_500_000 };
        self.now += Span::micros(self.dice.below(longest));
        Input::Deadline
    }

    fn pick_key(&mut self) -> (KeyHash, Arc<PoolKey>) {
        let at = self.dice.below(self.keys.len() as u64) as usize;
        self.keys[at].clone()
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> Option<T> {
        let at = self.dice.below(from.len() as u64) as usize;
        from.get(at).copied()
    }
}
