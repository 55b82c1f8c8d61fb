//! What is counted while a world runs; `Outcome` is made of it at the end. It
//! decides nothing.

use std::collections::BTreeMap;

use decide::{Fact, fact::RetireWhy};
use model::{Now, Span};

use crate::{
    log::Log,
    naive::worst_p99,
    outcome::{End, Outcome, percentile},
};

#[derive(Debug, Default)]
pub(super) struct Tally {
    outcome: Outcome,
    pub(super) ended: u64,
    in_flight: u64,
    probes: u64,
    memory_mb: u64,
    memory_mb_micros: u128,
    stopped: bool,
    slowdowns: Vec<u64>,
    by_function: BTreeMap<usize, Vec<u64>>,
    waits: Vec<u64>,
}

impl Tally {
    pub(super) fn pass(&mut self, from: Now, to: Now) {
        if !self.stopped {
            let micros = u128::from(to.since(from).as_micros());
            self.memory_mb_micros += u128::from(self.memory_mb) * micros;
        }
    }

    /// Memory is not counted while the world falls quiet.
    pub(super) fn stop(&mut self) {
        self.stopped = true;
    }

    pub(super) fn arrive(&mut self) {
        self.outcome.calls += 1;
        self.in_flight += 1;
        self.outcome.in_flight_max = self.outcome.in_flight_max.max(self.in_flight);
    }

    pub(super) fn end(&mut self, function: usize, end: End, took: Span, run: Span, probes: u64) {
        self.ended += 1;
        self.in_flight -= 1;
        self.probes += probes;
        match end {
            End::Warm => self.outcome.warm += 1,
            End::Cold => self.outcome.cold += 1,
            End::Refused(reason) => *self.outcome.refused.entry(reason).or_insert(0) += 1,
            End::Failed => self.outcome.failed += 1,
            End::Lost => self.outcome.lost += 1,
        }
        if matches!(end, End::Warm | End::Cold) {
            let slowdown = took.as_micros() * 1_000 / run.as_micros().max(1);
            self.slowdowns.push(slowdown);
            self.by_function.entry(function).or_default().push(slowdown);
            self.waits.push(took.as_micros().saturating_sub(run.as_micros()));
        }
    }

    pub(super) fn fact(&mut self, fact: &Fact) {
        if let Fact::StartEnded { .. } = fact {
            self.outcome.starts += 1;
        }
        if let Fact::Retired { why: RetireWhy::Evicted, .. } = fact {
            self.outcome.evicted += 1;
        }
    }

    pub(super) fn memory_taken(&mut self, memory_mb: u64) {
        self.memory_mb += memory_mb;
        self.outcome.memory_mb_max = self.outcome.memory_mb_max.max(self.memory_mb);
    }

    pub(super) fn memory_freed(&mut self, memory_mb: u64) {
        self.memory_mb -= memory_mb;
    }

    pub(super) fn outcome(mut self, log: Log) -> Outcome {
        self.slowdowns.sort_unstable();
        self.waits.sort_unstable();
        let secs = u64::try_from(self.memory_mb_micros / 1_000_000).unwrap_or(u64::MAX);
        Outcome {
            memory_mb_secs: secs,
            probes_permille: self.probes * 1_000 / self.outcome.calls.max(1),
            worst_p99_permille: worst_p99(self.by_function.into_values()),
            slowdown_p50_permille: percentile(&self.slowdowns, 50),
            slowdown_p99_permille: percentile(&self.slowdowns, 99),
            wait_p50: Span(percentile(&self.waits, 50)),
            wait_p99: Span(percentile(&self.waits, 99)),
            log_lines: log.lines(),
            digest: log.digest(),
            log: log.into_text(),
            ..self.outcome
        }
    }
}
