//! Start, end, freeze, kill, teardown: what is true of a sandbox as a whole, and
//! what is left on the host afterwards.

use std::{collections::BTreeSet, path::Path, process::Command, time::Duration};

use rustix::thread::{CpuSet, sched_getaffinity};
use sandbox::{ExitStatus, LaunchError, Launcher, Stage};

use crate::stage::{PYTHON, all, code, launch, outcome, run, spawner, spec};

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

#[test]
fn failures_of_a_launch_are_typed() {
    run(async {
        let (code, spawner) = (code(), spawner());
        std::fs::write(code.path().join("plain"), "no program").unwrap();
        let launcher = Launcher::Process(spawner.clone());
        let cases = [("/var/task/bootstrap", libc::ENOENT), ("/var/task/plain", libc::EACCES)];
        for (program, expected) in cases {
            let failed = launcher.launch(spec("bad", code.path(), &[program])).await.unwrap_err();
            assert!(matches!(failed, LaunchError::Exec { errno } if errno == expected), "{failed}");
        }
        let nowhere = spec("bad", Path::new("/no/such/code"), &["/bin/true"]);
        let failed = launcher.launch(nowhere).await.unwrap_err();
        let LaunchError::SetUp { stage: Stage::Sources, errno: libc::ENOENT } = failed else {
            panic!("{failed:?}");
        };
        let mut lost = spec("bad", code.path(), &["/bin/true"]);
        lost.cwd = "/nowhere".into();
        let failed = launcher.launch(lost).await.unwrap_err();
        assert!(matches!(failed, LaunchError::SetUp { stage: Stage::WorkingDirectory, .. }));
        // And the spawner still works.
        let (_, _, exit) = outcome(&spawner, spec("bad", code.path(), &["/bin/true"])).await;
        assert_eq!(exit.status, ExitStatus::Code(0));
    });
}

#[test]
fn languages_run() {
    run(async {
        let (code, spawner) = (code(), spawner());
        let source = code.path().join("hello.c");
        std::fs::write(&source, "#include <stdio.h>\nint main(){puts(\"hi\");return 0;}").unwrap();
        let mut compiler = Command::new("gcc");
        compiler.arg("-static").arg("-o").arg(code.path().join("hello")).arg(&source);
        assert!(compiler.status().unwrap().success());
        let threads = "import threading,socket,subprocess,ssl\nt=threading.Thread(target=print,args=('hi',)); t.start(); t.join()\nsubprocess.run(['/bin/true'],check=True)";
        let node = "require('worker_threads'); require('os').networkInterfaces(); new (require('worker_threads').Worker)('require(\"fs\").writeSync(1,\"hi\\\\n\")',{eval:true})";
        let cases: [&[&str]; 4] = [
            &["/var/task/hello"],
            &["/bin/sh", "-c", "echo hi | cat"],
            &[PYTHON, "-c", threads],
            &["/usr/bin/node", "-e", node],
        ];
        for argv in cases {
            let mut spec = spec("language", code.path(), argv);
            spec.memory_bytes = 512 << 20;
            let (text, stderr, exit) = outcome(&spawner, spec).await;
            assert_eq!(
                (text.as_str(), exit.status),
                ("hi\n", ExitStatus::Code(0)),
                "{argv:?} {stderr}"
            );
        }
    });
}

#[test]
fn channel_and_listener_reach_the_program() {
    run(async {
        let (code, spawner) = (code(), spawner());
        let script = "import os,socket\nos.write(3,b'up:'+os.read(3,9))\n\
s=socket.create_connection(('127.0.0.1',9001)); s.sendall(b'api'); s.recv(1)";
        let argv = [PYTHON, "-I", "-S", "-c", script];
        let mut sandbox = launch(&spawner, spec("channel", code.path(), &argv)).await;
        let (channel, listener) =
            (sandbox.take_channel().unwrap(), sandbox.take_listener().unwrap());
        assert!(sandbox.take_channel().is_none());
        let talk = tokio::task::spawn_blocking(move || {
            use std::io::{Read, Write};
            (&channel).write_all(b"ping").unwrap();
            let mut answer = [0; 7];
            (&channel).read_exact(&mut answer).unwrap();
            listener.set_nonblocking(false).unwrap();
            let (mut connection, _) = listener.accept().unwrap();
            let mut call = [0; 3];
            connection.read_exact(&mut call).unwrap();
            (answer, call)
        });
        assert_eq!(talk.await.unwrap(), (*b"up:ping", *b"api"));
        assert_eq!(sandbox.wait().await.status, ExitStatus::Code(0));
    });
}

