//! Fake workers: init and run take the time that the workload says. They are the
//! authority on what exists and what runs, and they refuse old epochs (I5).

use model::{Grant, Hosted, Trouble};

use super::*;

/// From the order to end an environment until its memory is free.
const KILL: Span = Span::millis(2);

#[derive(Debug)]
pub(super) enum Order {
    Start { manager: usize, start: StartId, key: Arc<PoolKey> },
    Retire { env: EnvId, epoch: Epoch },
    Run { call: usize, life: u64, env: EnvId, lease: LeaseId, epoch: Epoch },
}

#[derive(Debug)]
pub(super) enum Done {
    Init { manager: usize, manager_life: u64, start: StartId, key: Arc<PoolKey> },
    Run { env: EnvId, call: usize, life: u64 },
    Killed { env: EnvId },
}

#[derive(Debug)]
struct Env {
    manager: usize,
    key: Arc<PoolKey>,
    /// The highest epoch seen.
    epoch: Epoch,
    /// The epoch of the newest run.
    ran: Option<Epoch>,
    running: Option<usize>,
    doomed: bool,
}

#[derive(Debug, Default)]
pub(super) struct Worker {
    pub(super) life: u64,
    pub(super) down: bool,
    used_mb: u64,
    slots: u32,
    made: u64,
    envs: BTreeMap<EnvId, Env>,
}

impl Worker {
    pub(super) fn owned_by(&self, manager: usize) -> usize {
        self.envs.values().filter(|env| env.manager == manager).count()
    }

    pub(super) fn list(&self, manager: usize) -> Vec<Hosted> {
        let owned = self.envs.iter().filter(|(_, env)| env.manager == manager && !env.doomed);
        let record = |(id, env): (&EnvId, &Env)| Hosted {
            env: *id,
            key: Arc::clone(&env.key),
            epoch: env.epoch,
            busy: env.running.is_some(),
        };
        owned.map(record).collect()
    }

    /// Everything ends at once; the calls that ran, and the memory that is free.
    pub(super) fn die(&mut self) -> (Vec<usize>, u64) {
        self.life += 1;
        self.down = true;
        self.slots = 0;
        let envs = std::mem::take(&mut self.envs);
        let calls = envs.values().filter_map(|env| env.running).collect();
        (calls, std::mem::take(&mut self.used_mb))
    }
}

