//! Arcs: which stretch of the ring serves a group of calls, and how wide. A fixed
//! arc follows from a provisioned limit, so that every frontend computes the same
//! one without talking (A1). An elastic one grows when a manager throttles and
//! shrinks under low load (A6); its size is a register that frontends and managers
//! join (A7), so that it looks global.
//!
//! ```text
//!   throttle seen at the current epoch: size + max(1, size / 4), epoch + 1
//!   throttle seen at an older epoch:    adopt the newer register, ask again
//!   every 10 s, home frontend only, all loads known, 60 s without growth,
//!   load below 40 %:                    size - 1 (the last member leaves), epoch + 1
//! ```

pub mod gossip;

use model::{
    AccountId, Digest, Epoch, FrontendId, FunctionName, KeyHash, Now, Register, Span, TenantId,
    VersionId, limits,
};
use xxhash_rust::xxh3::Xxh3;

/// Managers of a provisioned group at least, where there are so many.
const PROVISIONED_MIN: u32 = 2;
/// Time without growth before a set may shrink.
const SHRINK_HOLD: Span = Span::secs(60);
/// Time between two shrinks of one set.
const SHRINK_PERIOD: Span = Span::secs(10);
/// A set shrinks below this share of its capacity, in percent.
const SHRINK_BELOW_PERCENT: u64 = 40;

/// A stretch of the ring: a start and a number of distinct members.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RingArc {
    pub start: u64,
    pub size: u16,
}

/// Where a version's provisioned calls start.
pub fn start_of_version(account: AccountId, function: &FunctionName, version: VersionId) -> u64 {
    let number = match version {
        VersionId::Latest => 0,
        VersionId::Published(number) => number.wrapping_add(1),
    };
    digest(account, &[function.as_str()], number)
}

/// Where the other calls of an account start.
pub fn start_of_account(account: AccountId) -> u64 {
    digest(account, &[], 0)
}

/// Where the calls of one tenant of a function start: tenants spread (A9).
pub fn start_of_tenant(account: AccountId, function: &FunctionName, tenant: &TenantId) -> u64 {
    digest(account, &[function.as_str(), tenant.as_str()], 0)
}

/// Where the calls of one value of a pool are served (A8).
pub fn start_of_value(key: KeyHash, value: &Digest) -> u64 {
    let mut hash = Xxh3::new();
    hash.update(&key.0.to_le_bytes());
    hash.update(&value.0);
    hash.digest()
}

fn digest(account: AccountId, texts: &[&str], number: u64) -> u64 {
    let mut hash = Xxh3::new();
    hash.update(&account.as_u64().to_le_bytes());
    for text in texts {
        hash.update(&(text.len() as u64).to_le_bytes());
        hash.update(text.as_bytes());
    }
    hash.update(&number.to_le_bytes());
    hash.digest()
}

/// The fixed arc of a provisioned limit: a function of what everybody knows. A
/// limit of one still gets a standby.
pub fn provisioned(start: u64, limit: u32, managers: usize) -> RingArc {
    let wanted = limit.div_ceil(limits::PROVISIONED_PER_MANAGER).max(PROVISIONED_MIN);
    RingArc { start, size: to_size(wanted as usize, managers) }
}

/// What the member at `at` of an arc holds of a provisioned limit.
pub fn share(limit: u32, size: u16, at: u16) -> u32 {
    let size = u32::from(size.max(1));
    limit / size + u32::from(u32::from(at) < limit % size)
}

fn to_size(wanted: usize, managers: usize) -> u16 {
    u16::try_from(wanted.min(managers)).unwrap_or(u16::MAX)
}

/// What everybody knows about a client's limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// The client's concurrency: account or function, from the counter.
    pub limit_max: u32,
    pub managers: usize,
    /// Managers of one key at least, by the ring version that decides (A4).
    pub spread: u16,
}

impl Bounds {
    /// Of a ring version that leaves the spread of keys to their clients' sets.
    pub const fn of(limit_max: u32, managers: usize) -> Bounds {
        Bounds { limit_max, managers, spread: 1 }
    }

    /// Managers of a key whose client's set has this size.
    pub fn width(self, size: u16) -> u16 {
        size.max(to_size(usize::from(self.spread), self.managers))
    }

    /// Calls of the client at one manager. On a small installation more, so that a
    /// ring of few can still reach the maximum.
    pub fn cap(self) -> u32 {
        let managers = u32::try_from(self.managers.max(1)).unwrap_or(u32::MAX);
        limits::CLIENT_CAP_PER_MANAGER.max(self.limit_max.div_ceil(managers))
    }

