//! The concurrency leases that this frontend holds, by the counter that gave them, so
//! that it can say which are still open: what it gave back over a connection that broke
//! is known to nobody else (I4). Invariant: a lease is here exactly while its `Slot` is.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use model::{LeaseId, ManagerId, Now, limits};

#[derive(Debug, Default)]
pub(crate) struct Held(Mutex<BTreeMap<(ManagerId, LeaseId), Now>>);

impl Held {
    pub(crate) fn take(&self, now: Now, counter: ManagerId, lease: LeaseId) {
        self.lock().insert((counter, lease), now);
    }

    pub(crate) fn give_back(&self, counter: ManagerId, lease: LeaseId) {
        self.lock().remove(&(counter, lease));
    }

    /// Those of one counter that are held for some time; None where they are too many.
    pub(crate) fn of(&self, now: Now, counter: ManagerId) -> Option<Vec<LeaseId>> {
        let held = self.lock();
        let of_counter = (counter, LeaseId(0))..=(counter, LeaseId(u64::MAX));
        let told = held
            .range(of_counter)
            .filter(|(_, since)| now.since(**since) >= limits::LEASE_TOLD_AFTER)
            .map(|((_, lease), _)| *lease)
            .take(limits::LEASES_TOLD_MAX + 1);
        let told: Vec<LeaseId> = told.collect();
        (told.len() <= limits::LEASES_TOLD_MAX).then_some(told)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<(ManagerId, LeaseId), Now>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use model::Span;

    use super::*;

    #[test]
    fn only_what_is_open_for_some_time_is_told() {
        let held = Held::default();
        let (one, other) = (ManagerId(1), ManagerId(2));
        let later = Now(0) + limits::LEASE_TOLD_AFTER;
        held.take(Now(0), one, LeaseId(5));
        held.take(Now(0), one, LeaseId(6));
        held.take(Now(0), other, LeaseId(7));
        held.take(Now(0) + Span::millis(1), one, LeaseId(8));
        held.give_back(one, LeaseId(6));
        assert_eq!(held.of(later, one), Some(vec![LeaseId(5)]));
        assert_eq!(held.of(later, other), Some(vec![LeaseId(7)]));
        for lease in 0..=limits::LEASES_TOLD_MAX as u64 {
            held.take(Now(0), other, LeaseId(lease));
        }
        assert_eq!(held.of(later, other), None);
    }
}
