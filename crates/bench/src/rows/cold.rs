//! Row group *cold*: the first call of functions that never ran, no stock of any
//! kind, phase by phase, and the memory that their environments hold afterwards.
//! Floors: the bare interpreter starting and ending, a static program likewise.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::{Context, bail};
use base64::{Engine, engine::general_purpose::STANDARD};

use crate::{
    connection::Connection,
    functions::{KINDS, Kind},
    ground::{EVENT, Ground, MANY_MEMORY_MB, expect_ok, micros},
    message,
    report::Row,
    sample::Samples,
    tree,
};

const GROUP: &str = "cold";
const MEMORY: &str = "memory";
/// After it, what an environment does once after its first call is done.
const REST: Duration = Duration::from_secs(2);

/// What first calls of one kind took, in milliseconds.
#[derive(Debug, Default)]
struct Taken {
    call: Samples,
    init: Samples,
    run: Samples,
    rest: Samples,
    floor: Samples,
    /// Of each environment.
    processes: Vec<BTreeSet<u32>>,
}

pub(crate) fn measure(ground: &Ground<'_>) -> anyhow::Result<Vec<Row>> {
    let functions = ground.amounts.cold_functions;
    eprintln!("bench: cold, creating {functions} functions of each kind");
    let mut deployer = ground.deployer()?;
    for kind in KINDS {
        let zip = ground.functions.zip(kind)?;
        for number in 0..functions {
            deployer.create(&name(kind, number), kind, &zip, MANY_MEMORY_MB)?;
        }
    }
    let mut taken: [Taken; 3] = Default::default();
    let mut connection = Connection::open(ground.running.address)?;
    expect_ok(connection.call(&ground.health())?)?;
    for number in 0..functions {
        eprintln!("bench: cold, function {} of {functions} of each kind", number + 1);
        for (kind, taken) in KINDS.into_iter().zip(&mut taken) {
            first_call(ground, &mut connection, kind, number, taken)?;
            taken.floor.push(bare_start_ms(ground, kind)?);
        }
    }
    let mut rows = Vec::new();
    for (kind, taken) in KINDS.into_iter().zip(&taken) {
        rows.extend(rows_of(kind, taken));
    }
    std::thread::sleep(REST);
    for (kind, taken) in KINDS.into_iter().zip(&taken) {
        rows.push(idle_memory(ground, kind, taken)?);
    }
    for kind in KINDS {
        for number in 0..functions {
            deployer.delete(&name(kind, number))?;
        }
    }
    Ok(rows)
}

fn name(kind: Kind, number: usize) -> String {
    format!("cold-{}-{number}", kind.name())
}

fn first_call(
    ground: &Ground<'_>,
    connection: &mut Connection,
    kind: Kind,
    number: usize,
    taken: &mut Taken,
) -> anyhow::Result<()> {
    let request = ground.tail_request(&name(kind, number), EVENT);
    let before = tree::descendants(ground.running.pid());
    let began = ground.clock.now();
    let answer = connection.ask(&request)?;
    let call = micros(ground.clock.now().since(began).as_micros()) / 1e3;
    expect_ok(answer.status)?;
    if message::header(&answer.head, "x-amz-function-error").is_some() {
        bail!("a first call failed: {}", String::from_utf8_lossy(&answer.body));
    }
    let after = tree::descendants(ground.running.pid());
    taken.processes.push(after.difference(&before).copied().collect());
    taken.call.push(call);
    let tail = message::header(&answer.head, "x-amz-log-result").unwrap_or("");
    let tail = String::from_utf8(STANDARD.decode(tail)?)?;
    if let (Some(run), Some(init)) =
        (figure(&tail, "\tDuration: "), figure(&tail, "Init Duration: "))
    {
        taken.init.push(init);
        taken.run.push(run);
        taken.rest.push(call - init - run);
    }
    Ok(())
}

/// Milliseconds after a label of the REPORT line.
fn figure(tail: &str, label: &str) -> Option<f64> {
    let report = &tail[tail.rfind("REPORT RequestId")?..];
    let (_, after) = report.split_once(label)?;
    after.split_once(" ms")?.0.parse().ok()
}

