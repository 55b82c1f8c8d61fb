//! Time. `Now` for decisions comes from the executor's monotonic clock, which a
//! simulation pauses and moves; wall-clock time is only for what people read and
//! for signatures.

#![allow(clippy::disallowed_methods)] // this is the home of the clock

use std::time::{SystemTime, UNIX_EPOCH};

use model::{Now, Span};
use tokio::time::Instant;

#[derive(Clone, Debug)]
pub struct Clock {
    origin: Instant,
    wall: Wall,
}

#[derive(Clone, Copy, Debug)]
enum Wall {
    System,
    /// Milliseconds since the epoch at `origin`; moves with the executor's clock.
    Virtual(u64),
}

impl Clock {
    /// The machine's clock. Call inside the executor.
    pub fn system() -> Clock {
        Clock { origin: Instant::now(), wall: Wall::System }
    }

    /// A clock that starts at the given wall time and moves only with the
    /// executor's (paused) clock.
    pub fn simulated(wall_ms: u64) -> Clock {
        Clock { origin: Instant::now(), wall: Wall::Virtual(wall_ms) }
    }

    pub fn now(&self) -> Now {
        let elapsed = self.origin.elapsed().as_micros();
        Now(u64::try_from(elapsed).unwrap_or(u64::MAX))
    }

    /// Milliseconds since the Unix epoch.
    pub fn wall_ms(&self) -> u64 {
        match self.wall {
            Wall::System => {
                let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
            }
            Wall::Virtual(origin_ms) => origin_ms + Span(self.now().0).as_millis(),
        }
    }

    pub fn instant(&self, at: Now) -> Instant {
        self.origin + Span(at.0).to_std()
    }

    pub async fn sleep_until(&self, at: Now) {
        tokio::time::sleep_until(self.instant(at)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_simulated_clock_moves_only_with_the_executor() {
        let clock = Clock::simulated(1_000_000);
        assert_eq!(clock.now(), Now(0));
        clock.sleep_until(Now(0) + Span::secs(3_600)).await;
        assert_eq!(clock.now(), Now(3_600_000_000));
        assert_eq!(clock.wall_ms(), 1_000_000 + 3_600_000);
    }
}
