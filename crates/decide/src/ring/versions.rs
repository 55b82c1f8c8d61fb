//! The ring versions that are published now, and which of them serves a key. Each
//! key is rolled once per version, so that a version under rollout serves always
//! the same keys. The managers of earlier versions are the predecessors of the
//! chosen one's: who they are for an arc is computed here, from the arcs that the
//! key had (A3, A4).
//!
//! Invariant: versions stand newest first, and at most `VERSIONS_MAX` of them.

use alloc::vec::Vec;

use model::{
    Attrs, FleetId, KeyHash, ManagerId, PoolKey, Pred, RingRecord, RingState, RingVersion,
};
use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::{Ring, predecessors::Preds};

/// Versions that are known at once; the oldest is forgotten, and what only its
/// managers hold idles out.
pub const VERSIONS_MAX: usize = 4;

/// A published version with its points.
#[derive(Clone, Debug)]
pub struct Version {
    record: RingRecord,
    ring: Ring,
}

impl Version {
    fn new(record: RingRecord) -> Version {
        let ring = Ring::new(record.v, &record.members);
        Version { record, ring }
    }

    pub fn v(&self) -> RingVersion {
        self.record.v
    }

    pub fn fleet(&self) -> FleetId {
        self.record.fleet
    }

    pub fn ring(&self) -> &Ring {
        &self.ring
    }

    pub fn attrs(&self) -> &Attrs {
        &self.record.attrs
    }

    pub fn record(&self) -> &RingRecord {
        &self.record
    }

    /// Managers of an arc that wants `size` by itself: never fewer than the spread.
    pub fn width(&self, size: u16) -> u16 {
        let members = u16::try_from(self.ring.len()).unwrap_or(u16::MAX);
        size.max(self.record.attrs.spread).min(members)
    }

    /// The pool key as this version serves it; None where it is the same.
    pub fn profiled(&self, key: &PoolKey) -> Option<PoolKey> {
        let profile = self.record.attrs.profile;
        (key.profile != profile).then(|| PoolKey { profile, ..key.clone() })
    }

    fn serves(&self, key: KeyHash) -> bool {
        self.record.state != RingState::Gone && roll(key, self.v()) < self.record.key_share
    }
}

/// The place of a key among `KEY_SHARE_WHOLE`, for one version.
fn roll(key: KeyHash, v: RingVersion) -> u16 {
    let drawn = xxh3_64_with_seed(&key.0.to_le_bytes(), v.0);
    let part = drawn % u64::from(model::ring::KEY_SHARE_WHOLE);
    u16::try_from(part).unwrap_or(u16::MAX)
}

/// A member of an arc, and whom it asks when it misses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate {
    pub manager: ManagerId,
    pub preds: Preds,
}

/// The candidates of one call, with buffers that are kept between calls.
#[derive(Clone, Debug, Default)]
pub struct Candidates {
    /// The version that decided.
    pub by: RingVersion,
    /// In arc order.
    pub members: Vec<Candidate>,
    new: Vec<ManagerId>,
    old: Vec<ManagerId>,
}

#[derive(Clone, Debug, Default)]
pub struct Rings {
    versions: Vec<Version>,
}

impl Rings {
    pub fn of(records: impl IntoIterator<Item = RingRecord>) -> Rings {
        let mut rings = Rings::default();
        for record in records {
            rings.learn(record);
        }
        rings
    }

    /// Takes a published record: a new version, or a newer state of a known one.
    pub fn learn(&mut self, record: RingRecord) {
        match self.versions.binary_search_by(|known| record.v.cmp(&known.v())) {
            Ok(at) if self.versions[at].record.members == record.members => {
                self.versions[at].record = record;
            }
            Ok(at) => self.versions[at] = Version::new(record),
            Err(at) => self.versions.insert(at, Version::new(record)),
        }
        self.versions.truncate(VERSIONS_MAX);
    }

    /// Newest first.
    pub fn versions(&self) -> &[Version] {
        &self.versions
    }

    pub fn newest(&self) -> Option<&Version> {
        self.versions.first()
    }

    pub fn get(&self, v: RingVersion) -> Option<&Version> {
        self.versions.iter().find(|version| version.v() == v)
    }

