//! Workers of a region: the authority on what exists and runs; they refuse old epochs
//! (I5) and more than their slots.

use model::{Epoch, Hosted, Trouble, WorkerId};

use super::*;

/// From the order to end an environment until its slot is free.
const KILL: Span = Span::millis(2);

#[derive(Debug, Default)]
pub(super) struct Worker {
    slots: u32,
    made: u64,
    envs: std::collections::BTreeSet<EnvId>,
}

#[derive(Debug)]
pub(super) struct Env {
    pub(super) manager: u32,
    key: Arc<PoolKey>,
    /// The highest epoch seen.
    epoch: Epoch,
    /// The epoch of the newest run.
    ran: Option<Epoch>,
    running: bool,
    doomed: bool,
}

impl Region<'_> {
    pub(super) fn start_env(
        &mut self,
        manager: u32,
        start: StartId,
        worker: WorkerId,
        key: Arc<PoolKey>,
    ) {
        let (worker, life) = (worker.0 as u32, self.managers[manager as usize].life);
        let host = &mut self.workers[worker as usize];
        // Less than the manager thought, where a manager of before had begun something.
        if host.slots >= self.config.slots_per_worker {
            let why = Trouble::NoRoom;
            return self.tell_manager(manager, Input::StartFailed { start, why });
        }
        host.slots += 1;
        let function = key.function.as_str()[1..].parse::<usize>().unwrap_or(0);
        let init = self.population.functions[function].init;
        let at = self.now + LINE + init;
        self.heap.push(at, Event::InitDone { manager, life, start, key, worker });
    }

    pub(super) fn init_done(
        &mut self,
        manager: u32,
        life: u32,
        start: StartId,
        key: Arc<PoolKey>,
        worker: u32,
    ) {
        let host = &mut self.workers[worker as usize];
        // Whoever ordered it is no more: it belongs to nobody.
        let owner = &self.managers[manager as usize];
        if owner.life != life || owner.down {
            host.slots -= 1;
            return;
        }
        host.made += 1;
        let env = EnvId::new(WorkerId(u64::from(worker)), host.made);
        host.envs.insert(env);
        let epoch = Epoch(1);
        let made = Env { manager, key, epoch, ran: None, running: false, doomed: false };
        self.envs.insert(env, made);
        self.sum.starts += 1;
        self.sum.environments_max = self.sum.environments_max.max(self.envs.len());
        self.tell_manager(manager, Input::Started { start, env, epoch });
    }

    pub(super) fn run(&mut self, call: u32, ask: u32, grant: Grant) {
        let function = self.calls[call as usize].function;
        let run = self.population.functions[function as usize].run;
        let wanted = self.keys[function as usize].as_ref().map(|(_, key)| Arc::clone(key));
        let accepted = self.envs.get_mut(&grant.env).filter(|env| {
            let old = grant.epoch < env.epoch || env.ran.is_some_and(|ran| grant.epoch <= ran);
            !old && !env.running && !env.doomed
        });
        let Some(env) = accepted else {
            let when = self.hop();
            return self.heap.push(when, Event::RunRefused { call, ask });
        };
        assert_eq!(Some(&env.key), wanted.as_ref(), "I3 broken: call {call}, another key");
        (env.epoch, env.ran, env.running) = (grant.epoch, Some(grant.epoch), true);
        let manager = env.manager;
        self.tell_manager(manager, Input::RunStarted { lease: grant.lease });
        self.heap.push(self.now + run, Event::RunDone { env: grant.env, call, ask });
    }

    pub(super) fn run_done(&mut self, id: EnvId, call: u32, ask: u32) {
        if let Some(env) = self.envs.get_mut(&id) {
            env.running = false;
            let (manager, epoch, doomed) = (env.manager, env.ran.unwrap_or(env.epoch), env.doomed);
            if doomed {
                self.heap.push(self.now + KILL, Event::Killed { env: id });
            } else {
                self.tell_manager(manager, Input::Idle { env: id, epoch });
            }
        }
        let when = self.hop();
        self.heap.push(when, Event::Ran { call, ask });
    }

    pub(super) fn retire_env(&mut self, id: EnvId, epoch: Epoch) {
        let Some(env) = self.envs.get_mut(&id) else { return };
        if epoch < env.epoch {
            // Refused (I5); the manager hears of the newer epoch, now or when the run ends.
            let (manager, epoch) = (env.manager, env.epoch);
            if !env.running && !env.doomed {
                self.tell_manager(manager, Input::Idle { env: id, epoch });
            }
            return;
        }
        env.epoch = epoch;
        if !std::mem::replace(&mut env.doomed, true) && !env.running {
            self.heap.push(self.now + KILL, Event::Killed { env: id });
        }
    }

    pub(super) fn killed(&mut self, id: EnvId) {
        let Some(env) = self.envs.remove(&id) else { return };
        let host = &mut self.workers[id.worker().0 as usize];
        host.envs.remove(&id);
        host.slots -= 1;
        self.tell_manager(env.manager, Input::Gone { env: id });
    }

    /// What a worker hosts for a manager.
    pub(super) fn list(&self, worker: usize, manager: u32) -> Vec<Hosted> {
        let here = self.workers[worker].envs.iter();
        let owned = here.filter_map(|id| Some((*id, self.envs.get(id)?)));
        let owned = owned.filter(|(_, env)| env.manager == manager && !env.doomed);
        let record = |(env, of): (EnvId, &Env)| Hosted {
            env,
            key: Arc::clone(&of.key),
            epoch: of.epoch,
            busy: of.running,
        };
        owned.map(record).collect()
    }
}
