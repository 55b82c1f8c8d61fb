//! The metrics of a manager, each a function by its name: docs/METRICS.md has a row for
//! each. Values that stand for a moment are set when they are asked for.

use platform::meters::{Counter, Gauge, Meters};

/// `state`: idle, busy or starting.
pub(crate) fn environments(meters: &Meters, state: &str) -> Gauge {
    let help = "Execution environments in this manager's book.";
    meters.gauge("lambent_environments", help, &[("state", state)])
}

pub(crate) fn environment_memory_mb(meters: &Meters, state: &str) -> Gauge {
    let help = "Memory that is reserved for the environments in this manager's book.";
    meters.gauge("lambent_environment_memory_mb", help, &[("state", state)])
}

pub(crate) fn calls_waiting(meters: &Meters) -> Gauge {
    let help = "Calls that wait at this manager for an environment.";
    meters.gauge("lambent_calls_waiting", help, &[])
}

/// `warm`: whether nobody waited for an init.
pub(crate) fn environments_granted_total(meters: &Meters, warm: &str) -> Counter {
    let help = "Environments given to calls.";
    meters.counter("lambent_environments_granted_total", help, &[("warm", warm)])
}

pub(crate) fn environment_starts_total(meters: &Meters) -> Counter {
    let help = "Environments that were ordered from workers.";
    meters.counter("lambent_environment_starts_total", help, &[])
}

pub(crate) fn environment_start_failures_total(meters: &Meters, why: &str) -> Counter {
    let help = "Environments that could not be made.";
    meters.counter("lambent_environment_start_failures_total", help, &[("why", why)])
}

pub(crate) fn environments_retired_total(meters: &Meters, why: &str) -> Counter {
    let help = "Idle environments that this manager ended.";
    meters.counter("lambent_environments_retired_total", help, &[("why", why)])
}

pub(crate) fn environments_handed_over_total(meters: &Meters) -> Counter {
    let help = "Environments that another manager took over from this one.";
    meters.counter("lambent_environments_handed_over_total", help, &[])
}

pub(crate) fn environments_adopted_total(meters: &Meters) -> Counter {
    let help = "Environments learnt from a worker's list or taken over from another manager.";
    meters.counter("lambent_environments_adopted_total", help, &[])
}

pub(crate) fn stale_messages_total(meters: &Meters) -> Counter {
    let help = "Messages about a lease or environment whose turn had passed; harmless.";
    meters.counter("lambent_stale_messages_total", help, &[])
}

/// `state`: granted, started or returned. I2: granted = started + returned.
pub(crate) fn environment_leases_total(meters: &Meters, state: &str) -> Counter {
    let help = "Environment leases: granted = started + returned, save those under way (I2).";
    meters.counter("lambent_environment_leases_total", help, &[("state", state)])
}

pub(crate) fn account_concurrent_executions(meters: &Meters, account: &str) -> Gauge {
    let help = "ConcurrentExecutions of an account at its counter; slots lent to frontends \
                count as in use.";
    meters.gauge("lambent_account_concurrent_executions", help, &[("account", account)])
}

pub(crate) fn unreserved_concurrent_executions(meters: &Meters, account: &str) -> Gauge {
    let help = "UnreservedConcurrentExecutions: of functions without reserved concurrency.";
    meters.gauge("lambent_unreserved_concurrent_executions", help, &[("account", account)])
}

pub(crate) fn claimed_account_concurrency(meters: &Meters, account: &str) -> Gauge {
    let help = "ClaimedAccountConcurrency: unreserved executions, and what is reserved or \
                provisioned, nothing twice.";
    meters.gauge("lambent_claimed_account_concurrency", help, &[("account", account)])
}
