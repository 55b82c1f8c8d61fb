//! Manager: a ring member. It owns the book of environments of its pool keys and
//! the counter of its accounts' concurrency.
//!
//! The wall: it knows neither the public API nor sandboxes. Every choice is made
//! by `decide`; here are only the mailbox, the timer, and the performing of what
//! was decided.
#![forbid(unsafe_code)]

mod follow;
mod meter;
mod metrics;
mod owner;
mod perform;
mod registers;
mod rings;
mod targets;
mod tenancy;
mod timer;
mod tokens;
mod workers;

use std::collections::BTreeMap;

use model::{ManagerId, WorkerId};
use platform::{Caller, Clock, Inbox, Meters, TaskKind, Tasks};
use store::Store;
use wire::{
    manager::{ManagerAnswer, ManagerCall, ManagerNote},
    worker::{WorkerAnswer, WorkerCall, WorkerNote},
};

pub type ManagerInbox = Inbox<ManagerCall, ManagerAnswer, ManagerNote>;
pub type ManagerCaller = Caller<ManagerCall, ManagerAnswer, ManagerNote>;
pub type WorkerCaller = Caller<WorkerCall, WorkerAnswer, WorkerNote>;

#[derive(Debug)]
pub struct Settings {
    pub manager: ManagerId,
    pub book: decide::book::Config,
    pub workers: BTreeMap<WorkerId, WorkerCaller>,
    /// The other managers: keys move between them (A3).
    pub peers: BTreeMap<ManagerId, ManagerCaller>,
}

/// Starts the owner task of this manager's book and counter.
pub fn start(
    settings: Settings,
    clock: Clock,
    tasks: &Tasks,
    meters: Meters,
    store: Store,
    inbox: ManagerInbox,
) {
    let (events, queue) = owner::events();
    let rings = rings::follow(store.clone(), events.clone(), tasks.clone());
    tasks.spawn(TaskKind::Role, "manager's view of rings", rings);
    let accounts = follow::accounts(store.clone(), events.clone(), tasks.clone());
    tasks.spawn(TaskKind::Role, "manager's view of accounts", accounts);
    let follow = follow::functions(store, events.clone(), tasks.clone());
    tasks.spawn(TaskKind::Role, "manager's view of functions", follow);
    for (worker, caller) in &settings.workers {
        let watch = workers::watch(settings.manager, *worker, caller.clone(), events.clone());
        tasks.spawn(TaskKind::Role, "manager's view of a worker", watch);
    }
    let managers = u32::try_from(settings.peers.len() + 1).unwrap_or(u32::MAX);
    let settings =
        Settings { book: decide::book::Config { managers, ..settings.book }, ..settings };
    let owner = owner::Owner::new(settings, clock, tasks.clone(), meters, events);
    tasks.spawn(TaskKind::Role, "manager", owner.run(inbox, queue));
}
