//! The `sim` program: plays traces, seeds and stories from the command line. What
//! is played stands in the library; here are only arguments and printing.

use std::{fs, ops::Range, path::PathBuf, time::Duration};

use anyhow::Context;
use clap::{Parser, Subcommand};
use decide::Dice;
use model::{Now, Span};
use sim::{
    Config, Workload,
    naive::{self, Came, Router},
    optimum::{Init, cold_starts},
    plot::Group,
    region::{self, Arrivals, Distributions, Incident, Population},
    run,
    whole::Verdict,
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
    /// Play a region: many frontends, managers, workers and functions.
    Region(Region),
    /// Play schedules of the whole system: real roles, false network, faults.
    Whole(Whole),
    /// Tell one story.
    Story { file: PathBuf },
}

#[derive(clap::Args)]
struct Whole {
    /// The first seed and the one after the last: 0..10000, or one seed.
    #[arg(long, default_value = "0..1000", value_parser = seeds)]
    seeds: Range<u64>,
    /// Go on behind the last seed until so much time has passed.
    #[arg(long)]
    hours: Option<f64>,
    /// Schedules at the same time; as many as there are processors, where absent.
    #[arg(long)]
    jobs: Option<usize>,
    /// Print every event of each.
    #[arg(long)]
    log: bool,
    /// With it, what the roles themselves say, on standard error: `info,manager=trace`.
    #[arg(long, requires = "log")]
    trace: Option<String>,
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
    /// Write a chart of ours beside the controls to this SVG file.
    #[arg(long)]
    plot: Option<PathBuf>,
    /// What `bench --only trace` measured of the same calls with the real platform: it
    /// stands first in the table and in the chart.
    #[arg(long)]
    real: Option<PathBuf>,
    /// Print every event.
    #[arg(long)]
    log: bool,
}

#[derive(clap::Args)]
struct Region {
    /// Folder with invokesCDF.csv, execTimeCDF.csv, memCDF.csv and CVs.csv (value,share);
    /// a rough shape of the Azure 2019 trace where absent.
    #[arg(long)]
    distributions: Option<PathBuf>,
    #[arg(long, default_value_t = 1)]
    seed: u64,
    #[arg(long, default_value_t = 1_000_000)]
    functions: usize,
    #[arg(long, default_value_t = 100)]
    frontends: usize,
    #[arg(long, default_value_t = 1_000)]
    managers: usize,
    #[arg(long, default_value_t = 1_000)]
    workers: usize,
    /// Environments of one worker.
    #[arg(long, default_value_t = 100)]
    slots: u32,
    /// Environments that run on average, in percent of all slots.
    #[arg(long, default_value_t = 30)]
    load: u32,
    #[arg(long, default_value_t = 600)]
    seconds: u64,
    /// All managers of one of three zones are lost at this second.
    #[arg(long)]
    zone_lost_at: Option<u64>,
}

