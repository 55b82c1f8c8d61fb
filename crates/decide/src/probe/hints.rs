//! What a frontend learnt from answers: for each key, which managers had idle
//! environments, how often a probe hits, how long an init takes. It only steers (I7).
//!
//! A table of sets of four: a look-up touches the tags of one set, which stand side by
//! side, and a hint only where its tag fits, however many keys there are. Learning about
//! a known key allocates nothing. The table doubles while it may;
//! then the hint of a set that was used longest ago makes room, which costs probes
//! only.

use alloc::vec::Vec;

use model::{KeyHash, Load, ManagerId, Span};

use crate::dice::Dice;

/// Keys with hints: at most so many.
const KEYS_MAX: usize = 65_536;
const KEYS_MIN: usize = 64;
const WAYS: usize = 4;
/// Managers of one key that are remembered; above it the least promising is not.
const MANAGERS_MAX: usize = 6;
/// What recent grants add to a manager's weight at most.
const GRANTS_MAX: u32 = 8;
/// Chance of a hit where nothing is known, and the whole of it.
const CHANCE_UNKNOWN: u64 = 500;
const CHANCE_WHOLE: u64 = 1_000;
/// A new observation counts for one part in so many.
const EWMA_PARTS: u64 = 8;

/// What earlier answers say about one key.
#[derive(Clone, Debug)]
pub(super) struct Hint {
    key: KeyHash,
    /// Idle environments and recent grants of managers that had one; the first `known`.
    managers: [(ManagerId, u32); MANAGERS_MAX],
    known: u32,
    /// Counts the turns of managers that nothing is known of; 0: none has had one.
    turn: u32,
    /// Chance that an `Existing` probe hits, in thousandths.
    chance: u64,
    /// Init time of the key.
    cold: Option<Span>,
}

/// What is looked at first of a slot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Tag {
    /// Upper bits of the key, never 0; 0: the slot is empty.
    key: u32,
    /// When it was last learnt about, counted in lessons, which may wrap.
    used: u32,
}

impl Tag {
    fn of(key: KeyHash) -> u32 {
        (key.0 >> 96) as u32 | 1
    }
}

#[derive(Clone, Debug, Default)]
pub struct Hints {
    /// `WAYS` slots a set; the low bits of a key name its set.
    slots: Vec<Option<Hint>>,
    /// One of each slot.
    tags: Vec<Tag>,
    lessons: u32,
}

impl Hints {
    pub fn learn_cold(&mut self, key: KeyHash, took: Span) {
        let hint = self.of(key);
        hint.cold = Some(hint.cold.map_or(took, |cold| {
            Span((cold.as_micros() * (EWMA_PARTS - 1) + took.as_micros()) / EWMA_PARTS)
        }));
    }

    pub(super) fn get(&self, key: KeyHash) -> Option<&Hint> {
        self.slots.get(self.slot_of(key)?)?.as_ref()
    }

    /// Whether a manager is known to have had some idle.
    pub(crate) fn knows_idle(&self, key: KeyHash, manager: ManagerId) -> bool {
        self.get(key).is_some_and(|hint| hint.weight(manager) > 0)
    }

    /// Whether asking for an existing environment is worth what it costs.
    pub(super) fn worth(&self, key: KeyHash, cost: Span) -> bool {
        let Some(hint) = self.get(key) else { return true };
        let Some(cold) = hint.cold else { return true };
        hint.chance * cold.as_micros() > cost.as_micros() * CHANCE_WHOLE
    }

    /// Counts from a number that chance names.
    pub(super) fn turn(&mut self, key: KeyHash, dice: &mut Dice) -> usize {
        let hint = self.of(key);
        let next = match hint.turn {
            0 => (dice.roll() >> 33) as u32,
            turn => turn.wrapping_add(1),
        };
        hint.turn = next.max(1);
        next as usize
    }

    pub(super) fn granted(&mut self, key: KeyHash, manager: ManagerId, load: Load, hit: bool) {
        let hint = self.of(key);
        if hit {
            hint.saw(true);
        }
        let weight = hint.slot(manager);
        *weight = (*weight + 1).min(GRANTS_MAX).max(load.idle);
    }

    pub(super) fn missed(&mut self, key: KeyHash, manager: ManagerId) {
        let hint = self.of(key);
        hint.saw(false);
        *hint.slot(manager) = 0;
    }

    /// Finds or makes the hint of a key.
    fn of(&mut self, key: KeyHash) -> &mut Hint {
        self.lessons = self.lessons.wrapping_add(1);
        let at = match self.slot_of(key) {
            Some(at) => at,
            None => self.make_slot(key),
        };
        self.tags[at] = Tag { key: Tag::of(key), used: self.lessons };
        self.slots[at].get_or_insert_with(|| Hint::new(key))
    }

