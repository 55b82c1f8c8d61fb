//! The metrics of a frontend, each a function by its name: docs/METRICS.md has a row for
//! each. Where CloudWatch has the same, the help begins with its name there.

use platform::meters::{Counter, Gauge, Histogram, Labelled, Meters};

pub(crate) fn invocations_total(meters: &Meters, of: &[Labelled<'_>]) -> Counter {
    let help = "Invocations: times that the function's code ran, errors included, throttles not.";
    meters.counter("lambent_invocations_total", help, of)
}

pub(crate) fn errors_total(meters: &Meters, of: &[Labelled<'_>]) -> Counter {
    let help = "Errors: invocations that ended in an error of the function.";
    meters.counter("lambent_errors_total", help, of)
}

pub(crate) fn throttles_total(meters: &Meters, of: &[Labelled<'_>]) -> Counter {
    let help = "Throttles: calls that a limit refused (429); no invocations.";
    meters.counter("lambent_throttles_total", help, of)
}

pub(crate) fn throttle_reasons_total(meters: &Meters, reason: &str) -> Counter {
    let help = "Calls that a limit (429) or a lack of room (503) refused, by the reason told.";
    meters.counter("lambent_throttle_reasons_total", help, &[("reason", reason)])
}

pub(crate) fn duration_ms(meters: &Meters, of: &[Labelled<'_>]) -> Histogram {
    let help = "Duration: milliseconds that the function's code took, without its init.";
    meters.histogram("lambent_duration_ms", help, of)
}

pub(crate) fn concurrent_executions(meters: &Meters, of: &[Labelled<'_>]) -> Gauge {
    let help = "ConcurrentExecutions: calls of this frontend that run now.";
    meters.gauge("lambent_concurrent_executions", help, of)
}

pub(crate) fn cold_starts_total(meters: &Meters, of: &[Labelled<'_>]) -> Counter {
    let help = "Invocations that waited for an init: those with an Init Duration in the log.";
    meters.counter("lambent_cold_starts_total", help, of)
}

pub(crate) fn init_duration_ms(meters: &Meters) -> Histogram {
    let help = "Milliseconds of the inits that invocations waited for.";
    meters.histogram("lambent_init_duration_ms", help, &[])
}

pub(crate) fn provisioned_concurrency_invocations_total(
    meters: &Meters,
    of: &[Labelled<'_>],
) -> Counter {
    let help = "ProvisionedConcurrencyInvocations: those that ran on provisioned concurrency.";
    meters.counter("lambent_provisioned_concurrency_invocations_total", help, of)
}

pub(crate) fn provisioned_concurrency_spillover_invocations_total(
    meters: &Meters,
    of: &[Labelled<'_>],
) -> Counter {
    let help = "ProvisionedConcurrencySpilloverInvocations: those that ran on-demand although \
                their version has provisioned concurrency.";
    meters.counter("lambent_provisioned_concurrency_spillover_invocations_total", help, of)
}
