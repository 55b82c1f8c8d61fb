//! The environments of a book: a slab of entries and the lists they stand in.
//! Invariant: an entry stands in its pool's shelf exactly while it is `Idle`, and
//! then also in the idle line unless it is kept for a target; in the granted line
//! exactly while it is `Granted`.
//!
//! ```text
//!            grant             run began
//!   Idle ───────────▶ Granted ───────────▶ Running
//!    │ ▲                 │                    │
//!    │ └── expired, not started ◀─┘           │
//!    │ └────────── ended, reusable ◀──────────┘
//!    ├──▶ Leaving ◀── ended, broken or unwanted ; gone from any state
//!    └──▶ Moving ──▶ another manager's, or idle again
//! ```
//!
//! Lists are links inside the slab: granting, shelving and expiring allocate
//! nothing. A lease names its entry, so that no map is needed to find it.

use alloc::vec::Vec;

use model::{EnvId, Epoch, KeyHash, LeaseId, ManagerId, Now, Span, WorkerId};

use crate::table::Table;

/// Environments of one book; at the bound a start is refused for capacity.
pub(super) const ENVS_MAX: usize = 1 << 24;
const SEAT_BITS: u32 = 24;
/// Different idle times in use at once; beyond it an environment is kept for the
/// nearest shorter one, or else for the shortest.
const IDLE_LINES_MAX: usize = 32;
const NONE: u32 = u32::MAX;

/// Index of an entry in the slab.
pub(super) type Seat = u32;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Idle {
        since: Now,
    },
    Granted {
        since: Now,
    },
    Running {
        since: Now,
    },
    Leaving,
    /// The worker was asked to make another manager its owner.
    Moving {
        to: ManagerId,
    },
    /// New, or its lease just ended: in no list, about to be settled.
    Between,
}

impl State {
    pub(super) fn is_moving(self) -> bool {
        matches!(self, State::Moving { .. })
    }
}

/// The lease of an entry on which none can be told about any more.
pub(super) const NO_LEASE: LeaseId = LeaseId(u64::MAX);

/// It begins with a cache line, so that a call touches two of them.
#[derive(Clone, Debug)]
#[repr(align(64))]
pub(super) struct Entry {
    pub(super) env: EnvId,
    pub(super) worker: WorkerId,
    pub(super) key: KeyHash,
    pub(super) memory_mb: u32,
    pub(super) epoch: Epoch,
    /// The newest lease on it, open or not.
    pub(super) lease: LeaseId,
    pub(super) state: State,
    /// Its function, version or worker goes away: it is not shelved again.
    pub(super) unwanted: bool,
    /// Made for a provisioned target: neither time nor need of room takes it.
    kept: bool,
    /// It was granted to some call, so that it is nobody else's to bind (A9).
    pub(super) served: bool,
    /// Bytes that its calls left in it, and the time that its init and runs took (A8).
    pub(super) stores: u64,
    pub(super) built: Span,
    /// Taken from another manager, from which more word of it may come.
    pub(super) taken: bool,
    /// Which of the idle lines.
    idle_line: u8,
    /// Place on its pool's shelf, most recently used first.
    shelf: Links,
}

#[derive(Clone, Copy, Debug)]
struct Links {
    prev: u32,
    next: u32,
}

const UNLINKED: Links = Links { prev: NONE, next: NONE };

/// A list of entries; which of an entry's two links it uses, the caller says.
#[derive(Clone, Copy, Debug)]
pub(super) struct List {
    head: u32,
    tail: u32,
    len: u32,
}

impl List {
    pub(super) const EMPTY: List = List { head: NONE, tail: NONE, len: 0 };

    pub(super) const fn len(&self) -> u32 {
        self.len
    }

    pub(super) fn first(&self) -> Option<Seat> {
        (self.head != NONE).then_some(self.head)
    }

    pub(super) fn last(&self) -> Option<Seat> {
        (self.tail != NONE).then_some(self.tail)
    }
}

const _: () = assert!(size_of::<Option<Entry>>() == 128);

#[derive(Clone, Copy)]
enum Via {
    Line,
    Shelf,
}

/// Idle entries that are kept equally long, the longest idle first.
#[derive(Debug)]
struct IdleLine {
    ttl: Span,
    list: List,
}

