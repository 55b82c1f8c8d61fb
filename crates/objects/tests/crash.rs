//! Kill -9 at many points of `put`: every acknowledged object can be read whole
//! afterwards, and nothing unfinished is left.

use std::{
    fs,
    io::{BufRead, BufReader, Read},
    path::Path,
    process::{Command, Stdio},
};

use model::{ChunkId, Manifest, RootId, manifest::ChunkRef};
use objects::Objects;
use pattern::pattern;

mod pattern;

const KILLS: u64 = 60;
const ROOT: &str = "r1";

struct Acknowledged {
    seed: u64,
    sha256: String,
    manifest: Manifest,
}

#[test]
fn acknowledged_objects_survive_a_kill() {
    let directory = tempfile::tempdir().unwrap();
    let mut all: Vec<Acknowledged> = Vec::new();
    let mut dice: u64 = 0x9e37_79b9_7f4a_7c15;
    for kill in 0..KILLS {
        dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let fresh = run_and_kill(directory.path(), kill * 1_000, (dice >> 33) % 5);
        let objects = Objects::open(directory.path()).unwrap();
        assert_eq!(files_in(&directory.path().join("temporary")), 0, "leftovers are swept");
        for object in &fresh {
            verify(&objects, object);
        }
        all.extend(fresh);
    }
    let objects = Objects::open(directory.path()).unwrap();
    for object in &all {
        verify(&objects, object);
    }
    assert!(all.len() as u64 > KILLS, "the victims made progress");
}

fn verify(objects: &Objects, object: &Acknowledged) {
    let mut found = Vec::new();
    objects.get(&object.manifest).unwrap().read_to_end(&mut found).unwrap();
    assert!(found == pattern(object.seed, object.manifest.length), "object {}", object.seed);
    let again = objects.put(&object.manifest.root, &found[..]).unwrap();
    assert_eq!(again.manifest, object.manifest);
    assert_eq!(again.sha256.to_string(), object.sha256);
}

fn run_and_kill(directory: &Path, seed: u64, lines: u64) -> Vec<Acknowledged> {
    let mut child = Command::new(env!("CARGO_BIN_EXE_objects-writer"))
        .arg(directory)
        .args([&seed.to_string(), ROOT])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    let mut acknowledged = Vec::new();
    let mut line = String::new();
    while (acknowledged.len() as u64) < lines {
        line.clear();
        assert!(output.read_line(&mut line).unwrap() > 0, "the child ended by itself");
        acknowledged.push(parse(&line).unwrap());
    }
    child.kill().unwrap();
    child.wait().unwrap();
    line.clear();
    while output.read_line(&mut line).unwrap() > 0 {
        acknowledged.extend(parse(&line));
        line.clear();
    }
    acknowledged
}

fn parse(line: &str) -> Option<Acknowledged> {
    let mut words = line.strip_suffix('\n')?.split(' ');
    let seed = words.next()?.parse().ok()?;
    let length = words.next()?.parse().ok()?;
    let sha256 = words.next()?.to_owned();
    let chunks = words.next()?.split(',').filter(|word| !word.is_empty()).map(|word| {
        let (id, length) = word.split_once('=')?;
        Some(ChunkRef { id: ChunkId(from_hex(id)?), length: length.parse().ok()? })
    });
    let chunks = chunks.collect::<Option<_>>()?;
    let manifest = Manifest { root: RootId(ROOT.into()), length, chunks };
    Some(Acknowledged { seed, sha256, manifest })
}

fn from_hex(text: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    for (at, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(at * 2..at * 2 + 2)?, 16).ok()?;
    }
    Some(bytes)
}

fn files_in(directory: &Path) -> usize {
    fs::read_dir(directory).map_or(0, |entries| entries.count())
}
