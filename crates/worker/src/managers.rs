//! The managers that own environments here. Each hears whenever the way to it has been
//! made: what was said before may be lost, and it asks for the list.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicBool, Ordering::Relaxed},
};

use model::{ManagerId, WorkerId};
use platform::{TaskKind, Tasks, transport::Contact};
use wire::manager::ManagerNote;

use crate::ManagerCaller;

#[derive(Debug)]
pub(crate) struct Managers {
    worker: WorkerId,
    known: BTreeMap<ManagerId, Known>,
    tasks: Tasks,
}

#[derive(Debug)]
struct Known {
    caller: ManagerCaller,
    /// Its way is watched, since it was first spoken to.
    watched: AtomicBool,
}

impl Managers {
    pub(crate) fn new(
        worker: WorkerId,
        callers: BTreeMap<ManagerId, ManagerCaller>,
        tasks: Tasks,
    ) -> Managers {
        let known = |caller| Known { caller, watched: AtomicBool::new(false) };
        let known = callers.into_iter().map(|(id, caller)| (id, known(caller))).collect();
        Managers { worker, known, tasks }
    }

    /// The way to a manager that something is to be said to.
    pub(crate) fn get(&self, manager: ManagerId) -> Option<&ManagerCaller> {
        let known = self.known.get(&manager)?;
        if !known.watched.load(Relaxed) && !known.watched.swap(true, Relaxed) {
            let watch = watch(self.worker, known.caller.clone());
            self.tasks.spawn(TaskKind::Background, "way to a manager", watch);
        }
        Some(&known.caller)
    }
}

/// Until the process ends.
async fn watch(worker: WorkerId, caller: ManagerCaller) {
    let mut contacts = caller.contacts();
    loop {
        match contacts.next().await {
            Contact::Lost => {}
            Contact::Connected(_) => {
                let _ = caller.note(ManagerNote::Back { worker }).await;
            }
        }
    }
}
