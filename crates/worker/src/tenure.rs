//! Who owns an environment, and what it does, as its worker tells a manager that
//! asks. Written by the worker's owner task and by the environment's own; each of
//! the three facts has one writer at a time.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use model::ManagerId;

#[derive(Debug)]
pub(crate) struct Tenure {
    manager: AtomicU64,
    initialised: AtomicBool,
    busy: AtomicBool,
}

impl Tenure {
    pub(crate) fn new(manager: ManagerId) -> Tenure {
        Tenure {
            manager: AtomicU64::new(manager.0),
            initialised: AtomicBool::new(false),
            busy: AtomicBool::new(false),
        }
    }

    pub(crate) fn manager(&self) -> ManagerId {
        ManagerId(self.manager.load(Ordering::Relaxed))
    }

    /// Another owner; what the environment says from now on, it says to that one.
    pub(crate) fn pass_to(&self, manager: ManagerId) {
        self.manager.store(manager.0, Ordering::Relaxed);
    }

    pub(crate) fn initialised(&self) {
        self.initialised.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_initialised(&self) -> bool {
        self.initialised.load(Ordering::Relaxed)
    }

    /// A call was accepted for it.
    pub(crate) fn began(&self) {
        self.busy.store(true, Ordering::Relaxed);
    }

    /// It can take the next call.
    pub(crate) fn ended(&self) {
        self.busy.store(false, Ordering::Relaxed);
    }

    pub(crate) fn is_busy(&self) -> bool {
        self.busy.load(Ordering::Relaxed)
    }
}
