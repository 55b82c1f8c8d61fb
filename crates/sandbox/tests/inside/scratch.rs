//! Scratch on disk: what a program can put there and what it costs it, that nobody else
//! sees it, and that nothing of it is left on the host.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use sandbox::{ExitStatus, Launcher, NoDisk, Sandbox, Scratch, Spawner, Spec};

use crate::{
    life::until,
    stage::{PYTHON, code, disk_spawner, launch, outcome, run, spawner, spec},
};

fn place() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

fn python(id: &str, code: &Path, script: &str) -> Spec {
    spec(id, code, &[PYTHON, "-I", "-S", "-c", script])
}

/// Loop devices whose image is in a directory.
fn devices(directory: &Path) -> Vec<PathBuf> {
    let directory = directory.canonicalize().unwrap();
    let blocks = fs::read_dir("/sys/block").unwrap().flatten().map(|entry| entry.path());
    blocks
        .filter(|block| {
            let image = fs::read_to_string(block.join("loop/backing_file")).unwrap_or_default();
            Path::new(image.trim()).starts_with(&directory)
        })
        .collect()
}

fn names(directory: &Path) -> usize {
    fs::read_dir(directory).unwrap().count()
}

async fn nothing_is_left(directory: &Path, mounts: &str) {
    until("devices are given back", || devices(directory).is_empty()).await;
    assert_eq!(names(directory), 0);
    assert_eq!(fs::read_to_string("/proc/self/mountinfo").unwrap(), mounts);
}

/// A program that has put one mebibyte into its scratch and waits.
async fn settled(spawner: &Spawner, id: &str, code: &Path) -> Sandbox {
    let script = "import os\nopen('/tmp/secret','wb').write(b's'*(1<<20))\nos.write(3,b'x')\n\
                  import time; time.sleep(60)";
    let mut sandbox = launch(spawner, python(id, code, script)).await;
    assert_eq!(sandbox.scratch(), Some(Scratch::Disk));
    let channel = sandbox.take_channel().unwrap();
    let ready = tokio::task::spawn_blocking(move || {
        use std::io::Read;
        (&channel).read_exact(&mut [0]).unwrap();
        channel
    });
    // The channel stays open as long as the test holds it; its end is no signal here.
    drop(ready.await.unwrap());
    sandbox
}

const WRITE_400_MIB: &str = "import os\n\
def block(i): return bytes([i%251])*(1<<20)\n\
with open('/tmp/f','wb',buffering=0) as f:\n\
\x20 for i in range(400): assert f.write(block(i))==1<<20\n\
with open('/tmp/f','rb',buffering=0) as f:\n\
\x20 for i in range(400): assert f.read(1<<20)==block(i), i\n\
print('equal')";

#[test]
fn a_small_function_can_fill_a_large_scratch() {
    run(async {
        let (code, place) = (code(), place());
        let small = |id| {
            let mut spec = python(id, code.path(), WRITE_400_MIB);
            spec.memory_bytes = 128 << 20;
            spec.scratch_bytes = 512 << 20;
            spec
        };
        let (text, stderr, exit) = outcome(&disk_spawner(place.path()), small("disk")).await;
        assert_eq!((text.as_str(), exit.status), ("equal\n", ExitStatus::Code(0)), "{stderr}");
        assert!(!exit.out_of_memory);
        // Control: in memory the same program dies.
        let (_, _, exit) = outcome(&spawner(), small("memory")).await;
        assert!(exit.out_of_memory);
    });
}

#[test]
fn scratch_on_disk_ends_at_its_size() {
    run(async {
        let (code, place) = (code(), place());
        let spawner = disk_spawner(place.path());
        let script = "n=0\nf=open('/tmp/f','wb',buffering=0)\n\
try:\n\
\x20 while True: n+=f.write(bytes(1<<20))\n\
except OSError as e: print(n>>20,e.errno)";
        for mib in [8, 100, 512] {
            let mut filler = python("filler", code.path(), script);
            filler.scratch_bytes = mib << 20;
            let (text, stderr, _) = outcome(&spawner, filler).await;
            assert_eq!(text, format!("{mib} 28\n"), "{stderr}");
        }
        let nodes = "n=0\ntry:\n\
\x20 while n<100000: open(f'/tmp/{n}','w'); n+=1\n\
\x20 print('no end')\nexcept OSError as e: print(e.errno, 900<n<1100)";
        let (text, stderr, _) = outcome(&spawner, python("nodes", code.path(), nodes)).await;
        assert_eq!(text, "28 True\n", "{stderr}");
    });
}

