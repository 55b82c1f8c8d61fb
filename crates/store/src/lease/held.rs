//! Who holds what, and until when, of the store that this process has open. Only in
//! memory: what outlives the process stands in the records of `lease`.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, OnceLock, PoisonError},
};

use model::{Epoch, Now, Span};

use super::{Lease, LeaseError, LeaseName};
use crate::limits::LEASES_MAX;

/// Who holds what of the store that this process has open.
#[derive(Debug, Default)]
pub(crate) struct Held {
    holds: Mutex<HashMap<LeaseName, Hold>>,
    /// The first time that is known of this opening.
    began: OnceLock<Now>,
}

#[derive(Clone, Debug)]
struct Hold {
    holder: String,
    until: Now,
    /// `None` while the epoch is being written.
    epoch: Option<Epoch>,
    /// No renewal is longer.
    claim: Option<Span>,
}

/// Why a lease cannot be renewed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotHeld {
    /// Nothing is known of the name.
    Unknown,
    Lost,
}

impl Held {
    /// The first time that is given stays.
    pub(crate) fn begin(&self, now: Now) {
        self.began(now);
    }

    pub(crate) fn began(&self, now: Now) -> Now {
        *self.began.get_or_init(|| now)
    }

    /// Answers whether anything was known of the name in this opening of the store.
    pub(crate) fn reserve(
        &self,
        name: &LeaseName,
        holder: &str,
        until: Now,
        claim: Option<Span>,
        now: Now,
    ) -> Result<bool, LeaseError> {
        let mut held = self.lock();
        if let Some(hold) = held.get(name)
            && hold.until > now
            && (hold.holder != holder || hold.epoch.is_none())
        {
            let (name, holder) = (name.clone(), hold.holder.clone());
            return Err(LeaseError::Held { name, holder, until: hold.until });
        }
        if held.len() >= LEASES_MAX && !held.contains_key(name) {
            held.retain(|_, hold| hold.until > now);
            if held.len() >= LEASES_MAX {
                return Err(LeaseError::TooMany);
            }
        }
        let hold = Hold { holder: holder.to_owned(), until, epoch: None, claim };
        Ok(held.insert(name.clone(), hold).is_some())
    }

    /// A reservation that ran out while its epoch was written may belong to another
    /// holder by now; `until` tells the two apart, as the later one ends later.
    pub(crate) fn confirm(&self, lease: &Lease) -> Result<(), LeaseError> {
        match self.lock().get_mut(&lease.name) {
            Some(hold) if hold.epoch.is_none() && hold.until == lease.until => {
                hold.epoch = Some(lease.epoch);
                Ok(())
            }
            Some(_) | None => Err(lease.lost()),
        }
    }

    /// As `confirm`, for a lease of an earlier life.
    pub(crate) fn adopt(
        &self,
        name: &LeaseName,
        epoch: Epoch,
        ttl: Span,
        until: Now,
        claim: Span,
    ) -> Result<Span, LeaseError> {
        match self.lock().get_mut(name) {
            Some(hold) if hold.epoch.is_none() && hold.until == until => {
                (hold.epoch, hold.claim) = (Some(epoch), Some(claim));
                Ok(ttl.min(claim))
            }
            Some(_) | None => Err(name.lost(epoch)),
        }
    }

    pub(crate) fn cancel(&self, name: &LeaseName, until: Now) {
        let mut held = self.lock();
        if held.get(name).is_some_and(|hold| hold.epoch.is_none() && hold.until == until) {
            held.remove(name);
        }
    }

    /// For as long as is answered: no longer than the record claims.
    pub(crate) fn extend(
        &self,
        name: &LeaseName,
        epoch: Epoch,
        ttl: Span,
        now: Now,
    ) -> Result<Span, NotHeld> {
        match self.lock().get_mut(name) {
            Some(hold) if hold.epoch == Some(epoch) && hold.until > now => {
                let ttl = ttl.min(hold.claim.unwrap_or(ttl));
                hold.until = now + ttl;
                Ok(ttl)
            }
            Some(_) => Err(NotHeld::Lost),
            None => Err(NotHeld::Unknown),
        }
    }

    pub(crate) fn free(&self, name: &LeaseName, epoch: Epoch) {
        let mut held = self.lock();
        match held.get_mut(name).filter(|hold| hold.epoch == Some(epoch)) {
            // Remembered as given back: its record still claims the name.
            Some(hold) if hold.claim.is_some() => hold.until = Now(0),
            Some(_) => drop(held.remove(name)),
            None => {}
        }
    }

    /// Each change is one statement, so the map is always whole.
    fn lock(&self) -> MutexGuard<'_, HashMap<LeaseName, Hold>> {
        self.holds.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::txn::Revision;

    fn name() -> LeaseName {
        LeaseName::parse("x").unwrap()
    }

    fn lease(holder: &str, epoch: u64, until: u64) -> Lease {
        let (epoch, until) = (Epoch(epoch), Now(until));
        Lease { name: name(), holder: holder.into(), epoch, until, revision: Revision(epoch.0) }
    }

    #[test]
    fn i6_a_grant_slower_than_its_own_time_is_lost() {
        let held = Held::default();
        held.reserve(&name(), "slow", Now(10), None, Now(0)).unwrap();
        held.reserve(&name(), "other", Now(20), None, Now(9)).unwrap_err();
        held.reserve(&name(), "other", Now(20), None, Now(10)).unwrap();
        // The slow one's epoch is written only now: it must not take the other's place,
        // and its failure must not free it.
        assert!(matches!(held.confirm(&lease("slow", 1, 10)), Err(LeaseError::Lost { .. })));
        held.cancel(&name(), Now(10));
        held.confirm(&lease("other", 2, 20)).unwrap();
        held.extend(&name(), Epoch(2), Span(11), Now(19)).unwrap();
    }

    #[test]
    fn a_holder_does_not_overtake_its_own_grant() {
        let held = Held::default();
        held.reserve(&name(), "a", Now(10), None, Now(0)).unwrap();
        assert!(matches!(
            held.reserve(&name(), "a", Now(11), None, Now(1)),
            Err(LeaseError::Held { until: Now(10), .. })
        ));
    }

    #[test]
    fn leases_that_ran_out_make_room_and_held_ones_do_not() {
        let held = Held::default();
        let numbered = |n: usize| LeaseName::parse(&n.to_string()).unwrap();
        for n in 0..LEASES_MAX {
            let until = if n == 0 { Now(5) } else { Now(10) };
            held.reserve(&numbered(n), "a", until, None, Now(0)).unwrap();
        }
        let late = numbered(LEASES_MAX);
        assert!(matches!(
            held.reserve(&late, "a", Now(10), None, Now(4)),
            Err(LeaseError::TooMany)
        ));
        held.reserve(&late, "a", Now(10), None, Now(5)).unwrap();
    }
}
