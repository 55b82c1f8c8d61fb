//! Row group *launch*: what the isolation itself costs, phase by phase: a static
//! program that ends at once, in a sandbox made by the same spawner with the same
//! limits, without the platform around it. Floor: the program without a sandbox.

use std::path::Path;

use anyhow::{Context, bail};
use sandbox::{ExitStatus, LaunchTimings, Launcher, ScratchDisk, Spawner, Spec};

use crate::{
    ground::{Ground, MEMORY_MB, micros},
    report::Row,
    rows::cold,
    sample::Samples,
};

const GROUP: &str = "launch";
/// The platform's hidden subcommand that is its spawner.
const SPAWNER: &str = "sandbox-spawner";

type Phase = (&'static str, fn(&LaunchTimings) -> u64);
const PHASES: [Phase; 8] = [
    ("- control groups", |t| t.cgroup_us),
    ("- clone with namespaces", |t| t.clone_us),
    ("- join, user map", |t| t.join_us),
    ("- scratch on disk", |t| t.scratch_us),
    ("- mounts", |t| t.mounts_us),
    ("- network", |t| t.network_us),
    ("- rights, filter", |t| t.rights_us),
    ("- exec", |t| t.exec_us),
];

/// What a function has unless it asks for more.
const SCRATCH_BYTES: u64 = 512 * 1024 * 1024;

#[derive(Debug, Default)]
struct Taken {
    started: Samples,
    ended: Samples,
    gone: Samples,
    floor: Samples,
    phases: [Samples; PHASES.len()],
}

pub(crate) fn measure(ground: &Ground<'_>) -> anyhow::Result<Vec<Row>> {
    let folder = ground.functions.nothing.parent().context("a program without a folder")?;
    let program = std::fs::canonicalize(&ground.args.lambent)?;
    let executor = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let taken = executor.block_on(async {
        let images = tempfile::tempdir_in(disk_folder(&program)?)?;
        let disk = ScratchDisk { directory: images.path().to_owned(), usual_bytes: SCRATCH_BYTES };
        let spawner = Spawner::start_with_scratch(&program, &[SPAWNER], disk);
        let spawner = spawner.context("starting a spawner")?;
        let launcher = Launcher::Process(spawner);
        let mut taken = Taken::default();
        let rounds = ground.amounts.cold_functions;
        // The first round only warms up.
        for round in 0..=rounds {
            let mut fresh = Taken::default();
            one(ground, &launcher, folder, round, &mut fresh).await?;
            fresh.floor.push(cold::nothing_ms(ground)? * 1e3);
            if round > 0 {
                taken.add(&fresh);
            }
        }
        anyhow::Ok(taken)
    })?;
    Ok(rows(&taken))
}

/// Beside the program: temporary directories may be memory.
fn disk_folder(program: &Path) -> anyhow::Result<&Path> {
    program.parent().context("a program without a folder")
}

impl Taken {
    fn add(&mut self, fresh: &Taken) {
        self.started.extend(&fresh.started);
        self.ended.extend(&fresh.ended);
        self.gone.extend(&fresh.gone);
        self.floor.extend(&fresh.floor);
        for (phase, fresh) in self.phases.iter_mut().zip(&fresh.phases) {
            phase.extend(fresh);
        }
    }
}

async fn one(
    ground: &Ground<'_>,
    launcher: &Launcher,
    folder: &Path,
    round: usize,
    taken: &mut Taken,
) -> anyhow::Result<()> {
    let began = ground.clock.now();
    let since = || micros(ground.clock.now().since(began).as_micros());
    let sandbox = launcher.launch(spec(folder, round)).await?;
    taken.started.push(since());
    let exit = sandbox.wait().await;
    taken.ended.push(since());
    if exit.status != ExitStatus::Code(0) {
        bail!("a program that does nothing ended with {:?}", exit.status);
    }
    let timings = sandbox.timings().context("a sandbox without timings")?;
    sandbox.dispose().await;
    taken.gone.push(since());
    for (samples, (_, of)) in taken.phases.iter_mut().zip(PHASES) {
        samples.push(micros(of(&timings)));
    }
    Ok(())
}

/// As the worker asks for a compiled function.
fn spec(folder: &Path, round: usize) -> Spec {
    Spec {
        id: format!("bench-{round}"),
        code: folder.to_owned(),
        runtime: None,
        opt: None,
        binds: Vec::new(),
        argv: vec!["/var/task/nothing".into()],
        env: Vec::new(),
        cwd: "/var/task".into(),
        memory_bytes: u64::from(MEMORY_MB) * 1024 * 1024,
        cpu_millis: 1_000,
        pids_max: model::limits::SANDBOX_PIDS_MAX,
        scratch_bytes: SCRATCH_BYTES,
        hostname: "bench".into(),
    }
}

fn rows(taken: &Taken) -> Vec<Row> {
    let row = |measure: &str, samples, floor, note: &str| {
        Row::medians(GROUP, measure, "µs", samples, floor, note)
    };
    let mut rows = vec![
        row(
            "static program, begun and ended",
            &taken.ended,
            Some(&taken.floor),
            "without a sandbox",
        ),
        row("launch until its image is loaded", &taken.started, None, "asked of the spawner"),
    ];
    for (samples, (name, _)) in taken.phases.iter().zip(PHASES) {
        rows.push(row(name, samples, None, "as the launch reports it"));
    }
    rows.push(row("until nothing of it runs", &taken.gone, None, "with the teardown's wait"));
    rows
}
