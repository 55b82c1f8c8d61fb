//! The provisioning controller's records: what is asked for becomes `Want`, what the
//! machine says of a set is kept in the store. Invariant: the user's configuration is
//! only read here, the set's record only written.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use decide::{
    arcs::RingArc,
    book::Target,
    provision::{Input, Want},
    route::SetRecord,
};
use model::{
    AccountId, Epoch, FunctionConfig, FunctionName, KeyHash, PoolKey, ProvisionedConfig,
    ProvisionedSet, ProvisionedStatus, VersionId,
};
use platform::Clock;
use store::{
    Entry, Store, Transaction, record,
    schema::{self, Place},
};
use wire::manager::SetTarget;

use crate::failure::Failure;

/// A version, as the keys of the store name it.
type Version = (AccountId, FunctionName, u64);

#[derive(Debug)]
struct Set {
    key: Arc<PoolKey>,
    /// What environments are built from; none for what only drains.
    config: Option<Arc<FunctionConfig>>,
    stored: Option<SetRecord>,
    status: ProvisionedStatus,
}

#[derive(Debug)]
pub(super) struct Sets {
    store: Store,
    clock: Clock,
    sets: BTreeMap<KeyHash, Set>,
    /// What users ask for, with the key that it means.
    wanted: BTreeMap<Version, (KeyHash, ProvisionedConfig)>,
}

impl Sets {
    pub(super) fn new(store: Store, clock: Clock) -> Sets {
        Sets { store, clock, sets: BTreeMap::new(), wanted: BTreeMap::new() }
    }

    /// Everything there is: at the start, and where the watch fell behind.
    pub(super) async fn all(&mut self, entries: Vec<Entry>) -> Result<Vec<Input>, Failure> {
        let mut configs = BTreeSet::new();
        let mut inputs = Vec::new();
        for entry in &entries {
            match Place::of(&entry.key) {
                Some(Place::ProvisionedSet(.., hash)) if !self.sets.contains_key(&hash) => {
                    self.found(hash, record::decode(&entry.value)?);
                    // Until somebody is found to want it, it drains.
                    inputs.extend(self.want(hash, 0));
                }
                Some(Place::ProvisionedConfig(account, name, number)) => {
                    configs.insert((account, name, number));
                }
                Some(_) | None => {}
            }
        }
        let gone = self.wanted.keys().filter(|version| !configs.contains(*version));
        for version in gone.cloned().collect::<Vec<_>>() {
            inputs.extend(self.unasked(&version));
        }
        for entry in entries {
            inputs.extend(self.change(&entry.key, Some(&entry.value)).await?);
        }
        Ok(last_wants(inputs))
    }

    pub(super) async fn changed(
        &mut self,
        changes: Vec<store::Change>,
    ) -> Result<Vec<Input>, Failure> {
        let mut inputs = Vec::new();
        for change in changes {
            inputs.extend(self.change(&change.key, change.value.as_deref()).await?);
        }
        Ok(inputs)
    }

    async fn change(
        &mut self,
        key: &store::Key,
        value: Option<&[u8]>,
    ) -> Result<Option<Input>, Failure> {
        let Some(Place::ProvisionedConfig(account, name, number)) = Place::of(key) else {
            return Ok(None);
        };
        let version = (account, name, number);
        match value {
            Some(value) => self.asked(version, record::decode(value)?).await,
            None => Ok(self.unasked(&version)),
        }
    }

    async fn asked(
        &mut self,
        version: Version,
        asked: ProvisionedConfig,
    ) -> Result<Option<Input>, Failure> {
        if self.wanted.get(&version).is_some_and(|(_, known)| *known == asked) {
            return Ok(None);
        }
        let (account, name, number) = &version;
        let key = schema::function_version(*account, name, *number);
        let Some(found) = self.store.read(&key).await? else {
            // Deleted meanwhile; the configuration goes with it.
            return Ok(self.unasked(&version));
        };
        let config = Arc::new(found.value);
        let key = Arc::new(PoolKey::provisioned(&config));
        let (hash, limit) = (key.hash(), asked.requested);
        let set = self.sets.entry(hash).or_insert_with(|| Set {
            key,
            config: None,
            stored: None,
            status: ProvisionedStatus::default(),
        });
        set.config = Some(config);
        self.wanted.insert(version, (hash, asked));
        Ok(self.want(hash, limit))
    }

