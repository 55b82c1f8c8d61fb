//! One timer for all deadlines of the owner. It is set again only when a deadline
//! comes closer; one that moved away is found out when the timer fires, so that
//! the warm path never touches it.

use std::pin::Pin;

use model::Now;
use platform::Clock;
use tokio::time::Sleep;

#[derive(Debug)]
pub(crate) struct Timer {
    clock: Clock,
    sleep: Pin<Box<Sleep>>,
    set: Option<Now>,
}

impl Timer {
    pub(crate) fn new(clock: Clock) -> Timer {
        let sleep = Box::pin(tokio::time::sleep_until(clock.instant(Now(0))));
        Timer { clock, sleep, set: None }
    }

    pub(crate) fn no_later_than(&mut self, deadline: Option<Now>) {
        let Some(deadline) = deadline else { return };
        if self.set.is_none_or(|set| deadline < set) {
            self.set = Some(deadline);
            self.sleep.as_mut().reset(self.clock.instant(deadline));
        }
    }

    /// Waits for the deadline, or for ever without one.
    pub(crate) async fn fired(&mut self) {
        if self.set.is_none() {
            std::future::pending::<()>().await;
        }
        self.sleep.as_mut().await;
        self.set = None;
    }
}
