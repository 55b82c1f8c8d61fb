//! Numbered invariants. `check_invariant!` panics in debug builds and in the
//! simulator, and counts in production, where operators see the count.

use core::{
    fmt,
    sync::atomic::{AtomicU64, Ordering},
};

/// The number is the one of the specification's list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Invariant(pub u8);

pub const I1: Invariant = Invariant(1);
pub const I2: Invariant = Invariant(2);
pub const I3: Invariant = Invariant(3);
pub const I4: Invariant = Invariant(4);
pub const I5: Invariant = Invariant(5);
pub const I6: Invariant = Invariant(6);
pub const I7: Invariant = Invariant(7);
pub const I8: Invariant = Invariant(8);
pub const I11: Invariant = Invariant(11);
pub const I15: Invariant = Invariant(15);
pub const I20: Invariant = Invariant(20);
pub const I27: Invariant = Invariant(27);

/// Those that code checks.
pub const ALL: [Invariant; 12] = [I1, I2, I3, I4, I5, I6, I7, I8, I11, I15, I20, I27];

const COUNT: usize = 28;
static BROKEN: [AtomicU64; COUNT] = [const { AtomicU64::new(0) }; COUNT];

/// Times that each invariant was found broken, with its number, since the start.
pub fn broken_counts() -> impl Iterator<Item = (Invariant, u64)> {
    let number = |at: usize| Invariant(u8::try_from(at).unwrap_or(u8::MAX));
    BROKEN.iter().enumerate().map(move |(at, n)| (number(at), n.load(Ordering::Relaxed)))
}

/// Called by `check_invariant!` only.
#[cold]
pub fn broken(invariant: Invariant, what: fmt::Arguments<'_>) {
    if cfg!(debug_assertions) {
        panic!("I{} broken: {what}", invariant.0);
    }
    if let Some(count) = BROKEN.get(usize::from(invariant.0)) {
        count.fetch_add(1, Ordering::Relaxed);
    }
}

/// `check_invariant!(I1, running <= 1, "environment {env} runs {running}")`
#[macro_export]
macro_rules! check_invariant {
    ($invariant:expr, $holds:expr, $($what:tt)+) => {
        if !$holds {
            $crate::invariant::broken($invariant, format_args!($($what)+));
        }
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[should_panic(expected = "I1 broken: two calls in one environment")]
    fn a_broken_invariant_stops_a_debug_build() {
        check_invariant!(I1, 1 > 1, "two calls in {} environment", "one");
    }

    #[test]
    fn a_kept_invariant_counts_nothing() {
        check_invariant!(I2, true, "never");
        assert!(broken_counts().all(|(_, count)| count == 0));
    }
}
