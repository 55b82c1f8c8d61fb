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

use alloc::{collections::BTreeMap, vec::Vec};

use model::{KeyHash, ManagerId, Now, Span, limits};

use crate::{
    book::{Load, Mode},
    dice::Dice,
};

/// Keys with hints; above it all hints are forgotten, which costs probes only.
const HINT_KEYS_MAX: usize = 65_536;
/// What recent grants add to a manager's weight at most.
const GRANTS_MAX: u32 = 8;
/// Chance of a hit where nothing is known, and the whole of it.
const CHANCE_UNKNOWN: u64 = 500;
const CHANCE_WHOLE: u64 = 1_000;
/// A new observation counts for one part in so many.
const EWMA_PARTS: u64 = 8;

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

/// What earlier answers say about one key.
#[derive(Clone, Debug)]
struct Hint {
    /// Idle environments and recent grants of each manager that ever had one.
    managers: Vec<(ManagerId, u32)>,
    /// Chance that an `Existing` probe hits, in thousandths.
    chance: u64,
    /// Init time of the key.
    cold: Option<Span>,
}

/// What a frontend learnt from answers. It only steers (I7).
#[derive(Clone, Debug, Default)]
pub struct Hints {
    keys: BTreeMap<KeyHash, Hint>,
}

impl Hints {
    pub fn learn_cold(&mut self, key: KeyHash, took: Span) {
        let hint = self.of(key);
        hint.cold = Some(hint.cold.map_or(took, |cold| {
            Span((cold.as_micros() * (EWMA_PARTS - 1) + took.as_micros()) / EWMA_PARTS)
        }));
    }

    fn weight(&self, key: KeyHash, manager: ManagerId) -> u32 {
        let managers = self.keys.get(&key).map_or(&[][..], |hint| &hint.managers);
        managers.iter().find(|(known, _)| *known == manager).map_or(0, |(_, weight)| *weight)
    }

    /// Whether asking for an existing environment is worth what it costs.
    fn worth(&self, key: KeyHash, cost: Span) -> bool {
        let Some(hint) = self.keys.get(&key) else { return true };
        let Some(cold) = hint.cold else { return true };
        hint.chance * cold.as_micros() > cost.as_micros() * CHANCE_WHOLE
    }

    fn granted(&mut self, key: KeyHash, manager: ManagerId, load: Load, hit: bool) {
        let hint = self.of(key);
        if hit {
            hint.saw(true);
        }
        let slot = hint.slot(manager);
        *slot = (*slot + 1).min(GRANTS_MAX).max(load.idle);
    }

    fn missed(&mut self, key: KeyHash, manager: ManagerId) {
        let hint = self.of(key);
        hint.saw(false);
        *hint.slot(manager) = 0;
    }

    fn of(&mut self, key: KeyHash) -> &mut Hint {
        if self.keys.len() >= HINT_KEYS_MAX && !self.keys.contains_key(&key) {
            self.keys.clear();
        }
        self.keys.entry(key).or_insert(Hint {
            managers: Vec::new(),
            chance: CHANCE_UNKNOWN,
            cold: None,
        })
    }
}

impl Hint {
    fn saw(&mut self, hit: bool) {
        let seen = if hit { CHANCE_WHOLE } else { 0 };
        self.chance = (self.chance * (EWMA_PARTS - 1) + seen) / EWMA_PARTS;
    }

    fn slot(&mut self, manager: ManagerId) -> &mut u32 {
        let at = match self.managers.iter().position(|(known, _)| *known == manager) {
            Some(at) => at,
            None => {
                self.managers.push((manager, 0));
                self.managers.len() - 1
            }
        };
        &mut self.managers[at].1
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
    untried: Vec<ManagerId>,
    budget: Budget,
    began: Now,
    asked: u32,
    /// Only environments that exist: the provisioned arc (A1).
    existing_only: bool,
    /// The answer is known to be "none idle": a burst has just started.
    surely_cold: bool,
}

impl Probe {
    /// `candidates` in arc order.
    pub fn new(now: Now, key: KeyHash, candidates: &[ManagerId], budget: Budget) -> Probe {
        Probe {
            key,
            untried: candidates.to_vec(),
            budget,
            began: now,
            asked: 0,
            existing_only: false,
            surely_cold: false,
        }
    }

