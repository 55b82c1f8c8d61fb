//! Which environment served a value before (A8): a table beside the book, a cache and
//! never a promise. Invariants: a value has at most one environment; a call that
//! insists on one is in exactly one queue, and leaves it for that environment, or,
//! when the environment is lost, for a new one.
//!
//! ```text
//!   (nothing) ──first call──▶ Sought(call) ──granted──▶ At(environment)
//!       ▲                        │ came to nothing            │
//!       └────────────────────────┴──── lost, or unused for its ttl ◀┘
//! ```
//!
//! The key holds a digest over the authenticated principal and the value, so that a
//! value which somebody else made up selects nothing of this one's.

use alloc::{
    boxed::Box,
    collections::{BTreeMap, BTreeSet, VecDeque},
    vec::Vec,
};

use model::{AffinityAnswer, AffinityAsk, Digest, EnvId, KeyHash, Now, Span, limits};

use crate::book::{Acquire, Ticket};

/// A value in use is looked at again no sooner.
const STEP_MIN: Span = Span::secs(1);

/// A pool and a value of one principal.
pub type Key = (KeyHash, Digest);

/// Where the calls of a value go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Home {
    /// This call is getting its first environment.
    Sought(Ticket),
    At(EnvId),
}

/// An entry on its way to another manager, with its environment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record {
    pub key: Key,
    pub env: EnvId,
    pub ttl: Span,
    /// Time until it is forgotten.
    pub left: Span,
    /// The higher of two for one value is the newer.
    pub seq: u64,
}

#[derive(Debug)]
struct Entry {
    home: Home,
    ttl: Span,
    /// Renewed by each call; `due` has an instant that is not later.
    expires: Now,
    seq: u64,
    /// Calls that insist, in the order in which they came.
    queue: VecDeque<Ticket>,
}

/// A call that asked by a value and has no environment yet.
#[derive(Debug)]
struct Call {
    key: Key,
    asked: AffinityAsk,
    role: Role,
}

#[derive(Debug)]
enum Role {
    /// What it gets becomes the value's.
    Binds,
    /// It takes what there is, and the value keeps its own.
    Overflows,
    /// The idle environment of its value is about to be granted to it.
    Returns,
    Insists(Box<Insisting>),
}

/// A call that waits for the environment of its value.
#[derive(Clone, Debug)]
pub struct Insisting {
    pub ask: Acquire,
    pub since: Now,
    until: Now,
}

#[derive(Debug, Default)]
pub struct Table {
    entries: BTreeMap<Key, Entry>,
    by_env: BTreeMap<EnvId, Vec<Key>>,
    due: BTreeSet<(Now, Key)>,
    calls: BTreeMap<Ticket, Call>,
    deadlines: BTreeSet<(Now, Ticket)>,
    orphans: VecDeque<Insisting>,
    seq: u64,
}

impl Table {
    pub fn home(&self, key: &Key) -> Option<Home> {
        self.entries.get(key).map(|entry| entry.home)
    }

    /// How many values an environment is the home of.
    pub fn values_of(&self, env: EnvId) -> usize {
        self.by_env.get(&env).map_or(0, Vec::len)
    }

    pub fn len(&self) -> usize {
        self.entries.len()
    }

    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Calls that insist on a busy environment.
    pub fn insisting(&self) -> usize {
        self.deadlines.len()
    }

    /// The first call of a value. Where the table is full it is bound to nothing.
    pub fn seek(&mut self, now: Now, ticket: Ticket, key: Key, asked: AffinityAsk) {
        let full = self.entries.len() >= limits::AFFINITY_VALUES_MAX;
        let role = if full { Role::Overflows } else { Role::Binds };
        if !full {
            self.seq += 1;
            let (ttl, seq) = (asked.ttl, self.seq);
            let (home, queue) = (Home::Sought(ticket), VecDeque::new());
            self.entries.insert(key, Entry { home, ttl, expires: now + ttl, seq, queue });
        }
        self.calls.insert(ticket, Call { key, asked, role });
    }

    pub fn overflow(&mut self, ticket: Ticket, key: Key, asked: AffinityAsk) {
        self.calls.insert(ticket, Call { key, asked, role: Role::Overflows });
    }

    pub fn come_back(&mut self, ticket: Ticket, key: Key, asked: AffinityAsk) {
        self.calls.insert(ticket, Call { key, asked, role: Role::Returns });
    }

    /// Puts a call into the queue of its value, until an instant.
    pub fn insist(&mut self, insisting: Insisting, key: Key, asked: AffinityAsk) {
        let (ticket, until) = (insisting.ask.ticket, insisting.until);
        let Some(entry) = self.entries.get_mut(&key) else { return };
        entry.queue.push_back(ticket);
        self.deadlines.insert((until, ticket));
        self.calls.insert(ticket, Call { key, asked, role: Role::Insists(Box::new(insisting)) });
    }

    /// The call got this environment; what its caller is told, where it asked.
    pub fn granted(&mut self, now: Now, ticket: Ticket, env: EnvId) -> Option<AffinityAnswer> {
        if self.calls.is_empty() {
            return None;
        }
        let Call { key, asked, role } = self.calls.remove(&ticket)?;
        match role {
            Role::Overflows => Some(AffinityAnswer::New),
            Role::Binds => {
                let entry = self.entries.get_mut(&key)?;
                entry.home = Home::At(env);
                entry.expires = now + asked.ttl;
                self.due.insert((entry.expires, key));
                self.by_env.entry(env).or_default().push(key);
                Some(AffinityAnswer::New)
            }
            Role::Returns | Role::Insists(_) => {
                let entry = self.entries.get_mut(&key)?;
                (entry.ttl, entry.expires) = (asked.ttl, now + asked.ttl);
                Some(AffinityAnswer::Kept)
            }
        }
    }

