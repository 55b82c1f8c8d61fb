//! A token bucket in whole numbers. Refill is continuous and never goes above the
//! size, so that idleness accrues nothing (A6.3).

use model::{Now, Span};

const MICRO: u64 = 1_000_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bucket {
    size: u64,
    per_sec: u64,
    /// Millionths of a token.
    level: u64,
    at: Now,
}

impl Bucket {
    /// A full bucket of `size` tokens, refilled with `per_sec`.
    pub const fn full(size: u64, per_sec: u64, now: Now) -> Bucket {
        Bucket { size, per_sec, level: size * MICRO, at: now }
    }

    /// Changes size and rate; what is in it stays, cut at the new size.
    pub fn resize(&mut self, size: u64, per_sec: u64, now: Now) {
        self.refill(now);
        self.size = size;
        self.per_sec = per_sec;
        self.level = self.level.min(size * MICRO);
    }

    /// Takes one, or says how long until there is one; `Span(u64::MAX)`: never.
    pub fn take(&mut self, now: Now) -> Result<(), Span> {
        self.refill(now);
        self.peek(now)?;
        self.level -= MICRO;
        Ok(())
    }

    /// What `take` would say, without taking.
    pub fn peek(&self, now: Now) -> Result<(), Span> {
        let level = self.level_at(now);
        if level >= MICRO {
            return Ok(());
        }
        if self.per_sec == 0 || self.size == 0 {
            return Err(Span(u64::MAX));
        }
        Err(Span((MICRO - level).div_ceil(self.per_sec)))
    }

    /// Gives one back that was taken for nothing.
    pub fn give_back(&mut self) {
        self.level = self.level.saturating_add(MICRO).min(self.size * MICRO);
    }

    pub fn is_full(&self, now: Now) -> bool {
        self.level_at(now) == self.size * MICRO
    }

    fn refill(&mut self, now: Now) {
        self.level = self.level_at(now);
        self.at = self.at.max(now);
    }

    /// Tokens per second are millionths of a token per microsecond: exact.
    fn level_at(&self, now: Now) -> u64 {
        let gained = now.since(self.at).as_micros().saturating_mul(self.per_sec);
        self.level.saturating_add(gained).min(self.size * MICRO)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a6_3_idleness_accrues_nothing() {
        let mut bucket = Bucket::full(1_000, 100, Now(0));
        let later = Now(0) + Span::secs(600);
        let taken = (0..5_000).filter(|_| bucket.take(later).is_ok()).count();
        assert_eq!(taken, 1_000);
    }

    #[test]
    fn refill_is_continuous_and_says_when() {
        let mut bucket = Bucket::full(1, 100, Now(0));
        assert_eq!(bucket.take(Now(0)), Ok(()));
        assert_eq!(bucket.take(Now(0)), Err(Span::millis(10)));
        assert_eq!(bucket.take(Now(9_999)), Err(Span::micros(1)));
        assert_eq!(bucket.take(Now(10_000)), Ok(()));
        bucket.give_back();
        assert_eq!(bucket.take(Now(10_000)), Ok(()));
    }

    #[test]
    fn nothing_comes_from_an_empty_bucket_of_no_rate() {
        let bucket = Bucket::full(0, 0, Now(0));
        assert_eq!(bucket.peek(Now(u64::MAX)), Err(Span(u64::MAX)));
    }
}