    /// The slots of a key's set; empty in an empty table.
    fn set_of(&self, key: KeyHash) -> core::ops::Range<usize> {
        let sets = self.slots.len() / WAYS;
        let Some(mask) = sets.checked_sub(1) else { return 0..0 };
        let first = (key.0 as usize & mask) * WAYS;
        first..first + WAYS
    }

    fn slot_of(&self, key: KeyHash) -> Option<usize> {
        let tag = Tag::of(key);
        let is_it = |at: &usize| self.slots[*at].as_ref().is_some_and(|hint| hint.key == key);
        self.set_of(key).find(|at| self.tags[*at].key == tag && is_it(at))
    }

    /// An empty slot for a key that has none.
    fn make_slot(&mut self, key: KeyHash) -> usize {
        loop {
            if let Some(at) = self.set_of(key).find(|at| self.tags[*at].key == 0) {
                return at;
            }
            if self.slots.len() < KEYS_MAX {
                self.double();
                continue;
            }
            let age = |at: &usize| self.lessons.wrapping_sub(self.tags[*at].used);
            if let Some(oldest) = self.set_of(key).max_by_key(age) {
                (self.slots[oldest], self.tags[oldest]) = (None, Tag::default());
            }
        }
    }

    /// Each set becomes two, so that none has more than it had.
    fn double(&mut self) {
        let before = core::mem::take(&mut self.slots);
        let tags = core::mem::take(&mut self.tags);
        let size = KEYS_MIN.max(before.len() * 2);
        self.slots.resize(size, None);
        self.tags.resize(size, Tag::default());
        for (hint, tag) in before.into_iter().zip(tags) {
            let Some(hint) = hint else { continue };
            if let Some(at) = self.set_of(hint.key).find(|at| self.tags[*at].key == 0) {
                (self.slots[at], self.tags[at]) = (Some(hint), tag);
            }
        }
    }

    #[cfg(test)]
    pub(super) fn set_chance(&mut self, key: KeyHash, chance: u64) {
        self.of(key).chance = chance;
    }
}

impl Hint {
    fn new(key: KeyHash) -> Hint {
        Hint {
            key,
            managers: [(ManagerId(0), 0); MANAGERS_MAX],
            known: 0,
            turn: 0,
            chance: CHANCE_UNKNOWN,
            cold: None,
        }
    }

    pub(super) fn weight(&self, manager: ManagerId) -> u32 {
        let managers = &self.managers[..self.known as usize];
        managers.iter().find(|(known, _)| *known == manager).map_or(0, |(_, weight)| *weight)
    }

    fn saw(&mut self, hit: bool) {
        let seen = if hit { CHANCE_WHOLE } else { 0 };
        self.chance = (self.chance * (EWMA_PARTS - 1) + seen) / EWMA_PARTS;
    }

    fn slot(&mut self, manager: ManagerId) -> &mut u32 {
        let managers = &self.managers[..self.known as usize];
        let at = match managers.iter().position(|(known, _)| *known == manager) {
            Some(at) => at,
            None => {
                let least = managers.iter().enumerate().min_by_key(|(_, (_, weight))| *weight);
                let full = least.filter(|_| managers.len() == MANAGERS_MAX);
                let at = full.map_or(managers.len(), |(at, _)| at);
                self.known = (MANAGERS_MAX as u32).min(self.known + 1);
                self.managers[at] = (manager, 0);
                at
            }
        };
        &mut self.managers[at].1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn granted(hints: &mut Hints, key: u128, manager: u64) {
        hints.granted(KeyHash(key), ManagerId(manager), Load::default(), true);
    }

    #[test]
    fn the_table_is_bounded_and_keeps_what_was_used_last() {
        let mut hints = Hints::default();
        let keys = 3 * KEYS_MAX as u128;
        for key in 0..keys {
            granted(&mut hints, key, 1);
            granted(&mut hints, 7, 2);
        }
        assert_eq!(hints.slots.len(), KEYS_MAX);
        let known = |key: u128| hints.get(KeyHash(key)).is_some();
        assert!(known(7), "it was learnt about all the time");
        assert!((keys - 1_000..keys).all(known), "the newest are there");
        assert!(!known(100));
    }

    #[test]
    fn growing_forgets_nothing() {
        let mut hints = Hints::default();
        for key in 0..KEYS_MAX as u128 / 2 {
            granted(&mut hints, key, 1);
        }
        assert!((0..KEYS_MAX as u128 / 2).all(|key| hints.get(KeyHash(key)).is_some()));
    }

    #[test]
    fn of_many_managers_the_promising_are_remembered() {
        let mut hints = Hints::default();
        for manager in 0..20 {
            granted(&mut hints, 1, manager);
            granted(&mut hints, 1, 3);
        }
        let hint = hints.get(KeyHash(1)).unwrap();
        assert_eq!((hint.weight(ManagerId(3)), hint.weight(ManagerId(19))), (GRANTS_MAX, 1));
        assert_eq!(hint.known as usize, MANAGERS_MAX);
    }
}
