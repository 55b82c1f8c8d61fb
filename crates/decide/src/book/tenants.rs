//! Environments of `PER_TENANT` functions (A9). Invariant: a generic environment
//! becomes one tenant's before its first call and is never generic again (I3), and
//! the counts here are the numbers of starts and of environments that do not leave.
//!
//! ```text
//!   Generic (ready, never called) ──bind──▶ Bound(tenant) ──▶ gone
//!                                              ▲
//!   start of a tenant's own ───────────────────┘
//! ```
//!
//! A call takes its tenant's idle environment, else a generic one, which is bound,
//! else one is made. Bound ones are counted for each function; at the most that
//! there may be, another tenant's longest idle one ends, or the call is refused.

use alloc::{collections::BTreeMap, sync::Arc};

use model::{
    AccountId, AtCap, Class, FunctionName, KeyHash, Now, PoolKey, Reason, Span, check_invariant,
    invariant, limits, tenancy,
};

use super::{
    Book,
    envs::Seat,
    message::{Output, Outputs, TenantRules},
    turns::Waited,
};
use crate::fact::{Fact, RetireWhy};

/// When a call that was refused at the cap may come again: unknown, so soon.
const CAP_RETRY: Span = Span::secs(1);

/// What holds where nothing was said of a function.
const DEFAULT: (AtCap, u32) =
    (AtCap::Evict, tenancy::environments_max(limits::ACCOUNT_CONCURRENCY_DEFAULT));

#[derive(Debug, Default)]
pub(super) struct Tenants {
    functions: BTreeMap<AccountId, BTreeMap<FunctionName, Family>>,
}

/// The environments of one function that are bound to tenants.
#[derive(Debug, Default)]
struct Family {
    rules: Option<(AtCap, u32)>,
    environments: u32,
    /// By pool; none is zero.
    pools: BTreeMap<KeyHash, u32>,
}

impl Tenants {
    pub(super) fn rule(&mut self, rules: TenantRules) {
        let TenantRules { account, function, at_cap, environments_max } = rules;
        let family = self.functions.entry(account).or_default().entry(function).or_default();
        family.rules = Some((at_cap, environments_max));
    }

    /// The function is no more; its rules go with its last environment at the latest.
    pub(super) fn forget(&mut self, account: AccountId, function: &FunctionName) {
        let Some(functions) = self.functions.get_mut(&account) else { return };
        let Some(family) = functions.get_mut(function) else { return };
        family.rules = None;
        if family.environments == 0 {
            functions.remove(function);
        }
        if functions.is_empty() {
            self.functions.remove(&account);
        }
    }

    /// One more start or environment of the key.
    pub(super) fn came(&mut self, hash: KeyHash, key: &PoolKey) {
        if key.tenant.is_none() {
            return;
        }
        let functions = self.functions.entry(key.account).or_default();
        if !functions.contains_key(&key.function) {
            functions.insert(key.function.clone(), Family::default());
        }
        let Some(family) = functions.get_mut(&key.function) else { return };
        family.environments += 1;
        *family.pools.entry(hash).or_insert(0) += 1;
    }

    /// One less: it leaves, is gone, or came to nothing.
    pub(super) fn left(&mut self, hash: KeyHash, key: &PoolKey) {
        if key.tenant.is_none() {
            return;
        }
        let Some(functions) = self.functions.get_mut(&key.account) else { return };
        let Some(family) = functions.get_mut(&key.function) else { return };
        let count = family.pools.get_mut(&hash);
        check_invariant!(
            invariant::I3,
            count.is_some(),
            "a tenant's pool {hash:?} was not counted"
        );
        let Some(count) = count else { return };
        *count -= 1;
        if *count == 0 {
            family.pools.remove(&hash);
        }
        family.environments -= 1;
        if family.environments == 0 && family.rules.is_none() {
            functions.remove(&key.function);
        }
    }

    pub(super) fn environments(&self, account: AccountId, function: &FunctionName) -> u32 {
        let family = self.functions.get(&account).and_then(|of| of.get(function));
        family.map_or(0, |family| family.environments)
    }

    fn family(&self, key: &PoolKey) -> Option<&Family> {
        self.functions.get(&key.account)?.get(&key.function)
    }
}

impl Family {
    fn rules(&self) -> (AtCap, u32) {
        self.rules.unwrap_or(DEFAULT)
    }
}

impl Book {
    /// A generic environment for a tenant that has none idle: bound now, and nobody's
    /// until the caller grants it. None where there is no such environment.
    pub(super) fn take_generic(
        &mut self,
        hash: KeyHash,
        key: &Arc<PoolKey>,
        now: Now,
        out: &mut Outputs,
    ) -> Result<Option<Seat>, (Reason, Span)> {
        let Some(generic) = key.generic_hash() else { return Ok(None) };
        let Some(pool) = self.pools.get(generic).filter(|pool| pool.key.may_become(key)) else {
            return Ok(None);
        };
        let Some(seat) = pool.shelf.first() else { return Ok(None) };
        if self.envs.get(seat).is_none_or(|entry| entry.served) {
            return Ok(None);
        }
        self.make_tenant_room(now, key, out)?;
        self.bind(now, seat, (hash, key), out);
        Ok(Some(seat))
    }

