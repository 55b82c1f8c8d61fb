//! Budgeted probing: which manager of an arc is asked next, and whether that one
//! may create (A5). It sends nothing; the frontend does, and tells the answers.
//!
//! ```text
//!   next ──▶ Ask(Existing) ──NoIdle──▶ next … ──▶ Ask(ExistingOrNew) ──▶ granted
//!              │ throttled or silent: skipped, not counted as the last
//!              └──▶ Exhausted: every candidate was asked
//! ```
//! The last probe is the message that may create: a separate one would double the
//! wait and race. A probe is the last when the number or the time is spent, when no
//! other candidate is left, or when finding an environment is worth less than
//! asking: `p * cold <= cost`.

mod hints;

use model::{KeyHash, Load, ManagerId, Now, Span, limits};

pub use hints::Hints;

use crate::{book::Mode, dice::Dice, ring::Few};

/// One call of so many asks a member before the first that is known to have some.
const LOOK_BEFORE: u64 = 16;

#[derive(Clone, Copy, Debug)]
pub struct Budget {
    pub probes: u32,
    pub time: Span,
    pub cost: Span,
}

impl Default for Budget {
    fn default() -> Budget {
        Budget { probes: limits::PROBES_MAX, time: limits::PROBE_BUDGET, cost: limits::PROBE_COST }
    }
}

/// How one probe was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    Granted {
        load: Load,
        warm: bool,
    },
    NoIdle,
    /// Asked to try another, or silent: not asked again in this acquire.
    Unusable,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    Ask {
        manager: ManagerId,
        mode: Mode,
    },
    /// Every candidate was asked: the arc grows, or the call is refused.
    Exhausted,
}

/// One acquire.
#[derive(Clone, Debug)]
pub struct Probe {
    key: KeyHash,
    /// In arc order.
    untried: Few,
    budget: Budget,
    began: Now,
    asked: u32,
    /// Only environments that exist: the provisioned arc (A1).
    existing_only: bool,
    /// In the order of the candidates, whatever the hints say.
    in_order: bool,
    /// The answer is known to be "none idle": a burst has just started.
    surely_cold: bool,
}

impl Probe {
    /// `candidates` in arc order.
    pub fn new(now: Now, key: KeyHash, candidates: &[ManagerId], budget: Budget) -> Probe {
        Probe {
            key,
            untried: Few::of(candidates),
            budget,
            began: now,
            asked: 0,
            existing_only: false,
            in_order: false,
            surely_cold: false,
        }
    }

    /// Every candidate is asked, and none may create.
    #[must_use]
    pub fn existing_only(mut self) -> Probe {
        self.existing_only = true;
        self
    }

    /// Candidates are asked in the order given.
    #[must_use]
    pub fn in_order(mut self) -> Probe {
        self.in_order = true;
        self
    }

    /// The first probe may create.
    #[must_use]
    pub fn surely_cold(mut self) -> Probe {
        self.surely_cold = true;
        self
    }

    pub fn next(&mut self, now: Now, hints: &mut Hints, dice: &mut Dice) -> Step {
        let Some(at) = self.pick(hints, dice) else { return Step::Exhausted };
        let manager = self.untried.remove(at);
        let last = self.asked + 1 >= self.budget.probes
            || now.since(self.began) >= self.budget.time
            || self.untried.as_slice().is_empty()
            || self.surely_cold
            || !hints.worth(self.key, self.budget.cost);
        let create = last && !self.existing_only;
        Step::Ask { manager, mode: if create { Mode::ExistingOrNew } else { Mode::Existing } }
    }

    pub fn answered(&mut self, manager: ManagerId, answer: Answer, hints: &mut Hints) {
        match answer {
            Answer::Granted { load, warm } => hints.granted(self.key, manager, load, warm),
            Answer::NoIdle => {
                self.asked += 1;
                hints.missed(self.key, manager);
            }
            Answer::Unusable => {}
        }
    }

