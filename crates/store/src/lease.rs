//! Leases: a name is held by one holder until a time. Each grant has an epoch that
//! is higher than every one before, also after a restart (I6).
//!
//! ```text
//!   free --grant(epoch+1)--> held --renew--> held
//!     ^                       |  |
//!     +-----release-----------+  +--time passes--> free
//! ```
//!
//! The epoch is durable, the time is not: `Now` means nothing to the next process,
//! and whoever held a lease in this directory ended with the process that had it
//! open. A holder that acts late is stopped by `Lease::fence`, not by its clock.

use std::{
    collections::HashMap,
    fmt,
    sync::{Mutex, MutexGuard, PoisonError},
};

use model::{Epoch, Now, Span, ids::Malformed};
use serde::{Deserialize, Serialize};

use crate::{
    limits::{GRANT_ATTEMPTS_MAX, LEASES_MAX},
    schema,
    store::Store,
    txn::{Precondition, ReadError, Revision, TransactError, Transaction},
};

/// What is held: `[a-zA-Z0-9._:-]{1,128}`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LeaseName(String);

/// The durable half of a lease.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeaseRecord {
    pub epoch: Epoch,
    /// Who was granted this epoch; whether it still holds is not known from here.
    pub holder: String,
}

/// Proof that a name was granted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    pub name: LeaseName,
    pub holder: String,
    pub epoch: Epoch,
    pub until: Now,
    /// The revision of the grant.
    pub revision: Revision,
}

#[derive(Debug, thiserror::Error)]
pub enum LeaseError {
    #[error("lease {name} is held by {holder}")]
    Held { name: LeaseName, holder: String, until: Now },
    /// It ran out, or someone else was granted it.
    #[error("lease {name} is no longer held at epoch {}", epoch.0)]
    Lost { name: LeaseName, epoch: Epoch },
    #[error("{LEASES_MAX} leases are held already")]
    TooMany,
    #[error("writing the epoch of lease {name}")]
    Write {
        name: LeaseName,
        #[source]
        source: TransactError,
    },
    #[error("reading the epoch of lease {name}")]
    Read {
        name: LeaseName,
        #[source]
        source: ReadError,
    },
}