#[derive(Debug)]
pub(super) struct Envs {
    seats: Vec<Option<Entry>>,
    /// Of each seat: its place in the line of its state (idle or granted), oldest first.
    /// Apart from the entries, because leaving a line changes two that are elsewhere.
    lines: Vec<Links>,
    free: Vec<Seat>,
    by_env: Table<EnvId, Seat>,
    idle: Vec<IdleLine>,
    granted: List,
    grants: u64,
}

impl Envs {
    pub(super) fn new(first_grant: u64) -> Envs {
        Envs {
            seats: Vec::new(),
            lines: Vec::new(),
            free: Vec::new(),
            by_env: Table::default(),
            idle: Vec::new(),
            granted: List::EMPTY,
            grants: first_grant & (u64::MAX >> SEAT_BITS),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.by_env.len()
    }

    /// Open leases that have not been started.
    pub(super) fn granted(&self) -> u32 {
        self.granted.len()
    }

    pub(super) fn get(&self, seat: Seat) -> Option<&Entry> {
        self.seats.get(seat as usize)?.as_ref()
    }

    pub(super) fn get_mut(&mut self, seat: Seat) -> Option<&mut Entry> {
        self.seats.get_mut(seat as usize)?.as_mut()
    }

    pub(super) fn seat_of(&self, env: EnvId) -> Option<Seat> {
        self.by_env.get(&env).copied()
    }

    /// The entry whose newest lease this is.
    pub(super) fn seat_of_lease(&self, lease: LeaseId) -> Option<Seat> {
        let seat = (lease.0 & ((1 << SEAT_BITS) - 1)) as Seat;
        (self.get(seat)?.lease == lease).then_some(seat)
    }

    pub(super) fn on_worker(&self, worker: WorkerId) -> impl Iterator<Item = Seat> + '_ {
        self.by_env_id(|entry| entry.worker == worker).into_iter()
    }

