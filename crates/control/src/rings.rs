//! The ring publisher: ring versions in the store, which frontends and managers
//! watch. What may be published and what comes next `decide::ring::publish` knows;
//! here it is written in one transaction against what was read, so that of two
//! publishers one is told to look again.
//!
//! Invariant: at most `VERSIONS_MAX` versions are kept, and numbers only grow.

use decide::ring::{
    Rings, VERSIONS_MAX,
    publish::{Facts, Unfit},
};
use model::{Attrs, FleetId, ManagerId, RingRecord, RingState, RingVersion, ring::KEY_SHARE_WHOLE};
use store::{
    Found, ReadError, RecordError, Store, TransactError, Transaction, limits::PAGE_ENTRIES_MAX,
    schema,
};

#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    #[error("the ring version was not published: {0}")]
    Unfit(#[from] Unfit),
    #[error("no ring version is published yet")]
    NoRing,
    #[error("version {0} serves every key: there is no next step")]
    Baked(RingVersion),
    #[error("version {0} has no version before it to go back to")]
    NoWayBack(RingVersion),
    #[error("somebody else published at the same time: look at the rings and try again")]
    Contended,
    #[error("reading ring versions")]
    Read(#[from] ReadError),
    #[error("writing ring versions")]
    Write(#[from] TransactError),
    #[error("encoding a ring version")]
    Record(#[from] RecordError),
}

#[derive(Clone, Debug)]
pub struct Publisher {
    store: Store,
}

/// What is published, as it was read.
struct Published {
    found: Vec<Found<RingRecord>>,
    rings: Rings,
}

impl Publisher {
    pub fn new(store: Store) -> Publisher {
        Publisher { store }
    }

    /// The ring versions that are published now.
    pub async fn rings(&self) -> Result<Rings, ReadError> {
        Ok(self.read().await?.rings)
    }

    /// The first version, of the members of the installation's configuration. Where
    /// there are versions already, nothing happens.
    pub async fn first(&self, members: Vec<ManagerId>, attrs: Attrs) -> Result<(), PublishError> {
        let published = self.read().await?;
        if published.rings.newest().is_some() {
            return Ok(());
        }
        let first = published.rings.successor(FleetId(1), members.clone(), attrs);
        let facts = Facts { managers: &members, in_flight_max: 0 };
        match self.publish(&published, first, facts).await {
            Ok(_) | Err(PublishError::Contended) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// A version of another fleet or of other settings, at its first step, or at once
    /// with the share that is wanted.
    pub async fn deploy(
        &self,
        fleet: FleetId,
        members: Vec<ManagerId>,
        attrs: Attrs,
        key_share: Option<u16>,
        facts: Facts<'_>,
    ) -> Result<RingRecord, PublishError> {
        let published = self.read().await?;
        let mut next = published.rings.successor(fleet, members, attrs);
        if let Some(share) = key_share {
            let whole = share == KEY_SHARE_WHOLE;
            next.state = if whole { RingState::Active } else { RingState::Baking };
            next.key_share = share;
        }
        self.publish(&published, next, facts).await
    }

    /// The next step of the newest version's baking.
    pub async fn step(&self) -> Result<RingRecord, PublishError> {
        let published = self.read().await?;
        let newest = published.rings.newest().ok_or(PublishError::NoRing)?.v();
        let next = published.rings.next_step().ok_or(PublishError::Baked(newest))?;
        let facts = Facts { managers: &[], in_flight_max: 0 };
        self.publish(&published, next, facts).await
    }

    /// A version of the managers and settings before the newest. What carried the
    /// calls before is not held up by how many there are now.
    pub async fn back(&self) -> Result<RingRecord, PublishError> {
        let published = self.read().await?;
        let newest = published.rings.newest().ok_or(PublishError::NoRing)?.v();
        let back = published.rings.way_back().ok_or(PublishError::NoWayBack(newest))?;
        let members = back.members.clone();
        let facts = Facts { managers: &members, in_flight_max: 0 };
        self.publish(&published, back, facts).await
    }

    async fn read(&self) -> Result<Published, ReadError> {
        let page = self.store.read_page(&schema::rings(), None, PAGE_ENTRIES_MAX).await?;
        let found: Vec<_> = page.found.into_iter().map(|(_, found)| found).collect();
        let rings = Rings::of(found.iter().map(|found| found.value.clone()));
        Ok(Published { found, rings })
    }

    /// Writes the record, what it makes superfluous, and what is too old to keep.
    async fn publish(
        &self,
        published: &Published,
        record: RingRecord,
        facts: Facts<'_>,
    ) -> Result<RingRecord, PublishError> {
        published.rings.check(&record, facts)?;
        let mut after = published.rings.clone();
        after.learn(record.clone());
        let retired: Vec<RingRecord> = after.to_retire().collect();
        let key = schema::ring(record.v);
        let mut transaction = Transaction::new();
        for found in &published.found {
            let known = schema::ring(found.value.v);
            transaction = transaction.require_version(&known, found.revision);
        }
        if published.rings.get(record.v).is_none() {
            transaction = transaction.require_absent(&key);
        }
        transaction = transaction.put(&key, &record)?;
        for record in retired {
            transaction = transaction.put(&schema::ring(record.v), &record)?;
        }
        let kept = |v: RingVersion| after.versions().iter().any(|version| version.v() == v);
        debug_assert!(after.versions().len() <= VERSIONS_MAX);
        for found in published.found.iter().filter(|found| !kept(found.value.v)) {
            transaction = transaction.delete(&schema::ring(found.value.v));
        }
        match self.store.transact(transaction).await {
            Ok(_) => Ok(record),
            Err(TransactError::Conflict { .. }) => Err(PublishError::Contended),
            Err(error) => Err(error.into()),
        }
    }
}
