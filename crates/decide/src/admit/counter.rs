//! The counter of the accounts of one shard: peek, take, give back. It is the
//! authority on limits, and it answers each refusal with exactly one reason (I27).
//!
//! ```text
//!   asked ──▶ function cap or unreserved pool ──▶ tenant limit ──▶ rate ──▶ lease
//!     └──────────────── Denied { reason, retry_after } ◀───────────┘
//!   lease ──▶ given back | its holder's heartbeat stopped
//! ```

use alloc::collections::BTreeSet;

use model::{
    AccountId, Denied, FrontendId, FunctionName, LeaseId, Now, ProvisionedCharge, Span, TenantId,
    VersionId, limits,
};

use super::{
    account::{Account, AccountLimits, Call, Claimed, ReserveError},
    blocks::Loans,
    leases::{Held, Leases},
};
use crate::table::{Lined, Table};

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
    /// What the account may have in flight at all.
    pub limit_max: u32,
}

#[derive(Debug)]
pub struct Counter {
    defaults: AccountLimits,
    accounts: Table<AccountId, Account, Lined>,
    leases: Leases,
    pub(super) loans: Loans,
}

impl Default for Counter {
    fn default() -> Counter {
        Counter::new(AccountLimits::default(), limits::CONCURRENCY_LEASE_TTL)
    }
}

impl Counter {
    /// `defaults` hold for accounts of which nothing else was said.
    pub fn new(defaults: AccountLimits, lease_ttl: Span) -> Counter {
        Counter {
            defaults,
            accounts: Table::default(),
            leases: Leases::new(lease_ttl),
            loans: Loans::new(lease_ttl),
        }
    }

    /// Numbers its leases from here on. After a restart, above those of the life before:
    /// what comes back late then ends nobody else's lease.
    pub fn counting_from(mut self, first: u64) -> Counter {
        self.leases.count_from(first);
        self
    }

    /// Step 4 of the order of admission: what `take` would refuse now.
    pub fn peek(&self, now: Now, ask: &Ask<'_>) -> Result<(), Denied> {
        match self.accounts.get(&ask.account) {
            Some(account) => account.check(now, ask.call()),
            None if self.defaults.concurrency == 0 => {
                Account::new(self.defaults).check(now, ask.call())
            }
            None => Ok(()),
        }
    }