    pub(super) fn seats(&self) -> impl Iterator<Item = Seat> + '_ {
        self.by_env_id(|_| true).into_iter()
    }

    /// In the order of environments; for changes of functions and workers, not for
    /// calls.
    fn by_env_id(&self, meant: impl Fn(&Entry) -> bool) -> Vec<Seat> {
        let seats = self.by_env.iter().map(|(env, seat)| (*env, *seat));
        let meant = |seat: Seat| self.get(seat).is_some_and(&meant);
        let mut all: Vec<(EnvId, Seat)> = seats.filter(|(_, seat)| meant(*seat)).collect();
        all.sort_unstable();
        all.into_iter().map(|(_, seat)| seat).collect()
    }

    /// A new entry in no list. None where the book is full or knows the environment.
    pub(super) fn insert(&mut self, entry: NewEntry) -> Option<Seat> {
        if self.by_env.len() >= ENVS_MAX || self.by_env.contains_key(&entry.env) {
            return None;
        }
        let made = Entry {
            env: entry.env,
            worker: entry.worker,
            key: entry.key,
            memory_mb: entry.memory_mb,
            epoch: entry.epoch,
            lease: NO_LEASE,
            state: State::Between,
            unwanted: entry.unwanted,
            kept: entry.kept,
            served: false,
            stores: 0,
            built: Span::ZERO,
            taken: false,
            idle_line: 0,
            shelf: UNLINKED,
        };
        let seat = match self.free.pop() {
            Some(seat) => {
                self.seats[seat as usize] = Some(made);
                seat
            }
            None => {
                self.seats.push(Some(made));
                self.lines.push(UNLINKED);
                (self.seats.len() - 1) as Seat
            }
        };
        self.by_env.insert(entry.env, seat);
        Some(seat)
    }

    /// Takes the entry out of the book and of its lists.
    pub(super) fn remove(&mut self, seat: Seat, shelf: &mut List) -> Option<Entry> {
        self.leave_lists(seat, shelf);
        let entry = self.seats.get_mut(seat as usize)?.take()?;
        self.by_env.remove(&entry.env);
        self.free.push(seat);
        Some(entry)
    }

    /// To the front of its pool's shelf and the end of the idle line of its TTL.
    pub(super) fn shelve(&mut self, seat: Seat, shelf: &mut List, now: Now, ttl: Span) {
        self.leave_lists(seat, shelf);
        self.set_state(seat, State::Idle { since: now });
        if !self.is_kept(seat) {
            let line = self.line_of(ttl);
            if let Some(entry) = self.get_mut(seat) {
                entry.idle_line = line;
            }
            self.with_idle_line(line, |envs, list| envs.push_back(list, seat, Via::Line));
        }
        self.push_front(shelf, seat);
    }

    /// The idle line of a TTL: the one there is, an empty one, a new one, or at the
    /// bound one that is near.
    fn line_of(&mut self, ttl: Span) -> u8 {
        let same = self.idle.iter().position(|line| line.ttl == ttl);
        let at = same.or_else(|| self.idle.iter().position(|line| line.list.len() == 0));
        let at = match at {
            Some(at) => {
                self.idle[at].ttl = ttl;
                at
            }
            None if self.idle.len() < IDLE_LINES_MAX => {
                self.idle.push(IdleLine { ttl, list: List::EMPTY });
                self.idle.len() - 1
            }
            None => {
                let distance = |line: &IdleLine| (line.ttl > ttl, line.ttl.0.abs_diff(ttl.0));
                let near = self.idle.iter().enumerate().min_by_key(|(_, line)| distance(line));
                near.map_or(0, |(at, _)| at)
            }
        };
        u8::try_from(at).unwrap_or(0)
    }

    fn with_idle_line(&mut self, line: u8, act: impl FnOnce(&mut Envs, &mut List)) {
        let at = usize::from(line);
        let Some(mut list) = self.idle.get(at).map(|line| line.list) else { return };
        act(self, &mut list);
        self.idle[at].list = list;
    }

    /// Changes the key of an entry that is in no list.
    pub(super) fn rekey(&mut self, seat: Seat, key: KeyHash, kept: bool) {
        if let Some(entry) = self.get_mut(seat) {
            (entry.key, entry.kept) = (key, kept);
        }
    }

    /// A new lease on it, with the next epoch (I6).
    pub(super) fn grant(
        &mut self,
        seat: Seat,
        shelf: &mut List,
        now: Now,
    ) -> Option<(LeaseId, Epoch)> {
        self.leave_lists(seat, shelf);
        self.grants = (self.grants + 1) & (u64::MAX >> SEAT_BITS);
        let lease = LeaseId((self.grants << SEAT_BITS) | u64::from(seat));
        let entry = self.get_mut(seat)?;
        entry.lease = lease;
        entry.epoch = entry.epoch.next();
        entry.state = State::Granted { since: now };
        entry.served = true;
        let epoch = entry.epoch;
        let mut granted = self.granted;
        self.push_back(&mut granted, seat, Via::Line);
        self.granted = granted;
        Some((lease, epoch))
    }

    pub(super) fn run(&mut self, seat: Seat, shelf: &mut List, now: Now) {
        self.leave_lists(seat, shelf);
        self.set_state(seat, State::Running { since: now });
        if let Some(entry) = self.get_mut(seat) {
            entry.served = true;
        }
    }

    pub(super) fn between(&mut self, seat: Seat, shelf: &mut List) {
        self.leave_lists(seat, shelf);
        self.set_state(seat, State::Between);
    }

    pub(super) fn depart(&mut self, seat: Seat, shelf: &mut List, to: ManagerId) {
        self.leave_lists(seat, shelf);
        self.set_state(seat, State::Moving { to });
    }

    pub(super) fn leave(&mut self, seat: Seat, shelf: &mut List) {
        self.leave_lists(seat, shelf);
        self.set_state(seat, State::Leaving);
    }

    /// The idle environment whose time is over first: when, and since when it is
    /// idle; of those that no target keeps, here and in `idle_line`.
    pub(super) fn next_idle_out(&self) -> Option<(Seat, Now, Now)> {
        let heads = self.idle.iter().filter_map(|line| {
            let seat = line.list.first()?;
            let since = self.idle_since(seat)?;
            Some((seat, since + line.ttl, since))
        });
        heads.min_by_key(|(_, due, _)| *due)
    }

    pub(super) fn idle_since(&self, seat: Seat) -> Option<Now> {
        match self.get(seat)?.state {
            State::Idle { since } => Some(since),
            State::Granted { .. } | State::Running { .. } => None,
            State::Leaving | State::Moving { .. } | State::Between => None,
        }
    }

    /// Idle environments, the longest idle first.
    pub(super) fn idle_line(&self) -> impl Iterator<Item = Seat> + '_ {
        let mut heads: Vec<u32> = self.idle.iter().map(|line| line.list.head).collect();
        core::iter::from_fn(move || {
            let waits = heads.iter().enumerate().filter(|(_, seat)| **seat != NONE);
            let (line, _) = waits.min_by_key(|(_, seat)| self.idle_since(**seat))?;
            let seat = heads[line];
            heads[line] = self.lines.get(seat as usize).map_or(NONE, |links| links.next);
            Some(seat)
        })
    }

    /// Entries of a shelf, most recently used first.
    pub(super) fn shelf(&self, shelf: &List) -> impl Iterator<Item = Seat> + '_ {
        let mut at = shelf.head;
        core::iter::from_fn(move || {
            let seat = (at != NONE).then_some(at)?;
            at = self.get(seat).map_or(NONE, |entry| entry.shelf.next);
            Some(seat)
        })
    }

    /// The oldest lease that has not been started, and since when.
    pub(super) fn oldest_granted(&self) -> Option<(Seat, Now)> {
        let seat = self.granted.first()?;
        match self.get(seat)?.state {
            State::Granted { since } => Some((seat, since)),
            State::Idle { .. } | State::Running { .. } => None,
            State::Leaving | State::Moving { .. } | State::Between => None,
        }
    }

    fn is_kept(&self, seat: Seat) -> bool {
        self.get(seat).is_some_and(|entry| entry.kept)
    }

    fn set_state(&mut self, seat: Seat, state: State) {
        if let Some(entry) = self.get_mut(seat) {
            entry.state = state;
        }
    }

    fn leave_lists(&mut self, seat: Seat, shelf: &mut List) {
        match self.get(seat).map(|entry| entry.state) {
            Some(State::Idle { .. }) => {
                let line = self.get(seat).map_or(0, |entry| entry.idle_line);
                if !self.is_kept(seat) {
                    self.with_idle_line(line, |envs, list| envs.unlink(list, seat, Via::Line));
                }
                self.unlink(shelf, seat, Via::Shelf);
            }
            Some(State::Granted { .. }) => {
                let mut granted = self.granted;
                self.unlink(&mut granted, seat, Via::Line);
                self.granted = granted;
            }
            Some(State::Running { .. } | State::Leaving | State::Moving { .. })
            | Some(State::Between)
            | None => {}
        }
    }

    fn links(&mut self, seat: Seat, via: Via) -> Option<&mut Links> {
        match via {
            Via::Line => self.lines.get_mut(seat as usize),
            Via::Shelf => self.get_mut(seat).map(|entry| &mut entry.shelf),
        }
    }

    fn set_links(&mut self, seat: Seat, via: Via, links: Links) {
        if let Some(slot) = self.links(seat, via) {
            *slot = links;
        }
    }

    fn push_back(&mut self, list: &mut List, seat: Seat, via: Via) {
        self.set_links(seat, via, Links { prev: list.tail, next: NONE });
        match self.links(list.tail, via) {
            Some(last) => last.next = seat,
            None => list.head = seat,
        }
        list.tail = seat;
        list.len += 1;
    }

    fn push_front(&mut self, list: &mut List, seat: Seat) {
        self.set_links(seat, Via::Shelf, Links { prev: NONE, next: list.head });
        match self.links(list.head, Via::Shelf) {
            Some(first) => first.prev = seat,
            None => list.tail = seat,
        }
        list.head = seat;
        list.len += 1;
    }

    fn unlink(&mut self, list: &mut List, seat: Seat, via: Via) {
        let Some(Links { prev, next }) = self.links(seat, via).map(|links| *links) else { return };
        match self.links(prev, via) {
            Some(before) => before.next = next,
            None => list.head = next,
        }
        match self.links(next, via) {
            Some(after) => after.prev = prev,
            None => list.tail = prev,
        }
        self.set_links(seat, via, UNLINKED);
        list.len -= 1;
    }
}

/// What is known of an environment when it enters the book.
#[derive(Clone, Copy, Debug)]
pub(super) struct NewEntry {
    pub(super) env: EnvId,
    pub(super) worker: WorkerId,
    pub(super) key: KeyHash,
    pub(super) memory_mb: u32,
    pub(super) epoch: Epoch,
    pub(super) unwanted: bool,
    /// Made for a provisioned target.
    pub(super) kept: bool,
}
