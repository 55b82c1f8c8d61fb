//! What may be published as a ring version, and which record comes next: a
//! successor, the next step of its baking, the way back. Nothing here writes; the
//! ring publisher does.
//!
//! ```text
//!   successor ─▶ Baking 1 % ─▶ 5 % ─▶ 25 % ─▶ Active 100 % ─▶ Retiring ─▶ Gone
//!                   └───────── way back: another successor, of the old fleet
//! ```
//! Invariant: of a version that was published only the share grows and the state
//! moves on; everything else needs a new version (I6).

use alloc::vec::Vec;
use core::fmt;

use model::{
    Attrs, FleetId, ManagerId, RingRecord, RingState, RingVersion, limits::CELL_MANAGERS_MAX,
    ring::KEY_SHARE_WHOLE,
};

use super::versions::Rings;

/// Shares of the keys that a new version serves, one after the other.
pub const BAKE_STEPS: [u16; 4] = [100, 500, 2_500, KEY_SHARE_WHOLE];

/// What is known when a record is to be published.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// Managers that exist.
    pub managers: &'a [ManagerId],
    /// Calls in flight of the key that has the most.
    pub in_flight_max: u64,
}

/// Why a record is not published.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unfit {
    NoMembers,
    /// More than a cell is tested with (X4).
    TooManyMembers {
        members: usize,
    },
    UnknownMember(ManagerId),
    NotNewer {
        v: RingVersion,
        newest: RingVersion,
    },
    UnknownPrev(RingVersion),
    /// Members or settings of a version that is published already.
    Changed(RingVersion),
    /// A share may only grow, a state only move on.
    Backwards(RingVersion),
    ShareAboveWhole(u16),
    ZeroAttribute(&'static str),
    /// A key has more calls in flight than its managers together would take (A4.5).
    TooSmall {
        spread: u64,
        per_mgr_cap: u32,
        in_flight: u64,
    },
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unfit::NoMembers => write!(f, "a ring needs at least one manager"),
            Unfit::TooManyMembers { members } => write!(
                f,
                "{members} managers are more than the {CELL_MANAGERS_MAX} that a cell is tested \
                 with: make another installation for the rest"
            ),
            Unfit::UnknownMember(member) => write!(f, "manager {member} does not exist"),
            Unfit::NotNewer { v, newest } => {
                write!(f, "version {v} is not above {newest}, the newest that was published")
            }
            Unfit::UnknownPrev(prev) => write!(f, "the previous version {prev} is not known"),
            Unfit::Changed(v) => write!(
                f,
                "version {v} is published: its members and settings stay, publish another version"
            ),
            Unfit::Backwards(v) => write!(
                f,
                "the share of version {v} may only grow and its state only move on; to go back, \
                 publish a version of the old managers"
            ),
            Unfit::ShareAboveWhole(share) => {
                write!(f, "a share of {share} is above the whole, {KEY_SHARE_WHOLE}")
            }
            Unfit::ZeroAttribute(name) => write!(f, "{name} must be at least 1"),
            Unfit::TooSmall { spread, per_mgr_cap, in_flight } => write!(
                f,
                "{spread} managers per key with {per_mgr_cap} calls each take {} calls of one \
                 key, and one has {in_flight} in flight now",
                spread * u64::from(*per_mgr_cap)
            ),
        }
    }
}

impl core::error::Error for Unfit {}

impl Rings {
    /// Whether a record may be published now.
    pub fn check(&self, record: &RingRecord, facts: Facts<'_>) -> Result<(), Unfit> {
        if record.key_share > KEY_SHARE_WHOLE {
            return Err(Unfit::ShareAboveWhole(record.key_share));
        }
        match self.get(record.v).map(|version| version.record()) {
            Some(published) => check_step(published, record),
            None => self.check_new(record, facts),
        }
    }