    fn unasked(&mut self, version: &Version) -> Option<Input> {
        let (hash, _) = self.wanted.remove(version)?;
        self.want(hash, 0)
    }

    fn want(&self, hash: KeyHash, limit: u32) -> Option<Input> {
        let set = self.sets.get(&hash)?;
        let (key, stored) = (Arc::clone(&set.key), set.stored);
        // A set that is made again is told apart from its earlier life by the clock:
        // epochs of a life grow by far less than one in a millisecond.
        let epoch_min = stored.map_or(Epoch(self.clock.wall_ms()), |record| record.epoch);
        Some(Input::Want(Want { key, hash, limit, stored, epoch_min }))
    }

    fn found(&mut self, hash: KeyHash, set: ProvisionedSet) {
        let ProvisionedSet { key, epoch, ring, limit, start, size, wide, status } = set;
        let arc = RingArc { start, size };
        let stored = Some(SetRecord { epoch, ring, limit, arc, wide });
        self.sets.insert(hash, Set { key: Arc::new(key), config: None, stored, status });
    }

    pub(super) async fn record(&mut self, hash: KeyHash, is: SetRecord) -> Result<(), Failure> {
        if let Some(set) = self.sets.get_mut(&hash) {
            set.stored = Some(is);
        }
        self.write(hash).await
    }

    pub(super) async fn status(
        &mut self,
        hash: KeyHash,
        is: ProvisionedStatus,
    ) -> Result<(), Failure> {
        if let Some(set) = self.sets.get_mut(&hash) {
            set.status = is;
        }
        self.write(hash).await
    }

    async fn write(&self, hash: KeyHash) -> Result<(), Failure> {
        let Some(set) = self.sets.get(&hash) else { return Ok(()) };
        let (Some(place), Some(record)) = (place(hash, &set.key), set.stored) else {
            return Ok(());
        };
        let SetRecord { epoch, ring, limit, arc: RingArc { start, size }, wide } = record;
        let key = (*set.key).clone();
        let status = set.status;
        let value = ProvisionedSet { key, epoch, ring, limit, start, size, wide, status };
        self.store.transact(Transaction::new().put(&place, &value)?).await?;
        Ok(())
    }

    pub(super) async fn forget(&mut self, hash: KeyHash) -> Result<(), Failure> {
        let Some(set) = self.sets.remove(&hash) else { return Ok(()) };
        if let Some(place) = place(hash, &set.key) {
            self.store.transact(Transaction::new().delete(&place)).await?;
        }
        Ok(())
    }

    pub(super) fn order(&self, target: Target) -> SetTarget {
        let Target { key, hash, share, epoch } = target;
        let config = self.sets.get(&hash).and_then(|set| set.config.clone());
        SetTarget { key, hash, share, epoch, config }
    }
}

/// Only published versions have sets.
fn place(hash: KeyHash, key: &PoolKey) -> Option<store::TypedKey<ProvisionedSet>> {
    match key.version {
        VersionId::Published(number) => {
            Some(schema::provisioned_set(key.account, &key.function, number, hash))
        }
        VersionId::Latest => None,
    }
}

/// Of several about one set the last: a set that is wanted does not begin to drain.
fn last_wants(inputs: Vec<Input>) -> Vec<Input> {
    let mut wants = BTreeMap::new();
    for input in inputs {
        if let Input::Want(want) = input {
            wants.insert(want.hash, want);
        }
    }
    wants.into_values().map(Input::Want).collect()
}
