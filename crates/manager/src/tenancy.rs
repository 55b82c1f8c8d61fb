//! What the stored settings of `PER_TENANT` functions mean to the book and the
//! counter: rules at the cap, a limit for each tenant, and a stock of generic
//! environments of the current code. Heads and settings come in any order. The
//! choices are `decide`'s.

use std::{collections::BTreeMap, sync::Arc};

use decide::book::{Input, Target, TenantRules};
use model::{
    AccountId, Epoch, FunctionConfig, FunctionName, PoolKey, Tenancy, function::FunctionSettings,
    limits, tenancy,
};

use crate::owner::Owner;

type Of = (AccountId, FunctionName);

#[derive(Debug, Default)]
pub(crate) struct Tenancies {
    /// `$LATEST` of functions that are divided among tenants.
    heads: BTreeMap<Of, Arc<FunctionConfig>>,
    /// What was set for any function, and is not what holds anyway.
    settings: BTreeMap<Of, (Tenancy, Option<u32>)>,
    epoch: Epoch,
}

impl Owner {
    /// The code or configuration of `$LATEST` is this now: stock is made of it. That
    /// of before leaves with the other environments of before.
    pub(crate) fn tenancy_of_head(&mut self, config: Box<FunctionConfig>) {
        if config.per_tenant {
            let of = (config.account, config.name.clone());
            self.tenancies.heads.insert(of.clone(), Arc::from(config));
            self.divide(of);
        }
    }

    pub(crate) fn tenancy_of_settings(
        &mut self,
        account: AccountId,
        function: &FunctionName,
        settings: &FunctionSettings,
    ) {
        let of = (account, function.clone());
        let set = (settings.tenancy, settings.reserved);
        let before = if set == <(Tenancy, Option<u32>)>::default() {
            self.tenancies.settings.remove(&of)
        } else {
            self.tenancies.settings.insert(of.clone(), set)
        };
        if before.unwrap_or_default() != set {
            self.divide(of);
        }
    }

    pub(crate) fn forget_tenancy(&mut self, account: AccountId, function: &FunctionName) {
        let of = (account, function.clone());
        self.tenancies.heads.remove(&of);
        self.tenancies.settings.remove(&of);
    }

    fn divide(&mut self, of: Of) {
        let Some(head) = self.tenancies.heads.get(&of).cloned() else { return };
        let (set, reserved) = self.tenancies.settings.get(&of).copied().unwrap_or_default();
        let (account, function) = of;
        let concurrency = reserved.unwrap_or(limits::ACCOUNT_CONCURRENCY_DEFAULT);
        let now = self.clock.now();
        self.counter.limit_tenants(now, account, &function, set.tenant_concurrency);
        self.tell(Input::TenantRules(TenantRules {
            account,
            function,
            at_cap: set.at_cap,
            environments_max: tenancy::environments_max(concurrency),
        }));
        self.stock(head, set.stock);
    }

    fn stock(&mut self, head: Arc<FunctionConfig>, share: u32) {
        let key = Arc::new(PoolKey::of(&head));
        let hash = key.hash();
        if share == 0 && !self.configs.contains_key(&hash) {
            return;
        }
        self.configs.insert(hash, head);
        self.tenancies.epoch = self.tenancies.epoch.next();
        let epoch = self.tenancies.epoch;
        self.tell(Input::SetTarget(Target { key, hash, share, epoch }));
    }
}
