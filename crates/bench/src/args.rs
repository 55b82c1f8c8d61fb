//! The command line of the bench, and how much work a run is: the default stays
//! under five minutes, `--quick` under one.

use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};

/// Measures a platform from outside, beside the floors it stands on.
///
/// Starts `lambent up` on a free port with a temporary data directory, deploys
/// functions through the public API, prints a table and stops the platform.
#[derive(Debug, Parser)]
#[command(name = "bench", args_conflicts_with_subcommands = true, max_term_width = 100)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) part: Option<Part>,
    /// The platform to measure.
    #[arg(long, default_value = "target/release/lambent")]
    pub(crate) lambent: PathBuf,
    /// A compiled `bootstrap` to deploy; without it the Rust example if it is
    /// built, else a small C program.
    #[arg(long)]
    pub(crate) compiled: Option<PathBuf>,
    #[arg(long, default_value = "/usr/bin/python3")]
    pub(crate) python: PathBuf,
    #[arg(long, default_value = "/usr/bin/node")]
    pub(crate) node: PathBuf,
    /// Write every row as a JSON line to this file.
    #[arg(long)]
    pub(crate) out: Option<PathBuf>,
    /// A smoke run of about a minute: fewer and shorter rounds.
    #[arg(long)]
    pub(crate) quick: bool,
    /// CSV: func_name,invoke_time_ms. What group `trace` replays.
    #[arg(long, requires = "metadata")]
    pub(crate) trace: Option<PathBuf>,
    /// CSV: func_name,cold_dur_ms,warm_dur_ms,mem_mb,…; of its functions.
    #[arg(long)]
    pub(crate) metadata: Option<PathBuf>,
    /// Where group `trace` writes what it measured, for `sim trace`.
    #[arg(long, default_value = "target/trace")]
    pub(crate) trace_out: PathBuf,
    /// Only these groups of rows.
    #[arg(long, value_delimiter = ',')]
    pub(crate) only: Vec<Group>,
    /// More options for `lambent up`, one word each.
    #[arg(long = "up-option", allow_hyphen_values = true)]
    pub(crate) up_options: Vec<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Part {
    /// The floor of the payload rows: a plain echo server; started by the bench
    #[command(hide = true)]
    EchoServer,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Group {
    /// The decisions by themselves; alone they need no platform
    Decide,
    Platform,
    Launch,
    Warm,
    Processes,
    /// All managers of an installation of processes are replaced under load
    Rings,
    /// A trace at its own speed; only with --trace and --metadata
    Trace,
    Throughput,
    Payload,
    Cold,
    Burst,
}

impl Args {
    pub(crate) fn wants(&self, group: Group) -> bool {
        let given = group != Group::Trace || self.trace.is_some();
        given && (self.only.is_empty() || self.only.contains(&group))
    }

    /// Whether any group measures a running platform.
    pub(crate) fn wants_platform(&self) -> bool {
        self.only.is_empty() || self.only.iter().any(|group| *group != Group::Decide)
    }

    pub(crate) fn amounts(&self) -> Amounts {
        if self.quick { QUICK } else { FULL }
    }
}

/// How much is done of what.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Amounts {
    pub(crate) starts: usize,
    pub(crate) warm_rounds: usize,
    pub(crate) warm_calls: usize,
    pub(crate) load_rounds: usize,
    pub(crate) load_us: u64,
    pub(crate) payload_rounds: usize,
    pub(crate) payload_calls: usize,
    pub(crate) cold_functions: usize,
    pub(crate) burst_rounds: usize,
    pub(crate) creation_us: u64,
    /// Before, during and after a change of the ring, each.
    pub(crate) ring_us: u64,
    /// Of a trace.
    pub(crate) trace_us: u64,
}

const FULL: Amounts = Amounts {
    starts: 10,
    warm_rounds: 150,
    warm_calls: 50,
    load_rounds: 3,
    load_us: 1_500_000,
    payload_rounds: 5,
    payload_calls: 8,
    cold_functions: 25,
    burst_rounds: 5,
    creation_us: 10_000_000,
    ring_us: 10_000_000,
    trace_us: u64::MAX,
};

const QUICK: Amounts = Amounts {
    starts: 5,
    warm_rounds: 30,
    warm_calls: 50,
    load_rounds: 3,
    load_us: 250_000,
    payload_rounds: 3,
    payload_calls: 4,
    cold_functions: 20,
    burst_rounds: 3,
    creation_us: 2_000_000,
    ring_us: 3_000_000,
    trace_us: 20_000_000,
};

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn definitions_are_sound() {
        Args::command().debug_assert();
    }

    #[test]
    fn groups_are_chosen_by_name() {
        let args = Args::try_parse_from(["bench", "--only", "warm,cold"]).unwrap();
        assert!(args.wants(Group::Warm) && args.wants(Group::Cold) && !args.wants(Group::Burst));
        let decide = Args::try_parse_from(["bench", "--only", "decide"]).unwrap();
        assert!(args.wants_platform() && !decide.wants_platform());
        let all = Args::try_parse_from(["bench", "--quick"]).unwrap();
        assert!(all.wants(Group::Burst));
        assert!(all.amounts().load_us < FULL.load_us);
    }
}