    fn check_new(&self, record: &RingRecord, facts: Facts<'_>) -> Result<(), Unfit> {
        let (v, attrs) = (record.v, record.attrs);
        if let Some(newest) = self.newest().map(|version| version.v()).filter(|n| v <= *n) {
            return Err(Unfit::NotNewer { v, newest });
        }
        if let Some(prev) = record.prev.filter(|prev| self.get(*prev).is_none()) {
            return Err(Unfit::UnknownPrev(prev));
        }
        if record.members.is_empty() {
            return Err(Unfit::NoMembers);
        }
        let members = record.members.len();
        if members > CELL_MANAGERS_MAX {
            return Err(Unfit::TooManyMembers { members });
        }
        if let Some(unknown) = record.members.iter().find(|m| !facts.managers.contains(m)) {
            return Err(Unfit::UnknownMember(*unknown));
        }
        let named = [
            ("spread", u32::from(attrs.spread)),
            ("per_mgr_cap", attrs.per_mgr_cap),
            ("idle_ttl_s", attrs.idle_ttl_s),
        ];
        if let Some((name, _)) = named.iter().find(|(_, value)| *value == 0) {
            return Err(Unfit::ZeroAttribute(name));
        }
        let mut distinct: Vec<ManagerId> = record.members.clone();
        distinct.sort_unstable();
        distinct.dedup();
        let spread = u64::from(attrs.spread).min(distinct.len() as u64);
        let (per_mgr_cap, in_flight) = (attrs.per_mgr_cap, facts.in_flight_max);
        if spread * u64::from(per_mgr_cap) < in_flight {
            return Err(Unfit::TooSmall { spread, per_mgr_cap, in_flight });
        }
        Ok(())
    }

    /// The version of a new deployment or of new settings, at its first step.
    pub fn successor(&self, fleet: FleetId, members: Vec<ManagerId>, attrs: Attrs) -> RingRecord {
        let newest = self.newest().map(|version| version.v());
        let first = newest.is_none();
        RingRecord {
            v: newest.map_or(RingVersion(1), |v| RingVersion(v.0 + 1)),
            fleet,
            members,
            attrs,
            prev: newest,
            key_share: if first { KEY_SHARE_WHOLE } else { BAKE_STEPS[0] },
            state: if first { RingState::Active } else { RingState::Baking },
        }
    }

    /// The next step of the newest version's baking; None where it has all keys.
    pub fn next_step(&self) -> Option<RingRecord> {
        let newest = self.newest()?.record();
        let share = BAKE_STEPS.into_iter().find(|step| *step > newest.key_share)?;
        let whole = share == KEY_SHARE_WHOLE;
        let state = if whole { RingState::Active } else { RingState::Baking };
        Some(RingRecord { key_share: share, state, ..newest.clone() })
    }

    /// The way back: the managers and settings of the version before the newest, as
    /// a version of their own that takes the environments back.
    pub fn way_back(&self) -> Option<RingRecord> {
        let newest = self.newest()?;
        let before = self.get(newest.record().prev?)?.record();
        Some(RingRecord {
            v: RingVersion(newest.v().0 + 1),
            prev: Some(newest.v()),
            key_share: KEY_SHARE_WHOLE,
            state: RingState::Active,
            ..before.clone()
        })
    }

    /// Older versions that a newer one with every key has made superfluous, as they
    /// are to be published.
    pub fn to_retire(&self) -> impl Iterator<Item = RingRecord> + '_ {
        let whole = |version: &&super::Version| version.record().key_share == KEY_SHARE_WHOLE;
        let current = self.versions().iter().find(whole).map(|version| version.v());
        self.versions().iter().filter_map(move |version| {
            let serves = matches!(version.record().state, RingState::Baking | RingState::Active);
            let retired = || RingRecord { state: RingState::Retiring, ..version.record().clone() };
            (serves && Some(version.v()) < current).then(retired)
        })
    }
}

