//! What a platform owns on the host, and what of it is still there after its end:
//! processes, control groups and mounts. Found from outside: by parentage, by the
//! process that a control group is named after, by the data directory in a mount.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use crate::deadline::until;

/// Folding up dozens of environments is the kernel's work, on a busy machine.
const GONE_WITHIN_SECONDS: u64 = 10;
/// Control groups are looked for this deep below each hierarchy.
const CGROUP_DEPTH: usize = 6;

/// A process, told from a later one with the same number by its start time.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Process {
    pid: u32,
    started: String,
    name: String,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Owned {
    processes: BTreeSet<Process>,
    data: PathBuf,
}

impl Owned {
    /// The platform's process and everything below it, now.
    pub(crate) fn of(root: u32, data: &Path) -> Owned {
        let all: Vec<(u32, Process)> = processes();
        let mut family: BTreeSet<u32> = BTreeSet::from([root]);
        loop {
            let known = family.clone();
            family.extend(all.iter().filter(|(p, _)| known.contains(p)).map(|(_, c)| c.pid));
            if family == known {
                break;
            }
        }
        let own = |(_, p): (u32, Process)| family.contains(&p.pid).then_some(p);
        Owned { processes: all.into_iter().filter_map(own).collect(), data: data.to_owned() }
    }

    /// Panics with the list when something is still there after the deadline.
    pub(crate) fn assert_gone(&self) {
        let mut left = Vec::new();
        until(GONE_WITHIN_SECONDS, || {
            left = self.left();
            left.is_empty().then_some(())
        });
        assert!(left.is_empty(), "the platform left behind:\n{}", left.join("\n"));
    }

    /// The control of `assert_gone`: while the platform runs, the same look finds it.
    pub(crate) fn assert_seen(&self) {
        let left = self.left();
        for kind in ["process", "group"] {
            assert!(left.iter().any(|l| l.starts_with(kind)), "no {kind} is seen: {left:?}");
        }
    }

    fn left(&self) -> Vec<String> {
        let now: BTreeSet<Process> = processes().into_iter().map(|(_, p)| p).collect();
        let mut left: Vec<String> =
            self.processes.intersection(&now).map(|p| format!("process {p:?}")).collect();
        let mut groups = Vec::new();
        find_groups(Path::new("/sys/fs/cgroup"), CGROUP_DEPTH, &mut groups);
        let ours = |group: &PathBuf| {
            let name = group.file_name().unwrap_or_default().to_string_lossy();
            self.processes.iter().any(|p| name.starts_with(&format!("lambent-{}-", p.pid)))
        };
        left.extend(groups.into_iter().filter(ours).map(|g| format!("group {}", g.display())));
        let mounts = fs::read_to_string("/proc/self/mounts").expect("mounts are listed");
        let data = self.data.to_string_lossy();
        left.extend(mounts.lines().filter(|l| l.contains(&*data)).map(|l| format!("mount {l}")));
        left
    }
}

/// Every process with its parent.
fn processes() -> Vec<(u32, Process)> {
    let entries = fs::read_dir("/proc").expect("/proc can be listed");
    let pids = entries.filter_map(|e| e.ok()?.file_name().to_str()?.parse::<u32>().ok());
    pids.filter_map(|pid| {
        // pid (name) state parent ... and the start time as the 22nd field.
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let (head, tail) = stat.rsplit_once(") ")?;
        let fields: Vec<&str> = tail.split(' ').collect();
        let name = head.split_once(" (")?.1.to_owned();
        let parent = fields.get(1)?.parse().ok()?;
        // A zombie has ended; only its parent's wait is open.
        let ended = *fields.first()? == "Z";
        (!ended).then(|| (parent, Process { pid, started: fields[19].to_owned(), name }))
    })
    .collect()
}

fn find_groups(folder: &Path, depth: usize, out: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            if entry.file_name().to_string_lossy().starts_with("lambent-") {
                out.push(entry.path());
            } else if depth > 0 {
                find_groups(&entry.path(), depth - 1, out);
            }
        }
    }
}
