//! Time. `Now` for decisions comes from the executor's monotonic clock, which a
//! simulation pauses and moves; wall-clock time is only for what people read and
//! for signatures.

#![allow(clippy::disallowed_methods)] // this is the home of the clock

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering::Relaxed},
    },
    time::{SystemTime, UNIX_EPOCH},
};

use model::{Now, Span};
use tokio::time::Instant;

#[derive(Clone, Debug)]
pub struct Clock {
    origin: Instant,
    wall: Wall,
}

#[derive(Clone, Debug)]
enum Wall {
    System,
    /// Milliseconds since the epoch at `origin`; moves with the executor's clock, and
    /// in steps. Clones share it.
    Virtual(Arc<AtomicI64>),
}

impl Clock {
    /// The machine's clock. Call inside the executor.
    pub fn system() -> Clock {
        Clock { origin: Instant::now(), wall: Wall::System }
    }

    /// A clock that starts at the given wall time and moves only with the
    /// executor's (paused) clock.
    pub fn simulated(wall_ms: u64) -> Clock {
        let wall = i64::try_from(wall_ms).unwrap_or(i64::MAX);
        Clock { origin: Instant::now(), wall: Wall::Virtual(Arc::new(AtomicI64::new(wall))) }
    }

    /// Sets a simulated wall clock forwards or back, as operators and time servers do.
    /// `now` does not move. The machine's clock is nobody's to set.
    pub fn step(&self, by_ms: i64) {
        match &self.wall {
            Wall::System => debug_assert!(false, "only a simulated clock can be set"),
            Wall::Virtual(wall) => {
                wall.fetch_add(by_ms, Relaxed);
            }
        }
    }

    pub fn now(&self) -> Now {
        let elapsed = self.origin.elapsed().as_micros();
        Now(u64::try_from(elapsed).unwrap_or(u64::MAX))
    }

    /// Milliseconds since the Unix epoch.
    pub fn wall_ms(&self) -> u64 {
        match &self.wall {
            Wall::System => {
                let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
            }
            Wall::Virtual(wall) => {
                let elapsed_ms = Span(self.now().0).as_millis();
                let since = wall.load(Relaxed).saturating_add_unsigned(elapsed_ms);
                u64::try_from(since).unwrap_or(0)
            }
        }
    }

    pub fn instant(&self, at: Now) -> Instant {
        self.origin + Span(at.0).to_std()
    }

    pub async fn sleep_until(&self, at: Now) {
        tokio::time::sleep_until(self.instant(at)).await;
    }
}

/// Processor time of this thread so far, in nanoseconds: for those who measure, not for
/// decisions.
pub fn thread_cpu_ns() -> u64 {
    let spent = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    let (seconds, nanos) = (u64::try_from(spent.tv_sec), u64::try_from(spent.tv_nsec));
    seconds.unwrap_or(0) * 1_000_000_000 + nanos.unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processor_time_grows_with_work() {
        let before = thread_cpu_ns();
        assert!((0..100_000_u64).map(std::hint::black_box).sum::<u64>() > 0);
        assert!(thread_cpu_ns() > before);
    }

    #[tokio::test(start_paused = true)]
    async fn a_simulated_clock_moves_only_with_the_executor() {
        let clock = Clock::simulated(1_000_000);
        assert_eq!(clock.now(), Now(0));
        clock.sleep_until(Now(0) + Span::secs(3_600)).await;
        assert_eq!(clock.now(), Now(3_600_000_000));
        assert_eq!(clock.wall_ms(), 1_000_000 + 3_600_000);
        clock.clone().step(-2_000_000);
        assert_eq!((clock.now(), clock.wall_ms()), (Now(3_600_000_000), 2_600_000));
    }
}
