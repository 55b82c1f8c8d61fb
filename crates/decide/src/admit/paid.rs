//! Versions of one function with provisioned concurrency, and the rate of each: ten calls
//! a second for each unit, of calls that are within what is paid. Calls above it are
//! on-demand and have the function's rate alone, so that a burst beside a small set goes
//! through (A1.3). Invariant: no version is here that has neither limit nor charge.

use alloc::{boxed::Box, vec::Vec};

use model::{Denied, Now, ProvisionedCharge, Reason, VersionId};

use super::{account::rps, bucket::Bucket};

/// Most functions have none, and then nothing of it in memory.
#[derive(Debug, Default)]
pub(super) struct PaidVersions(Option<Box<Paids>>);

#[derive(Debug, Default)]
struct Paids(Vec<Paid>);

#[derive(Debug)]
struct Paid {
    version: VersionId,
    charge: ProvisionedCharge,
    rate: Bucket,
}

impl PaidVersions {
    pub(super) fn pay(&mut self, now: Now, version: VersionId, charge: ProvisionedCharge) {
        let Paids(all) = &mut **self.0.get_or_insert_default();
        let rps = rps(charge.limit);
        match all.iter_mut().find(|paid| paid.version == version) {
            Some(paid) => {
                paid.charge = charge;
                paid.rate.resize(rps, rps, now);
            }
            None => all.push(Paid { version, charge, rate: Bucket::full(rps, rps, now) }),
        }
        all.retain(|paid| paid.charge != ProvisionedCharge::default());
        if all.is_empty() {
            self.0 = None;
        }
    }

    /// What the versions together take of the account's concurrency.
    pub(super) fn charged(&self) -> u32 {
        self.all().iter().map(|paid| paid.charge.charged).sum()
    }

    /// `in_flight`: of the version, the call that asks not included.
    pub(super) fn check(
        &self,
        now: Now,
        version: VersionId,
        in_flight: impl FnOnce() -> u32,
    ) -> Result<(), Denied> {
        let Some(paid) = self.of(version) else { return Ok(()) };
        if in_flight() >= paid.charge.limit {
            return Ok(());
        }
        let reason = Reason::FunctionInvocationRateLimitExceeded;
        paid.rate.peek(now).map_err(|retry_after| Denied { reason, retry_after })
    }

    /// Takes what `check` saw. `in_flight`: the call that entered included.
    pub(super) fn take(&mut self, now: Now, version: VersionId, in_flight: u32) {
        let all = self.0.iter_mut().flat_map(|paids| paids.0.iter_mut());
        let mut within = all.filter(|paid| in_flight <= paid.charge.limit);
        if let Some(paid) = within.find(|paid| paid.version == version) {
            let _ = paid.rate.take(now);
        }
    }

    fn of(&self, version: VersionId) -> Option<&Paid> {
        self.all().iter().find(|paid| paid.version == version)
    }

    fn all(&self) -> &[Paid] {
        self.0.as_ref().map_or(&[], |paids| &paids.0)
    }
}
