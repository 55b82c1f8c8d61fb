//! The provisioning controller: follows what is asked for in the store, asks managers
//! once a second what changed about their targets, and performs what
//! `decide::provision` says. It chooses nothing.
//!
//! A record is durable before the targets that follow from it are sent, so that
//! epochs go on over a restart (I6). A manager that does not answer, or that is in
//! another life, is taken for lost until it answers: it is told everything again.

mod meter;
mod sets;

use std::{collections::BTreeMap, sync::Arc};

use decide::{
    provision::{Controller, Input, Output},
    ring::Ring,
};
use model::{AccountId, FunctionName, ManagerId, Now, ProvisionedCharge, VersionId};
use platform::{Caller, Clock, Meters, TaskKind, Tasks, meters::Asked, tasks::Stop};
use store::{Followed, Store, schema};
use tokio::sync::mpsc;
use wire::manager::{ManagerAnswer, ManagerCall, ManagerNote, TargetsHeld};

use crate::{
    failure::Failure,
    limits::{PROVISIONING_QUEUE_MAX, TARGETS_PERIOD},
};
use sets::Sets;

pub type ManagerCaller = Caller<ManagerCall, ManagerAnswer, ManagerNote>;

/// Whom the controller speaks to.
#[derive(Clone, Debug)]
pub struct Provisioning {
    pub ring: Ring,
    pub managers: BTreeMap<ManagerId, ManagerCaller>,
}

enum Event {
    Held(ManagerId, TargetsHeld),
    Silent(ManagerId),
    /// Somebody reads the metrics.
    Asked(Asked),
}

/// Runs until the process stops. One per installation.
pub fn start(
    provisioning: Provisioning,
    clock: Clock,
    tasks: &Tasks,
    meters: Meters,
    store: Store,
) {
    let (events, queue) = mpsc::channel(PROVISIONING_QUEUE_MAX);
    for (manager, caller) in &provisioning.managers {
        let ask = ask(*manager, caller.clone(), clock.clone(), events.clone());
        tasks.spawn(TaskKind::Role, "targets of a manager", ask);
    }
    let shell = Shell {
        controller: Controller::new(Arc::new(provisioning.ring)),
        managers: provisioning.managers,
        lives: BTreeMap::new(),
        charges: BTreeMap::new(),
        sets: Sets::new(store.clone(), clock.clone()),
        meter: meter::Meter::new(meters, events),
        clock,
    };
    tasks.spawn(TaskKind::Role, "provisioning controller", shell.run(store, queue, tasks.clone()));
}

/// Asks one manager, again and again.
async fn ask(manager: ManagerId, caller: ManagerCaller, clock: Clock, events: mpsc::Sender<Event>) {
    loop {
        let answer = caller.call(ManagerCall::Targets).await;
        let event = if let Ok(ManagerAnswer::Targets(held)) = answer {
            Event::Held(manager, held)
        } else {
            Event::Silent(manager)
        };
        if events.send(event).await.is_err() {
            return;
        }
        clock.sleep_until(clock.now() + TARGETS_PERIOD).await;
    }
}

type Version = (AccountId, FunctionName, VersionId);

struct Shell {
    controller: Controller,
    managers: BTreeMap<ManagerId, ManagerCaller>,
    /// Of managers that answer.
    lives: BTreeMap<ManagerId, u64>,
    /// What each version is charged, for managers that come back.
    charges: BTreeMap<Version, ProvisionedCharge>,
    sets: Sets,
    meter: meter::Meter,
    clock: Clock,
}

impl Shell {
    async fn run(mut self, store: Store, mut queue: mpsc::Receiver<Event>, tasks: Tasks) {
        if let Err(failure) = self.serve(store, &mut queue, &tasks).await {
            tracing::error!(%failure, "provisioned concurrency can no longer be kept");
            tasks.stop(Stop::Failed { task: "provisioning controller" });
        }
    }

    async fn serve(
        &mut self,
        store: Store,
        queue: &mut mpsc::Receiver<Event>,
        tasks: &Tasks,
    ) -> Result<(), Failure> {
        let mut follow = store.follow(schema::provisioned());
        loop {
            let due = self.controller.deadline();
            let inputs = tokio::select! {
                biased;
                _ = tasks.stopped() => return Ok(()),
                followed = follow.next() => match followed.map_err(unfollowable)? {
                    Followed::All(all) => self.sets.all(all).await?,
                    Followed::Commit(commit) => self.sets.changed(commit.changes).await?,
                },
                event = queue.recv() => match event {
                    Some(event) => self.event(event),
                    None => return Ok(()),
                },
                () = fired(&self.clock, due) => vec![Input::Deadline],
            };
            for input in inputs {
                self.handle(input).await?;
            }
        }
    }

    fn event(&mut self, event: Event) -> Vec<Input> {
        match event {
            Event::Asked(asked) => {
                self.meter.sample(&self.controller, asked);
                Vec::new()
            }
            Event::Silent(manager) => {
                let known = self.lives.remove(&manager);
                known.map(|_| Input::ManagerLost(manager)).into_iter().collect()
            }
            Event::Held(manager, TargetsHeld { life, changed }) => {
                let before = self.lives.insert(manager, life);
                let mut inputs = Vec::new();
                if before != Some(life) {
                    self.charge_anew(manager);
                    inputs.extend(before.map(|_| Input::ManagerLost(manager)));
                }
                inputs.extend(changed.into_iter().map(|report| Input::Report { manager, report }));
                inputs
            }
        }
    }

    async fn handle(&mut self, input: Input) -> Result<(), Failure> {
        let mut outputs = Vec::new();
        self.controller.handle(self.clock.now(), input, &mut outputs);
        for output in outputs {
            match output {
                Output::Record { hash, record } => self.sets.record(hash, record).await?,
                Output::Status { hash, status } => self.sets.status(hash, status).await?,
                Output::Forget { hash } => self.sets.forget(hash).await?,
                Output::SetTarget { manager, target } => {
                    let order = self.sets.order(target);
                    self.note(manager, ManagerNote::SetTarget(Box::new(order)));
                }
                Output::Charge { account, function, version, charge } => {
                    self.charge((account, function, version), charge);
                }
            }
        }
        Ok(())
    }

    /// Every manager is told: which one counts for the account is not known here.
    fn charge(&mut self, of: Version, charge: ProvisionedCharge) {
        for manager in self.managers.keys() {
            self.note(*manager, provision(&of, charge));
        }
        if charge == ProvisionedCharge::default() {
            self.charges.remove(&of);
        } else {
            self.charges.insert(of, charge);
        }
    }

    fn charge_anew(&self, manager: ManagerId) {
        for (of, charge) in &self.charges {
            self.note(manager, provision(of, *charge));
        }
    }

    /// What a full queue does not take is lost like a message on its way: a target is
    /// sent again, a charge with the next life or change.
    fn note(&self, manager: ManagerId, note: ManagerNote) {
        let Some(caller) = self.managers.get(&manager) else { return };
        if caller.try_note(note).is_err() {
            tracing::warn!(%manager, "a manager takes no notes");
        }
    }
}

fn provision(of: &Version, charge: ProvisionedCharge) -> ManagerNote {
    let (account, function, version) = of.clone();
    ManagerNote::Provision { account, function, version, charge }
}

async fn fired(clock: &Clock, due: Option<Now>) {
    match due {
        Some(due) => clock.sleep_until(due).await,
        None => std::future::pending().await,
    }
}

fn unfollowable(error: store::FollowError) -> Failure {
    Failure::Inconsistent(format!("following what is provisioned: {error}"))
}
