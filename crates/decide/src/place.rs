//! Which worker gets a new environment. Not who runs a call: that is `book`; not
//! what exists: that is the worker. On the path it stands after the create gate.
//!
//! Filter (architecture, room, draining), then rank by weighted rendezvous hash,
//! so that a key keeps meeting the same workers and their caches, bounded so that
//! none gets far ahead of the others (consistent hashing with bounded loads).
//!
//! Room is counted here at start and freed when the worker says "gone". It is a
//! reservation, not the truth: a worker that has less refuses, and the book asks
//! again with that worker excluded.

use alloc::collections::BTreeMap;

use model::{Capacity, KeyHash, PoolKey, WorkerId, function::Architecture};
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// A worker may be this much fuller than the average, in percent (B12: 1.25).
const LOAD_BOUND_PERCENT: u64 = 125;

/// What the environments on a worker take, as reserved here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Used {
    pub memory_mb: u64,
    pub slots: u32,
}

#[derive(Clone, Debug)]
struct Host {
    capacity: Capacity,
    used: Used,
    /// Part of `used` that was told to leave and will be free soon.
    leaving: Used,
    draining: bool,
}

/// No worker that may take the environment has room for it now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoRoom;

/// What one environment needs of a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Need {
    pub key: KeyHash,
    pub memory_mb: u32,
    pub architecture: Architecture,
}

impl Need {
    pub fn of(hash: KeyHash, key: &PoolKey) -> Need {
        Need { key: hash, memory_mb: key.memory_mb, architecture: key.cpu_class.architecture }
    }
}

/// The workers, as far as room on them is concerned.
#[derive(Clone, Debug, Default)]
pub struct Place {
    hosts: BTreeMap<WorkerId, Host>,
}

impl Place {
    pub fn new() -> Place {
        Place::default()
    }

    /// A worker joined, or says anew what it offers.
    pub fn offer(&mut self, worker: WorkerId, capacity: Capacity) {
        let host = self.hosts.entry(worker).or_insert(Host {
            capacity,
            used: Used::default(),
            leaving: Used::default(),
            draining: false,
        });
        host.capacity = capacity;
        host.draining = false;
    }

    /// Nothing new goes there; what is there stays.
    pub fn drain(&mut self, worker: WorkerId) {
        if let Some(host) = self.hosts.get_mut(&worker) {
            host.draining = true;
        }
    }

    pub fn forget(&mut self, worker: WorkerId) {
        self.hosts.remove(&worker);
    }

    pub fn knows(&self, worker: WorkerId) -> bool {
        self.hosts.contains_key(&worker)
    }

    /// The best worker with room, and not `avoid`.
    pub fn choose(&self, need: Need, avoid: Option<WorkerId>) -> Result<WorkerId, NoRoom> {
        let (used, whole) = self.fleet_load(need.architecture);
        let fits = |(id, host): &(&WorkerId, &Host)| {
            Some(**id) != avoid && host.takes(need) && host.has_room(need)
        };
        let within = |host: &Host| {
            // used_i / whole_i <= bound * (used + need) / whole, in whole numbers.
            let after = u128::from(host.used.memory_mb + u64::from(need.memory_mb));
            let average = u128::from(used + u64::from(need.memory_mb));
            after * u128::from(whole) * 100
                <= average * u128::from(host.capacity.memory_mb) * u128::from(LOAD_BOUND_PERCENT)
        };
        let rank = |(id, host): &(&WorkerId, &Host)| {
            (!within(host), distance(need.key, **id, host.capacity.memory_mb), **id)
        };
        self.hosts.iter().filter(fits).min_by_key(rank).map(|(id, _)| *id).ok_or(NoRoom)
    }