#[test]
fn every_thread_is_held_to_a_core_and_let_go() {
    run(async {
        let (code, spawner) = (code(), spawner());
        let script = "import os,threading,time\n\
threading.Thread(target=lambda: time.sleep(60),daemon=True).start()\n\
while os.read(3,1):\n tasks=[int(t) for t in os.listdir('/proc/self/task')]\n \
sets=sorted({tuple(sorted(os.sched_getaffinity(t))) for t in tasks})\n \
os.write(3,f'{len(tasks)} {sets}'.ljust(99).encode())";
        let argv = [PYTHON, "-I", "-S", "-c", script];
        let mut sandbox = launch(&spawner, spec("cores", code.path(), &argv)).await;
        let channel = sandbox.take_channel().unwrap();
        let ask = || {
            use std::io::{Read, Write};
            let mut said = [0; 99];
            channel.set_nonblocking(false).unwrap();
            (&channel).write_all(b"?").unwrap();
            (&channel).read_exact(&mut said).unwrap();
            String::from_utf8_lossy(&said).trim().to_owned()
        };
        let free = ask();
        let core = rustix::thread::sched_getcpu();
        let mut one = CpuSet::new();
        one.set(core);
        let all = sched_getaffinity(None).unwrap();
        assert!(sandbox.hold_to_cores(&one).unwrap());
        assert_eq!(ask(), format!("2 [({core},)]"));
        assert!(sandbox.hold_to_cores(&all).unwrap());
        assert_eq!(ask(), free, "as before");
        sandbox.kill();
        sandbox.wait().await;
    });
}

#[test]
fn sigterm_reaches_the_program() {
    run(async {
        let (code, spawner) = (code(), spawner());
        let script = "import signal,sys,os\nsignal.signal(signal.SIGTERM,lambda *a: sys.exit(3))\nos.write(3,b'x')\nsignal.pause()";
        let argv = [PYTHON, "-I", "-S", "-c", script];
        let mut sandbox = launch(&spawner, spec("term", code.path(), &argv)).await;
        let channel = sandbox.take_channel().unwrap();
        let ready = tokio::task::spawn_blocking(move || {
            use std::io::Read;
            (&channel).read_exact(&mut [0]).unwrap();
            channel
        });
        let _channel = ready.await.unwrap();
        sandbox.terminate();
        assert_eq!(sandbox.wait().await.status, ExitStatus::Code(3));
    });
}

#[test]
fn i15_a_frozen_sandbox_stands_still_and_can_be_killed() {
    run(async {
        let (code, spawner) = (code(), spawner());
        let script = "import os\nwhile True: os.write(3,os.read(3,1))";
        let argv = [PYTHON, "-I", "-S", "-c", script];
        let mut sandbox = launch(&spawner, spec("frozen", code.path(), &argv)).await;
        let channel = sandbox.take_channel().unwrap();
        channel.set_nonblocking(true).unwrap();
        let channel = tokio::net::UnixStream::from_std(channel).unwrap();
        let echo = async || {
            channel.writable().await.unwrap();
            channel.try_write(b"x").unwrap();
            loop {
                channel.readable().await.unwrap();
                if channel.try_read(&mut [0]).is_ok() {
                    return;
                }
            }
        };
        echo().await;
        sandbox.freeze().unwrap();
        let still = tokio::time::timeout(Duration::from_millis(100), echo()).await;
        assert!(still.is_err(), "frozen");
        sandbox.thaw().unwrap();
        loop {
            channel.readable().await.unwrap();
            if channel.try_read(&mut [0]).is_ok() {
                break;
            }
        }
        echo().await;
        sandbox.freeze().unwrap();
        sandbox.kill();
        assert_eq!(sandbox.wait().await.status, ExitStatus::Signal(9));
    });
}

/// Processes on the host whose command line holds a mark.
pub(crate) fn marked(mark: &str) -> usize {
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    let lines = entries.filter_map(|entry| std::fs::read(entry.path().join("cmdline")).ok());
    lines.filter(|line| String::from_utf8_lossy(line).split('\0').any(|part| part == mark)).count()
}

fn groups_of(pid: u32) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut open: Vec<std::path::PathBuf> = vec!["/sys/fs/cgroup".into()];
    while let Some(directory) = open.pop() {
        for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
            if !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                continue;
            }
            let path = entry.path();
            if path.to_string_lossy().contains(&format!("lambent-{pid}-")) {
                found.insert(path.display().to_string());
            }
            open.push(path);
        }
    }
    found
}

/// Until a condition holds that the kernel brings about by itself.
pub(crate) async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    for _ in 0..500 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{what}");
}

