//! A ring as operators look at it: what part of all keys each member serves, and who
//! owns the parts one after the other. Nothing on the path of a call needs it.

use alloc::{collections::BTreeMap, vec::Vec};

use model::ManagerId;

use super::Ring;

/// What shares add up to.
pub const SHARES_WHOLE: u64 = 1_000_000;

impl Ring {
    /// Each member with its part of the ring in millionths, by number.
    pub fn shares(&self) -> Vec<(ManagerId, u64)> {
        let mut lengths: BTreeMap<ManagerId, u128> = BTreeMap::new();
        let last = self.points.last().copied().unwrap_or(0);
        let mut before = last;
        // A point owns what lies between the one before it and itself.
        for point in &self.points {
            if let Some(member) = self.members.get(self.member_at(*point)) {
                *lengths.entry(*member).or_insert(0) += u128::from(point.wrapping_sub(before));
            }
            before = *point;
        }
        let whole = 1_u128 << 64;
        let share = |length: u128| (length * u128::from(SHARES_WHOLE) + whole / 2) / whole;
        let shares = lengths.into_iter();
        shares.map(|(member, length)| (member, share(length) as u64)).collect()
    }

    /// The owners in the middle of so many equal parts of the ring, clockwise.
    pub fn parts(&self, count: u64) -> Vec<ManagerId> {
        let width = u64::MAX / count.max(1);
        (0..count).filter_map(|n| self.owner(n * width + width / 2)).collect()
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use model::RingVersion;

    use super::*;

    #[test]
    fn shares_make_the_whole_and_agree_with_the_owners() {
        let members: Vec<ManagerId> = (1..=5).map(ManagerId).collect();
        let ring = Ring::new(RingVersion(1), &members);
        let shares = ring.shares();
        assert_eq!(shares.len(), 5);
        let sum: u64 = shares.iter().map(|(_, share)| share).sum();
        assert!(sum.abs_diff(SHARES_WHOLE) <= 5, "{sum}");
        let parts = ring.parts(10_000);
        for (member, share) in shares {
            let owned = parts.iter().filter(|owner| **owner == member).count() as u64 * 100;
            assert!(owned.abs_diff(share) < 10_000, "{member}: {owned} and {share}");
        }
    }

    #[test]
    fn a_ring_of_one_is_its_members() {
        let ring = Ring::new(RingVersion(1), &[ManagerId(7)]);
        let whole: u64 = ring.shares().iter().map(|(_, share)| share).sum();
        assert!(whole.abs_diff(SHARES_WHOLE) <= 1, "{whole}");
        assert_eq!(ring.parts(3), vec![ManagerId(7); 3]);
        assert!(Ring::new(RingVersion(1), &[]).parts(3).is_empty());
    }
}
