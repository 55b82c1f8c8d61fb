//! Kill -9 at many points: every acknowledged change is there afterwards, no
//! transaction is half there, and revisions only grow.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader},
    path::Path,
    process::{Command, Stdio},
};

use model::AccountId;
use store::{Prefix, Store, schema};

const KILLS: u32 = 40;
const TASKS: u32 = 4;

#[test]
fn acknowledged_changes_survive_a_kill() {
    let directory = tempfile::tempdir().unwrap();
    // By task: the newest count and its revision.
    let mut acknowledged: BTreeMap<u32, (u32, u64)> = BTreeMap::new();
    // By task: the count that was found after the last kill.
    let mut there: BTreeMap<u32, u32> = BTreeMap::new();
    let mut newest_revision = 0;
    let mut dice: u64 = 0x9e37_79b9_7f4a_7c15;
    for kill in 0..KILLS {
        dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        // Also right after the opening, when nothing was acknowledged yet.
        let lines = (dice >> 33) % 60;
        for (task, count, revision) in run_and_kill(directory.path(), lines) {
            let before = acknowledged.insert(task, (count, revision)).unwrap_or_default();
            assert!(count > before.0 && revision > before.1, "kill {kill}: {task} went back");
            newest_revision = newest_revision.max(revision);
        }
        let found = stored(directory.path(), newest_revision);
        for (task, (left, right)) in &found {
            assert_eq!(left, right, "kill {kill}: a transaction of task {task} is half there");
        }
        for (task, (left, _)) in &found {
            // The last life began with what was there and had one write under way.
            let (count, _) = acknowledged.get(task).copied().unwrap_or_default();
            let known = count.max(there.insert(*task, *left).unwrap_or_default());
            assert!(*left >= known, "kill {kill}: task {task} lost {known}, found {left}");
            assert!(*left <= known + 1, "kill {kill}: task {task} wrote {left} after {known}");
        }
    }
    assert!(newest_revision > u64::from(KILLS), "the writers made progress");
}

/// What the child acknowledged: task, count, revision.
fn run_and_kill(directory: &Path, lines: u64) -> Vec<(u32, u32, u64)> {
    let mut child = Command::new(env!("CARGO_BIN_EXE_store-writer"))
        .arg(directory)
        .arg(TASKS.to_string())
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
    // What it had printed before it died; the last line may be cut.
    line.clear();
    while output.read_line(&mut line).unwrap() > 0 {
        acknowledged.extend(parse(&line));
        line.clear();
    }
    acknowledged
}

fn parse(line: &str) -> Option<(u32, u32, u64)> {
    let mut numbers = line.strip_suffix('\n')?.split(' ');
    let task = numbers.next()?.parse().ok()?;
    let count = numbers.next()?.parse().ok()?;
    Some((task, count, numbers.next()?.parse().ok()?))
}

/// Both halves of every task's last transaction.
fn stored(directory: &Path, newest_revision: u64) -> BTreeMap<u32, (u32, u32)> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let store = Store::open(directory).unwrap();
        let page = store.list(&Prefix::all(), None, 1_000).await.unwrap();
        assert!(page.revision.0 >= newest_revision, "the store went back to {:?}", page.revision);
        assert!(page.entries.iter().all(|entry| entry.revision <= page.revision));
        let mut found = BTreeMap::new();
        for task in 0..TASKS {
            let mut halves = [0, 0];
            for (half, slot) in (0..).zip(&mut halves) {
                let account = AccountId::parse(&format!("{:012}", task * 2 + half)).unwrap();
                let read = store.read(&schema::account_limits(account)).await.unwrap();
                *slot = read.map_or(0, |found| found.value.concurrency);
            }
            found.insert(task, (halves[0], halves[1]));
        }
        found
    })
}
