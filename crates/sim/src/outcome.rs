//! What a run came to: how every call ended, what it cost, and a digest of
//! everything that happened. Printing it gives the same bytes for the same run.

use std::{collections::BTreeMap, fmt};

use model::{Reason, Span};

/// How one call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    Warm,
    Cold,
    Refused(Reason),
    /// The platform failed it: its worker was lost, or its attempts were spent.
    Failed,
    /// Its frontend died.
    Lost,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    pub calls: u64,
    pub warm: u64,
    pub cold: u64,
    pub refused: BTreeMap<Reason, u64>,
    pub failed: u64,
    pub lost: u64,
    /// Environments made.
    pub starts: u64,
    /// Environments retired to make room.
    pub evicted: u64,
    /// Most calls in flight at once.
    pub in_flight_max: u64,
    /// Most memory that environments held at once.
    pub memory_mb_max: u64,
    /// Megabytes times seconds that environments existed.
    pub memory_mb_secs: u64,
    /// Probes per call, in thousandths.
    pub probes_permille: u64,
    /// Response time over run time of served calls, in thousandths.
    pub slowdown_p50_permille: u64,
    pub slowdown_p99_permille: u64,
    /// The largest 99th percentile that any one function has.
    pub worst_p99_permille: u64,
    pub wait_p50: Span,
    pub wait_p99: Span,
    pub log_lines: u64,
    pub digest: u128,
    /// The log itself, where the configuration keeps it.
    pub log: Option<String>,
}

impl Outcome {
    pub fn refused_sum(&self) -> u64 {
        self.refused.values().sum()
    }
}

/// The value below which `percent` of the sorted values lie; zero of none.
pub(crate) fn percentile(sorted: &[u64], percent: usize) -> u64 {
    let at = (sorted.len() * percent).div_ceil(100).saturating_sub(1);
    sorted.get(at).copied().unwrap_or(0)
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let permille = |n: u64| format!("{}.{:03}", n / 1_000, n % 1_000);
        writeln!(f, "calls               {}", self.calls)?;
        writeln!(f, "warm                {}", self.warm)?;
        writeln!(f, "cold                {}", self.cold)?;
        writeln!(f, "refused             {}", self.refused_sum())?;
        for (reason, count) in &self.refused {
            writeln!(f, "  {} {count}", reason.as_str())?;
        }
        writeln!(f, "failed, lost        {}, {}", self.failed, self.lost)?;
        writeln!(f, "environments made   {}", self.starts)?;
        writeln!(f, "evicted             {}", self.evicted)?;
        writeln!(f, "most in flight      {}", self.in_flight_max)?;
        writeln!(f, "most memory         {} MB", self.memory_mb_max)?;
        writeln!(f, "memory time         {} MB s", self.memory_mb_secs)?;
        writeln!(f, "probes per call     {}", permille(self.probes_permille))?;
        let (p50, p99) = (self.slowdown_p50_permille, self.slowdown_p99_permille);
        writeln!(f, "slowdown p50, p99   {}, {}", permille(p50), permille(p99))?;
        writeln!(f, "worst function p99  {}", permille(self.worst_p99_permille))?;
        let (p50, p99) = (self.wait_p50.as_micros(), self.wait_p99.as_micros());
        writeln!(f, "wait p50, p99       {p50} us, {p99} us")?;
        writeln!(f, "log lines, digest   {}, {:032x}", self.log_lines, self.digest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_of_small_sets() {
        let hundred: Vec<u64> = (1..=100).collect();
        let cases: [(&[u64], usize, u64); 5] =
            [(&[], 50, 0), (&[7], 99, 7), (&[1, 2], 50, 1), (&hundred, 50, 50), (&hundred, 99, 99)];
        for (sorted, percent, expected) in cases {
            assert_eq!(percentile(sorted, percent), expected);
        }
    }
}
