//! Which managers a call is asked of, in which order: the shell around
//! `decide::search`. Frontends hold hints and the sizes of their clients' sets,
//! nothing that could not be lost.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Mutex, MutexGuard, PoisonError},
};

use decide::{
    Dice,
    arcs::{self, Bounds, Register, RingArc},
    book,
    ring::Ring,
    route::{self, SetRecord, SetView, THETA_PERCENT},
    search::{self, Next, Route, Search, Steering},
};
use model::{AccountId, FrontendId, KeyHash, ManagerId, Now, limits};
use wire::manager;

use crate::{acquire::Wanted, view::Callable};

/// The ring that this frontend routes by, and what it remembers between calls.
#[derive(Debug)]
pub(crate) struct Router {
    frontend: FrontendId,
    /// All of them, this one included.
    frontends: Vec<FrontendId>,
    ring: Ring,
    /// Held for single look-ups, never while waiting.
    memory: Mutex<Memory>,
}

#[derive(Debug)]
struct Memory {
    steering: Steering,
    dice: Dice,
    /// What each account may have in flight, as its counter last said.
    limits: HashMap<AccountId, u32>,
    /// Whose the sets are that are wider than one manager.
    wide: HashMap<u64, AccountId>,
    /// Provisioned sets, by their pools.
    sets: HashMap<KeyHash, SetView>,
}

/// What came with a manager's answer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Told {
    pub(crate) set: search::Set,
    pub(crate) load: Option<book::Load>,
    pub(crate) register: Option<manager::Register>,
}

/// A set that this frontend may shrink.
#[derive(Clone, Debug)]
pub(crate) struct WideSet {
    pub(crate) account: AccountId,
    pub(crate) arc: RingArc,
    pub(crate) members: Vec<ManagerId>,
}

/// The search of one call, with what it needs from step to step.
#[derive(Debug)]
pub(crate) struct Path {
    search: Search,
    /// The pool of the version's provisioned set, where that is asked first.
    pub(crate) set: Option<KeyHash>,
    pub(crate) client: u64,
    pub(crate) client_cap: u32,
}

impl Router {
    pub(crate) fn new(
        frontend: FrontendId,
        frontends: Vec<FrontendId>,
        ring: Ring,
        seed: u64,
    ) -> Router {
        let memory = Memory {
            steering: Steering::new(frontend),
            dice: Dice::new(seed),
            limits: HashMap::new(),
            wide: HashMap::new(),
            sets: HashMap::new(),
        };
        Router { frontend, frontends, ring, memory: Mutex::new(memory) }
    }

    /// The sets whose home is here.
    pub(crate) fn wide_sets(&self) -> Vec<WideSet> {
        let mut memory = self.memory();
        let Memory { steering, wide, .. } = &mut *memory;
        wide.retain(|start, _| steering.size(*start) > 1);
        let own = |arc: &RingArc| search::home(arc.start, &self.frontends) == Some(self.frontend);
        let set = |arc: RingArc| {
            let mut members = Vec::new();
            self.ring.members(arc.start, arc.size, &mut members);
            Some(WideSet { account: *wide.get(&arc.start)?, arc, members })
        };
        steering.wide_sets().filter(own).filter_map(set).collect()
    }

    /// `in_flight`: of the set's account at each of its members.
    pub(crate) fn shrink(&self, now: Now, set: &WideSet, in_flight: &[u32]) -> bool {
        let mut memory = self.memory();
        let bounds = self.bounds(&memory, set.account);
        memory.steering.shrink(now, set.arc.start, in_flight, bounds)
    }

    /// What a counter said of an account.
    pub(crate) fn learn_limit(&self, account: AccountId, limit_max: u32) {
        self.memory().limits.insert(account, limit_max);
    }

    fn bounds(&self, memory: &Memory, account: AccountId) -> Bounds {
        let limit_max = memory.limits.get(&account).copied();
        let limit_max = limit_max.unwrap_or(limits::ACCOUNT_CONCURRENCY_DEFAULT);
        Bounds { limit_max, managers: self.ring.len() }
    }

    /// The manager whose counter holds an account's limits.
    pub(crate) fn counter(&self, account: AccountId) -> Option<ManagerId> {
        self.ring.owner(arcs::start_of_account(account))
    }

    /// `in_version`: calls of the version in flight, this one included, where the
    /// counter has said.
    pub(crate) fn begin(
        &self,
        now: Now,
        wanted: Wanted<'_>,
        key: KeyHash,
        in_version: Option<u32>,
    ) -> Path {
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
        let in_version = in_version.filter(|_| affinity.is_none());
        let mut memory = self.memory();
        let bounds = Bounds { managers, ..self.bounds(&memory, config.account) };
        let set = callable.provisioned.as_ref().map(|(_, hash)| *hash).zip(in_version);
        let known = set.and_then(|(hash, calls)| Some((hash, calls, memory.sets.get(&hash)?)));
        let on_demand = RingArc { start: client, size: 1 };
        let plan = known.map(|(hash, calls, view)| {
            let plan = route::plan(calls, Some(&view.set()), on_demand);
            (hash, plan, plan.surplus.map(|_| view.surplus(&self.ring)))
        });
        let provisioned =
            plan.as_ref().and_then(|(hash, plan, _)| Some((*hash, plan.provisioned?)));
        let route = Route { key, start: client, provisioned, bounds };
        let mut search = Search::begin(now, route, &self.ring, &mut memory.steering);
        if let Some((_, _, Some(surplus))) = plan {
            search = search.with_surplus(surplus);
        }
        if memory.steering.size(client) > 1 {
            memory.wide.insert(client, config.account);
        }
        let set = provisioned.map(|(hash, _)| hash);
        Path { search, set, client, client_cap: bounds.cap() }
    }

    /// Whether calls of the version have to be counted before they are routed.
    pub(crate) fn has_set(&self, callable: &Callable) -> bool {
        let hash = callable.provisioned.as_ref().map(|(_, hash)| *hash);
        hash.is_some_and(|hash| self.memory().sets.contains_key(&hash))
    }

    pub(crate) fn learn_set(&self, set: KeyHash, record: SetRecord) {
        let mut memory = self.memory();
        let view = memory.sets.entry(set);
        view.or_insert_with(|| SetView::new(record, THETA_PERCENT)).learn(record);
    }

    pub(crate) fn forget_set(&self, set: KeyHash) {
        self.memory().sets.remove(&set);
    }

    pub(crate) fn keep_sets(&self, kept: &BTreeSet<KeyHash>) {
        self.memory().sets.retain(|set, _| kept.contains(set));
    }

    /// A call that the set served has ended.
    pub(crate) fn freed(&self, set: KeyHash, manager: ManagerId) {
        if let Some(view) = self.memory().sets.get_mut(&set) {
            view.freed(manager);
        }
    }

    pub(crate) fn next(&self, now: Now, path: &mut Path) -> Next {
        let mut memory = self.memory();
        let Memory { steering, dice, .. } = &mut *memory;
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
        told: Told,
    ) {
        let mut memory = self.memory();
        let Told { set, load, register } = told;
        if let (search::Set::Provisioned, Some(hash), Some(load)) = (set, path.set, load)
            && let Some(view) = memory.sets.get_mut(&hash)
        {
            view.heard(manager, load);
        }
        path.search.answered(manager, answer, &mut memory.steering);
        if let Some(manager::Register { epoch, writer, size }) = register {
            memory.steering.learn(now, path.client, Register { epoch, writer, size });
        }
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