    /// Whether the worker would have room once what is leaving has left.
    pub fn room_when_left(&self, worker: WorkerId, need: Need, also: Used) -> bool {
        self.hosts.get(&worker).is_some_and(|host| {
            let memory = host.used.memory_mb.saturating_sub(host.leaving.memory_mb);
            let slots = host.used.slots.saturating_sub(host.leaving.slots);
            host.takes(need)
                && memory.saturating_sub(also.memory_mb) + u64::from(need.memory_mb)
                    <= host.capacity.memory_mb
                && slots.saturating_sub(also.slots) < host.capacity.slots
        })
    }

    pub fn workers(&self) -> impl Iterator<Item = WorkerId> + '_ {
        self.hosts.keys().copied()
    }

    pub fn reserve(&mut self, worker: WorkerId, memory_mb: u32) {
        if let Some(host) = self.hosts.get_mut(&worker) {
            host.used.memory_mb += u64::from(memory_mb);
            host.used.slots += 1;
        }
    }

    /// An environment was told to leave; its room is not free yet.
    pub fn leaving(&mut self, worker: WorkerId, memory_mb: u32) {
        if let Some(host) = self.hosts.get_mut(&worker) {
            host.leaving.memory_mb += u64::from(memory_mb);
            host.leaving.slots += 1;
        }
    }

    pub fn release(&mut self, worker: WorkerId, memory_mb: u32, was_leaving: bool) {
        if let Some(host) = self.hosts.get_mut(&worker) {
            host.used.give(memory_mb);
            if was_leaving {
                host.leaving.give(memory_mb);
            }
        }
    }

    pub fn used(&self, worker: WorkerId) -> Option<Used> {
        self.hosts.get(&worker).map(|host| host.used)
    }

    /// Unreserved memory of the workers that take new environments.
    pub fn free_mb(&self, architecture: Architecture) -> u64 {
        let (used, whole) = self.fleet_load(architecture);
        whole.saturating_sub(used)
    }

    fn fleet_load(&self, architecture: Architecture) -> (u64, u64) {
        let alike = self.hosts.values().filter(|h| h.capacity.architecture == architecture);
        alike.filter(|h| !h.draining).fold((0, 0), |(used, whole), host| {
            (used + host.used.memory_mb, whole + host.capacity.memory_mb)
        })
    }
}

impl Used {
    fn give(&mut self, memory_mb: u32) {
        self.memory_mb = self.memory_mb.saturating_sub(u64::from(memory_mb));
        self.slots = self.slots.saturating_sub(1);
    }
}

impl Host {
    fn takes(&self, need: Need) -> bool {
        !self.draining && self.capacity.architecture == need.architecture
    }

    fn has_room(&self, need: Need) -> bool {
        self.used.memory_mb + u64::from(need.memory_mb) <= self.capacity.memory_mb
            && self.used.slots < self.capacity.slots
    }
}

/// Weighted rendezvous: -log2(u) / weight with u in (0, 1); the smallest wins, and
/// a worker wins in proportion to its weight.
fn distance(key: KeyHash, worker: WorkerId, weight: u64) -> u64 {
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&key.0.to_le_bytes());
    let drawn = xxh3_64_with_seed(&bytes, worker.0) | 1;
    (minus_log2(drawn) << 16) / weight.max(1)
}

/// -log2(drawn / 2^64) with 32 fractional bits, by repeated squaring.
fn minus_log2(drawn: u64) -> u64 {
    let whole = 63 - drawn.leading_zeros();
    let mut mantissa = u128::from(drawn << drawn.leading_zeros());
    let mut log = u64::from(whole) << 32;
    for bit in (0..32).rev() {
        mantissa = (mantissa * mantissa) >> 63;
        if mantissa >> 64 != 0 {
            mantissa >>= 1;
            log |= 1 << bit;
        }
    }
    (64 << 32) - log
}

#[cfg(test)]
mod tests {
    use super::*;

    fn need(key: u128, memory_mb: u32) -> Need {
        Need { key: KeyHash(key), memory_mb, architecture: Architecture::X86_64 }
    }

    fn capacity(memory_mb: u64, slots: u32) -> Capacity {
        Capacity { memory_mb, slots, architecture: Architecture::X86_64 }
    }