#[test]
fn scratch_on_disk_is_empty_writable_and_harmless() {
    run(async {
        let (code, place) = (code(), place());
        let script = "import os,stat\n\
print(os.listdir('/tmp'), oct(os.stat('/tmp').st_mode))\n\
l=next(l for l in open('/proc/self/mountinfo') if l.split()[4]=='/tmp').split()\n\
print(l[5], l[l.index('-')+1])\n\
open('/tmp/x','w').write('#!/bin/sh\\necho ran\\n'); os.chmod('/tmp/x',0o4755)\n\
print(os.stat('/tmp/x').st_uid, os.popen('/tmp/x').read().strip())\n\
try: os.mknod('/tmp/n',stat.S_IFBLK|0o600,os.makedev(7,0)); print('made')\n\
except OSError as e: print(e.errno)\n\
print(os.statvfs('/tmp').f_bavail*4096>=16<<20)";
        let spec = python("view", code.path(), script);
        let (text, stderr, _) = outcome(&disk_spawner(place.path()), spec).await;
        let expected = "[] 0o41777\nrw,nosuid,nodev,relatime ext4\n990 ran\n1\nTrue\n";
        assert_eq!(text, expected, "{stderr}");
    });
}

#[test]
fn no_sandbox_sees_the_scratch_of_another() {
    run(async {
        let (code, place) = (code(), place());
        let spawner = disk_spawner(place.path());
        let first = settled(&spawner, "first", code.path()).await;
        let script = "import os,glob\nprint(os.listdir('/tmp'), glob.glob('/dev/loop*'))\n\
print([p for p in glob.glob('/proc/[0-9]*/root/tmp/secret')])";
        let look = || python("second", code.path(), script);
        let (text, stderr, _) = outcome(&spawner, look()).await;
        assert_eq!(text, "[] []\n[]\n", "{stderr}");
        first.dispose().await;
        // Nor after its end, whatever is used again.
        for _ in 0..10 {
            let (text, stderr, _) = outcome(&spawner, look()).await;
            assert_eq!(text, "[] []\n[]\n", "{stderr}");
        }
    });
}

#[test]
fn a_new_scratch_shows_nothing_old_on_its_device() {
    run(async {
        let (code, place) = (code(), place());
        let spawner = disk_spawner(place.path());
        let mark = "5ca7c4ed5ca7c4ed";
        let script = format!(
            "import os\nf=open('/tmp/f','wb')\ntry:\n\
\x20 while True: f.write(b'{mark}'*65536); f.flush()\n\
except OSError: pass\nos.sync()\nos.write(3,b'x')\nimport time; time.sleep(60)"
        );
        let mut writer = launch(&spawner, python("writer", code.path(), &script)).await;
        let channel = writer.take_channel().unwrap();
        let wait = move || std::io::Read::read_exact(&mut &channel, &mut [0]).unwrap();
        tokio::task::spawn_blocking(wait).await.unwrap();
        let count = || {
            let all = devices(place.path());
            let holds = |block: &&PathBuf| {
                let device = Path::new("/dev").join(block.file_name().unwrap());
                let bytes = fs::read(device).unwrap_or_default();
                // A block of the file begins with the mark.
                bytes.chunks(4096).any(|block| block.starts_with(mark.as_bytes()))
            };
            (all.iter().filter(holds).count(), all.len())
        };
        assert_eq!(count().0, 1, "control: the writer's own device");
        writer.dispose().await;
        until("the writer's device is given back", || count().0 == 0).await;
        for number in 0..12 {
            let spec = spec(&format!("new-{number}"), code.path(), &["/bin/sleep", "60"]);
            let sandbox = launch(&spawner, spec).await;
            let (marked, all) = count();
            assert_eq!(marked, 0);
            assert!(all > 0, "control: there is a device");
            sandbox.dispose().await;
        }
    });
}

#[test]
fn nothing_of_scratch_is_left() {
    run(async {
        let (code, place) = (code(), place());
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
        for ending in ["exit", "kill", "end of the spawner", "SIGKILL of the spawner"] {
            let spawner = disk_spawner(place.path());
            let sandbox = settled(&spawner, "left", code.path()).await;
            assert!(!devices(place.path()).is_empty(), "control");
            match ending {
                "exit" => {
                    sandbox.terminate();
                    sandbox.wait().await;
                    sandbox.dispose().await;
                }
                "kill" => sandbox.dispose().await,
                "end of the spawner" => drop(sandbox),
                _ => {
                    let pid = spawner.pid().to_string();
                    let kill = Command::new("kill").args(["-KILL", &pid]).status();
                    assert!(kill.unwrap().success());
                    assert_eq!(sandbox.wait().await.status, ExitStatus::Signal(9));
                }
            }
            drop(spawner);
            nothing_is_left(place.path(), &mounts).await;
        }
    });
}

