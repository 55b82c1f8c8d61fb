//! A value that others wait for. They wake in the order in which they began to wait,
//! which the executor's own `watch` draws at random: so a simulated history is a
//! function of its seed alone.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

#[derive(Debug, Default)]
pub(crate) struct Changing<T> {
    value: Mutex<T>,
    changed: Notify,
}

impl<T> Changing<T> {
    pub(crate) fn now(&self) -> MutexGuard<'_, T> {
        self.value.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn change(&self, change: impl FnOnce(&mut T)) {
        change(&mut self.now());
        self.changed.notify_waiters();
    }

    /// What `found` makes of the value, as soon as it makes something of it.
    pub(crate) async fn until<R>(&self, mut found: impl FnMut(&T) -> Option<R>) -> R {
        loop {
            // Waits from here on, so that no change falls between look and wait.
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            if let Some(result) = found(&self.now()) {
                return result;
            }
            changed.await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{TaskKind, Tasks};

    #[tokio::test]
    async fn who_waits_first_wakes_first() {
        let value = Arc::new(Changing::<u32>::default());
        let order = Arc::<Mutex<Vec<(u32, u32)>>>::default();
        for number in 0..32_u32 {
            let (value, order) = (Arc::clone(&value), Arc::clone(&order));
            Tasks::default().spawn(TaskKind::Background, "waiter", async move {
                let seen = value.until(|value| (*value > 1).then_some(*value)).await;
                order.lock().unwrap().push((number, seen));
            });
        }
        for _ in 0..3 {
            tokio::task::yield_now().await;
            value.change(|value| *value += 1);
        }
        tokio::task::yield_now().await;
        let woken = order.lock().unwrap().clone();
        assert_eq!(woken, (0..32).map(|number| (number, 2)).collect::<Vec<_>>());
    }
}
