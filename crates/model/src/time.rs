//! Instants and spans as plain numbers, so that decisions take time as an
//! argument. `Now` is monotonic and means nothing outside one process or one
//! simulation; wall-clock time is never used for a decision.

use core::ops::{Add, AddAssign, Sub};

use serde::{Deserialize, Serialize};

/// A monotonic instant in microseconds since an arbitrary start.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Now(pub u64);

/// A length of time in microseconds.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Span(pub u64);

impl Now {
    /// Time since `earlier`; zero where `earlier` is later.
    pub fn since(self, earlier: Now) -> Span {
        Span(self.0.saturating_sub(earlier.0))
    }
}

impl Span {
    pub const ZERO: Span = Span(0);

    pub const fn micros(n: u64) -> Span {
        Span(n)
    }

    pub const fn millis(n: u64) -> Span {
        Span(n * 1_000)
    }

    pub const fn secs(n: u64) -> Span {
        Span(n * 1_000_000)
    }

    pub const fn as_micros(self) -> u64 {
        self.0
    }

    pub const fn as_millis(self) -> u64 {
        self.0 / 1_000
    }

    pub const fn to_std(self) -> core::time::Duration {
        core::time::Duration::from_micros(self.0)
    }
}

impl Add<Span> for Now {
    type Output = Now;
    fn add(self, span: Span) -> Now {
        Now(self.0.saturating_add(span.0))
    }
}

impl AddAssign<Span> for Now {
    fn add_assign(&mut self, span: Span) {
        *self = *self + span;
    }
}

impl Add for Span {
    type Output = Span;
    fn add(self, other: Span) -> Span {
        Span(self.0.saturating_add(other.0))
    }
}

impl Sub for Span {
    type Output = Span;
    fn sub(self, other: Span) -> Span {
        Span(self.0.saturating_sub(other.0))
    }
}
