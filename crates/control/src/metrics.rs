//! The metrics of provisioned concurrency, each a function by its name: docs/METRICS.md
//! has a row for each. The provisioning controller alone knows of a set as a whole.

use platform::meters::{Gauge, Labelled, Meters};

pub(crate) fn provisioned_concurrent_executions(meters: &Meters, of: &[Labelled<'_>]) -> Gauge {
    let help = "ProvisionedConcurrentExecutions: busy environments of a provisioned set.";
    meters.gauge("lambent_provisioned_concurrent_executions", help, of)
}

pub(crate) fn provisioned_concurrency_requested(meters: &Meters, of: &[Labelled<'_>]) -> Gauge {
    let help = "Environments that a version is to have provisioned.";
    meters.gauge("lambent_provisioned_concurrency_requested", help, of)
}

pub(crate) fn provisioned_concurrency_available(meters: &Meters, of: &[Labelled<'_>]) -> Gauge {
    let help = "Environments that a version has provisioned, busy ones included.";
    meters.gauge("lambent_provisioned_concurrency_available", help, of)
}

pub(crate) fn provisioned_concurrency_utilization(meters: &Meters, of: &[Labelled<'_>]) -> Gauge {
    let help = "ProvisionedConcurrencyUtilization: busy ones of the available, 0 to 1.";
    meters.gauge("lambent_provisioned_concurrency_utilization", help, of)
}