#[test]
fn i15_kill_takes_the_whole_tree_and_leaves_nothing() {
    run(async {
        let (code, spawner) = (code(), spawner());
        let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
        let empty = groups_of(spawner.pid());
        let mark = format!("tree-{}", std::process::id());
        let script = "import os,sys,time\n\
if os.fork()==0:\n\
\x20 os.setsid()\n\
\x20 if os.fork(): os._exit(0)\n\
\x20 os.write(3,b'x')\n\
time.sleep(60)";
        let argv = [PYTHON, "-I", "-S", "-c", script, &mark];
        let mut sandbox = launch(&spawner, spec("tree", code.path(), &argv)).await;
        let channel = sandbox.take_channel().unwrap();
        let ready = tokio::task::spawn_blocking(move || {
            use std::io::Read;
            (&channel).read_exact(&mut [0]).unwrap();
        });
        ready.await.unwrap();
        assert!(marked(&mark) >= 2, "control: the daemon and its parent run");
        assert!(groups_of(spawner.pid()).len() > empty.len(), "control: groups exist");
        sandbox.dispose().await;
        assert_eq!(marked(&mark), 0);
        until("groups vanish", || groups_of(spawner.pid()) == empty).await;
        assert_eq!(std::fs::read_to_string("/proc/self/mountinfo").unwrap(), mounts);
    });
}

#[test]
fn a_daemon_ends_with_its_program() {
    run(async {
        let (code, spawner) = (code(), spawner());
        let mark = format!("daemon-{}", std::process::id());
        let script = "sleep 1000 & exec sh -c 'exit 5'";
        let spec = spec("daemon", code.path(), &["/bin/sh", "-c", script, &mark]);
        let mut sandbox = launch(&spawner, spec).await;
        let stdout = sandbox.take_stdout().unwrap();
        assert_eq!(sandbox.wait().await.status, ExitStatus::Code(5));
        // The daemon held standard output open: its end is the daemon's end.
        assert_eq!(tokio::task::spawn_blocking(move || all(stdout)).await.unwrap(), "");
    });
}

#[test]
fn the_death_of_the_spawner_kills_its_sandboxes() {
    run(async {
        let code = code();
        for signal in ["-KILL", "end"] {
            let spawner = spawner();
            let (pid, mark) = (spawner.pid(), format!("orphan{signal}-{}", std::process::id()));
            let argv = [PYTHON, "-I", "-S", "-c", "import time; time.sleep(60)", &mark];
            let sandbox = launch(&spawner, spec("orphan", code.path(), &argv)).await;
            assert_eq!(marked(&mark), 1, "control");
            if signal == "end" {
                drop(spawner);
                drop(sandbox);
                until("a spawner that ended leaves no group", || groups_of(pid).is_empty()).await;
            } else {
                let kill = Command::new("kill").args([signal, &pid.to_string()]).status();
                assert!(kill.unwrap().success());
                assert_eq!(sandbox.wait().await.status, ExitStatus::Signal(9));
                let launcher = Launcher::Process(spawner.clone());
                let spec = spec("late", code.path(), &["/bin/true"]);
                let error = launcher.launch(spec).await.unwrap_err();
                assert!(matches!(error, LaunchError::SpawnerGone), "{error}");
            }
            until("processes end", || marked(&mark) == 0).await;
        }
        // The next start sweeps up after the killed one.
        let next = self::spawner();
        let all = std::fs::read_dir("/sys/fs/cgroup/unified").into_iter().flatten().flatten();
        for entry in all {
            let name = entry.file_name().to_string_lossy().into_owned();
            let Some((pid, _)) = name.strip_prefix("lambent-").and_then(|n| n.split_once('-'))
            else {
                continue;
            };
            assert!(Path::new("/proc").join(pid).exists(), "{name} is stale");
        }
        drop(next);
    });
}

#[test]
fn many_launches_at_once() {
    run(async {
        let (code, spawner) = (code(), spawner());
        let launcher = Launcher::Process(spawner);
        let mut all = tokio::task::JoinSet::new();
        for number in 0..40 {
            let (launcher, path) = (launcher.clone(), code.path().to_owned());
            let argv = format!("exit {number}");
            all.spawn(async move {
                let spec = spec(&format!("many-{number}"), &path, &["/bin/sh", "-c", &argv]);
                let sandbox = launcher.launch(spec).await.unwrap();
                assert_eq!(sandbox.wait().await.status, ExitStatus::Code(number));
                sandbox.dispose().await;
            });
        }
        while let Some(done) = all.join_next().await {
            done.unwrap();
        }
    });
}

#[test]
fn the_survey_of_this_host_is_full() {
    let findings = sandbox::probe::survey();
    assert_eq!(
        sandbox::probe::strength(&findings),
        sandbox::probe::Strength::Full,
        "{findings:#?}"
    );
}

#[test]
fn a_spawner_forgets_its_dead() {
    run(async {
        let (code, spawner) = (code(), spawner());
        let descriptors = format!("/proc/{}/fd", spawner.pid());
        let count = || std::fs::read_dir(&descriptors).unwrap().count();
        let before = count();
        for number in 0..200 {
            let spec = spec(&format!("dead-{number}"), code.path(), &["/bin/true"]);
            let sandbox = launch(&spawner, spec).await;
            sandbox.wait().await;
            sandbox.dispose().await;
        }
        let held = count() - before;
        assert!(held <= 64, "{held} descriptors of dead sandboxes");
    });
}
