//! The `sim` program: plays traces, seeds and stories from the command line. What
//! is played stands in the library; here are only arguments and printing.

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
    /// Play random transitions of one book beside the reference model.
    Fuzz {
        /// How many seeds.
        #[arg(long, default_value_t = 1_000)]
        seeds: u64,
        /// The first of them.
        #[arg(long, default_value_t = 0)]
        from: u64,
    },
    /// Play whole worlds with faults, and check every invariant.
    Worlds {
        #[arg(long, default_value_t = 100)]
        seeds: u64,
        #[arg(long, default_value_t = 0)]
        from: u64,
        /// Print every event as it happens.
        #[arg(long)]
        log: bool,
    },
    /// Tell one story.
    Story { file: PathBuf },
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
        What::Fuzz { seeds, from } => fuzz(from, seeds),
        What::Worlds { seeds, from, log } => worlds(from, seeds, log),
        What::Story { file } => {
            let script = read(&file)?;
            print!("{}", sim::story::tell(&script)?);
            Ok(())
        }
    }
}

fn fuzz(from: u64, seeds: u64) -> anyhow::Result<()> {
    let mut parted = 0_u64;
    for seed in from..from + seeds {
        if let Err(error) = sim::fuzz::play(seed) {
            println!("{error}");
            parted += 1;
        }
    }
    anyhow::ensure!(parted == 0, "{parted} of {seeds} seeds failed");
    println!("{seeds} seeds, books and the model agree");
    Ok(())
}

fn worlds(from: u64, seeds: u64, log: bool) -> anyhow::Result<()> {
    for seed in from..from + seeds {
        // Named first: a broken invariant ends the program.
        print!("seed {seed} ");
        println!("digest {:032x}", sim::fuzz::play_world(seed, log).digest);
    }
    Ok(())
}

fn read(path: &PathBuf) -> anyhow::Result<String> {
    fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))
}

fn trace(args: &Trace) -> anyhow::Result<()> {
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
