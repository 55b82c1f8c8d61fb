//! Start, end, freeze, kill, teardown.

use sandbox::{ExitStatus, LaunchError, Launcher};

use crate::stage::{PYTHON, code, inside, launch, outcome, run, spawner, spec};

#[test]
fn a_program_runs_and_its_status_arrives() {
    run(async {
        let (code, spawner) = (code(), spawner());
        let cases = [
            ("exit 0", ExitStatus::Code(0)),
            ("exit 7", ExitStatus::Code(7)),
            ("kill -9 $$", ExitStatus::Signal(9)),
            ("kill -15 $$", ExitStatus::Signal(15)),
        ];
        for (script, expected) in cases {
            let spec = spec("status", code.path(), &["/bin/sh", "-c", script]);
            let (_, stderr, exit) = outcome(&spawner, spec).await;
            assert_eq!(exit.status, expected, "{script}: {stderr}");
            assert!(!exit.out_of_memory);
        }
    });
}
