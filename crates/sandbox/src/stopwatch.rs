//! Microseconds of the phases of a launch. A measurement only: nothing decides by it.
//! Read here and not from the platform's clock, which this crate does not know and
//! which does not exist in the spawner.

use rustix::time::{ClockId, clock_gettime};

#[derive(Debug)]
pub(crate) struct Stopwatch(u64);

impl Stopwatch {
    pub(crate) fn start() -> Stopwatch {
        Stopwatch(now_us())
    }

    /// Time since the start or the last lap.
    pub(crate) fn lap_us(&mut self) -> u64 {
        let now = now_us();
        let lap = now.saturating_sub(self.0);
        self.0 = now;
        lap
    }
}

fn now_us() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    now.tv_sec.unsigned_abs() * 1_000_000 + now.tv_nsec.unsigned_abs() / 1000
}
