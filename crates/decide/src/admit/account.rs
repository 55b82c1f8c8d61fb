//! One account's limits and what of them is in use. Invariant: a count is the
//! number of live leases that it stands for, and the reserved sum leaves
//! `UNRESERVED_CONCURRENCY_MIN` units to the functions without a reservation.

use alloc::{
    boxed::Box,
    collections::{BTreeMap, btree_map::Entry},
    vec::Vec,
};
use core::fmt;

use model::{
    Denied, FunctionName, Now, ProvisionedCharge, Reason, Span, TenantId, VersionId, limits,
};

use super::{bucket::Bucket, paid::PaidVersions};
use crate::table::{Lined, Table};

/// Versions of one function whose count is kept though it is zero.
const ZERO_COUNTS_MAX: usize = 16;

/// When a caller may ask again after a refusal for concurrency: unknown, so soon.
const CONCURRENCY_RETRY: Span = Span::secs(1);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AccountLimits {
    pub concurrency: u32,
    /// Calls of one tenant inside one function, where limited (A9, ours).
    pub tenant: Option<u32>,
}

impl Default for AccountLimits {
    fn default() -> AccountLimits {
        AccountLimits { concurrency: limits::ACCOUNT_CONCURRENCY_DEFAULT, tenant: None }
    }
}

/// What an account's concurrency is taken by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Claimed {
    pub unreserved_in_flight: u32,
    pub reserved: u32,
    /// Provisioned for functions that reserve nothing, and without a call: inside a
    /// reservation, or with a call in it, a unit is counted already.
    pub provisioned_unused: u32,
}

impl Claimed {
    pub const fn total(self) -> u32 {
        self.unreserved_in_flight + self.reserved + self.provisioned_unused
    }
}

/// A reservation that would leave too little to the other functions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReserveError {
    pub would_leave: i64,
}

impl fmt::Display for ReserveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "reserving concurrency: {} units would stay unreserved, at least {} have to",
            self.would_leave,
            limits::UNRESERVED_CONCURRENCY_MIN
        )
    }
}

impl core::error::Error for ReserveError {}

#[derive(Debug)]
struct Function {
    reserved: Option<u32>,
    paid: PaidVersions,
    in_flight: u32,
    versions: Versions,
    /// Of a function that has any, or a limit on theirs.
    tenants: Option<Box<Tenants>>,
    rate: Bucket,
}

const _: () = assert!(size_of::<(FunctionName, Function)>() <= 128);

#[derive(Debug, Default)]
struct Tenants {
    /// Calls of one tenant, where this function has its own limit (A9, ours).
    limit: Option<u32>,
    /// In flight, of each.
    calls: BTreeMap<TenantId, u32>,
}

/// Calls in flight of each version. Most functions are called in one version, whose
/// count stands with the function and not elsewhere in memory.
#[derive(Debug)]
struct Versions {
    first: (VersionId, u32),
    others: Vec<(VersionId, u32)>,
}

#[derive(Debug)]
pub(super) struct Account {
    limits: AccountLimits,
    reserved_sum: u32,
    unreserved_in_flight: u32,
    /// Slots that frontends hold in blocks, for calls of functions that reserve nothing.
    lent: u32,
    in_flight: u32,
    /// Provisioned units without a call, of functions that reserve nothing.
    provisioned_unused: u32,
    functions: Functions,
}

type Functions = Table<FunctionName, Function, Lined>;

/// In flight after an admission, this call included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) function: u32,
    pub(super) account: u32,
    pub(super) version: u32,
    pub(super) limit_max: u32,
}

/// What of a call the limits of its account are about.
#[derive(Clone, Copy, Debug)]
pub(super) struct Call<'a> {
    pub(super) function: &'a FunctionName,
    pub(super) version: VersionId,
    pub(super) tenant: Option<&'a TenantId>,
}

impl Account {
    pub(super) fn new(limits: AccountLimits) -> Account {
        Account {
            limits,
            reserved_sum: 0,
            unreserved_in_flight: 0,
            lent: 0,
            in_flight: 0,
            provisioned_unused: 0,
            functions: Table::default(),
        }
    }

    pub(super) fn set_limits(&mut self, now: Now, limits: AccountLimits) {
        self.limits = limits;
        for function in self.functions.values_mut() {
            function.rerate(now, limits.concurrency);
        }
    }