    /// The newest version that serves the key: the same at every call, until a
    /// version is published.
    pub fn current_for(&self, key: KeyHash) -> Option<&Version> {
        self.versions.iter().find(|version| version.serves(key))
    }

    /// The arc that starts at `start` and wants `size` managers, as the version that
    /// serves the key has it, with the predecessors of each member. Empty where no
    /// version serves the key.
    pub fn for_arc(&self, key: KeyHash, start: u64, size: u16, into: &mut Candidates) {
        let Candidates { by, members, new, old } = into;
        members.clear();
        new.clear();
        let Some(current) = self.current_for(key) else { return };
        *by = current.v();
        let width = current.width(size);
        current.ring.members(start, width, new);
        members.extend(new.iter().map(|m| Candidate { manager: *m, preds: Preds::NONE }));
        let mut tier = 0;
        let mut before = self.before(current);
        while let Some(version) = before {
            if version.record.attrs.profile == current.record.attrs.profile {
                old.clear();
                version.ring.members(start, version.width(size), old);
                add_preds(members, old, tier);
                tier += 2;
            }
            before = self.before(version);
        }
    }

    /// The version whose managers come before this one's.
    fn before(&self, version: &Version) -> Option<&Version> {
        let prev = version.record.prev.filter(|prev| *prev < version.v())?;
        self.get(prev).filter(|before| before.record.state != RingState::Gone)
    }
}

/// Position `j` of the new arc inherits from the positions of the old arc whose part
/// of the key overlaps its own. Where the widths differ, the rest of the old arc
/// follows a tier later, for what that does not serve: members of both arcs may
/// have used by themselves what they were to share.
fn add_preds(members: &mut [Candidate], old: &[ManagerId], tier: u8) {
    let (a, b) = (old.len(), members.len());
    for (j, member) in members.iter_mut().enumerate() {
        for (i, manager) in old.iter().enumerate().filter(|(i, _)| overlap(*i, a, j, b)) {
            let askers = (0..b).filter(|j| overlap(i, a, *j, b)).count();
            let askers = u16::try_from(askers).unwrap_or(u16::MAX);
            push(member, Pred { manager: *manager, tier, askers });
        }
        if a != b {
            for manager in old {
                push(member, Pred { manager: *manager, tier: tier + 1, askers: 0 });
            }
        }
    }
}

fn push(member: &mut Candidate, pred: Pred) {
    if pred.manager != member.manager {
        member.preds.push(pred);
    }
}

