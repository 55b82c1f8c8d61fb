//! Row group *platform*: from no process to the first answer, what the platform
//! holds at rest, and how large its program is. Floor of the start: the same
//! program printing its version.

use std::{
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::{Context, bail};
use platform::Clock;

use crate::{
    args::Amounts,
    ground::{Ground, micros},
    report::Row,
    running::{Program, Running},
    sample::Samples,
    tree,
};

const GROUP: &str = "platform";
/// What is done once after a start is over by then.
const REST: Duration = Duration::from_secs(1);

/// Starts and stops platforms of its own, on new and on known data.
pub(crate) fn measure(
    clock: &Clock,
    program: &Program,
    amounts: Amounts,
    directory: &Path,
) -> anyhow::Result<Vec<Row>> {
    let [mut floor, mut fresh, mut again]: [Samples; 3] = Default::default();
    for round in 1..=amounts.starts {
        eprintln!("bench: platform, start {round} of {}", amounts.starts);
        floor.push(version_us(clock, &program.path)? / 1e3);
        let data = directory.join(format!("start-{round}"));
        std::fs::create_dir_all(&data)?;
        for samples in [&mut fresh, &mut again] {
            let running = Running::start(clock, program, &data)?;
            samples.push(micros(running.start_us) / 1e3);
            running.stop()?;
        }
    }
    let size = std::fs::metadata(&program.path)
        .with_context(|| format!("measuring {}", program.path.display()))?
        .len();
    let note = "`lambent version`";
    Ok(vec![
        Row::medians(GROUP, "start, new data", "ms", &fresh, Some(&floor), note),
        Row::medians(GROUP, "start, known data", "ms", &again, Some(&floor), note),
        Row::single(GROUP, "binary", "MB", micros(size) / 1e6, "as built, with line tables"),
        Row::single(GROUP, "binary, stripped", "MB", stripped_mb(program, directory)?, "by strip"),
    ])
}

fn stripped_mb(program: &Program, directory: &Path) -> anyhow::Result<f64> {
    let stripped = directory.join("stripped");
    let status = Command::new("strip").arg("-o").arg(&stripped).arg(&program.path).status();
    if !status.context("running strip; install binutils")?.success() {
        bail!("strip could not read {}", program.path.display());
    }
    Ok(micros(std::fs::metadata(stripped)?.len()) / 1e6)
}

fn version_us(clock: &Clock, program: &Path) -> anyhow::Result<f64> {
    let began = clock.now();
    let mut command = Command::new(program);
    let status = command.arg("version").stdin(Stdio::null()).stdout(Stdio::null()).status()?;
    if !status.success() {
        bail!("{} version ended with {status}", program.display());
    }
    Ok(micros(clock.now().since(began).as_micros()))
}

/// The platform's own processes before it has been asked for anything.
pub(crate) fn memory_at_rest(ground: &Ground<'_>) -> Vec<Row> {
    std::thread::sleep(REST);
    memory(ground, "at rest, no functions")
}

/// The platform's own process, whatever it runs for others.
pub(crate) fn memory_after(ground: &Ground<'_>) -> Vec<Row> {
    std::thread::sleep(REST);
    let root = ground.running.pid();
    let kib = tree::memory_kib(root, "Rss").unwrap_or(0);
    vec![Row::single(GROUP, "RSS, after all rows", "MiB", micros(kib) / 1024.0, "main process")]
}

fn memory(ground: &Ground<'_>, when: &str) -> Vec<Row> {
    let root = ground.running.pid();
    let all: Vec<u32> = std::iter::once(root).chain(tree::descendants(root)).collect();
    let sum = |field: &str| all.iter().filter_map(|pid| tree::memory_kib(*pid, field)).sum::<u64>();
    let own = tree::memory_kib(root, "Rss").unwrap_or(0);
    let processes = format!("{} processes together", all.len());
    vec![
        Row::single(GROUP, format!("RSS, {when}"), "MiB", micros(own) / 1024.0, "main process"),
        Row::single(GROUP, format!("PSS, {when}"), "MiB", micros(sum("Pss")) / 1024.0, processes),
    ]
}
