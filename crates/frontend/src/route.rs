//! Which managers a call is asked of, in which order: the shell around
//! `decide::search`. Frontends hold hints, the sizes of their clients' sets and the
//! published ring versions, nothing that could not be lost. Invariant: a call is
//! routed by the version that was chosen when it began, to its end.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use decide::{
    Dice,
    arcs::{self, Bounds, RingArc},
    book::Mode,
    ring::{Candidates, Preds, Ring, Rings, Version},
    route::{self, SetRecord, SetView, THETA_PERCENT},
    search::{self, Next, Route, Search, Steering},
};
use model::{
    AccountId, Attrs, ClientSize, FleetId, FrontendId, KeyHash, Load, ManagerId, Now, PoolKey,
    Pred, Register, RingRecord, RingState, RingVersion, Span, limits, ring::KEY_SHARE_WHOLE,
};

use crate::{acquire::Wanted, view::Callable};

/// The rings that this frontend routes by, and what it remembers between calls.
#[derive(Debug)]
pub(crate) struct Router {
    frontend: FrontendId,
    /// All of them, this one included.
    frontends: Vec<FrontendId>,
    /// Of the members that the installation is configured with: provisioned sets lie
    /// on it, and all calls until a version is published.
    configured: Ring,
    /// Held for single look-ups, never while waiting.
    memory: Mutex<Memory>,
}

#[derive(Debug)]
struct Memory {
    rings: Arc<Rings>,
    steering: Steering,
    /// Kept between calls.
    candidates: Candidates,
    dice: Dice,
    /// What each account may have in flight, as its counter last said.
    limits: HashMap<AccountId, u32>,
    /// Whose the sets are that are, or were, wider than one manager.
    wide: HashMap<u64, AccountId>,
    /// Provisioned sets, by their pools.
    sets: HashMap<KeyHash, SetView>,
}

/// What came with a manager's answer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Told {
    pub(crate) set: search::Set,
    pub(crate) load: Option<Load>,
    pub(crate) register: Option<Register>,
}

/// A set that this frontend may shrink.
#[derive(Clone, Debug)]
pub(crate) struct WideSet {
    pub(crate) account: AccountId,
    pub(crate) arc: RingArc,
    pub(crate) members: Vec<ManagerId>,
}

/// Sizes of sets that others should hear of.
#[derive(Debug)]
pub(crate) struct News {
    pub(crate) sizes: Vec<ClientSize>,
    pub(crate) told: Vec<FrontendId>,
    /// Of those that were changed here: the sets' first members.
    pub(crate) first_members: Vec<(ManagerId, ClientSize)>,
}

/// The search of one call, with what it needs from step to step.
#[derive(Debug)]
pub(crate) struct Path {
    search: Search,
    rings: Arc<Rings>,
    /// The version that decides.
    pub(crate) by: RingVersion,
    /// The on-demand pool, as every version knows it.
    key: KeyHash,
    /// Predecessors that were named to a manager already.
    named: Preds,
    /// Predecessors to ask plainly before the search goes on, the last first: an owner
    /// was out of order (A3).
    fallback: Vec<ManagerId>,
    /// Those that were put there once.
    fallen: Preds,
    /// The pool of the version's provisioned set, where that is asked first.
    pub(crate) set: Option<KeyHash>,
    /// The same, where there is one, asked or not.
    paid: Option<KeyHash>,
    account: AccountId,
    pub(crate) client: u64,
    pub(crate) client_cap: u32,
}

impl Path {
    /// Where the search has ended: when to come again.
    pub(crate) fn retry_after(&self) -> Span {
        self.search.retry_after().unwrap_or(Span::secs(1))
    }
}

impl Router {
    pub(crate) fn new(
        frontend: FrontendId,
        frontends: Vec<FrontendId>,
        configured: Ring,
        seed: u64,
    ) -> Router {
        let memory = Memory {
            rings: Arc::new(Rings::of([record_of(&configured)])),
            candidates: Candidates::default(),
            steering: Steering::new(frontend),
            dice: Dice::new(seed),
            limits: HashMap::new(),
            wide: HashMap::new(),
            sets: HashMap::new(),
        };
        Router { frontend, frontends, configured, memory: Mutex::new(memory) }
    }