    /// Sets or lifts a reservation; refuses one that leaves too little (A6.6).
    pub(super) fn reserve(
        &mut self,
        now: Now,
        name: &FunctionName,
        reserved: Option<u32>,
    ) -> Result<(), ReserveError> {
        let before = self.functions.get(name).and_then(|f| f.reserved).unwrap_or(0);
        let sum = self.reserved_sum - before + reserved.unwrap_or(0);
        let would_leave = i64::from(self.limits.concurrency) - i64::from(sum);
        // Lowering is always allowed: the account's own limit may have been cut.
        let grows = reserved.unwrap_or(0) > before;
        if grows && would_leave < i64::from(limits::UNRESERVED_CONCURRENCY_MIN) {
            return Err(ReserveError { would_leave });
        }
        let concurrency = self.limits.concurrency;
        let function = function_of(&mut self.functions, name, now, concurrency);
        let (moved, unused) = (function.in_flight, function.unused());
        match (function.reserved, reserved) {
            (None, Some(_)) => self.unreserved_in_flight -= moved,
            (Some(_), None) => self.unreserved_in_flight += moved,
            (None, None) | (Some(_), Some(_)) => {}
        }
        function.reserved = reserved;
        function.rerate(now, concurrency);
        self.provisioned_unused = self.provisioned_unused - unused + function.unused();
        self.reserved_sum = sum;
        Ok(())
    }

    /// Provisioned environments of one version of a function; while its set drains it is
    /// charged `max(target, busy)` by whoever tells (A2).
    pub(super) fn provision(
        &mut self,
        now: Now,
        name: &FunctionName,
        version: VersionId,
        charge: ProvisionedCharge,
    ) {
        let concurrency = self.limits.concurrency;
        let function = function_of(&mut self.functions, name, now, concurrency);
        let unused = function.unused();
        function.paid.pay(now, version, charge);
        self.provisioned_unused = self.provisioned_unused - unused + function.unused();
    }

    /// A limit of one function's own on the calls of each of its tenants.
    pub(super) fn limit_tenants(&mut self, now: Now, name: &FunctionName, limit: Option<u32>) {
        let concurrency = self.limits.concurrency;
        let function = function_of(&mut self.functions, name, now, concurrency);
        if limit.is_some() || function.tenants.is_some() {
            function.tenants.get_or_insert_default().limit = limit;
        }
    }

    pub(super) fn limit(&self) -> u32 {
        self.limits.concurrency
    }

    /// What may still be claimed by functions that reserve nothing.
    pub(super) fn room(&self) -> u32 {
        self.limits.concurrency.saturating_sub(self.claimed().total())
    }

    pub(super) fn lent_changed(&mut self, before: u32, after: u32) {
        self.lent = self.lent - before + after;
    }

    /// Calls in flight, and slots of which each may have its call.
    pub(super) fn in_use(&self) -> u32 {
        self.in_flight + self.lent
    }

    /// What is lent counts as in flight: each slot may have its call.
    pub(super) fn claimed(&self) -> Claimed {
        Claimed {
            unreserved_in_flight: self.unreserved_in_flight + self.lent,
            reserved: self.reserved_sum,
            provisioned_unused: self.provisioned_unused,
        }
    }

    pub(super) fn check(&self, now: Now, call: Call<'_>) -> Result<(), Denied> {
        let function = self.functions.get(call.function);
        self.check_concurrency(function)?;
        if let (Some(function), Some(tenant)) = (function, call.tenant)
            && let Some(limit) = function.tenant_limit().or(self.limits.tenant)
            && function.tenant_calls(tenant) >= limit
        {
            let reason = Reason::TenantConcurrentInvocationLimitExceeded;
            return Err(too_many(reason));
        }
        match function {
            Some(function) => {
                function.paid.check(now, call.version, || function.versions.count(call.version))?;
                function.check_rate(now)
            }
            None => Ok(()),
        }
    }

    fn check_concurrency(&self, function: Option<&Function>) -> Result<(), Denied> {
        let reserved = function.and_then(|f| f.reserved.map(|cap| (cap, f.in_flight)));
        if let Some((cap, in_flight)) = reserved {
            let reason = Reason::ReservedFunctionConcurrentInvocationLimitExceeded;
            return if in_flight < cap { Ok(()) } else { Err(too_many(reason)) };
        }
        // A function's own provisioned units are there for it; the others' are not.
        let own = function.map_or(0, Function::unused);
        let taken = self.claimed().total() - own;
        let reason = Reason::ConcurrentInvocationLimitExceeded;
        if taken < self.limits.concurrency { Ok(()) } else { Err(too_many(reason)) }
    }

    /// Counts the call; `check` said that it may.
    pub(super) fn enter(&mut self, now: Now, call: Call<'_>) -> Counts {
        let concurrency = self.limits.concurrency;
        let function = function_of(&mut self.functions, call.function, now, concurrency);
        // `check` saw a token, or a new bucket that is full.
        let _ = function.rate.take(now);
        let unused = function.unused();
        function.in_flight += 1;
        self.provisioned_unused = self.provisioned_unused - unused + function.unused();
        self.in_flight += 1;
        if function.reserved.is_none() {
            self.unreserved_in_flight += 1;
        }
        if let Some(tenant) = call.tenant {
            let tenants = function.tenants.get_or_insert_default();
            *tenants.calls.entry(tenant.clone()).or_insert(0) += 1;
        }
        let version = function.versions.enter(call.version);
        function.paid.take(now, call.version, version);
        Counts {
            function: function.in_flight,
            account: self.in_flight,
            version,
            limit_max: concurrency,
        }
    }