    /// The call ends without an environment. Who waited for what it would have got
    /// begins anew.
    pub fn ended(&mut self, ticket: Ticket) -> Option<Insisting> {
        let Call { key, role, .. } = self.calls.remove(&ticket)?;
        match role {
            Role::Overflows | Role::Returns => None,
            Role::Binds => {
                self.drop_entry(&key);
                None
            }
            Role::Insists(insisting) => {
                self.deadlines.remove(&(insisting.until, ticket));
                if let Some(entry) = self.entries.get_mut(&key) {
                    entry.queue.retain(|other| *other != ticket);
                }
                Some(*insisting)
            }
        }
    }

    /// The environment is free: the call that has insisted on it longest, of all of
    /// its values. The call is granted it next.
    pub fn next_for(&mut self, env: EnvId) -> Option<(Ticket, Now)> {
        let keys = self.by_env.get(&env)?;
        let front = |key: &Key| {
            let ticket = *self.entries.get(key)?.queue.front()?;
            match &self.calls.get(&ticket)?.role {
                Role::Insists(insisting) => Some((insisting.since, ticket, *key)),
                Role::Binds | Role::Overflows | Role::Returns => None,
            }
        };
        let (since, ticket, key) = keys.iter().filter_map(front).min()?;
        self.entries.get_mut(&key)?.queue.pop_front();
        let call = self.calls.get_mut(&ticket)?;
        if let Role::Insists(insisting) = core::mem::replace(&mut call.role, Role::Returns) {
            self.deadlines.remove(&(insisting.until, ticket));
        }
        Some((ticket, since))
    }

    /// The environment leaves, is gone or goes to another manager: its values are
    /// forgotten, and who insisted on it begins anew.
    pub fn lost(&mut self, env: EnvId) {
        for key in self.by_env.remove(&env).unwrap_or_default() {
            self.drop_entry(&key);
        }
    }

    /// Calls that begin anew, one after the other.
    pub fn next_orphan(&mut self) -> Option<Insisting> {
        self.orphans.pop_front()
    }

    /// When `late` or `forget_unused` has something to do.
    pub fn deadline(&self) -> Option<Now> {
        let late = self.deadlines.first().map(|(at, _)| *at);
        let unused = self.due.first().map(|(at, _)| *at);
        [late, unused].into_iter().flatten().min()
    }

    /// A call that has insisted for as long as it wanted to.
    pub fn late(&mut self, now: Now) -> Option<Insisting> {
        let (_, ticket) = self.deadlines.first().copied().filter(|(until, _)| *until <= now)?;
        self.ended(ticket)
    }

    /// Forgets values that nobody has used for their ttl, but for those in use.
    pub fn forget_unused(&mut self, now: Now, in_use: impl Fn(EnvId) -> bool) {
        while let Some((_, key)) = self.due.first().copied().filter(|(at, _)| *at <= now) {
            self.due.pop_first();
            let Some(entry) = self.entries.get_mut(&key) else { continue };
            let Home::At(env) = entry.home else { continue };
            if entry.expires <= now && (!entry.queue.is_empty() || in_use(env)) {
                entry.expires = now + entry.ttl.max(STEP_MIN);
            }
            if entry.expires > now {
                self.due.insert((entry.expires, key));
                continue;
            }
            self.entries.remove(&key);
            let keys = self.by_env.get_mut(&env);
            let left = keys.map_or(0, |keys| {
                keys.retain(|other| *other != key);
                keys.len()
            });
            if left == 0 {
                self.by_env.remove(&env);
            }
        }
    }

    /// The values of an environment, for the manager that takes it over.
    pub fn records(&self, now: Now, env: EnvId) -> Vec<Record> {
        let keys = self.by_env.get(&env).map(Vec::as_slice).unwrap_or_default();
        let record = |key: &Key| {
            let entry = self.entries.get(key)?;
            let (ttl, left, seq) = (entry.ttl, entry.expires.since(now), entry.seq);
            Some(Record { key: *key, env, ttl, left, seq })
        };
        keys.iter().filter_map(record).collect()
    }

    /// Takes over a value with its environment, which the book has; not where a newer
    /// home of the value is known here.
    pub fn take(&mut self, now: Now, record: Record) {
        let Record { key, env, ttl, left, seq } = record;
        let newer = self.entries.get(&key).is_some_and(|entry| entry.seq >= seq);
        if newer || self.entries.len() >= limits::AFFINITY_VALUES_MAX {
            return;
        }
        self.drop_entry(&key);
        let expires = now + left;
        let (home, queue) = (Home::At(env), VecDeque::new());
        self.entries.insert(key, Entry { home, ttl, expires, seq, queue });
        self.due.insert((expires, key));
        self.by_env.entry(env).or_default().push(key);
        self.seq = self.seq.max(seq);
    }

    fn drop_entry(&mut self, key: &Key) {
        let Some(entry) = self.entries.remove(key) else { return };
        for ticket in entry.queue {
            let call = self.calls.remove(&ticket);
            if let Some(Call { role: Role::Insists(insisting), .. }) = call {
                self.deadlines.remove(&(insisting.until, ticket));
                self.orphans.push_back(*insisting);
            }
        }
        if let Home::At(env) = entry.home
            && let Some(keys) = self.by_env.get_mut(&env)
        {
            keys.retain(|other| other != key);
        }
    }
}

impl Insisting {
    pub fn new(ask: Acquire, since: Now, until: Now) -> Insisting {
        Insisting { ask, since, until }
    }
}
