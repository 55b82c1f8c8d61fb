//! Memory, processes and scratch: what happens at the limit, and that a neighbour
//! does not notice.

use std::time::Duration;

use sandbox::{ExitStatus, Limit, NoDisk, Scratch};

use crate::stage::{PYTHON, code, launch, outcome, run, spawner, spawner_of, spec};

fn python(script: &str) -> [&str; 5] {
    [PYTHON, "-I", "-S", "-c", script]
}

#[test]
fn every_limit_is_enforced_on_this_host() {
    assert_eq!(spawner().missing_limits(), []);
}

#[test]
fn a_memory_hog_dies_alone() {
    run(async {
        let (code, spawner) = (code(), spawner());
        let neighbour = spec("neighbour", code.path(), &["/bin/sleep", "60"]);
        let neighbour = launch(&spawner, neighbour).await;
        let hog = "b=[]\nwhile True: b.append(bytearray(1<<20))";
        let mut hog = spec("hog", code.path(), &python(hog));
        hog.memory_bytes = 64 << 20;
        let (_, _, exit) = outcome(&spawner, hog).await;
        assert_eq!(exit.status, ExitStatus::Signal(9));
        assert!(exit.out_of_memory);
        let still = tokio::time::timeout(Duration::from_millis(50), neighbour.wait()).await;
        assert!(still.is_err(), "the neighbour lives");
        // Control: within the limit nothing happens.
        let mut modest = spec("modest", code.path(), &python("b=bytearray(20<<20)"));
        modest.memory_bytes = 64 << 20;
        let (_, stderr, exit) = outcome(&spawner, modest).await;
        assert_eq!((exit.status, exit.out_of_memory), (ExitStatus::Code(0), false), "{stderr}");
        neighbour.dispose().await;
    });
}

#[test]
fn the_peak_of_memory_is_measured_and_reset() {
    run(async {
        let (code, spawner) = (code(), spawner());
        let script = "b=bytearray(40<<20); del b\nprint('x',flush=True)\nimport os; os.read(3,1)";
        let mut sandbox = launch(&spawner, spec("peak", code.path(), &python(script))).await;
        let stdout = sandbox.take_stdout().unwrap();
        let first = tokio::task::spawn_blocking(move || {
            use std::io::Read;
            let mut byte = [0];
            std::fs::File::from(stdout).read_exact(&mut byte).unwrap();
        });
        first.await.unwrap();
        assert!(sandbox.memory_peak().unwrap() > 40 << 20);
        if sandbox.reset_memory_peak() {
            assert!(sandbox.memory_peak().unwrap() < 40 << 20);
        }
        sandbox.dispose().await;
    });
}

#[test]
fn a_fork_bomb_is_contained() {
    run(async {
        let (code, spawner) = (code(), spawner());
        let bomb = "import os,time\nn=0\n\
try:\n\
\x20 while True:\n\
\x20  if os.fork()==0: time.sleep(60); os._exit(0)\n\
\x20  n+=1\n\
except OSError as e: print(n,e.errno)";
        let mut bomb = spec("bomb", code.path(), &python(bomb));
        bomb.pids_max = 20;
        let (text, stderr, exit) = outcome(&spawner, bomb).await;
        assert_eq!(exit.status, ExitStatus::Code(0), "{stderr}");
        let (count, errno) = text.trim().split_once(' ').unwrap();
        assert_eq!(errno, "11");
        assert!(count.parse::<u32>().unwrap() <= 18, "{count} children");
    });
}

#[test]
fn a_full_scratch_answers_enospc() {
    run(async {
        let (code, spawner) = (code(), spawner());
        let filler = "n=0\nf=open('/tmp/f','wb',buffering=0)\n\
try:\n\
\x20 while True: n+=f.write(bytes(1<<20))\n\
except OSError as e: print(n>>20,e.errno)";
        let mut filler = spec("filler", code.path(), &python(filler));
        filler.scratch_bytes = 8 << 20;
        let (text, stderr, _) = outcome(&spawner, filler).await;
        assert_eq!(text, "8 28\n", "{stderr}");
        let nodes = "n=0\ntry:\n\
\x20 while n<100000: open(f'/tmp/{n}','w'); n+=1\n\
\x20 print('no end')\nexcept OSError as e: print(e.errno)";
        let (text, stderr, _) = outcome(&spawner, spec("nodes", code.path(), &python(nodes))).await;
        assert_eq!(text, "28\n", "{stderr}");
    });
}

#[test]
fn a_cpu_share_is_kept() {
    run(async {
        let (code, spawner) = (code(), spawner());
        // A fixed amount of CPU time: a share only makes it longer, whatever else runs here.
        let spin = "import time\nb=time.monotonic(); e=time.process_time()+0.2\n\
while time.process_time()<e: pass\nprint(time.monotonic()-b)";
        let took = async |millis| {
            let mut spec = spec("spin", code.path(), &python(spin));
            spec.cpu_millis = millis;
            let (text, stderr, _) = outcome(&spawner, spec).await;
            text.trim().parse::<f64>().unwrap_or_else(|_| panic!("{stderr}"))
        };
        assert!(took(100).await > 1.7, "0.2 s at a tenth of a CPU");
        assert!(took(2000).await < 1.7, "control");
    });
}

#[test]
fn an_ordinary_user_gets_walls_and_is_told_what_lacks() {
    run(async {
        let (code, place) = (code(), code());
        let spawner = spawner_of(65534, place.path());
        let missing: Vec<Limit> = spawner.missing_limits().iter().map(|m| m.limit).collect();
        for limit in [
            Limit::Memory,
            Limit::Cpu,
            Limit::Pids,
            Limit::Freeze,
            Limit::GroupKill,
            Limit::Scratch,
        ] {
            assert!(missing.contains(&limit), "{limit:?} is said to be missing");
        }
        let script = "import os\nprint(os.getuid(), sorted(os.listdir('/')).count('root'))\n\
s=open('/proc/self/status').read()\nprint('Seccomp:\\t2' in s, 'CapBnd:\\t0000000000000000' in s)";
        let (text, stderr, exit) =
            outcome(&spawner, spec("ordinary", code.path(), &python(script))).await;
        assert_eq!(exit.status, ExitStatus::Code(0), "{stderr}");
        assert_eq!(text, "990 0\nTrue True\n");
        let sleeper = launch(&spawner, spec("sleeper", code.path(), &["/bin/sleep", "60"])).await;
        assert!(sleeper.freeze().is_err(), "no silent freeze");
        assert_eq!(sleeper.memory_peak(), None);
        assert_eq!(sleeper.scratch(), Some(Scratch::Memory(NoDisk::NotRoot)));
        sleeper.kill();
        assert_eq!(sleeper.wait().await.status, ExitStatus::Signal(9));
    });
}