    /// Steps 7 and 8: a concurrency lease and one token of the rate, or neither.
    pub fn take(&mut self, now: Now, ask: &Ask<'_>) -> Result<Admitted, Denied> {
        let account = self.account(ask.account);
        account.check(now, ask.call())?;
        let counts = account.enter(now, ask.call());
        let lease = self.leases.take(now, ask.held(now));
        Ok(Admitted {
            lease,
            in_function: counts.function,
            in_account: counts.account,
            in_version: counts.version,
            limit_max: counts.limit_max,
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

    /// A holder that lives says which leases it holds; how many others of it ended that
    /// were taken a TTL ago: those it gave back by a note that was lost, or held in a
    /// life before this one (I4).
    pub fn reconcile(&mut self, now: Now, holder: FrontendId, held: &BTreeSet<LeaseId>) -> usize {
        let ended = self.leases.reconcile(now, holder, held);
        for held in &ended {
            self.leave(held);
        }
        ended.len()
    }

    /// Ends the leases of holders that gave no sign of life, and their blocks; how many
    /// of both (I4).
    pub fn expire(&mut self, now: Now) -> usize {
        let ended = self.leases.expire(now);
        for held in &ended {
            self.leave(held);
        }
        ended.len() + self.expire_loans(now)
    }

    /// When `expire` is due.
    pub fn deadline(&self) -> Option<Now> {
        [self.leases.next_expiry(), self.loans.next_expiry()].into_iter().flatten().min()
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
        version: VersionId,
        charge: ProvisionedCharge,
    ) {
        self.account(account).provision(now, function, version, charge);
    }

    /// Calls of each tenant of a function at a time; `None`: the account's limit for
    /// all of its functions, where it has one (A9).
    pub fn limit_tenants(
        &mut self,
        now: Now,
        account: AccountId,
        function: &FunctionName,
        limit: Option<u32>,
    ) {
        self.account(account).limit_tenants(now, function, limit);
    }

    /// A function was deleted: its reservation is free again.
    pub fn forget_function(&mut self, account: AccountId, function: &FunctionName) {
        self.account(account).forget_function(function);
    }

    pub fn claimed(&self, account: AccountId) -> Claimed {
        self.accounts.get(&account).map(Account::claimed).unwrap_or_default()
    }

    /// Of each account that was ever spoken of: calls in flight, lent slots included, and
    /// what its concurrency is taken by.
    pub fn accounts(&self) -> impl Iterator<Item = (AccountId, u32, Claimed)> {
        self.accounts.iter().map(|(id, account)| (*id, account.in_use(), account.claimed()))
    }

    pub fn in_flight(&self, account: AccountId, function: &FunctionName) -> u32 {
        self.accounts.get(&account).map_or(0, |a| a.in_flight(function))
    }

    pub fn leases(&self) -> usize {
        self.leases.len()
    }

    pub(super) fn account(&mut self, id: AccountId) -> &mut Account {
        let defaults = self.defaults;
        self.accounts.get_or_insert(&id, || Account::new(defaults))
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

    fn held(&self, now: Now) -> Held {
        Held {
            account: self.account,
            function: self.function.clone(),
            version: self.version,
            tenant: self.tenant.cloned(),
            holder: self.holder,
            since: now,
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use model::Reason;

    use super::*;

    const VERSION: VersionId = VersionId::Latest;

    fn account() -> AccountId {
        AccountId::parse("000000000001").unwrap()
    }

    fn name(text: &str) -> FunctionName {
        FunctionName::parse(text).unwrap()
    }

    fn counter(concurrency: u32) -> Counter {
        let defaults = AccountLimits { concurrency, tenant: None };
        Counter::new(defaults, limits::CONCURRENCY_LEASE_TTL)
    }

    fn ask<'a>(function: &'a FunctionName, holder: u64) -> Ask<'a> {
        let holder = FrontendId(holder);
        Ask { account: account(), function, version: VERSION, tenant: None, holder }
    }

    /// Takes until refused: how many, and the refusal.
    fn fill(counter: &mut Counter, now: Now, function: &str) -> (usize, Denied) {
        let function = name(function);
        let mut taken = 0;
        loop {
            let peeked = counter.peek(now, &ask(&function, 1));
            match counter.take(now, &ask(&function, 1)) {
                Ok(_) => taken += 1,
                Err(refusal) => {
                    assert_eq!(peeked, Err(refusal), "peek says what take says");
                    return (taken, refusal);
                }
            }
            assert_eq!(peeked, Ok(()));
        }
    }

    #[test]
    fn a6_1_the_hundred_and_first_is_refused_for_concurrency() {
        let (taken, refusal) = fill(&mut counter(100), Now(0), "f");
        assert_eq!(taken, 100);
        assert_eq!(refusal.reason, Reason::ConcurrentInvocationLimitExceeded);
        assert!(refusal.retry_after > Span::ZERO && refusal.retry_after < Span::secs(60));
    }

    #[test]
    fn a6_6_reserved_zero_is_refused_and_touches_nothing() {
        let mut counter = counter(1_000);
        counter.reserve(Now(0), account(), &name("f"), Some(0)).unwrap();
        let (taken, refusal) = fill(&mut counter, Now(0), "f");
        let reason = Reason::ReservedFunctionConcurrentInvocationLimitExceeded;
        assert_eq!((taken, refusal.reason), (0, reason));
        assert_eq!((counter.leases(), counter.claimed(account()).total()), (0, 0));
    }

    #[test]
    fn i4_a_lease_whose_return_was_lost_ends_while_its_holder_lives() {
        let mut counter = counter(1_000).counting_from(77);
        let f = name("f");
        let take = |counter: &mut Counter, at| {
            counter.take(Now(0) + Span::secs(at), &ask(&f, 1)).unwrap().lease
        };
        let (kept, lost) = (take(&mut counter, 0), take(&mut counter, 0));
        let late = take(&mut counter, 10);
        let other = counter.take(Now(0), &ask(&f, 2)).unwrap().lease;
        let held = BTreeSet::from([kept]);
        let reconcile = |counter: &mut Counter, at| {
            counter.renew(Now(0) + Span::secs(at), FrontendId(1));
            counter.reconcile(Now(0) + Span::secs(at), FrontendId(1), &held)
        };
        assert_eq!(reconcile(&mut counter, 14), 0, "an answer may still be on the way");
        assert_eq!(reconcile(&mut counter, 15), 1);
        assert_eq!(reconcile(&mut counter, 24), 0);
        assert_eq!(reconcile(&mut counter, 25), 1, "the one of ten seconds later");
        for (lease, open) in [(kept, true), (lost, false), (late, false), (other, true)] {
            assert_eq!(counter.give_back(lease), open);
        }
        assert_eq!(counter.in_flight(account(), &f), 0);
        assert!([kept, lost, late, other].iter().all(|lease| lease.0 >> 24 > 77));
    }

    #[test]
    fn a6_6_a_hundred_stay_unreserved() {
        let mut counter = counter(1_000);
        let mut reserve = |f, n| counter.reserve(Now(0), account(), &name(f), n);
        assert_eq!(reserve("f", Some(900)), Ok(()));
        assert_eq!(reserve("g", Some(1)), Err(ReserveError { would_leave: 99 }));
        assert_eq!(reserve("f", Some(901)), Err(ReserveError { would_leave: 99 }));
        assert_eq!(reserve("f", Some(400)), Ok(()));
        assert_eq!(reserve("g", Some(500)), Ok(()));
        assert_eq!(reserve("f", None), Ok(()));
        assert_eq!(reserve("h", Some(400)), Ok(()));
    }

    #[test]
    fn a_reservation_is_a_cap_and_a_guarantee() {
        let mut counter = counter(1_000);
        counter.reserve(Now(0), account(), &name("kept"), Some(200)).unwrap();
        let (others, refusal) = fill(&mut counter, Now(0), "flood");
        assert_eq!(others, 800);
        assert_eq!(refusal.reason, Reason::ConcurrentInvocationLimitExceeded);
        let (kept, refusal) = fill(&mut counter, Now(0), "kept");
        assert_eq!(kept, 200);
        let reason = Reason::ReservedFunctionConcurrentInvocationLimitExceeded;
        assert_eq!(refusal.reason, reason);
    }

    #[test]
    fn rates_have_their_own_reasons() {
        let cases = [
            (None, 1_000, Reason::FunctionInvocationRateLimitExceeded),
            (Some(10), 100, Reason::ReservedFunctionInvocationRateLimitExceeded),
        ];
        for (reserved, allowed, reason) in cases {
            let mut counter = counter(if reserved.is_some() { 1_000 } else { 100 });
            counter.reserve(Now(0), account(), &name("f"), reserved).unwrap();
            let function = name("f");
            let mut through = 0;
            let refusal = loop {
                match counter.take(Now(0), &ask(&function, 1)) {
                    Ok(admitted) => through += u32::from(counter.give_back(admitted.lease)),
                    Err(refusal) => break refusal,
                }
            };
            assert_eq!((through, refusal.reason), (allowed, reason));
            let later = Now(0) + refusal.retry_after;
            assert!(counter.take(later, &ask(&function, 1)).is_ok(), "retry_after is enough");
        }
    }

    fn charged(limit: u32) -> ProvisionedCharge {
        ProvisionedCharge { limit, charged: limit }
    }

    /// Ten a second for each paid unit, of calls that are within what is paid; a burst
    /// above it is on-demand, and limited as that (A1.3).
    #[test]
    fn paid_units_take_ten_calls_a_second_each() {
        let mut counter = counter(1_000);
        let (f, paid) = (name("f"), VersionId::Published(1));
        let of = |version| Ask { version, ..ask(&f, 1) };
        counter.provision(Now(0), account(), &f, paid, charged(2));
        // One after the other, always within the two.
        let one = |counter: &mut Counter, now, version| {
            let taken = counter.take(now, &of(version)).map(|admitted| admitted.lease);
            taken.map(|lease| counter.give_back(lease))
        };
        assert!((0..20).all(|_| one(&mut counter, Now(0), paid).is_ok()));
        let refused = one(&mut counter, Now(0), paid).unwrap_err();
        assert_eq!(refused.reason, Reason::FunctionInvocationRateLimitExceeded);
        assert_eq!(refused.retry_after, Span::millis(50));
        assert!(one(&mut counter, Now(0), VERSION).is_ok(), "its own versions alone");
        let later = Now(0) + refused.retry_after;
        assert!(one(&mut counter, later, paid).is_ok(), "retry_after is enough");
        // At once: two within, all others beside the set.
        let second = Now(0) + Span::secs(1);
        assert!((0..200).all(|_| counter.take(second, &of(paid)).is_ok()));
        // Deleted: no rate of its own any more, though it drains.
        let draining = ProvisionedCharge { limit: 0, charged: 2 };
        let mut drained = super::tests::counter(1_000);
        drained.provision(Now(0), account(), &f, paid, charged(1));
        drained.provision(Now(0), account(), &f, paid, draining);
        assert!((0..50).all(|_| one(&mut drained, Now(0), paid).is_ok()));
    }

    #[test]
    fn a1_4_provisioned_units_are_kept_from_others_and_counted_once() {
        let mut counter = counter(100);
        counter.provision(Now(0), account(), &name("paid"), VERSION, charged(10));
        assert_eq!(counter.claimed(account()).total(), 10);
        let (others, _) = fill(&mut counter, Now(0), "flood");
        assert_eq!(others, 90);
        let (paid, _) = fill(&mut counter, Now(0), "paid");
        assert_eq!(paid, 10);
        let claimed = counter.claimed(account());
        assert_eq!((claimed.unreserved_in_flight, claimed.total()), (100, 100));
        // Inside a reservation they are counted already.
        let mut reserved = super::tests::counter(1_000);
        reserved.reserve(Now(0), account(), &name("f"), Some(50)).unwrap();
        reserved.provision(Now(0), account(), &name("f"), VERSION, charged(20));
        assert_eq!(reserved.claimed(account()).total(), 50);
    }

    #[test]
    fn a1_7_leases_die_with_their_frontend() {
        let mut counter = counter(1_000);
        let function = name("f");
        let taken: Vec<_> = (0..50).map(|_| counter.take(Now(0), &ask(&function, 1))).collect();
        counter.take(Now(0), &ask(&function, 2)).unwrap();
        let ttl = limits::CONCURRENCY_LEASE_TTL;
        counter.renew(Now(0) + Span::secs(10), FrontendId(2));
        assert_eq!(counter.expire(Now(0) + Span::secs(14)), 0);
        assert_eq!(counter.deadline(), Some(Now(0) + ttl));
        assert_eq!(counter.expire(Now(0) + ttl), 50);
        assert_eq!(counter.in_flight(account(), &function), 1);
        assert!(taken.iter().flatten().all(|admitted| !counter.give_back(admitted.lease)));
        assert_eq!(counter.in_flight(account(), &function), 1);
        assert_eq!(counter.expire(Now(0) + Span::secs(26)), 1);
        assert_eq!((counter.leases(), counter.deadline()), (0, None));
    }

    #[test]
    fn a_tenant_limit_has_its_own_reason() {
        let mut counter = Counter::new(
            AccountLimits { concurrency: 100, tenant: Some(2) },
            limits::CONCURRENCY_LEASE_TTL,
        );
        let function = name("f");
        let tenants = [TenantId::parse("a").unwrap(), TenantId::parse("b").unwrap()];
        let of = |tenant| Ask { tenant: Some(tenant), ..ask(&function, 1) };
        let first = counter.take(Now(0), &of(&tenants[0])).unwrap();
        counter.take(Now(0), &of(&tenants[0])).unwrap();
        let refused = counter.take(Now(0), &of(&tenants[0])).unwrap_err();
        assert_eq!(refused.reason, Reason::TenantConcurrentInvocationLimitExceeded);
        assert!(counter.take(Now(0), &of(&tenants[1])).is_ok());
        assert!(counter.give_back(first.lease));
        assert!(counter.take(Now(0), &of(&tenants[0])).is_ok());
    }

    #[test]
    fn a_function_may_limit_its_own_tenants() {
        let mut counter = counter(100);
        let (limited, free) = (name("limited"), name("free"));
        let tenant = TenantId::parse("a").unwrap();
        counter.limit_tenants(Now(0), account(), &limited, Some(1));
        let of = |function| Ask { tenant: Some(&tenant), ..ask(function, 1) };
        assert!(counter.take(Now(0), &of(&limited)).is_ok());
        let refused = counter.take(Now(0), &of(&limited)).unwrap_err();
        assert_eq!(refused.reason, Reason::TenantConcurrentInvocationLimitExceeded);
        assert!((0..5).all(|_| counter.take(Now(0), &of(&free)).is_ok()));
        counter.limit_tenants(Now(0), account(), &limited, None);
        assert!(counter.take(Now(0), &of(&limited)).is_ok());
    }

    #[test]
    fn counts_are_per_function_account_and_version() {
        let mut counter = counter(100);
        let (f, g) = (name("f"), name("g"));
        let first = Ask { version: VersionId::Published(1), ..ask(&f, 1) };
        let second = Ask { version: VersionId::Published(2), ..ask(&f, 1) };
        let counts: Vec<_> = [first, second, second, ask(&g, 1)]
            .iter()
            .map(|ask| counter.take(Now(0), ask).unwrap())
            .map(|a| (a.in_function, a.in_account, a.in_version))
            .collect();
        assert_eq!(counts, [(1, 1, 1), (2, 2, 1), (3, 3, 2), (1, 4, 1)]);
    }

    #[test]
    fn reserving_while_calls_run_keeps_the_counts_true() {
        let mut counter = counter(1_000);
        let function = name("f");
        let one = counter.take(Now(0), &ask(&function, 1)).unwrap();
        counter.reserve(Now(0), account(), &function, Some(5)).unwrap();
        assert_eq!(counter.claimed(account()).unreserved_in_flight, 0);
        let two = counter.take(Now(0), &ask(&function, 1)).unwrap();
        counter.reserve(Now(0), account(), &function, None).unwrap();
        assert_eq!(counter.claimed(account()).unreserved_in_flight, 2);
        assert!(counter.give_back(one.lease) && counter.give_back(two.lease));
        assert_eq!(counter.claimed(account()), Claimed::default());
        assert!(!counter.give_back(two.lease), "a lease ends once");
    }
}
