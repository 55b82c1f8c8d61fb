//! One process writes and deletes, others read: what is being read stays, what is
//! deleted is gone whole, and nobody needs to start first.

use std::{
    io::{BufRead, BufReader, Write as _},
    path::Path,
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicBool, Ordering::Relaxed},
};

use model::{Manifest, RootId};
use objects::{GetError, Objects, OpenError, ReadOnly, RootError, limits::CHUNK_BYTES};
use pattern::pattern;

mod pattern;

const ROUNDS: u64 = 30;
const LENGTH: u64 = 2 * CHUNK_BYTES as u64 + 5;

fn store(objects: &Objects, seed: u64) -> Manifest {
    let root = RootId(format!("r{seed}"));
    objects.create_root(&root).unwrap();
    objects.put(&root, &pattern(seed, LENGTH)[..]).unwrap().manifest
}

struct OtherProcess {
    child: Child,
    output: BufReader<std::process::ChildStdout>,
}

impl OtherProcess {
    fn reads(directory: &Path, seed: u64, manifest: &Manifest) -> OtherProcess {
        let mut command = Command::new(env!("CARGO_BIN_EXE_objects-reader"));
        let chunks = manifest.chunks.iter().map(|c| format!("{}={}", c.id, c.length));
        command.arg(directory).arg(seed.to_string()).arg(&manifest.root.0);
        command.arg(manifest.length.to_string()).arg(chunks.collect::<Vec<_>>().join(","));
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        OtherProcess { child, output }
    }

    fn says(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    fn goes_on(&mut self) {
        self.child.stdin.take().unwrap().write_all(b"\n").unwrap();
    }
}

#[test]
fn a_root_that_another_process_reads_is_deleted_afterwards() {
    let directory = tempfile::tempdir().unwrap();
    let objects = Objects::open(directory.path()).unwrap();
    let (read, killed) = (store(&objects, 1), store(&objects, 2));
    let mut reader = OtherProcess::reads(directory.path(), 1, &read);
    let mut victim = OtherProcess::reads(directory.path(), 2, &killed);
    assert_eq!((reader.says().as_str(), victim.says().as_str()), ("open", "open"));
    for manifest in [&read, &killed] {
        let refused = objects.delete_root(&manifest.root);
        assert!(matches!(refused, Err(RootError::InUse { .. })), "{refused:?}");
    }
    reader.goes_on();
    assert_eq!(reader.says(), "whole");
    reader.child.wait().unwrap();
    objects.delete_root(&read.root).unwrap();
    // Whoever dies holds on to nothing.
    victim.child.kill().unwrap();
    victim.child.wait().unwrap();
    objects.delete_root(&killed.root).unwrap();
    assert_eq!(OtherProcess::reads(directory.path(), 1, &read).says(), "gone");
}

#[test]
fn readers_need_no_lock_and_no_directory_and_a_second_writer_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let place = directory.path().join("objects");
    let early = ReadOnly::at(&place);
    let objects = Objects::open(&place).unwrap();
    let refused = Objects::open(&place);
    assert!(matches!(refused, Err(OpenError::Locked { .. })), "{refused:?}");
    let manifest = store(&objects, 1);
    drop(objects);
    // Also while nobody writes.
    assert_eq!(early.get(&manifest).unwrap().next_chunk().unwrap().unwrap().len(), CHUNK_BYTES);
}

#[test]
fn copies_to_one_place_do_not_disturb_each_other() {
    let directory = tempfile::tempdir().unwrap();
    let objects = Objects::open(&directory.path().join("objects")).unwrap();
    let manifest = store(&objects, 1);
    let target = directory.path().join("copy");
    std::thread::scope(|scope| {
        for _ in 0..4 {
            let handle = ReadOnly::at(&directory.path().join("objects"));
            let (target, manifest) = (&target, &manifest);
            scope.spawn(move || {
                for _ in 0..10 {
                    handle.materialise(manifest, target).unwrap();
                    assert!(std::fs::read(target).unwrap() == pattern(1, LENGTH));
                }
            });
        }
    });
    let names = std::fs::read_dir(directory.path()).unwrap().count();
    assert_eq!(names, 2, "nothing unfinished is left");
}

/// A reader gets all of an object or learns that there is none, whatever the deleter
/// does meanwhile: never a chunk less.
#[test]
fn a_read_is_whole_or_not_at_all_while_roots_are_deleted() {
    let directory = tempfile::tempdir().unwrap();
    let objects = Objects::open(directory.path()).unwrap();
    let (mut whole, mut in_use) = (0_u64, 0_u64);
    for seed in 0..ROUNDS {
        let manifest = store(&objects, seed);
        let handle = ReadOnly::at(directory.path());
        let started = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let reading = scope.spawn(|| {
                let mut reads = 0;
                loop {
                    let mut bytes = Vec::new();
                    match handle.get(&manifest) {
                        Ok(mut reader) => {
                            started.store(true, Relaxed);
                            std::io::Read::read_to_end(&mut reader, &mut bytes).unwrap();
                        }
                        Err(GetError::Root(RootError::NoSuchRoot { .. })) => return reads,
                        Err(error) => panic!("{error}"),
                    }
                    assert!(bytes == pattern(seed, LENGTH), "{seed}");
                    reads += 1;
                }
            });
            while !started.load(Relaxed) {
                std::hint::spin_loop();
            }
            loop {
                match objects.delete_root(&manifest.root) {
                    Ok(()) => break,
                    Err(RootError::InUse { .. }) => in_use += 1,
                    Err(error) => panic!("{error}"),
                }
            }
            whole += reading.join().unwrap();
        });
    }
    assert!(whole >= ROUNDS && in_use > 0, "{whole} reads, {in_use} refusals");
}
