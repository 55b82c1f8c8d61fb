//! Leases: a name is held by one holder until a time. Each grant has an epoch that
//! is higher than every one before, also after a restart (I6).
//!
//! ```text
//!   free --grant(epoch+1)--> held --renew--> held
//!     ^                       |  |
//!     +-----release-----------+  +--time passes--> free
//! ```
//!
//! The epoch is durable, the time is not: `Now` means nothing to the next process. A
//! holder in the process that has the store open ended with it. One in another process
//! may live on: its record has a claim, and whoever opens the store next keeps the name
//! for it that long. A holder that acts late is stopped by `Lease::fence`, not by its
//! clock.

use std::fmt;

use model::{Epoch, Now, Span, ids::Malformed};
use serde::{Deserialize, Serialize};

use crate::{
    limits::{GRANT_ATTEMPTS_MAX, LEASES_MAX},
    schema,
    store::{Found, Store},
    txn::{Precondition, ReadError, Revision, TransactError, Transaction, Unacceptable},
};

mod held;

pub(crate) use held::Held;
use held::NotHeld;

/// What is held: `[a-zA-Z0-9._:-]{1,128}`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LeaseName(String);

/// The durable half of a lease.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeaseRecord {
    pub epoch: Epoch,
    /// Who was granted this epoch; whether it still holds is not known from here.
    pub holder: String,
    /// How long a holder in another process may hold on without being heard.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claim: Option<Span>,
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
    /// Whether it was renewed is not known; it lasts as long as it did.
    #[error("nobody answers for lease {name}")]
    Unreachable { name: LeaseName },
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

    pub(crate) fn lost(&self, epoch: Epoch) -> LeaseError {
        LeaseError::Lost { name: self.clone(), epoch }
    }

    pub(crate) fn unwritten(&self, source: TransactError) -> LeaseError {
        LeaseError::Write { name: self.clone(), source }
    }

    fn unread(&self, source: ReadError) -> LeaseError {
        LeaseError::Read { name: self.clone(), source }
    }
}

impl fmt::Display for LeaseName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Lease {
    pub(crate) fn lost(&self) -> LeaseError {
        self.name.lost(self.epoch)
    }

    /// Makes a transaction fail once the name was granted again.
    pub fn fence(&self) -> Precondition {
        Precondition::VersionIs(schema::lease(&self.name).into_key(), self.revision)
    }
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
        match self.remote_engine() {
            Some(remote) => remote.grant(name, holder, ttl, now).await,
            None => self.grant_until(name, holder, now + ttl, None, now).await,
        }
    }

    /// Holds on until `now + ttl`. A lease that ran out is lost, even if nobody else
    /// took it: its holder cannot know that.
    pub async fn renew(&self, lease: &Lease, ttl: Span, now: Now) -> Result<Lease, LeaseError> {
        if let Some(remote) = self.remote_engine() {
            return remote.renew(lease, ttl, now).await;
        }
        match self.leases().extend(&lease.name, lease.epoch, ttl, now) {
            Ok(ttl) => Ok(Lease { until: now + ttl, ..lease.clone() }),
            Err(NotHeld::Unknown | NotHeld::Lost) => Err(lease.lost()),
        }
    }

    /// Frees the name; a lease that is lost already frees nothing.
    pub async fn release(&self, lease: Lease) {
        match self.remote_engine() {
            Some(remote) => remote.release(lease).await,
            None => self.leases().free(&lease.name, lease.epoch),
        }
    }

    /// `grant` to a holder in another process.
    pub(crate) async fn grant_away(
        &self,
        name: &LeaseName,
        holder: &str,
        ttl: Span,
        now: Now,
    ) -> Result<Lease, LeaseError> {
        self.grant_until(name, holder, now + ttl, Some(ttl), now).await
    }

    /// `renew` of a holder in another process, for as long as is answered. One that was
    /// granted before the store was opened holds on, as long as nobody took it.
    pub(crate) async fn renew_away(
        &self,
        name: &LeaseName,
        holder: &str,
        epoch: Epoch,
        ttl: Span,
        now: Now,
    ) -> Result<Span, LeaseError> {
        match self.leases().extend(name, epoch, ttl, now) {
            Ok(ttl) => return Ok(ttl),
            Err(NotHeld::Lost) => return Err(name.lost(epoch)),
            Err(NotHeld::Unknown) => {}
        }
        // Reserved before it is read: meanwhile nobody is granted the name.
        let until = now + ttl;
        self.leases().reserve(name, holder, until, None, now)?;
        let read = self.read(&schema::lease(name)).await;
        let known = match read {
            Ok(found) => found.filter(|found| found.value.epoch == epoch),
            Err(error) => {
                self.leases().cancel(name, until);
                return Err(name.unread(error));
            }
        };
        let claim = known.filter(|found| found.value.holder == holder && self.is_old(found));
        match claim.and_then(|found| found.value.claim) {
            Some(claim) => self.leases().adopt(name, epoch, ttl, until, claim),
            None => {
                self.leases().cancel(name, until);
                Err(name.lost(epoch))
            }
        }
    }

    async fn grant_until(
        &self,
        name: &LeaseName,
        holder: &str,
        until: Now,
        claim: Option<Span>,
        now: Now,
    ) -> Result<Lease, LeaseError> {
        self.leases().begin(now);
        let known = self.leases().reserve(name, holder, until, claim, now)?;
        match self.write_epoch(name, holder, claim, (!known).then_some(now)).await {
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

    async fn write_epoch(
        &self,
        name: &LeaseName,
        holder: &str,
        claim: Option<Span>,
        first_seen: Option<Now>,
    ) -> Result<(Epoch, Revision), LeaseError> {
        let key = schema::lease(name);
        for _ in 0..GRANT_ATTEMPTS_MAX {
            let found = self.read(&key).await.map_err(|error| name.unread(error))?;
            let (epoch, transaction) = match found {
                None => (Epoch(1), Transaction::new().require_absent(&key)),
                Some(found) => {
                    if let Some(now) = first_seen {
                        self.respect_claim(name, holder, &found, now)?;
                    }
                    let transaction = Transaction::new().require_version(&key, found.revision);
                    (found.value.epoch.next(), transaction)
                }
            };
            let record = LeaseRecord { epoch, holder: holder.to_owned(), claim };
            let transaction = transaction.put(&key, &record).map_err(Unacceptable::from);
            let transaction = transaction.map_err(|error| name.unwritten(error.into()))?;
            match self.transact(transaction).await {
                Ok(revision) => return Ok((epoch, revision)),
                Err(TransactError::Conflict { .. }) => {}
                Err(error) => return Err(name.unwritten(error)),
            }
        }
        Err(name.unwritten(TransactError::Conflict { key: key.into_key() }))
    }

    /// Somebody who was granted the name before the store was opened may still hold it.
    fn respect_claim(
        &self,
        name: &LeaseName,
        holder: &str,
        found: &Found<LeaseRecord>,
        now: Now,
    ) -> Result<(), LeaseError> {
        let LeaseRecord { holder: before, claim, .. } = &found.value;
        let until = self.leases().began(now) + claim.unwrap_or(Span::ZERO);
        if self.is_old(found) && before != holder && until > now {
            return Err(LeaseError::Held { name: name.clone(), holder: before.clone(), until });
        }
        Ok(())
    }

    /// Written before the store was opened by this process.
    fn is_old(&self, found: &Found<LeaseRecord>) -> bool {
        found.revision <= self.feed().opened_at()
    }
}
