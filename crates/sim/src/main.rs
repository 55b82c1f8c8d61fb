//! The `sim` program: plays traces, seeds and stories from the command line.

use std::{fs, path::PathBuf};

use anyhow::Context;
use clap::{Parser, Subcommand};
use model::Span;
use sim::{
    Config, Workload,
    optimum::{Init, cold_starts},
    run,
};

#[derive(Parser)]
#[command(name = "sim", about = "Plays workloads through the decision machines, in virtual time")]
struct Cli {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Play a trace file and compare with the offline optimum.
    Trace(Trace),
}

#[derive(clap::Args)]
struct Trace {
    /// CSV: func_name,invoke_time_ms
    #[arg(long)]
    trace: PathBuf,
    /// CSV: func_name,cold_dur_ms,warm_dur_ms,mem_mb,…
    #[arg(long)]
    metadata: PathBuf,
    #[arg(long, default_value_t = 1)]
    seed: u64,
    #[arg(long, default_value_t = 1)]
    managers: usize,
    #[arg(long, default_value_t = 1)]
    workers: usize,
    #[arg(long, default_value_t = 1)]
    frontends: usize,
    /// Memory of each worker; unlimited where absent.
    #[arg(long)]
    memory_mb: Option<u64>,
    #[arg(long, default_value_t = 100_000)]
    concurrency: u32,
    /// Every init takes this long instead of what the metadata says.
    #[arg(long)]
    init_ms: Option<u64>,
    /// Give every waiting call a start of its own.
    #[arg(long)]
    no_patience: bool,
    /// Print every event.
    #[arg(long)]
    log: bool,
}

fn main() -> anyhow::Result<()> {
    match Cli::parse().what {
        What::Trace(args) => trace(&args),
    }
}

fn trace(args: &Trace) -> anyhow::Result<()> {
    let read = |path: &PathBuf| {
        fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))
    };
    let mut workload = Workload::parse(&read(&args.trace)?, &read(&args.metadata)?)?;
    if let Some(ms) = args.init_ms {
        workload = workload.with_init(Span::millis(ms));
    }
    let config = Config {
        frontends: args.frontends,
        managers: args.managers,
        workers: args.workers,
        worker_memory_mb: args.memory_mb.unwrap_or(Config::default().worker_memory_mb),
        concurrency: args.concurrency,
        patience: !args.no_patience,
        keep_log: args.log,
        ..Config::default()
    };
    let outcome = run(&config, &workload, args.seed);
    if let Some(log) = &outcome.log {
        print!("{log}");
    }
    print!("{outcome}");
    println!("optimum, instant    {}", cold_starts(&workload, Init::Instant));
    println!("optimum, own inits  {}", cold_starts(&workload, Init::Own));
    Ok(())
}