impl LeaseName {
    pub fn parse(text: &str) -> Result<LeaseName, Malformed> {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b"._:-".contains(&b);
        if (1..=128).contains(&text.len()) && text.bytes().all(allowed) {
            Ok(LeaseName(text.to_owned()))
        } else {
            Err(Malformed("lease name"))
        }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for LeaseName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Lease {
    /// Makes a transaction fail once the name was granted again.
    pub fn fence(&self) -> Precondition {
        Precondition::VersionIs(schema::lease(&self.name).into_key(), self.revision)
    }
}

/// Who holds what in this process.
#[derive(Debug, Default)]
pub(crate) struct Held(Mutex<HashMap<LeaseName, Hold>>);

#[derive(Clone, Debug)]
struct Hold {
    holder: String,
    until: Now,
    /// `None` while the epoch is being written.
    epoch: Option<Epoch>,
}

impl Store {
    /// Grants a free name. A holder that asks again while it holds gets a new epoch:
    /// its earlier self is fenced off.
    pub async fn grant(
        &self,
        name: &LeaseName,
        holder: &str,
        ttl: Span,
        now: Now,
    ) -> Result<Lease, LeaseError> {
        let until = now + ttl;
        self.leases().reserve(name, holder, until, now)?;
        match self.write_epoch(name, holder).await {
            Ok((epoch, revision)) => {
                let (name, holder) = (name.clone(), holder.to_owned());
                let lease = Lease { name, holder, epoch, until, revision };
                self.leases().confirm(&lease)?;
                Ok(lease)
            }
            Err(error) => {
                self.leases().cancel(name, until);
                Err(error)
            }
        }
    }

    /// Holds on until `now + ttl`. A lease that ran out is lost, even if nobody else
    /// took it: its holder cannot know that.
    pub async fn renew(&self, lease: &Lease, ttl: Span, now: Now) -> Result<Lease, LeaseError> {
        let until = now + ttl;
        self.leases().extend(lease, until, now)?;
        Ok(Lease { until, ..lease.clone() })
    }

    /// Frees the name; a lease that is lost already frees nothing.
    pub async fn release(&self, lease: Lease) {
        self.leases().free(&lease);
    }

    async fn write_epoch(
        &self,
        name: &LeaseName,
        holder: &str,
    ) -> Result<(Epoch, Revision), LeaseError> {
        let key = schema::lease(name);
        let write = |source| LeaseError::Write { name: name.clone(), source };
        for _ in 0..GRANT_ATTEMPTS_MAX {
            let read = self.read(&key).await;
            let found = read.map_err(|source| LeaseError::Read { name: name.clone(), source })?;
            let (epoch, transaction) = match found {
                None => (Epoch(1), Transaction::new().require_absent(&key)),
                Some(found) => {
                    let transaction = Transaction::new().require_version(&key, found.revision);
                    (found.value.epoch.next(), transaction)
                }
            };
            let record = LeaseRecord { epoch, holder: holder.to_owned() };
            let transaction = transaction.put(&key, &record);
            let transaction =
                transaction.map_err(|error| write(TransactError::Unacceptable(error.into())))?;
            match self.transact(transaction).await {
                Ok(revision) => return Ok((epoch, revision)),
                Err(TransactError::Conflict { .. }) => {}
                Err(source) => return Err(write(source)),
            }
        }
        Err(write(TransactError::Conflict { key: key.into_key() }))
    }
}

impl Held {
    fn reserve(
        &self,
        name: &LeaseName,
        holder: &str,
        until: Now,
        now: Now,
    ) -> Result<(), LeaseError> {
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
        held.insert(name.clone(), Hold { holder: holder.to_owned(), until, epoch: None });
        Ok(())
    }

    /// A reservation that ran out while its epoch was written may belong to another
    /// holder by now; `until` tells the two apart, as the later one ends later.
    fn confirm(&self, lease: &Lease) -> Result<(), LeaseError> {
        match self.lock().get_mut(&lease.name) {
            Some(hold) if hold.epoch.is_none() && hold.until == lease.until => {
                hold.epoch = Some(lease.epoch);
                Ok(())
            }
            Some(_) | None => {
                Err(LeaseError::Lost { name: lease.name.clone(), epoch: lease.epoch })
            }
        }
    }

    fn cancel(&self, name: &LeaseName, until: Now) {
        let mut held = self.lock();
        if held.get(name).is_some_and(|hold| hold.epoch.is_none() && hold.until == until) {
            held.remove(name);
        }
    }

    fn extend(&self, lease: &Lease, until: Now, now: Now) -> Result<(), LeaseError> {
        let mut held = self.lock();
        match held.get_mut(&lease.name) {
            Some(hold) if hold.epoch == Some(lease.epoch) && hold.until > now => {
                hold.until = until;
                Ok(())
            }
            Some(_) | None => {
                Err(LeaseError::Lost { name: lease.name.clone(), epoch: lease.epoch })
            }
        }
    }

    fn free(&self, lease: &Lease) {
        let mut held = self.lock();
        if held.get(&lease.name).is_some_and(|hold| hold.epoch == Some(lease.epoch)) {
            held.remove(&lease.name);
        }
    }

    /// Each change is one statement, so the map is always whole.
    fn lock(&self) -> MutexGuard<'_, HashMap<LeaseName, Hold>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        held.reserve(&name(), "slow", Now(10), Now(0)).unwrap();
        held.reserve(&name(), "other", Now(20), Now(9)).unwrap_err();
        held.reserve(&name(), "other", Now(20), Now(10)).unwrap();
        // The slow one's epoch is written only now: it must not take the other's place,
        // and its failure must not free it.
        assert!(matches!(held.confirm(&lease("slow", 1, 10)), Err(LeaseError::Lost { .. })));
        held.cancel(&name(), Now(10));
        held.confirm(&lease("other", 2, 20)).unwrap();
        held.extend(&lease("other", 2, 20), Now(30), Now(19)).unwrap();
    }

    #[test]
    fn a_holder_does_not_overtake_its_own_grant() {
        let held = Held::default();
        held.reserve(&name(), "a", Now(10), Now(0)).unwrap();
        assert!(matches!(
            held.reserve(&name(), "a", Now(11), Now(1)),
            Err(LeaseError::Held { until: Now(10), .. })
        ));
    }

    #[test]
    fn leases_that_ran_out_make_room_and_held_ones_do_not() {
        let held = Held::default();
        let numbered = |n: usize| LeaseName::parse(&n.to_string()).unwrap();
        for n in 0..LEASES_MAX {
            let until = if n == 0 { Now(5) } else { Now(10) };
            held.reserve(&numbered(n), "a", until, Now(0)).unwrap();
        }
        let late = numbered(LEASES_MAX);
        assert!(matches!(held.reserve(&late, "a", Now(10), Now(4)), Err(LeaseError::TooMany)));
        held.reserve(&late, "a", Now(10), Now(5)).unwrap();
    }
}