    /// The first in arc order that is known to have some, so that the tail of a peak goes
    /// cold wherever it is; now and then one before it, which may have some again. Members
    /// that nothing is known of take turns, so that calls which come together are shared
    /// out evenly. A provisioned arc does not go cold: by weight there.
    fn pick(&self, hints: &mut Hints, dice: &mut Dice) -> Option<usize> {
        let untried = self.untried.as_slice();
        if self.in_order || untried.len() <= 1 {
            return (!untried.is_empty()).then_some(0);
        }
        let hint = hints.get(self.key);
        let weight = |m: &ManagerId| u64::from(hint.map_or(0, |hint| hint.weight(*m)));
        let Some(first) = untried.iter().position(|m| weight(m) > 0) else {
            return Some(hints.turn(self.key, dice) % untried.len());
        };
        if !self.existing_only {
            let before = first > 0 && dice.chance(1, LOOK_BEFORE);
            return Some(if before { dice.below(first as u64) as usize } else { first });
        }
        let whole: u64 = untried.iter().map(weight).sum();
        let mut drawn = dice.below(whole);
        untried.iter().position(|manager| {
            let weight = weight(manager);
            let here = drawn < weight;
            drawn = drawn.saturating_sub(weight);
            here
        })
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;

    const KEY: KeyHash = KeyHash(1);

    fn managers(n: u64) -> Vec<ManagerId> {
        (0..n).map(ManagerId).collect()
    }

    fn probes(n: u32) -> Budget {
        Budget { probes: n, ..Budget::default() }
    }

    /// Managers asked, and whether the one with the idle environment was found.
    fn acquire(
        idle_at: impl Fn(ManagerId) -> bool,
        fleet: u64,
        budget: Budget,
        hints: &mut Hints,
        dice: &mut Dice,
    ) -> (u32, Mode, bool) {
        let mut probe = Probe::new(Now(0), KEY, &managers(fleet), budget);
        let mut asked = 0;
        loop {
            let Step::Ask { manager, mode } = probe.next(Now(0), hints, dice) else {
                panic!("the last probe creates");
            };
            asked += 1;
            let found = idle_at(manager);
            if found || mode == Mode::ExistingOrNew {
                let answer = Answer::Granted { load: Load::default(), warm: found };
                probe.answered(manager, answer, hints);
                return (asked, mode, found);
            }
            probe.answered(manager, Answer::NoIdle, hints);
        }
    }

    #[test]
    fn a5_1_reuse_without_hints_is_what_chance_gives() {
        let mut dice = Dice::new(51);
        let mut tally = |k: u32| {
            let (mut early, mut whole) = (0, 0);
            for _ in 0..1_000 {
                let mut none = Hints::default();
                let (asked, _, found) =
                    acquire(|m| m == ManagerId(4), 10, probes(k), &mut none, &mut dice);
                early += u32::from(found && asked < k);
                whole += u32::from(found);
            }
            (early, whole)
        };
        let (early, whole) = tally(3);
        assert!((160..=240).contains(&early), "{early} of 1000 by the two Existing probes");
        assert!((260..=340).contains(&whole), "{whole} of 1000 in all");
        assert_eq!(tally(10).1, 1_000);
    }

    #[test]
    fn a4_1_calls_that_come_together_are_shared_out_evenly() {
        let (mut hints, mut dice) = (Hints::default(), Dice::new(41));
        let mut first = |key| {
            let mut probe = Probe::new(Now(0), KeyHash(key), &managers(4), Budget::default());
            match probe.next(Now(0), &mut hints, &mut dice) {
                Step::Ask { manager, .. } => manager,
                Step::Exhausted => panic!("there are four"),
            }
        };
        let mut asked = alloc::collections::BTreeMap::new();
        for _ in 0..10 {
            for key in [1, 2, 1, 1] {
                *asked.entry((key, first(key))).or_insert(0) += 1;
            }
        }
        let of = |wanted| {
            let of = asked.iter().filter(|((key, _), _)| *key == wanted);
            let mut calls: Vec<u32> = of.map(|(_, calls)| *calls).collect();
            calls.sort_unstable();
            calls
        };
        assert_eq!((of(1), of(2)), (alloc::vec![7, 7, 8, 8], alloc::vec![2, 2, 3, 3]));
    }

    #[test]
    fn a5_2_hints_find_it_again() {
        let (mut hints, mut dice) = (Hints::default(), Dice::new(52));
        let mut first = true;
        let (mut reused, mut asked_sum) = (0, 0);
        let mut home = None;
        for _ in 0..1_000 {
            // Wherever the first one was created, it stays.
            let mut probe = Probe::new(Now(0), KEY, &managers(10), Budget::default());
            loop {
                let Step::Ask { manager, mode } = probe.next(Now(0), &mut hints, &mut dice) else {
                    panic!("the last probe creates");
                };
                asked_sum += u32::from(!first);
                let found = home == Some(manager);
                if !found && mode == Mode::Existing {
                    probe.answered(manager, Answer::NoIdle, &mut hints);
                    continue;
                }
                home = home.or(Some(manager));
                reused += u32::from(found);
                let granted = Answer::Granted { load: Load::default(), warm: found };
                probe.answered(manager, granted, &mut hints);
                break;
            }
            first = false;
        }
        assert!(reused >= 989, "{reused} of 999 reused");
        assert!(asked_sum <= 1_098, "{asked_sum} probes for 999 calls");
    }

    #[test]
    fn a5_3_exactly_k_managers_and_one_creation() {
        let (mut hints, mut dice) = (Hints::default(), Dice::new(53));
        let none = |_| false;
        let (asked, mode, _) = acquire(none, 10, Budget::default(), &mut hints, &mut dice);
        assert_eq!((asked, mode), (3, Mode::ExistingOrNew));
    }

    #[test]
    fn a5_4_a_cheap_start_is_not_searched_for() {
        for (init, expected) in [(Span::secs(2), 3), (Span::millis(20), 1)] {
            let (mut hints, mut dice) = (Hints::default(), Dice::new(54));
            hints.learn_cold(KEY, init);
            hints.set_chance(KEY, 50);
            let (asked, ..) = acquire(|_| false, 10, Budget::default(), &mut hints, &mut dice);
            assert_eq!(asked, expected, "init {init:?}");
        }
    }

    #[test]
    fn a5_7_a_silent_manager_is_skipped_and_is_not_the_last() {
        let (mut hints, mut dice) = (Hints::default(), Dice::new(57));
        let mut probe = Probe::new(Now(0), KEY, &managers(3), probes(1));
        let mut asked = Vec::new();
        while let Step::Ask { manager, mode } = probe.next(Now(0), &mut hints, &mut dice) {
            assert_eq!(mode, Mode::ExistingOrNew);
            asked.push(manager);
            probe.answered(manager, Answer::Unusable, &mut hints);
        }
        asked.sort_unstable();
        assert_eq!(asked, managers(3));
    }

    #[test]
    fn spent_time_makes_the_next_probe_the_last() {
        let (mut hints, mut dice) = (Hints::default(), Dice::new(1));
        let mut probe = Probe::new(Now(0), KEY, &managers(9), probes(9));
        let late = Now(0) + limits::PROBE_BUDGET;
        let step = probe.next(late, &mut hints, &mut dice);
        assert!(matches!(step, Step::Ask { mode: Mode::ExistingOrNew, .. }), "{step:?}");
    }

    #[test]
    fn the_provisioned_arc_is_asked_whole_and_creates_nothing() {
        let (mut hints, mut dice) = (Hints::default(), Dice::new(1));
        let mut probe = Probe::new(Now(0), KEY, &managers(5), Budget::default()).existing_only();
        let mut asked = 0;
        while let Step::Ask { manager, mode } = probe.next(Now(0), &mut hints, &mut dice) {
            assert_eq!(mode, Mode::Existing);
            asked += 1;
            probe.answered(manager, Answer::NoIdle, &mut hints);
        }
        assert_eq!(asked, 5);
    }
}
