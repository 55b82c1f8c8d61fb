//! The metrics that every process has, whatever its roles. Each function is a metric:
//! docs/METRICS.md has a row for it.

use model::invariant::Invariant;

use crate::meters::{Counter, Meters};

pub(crate) fn broken_invariants_total(meters: &Meters, invariant: Invariant) -> Counter {
    let help = "Times that an invariant was found broken since the start. Anything but 0 is a bug.";
    let number = format!("I{}", invariant.0);
    meters.counter("lambent_broken_invariants_total", help, &[("invariant", &number)])
}