impl World<'_> {
    pub(super) fn at_worker(&mut self, at: usize, life: u64, order: Order) {
        let here = self.workers[at].life == life && !self.workers[at].down;
        match order {
            Order::Start { manager, start, key } if here => {
                self.start_env(at, manager, start, key);
            }
            Order::Retire { env, epoch } if here => self.retire_env(at, env, epoch),
            Order::Run { call, life, env, lease, epoch } => {
                let accepted = here && self.run_env(at, call, env, lease, epoch);
                if accepted {
                    let run = self.workload.functions[self.calls[call].function].run;
                    let done = Done::Run { env, call, life };
                    let worker_life = self.workers[at].life;
                    let event = Event::InWorker { worker: at, life: worker_life, done };
                    self.heap.push(self.now + run, event);
                } else {
                    let when = self.hop();
                    let word = Word::RunRefused;
                    self.heap.push(when, Event::ToFrontend { call, life, word });
                }
            }
            // To a worker that is not there any more: the manager will hear of it.
            Order::Start { .. } | Order::Retire { .. } => {}
        }
    }

    fn start_env(&mut self, at: usize, manager: usize, start: StartId, key: Arc<PoolKey>) {
        let fails = self.dice.chance(self.config.faults.start_fails_per_mille, 1_000);
        let init_fails = self.dice.chance(self.config.faults.init_fails_per_mille, 1_000);
        let worker = &mut self.workers[at];
        let memory_mb = key.memory_mb;
        let room = worker.used_mb + u64::from(memory_mb) <= self.config.worker_memory_mb
            && worker.slots < self.config.worker_slots;
        let failure = match (room, fails, init_fails) {
            (false, ..) => Some(Trouble::NoRoom),
            (true, true, _) => Some(Trouble::Platform),
            (true, false, true) => Some(Trouble::Init),
            (true, false, false) => None,
        };
        if let Some(why) = failure {
            return self.tell_manager(at, manager, Input::StartFailed { start, why });
        }
        worker.used_mb += u64::from(memory_mb);
        worker.slots += 1;
        let life = worker.life;
        self.tally.memory_taken(u64::from(memory_mb));
        let manager_life = self.managers[manager].life;
        let function = self.keys.iter().position(|(_, known)| **known == *key);
        let init = function.map_or(Span::ZERO, |f| self.workload.functions[f].init);
        let done = Done::Init { manager, manager_life, start, key };
        self.heap.push(self.now + init, Event::InWorker { worker: at, life, done });
    }

    pub(super) fn in_worker(&mut self, at: usize, done: Done) {
        match done {
            Done::Init { manager, manager_life, start, key } => {
                self.init_done(at, manager, manager_life, start, key);
            }
            Done::Run { env, call, life } => self.run_done(at, env, call, life),
            Done::Killed { env } => {
                if let Some(gone) = self.workers[at].envs.remove(&env) {
                    self.free(at, gone.key.memory_mb);
                    self.tell_manager(at, gone.manager, Input::Gone { env });
                }
            }
        }
    }

    fn init_done(
        &mut self,
        at: usize,
        manager: usize,
        manager_life: u64,
        start: StartId,
        key: Arc<PoolKey>,
    ) {
        // Whoever ordered it is no more: it belongs to nobody.
        if self.managers[manager].life != manager_life {
            return self.free(at, key.memory_mb);
        }
        let worker = &mut self.workers[at];
        worker.made += 1;
        let env = EnvId::new(model::WorkerId(at as u64), worker.made);
        let epoch = Epoch(1);
        let made = Env { manager, key, epoch, ran: None, running: None, doomed: false };
        worker.envs.insert(env, made);
        self.tell_manager(at, manager, Input::Started { start, env, epoch });
    }

    fn free(&mut self, at: usize, memory_mb: u32) {
        let worker = &mut self.workers[at];
        worker.used_mb -= u64::from(memory_mb);
        worker.slots -= 1;
        self.tally.memory_freed(u64::from(memory_mb));
    }

    pub(super) fn send_run(&mut self, call: usize, _manager: usize, grant: &Grant) {
        let worker = grant.worker.0 as usize;
        let (env, lease, epoch) = (grant.env, grant.lease, grant.epoch);
        let (at, life) = (self.hop(), self.workers[worker].life);
        let order = Order::Run { call, life: self.calls[call].life, env, lease, epoch };
        self.heap.push(at, Event::ToWorker { worker, life, order });
    }

    /// Whether the worker accepts the lease.
    fn run_env(&mut self, at: usize, call: usize, id: EnvId, lease: LeaseId, epoch: Epoch) -> bool {
        let wanted = self.keys[self.calls[call].function].0;
        let Some(env) = self.workers[at].envs.get_mut(&id) else { return false };
        let old = epoch < env.epoch || env.ran.is_some_and(|ran| epoch <= ran);
        if old || env.running.is_some() || env.doomed {
            self.log.line(self.now, format_args!("worker {at} refuses {lease} on {id}"));
            return false;
        }
        assert_eq!(
            env.key.hash(),
            wanted,
            "I3 broken: call {call} in an environment of another key"
        );
        env.epoch = epoch;
        env.ran = Some(epoch);
        env.running = Some(call);
        let manager = env.manager;
        self.tell_manager(at, manager, Input::RunStarted { lease });
        true
    }

    fn run_done(&mut self, at: usize, id: EnvId, call: usize, life: u64) {
        let Some(env) = self.workers[at].envs.get_mut(&id) else { return };
        env.running = None;
        let (manager, epoch, doomed) = (env.manager, env.ran.unwrap_or(env.epoch), env.doomed);
        if doomed {
            self.kill(at, id);
        } else {
            self.tell_manager(at, manager, Input::Idle { env: id, epoch });
        }
        let when = self.hop();
        self.heap.push(when, Event::ToFrontend { call, life, word: Word::Ran });
    }

    fn retire_env(&mut self, at: usize, id: EnvId, epoch: Epoch) {
        let Some(env) = self.workers[at].envs.get_mut(&id) else { return };
        if epoch < env.epoch {
            // Refused (I5); the manager hears of the newer epoch, now or when the run ends.
            let (manager, epoch) = (env.manager, env.epoch);
            if env.running.is_none() && !env.doomed {
                self.tell_manager(at, manager, Input::Idle { env: id, epoch });
            }
            return;
        }
        env.epoch = epoch;
        if !std::mem::replace(&mut env.doomed, true) && env.running.is_none() {
            self.kill(at, id);
        }
    }

    fn kill(&mut self, at: usize, env: EnvId) {
        let life = self.workers[at].life;
        let done = Done::Killed { env };
        self.heap.push(self.now + KILL, Event::InWorker { worker: at, life, done });
    }
}