/// Whether `[i/a, (i+1)/a)` and `[j/b, (j+1)/b)` have a part in common.
fn overlap(i: usize, a: usize, j: usize, b: usize) -> bool {
    i * b < (j + 1) * a && j * a < (i + 1) * b
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use model::ring::{KEY_SHARE_WHOLE, Profile};

    use super::*;

    fn record(v: u64, members: core::ops::Range<u64>, share: u16) -> RingRecord {
        RingRecord {
            v: RingVersion(v),
            fleet: FleetId(members.start),
            members: members.map(ManagerId).collect(),
            attrs: Attrs::default(),
            prev: v.checked_sub(1).map(RingVersion),
            key_share: share,
            state: RingState::Active,
        }
    }

    fn spread(record: RingRecord, spread: u16) -> RingRecord {
        RingRecord { attrs: Attrs { spread, ..record.attrs }, ..record }
    }

    fn arc(rings: &Rings, start: u64) -> Candidates {
        let mut into = Candidates::default();
        rings.for_arc(KeyHash(7), start, 1, &mut into);
        into
    }

    /// Positions of the old arc, and among how many askers each divides.
    type Asked = (Vec<usize>, Vec<u16>);

    /// What each position of the new arc asks first.
    fn asked(from: u16, to: u16) -> Vec<Asked> {
        let old = spread(record(1, 0..20, KEY_SHARE_WHOLE), from);
        let new = spread(record(2, 100..120, KEY_SHARE_WHOLE), to);
        let before = arc(&Rings::of([old.clone()]), 9);
        let after = arc(&Rings::of([old, new]), 9);
        assert_eq!(after.members.len(), usize::from(to));
        let of = |candidate: &Candidate| {
            let first = candidate.preds.as_slice().iter().filter(|pred| pred.tier == 0);
            let position = |pred: &Pred| {
                before.members.iter().position(|old| old.manager == pred.manager).unwrap()
            };
            first.map(|pred| (position(pred), pred.askers)).unzip()
        };
        after.members.iter().map(of).collect()
    }

    #[test]
    fn the_mapping_of_a_changed_spread() {
        let cases: [(u16, u16, Vec<Asked>); 5] = [
            (1, 1, vec![(vec![0], vec![1])]),
            (2, 4, [0, 0, 1, 1].map(|i| (vec![i], vec![2])).to_vec()),
            (4, 2, vec![(vec![0, 1], vec![1, 1]), (vec![2, 3], vec![1, 1])]),
            (3, 2, vec![(vec![0, 1], vec![1, 2]), (vec![1, 2], vec![2, 1])]),
            (8, 1, vec![((0..8).collect(), vec![1; 8])]),
        ];
        for (from, to, expected) in cases {
            assert_eq!(asked(from, to), expected, "{from} -> {to}");
        }
    }

    #[test]
    fn a3_2_a_share_of_the_keys_and_always_the_same() {
        let old = record(1, 0..3, KEY_SHARE_WHOLE);
        let share = |part| Rings::of([old.clone(), record(2, 10..13, part)]);
        let moved = |rings: &Rings| -> Vec<u128> {
            let new = |key: &u128| rings.current_for(KeyHash(*key)).unwrap().v().0 == 2;
            (0..100_000).map(|n| n * 0x9e37_79b9_7f4a_7c15).filter(new).collect()
        };
        let five = moved(&share(500));
        assert!((4_000..=6_000).contains(&five.len()), "{} of 100,000", five.len());
        assert_eq!(five, moved(&share(500)));
        let more = moved(&share(2_500));
        assert!(five.iter().all(|key| more.contains(key)), "a larger share keeps its keys");
        assert_eq!(moved(&share(0)).len(), 0);
        assert_eq!(moved(&share(KEY_SHARE_WHOLE)).len(), 100_000);
    }

    #[test]
    fn chains_are_newest_first_end_at_gone_and_leave_out_the_owner() {
        let records = [
            record(1, 0..1, KEY_SHARE_WHOLE),
            record(2, 10..11, KEY_SHARE_WHOLE),
            record(3, 20..21, KEY_SHARE_WHOLE),
            // Back to the first fleet.
            record(4, 0..1, KEY_SHARE_WHOLE),
        ];
        let preds = |rings: &Rings| {
            let arc = arc(rings, 3);
            let preds = arc.members[0].preds;
            preds.as_slice().iter().map(|pred| (pred.manager.0, pred.tier)).collect::<Vec<_>>()
        };
        let mut rings = Rings::of(records.clone());
        assert_eq!(preds(&rings), [(20, 0), (10, 2)]);
        rings.learn(RingRecord { state: RingState::Gone, ..records[1].clone() });
        assert_eq!(preds(&rings), [(20, 0)]);
        rings.learn(record(5, 0..1, KEY_SHARE_WHOLE));
        assert_eq!(rings.versions().len(), VERSIONS_MAX);
        assert!(rings.get(RingVersion(1)).is_none());
    }

    #[test]
    fn a4_4_another_profile_has_no_predecessors_and_another_key() {
        let old = record(1, 0..3, KEY_SHARE_WHOLE);
        let mut new = record(2, 0..3, KEY_SHARE_WHOLE);
        new.attrs.profile = Profile { sandbox: 1, worker_class: 0 };
        let rings = Rings::of([old.clone(), new]);
        assert!(arc(&rings, 1).members.iter().all(|candidate| candidate.preds.is_empty()));
        // Back to the first profile: its managers are the predecessors again.
        let rings = Rings::of(rings.versions().iter().map(|v| v.record().clone()).chain([record(
            3,
            5..6,
            10_000,
        )]));
        let back = arc(&rings, 1);
        assert_eq!(back.members[0].preds.as_slice().len(), 1);
        assert!(back.members[0].preds.as_slice()[0].manager.0 < 3);
    }
}
