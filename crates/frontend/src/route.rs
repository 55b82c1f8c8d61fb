//! Which managers a call is asked of, in which order: the shell around
//! `decide::search`. Frontends hold hints and the sizes of their clients' sets,
//! nothing that could not be lost.

use std::sync::{Mutex, MutexGuard, PoisonError};

use decide::{
    Dice,
    arcs::{self, Bounds, Register},
    ring::Ring,
    search::{Next, Route, Search, Steering},
};
use model::{AccountId, FrontendId, KeyHash, ManagerId, Now};
use wire::manager;

use crate::acquire::Wanted;

/// The ring that this frontend routes by, and what it remembers between calls.
#[derive(Debug)]
pub(crate) struct Router {
    ring: Ring,
    /// Held for single look-ups, never while waiting.
    memory: Mutex<Memory>,
}

#[derive(Debug)]
struct Memory {
    steering: Steering,
    dice: Dice,
}

/// The search of one call, with what it needs from step to step.
#[derive(Debug)]
pub(crate) struct Path {
    search: Search,
    pub(crate) client: u64,
    pub(crate) client_cap: u32,
}

impl Router {
    pub(crate) fn new(frontend: FrontendId, ring: Ring, seed: u64) -> Router {
        let memory = Memory { steering: Steering::new(frontend), dice: Dice::new(seed) };
        Router { ring, memory: Mutex::new(memory) }
    }

    /// The manager whose counter holds an account's limits.
    pub(crate) fn counter(&self, account: AccountId) -> Option<ManagerId> {
        self.ring.owner(arcs::start_of_account(account))
    }

    pub(crate) fn begin(&self, now: Now, wanted: Wanted<'_>, key: KeyHash, limit_max: u32) -> Path {
        let Wanted { callable, tenant, affinity, .. } = wanted;
        let config = &callable.config;
        let client = match tenant {
            Some(tenant) => arcs::start_of_tenant(config.account, &config.name, tenant),
            None => arcs::start_of_account(config.account),
        };
        // A value has one manager, which knows its environment.
        let (client, managers) = match affinity {
            Some(asked) => (arcs::start_of_value(key, &asked.value), self.ring.len().min(1)),
            None => (client, self.ring.len()),
        };
        let bounds = Bounds { limit_max, managers };
        let route = Route { key, start: client, provisioned: None, bounds };
        let search = Search::begin(now, route, &self.ring, &mut self.memory().steering);
        Path { search, client, client_cap: bounds.cap() }
    }

    pub(crate) fn next(&self, now: Now, path: &mut Path) -> Next {
        let mut memory = self.memory();
        let Memory { steering, dice } = &mut *memory;
        path.search.next(now, &self.ring, steering, dice)
    }

    /// What goes with a question about a client's set (A7).
    pub(crate) fn register(&self, path: &Path) -> Option<manager::Register> {
        let Register { epoch, writer, size } = self.memory().steering.register(path.client)?;
        Some(manager::Register { epoch, writer, size })
    }

    pub(crate) fn answered(
        &self,
        now: Now,
        path: &mut Path,
        manager: ManagerId,
        answer: decide::search::Answer,
        register: Option<manager::Register>,
    ) {
        let mut memory = self.memory();
        path.search.answered(manager, answer, &mut memory.steering);
        if let Some(manager::Register { epoch, writer, size }) = register {
            memory.steering.learn(now, path.client, Register { epoch, writer, size });
        }
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
