//! The limit that auto scaling wants: scheduled bounds, and target tracking by
//! utilisation within them. Large steps up at once, small ones down from time to
//! time, so that the drain of one step has ended when the next begins (A2).
//!
//! Schedules are evaluated outside: a scheduled action comes as the instant at which
//! it is due. What the control API then sets is an ordinary limit.

use model::{Now, Span};

/// Target of utilisation where the user says nothing, in percent.
pub const TARGET_PERCENT: u32 = 70;
/// Below this part of the target the set is too large, in percent: the gap keeps a
/// steady load from flapping.
const LOW_PERCENT_OF_TARGET: u64 = 90;
/// A step down is one in so many, at least one.
const DOWN_PARTS: u32 = 10;

/// What the user set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    pub min: u32,
    pub max: u32,
    /// None: only the bounds are kept.
    pub target_percent: Option<u32>,
    /// Time between two steps down, at least `limits::DRAIN_AFTER`.
    pub down_period: Span,
}

/// New bounds from an instant on; of two the later one holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scheduled {
    pub at: Now,
    pub min: Option<u32>,
    pub max: Option<u32>,
}

/// Auto scaling of one set.
#[derive(Clone, Debug)]
pub struct Scaler {
    policy: Policy,
    /// Since when the load has been low, and the most that was busy meanwhile.
    low: Option<(Now, u32)>,
}

impl Scaler {
    pub fn new(policy: Policy) -> Scaler {
        Scaler { policy, low: None }
    }

    pub fn set_policy(&mut self, policy: Policy) {
        *self = Scaler::new(policy);
    }

    /// The limit to have from now on. `limit`: the one in force; `busy`: the most
    /// environments of the version that ran calls at once since the last look, those
    /// of spilled calls included; `due`: scheduled actions up to `now`, in any order.
    pub fn desired(&mut self, now: Now, limit: u32, busy: u32, due: &[Scheduled]) -> u32 {
        let (min, max) = self.bounds(now, due);
        let tracked = match self.policy.target_percent {
            Some(target) => self.track(now, limit, busy, target.clamp(1, 100)),
            None => limit,
        };
        tracked.min(max).max(min)
    }

    fn bounds(&self, now: Now, due: &[Scheduled]) -> (u32, u32) {
        let latest = |part: fn(&Scheduled) -> Option<u32>| {
            let past = due.iter().filter(|action| action.at <= now && part(action).is_some());
            past.max_by_key(|action| action.at).and_then(part)
        };
        let min = latest(|action| action.min).unwrap_or(self.policy.min);
        (min, latest(|action| action.max).unwrap_or(self.policy.max).max(min))
    }

    fn track(&mut self, now: Now, limit: u32, busy: u32, target: u32) -> u32 {
        let (used, whole) = (u64::from(busy) * 100, u64::from(limit) * u64::from(target));
        if used > whole {
            self.low = None;
            return needed(busy, target);
        }
        if used * 100 >= whole * LOW_PERCENT_OF_TARGET {
            self.low = None;
            return limit;
        }
        let (since, most) = self.low.map_or((now, busy), |(at, most)| (at, most.max(busy)));
        if now.since(since) < self.policy.down_period {
            self.low = Some((since, most));
            return limit;
        }
        self.low = Some((now, busy));
        limit.saturating_sub((limit / DOWN_PARTS).max(1)).max(needed(most, target))
    }
}

/// The limit at which so many busy ones are the target's part.
fn needed(busy: u32, target: u32) -> u32 {
    let limit = (u64::from(busy) * 100).div_ceil(u64::from(target));
    u32::try_from(limit).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;

    const POLICY: Policy = Policy {
        min: 2,
        max: 100,
        target_percent: Some(TARGET_PERCENT),
        down_period: Span::secs(60),
    };

    fn at(secs: u64) -> Now {
        Now(0) + Span::secs(secs)
    }

    /// The limit each 10 s, while `busy` says what runs.
    fn play(scaler: &mut Scaler, mut limit: u32, secs: u64, busy: impl Fn(u64) -> u32) -> Vec<u32> {
        let looks = (0..secs / 10).map(|look| look * 10);
        looks
            .map(|second| {
                limit = scaler.desired(at(second), limit, busy(second), &[]);
                limit
            })
            .collect()
    }

    #[test]
    fn up_at_once_to_what_the_load_needs() {
        let mut scaler = Scaler::new(POLICY);
        assert_eq!(scaler.desired(at(0), 10, 7, &[]), 10, "at the target");
        assert_eq!(scaler.desired(at(10), 10, 35, &[]), 50, "one step");
        assert_eq!(scaler.desired(at(20), 50, 90, &[]), 100, "up to the maximum");
    }

    #[test]
    fn down_in_small_steps_with_a_drain_between_them() {
        let limits = play(&mut Scaler::new(POLICY), 100, 600, |_| 7);
        let steps: Vec<u32> = limits.windows(2).filter(|w| w[0] != w[1]).map(|w| w[1]).collect();
        assert_eq!(steps, [90, 81, 73, 66, 60, 54, 49, 45, 41]);
        let long = play(&mut Scaler::new(POLICY), 100, 10_000, |_| 7);
        assert_eq!(long.last(), Some(&11), "just above what 70 % of it would be");
        let idle = play(&mut Scaler::new(POLICY), 100, 10_000, |_| 0);
        assert_eq!(idle.last(), Some(&2));
    }

    #[test]
    fn a_steady_or_a_jumping_load_does_not_flap() {
        let steady = play(&mut Scaler::new(POLICY), 10, 3_600, |_| 7);
        assert!(steady.iter().all(|limit| *limit == 10));
        // Each 30 s one peak: the peaks are what counts.
        let peaks = play(
            &mut Scaler::new(POLICY),
            10,
            3_600,
            |second| {
                if second % 30 == 0 { 7 } else { 1 }
            },
        );
        assert!(peaks.iter().all(|limit| *limit == 10), "{peaks:?}");
    }

    #[test]
    fn scheduled_bounds_hold_from_their_instant() {
        let mut scaler = Scaler::new(Policy { target_percent: None, ..POLICY });
        let due = [
            Scheduled { at: at(200), min: Some(5), max: Some(8) },
            Scheduled { at: at(100), min: Some(50), max: None },
        ];
        let desired: Vec<u32> =
            [0, 100, 200].map(|second| scaler.desired(at(second), 10, 0, &due)).to_vec();
        assert_eq!(desired, [10, 50, 8]);
    }
}