    /// The sets whose home is here.
    pub(crate) fn wide_sets(&self) -> Vec<WideSet> {
        let mut memory = self.memory();
        let Memory { steering, wide, rings, .. } = &mut *memory;
        // The size of one that is one manager again is still to be told.
        wide.retain(|start, _| steering.register(*start).is_some());
        let own = |arc: &RingArc| search::home(arc.start, &self.frontends) == Some(self.frontend);
        let set = |arc: RingArc| {
            let mut members = Vec::new();
            newest_active(rings)?.ring().members(arc.start, arc.size, &mut members);
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

    pub(crate) fn news(&self, now: Now) -> News {
        let mut memory = self.memory();
        let Memory { steering, dice, wide, rings, .. } = &mut *memory;
        let size =
            |(start, register)| Some(ClientSize { start, account: *wide.get(&start)?, register });
        let sizes: Vec<ClientSize> = steering.news(now).into_iter().filter_map(size).collect();
        let mut told = Vec::new();
        if !sizes.is_empty() {
            arcs::gossip::peers(self.frontend, &self.frontends, dice, &mut told);
        }
        let ring = newest_active(rings).map(Version::ring);
        let first = |size: &ClientSize| Some((ring?.owner(size.start)?, *size));
        let own = sizes.iter().filter(|size| size.register.writer == self.frontend);
        let first_members = own.filter_map(first).collect();
        News { sizes, told, first_members }
    }

    pub(crate) fn heard(&self, now: Now, sizes: &[ClientSize]) {
        let mut memory = self.memory();
        for ClientSize { start, account, register } in sizes {
            memory.steering.learn(now, *start, *register);
            memory.wide.insert(*start, *account);
        }
    }

    pub(crate) fn width(&self, account: AccountId) -> u16 {
        self.memory().steering.size(arcs::start_of_account(account))
    }

    /// What a counter said of an account.
    pub(crate) fn learn_limit(&self, account: AccountId, limit_max: u32) {
        self.memory().limits.insert(account, limit_max);
    }

    fn bounds(&self, memory: &Memory, account: AccountId) -> Bounds {
        let limit_max = memory.limits.get(&account).copied();
        let limit_max = limit_max.unwrap_or(limits::ACCOUNT_CONCURRENCY_DEFAULT);
        let version = newest_active(&memory.rings);
        let managers = version.map_or(0, |version| version.ring().len());
        let spread = version.map_or(1, |version| version.attrs().spread);
        Bounds { spread, ..Bounds::of(limit_max, managers) }
    }

    /// Takes a published record; the first one ends what is only configured.
    pub(crate) fn learn_ring(&self, record: RingRecord) {
        let mut memory = self.memory();
        Arc::make_mut(&mut memory.rings).learn(record);
    }

    /// All that are published; none leaves those that are known.
    pub(crate) fn learn_rings(&self, all: Vec<RingRecord>) {
        if !all.is_empty() {
            self.memory().rings = Arc::new(Rings::of(all));
        }
    }

    /// The ring that a provisioned set's arcs are computed on.
    fn ring_of_set<'r>(&'r self, rings: &'r Rings, record: SetRecord) -> &'r Ring {
        let known = (record.ring != self.configured.version()).then(|| rings.get(record.ring));
        known.flatten().map_or(&self.configured, Version::ring)
    }

    /// The manager whose counter holds an account's limits.
    pub(crate) fn counter(&self, account: AccountId) -> Option<ManagerId> {
        let rings = Arc::clone(&self.memory().rings);
        newest_active(&rings)?.ring().owner(arcs::start_of_account(account))
    }

    /// `in_version`: calls of the version in flight, this one included, where the
    /// counter has said. None where no version serves the key.
    pub(crate) fn begin(
        &self,
        now: Now,
        wanted: Wanted<'_>,
        key: KeyHash,
        in_version: Option<u32>,
    ) -> Option<Path> {
        let Wanted { callable, tenant, affinity, .. } = wanted;
        let config = &callable.config;
        let mut memory = self.memory();
        let rings = Arc::clone(&memory.rings);
        let version = rings.current_for(key)?;
        let ring = version.ring();
        let client = match tenant {
            Some(tenant) => arcs::start_of_tenant(config.account, &config.name, tenant),
            None => arcs::start_of_account(config.account),
        };
        // A value has one manager, which knows its environment.
        let (client, managers) = match affinity {
            Some(asked) => (arcs::start_of_value(key, &asked.value), ring.len().min(1)),
            None => (client, ring.len()),
        };
        let in_version = in_version.filter(|_| affinity.is_none());
        let spread = version.attrs().spread;
        let bounds = Bounds { managers, spread, ..self.bounds(&memory, config.account) };
        let set = callable.provisioned.as_ref().map(|(_, hash)| *hash).zip(in_version);
        let known = set.and_then(|(hash, calls)| Some((hash, calls, memory.sets.get(&hash)?)));
        let paid = known.as_ref().map(|(hash, ..)| *hash);
        let on_demand = RingArc { start: client, size: 1 };
        let plan = known.map(|(hash, calls, view)| {
            let on = self.ring_of_set(&rings, view.record());
            let plan = route::plan(calls, Some(&view.set()), on_demand);
            (hash, plan, plan.surplus.map(|_| view.surplus(on)), on)
        });
        let provisioned =
            plan.as_ref().and_then(|(hash, plan, ..)| Some((*hash, plan.provisioned?)));
        let first = plan.as_ref().filter(|_| provisioned.is_some()).map_or(ring, |(.., on)| *on);
        let route = Route { key, start: client, provisioned, bounds };
        let mut search = Search::begin(now, route, first, &mut memory.steering);
        if let Some((_, _, Some(surplus), _)) = plan {
            search = search.with_surplus(surplus);
        }
        let set = provisioned.map(|(hash, _)| hash);
        let (by, client_cap) = (version.v(), bounds.cap());
        Some(Path {
            search,
            rings,
            by,
            key,
            named: Preds::NONE,
            fallback: Vec::new(),
            fallen: Preds::NONE,
            set,
            paid,
            account: config.account,
            client,
            client_cap,
        })
    }

    /// The pool key as the version that decides serves it; None where it is the same.
    pub(crate) fn profiled(&self, path: &Path, key: &PoolKey) -> Option<PoolKey> {
        path.rings.get(path.by)?.profiled(key)
    }

    /// Who may hold environments of the call's key from before the manager that is to
    /// be asked; each is named once for a call (A3).
    pub(crate) fn preds(&self, path: &mut Path, manager: ManagerId) -> Vec<Pred> {
        let of = self.all_preds(path, manager).without(&path.named);
        for pred in of.as_slice() {
            path.named.push(*pred);
        }
        of.as_slice().to_vec()
    }

    fn all_preds(&self, path: &Path, manager: ManagerId) -> Preds {
        if path.rings.versions().len() == 1 {
            return Preds::NONE;
        }
        let mut memory = self.memory();
        let Memory { steering, candidates, .. } = &mut *memory;
        let size = steering.size(path.client);
        path.rings.for_arc(path.key, path.client, size, candidates);
        let own = candidates.members.iter().find(|candidate| candidate.manager == manager);
        own.map_or(Preds::NONE, |candidate| candidate.preds)
    }

    /// An owner is out of order: its predecessors are asked plainly, in their order,
    /// before the search goes on (A3). Says whether there are any.
    pub(crate) fn fall_back(&self, path: &mut Path, manager: ManagerId) -> bool {
        let preds = self.all_preds(path, manager).without(&path.fallen);
        for pred in preds.as_slice() {
            path.fallen.push(*pred);
        }
        path.fallback.extend(preds.as_slice().iter().rev().map(|pred| pred.manager));
        !path.fallback.is_empty()
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

    /// What a call counts as that was granted an environment.
    pub(crate) fn counts_as(&self, path: &Path, from: search::Set) -> route::Served {
        let Some(paid) = path.paid else { return route::Served::OnDemand };
        let memory = self.memory();
        let Some(view) = memory.sets.get(&paid) else { return route::Served::OnDemand };
        let busy = (from == search::Set::Provisioned).then(|| view.set().busy);
        route::served(view.record().limit, busy)
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
        if let Some(manager) = path.fallback.pop() {
            return Next::Ask { manager, set: search::Set::OnDemand, mode: Mode::ExistingOrNew };
        }
        let ring = path.rings.get(path.by).map_or(&self.configured, Version::ring);
        path.search.next(now, ring, steering, dice)
    }

    /// What goes with a question about a client's set (A7).
    pub(crate) fn register(&self, path: &Path) -> Option<Register> {
        self.memory().steering.register(path.client)
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
        if let Some(register) = register {
            memory.steering.learn(now, path.client, register);
        }
        if memory.steering.size(path.client) > 1 {
            memory.wide.insert(path.client, path.account);
        }
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What counts and is bounded per account goes by the newest version that has baked.
fn newest_active(rings: &Rings) -> Option<&Version> {
    let active = |version: &&Version| version.record().state == RingState::Active;
    rings.versions().iter().find(active).or_else(|| rings.newest())
}

/// The version that serves until one is published.
fn record_of(configured: &Ring) -> RingRecord {
    let mut members = Vec::new();
    configured.members(0, u16::MAX, &mut members);
    RingRecord {
        v: configured.version(),
        fleet: FleetId(1),
        members,
        attrs: Attrs::default(),
        prev: None,
        key_share: KEY_SHARE_WHOLE,
        state: RingState::Active,
    }
}