    fn size_max(self) -> u16 {
        to_size(self.limit_max.div_ceil(self.cap()).max(1) as usize, self.managers.max(1))
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Growth {
    /// The set has a new member: ask it with `ExistingOrNew`.
    Grew(u16),
    /// Somebody grew it before: ask the members that are new to this caller.
    AlreadyGrown(u16),
    /// The limit is reached: every untried member, then the counter's refusal.
    AtLimit,
}

/// The set of managers that serve one client, as one frontend sees it.
#[derive(Clone, Copy, Debug)]
pub struct ClientSet {
    register: Register,
    start: u64,
    last_growth: Now,
    last_shrink: Now,
    /// When the register changed here, for whatever reason.
    changed: Now,
}

impl ClientSet {
    pub fn new(now: Now, start: u64, writer: FrontendId) -> ClientSet {
        let register = Register { epoch: Epoch(0), writer, size: 1 };
        ClientSet { register, start, last_growth: now, last_shrink: now, changed: now }
    }

    pub fn arc(&self) -> RingArc {
        RingArc { start: self.start, size: self.register.size }
    }

    pub fn register(&self) -> Register {
        self.register
    }

    /// Only registers that differ from the default have to travel.
    pub fn is_default(&self) -> bool {
        self.register.epoch == Epoch(0)
    }

    /// Joins what another frontend or a manager holds.
    pub fn learn(&mut self, now: Now, other: Register) {
        let joined = self.register.join(other);
        if joined.size > self.register.size {
            self.last_growth = now;
        }
        if joined != self.register {
            self.changed = now;
        }
        self.register = joined;
    }

    /// Whether other frontends should hear of it: it changed a short time ago (A7).
    pub fn is_news(&self, now: Now) -> bool {
        !self.is_default() && now.since(self.changed) < gossip::RECENT
    }

    /// Two members of the set as it was at `seen` throttled the call.
    pub fn throttled(
        &mut self,
        now: Now,
        seen: Epoch,
        writer: FrontendId,
        bounds: Bounds,
    ) -> Growth {
        let size = bounds.width(self.register.size);
        if seen < self.register.epoch {
            return Growth::AlreadyGrown(size);
        }
        let wider = size.saturating_add((size / 4).max(1)).min(bounds.size_max());
        if wider <= size {
            return Growth::AtLimit;
        }
        self.register = Register { epoch: self.register.epoch.next(), writer, size: wider };
        (self.last_growth, self.changed) = (now, now);
        Growth::Grew(wider)
    }

    /// Called by the client's home frontend with the calls in flight at every
    /// member; true where the last member left.
    pub fn shrink(
        &mut self,
        now: Now,
        in_flight: &[u32],
        writer: FrontendId,
        bounds: Bounds,
    ) -> bool {
        let size = self.register.size;
        let known = in_flight.len() == usize::from(size);
        let held = now.since(self.last_growth) <= SHRINK_HOLD
            || now.since(self.last_shrink) < SHRINK_PERIOD;
        let calls: u64 = in_flight.iter().map(|n| u64::from(*n)).sum();
        let capacity = u64::from(size) * u64::from(bounds.cap());
        if size <= bounds.width(1)
            || !known
            || held
            || calls * 100 >= capacity * SHRINK_BELOW_PERCENT
        {
            return false;
        }
        self.register = Register { epoch: self.register.epoch.next(), writer, size: size - 1 };
        (self.last_shrink, self.changed) = (now, now);
        true
    }
}

#[cfg(test)]
mod tests {
    use alloc::{vec, vec::Vec};

    use model::{ManagerId, RingVersion};

    use super::*;
    use crate::ring::Ring;

    const FRONTEND: FrontendId = FrontendId(1);

    fn set() -> ClientSet {
        ClientSet::new(Now(0), 7, FRONTEND)
    }

    fn bounds(limit_max: u32) -> Bounds {
        Bounds::of(limit_max, 100)
    }

    #[test]
    fn a1_1_the_arc_of_a_limit_is_the_same_for_everybody() {
        let members: Vec<ManagerId> = (0..20).map(ManagerId).collect();
        let arc = |_frontend: u64| {
            let ring = Ring::new(RingVersion(3), &members);
            let account = AccountId::parse("000000000001").unwrap();
            let function = FunctionName::parse("f").unwrap();
            let start = start_of_version(account, &function, VersionId::Published(4));
            let arc = provisioned(start, 10, ring.len());
            let mut into = Vec::new();
            ring.members(arc.start, arc.size, &mut into);
            into
        };
        assert_eq!(arc(0).len(), 2);
        assert!((1..50).all(|frontend| arc(frontend) == arc(0)));
    }

    #[test]
    fn provisioned_sizes_and_shares() {
        let cases =
            [(1, 20, 2), (10, 20, 2), (11, 20, 3), (100, 20, 20), (1_000, 20, 20), (5, 1, 1)];
        for (limit, managers, size) in cases {
            let arc = provisioned(0, limit, managers);
            assert_eq!(arc.size, size, "limit {limit} over {managers}");
            let sum: u32 = (0..arc.size).map(|at| share(limit, arc.size, at)).sum();
            assert_eq!(sum, limit);
        }
    }

    #[test]
    fn a6_1_growth_ends_at_the_limit() {
        let mut set = set();
        let mut sizes = vec![];
        loop {
            let seen = set.register().epoch;
            match set.throttled(Now(0), seen, FRONTEND, bounds(100)) {
                Growth::Grew(size) => sizes.push(size),
                Growth::AtLimit => break,
                Growth::AlreadyGrown(_) => panic!("nobody else grew it"),
            }
        }
        assert_eq!(sizes, [2, 3, 4, 5, 6, 7, 8, 10]);
    }

    #[test]
    fn a_ring_of_one_reaches_the_maximum() {
        let small = Bounds::of(1_000, 1);
        assert_eq!(small.cap(), 1_000);
        assert_eq!(set().throttled(Now(0), Epoch(0), FRONTEND, small), Growth::AtLimit);
    }

    #[test]
    fn a4_1_a_spread_is_the_least_width_and_growth_goes_on_from_there() {
        let mut set = set();
        let spread = Bounds { spread: 4, ..bounds(1_000) };
        assert_eq!([spread.width(1), spread.width(4), spread.width(9)], [4, 4, 9]);
        assert_eq!(Bounds { spread: 200, ..bounds(1_000) }.width(1), 100, "as many as there are");
        let grown = set.throttled(Now(0), Epoch(0), FRONTEND, spread);
        assert_eq!((grown, set.arc().size), (Growth::Grew(5), 5));
        let late = Now(0) + Span::secs(1_000);
        assert!(set.shrink(late, &[0; 5], FRONTEND, spread));
        assert!(!set.shrink(late + SHRINK_PERIOD, &[0; 4], FRONTEND, spread));
    }

    #[test]
    fn a7_1_a_storm_of_throttles_is_one_step() {
        let mut sets: Vec<ClientSet> =
            (0..20).map(|f| ClientSet::new(Now(0), 7, FrontendId(f))).collect();
        // All were throttled in the same instant, before anybody heard of anybody.
        for (at, set) in sets.iter_mut().enumerate() {
            let grown = set.throttled(Now(0), Epoch(0), FrontendId(at as u64), bounds(1_000));
            assert_eq!(grown, Growth::Grew(2));
        }
        let joined = sets.iter().map(ClientSet::register).reduce(Register::join).unwrap();
        assert_eq!((joined.size, joined.epoch), (2, Epoch(1)));
        for set in &mut sets {
            set.learn(Now(1), joined);
            // A throttle that was on its way from before only adopts.
            let late = set.throttled(Now(1), Epoch(0), FRONTEND, bounds(1_000));
            assert_eq!(late, Growth::AlreadyGrown(2));
        }
    }

    #[test]
    fn a6_7_a_set_shrinks_one_per_period_after_the_hold() {
        let mut set = set();
        set.learn(Now(0), Register { epoch: Epoch(9), writer: FRONTEND, size: 4 });
        let mut sizes = vec![];
        for second in 0..120 {
            let mut loads = vec![0; usize::from(set.arc().size)];
            loads[0] = 3;
            set.shrink(Now(0) + Span::secs(second), &loads, FRONTEND, bounds(1_000));
            sizes.push(set.arc().size);
        }
        let first_of = |size| sizes.iter().position(|s| *s == size);
        assert_eq!([first_of(3), first_of(2), first_of(1)], [Some(61), Some(71), Some(81)]);
    }

    #[test]
    fn a6_8_load_around_the_cap_does_not_flap() {
        let mut set = set();
        let mut changes = 0;
        for second in 0..600 {
            let now = Now(0) + Span::secs(second);
            let load = if second % 2 == 0 { 8 } else { 12 };
            let capacity = u32::from(set.arc().size) * bounds(100).cap();
            let before = set.arc().size;
            if load > capacity {
                let seen = set.register().epoch;
                set.throttled(now, seen, FRONTEND, bounds(100));
            }
            let mut loads = vec![0; usize::from(set.arc().size)];
            loads[0] = load;
            set.shrink(now, &loads, FRONTEND, bounds(100));
            changes += u32::from(set.arc().size != before);
        }
        assert!(changes <= 20, "{changes} changes in 10 minutes");
    }

    #[test]
    fn nobody_shrinks_without_every_load() {
        let mut set = set();
        set.learn(Now(0), Register { epoch: Epoch(1), writer: FRONTEND, size: 3 });
        let late = Now(0) + Span::secs(1_000);
        assert!(!set.shrink(late, &[0, 0], FRONTEND, bounds(100)));
        assert!(set.shrink(late, &[0, 0, 0], FRONTEND, bounds(100)));
    }
}