/// The least that a start of this kind costs, without any isolation.
fn bare_start_ms(ground: &Ground<'_>, kind: Kind) -> anyhow::Result<f64> {
    let (program, arguments) = bare(ground, kind);
    let began = ground.clock.now();
    run_bare(&program, arguments)?;
    Ok(micros(ground.clock.now().since(began).as_micros()) / 1e3)
}

pub(crate) fn nothing_ms(ground: &Ground<'_>) -> anyhow::Result<f64> {
    bare_start_ms(ground, Kind::Compiled)
}

fn bare(ground: &Ground<'_>, kind: Kind) -> (PathBuf, &'static [&'static str]) {
    match kind {
        Kind::Python => (ground.args.python.clone(), &["-S", "-c", "pass"]),
        Kind::Node => (ground.args.node.clone(), &["-e", "0"]),
        Kind::Compiled => (ground.functions.nothing.clone(), &[]),
    }
}

fn run_bare(program: &Path, arguments: &[&str]) -> anyhow::Result<()> {
    let mut command = Command::new(program);
    let status = command.args(arguments).env_clear().stdin(Stdio::null()).status();
    let status = status.with_context(|| format!("starting {}", program.display()))?;
    if !status.success() {
        bail!("{} ended with {status}", program.display());
    }
    Ok(())
}

fn rows_of(kind: Kind, taken: &Taken) -> Vec<Row> {
    let floor = match kind {
        Kind::Python => "python3 -S -c pass",
        Kind::Node => "node -e 0",
        Kind::Compiled => "a static program that ends at once",
    };
    let row = |what: &str, samples, floor, note: &str| {
        Row::medians(GROUP, format!("{} {what}", kind.name()), "ms", samples, floor, note)
    };
    let mut rows = vec![row("first call", &taken.call, Some(&taken.floor), floor)];
    rows.push(Row::floor(GROUP, format!("{} bare start", kind.name()), "ms", &taken.floor, floor));
    if taken.init.median().is_some() {
        rows.push(row("- init", &taken.init, None, "REPORT: runtime start to ready"));
        rows.push(row("- run", &taken.run, None, "REPORT: event to response"));
        let rest = "the rest: HTTP, admission, code, answer, and the sandbox as in group launch";
        rows.push(row("- platform", &taken.rest, None, rest));
    }
    rows
}

fn idle_memory(ground: &Ground<'_>, kind: Kind, taken: &Taken) -> anyhow::Result<Row> {
    let alive = tree::descendants(ground.running.pid());
    // An environment may have been retired to make room for others.
    let kept: Vec<&BTreeSet<u32>> =
        taken.processes.iter().filter(|set| !set.is_disjoint(&alive)).collect();
    let here = kept.iter().flat_map(|set| set.intersection(&alive));
    let sizes: Vec<u64> = here.filter_map(|pid| tree::memory_kib(*pid, "Pss")).collect();
    if sizes.is_empty() {
        bail!("no process of an idle {} environment is visible", kind.name());
    }
    let mib = micros(sizes.iter().sum::<u64>()) / 1024.0 / micros(kept.len() as u64);
    let note = format!("{} environments, {} processes together", kept.len(), sizes.len());
    Ok(Row::single(MEMORY, format!("{} idle, PSS each", kind.name()), "MiB", mib, note))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phases_are_read_from_the_last_report() {
        let tail = "START RequestId: a\nREPORT RequestId: 1-2\tDuration: 1.25 ms\t\
                    Billed Duration: 2 ms\tMemory Size: 128 MB\tMax Memory Used: 9 MB\t\
                    Init Duration: 31.07 ms\t\n";
        assert_eq!(figure(tail, "\tDuration: "), Some(1.25));
        assert_eq!(figure(tail, "Init Duration: "), Some(31.07));
        assert_eq!(figure("START", "\tDuration: "), None);
    }

    #[test]
    fn a_bare_start_that_fails_is_no_floor() {
        assert!(run_bare(Path::new("/bin/true"), &[]).is_ok());
        assert!(run_bare(Path::new("/bin/false"), &[]).is_err());
        assert!(run_bare(Path::new("/no/such/program"), &[]).is_err());
    }
}