    /// The one-way change of a generic environment into one of a tenant.
    fn bind(&mut self, now: Now, seat: Seat, key: (KeyHash, &Arc<PoolKey>), out: &mut Outputs) {
        let (to, key) = key;
        let Some(entry) = self.envs.get(seat) else { return };
        let (env, from) = (entry.env, entry.key);
        let Some(pool) = self.pools.get_mut(from) else { return };
        let legal = pool.key.may_become(key);
        check_invariant!(invariant::I3, legal, "environment {env} from {from:?} to {to:?}");
        self.envs.between(seat, &mut pool.shelf);
        self.envs.rekey(seat, to, key.class == Class::Provisioned);
        self.pools.open(to, key);
        self.tenants.came(to, key);
        // What was stock is to be made again; what is provisioned stays so.
        self.targets.touch(from);
        self.targets.found(now, to, key);
        self.pools.close_if_empty(from);
        out.push(Output::Fact(Fact::Bound { env, from, to }));
    }

    /// One more environment of a tenant may come into being; where there are as many
    /// as may be, the one of another tenant that has been idle longest ends.
    pub(super) fn make_tenant_room(
        &mut self,
        now: Now,
        key: &PoolKey,
        out: &mut Outputs,
    ) -> Result<(), (Reason, Span)> {
        let Some(family) = self.tenants.family(key).filter(|_| key.tenant.is_some()) else {
            return Ok(());
        };
        let (at_cap, max) = family.rules();
        if family.environments < max {
            return Ok(());
        }
        let refusal = Err((Reason::TenantEnvironmentLimitExceeded, CAP_RETRY));
        match at_cap {
            AtCap::Refuse => refusal,
            AtCap::Evict => {
                let Some((since, seat)) = self.longest_idle_of_others(family, key) else {
                    return refusal;
                };
                self.retire(seat, RetireWhy::TenantCap, now.since(since), out);
                Ok(())
            }
        }
    }

    fn longest_idle_of_others(&self, family: &Family, key: &PoolKey) -> Option<(Now, Seat)> {
        let of_others = family.pools.keys().filter_map(|hash| self.pools.get(*hash));
        let of_others = of_others.filter(|pool| pool.key.tenant != key.tenant);
        let last = of_others.filter_map(|pool| pool.shelf.last());
        last.filter_map(|seat| Some((self.envs.idle_since(seat)?, seat))).min()
    }

    /// A generic environment is free while calls of tenants wait for theirs: the
    /// oldest of them gets it. False where there is none.
    pub(super) fn bind_to_waiting(
        &mut self,
        now: Now,
        seat: Seat,
        fresh: bool,
        out: &mut Outputs,
    ) -> bool {
        let Some((to, key)) = self.longest_waiting_tenant(seat) else { return false };
        self.bind(now, seat, (to, &key), out);
        let Some(pool) = self.pools.get_mut(to) else { return true };
        let Some(ticket) = pool.queue.pop_front() else { return true };
        let Some(waiter) = self.waiting.remove(ticket) else { return true };
        let waited = Waited { time: now.since(waiter.since), for_init: fresh };
        self.grant(now, seat, ticket, waited, out);
        self.drop_spare_starts(to, out);
        true
    }

    fn longest_waiting_tenant(&self, seat: Seat) -> Option<(KeyHash, Arc<PoolKey>)> {
        let entry = self.envs.get(seat).filter(|entry| !entry.served && !entry.unwanted)?;
        let from = &self.pools.get(entry.key)?.key;
        let family = self.tenants.family(from).filter(|f| f.environments < f.rules().1)?;
        let waiting = family.pools.keys().filter_map(|hash| {
            let pool = self.pools.get(*hash)?;
            let since = self.waiting.get(*pool.queue.front()?)?.since;
            let its = pool.key.generic_hash() == Some(entry.key);
            its.then_some((since, *hash, &pool.key))
        });
        let (_, hash, key) = waiting.min_by_key(|(since, hash, _)| (*since, *hash))?;
        Some((hash, Arc::clone(key)))
    }

    /// The worker says whose an environment is. True where the book agrees, or had it
    /// as generic and does now.
    pub(super) fn learn_tenant(
        &mut self,
        now: Now,
        seat: Seat,
        said: &Arc<PoolKey>,
        out: &mut Outputs,
    ) -> bool {
        let Some(pool) = self.envs.get(seat).and_then(|entry| self.pools.get(entry.key)) else {
            return false;
        };
        // Its first call is on the way: the worker learns by it.
        if pool.key == *said || said.may_become(&pool.key) {
            return true;
        }
        let idle = self.envs.idle_since(seat).is_some();
        if !idle || said.tenant.is_none() || !pool.key.may_become(said) {
            return false;
        }
        self.bind(now, seat, (said.hash(), said), out);
        self.settle(now, seat, false, out);
        true
    }
}