    pub(super) fn leave(&mut self, call: Call<'_>) {
        let Some(function) = self.functions.get_mut(call.function) else { return };
        let unused = function.unused();
        function.in_flight = function.in_flight.saturating_sub(1);
        self.provisioned_unused = self.provisioned_unused - unused + function.unused();
        self.in_flight = self.in_flight.saturating_sub(1);
        if function.reserved.is_none() {
            self.unreserved_in_flight = self.unreserved_in_flight.saturating_sub(1);
        }
        function.versions.leave(call.version);
        if let Some(tenant) = call.tenant
            && let Some(tenants) = &mut function.tenants
            && let Entry::Occupied(mut count) = tenants.calls.entry(tenant.clone())
        {
            *count.get_mut() -= 1;
            if *count.get() == 0 {
                count.remove();
            }
        }
    }

    pub(super) fn in_flight(&self, name: &FunctionName) -> u32 {
        self.functions.get(name).map_or(0, |function| function.in_flight)
    }

    pub(super) fn forget_function(&mut self, name: &FunctionName) {
        let quiet = self.functions.get(name).is_some_and(|function| function.in_flight == 0);
        if let Some(function) = quiet.then(|| self.functions.remove(name)).flatten() {
            self.reserved_sum -= function.reserved.unwrap_or(0);
            self.provisioned_unused -= function.unused();
        }
    }
}

/// Finds or makes the record.
fn function_of<'a>(
    functions: &'a mut Functions,
    name: &FunctionName,
    now: Now,
    concurrency: u32,
) -> &'a mut Function {
    functions.get_or_insert(name, || Function::new(now, concurrency))
}

impl Function {
    fn new(now: Now, concurrency: u32) -> Function {
        let rps = rps(concurrency);
        Function {
            reserved: None,
            paid: PaidVersions::default(),
            in_flight: 0,
            versions: Versions::default(),
            tenants: None,
            rate: Bucket::full(rps, rps, now),
        }
    }

    /// Provisioned units that only this function's calls may use.
    fn unused(&self) -> u32 {
        match self.reserved {
            Some(_) => 0,
            None => self.paid.charged().saturating_sub(self.in_flight),
        }
    }

    fn rerate(&mut self, now: Now, account_concurrency: u32) {
        let rps = rps(self.reserved.unwrap_or(account_concurrency));
        self.rate.resize(rps, rps, now);
    }

    fn check_rate(&self, now: Now) -> Result<(), Denied> {
        let reason = match self.reserved {
            Some(_) => Reason::ReservedFunctionInvocationRateLimitExceeded,
            None => Reason::FunctionInvocationRateLimitExceeded,
        };
        self.rate.peek(now).map_err(|retry_after| Denied { reason, retry_after })
    }

    fn tenant_limit(&self) -> Option<u32> {
        self.tenants.as_ref()?.limit
    }

    fn tenant_calls(&self, tenant: &TenantId) -> u32 {
        self.tenants.as_ref().and_then(|tenants| tenants.calls.get(tenant).copied()).unwrap_or(0)
    }
}

impl Default for Versions {
    fn default() -> Versions {
        Versions { first: (VersionId::Latest, 0), others: Vec::new() }
    }
}

impl Versions {
    /// Calls in flight of the version, this one included.
    fn enter(&mut self, version: VersionId) -> u32 {
        if self.others.is_empty() && self.first.1 == 0 {
            self.first.0 = version;
        }
        if self.others.len() > ZERO_COUNTS_MAX {
            self.others.retain(|(_, count)| *count > 0);
        }
        if self.of(version).is_none() {
            self.others.push((version, 0));
        }
        self.of(version).map_or(0, |count| {
            *count += 1;
            *count
        })
    }

    fn leave(&mut self, version: VersionId) {
        if let Some(count) = self.of(version) {
            *count = count.saturating_sub(1);
        }
    }

    fn count(&self, version: VersionId) -> u32 {
        let mut all = core::iter::once(&self.first).chain(&self.others);
        all.find(|(known, _)| *known == version).map_or(0, |(_, count)| *count)
    }

    fn of(&mut self, version: VersionId) -> Option<&mut u32> {
        let mut all = core::iter::once(&mut self.first).chain(&mut self.others);
        all.find(|(known, _)| *known == version).map(|(_, count)| count)
    }
}

fn too_many(reason: Reason) -> Denied {
    Denied { reason, retry_after: CONCURRENCY_RETRY }
}

pub(super) fn rps(concurrency: u32) -> u64 {
    u64::from(concurrency) * u64::from(limits::RPS_PER_CONCURRENCY)
}