    /// Every candidate is asked, and none may create.
    #[must_use]
    pub fn existing_only(mut self) -> Probe {
        self.existing_only = true;
        self
    }

    /// The first probe may create.
    #[must_use]
    pub fn surely_cold(mut self) -> Probe {
        self.surely_cold = true;
        self
    }

    pub fn next(&mut self, now: Now, hints: &Hints, dice: &mut Dice) -> Step {
        let Some(at) = self.pick(hints, dice) else { return Step::Exhausted };
        let manager = self.untried.remove(at);
        let last = self.asked + 1 >= self.budget.probes
            || now.since(self.began) >= self.budget.time
            || self.untried.is_empty()
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

    /// By weight where any is known; else arc order with a random tie-break among
    /// the members that nothing is known of.
    fn pick(&self, hints: &Hints, dice: &mut Dice) -> Option<usize> {
        let weight = |manager: &ManagerId| u64::from(hints.weight(self.key, *manager));
        let whole: u64 = self.untried.iter().map(weight).sum();
        if whole == 0 {
            let n = self.untried.len() as u64;
            return (n > 0).then(|| dice.below(n) as usize);
        }
        let mut drawn = dice.below(whole);
        self.untried.iter().position(|manager| {
            let weight = weight(manager);
            let here = drawn < weight;
            drawn = drawn.saturating_sub(weight);
            here
        })
    }
}

#[cfg(test)]
mod tests {
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
    fn a5_2_hints_find_it_again() {
        let (mut hints, mut dice) = (Hints::default(), Dice::new(52));
        let mut first = true;
        let (mut reused, mut asked_sum) = (0, 0);
        let mut home = None;
        for _ in 0..1_000 {
            // Wherever the first one was created, it stays.
            let mut probe = Probe::new(Now(0), KEY, &managers(10), Budget::default());
            loop {
                let Step::Ask { manager, mode } = probe.next(Now(0), &hints, &mut dice) else {
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
            hints.of(KEY).chance = 50;
            let (asked, ..) = acquire(|_| false, 10, Budget::default(), &mut hints, &mut dice);
            assert_eq!(asked, expected, "init {init:?}");
        }
    }

    #[test]
    fn a5_7_a_silent_manager_is_skipped_and_is_not_the_last() {
        let (mut hints, mut dice) = (Hints::default(), Dice::new(57));
        let mut probe = Probe::new(Now(0), KEY, &managers(3), probes(1));
        let mut asked = Vec::new();
        while let Step::Ask { manager, mode } = probe.next(Now(0), &hints, &mut dice) {
            assert_eq!(mode, Mode::ExistingOrNew);
            asked.push(manager);
            probe.answered(manager, Answer::Unusable, &mut hints);
        }
        asked.sort_unstable();
        assert_eq!(asked, managers(3));
    }

    #[test]
    fn spent_time_makes_the_next_probe_the_last() {
        let (hints, mut dice) = (Hints::default(), Dice::new(1));
        let mut probe = Probe::new(Now(0), KEY, &managers(9), probes(9));
        let late = Now(0) + limits::PROBE_BUDGET;
        let step = probe.next(late, &hints, &mut dice);
        assert!(matches!(step, Step::Ask { mode: Mode::ExistingOrNew, .. }), "{step:?}");
    }

    #[test]
    fn the_provisioned_arc_is_asked_whole_and_creates_nothing() {
        let (mut hints, mut dice) = (Hints::default(), Dice::new(1));
        let mut probe = Probe::new(Now(0), KEY, &managers(5), Budget::default()).existing_only();
        let mut asked = 0;
        while let Step::Ask { manager, mode } = probe.next(Now(0), &hints, &mut dice) {
            assert_eq!(mode, Mode::Existing);
            asked += 1;
            probe.answered(manager, Answer::NoIdle, &mut hints);
        }
        assert_eq!(asked, 5);
    }
}
