//! The consistent-hash ring of managers: an immutable view of one version. Who
//! knows the version, a start and a size knows the members of an arc; nothing else
//! has to be said. What arcs are for, `arcs` knows; whom to ask first, `probe`.

mod few;
mod predecessors;
pub mod publish;
mod shares;
mod versions;

use alloc::{vec, vec::Vec};

use model::{ManagerId, RingVersion};
use xxhash_rust::xxh3::{Xxh3, xxh3_64_with_seed};

pub(crate) use few::Few;

pub use predecessors::{PREDS_MAX, Preds};
pub use shares::SHARES_WHOLE;
pub use versions::{Candidate, Candidates, Rings, VERSIONS_MAX, Version};

/// Points of each member: a member's share of the ring deviates by about
/// 1 / sqrt(points), here 6 %.
const POINTS_PER_MEMBER: u64 = 256;

/// Points of one stretch at most, on average: they stand side by side in memory, and the
/// index of stretches of a large ring is small.
const POINTS_PER_STRETCH: usize = 8;
/// Points that are compared at once, so that it makes no difference how many precede a
/// position; more than nearly every stretch has.
const POINTS_AT_ONCE: usize = 16;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ring {
    version: RingVersion,
    /// A hash of version and members.
    identity: u64,
    /// Sorted. The upper bits are a position, the lower ones an index of `members`.
    points: Vec<u64>,
    /// Bits of a point that are not its position.
    member_bits: u32,
    /// Where the points of each stretch of the ring begin: positions are hashes, so
    /// that stretches have about equally many and a look-up costs the same at any size.
    stretches: Vec<u32>,
    /// Bits of a position that name its stretch.
    stretch_bits: u32,
    /// Distinct, sorted.
    members: Vec<ManagerId>,
}

impl Ring {
    pub fn new(version: RingVersion, members: &[ManagerId]) -> Ring {
        let mut distinct = members.to_vec();
        distinct.sort_unstable();
        distinct.dedup();
        let member_bits = distinct.len().next_power_of_two().trailing_zeros();
        let whole = |position: u64| position >> member_bits << member_bits;
        let points_of = |(at, member): (usize, &ManagerId)| {
            let member = *member;
            (0..POINTS_PER_MEMBER).map(move |n| whole(position(member, n)) | at as u64)
        };
        let mut points: Vec<u64> = distinct.iter().enumerate().flat_map(points_of).collect();
        points.sort_unstable();
        let (stretches, stretch_bits) = stretches(&points);
        let mut identity = Xxh3::new();
        identity.update(&version.0.to_le_bytes());
        distinct.iter().for_each(|member| identity.update(&member.0.to_le_bytes()));
        let identity = identity.digest();
        Ring { version, identity, points, member_bits, stretches, stretch_bits, members: distinct }
    }

    /// Equal for equal rings, and for no others.
    pub(crate) fn identity(&self) -> u64 {
        self.identity
    }

    pub fn version(&self) -> RingVersion {
        self.version
    }

    /// Number of distinct members.
    pub fn len(&self) -> usize {
        self.members.len()
    }

    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// The first `size` distinct members clockwise from `start`, appended to `into`;
    /// all members where there are fewer.
    pub fn members(&self, start: u64, size: u16, into: &mut Vec<ManagerId>) {
        let from = into.len();
        let wanted = usize::from(size).min(self.members.len());
        let first = self.first_at(start);
        let clockwise = self.points[first..].iter().chain(&self.points[..first]);
        let mut seen = Seen::new(wanted, self.members.len());
        for point in clockwise {
            if into.len() - from == wanted {
                return;
            }
            let at = self.member_at(*point);
            let Some(member) = self.members.get(at) else { continue };
            if seen.is_new(at, *member, &into[from..]) {
                into.push(*member);
            }
        }
    }

    /// The one member responsible for a position.
    pub fn owner(&self, start: u64) -> Option<ManagerId> {
        let first = self.first_at(start);
        let point = self.points.get(first).or(self.points.first())?;
        self.members.get(self.member_at(*point)).copied()
    }

    fn member_at(&self, point: u64) -> usize {
        (point & ((1 << self.member_bits) - 1)) as usize
    }

    /// Index of the first point at or after a position; the number of points where
    /// there is none.
    fn first_at(&self, start: u64) -> usize {
        let stretch = start.checked_shr(64 - self.stretch_bits).unwrap_or(0) as usize;
        let mut at = self.stretches.get(stretch).map_or(0, |at| *at as usize);
        let start = start >> self.member_bits;
        loop {
            let end = self.points.len().min(at + POINTS_AT_ONCE);
            let near = &self.points[at..end];
            let before = near.iter().filter(|point| **point >> self.member_bits < start).count();
            at += before;
            if before < POINTS_AT_ONCE {
                return at;
            }
        }
    }
}