fn main() -> anyhow::Result<()> {
    match Cli::parse().what {
        What::Trace(args) => trace(&args),
        What::Fuzz { seeds, from } => fuzz(from, seeds),
        What::Worlds { seeds, from, log } => worlds(from, seeds, log),
        What::Region(args) => region(&args),
        What::Whole(args) => whole(&args),
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

fn region(args: &Region) -> anyhow::Result<()> {
    let from = match &args.distributions {
        Some(folder) => Distributions::read(folder)?,
        None => Distributions::rough(),
    };
    let slots = f64::from(args.slots) * args.workers as f64;
    let busy = slots * f64::from(args.load) / 100.0;
    let mut dice = Dice::new(args.seed);
    let population = Population::draw(&from, args.functions, busy, &mut dice);
    let lost = args
        .zone_lost_at
        .map(|second| (Now(0) + Span::secs(second), Incident::ZoneLost { zone: 0, of: 3 }));
    let config = region::Config {
        frontends: args.frontends,
        managers: args.managers,
        workers: args.workers,
        slots_per_worker: args.slots,
        managers_per_worker: args.managers.min(10),
        span: Span::secs(args.seconds),
        incidents: lost.into_iter().collect(),
        ..region::Config::default()
    };
    let began = own_cpu_nanos();
    let summary = region::play(&config, &population, &Arrivals::Drawn(config.span), args.seed);
    let nanos = own_cpu_nanos().saturating_sub(began).max(1);
    print!("{summary}");
    let per_second = summary.decisions as f64 * 1e9 / nanos as f64;
    println!(
        "processor             {:.1} s, of which events and heap are part",
        nanos as f64 / 1e9
    );
    println!("decisions a second    {per_second:.0}");
    println!("a decision            {:.0} ns", nanos as f64 / summary.decisions.max(1) as f64);
    println!("a call                {:.2} us", nanos as f64 / summary.calls.max(1) as f64 / 1e3);
    if let Some(second) = args.zone_lost_at.map(|second| second as usize) {
        let before = summary.warm_permille(second.saturating_sub(60)..second);
        let after = summary.warm_permille(second + 3..second + 63);
        println!("warm around the loss  {before} before, {after} after, in thousandths");
    }
    Ok(())
}

/// Processor time of this program so far; 0 where the system does not tell.
fn own_cpu_nanos() -> u64 {
    let text = fs::read_to_string("/proc/self/schedstat").unwrap_or_default();
    text.split_whitespace().next().and_then(|word| word.parse().ok()).unwrap_or(0)
}

fn seeds(text: &str) -> Result<Range<u64>, String> {
    let number = |text: &str| text.parse::<u64>().map_err(|error| format!("{text}: {error}"));
    match text.split_once("..") {
        Some((from, to)) => Ok(number(from)?..number(to)?),
        None => number(text).map(|seed| seed..seed + 1),
    }
}

#[expect(clippy::disallowed_methods, reason = "people are told how long it took")]
fn whole(args: &Whole) -> anyhow::Result<()> {
    if let Some(filter) = &args.trace {
        platform::telemetry::start(platform::telemetry::LogStyle::Text, filter)?;
    }
    let began = std::time::Instant::now();
    let until = args.hours.map(|hours| Duration::from_secs_f64(hours * 3_600.0));
    let more = |seed: u64| match until {
        Some(until) => began.elapsed() < until,
        None => seed < args.seeds.end,
    };
    let cores = || std::thread::available_parallelism().map_or(1, usize::from);
    let jobs = if args.log { 1 } else { args.jobs.unwrap_or_else(cores) };
    let tell = |verdict: &Verdict| {
        let Verdict { seed, digest, violations, .. } = verdict;
        if args.log {
            println!("seed {seed} digest {digest:032x}");
        }
        if !violations.is_empty() {
            println!("whole {seed} failed; again: sim whole --seeds {seed} --log");
            violations.iter().for_each(|what| println!("    {what}"));
        }
    };
    let sum = sim::whole::play_many(jobs, args.seeds.start, args.log, more, tell)?;
    let secs = began.elapsed().as_secs_f64();
    let per_sec = sum.schedules as f64 / secs.max(0.001);
    println!("{sum}, {secs:.1} s, {per_sec:.1} schedules/s");
    let (failed, all) = (&sum.failed, sum.schedules);
    anyhow::ensure!(failed.is_empty(), "{} of {all} seeds failed: {failed:?}", failed.len());
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
    let ours = Came {
        cold: outcome.cold,
        refused: outcome.refused_sum(),
        memory_mb_secs: outcome.memory_mb_secs,
        worst_p99_permille: outcome.worst_p99_permille,
    };
    beside_controls(args, &workload, ours)
}

/// Ours, a fixed keep-alive of ten minutes without a limit of memory, and two naive
/// routers over the same workers with the same keep-alive.
fn beside_controls(args: &Trace, workload: &Workload, ours: Came) -> anyhow::Result<()> {
    let (workers, memory) = (args.workers, args.memory_mb.unwrap_or(1 << 40));
    let keep = Span::secs(600);
    let naive =
        |router, workers, memory| naive::play(workload, router, workers, memory, keep, args.seed);
    let mut all = vec![
        (if args.real.is_some() { "ours, simulated" } else { "ours" }, ours),
        ("keep-alive 10 min", naive(Router::LeastLoaded, 1, u64::MAX / 2)),
        ("random router", naive(Router::Random, workers, memory)),
        ("least-loaded router", naive(Router::LeastLoaded, workers, memory)),
    ];
    if let Some(path) = &args.real {
        all.insert(0, ("ours, for real", measured(path, workload)?));
    }
    println!("\n{:<20}{:>8}{:>9}{:>12}{:>12}", "policy", "cold", "refused", "MB s", "worst p99");
    for (name, came) in &all {
        let worst = came.worst_p99_permille as f64 / 1e3;
        let (cold, refused, memory) = (came.cold, came.refused, came.memory_mb_secs);
        println!("{name:<20}{cold:>8}{refused:>9}{memory:>12}{worst:>12.1}");
    }
    let Some(path) = &args.plot else { return Ok(()) };
    let group = |title: &str, of: fn(&Came) -> f64| Group {
        title: title.to_owned(),
        bars: all.iter().map(|(name, came)| ((*name).to_owned(), of(came))).collect(),
    };
    let optimum = |name: &str, init| (name.to_owned(), cold_starts(workload, init) as f64);
    let mut cold = group("cold starts", |came| came.cold as f64);
    cold.bars.push(optimum("offline optimum", Init::Instant));
    if args.real.is_some() {
        cold.bars.push(optimum("the same, own inits", Init::Own));
    }
    let groups = [
        cold,
        group("calls refused", |came| came.refused as f64),
        group("memory x time, GB s", |came| came.memory_mb_secs as f64 / 1e3),
        group("worst function: p99 of response / run time", |came| {
            came.worst_p99_permille as f64 / 1e3
        }),
    ];
    let title = match &args.real {
        Some(_) => "A trace for real, beside simulated controls",
        None => "A trace, ours beside controls",
    };
    let chart = sim::plot::bars(title, &groups);
    fs::write(path, chart).with_context(|| format!("writing {}", path.display()))
}

/// Refused where it is of other calls than the workload's.
fn measured(path: &PathBuf, workload: &Workload) -> anyhow::Result<Came> {
    let figures: serde_json::Value = serde_json::from_str(&read(path)?)?;
    let number = |name: &str| {
        let value = figures[name].as_f64();
        value.with_context(|| format!("{} has no {name}", path.display()))
    };
    let calls = number("calls")?;
    anyhow::ensure!(
        calls == workload.calls.len() as f64,
        "{} is of {calls} calls, the trace has {}",
        path.display(),
        workload.calls.len()
    );
    Ok(Came {
        cold: number("cold")? as u64,
        refused: number("refused")? as u64,
        memory_mb_secs: number("memory_mb_secs")? as u64,
        worst_p99_permille: (number("worst_p99")? * 1e3) as u64,
    })
}
