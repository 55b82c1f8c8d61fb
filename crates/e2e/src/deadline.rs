//! Waiting for something that can be seen, never for time to pass: a look is
//! repeated until it succeeds or its deadline is over.

use std::{
    thread::sleep,
    time::{Duration, Instant},
};

/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// Repeats `look` until it finds something; `None` when `seconds` are over.
pub fn until<T>(seconds: u64, mut look: impl FnMut() -> Option<T>) -> Option<T> {
    let end = Instant::now() + Duration::from_secs(seconds);
    loop {
        if let Some(found) = look() {
            return Some(found);
        }
        if Instant::now() >= end {
            return None;
        }
        sleep(LOOK_EVERY);
    }
}
