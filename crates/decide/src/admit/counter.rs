//! The counter of the accounts of one shard: peek, take, give back. It is the
//! authority on limits, and it answers each refusal with exactly one reason (I27).
//!
//! ```text
//!   asked ──▶ function cap or unreserved pool ──▶ tenant limit ──▶ rate ──▶ lease
//!     └──────────────── Refusal { reason, retry_after } ◀──────────┘
//!   lease ──▶ given back | its holder's heartbeat stopped
//! ```

use alloc::collections::BTreeMap;

use model::{
    AccountId, FrontendId, FunctionName, LeaseId, Now, Reason, Span, TenantId, VersionId, limits,
};

use super::{
    account::{Account, AccountLimits, Call, Claimed, ReserveError},
    leases::{Held, Leases},
};

/// One call that wants to run.
#[derive(Clone, Copy, Debug)]
pub struct Ask<'a> {
    pub account: AccountId,
    pub function: &'a FunctionName,
    pub version: VersionId,
    pub tenant: Option<&'a TenantId>,
    pub holder: FrontendId,
}

/// A concurrency lease, and what is in flight with it, this call included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Admitted {
    pub lease: LeaseId,
    pub in_function: u32,
    pub in_account: u32,
    pub in_version: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    pub reason: Reason,
    /// Time until asking again may help; `Span(u64::MAX)`: not by waiting.
    pub retry_after: Span,
}

#[derive(Debug)]
pub struct Counter {
    defaults: AccountLimits,
    accounts: BTreeMap<AccountId, Account>,
    leases: Leases,
}

impl Default for Counter {
    fn default() -> Counter {
        Counter::new(AccountLimits::default(), limits::CONCURRENCY_LEASE_TTL)
    }
}

impl Counter {
    /// `defaults` hold for accounts of which nothing else was said.
    pub fn new(defaults: AccountLimits, lease_ttl: Span) -> Counter {
        Counter { defaults, accounts: BTreeMap::new(), leases: Leases::new(lease_ttl) }
    }

    /// Step 4 of the order of admission: what `take` would refuse now.
    pub fn peek(&self, now: Now, ask: &Ask<'_>) -> Result<(), Refusal> {
        match self.accounts.get(&ask.account) {
            Some(account) => account.check(now, ask.call()).map_err(Refusal::from),
            None if self.defaults.concurrency == 0 => {
                Account::new(self.defaults).check(now, ask.call()).map_err(Refusal::from)
            }
            None => Ok(()),
        }
    }

    /// Steps 7 and 8: a concurrency lease and one token of the rate, or neither.
    pub fn take(&mut self, now: Now, ask: &Ask<'_>) -> Result<Admitted, Refusal> {
        let account = self.account(ask.account);
        account.check(now, ask.call())?;
        let counts = account.enter(now, ask.call());
        let lease = self.leases.take(now, ask.held());
        Ok(Admitted {
            lease,
            in_function: counts.function,
            in_account: counts.account,
            in_version: counts.version,
        })
    }

    /// False where the lease had ended already.
    pub fn give_back(&mut self, lease: LeaseId) -> bool {
        let held = self.leases.give_back(lease);
        if let Some(held) = &held {
            self.leave(held);
        }
        held.is_some()
    }

    /// A holder lives: all of its leases last for another TTL.
    pub fn renew(&mut self, now: Now, holder: FrontendId) {
        self.leases.renew(now, holder);
    }

    /// Ends the leases of holders that gave no sign of life; how many (I4).
    pub fn expire(&mut self, now: Now) -> usize {
        let ended = self.leases.expire(now);
        for held in &ended {
            self.leave(held);
        }
        ended.len()
    }

    /// When `expire` is due.
    pub fn deadline(&self) -> Option<Now> {
        self.leases.next_expiry()
    }

    pub fn set_limits(&mut self, now: Now, account: AccountId, limits: AccountLimits) {
        self.account(account).set_limits(now, limits);
    }

    pub fn reserve(
        &mut self,
        now: Now,
        account: AccountId,
        function: &FunctionName,
        reserved: Option<u32>,
    ) -> Result<(), ReserveError> {
        self.account(account).reserve(now, function, reserved)
    }

    pub fn provision(
        &mut self,
        now: Now,
        account: AccountId,
        function: &FunctionName,
        provisioned: u32,
    ) {
        self.account(account).provision(now, function, provisioned);
    }

    /// A function was deleted: its reservation is free again.
    pub fn forget_function(&mut self, account: AccountId, function: &FunctionName) {
        self.account(account).forget_function(function);
    }

    pub fn claimed(&self, account: AccountId) -> Claimed {
        self.accounts.get(&account).map(Account::claimed).unwrap_or_default()
    }

    pub fn in_flight(&self, account: AccountId, function: &FunctionName) -> u32 {
        self.accounts.get(&account).map_or(0, |a| a.in_flight(function))
    }

    pub fn leases(&self) -> usize {
        self.leases.len()
    }

    fn account(&mut self, id: AccountId) -> &mut Account {
        let defaults = self.defaults;
        self.accounts.entry(id).or_insert_with(|| Account::new(defaults))
    }

    fn leave(&mut self, held: &Held) {
        let call =
            Call { function: &held.function, version: held.version, tenant: held.tenant.as_ref() };
        if let Some(account) = self.accounts.get_mut(&held.account) {
            account.leave(call);
        }
    }
}

impl<'a> Ask<'a> {
    fn call(&self) -> Call<'a> {
        Call { function: self.function, version: self.version, tenant: self.tenant }
    }

    fn held(&self) -> Held {
        Held {
            account: self.account,
            function: self.function.clone(),
            version: self.version,
            tenant: self.tenant.cloned(),
            holder: self.holder,
        }
    }
}

impl From<(Reason, Span)> for Refusal {
    fn from((reason, retry_after): (Reason, Span)) -> Refusal {
        Refusal { reason, retry_after }
    }
}
