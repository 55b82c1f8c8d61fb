//! The frontend's watched cache of functions: what a name and qualifier resolve
//! to, with everything the path needs of it made ready once per change.
//!
//! Readers take a shared lock for the length of one look-up and clone a pointer;
//! the only writer is the task that follows the store.

use std::{
    collections::HashMap,
    sync::{Arc, OnceLock, PoisonError, RwLock, RwLockWriteGuard},
};

use model::{
    AccountId, Affinity, FunctionConfig, FunctionName, KeyHash, PoolKey, Region, TenantId,
    VersionId, arn, function::FunctionSettings,
};
use platform::Tasks;
use store::{
    Followed, Store, record,
    schema::{self, Place},
};

use crate::{exact::Exact, meter::VersionMeter};

/// A pool and its place on the ring.
pub(crate) type Pool = (Arc<PoolKey>, KeyHash);

/// One immutable version, ready to be called.
#[derive(Debug)]
pub(crate) struct Callable {
    pub(crate) config: Arc<FunctionConfig>,
    pub(crate) key: Arc<PoolKey>,
    pub(crate) hash: KeyHash,
    /// The pool of its provisioned environments; only versions can have one.
    pub(crate) provisioned: Option<Pool>,
    /// Without a qualifier.
    pub(crate) arn: Arc<str>,
    /// Made at the first call.
    pub(crate) meter: OnceLock<Arc<VersionMeter>>,
}

impl Callable {
    /// The pool that a call may be served from. A tenant's calls have one of their
    /// own: no environment ever serves two tenants (I3).
    pub(crate) fn pool(&self, tenant: Option<&TenantId>) -> Pool {
        bound(&self.key, self.hash, tenant)
    }

    pub(crate) fn function(&self) -> (AccountId, FunctionName) {
        (self.config.account, self.config.name.clone())
    }

    /// The pool of its provisioned environments; the on-demand one where it has none.
    pub(crate) fn provisioned_pool(&self, tenant: Option<&TenantId>) -> Pool {
        let Some((key, hash)) = &self.provisioned else { return self.pool(tenant) };
        bound(key, *hash, tenant)
    }
}

/// A tenant's part of a pool.
fn bound(key: &Arc<PoolKey>, hash: KeyHash, tenant: Option<&TenantId>) -> Pool {
    match tenant.and_then(|tenant| key.bound_to(tenant.clone())) {
        Some(bound) => {
            let hash = bound.hash();
            (Arc::new(bound), hash)
        }
        None => (Arc::clone(key), hash),
    }
}

fn write<T>(lock: &RwLock<T>) -> RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(PoisonError::into_inner)
}

type Affinities = HashMap<(AccountId, FunctionName), Affinity>;
type Versions = HashMap<(AccountId, FunctionName), HashMap<VersionId, Arc<Callable>>>;

#[derive(Clone, Debug)]
pub(crate) struct View {
    region: Region,
    functions: Arc<RwLock<Versions>>,
    /// Of functions that have one.
    affinities: Arc<RwLock<Affinities>>,
    exact: Arc<Exact>,
}

impl View {
    pub(crate) fn new(region: Region, exact: Arc<Exact>) -> View {
        View { region, functions: Arc::default(), affinities: Arc::default(), exact }
    }

    pub(crate) fn find(
        &self,
        function: &(AccountId, FunctionName),
        version: VersionId,
    ) -> Option<Arc<Callable>> {
        let functions = self.functions.read().unwrap_or_else(PoisonError::into_inner);
        functions.get(function)?.get(&version).cloned()
    }

    pub(crate) fn affinity(&self, function: &(AccountId, FunctionName)) -> Option<Affinity> {
        let affinities = self.affinities.read().unwrap_or_else(PoisonError::into_inner);
        affinities.get(function).copied()
    }

    /// Follows the store until it closes.
    pub(crate) async fn follow(self, store: Store, tasks: Tasks) {
        let mut follow = store.follow(schema::functions());
        let view = "frontend's view of functions";
        while let Some(followed) = follow.next_or_stop(&tasks, view).await {
            match followed {
                Followed::All(all) => {
                    let fresh = View::new(self.region.clone(), Arc::default());
                    for entry in all {
                        fresh.apply(&entry.key, Some(&entry.value));
                    }
                    self.become_like(&fresh);
                }
                Followed::Commit(commit) => {
                    for change in commit.changes {
                        self.apply(&change.key, change.value.as_deref());
                    }
                }
            }
        }
    }

    /// At once: no call finds a function missing that is there before and after.
    fn become_like(&self, fresh: &View) {
        *write(&self.functions) = std::mem::take(&mut *write(&fresh.functions));
        *write(&self.affinities) = std::mem::take(&mut *write(&fresh.affinities));
        self.exact.reserve_only(&fresh.exact);
    }

    fn apply(&self, key: &store::Key, value: Option<&[u8]>) {
        let (function, version) = match Place::of(key) {
            Some(Place::FunctionHead(account, name)) => ((account, name), VersionId::Latest),
            Some(Place::FunctionVersion(account, name, number)) => {
                ((account, name), VersionId::Published(number))
            }
            Some(Place::FunctionSettings(account, name)) => {
                return self.set((account, name), key, value);
            }
            Some(
                Place::Installation
                | Place::Credential(_)
                | Place::AccountLimits(_)
                | Place::ProvisionedConfig(..)
                | Place::ProvisionedSet(..)
                | Place::Ring(_)
                | Place::Lease(_),
            )
            | None => return,
        };
        let callable = match value.map(record::decode::<FunctionConfig>).transpose() {
            Ok(config) => config.map(|config| self.callable(config)),
            Err(error) => {
                return tracing::error!(key = key.as_str(), %error, "a record is unreadable");
            }
        };
        let mut functions = write(&self.functions);
        let versions = functions.entry(function.clone()).or_default();
        match callable {
            Some(callable) => {
                versions.insert(version, callable);
            }
            None => {
                versions.remove(&version);
            }
        }
        if versions.is_empty() {
            functions.remove(&function);
        }
    }

    fn set(&self, function: (AccountId, FunctionName), key: &store::Key, value: Option<&[u8]>) {
        let settings = match value.map(record::decode::<FunctionSettings>).transpose() {
            Ok(settings) => settings.unwrap_or_default(),
            Err(error) => {
                return tracing::error!(key = key.as_str(), %error, "a record is unreadable");
            }
        };
        self.exact.reserve(&function, settings.reserved.is_some());
        let mut affinities = write(&self.affinities);
        match settings.affinity {
            Some(affinity) => affinities.insert(function, affinity),
            None => affinities.remove(&function),
        };
    }

    fn callable(&self, config: FunctionConfig) -> Arc<Callable> {
        let key = Arc::new(PoolKey::of(&config));
        let arn = arn::function_arn(&self.region, config.account, &config.name).into();
        let hash = key.hash();
        let provisioned = match config.version {
            VersionId::Latest => None,
            VersionId::Published(_) => {
                let key = Arc::new(PoolKey::provisioned(&config));
                let hash = key.hash();
                Some((key, hash))
            }
        };
        let (config, meter) = (Arc::new(config), OnceLock::new());
        Arc::new(Callable { config, key, hash, provisioned, arn, meter })
    }
}
