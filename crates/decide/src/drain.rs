//! How a provisioned set gets smaller without wasting what it has (A2). Lowering a
//! share kills nothing: for `drain_after` what was wanted before is kept as well, so
//! that raising it again finds the survivors, and then only what stayed idle for as
//! long leaves. It orders nothing; `book` does.
//!
//! ```text
//!   wanted   5 ───────┐ lowered              ┌──── raised: survivors first
//!                     └ 1 ───────────────────┘
//!   kept     5 ───────────── drain_after ─┐
//!                                         └ 1  + those used within drain_after
//! ```

use alloc::vec::Vec;

use model::{Now, Span};

/// Earlier shares kept of one target; beyond it two neighbours count as the larger
/// until the later: what drains, drains later.
const PAST_MAX: usize = 16;

/// What a manager is asked to hold of one key, and was asked lately.
#[derive(Clone, Debug)]
pub struct Wanted {
    share: u32,
    /// Larger shares of before and until when each was in force, the largest first.
    past: Vec<(u32, Now)>,
}

impl Wanted {
    pub fn new(share: u32) -> Wanted {
        Wanted { share, past: Vec::new() }
    }

    /// Nothing is wanted, of environments that were found and not asked for here:
    /// whoever wants them has `drain_after` to say so.
    pub fn found(now: Now) -> Wanted {
        Wanted { share: 0, past: alloc::vec![(u32::MAX, now)] }
    }

    pub fn share(&self) -> u32 {
        self.share
    }

    pub fn set(&mut self, now: Now, share: u32, drain_after: Span) {
        if share < self.share {
            let counts = |until| now.since(until) < drain_after;
            self.past.retain(|(past, until)| *past > self.share && counts(*until));
            self.past.push((self.share, now));
        }
        if self.past.len() > PAST_MAX
            && let [.., (_, earlier), (_, later)] = self.past.as_mut_slice()
        {
            *earlier = *later;
            self.past.pop();
        }
        self.share = share;
    }

    /// The environments that stay, used or not: all that were wanted within
    /// `drain_after`.
    pub fn kept(&self, now: Now, drain_after: Span) -> u32 {
        let recent = self.past.iter().filter(|(_, until)| now.since(*until) < drain_after);
        recent.map(|(share, _)| *share).fold(self.share, u32::max)
    }
}

/// Whether an environment above what is kept may leave.
pub fn may_leave(now: Now, idle_since: Now, drain_after: Span) -> bool {
    now.since(idle_since) >= drain_after
}

/// What a provisioned set takes of its account's concurrency: what is paid for, and
/// while it drains what of it runs, so that no idle surplus blocks other functions
/// (A2.7).
pub fn charge(limit: u32, environments: u32, busy: u32) -> u32 {
    if environments > limit { limit.max(busy) } else { limit }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AFTER: Span = Span::secs(60);

    fn at(secs: u64) -> Now {
        Now(0) + Span::secs(secs)
    }

    #[test]
    fn what_was_wanted_lately_is_kept() {
        let mut wanted = Wanted::new(100);
        wanted.set(at(100), 10, AFTER);
        let cases = [(100, 100), (159, 100), (160, 10), (1_000, 10)];
        for (secs, kept) in cases {
            assert_eq!(wanted.kept(at(secs), AFTER), kept, "at {secs} s");
        }
    }

    #[test]
    fn steps_down_each_minute_drain_step_by_step() {
        let mut wanted = Wanted::new(100);
        for minute in 1..=90 {
            wanted.set(at(60 * minute), 100 - minute as u32, AFTER);
            // The last step is held for its minute; the earlier ones have left.
            assert_eq!(wanted.kept(at(60 * minute), AFTER), 101 - minute as u32);
        }
        assert_eq!([wanted.kept(at(5_459), AFTER), wanted.kept(at(5_460), AFTER)], [11, 10]);
    }

    #[test]
    fn flapping_keeps_the_peak_and_a_bounded_past() {
        let mut wanted = Wanted::new(0);
        for second in 0..1_000 {
            wanted.set(at(second), if second % 2 == 0 { 100 } else { 10 }, AFTER);
            assert!(second < 2 || wanted.kept(at(second), AFTER) == 100);
        }
        let mut falling = Wanted::new(1_000);
        for second in 1..900 {
            falling.set(at(second), 1_000 - second as u32, AFTER);
            assert!(falling.past.len() <= PAST_MAX);
        }
        // Merged steps drain late, never early, and all of them in the end.
        assert!(falling.kept(at(899), AFTER) >= 1_000 - 840);
        assert_eq!(falling.kept(at(960), AFTER), 101);
    }

    #[test]
    fn found_environments_wait_for_their_target() {
        let found = Wanted::found(at(5));
        assert_eq!((found.share(), found.kept(at(64), AFTER)), (0, u32::MAX));
        assert_eq!(found.kept(at(65), AFTER), 0);
    }

    #[test]
    fn a2_7_a_drain_is_charged_for_what_runs() {
        let cases = [
            ("in force", (10, 10, 3), 10),
            ("being filled", (10, 4, 4), 10),
            ("drains, little runs", (10, 100, 4), 10),
            ("drains, much runs", (10, 100, 60), 60),
            ("deleted", (0, 20, 20), 20),
            ("gone", (0, 0, 0), 0),
        ];
        for (name, (limit, environments, busy), expected) in cases {
            assert_eq!(charge(limit, environments, busy), expected, "{name}");
        }
    }
}
