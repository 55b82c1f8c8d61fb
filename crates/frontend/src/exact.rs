//! Functions whose calls are counted one by one, however large their account: what is
//! reserved or provisioned for a function is exact, and so are the limits of tenants.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{PoisonError, RwLock, RwLockWriteGuard},
};

use model::{AccountId, FunctionName, KeyHash, TenantId};

use crate::view::Callable;

type Of = (AccountId, FunctionName);

#[derive(Debug, Default)]
pub(crate) struct Exact(RwLock<Known>);

#[derive(Debug, Default)]
struct Known {
    functions: HashMap<Of, Why>,
    /// Whose each provisioned set is.
    sets: BTreeMap<KeyHash, Of>,
}

#[derive(Debug, Default)]
struct Why {
    reserved: bool,
    sets: BTreeSet<KeyHash>,
}

impl Exact {
    pub(crate) fn holds(&self, callable: &Callable, tenant: Option<&TenantId>) -> bool {
        if tenant.is_some() || callable.config.per_tenant {
            return true;
        }
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        // The common case costs no key.
        !known.functions.is_empty() && known.functions.contains_key(&callable.function())
    }

    pub(crate) fn reserve(&self, of: &Of, reserved: bool) {
        self.amend(|known| {
            known.functions.entry(of.clone()).or_default().reserved = reserved;
            known.settle(of);
        });
    }

    /// What is reserved is what the fresh one knows, and no more.
    pub(crate) fn reserve_only(&self, fresh: &Exact) {
        let mut fresh = std::mem::take(&mut *write(&fresh.0)).functions;
        self.amend(|known| {
            known.functions.retain(|of, why| {
                why.reserved = fresh.remove(of).is_some_and(|why| why.reserved);
                why.reserved || !why.sets.is_empty()
            });
            known.functions.extend(fresh);
        });
    }

    pub(crate) fn learn_set(&self, of: Of, set: KeyHash) {
        self.amend(|known| {
            known.functions.entry(of.clone()).or_default().sets.insert(set);
            known.sets.insert(set, of);
        });
    }

    pub(crate) fn forget_set(&self, set: KeyHash) {
        self.amend(|known| known.forget_set(set));
    }

    pub(crate) fn keep_sets(&self, kept: &BTreeSet<KeyHash>) {
        self.amend(|known| {
            let gone: Vec<KeyHash> =
                known.sets.keys().filter(|set| !kept.contains(set)).copied().collect();
            for set in gone {
                known.forget_set(set);
            }
        });
    }

    fn amend(&self, amend: impl FnOnce(&mut Known)) {
        amend(&mut write(&self.0));
    }
}

fn write(known: &RwLock<Known>) -> RwLockWriteGuard<'_, Known> {
    known.write().unwrap_or_else(PoisonError::into_inner)
}

impl Known {
    fn forget_set(&mut self, set: KeyHash) {
        let Some(of) = self.sets.remove(&set) else { return };
        if let Some(why) = self.functions.get_mut(&of) {
            why.sets.remove(&set);
        }
        self.settle(&of);
    }

    /// Functions without a reason are not remembered.
    fn settle(&mut self, of: &Of) {
        if self.functions.get(of).is_some_and(|why| !why.reserved && why.sets.is_empty()) {
            self.functions.remove(of);
        }
    }
}
