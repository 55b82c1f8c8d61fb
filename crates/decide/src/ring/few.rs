//! `Few`: a list of managers that allocates only where it is longer than most arcs
//! are. What one call remembers of its candidates is such a list.

use alloc::vec::Vec;

use model::ManagerId;

/// Managers that are held without an allocation.
const INLINE: usize = 16;

#[derive(Clone, Debug)]
pub(crate) enum Few {
    Inline([ManagerId; INLINE], usize),
    Many(Vec<ManagerId>),
}

impl Few {
    pub(crate) const EMPTY: Few = Few::Inline([ManagerId(0); INLINE], 0);

    pub(crate) fn of(managers: &[ManagerId]) -> Few {
        let mut few = [ManagerId(0); INLINE];
        match few.get_mut(..managers.len()) {
            Some(place) => {
                place.copy_from_slice(managers);
                Few::Inline(few, managers.len())
            }
            None => Few::Many(managers.to_vec()),
        }
    }

    pub(crate) fn as_slice(&self) -> &[ManagerId] {
        match self {
            Few::Inline(few, len) => &few[..*len],
            Few::Many(many) => many,
        }
    }

    pub(crate) fn push(&mut self, manager: ManagerId) {
        match self {
            Few::Inline(few, len) if *len < INLINE => {
                few[*len] = manager;
                *len += 1;
            }
            Few::Inline(few, _) => {
                let mut many = few.to_vec();
                many.push(manager);
                *self = Few::Many(many);
            }
            Few::Many(many) => many.push(manager),
        }
    }

    /// Takes out the one at an index below the length; the order stays.
    pub(crate) fn remove(&mut self, at: usize) -> ManagerId {
        match self {
            Few::Inline(few, len) => {
                let taken = few[at];
                few.copy_within(at + 1..*len, at);
                *len -= 1;
                taken
            }
            Few::Many(many) => many.remove(at),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_and_long_lists_are_the_same_lists() {
        for n in [0, 1, INLINE, INLINE + 1, 3 * INLINE] {
            let all: Vec<ManagerId> = (0..n as u64).map(ManagerId).collect();
            let mut few = Few::EMPTY;
            all.iter().for_each(|manager| few.push(*manager));
            assert_eq!(few.as_slice(), all);
            assert_eq!(Few::of(&all).as_slice(), all);
            let mut left = all.clone();
            while left.len() > 1 {
                assert_eq!(few.remove(left.len() / 2), left.remove(left.len() / 2));
                assert_eq!(few.as_slice(), left);
            }
        }
    }
}
