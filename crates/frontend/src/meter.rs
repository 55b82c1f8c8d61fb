//! What a frontend counts of each function's calls. The handles of a version are made at
//! its first call and kept with it: the path of a call only adds to them. Invariant: a
//! call that ran is counted once, when its report comes, whether or not its caller has
//! waited; one that was refused is counted as that alone.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use decide::route;
use model::{
    AccountId, FunctionConfig, FunctionName, Reason, VersionId, limits, reason::ReasonKind,
};
use platform::meters::{Counter, Gauge, Histogram, Meters};
use wire::worker::{Ran, StartFailure};

use crate::{metrics, refusal::Refusal, view::Callable};

type Version = (AccountId, FunctionName, VersionId);

#[derive(Debug)]
pub(crate) struct Meter {
    meters: Meters,
    init_ms: Histogram,
    /// Bounded by `limits::VERSIONS_METERED_MAX`; a deleted function keeps its place.
    versions: Mutex<HashMap<Version, Arc<VersionMeter>>>,
    others: Arc<VersionMeter>,
}

/// Handles of one version of a function.
#[derive(Debug)]
pub(crate) struct VersionMeter {
    invocations: Counter,
    errors: Counter,
    throttles: Counter,
    cold_starts: Counter,
    provisioned: Counter,
    spillovers: Counter,
    executing: Gauge,
    duration_ms: Histogram,
    init_ms: Histogram,
}

impl Meter {
    pub(crate) fn new(meters: Meters) -> Meter {
        let init_ms = metrics::init_duration_ms(&meters);
        let others = VersionMeter::new(&meters, &init_ms, ["", "(others)", ""]);
        Meter { meters, init_ms, versions: Mutex::default(), others: Arc::new(others) }
    }

    pub(crate) fn of<'c>(&self, callable: &'c Callable) -> &'c Arc<VersionMeter> {
        callable.meter.get_or_init(|| self.version(&callable.config))
    }

    /// A version that changed counts on.
    fn version(&self, config: &FunctionConfig) -> Arc<VersionMeter> {
        let mut versions = self.versions.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (config.account, config.name.clone(), config.version);
        if let Some(known) = versions.get(&key) {
            return Arc::clone(known);
        }
        if versions.len() >= limits::VERSIONS_METERED_MAX {
            return Arc::clone(&self.others);
        }
        let (account, version) = (config.account.to_string(), config.version.to_string());
        let of = [account.as_str(), config.name.as_str(), version.as_str()];
        let made = Arc::new(VersionMeter::new(&self.meters, &self.init_ms, of));
        versions.insert(key, Arc::clone(&made));
        made
    }

    /// A call that did not run, as its caller is told.
    pub(crate) fn refused(&self, callable: &Callable, refusal: &Refusal) {
        match refusal {
            Refusal::Denied(denied) => self.throttled(callable, denied.reason),
            Refusal::StartFailed(StartFailure::NoRoom) => {
                self.throttled(callable, Reason::NoCapacity);
            }
            // Told as an error of the function.
            Refusal::StartFailed(StartFailure::InvalidEntryPoint { .. }) => {
                let meter = self.of(callable);
                meter.invocations.increment(1);
                meter.errors.increment(1);
            }
            Refusal::StartFailed(
                StartFailure::InvalidRuntime { .. }
                | StartFailure::InitFailed { .. }
                | StartFailure::Platform { .. },
            )
            | Refusal::Api(_)
            | Refusal::Signature(_)
            | Refusal::FunctionNotFound { .. }
            | Refusal::InvalidParameter { .. }
            | Refusal::Pending
            | Refusal::Failed { .. }
            | Refusal::PayloadTooLarge { .. }
            | Refusal::NotJson { .. }
            | Refusal::BodyBroken
            | Refusal::BodyTooSlow
            | Refusal::Internal { .. } => {}
        }
    }

    fn throttled(&self, callable: &Callable, reason: Reason) {
        match reason.kind() {
            ReasonKind::Limit => self.of(callable).throttles.increment(1),
            ReasonKind::Capacity => {}
        }
        metrics::throttle_reasons_total(&self.meters, reason.as_str()).increment(1);
    }
}

impl VersionMeter {
    fn new(meters: &Meters, init_ms: &Histogram, of: [&str; 3]) -> VersionMeter {
        let [account, function, qualifier] = of;
        let of = [("account", account), ("function", function), ("qualifier", qualifier)];
        VersionMeter {
            invocations: metrics::invocations_total(meters, &of),
            errors: metrics::errors_total(meters, &of),
            throttles: metrics::throttles_total(meters, &of),
            cold_starts: metrics::cold_starts_total(meters, &of),
            provisioned: metrics::provisioned_concurrency_invocations_total(meters, &of),
            spillovers: metrics::provisioned_concurrency_spillover_invocations_total(meters, &of),
            executing: metrics::concurrent_executions(meters, &of),
            duration_ms: metrics::duration_ms(meters, &of),
            init_ms: init_ms.clone(),
        }
    }
}

/// A call that a worker has; it counts as executing until this is dropped.
#[derive(Debug)]
pub(crate) struct Executing {
    meter: Arc<VersionMeter>,
    counts_as: route::Served,
}

impl Executing {
    pub(crate) fn begin(meter: &Arc<VersionMeter>, counts_as: route::Served) -> Executing {
        meter.executing.increment(1.0);
        Executing { meter: Arc::clone(meter), counts_as }
    }

    /// Its report is here.
    pub(crate) fn ran(&self, ran: &Ran) {
        let meter = &self.meter;
        meter.invocations.increment(1);
        if ran.function_error {
            meter.errors.increment(1);
        }
        match self.counts_as {
            route::Served::Provisioned => meter.provisioned.increment(1),
            route::Served::Spillover => meter.spillovers.increment(1),
            route::Served::OnDemand => {}
        }
        meter.duration_ms.record(ran.report.duration.to_std().as_secs_f64() * 1e3);
        if let Some(init) = ran.report.init {
            meter.cold_starts.increment(1);
            meter.init_ms.record(init.to_std().as_secs_f64() * 1e3);
        }
    }
}

impl Drop for Executing {
    fn drop(&mut self) {
        self.meter.executing.decrement(1.0);
    }
}