/// The first point of each stretch, and the bits that name a stretch.
fn stretches(points: &[u64]) -> (Vec<u32>, u32) {
    let bits = (points.len() / POINTS_PER_STRETCH).next_power_of_two().trailing_zeros();
    let mut stretches = Vec::with_capacity(1 << bits);
    let mut at = 0;
    for stretch in 0..1_u64 << bits {
        let of = |position: u64| position.checked_shr(64 - bits).unwrap_or(0);
        while points.get(at).is_some_and(|point| of(*point) < stretch) {
            at += 1;
        }
        stretches.push(at as u32);
    }
    (stretches, bits)
}

/// Which members a walk has met: the few of an arc are looked through, the many of a
/// whole ring are marked.
struct Seen(Vec<bool>);

impl Seen {
    /// Arcs up to this size are looked through, and the walk allocates nothing.
    const FEW: usize = 32;

    fn new(wanted: usize, members: usize) -> Seen {
        Seen(if wanted > Self::FEW { vec![false; members] } else { Vec::new() })
    }

    /// `at`: the member's index.
    fn is_new(&mut self, at: usize, member: ManagerId, met: &[ManagerId]) -> bool {
        if self.0.is_empty() {
            return !met.contains(&member);
        }
        self.0.get_mut(at).is_some_and(|seen| !core::mem::replace(seen, true))
    }
}

fn position(member: ManagerId, point: u64) -> u64 {
    xxh3_64_with_seed(&member.0.to_le_bytes(), point)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ring(n: u64) -> Ring {
        let members: Vec<ManagerId> = (0..n).map(ManagerId).collect();
        Ring::new(RingVersion(1), &members)
    }

    fn arc(ring: &Ring, start: u64, size: u16) -> Vec<ManagerId> {
        let mut members = Vec::new();
        ring.members(start, size, &mut members);
        members
    }

    fn start(group: u64) -> u64 {
        xxh3_64_with_seed(&group.to_le_bytes(), 99)
    }

    #[test]
    fn members_are_distinct_and_an_arc_is_a_prefix_of_a_larger_one() {
        let ring = ring(20);
        for group in 0..500 {
            let whole = arc(&ring, start(group), 20);
            let mut sorted = whole.clone();
            sorted.sort_unstable();
            sorted.dedup();
            assert_eq!(sorted.len(), 20);
            for size in 0..=20_u16 {
                assert_eq!(arc(&ring, start(group), size), whole[..usize::from(size)]);
            }
            assert_eq!(arc(&ring, start(group), 500), whole);
            assert_eq!(ring.owner(start(group)), whole.first().copied());
        }
    }

    #[test]
    fn the_order_in_which_members_are_named_makes_no_difference() {
        let named = [ManagerId(3), ManagerId(1), ManagerId(3), ManagerId(2)];
        let sorted = [ManagerId(1), ManagerId(2), ManagerId(3)];
        assert_eq!(Ring::new(RingVersion(1), &named), Ring::new(RingVersion(1), &sorted));
    }

    #[test]
    fn a_look_up_finds_what_a_search_through_all_points_finds() {
        for n in [1, 3, 77] {
            let ring = ring(n);
            let edges = [0, 1, u64::MAX, ring.points[0], ring.points[ring.points.len() - 1]];
            let whole = |point: u64| point >> ring.member_bits;
            for start in (0..2_000).map(start).chain(edges) {
                let searched = ring.points.partition_point(|at| whole(*at) < whole(start));
                assert_eq!(ring.first_at(start), searched, "{n} members, {start}");
            }
        }
    }

    #[test]
    fn an_empty_ring_has_no_owner() {
        assert_eq!(ring(0).owner(7), None);
        assert_eq!(arc(&ring(0), 7, 2), []);
    }

    #[test]
    fn a1_5_one_manager_moves_only_the_groups_that_it_serves() {
        let (before, groups) = (ring(20), 10_000);
        for changed in [ring(19), ring(21)] {
            let (moved_member, size) = (ManagerId(changed.len().min(20) as u64), 2);
            let mut moved = 0;
            for group in 0..groups {
                let (old, new) =
                    (arc(&before, start(group), size), arc(&changed, start(group), size));
                if old != new {
                    moved += 1;
                    assert!(old.contains(&moved_member) || new.contains(&moved_member));
                }
            }
            let expected = 2.0 / before.len().max(changed.len()) as f64;
            let share = f64::from(moved) / groups as f64;
            assert!((share / expected - 1.0).abs() <= 0.2, "{share} is not {expected} ± 20 %");
        }
    }
}