fn check_step(published: &RingRecord, record: &RingRecord) -> Result<(), Unfit> {
    let same = published.members == record.members
        && published.attrs == record.attrs
        && published.fleet == record.fleet
        && published.prev == record.prev;
    if !same {
        return Err(Unfit::Changed(record.v));
    }
    if record.key_share < published.key_share || record.state < published.state {
        return Err(Unfit::Backwards(record.v));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const MANAGERS: [ManagerId; 4] = [ManagerId(1), ManagerId(2), ManagerId(3), ManagerId(4)];

    fn facts(in_flight_max: u64) -> Facts<'static> {
        Facts { managers: &MANAGERS, in_flight_max }
    }

    fn first() -> Rings {
        let first = Rings::default().successor(FleetId(1), MANAGERS.to_vec(), Attrs::default());
        assert_eq!(Rings::default().check(&first, facts(0)), Ok(()));
        Rings::of([first])
    }

    #[test]
    fn a_version_bakes_in_steps_and_retires_the_one_before() {
        let mut rings = first();
        rings.learn(rings.successor(FleetId(2), MANAGERS[2..].to_vec(), Attrs::default()));
        let mut shares = alloc::vec![rings.newest().unwrap().record().key_share];
        assert_eq!(rings.to_retire().count(), 0);
        while let Some(step) = rings.next_step() {
            assert_eq!(rings.check(&step, facts(0)), Ok(()));
            shares.push(step.key_share);
            rings.learn(step);
        }
        assert_eq!(shares, BAKE_STEPS);
        assert_eq!(rings.newest().unwrap().record().state, RingState::Active);
        let retired: Vec<RingRecord> = rings.to_retire().collect();
        assert_eq!(retired.iter().map(|r| r.v.0).collect::<Vec<_>>(), [1]);
        assert_eq!(rings.check(&retired[0], facts(0)), Ok(()));
    }

    #[test]
    fn the_way_back_is_a_version_of_the_old_managers() {
        let mut rings = first();
        rings.learn(rings.successor(FleetId(2), MANAGERS[2..].to_vec(), Attrs::default()));
        let back = rings.way_back().unwrap();
        assert_eq!((back.v.0, back.prev, back.fleet), (3, Some(RingVersion(2)), FleetId(1)));
        assert_eq!(back.members, MANAGERS);
        assert_eq!(rings.check(&back, facts(0)), Ok(()));
        assert_eq!(first().way_back(), None);
    }

    #[test]
    fn x4_a_ring_of_more_managers_than_a_cell_is_tested_with_is_refused() {
        let rings = Rings::of([]);
        let check = |managers: usize| {
            let members: Vec<ManagerId> = (1..=managers as u64).map(ManagerId).collect();
            let record = rings.successor(FleetId(1), members.clone(), Attrs::default());
            rings.check(&record, Facts { managers: &members, in_flight_max: 0 })
        };
        assert_eq!(check(CELL_MANAGERS_MAX), Ok(()));
        let refused = check(CELL_MANAGERS_MAX + 1).unwrap_err();
        assert_eq!(refused, Unfit::TooManyMembers { members: CELL_MANAGERS_MAX + 1 });
        let text = alloc::format!("{refused}");
        assert!(text.contains("1001") && text.contains("the 1000 that"), "{text}");
    }

    #[test]
    fn a4_5_what_does_not_fit_is_refused_with_an_explanation() {
        let rings = first();
        let attrs = |spread, per_mgr_cap| Attrs { spread, per_mgr_cap, ..Attrs::default() };
        let next = |attrs| rings.successor(FleetId(2), MANAGERS.to_vec(), attrs);
        let good = next(attrs(2, 10));
        let old = rings.newest().unwrap().record().clone();
        let v = RingVersion(1);
        let changed = |change: fn(&mut RingRecord)| {
            let mut record = good.clone();
            change(&mut record);
            record
        };
        let too_small =
            |spread, per_mgr_cap| Unfit::TooSmall { spread, per_mgr_cap, in_flight: 20 };
        let cases = [
            ("fits exactly", good.clone(), Ok(())),
            ("one too few", next(attrs(1, 19)), Err(too_small(1, 19))),
            ("no more managers than there are", next(attrs(9, 4)), Err(too_small(4, 4))),
            ("no spread", next(attrs(0, 9)), Err(Unfit::ZeroAttribute("spread"))),
            (
                "an old number",
                RingRecord { fleet: FleetId(9), ..old.clone() },
                Err(Unfit::Changed(v)),
            ),
            ("a smaller share", RingRecord { key_share: 5_000, ..old }, Err(Unfit::Backwards(v))),
            ("no members", changed(|r| r.members.clear()), Err(Unfit::NoMembers)),
            (
                "a stranger",
                changed(|r| r.members[0] = ManagerId(9)),
                Err(Unfit::UnknownMember(ManagerId(9))),
            ),
            (
                "below the newest",
                changed(|r| r.v = RingVersion(0)),
                Err(Unfit::NotNewer { v: RingVersion(0), newest: v }),
            ),
            (
                "after nothing",
                changed(|r| r.prev = Some(RingVersion(7))),
                Err(Unfit::UnknownPrev(RingVersion(7))),
            ),
            (
                "above the whole",
                changed(|r| r.key_share = 10_001),
                Err(Unfit::ShareAboveWhole(10_001)),
            ),
        ];
        for (name, record, expected) in cases {
            assert_eq!(rings.check(&record, facts(20)), expected, "{name}");
        }
        let text = alloc::format!("{}", too_small(1, 19));
        assert!(text.contains("take 19 calls of one key, and one has 20 in flight"), "{text}");
    }
}
