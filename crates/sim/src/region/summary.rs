//! What a region came to. It counts and decides nothing.
//! Times are virtual; what a decision costs, the program measures around the run.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use decide::{Fact, book::LeaseCounts, fact::RetireWhy};
use model::{Now, Reason, Span};

use super::managers::Manager;

/// Waits are counted by the power of two of their microseconds.
const WAIT_BITS: usize = 40;

#[derive(Clone, Debug, Default)]
pub struct Summary {
    pub calls: u64,
    pub warm: u64,
    pub cold: u64,
    pub refused: BTreeMap<Reason, u64>,
    /// Their frontend died.
    pub lost_calls: u64,
    pub starts: u64,
    pub evicted: u64,
    pub probes: u64,
    /// Times that a machine was asked something for a call.
    pub decisions: u64,
    pub shrinks: u64,
    /// The frontends that shrank a set.
    pub shrunk_by: BTreeSet<usize>,
    /// What frontends told each other, as bytes on the wire.
    pub gossip_bytes: u64,
    pub in_flight_max: u64,
    pub environments_max: usize,
    /// Environment leases of all books, those of managers that were lost included.
    pub leases: LeaseCounts,
    /// Most environment leases that were open at a heartbeat.
    pub leases_open_max: u64,
    /// Calls served warm and in all, by second.
    pub by_second: Vec<(u64, u64)>,
    /// Environments when the last call had ended.
    pub environments_last: usize,
    /// The widest set of a client in the end, over all frontends.
    pub widest_last: u16,
    /// Frontends whose sets were not the widest in the end.
    pub narrower_last: usize,
    /// Managers that granted anything.
    pub managers_used: usize,
    pub functions_called: usize,
    /// Acquires at one manager: on average and at most.
    pub acquires_mean: u64,
    pub acquires_max: u64,
    pub incident_at: Option<Now>,
    pub(super) next_function: u32,
    in_flight: u64,
    waits: Vec<u64>,
    lost: LeaseCounts,
}

impl Summary {
    pub(super) fn arrived(&mut self) {
        self.calls += 1;
        self.in_flight += 1;
        self.in_flight_max = self.in_flight_max.max(self.in_flight);
    }

    pub(super) fn served(&mut self, now: Now, warm: bool, probes: u32, wait: Span) {
        self.in_flight -= 1;
        self.probes += u64::from(probes);
        *if warm { &mut self.warm } else { &mut self.cold } += 1;
        let second = (now.0 / 1_000_000) as usize;
        if self.by_second.len() <= second {
            self.by_second.resize(second + 1, (0, 0));
        }
        self.by_second[second].0 += u64::from(warm);
        self.by_second[second].1 += 1;
        self.waits.resize(WAIT_BITS, 0);
        let bits = (u64::BITS - wait.as_micros().leading_zeros()) as usize;
        self.waits[bits.min(WAIT_BITS - 1)] += 1;
    }

    pub(super) fn refused(&mut self, _now: Now, reason: Reason) {
        self.in_flight -= 1;
        *self.refused.entry(reason).or_insert(0) += 1;
    }

    pub(super) fn call_lost(&mut self) {
        self.in_flight -= 1;
        self.lost_calls += 1;
    }

    pub(super) fn fact(&mut self, fact: &Fact) {
        if let Fact::Retired { why: RetireWhy::Evicted, .. } = fact {
            self.evicted += 1;
        }
    }

    pub(super) fn note_leases(&mut self, books: impl Iterator<Item = LeaseCounts>) {
        let open = books.map(|counts| counts.granted - counts.started - counts.returned);
        self.leases_open_max = self.leases_open_max.max(open.sum());
    }

    /// A lost manager's leases end with its book.
    pub(super) fn keep_leases(&mut self, counts: LeaseCounts) {
        add(&mut self.lost, counts);
    }

    pub(super) fn measure(&mut self, managers: &[Manager], functions_called: usize) {
        self.functions_called = functions_called;
        self.leases = self.lost;
        for manager in managers {
            add(&mut self.leases, manager.book.lease_counts());
            self.acquires_max = self.acquires_max.max(manager.acquires);
            self.acquires_mean += manager.acquires;
            self.managers_used += usize::from(manager.book.lease_counts().granted > 0);
        }
        self.acquires_mean /= managers.len().max(1) as u64;
    }

    pub fn refused_sum(&self) -> u64 {
        self.refused.values().sum()
    }

    /// Share of calls served warm between two seconds, in thousandths.
    pub fn warm_permille(&self, seconds: std::ops::Range<usize>) -> u64 {
        let within = self.by_second.iter().take(seconds.end).skip(seconds.start);
        let (warm, all) = within.fold((0, 0), |sum, of| (sum.0 + of.0, sum.1 + of.1));
        warm * 1_000 / all.max(1)
    }

    /// Calls that ended from a second on and were not warm.
    pub fn cold_after(&self, second: usize) -> u64 {
        self.by_second.iter().skip(second).map(|(warm, all)| all - warm).sum()
    }

    /// A wait that this share of served calls did not exceed, up to a factor of two.
    pub fn wait_within(&self, percent: u64) -> Span {
        let wanted = (self.warm + self.cold) * percent / 100;
        let mut sum = 0;
        let within = self.waits.iter().position(|count| {
            sum += count;
            sum >= wanted
        });
        Span(1 << within.unwrap_or(0))
    }
}

fn add(to: &mut LeaseCounts, counts: LeaseCounts) {
    to.granted += counts.granted;
    to.started += counts.started;
    to.returned += counts.returned;
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let served = self.warm + self.cold;
        let percent = |part: u64, whole: u64| 100.0 * part as f64 / whole.max(1) as f64;
        writeln!(f, "calls                 {}", self.calls)?;
        writeln!(f, "functions called      {}", self.functions_called)?;
        writeln!(f, "warm                  {} ({:.2} %)", self.warm, percent(self.warm, served))?;
        writeln!(f, "cold                  {}", self.cold)?;
        writeln!(f, "refused               {}", self.refused_sum())?;
        for (reason, count) in &self.refused {
            writeln!(f, "  {} {count}", reason.as_str())?;
        }
        writeln!(f, "lost with a frontend  {}", self.lost_calls)?;
        writeln!(f, "environments made     {}, at most {}", self.starts, self.environments_max)?;
        writeln!(f, "evicted               {}", self.evicted)?;
        writeln!(f, "most in flight        {}", self.in_flight_max)?;
        writeln!(f, "probes per call       {:.3}", self.probes as f64 / served.max(1) as f64)?;
        let (p50, p99) = (self.wait_within(50).as_micros(), self.wait_within(99).as_micros());
        writeln!(f, "wait p50, p99         within {p50} us, within {p99} us")?;
        writeln!(f, "sets shrunk           {}", self.shrinks)?;
        writeln!(f, "gossip                {} bytes", self.gossip_bytes)?;
        let counts = self.leases;
        let (granted, started, returned) = (counts.granted, counts.started, counts.returned);
        writeln!(f, "leases                {granted} = {started} started + {returned} returned")?;
        writeln!(
            f,
            "acquires at a manager {} mean, {} most",
            self.acquires_mean, self.acquires_max
        )?;
        writeln!(f, "decisions             {}", self.decisions)
    }
}