    fn fleet(sizes: &[u64]) -> Place {
        let mut place = Place::new();
        for (at, size) in sizes.iter().enumerate() {
            place.offer(WorkerId(at as u64), capacity(*size, 1_000_000));
        }
        place
    }

    fn spread_keys(n: u128) -> impl Iterator<Item = u128> {
        (0..n).map(|i| i.wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835))
    }

    #[test]
    fn logarithm_is_the_logarithm() {
        let cases = [(1_u64 << 63, 1.0), (3 << 62, 0.415_037_499), (1, 64.0), (u64::MAX, 0.0)];
        for (drawn, expected) in cases {
            let got = minus_log2(drawn) as f64 / 4_294_967_296.0;
            assert!((got - expected).abs() < 1e-6, "{drawn}: {got} is not {expected}");
        }
    }

    #[test]
    fn a_key_keeps_its_worker_and_moves_only_with_it() {
        let place = fleet(&[10_000; 10]);
        let mut fewer = place.clone();
        fewer.forget(WorkerId(3));
        for key in spread_keys(500) {
            let before = place.choose(need(key, 1), None).unwrap();
            let after = fewer.choose(need(key, 1), None).unwrap();
            assert!(before == after || before == WorkerId(3));
        }
    }

    #[test]
    fn workers_win_in_proportion_to_their_memory() {
        let place = fleet(&[1_000_000, 3_000_000]);
        let large = spread_keys(4_000)
            .filter(|key| place.choose(need(*key, 1), None) == Ok(WorkerId(1)))
            .count();
        assert!((2_880..3_120).contains(&large), "{large} of 4000");
    }

    #[test]
    fn one_hot_key_stays_within_the_load_bound() {
        let mut place = fleet(&[10_000; 4]);
        for _ in 0..200 {
            let worker = place.choose(need(42, 100), None).unwrap();
            place.reserve(worker, 100);
        }
        for worker in 0..4 {
            let used = place.used(WorkerId(worker)).unwrap().memory_mb;
            assert!(used <= 20_000 / 4 * 125 / 100 + 100, "worker {worker} holds {used} MB");
        }
    }

    #[test]
    fn nothing_goes_where_it_cannot_be() {
        type Spoil = fn(&mut Place);
        let cases: [(&str, Spoil); 5] = [
            ("no worker", |p| p.forget(WorkerId(0))),
            ("draining", |p| p.drain(WorkerId(0))),
            ("memory full", |p| p.reserve(WorkerId(0), 901)),
            ("slots full", |p| (0..3).for_each(|_| p.reserve(WorkerId(0), 1))),
            ("other architecture", |p| {
                let arm = Capacity { architecture: Architecture::Arm64, ..capacity(1_000, 3) };
                p.offer(WorkerId(0), arm);
            }),
        ];
        for (name, spoil) in cases {
            let mut place = Place::new();
            place.offer(WorkerId(0), capacity(1_000, 3));
            assert_eq!(place.choose(need(1, 100), None), Ok(WorkerId(0)), "{name}");
            assert_eq!(place.choose(need(1, 100), Some(WorkerId(0))), Err(NoRoom), "{name}");
            spoil(&mut place);
            assert_eq!(place.choose(need(1, 100), None), Err(NoRoom), "{name}");
        }
    }

    #[test]
    fn room_comes_back() {
        let mut place = Place::new();
        place.offer(WorkerId(0), capacity(100, 1));
        place.reserve(WorkerId(0), 100);
        assert_eq!(place.choose(need(1, 100), None), Err(NoRoom));
        place.leaving(WorkerId(0), 100);
        assert!(place.room_when_left(WorkerId(0), need(1, 100), Used::default()));
        assert_eq!(place.choose(need(1, 100), None), Err(NoRoom), "leaving is not gone");
        place.release(WorkerId(0), 100, true);
        assert_eq!(place.choose(need(1, 100), None), Ok(WorkerId(0)));
        assert_eq!(place.used(WorkerId(0)), Some(Used::default()));
    }
}