#[test]
fn the_stock_is_refilled_and_bounded() {
    run(async {
        let (code, place) = (code(), place());
        let spawner = disk_spawner(place.path());
        let stocked = || devices(place.path()).len();
        until("eight are stocked", || stocked() == 8).await;
        let sandbox = launch(&spawner, spec("one", code.path(), &["/bin/sleep", "60"])).await;
        until("its place is taken by a new one", || stocked() == 9).await;
        // Another size replaces those that nobody asks for any more.
        let mut other = spec("other", code.path(), &["/bin/sleep", "60"]);
        other.scratch_bytes = 20 << 20;
        let other = launch(&spawner, other).await;
        let large = || {
            let size = |block: &PathBuf| fs::read_to_string(block.join("size")).unwrap_or_default();
            let sectors = |block: &PathBuf| size(block).trim().parse::<u64>().unwrap_or(0);
            devices(place.path()).iter().filter(|block| sectors(block) * 512 > 20 << 20).count()
        };
        until("the stock changes its size", || large() == 9 && stocked() == 10).await;
        sandbox.dispose().await;
        other.dispose().await;
        until("only the stock is left", || stocked() == 8).await;
    });
}

#[test]
fn many_launches_at_once_have_scratch_on_disk() {
    run(async {
        let (code, place) = (code(), place());
        let launcher = Launcher::Process(disk_spawner(place.path()));
        let mut all = tokio::task::JoinSet::new();
        for number in 0..40 {
            let (launcher, path) = (launcher.clone(), code.path().to_owned());
            all.spawn(async move {
                let script = format!("echo {number} > /tmp/n && exit $(cat /tmp/n)");
                let argv = ["/bin/sh", "-c", &script];
                let sandbox = launcher.launch(spec(&format!("many-{number}"), &path, &argv)).await;
                let sandbox = sandbox.unwrap();
                assert_eq!(sandbox.scratch(), Some(Scratch::Disk));
                assert_eq!(sandbox.wait().await.status, ExitStatus::Code(number));
                sandbox.dispose().await;
            });
        }
        while let Some(done) = all.join_next().await {
            done.unwrap();
        }
        drop(launcher);
        until("devices are given back", || devices(place.path()).is_empty()).await;
    });
}

#[test]
fn a_dead_remover_costs_no_launch() {
    run(async {
        let (code, place) = (code(), place());
        let spawner = disk_spawner(place.path());
        let task = format!("/proc/{0}/task/{0}/children", spawner.pid());
        let children = fs::read_to_string(task).unwrap();
        let remover = children.split_whitespace().next().unwrap();
        assert!(Command::new("kill").args(["-KILL", remover]).status().unwrap().success());
        for _ in 0..3 {
            settled(&spawner, "orphan", code.path()).await.dispose().await;
        }
        drop(spawner);
        until("devices are given back", || devices(place.path()).is_empty()).await;
    });
}

#[test]
fn scratch_in_memory_is_never_silent() {
    run(async {
        let code = code();
        let asked = tempfile::tempdir_in("/dev/shm").unwrap();
        let cases =
            [(spawner(), NoDisk::NotAsked, 0), (disk_spawner(asked.path()), NoDisk::InMemory, 1)];
        for (spawner, reason, said) in cases {
            assert_eq!(spawner.missing_limits().len(), said);
            let sandbox = launch(&spawner, spec("memory", code.path(), &["/bin/true"])).await;
            assert_eq!(sandbox.scratch(), Some(Scratch::Memory(reason)));
            sandbox.dispose().await;
        }
        // A size that no disk has room for concerns that sandbox only.
        let place = place();
        let spawner = disk_spawner(place.path());
        let mut vast = spec("vast", code.path(), &["/bin/true"]);
        vast.scratch_bytes = 1 << 40;
        let sandbox = launch(&spawner, vast).await;
        assert_eq!(sandbox.scratch(), Some(Scratch::Memory(NoDisk::NoRoom)));
        sandbox.dispose().await;
        settled(&spawner, "next", code.path()).await.dispose().await;
    });
}
