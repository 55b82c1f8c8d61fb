//! Measures launches on this machine: microseconds of each phase and of the way from
//! the request to the exit, median and 90 %. Run it in a release build.
//! `launch_timings <spawner program> <code directory> <program> [arguments…]`; with
//! `SCRATCH=<directory>` in the environment, scratch is on disk.

use std::path::Path;

use rustix::time::{ClockId, clock_gettime};
use sandbox::{Launcher, ScratchDisk, Spawner, Spec};

const ROUNDS: usize = 100;
const SCRATCH_BYTES: u64 = 512 << 20;

fn now_us() -> i64 {
    let now = clock_gettime(ClockId::Monotonic);
    now.tv_sec * 1_000_000 + now.tv_nsec / 1000
}

fn main() {
    let mut args = std::env::args().skip(1);
    let mut next = || args.next().expect("spawner, code directory, program");
    let (spawner, code, program) = (next(), next(), next());
    let argv: Vec<String> = std::iter::once(program).chain(args).collect();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("runtime").block_on(async {
        let launcher = Launcher::Process(start(Path::new(&spawner)));
        let mut rounds = Vec::new();
        for round in 0..ROUNDS {
            let spec = spec(format!("time-{round}"), &code, argv.clone());
            let begin = now_us();
            let sandbox = launcher.launch(spec).await.expect("launch");
            let launched = now_us();
            sandbox.wait().await;
            let ended = now_us();
            let t = sandbox.timings().expect("a process sandbox");
            sandbox.dispose().await;
            let phases = [
                t.cgroup_us,
                t.scratch_us,
                t.clone_us,
                t.join_us,
                t.mounts_us,
                t.network_us,
                t.rights_us,
                t.exec_us,
            ];
            let mut row: Vec<i64> = phases.iter().map(|us| us.cast_signed()).collect();
            row.extend([launched - begin, ended - begin]);
            rounds.push(row);
        }
        let names = [
            "cgroup", "scratch", "clone", "join", "mounts", "network", "rights", "exec", "LAUNCH",
            "TO EXIT",
        ];
        for (column, name) in names.iter().enumerate() {
            let mut values: Vec<i64> = rounds.iter().map(|row| row[column]).collect();
            values.sort_unstable();
            println!("{name:8} p50 {:6} p90 {:6} us", values[ROUNDS / 2], values[ROUNDS * 9 / 10]);
        }
    });
}

fn start(program: &Path) -> Spawner {
    let spawner = match std::env::var_os("SCRATCH") {
        None => Spawner::start(program, &[]),
        Some(directory) => {
            let disk = ScratchDisk { directory: directory.into(), usual_bytes: SCRATCH_BYTES };
            Spawner::start_with_scratch(program, &[], disk)
        }
    };
    let spawner = spawner.expect("spawner");
    println!("missing: {:?}", spawner.missing_limits());
    spawner
}

fn spec(id: String, code: &str, argv: Vec<String>) -> Spec {
    Spec {
        id,
        code: code.into(),
        runtime: None,
        opt: None,
        binds: Vec::new(),
        argv,
        env: Vec::new(),
        cwd: "/var/task".into(),
        memory_bytes: 256 << 20,
        cpu_millis: 1000,
        pids_max: 64,
        scratch_bytes: SCRATCH_BYTES,
        hostname: "sandbox".into(),
    }
}
