//! Measures the platform from outside, beside the floors it stands on: starts
//! `lambent up`, deploys functions through the public API, calls them, prints
//! rows of *ours, floor, ratio* and stops it. It imports none of the platform's
//! roles and asserts nothing: timings are never tests.
#![forbid(unsafe_code)]

mod args;
mod connection;
mod deploy;
mod direct;
mod direct_api;
mod echo_server;
mod fleet;
mod functions;
mod ground;
mod load;
mod machine;
mod message;
mod page;
mod placement;
mod replay;
mod report;
mod rows;
mod running;
mod sample;
mod sign;
mod tree;

use std::{
    io::{self, Write},
    process::ExitCode,
};

use anyhow::Context;
use clap::Parser;
use platform::Clock;

use crate::{
    args::{Args, Group, Part},
    functions::Functions,
    ground::Ground,
    report::Row,
    running::{Program, Running},
};

fn main() -> ExitCode {
    let args = Args::parse();
    let done = match args.part {
        Some(Part::EchoServer) => echo_server::serve().map(|()| true),
        None => run(&args),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Says whether every group could be measured.
fn run(args: &Args) -> anyhow::Result<bool> {
    let clock = Clock::system();
    let machine = machine::describe();
    let mut rows = Vec::new();
    let mut whole = true;
    if args.wants(Group::Decide) {
        whole &= take(&mut rows, "decide", rows::decide::measure(args.quick));
    }
    if args.wants_platform() {
        whole &= platform(args, &clock, &mut rows)?;
    }
    let mut out = io::stdout().lock();
    writeln!(out, "{machine}\nload after the run: {}\n", machine::load())?;
    out.write_all(report::table(&rows).as_bytes())?;
    if let Some(path) = &args.out {
        let written = report::write_lines(path, &machine, &rows);
        written.with_context(|| format!("writing {}", path.display()))?;
    }
    Ok(whole)
}

/// The groups that measure a running platform.
fn platform(args: &Args, clock: &Clock, rows: &mut Vec<Row>) -> anyhow::Result<bool> {
    let directory = tempfile::tempdir().context("making a temporary directory")?;
    let program = Program { path: args.lambent.clone(), options: args.up_options.clone() };
    let mut whole = true;
    if args.wants(Group::Platform) {
        let measured = rows::start::measure(clock, &program, args.amounts(), directory.path());
        whole &= take(rows, "platform", measured);
    }
    let functions = Functions::prepare(&directory.path().join("functions"), args)?;
    let place = directory.path().join("main");
    std::fs::create_dir_all(&place)?;
    let running = Running::start(clock, &program, &place)?;
    let ground = Ground {
        args,
        amounts: args.amounts(),
        clock,
        running: &running,
        access: &running.access()?,
        functions: &functions,
    };
    whole &= groups(&ground, rows)?;
    running.stop()?;
    Ok(whole)
}

type Measure = fn(&Ground<'_>) -> anyhow::Result<Vec<Row>>;

/// In an order in which no group finds what another left behind, save warm
/// environments where it wants them.
const GROUPS: [(Group, &str, Measure); 9] = [
    (Group::Launch, "launch", rows::launch::measure),
    (Group::Cold, "cold", rows::cold::measure),
    (Group::Burst, "burst", rows::burst::measure),
    (Group::Warm, "warm", rows::warm::measure),
    (Group::Processes, "processes", rows::processes::measure),
    (Group::Rings, "rings", rows::rings::measure),
    (Group::Trace, "trace", rows::trace::measure),
    (Group::Payload, "payload", rows::payload::measure),
    (Group::Throughput, "throughput", rows::throughput::measure),
];

fn groups(ground: &Ground<'_>, rows: &mut Vec<Row>) -> anyhow::Result<bool> {
    if ground.args.wants(Group::Platform) {
        rows.extend(rows::start::memory_at_rest(ground));
    }
    ground.deploy_echoes()?;
    let mut whole = true;
    for (group, name, measure) in GROUPS {
        if ground.args.wants(group) {
            whole &= take(rows, name, measure(ground));
        }
    }
    if ground.args.wants(Group::Platform) {
        rows.extend(rows::start::memory_after(ground));
    }
    Ok(whole)
}

/// A group that cannot be measured is said and leaves the others alone.
fn take(rows: &mut Vec<Row>, name: &str, measured: anyhow::Result<Vec<Row>>) -> bool {
    match measured {
        Ok(measured) => {
            rows.extend(measured);
            true
        }
        Err(error) => {
            eprintln!("bench: {name} could not be measured: {error:#}");
            false
        }
    }
}
