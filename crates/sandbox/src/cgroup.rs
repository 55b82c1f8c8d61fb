//! Control groups of sandboxes, for pure v2, hybrid and pure v1 hosts. The spawner
//! creates groups ([`Parent`]), the worker freezes, kills and reads them ([`Group`]).
//! Processes join v1 groups by themselves and v2 ones at their clone, because both
//! cost nothing, while writing another process's id costs 5 ms.

mod layout;

use std::{
    collections::BTreeSet,
    fs, io,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
};

use rustix::process::Pid;
use serde::{Deserialize, Serialize};

use crate::{
    limited::{Limit, MissingLimit},
    limits::{CPU_PERIOD_US, CPU_QUOTA_US_MIN},
};

/// Every limit the driver knows, for the survey.
pub(crate) const LIMITS: [Limit; 5] =
    [Limit::Memory, Limit::Cpu, Limit::Pids, Limit::Freeze, Limit::GroupKill];

/// Where one controller of a sandbox is driven.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Place {
    V1(PathBuf),
    V2(PathBuf),
    Missing,
}

impl Place {
    fn join(&self, name: &str) -> Place {
        match self {
            Place::V1(path) => Place::V1(path.join(name)),
            Place::V2(path) => Place::V2(path.join(name)),
            Place::Missing => Place::Missing,
        }
    }

    fn path(&self) -> Option<&Path> {
        match self {
            Place::V1(path) | Place::V2(path) => Some(path),
            Place::Missing => None,
        }
    }
}

/// The groups of one sandbox, or of all sandboxes of one spawner.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Group {
    memory: Place,
    cpu: Place,
    pids: Place,
    /// v1 freezer, used where there is no v2 mount.
    freezer: Place,
    unified: Option<PathBuf>,
}

/// Limits written into a new group.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) memory_bytes: u64,
    pub(crate) cpu_millis: u32,
    pub(crate) pids_max: u32,
}

/// What a process needs to be in a group before it does anything.
#[derive(Debug)]
pub(crate) struct Join {
    /// v1 `tasks` files: a single-threaded process writes `0`, which spares the
    /// kernel-wide lock that `cgroup.procs` takes.
    pub(crate) tasks: Vec<fs::File>,
    /// v2 directory for `CLONE_INTO_CGROUP`.
    pub(crate) unified: Option<OwnedFd>,
}

/// The group under which one spawner keeps all its sandboxes.
#[derive(Debug)]
pub(crate) struct Parent {
    group: Group,
    pub(crate) missing: Vec<MissingLimit>,
}

impl Parent {
    /// Detects the layout, removes groups of dead instances and creates our own.
    pub(crate) fn open() -> Parent {
        let (places, mut missing) = layout::detect();
        for directory in places.directories() {
            layout::remove_stale(&directory);
        }
        let name = layout::instance_name(rustix::process::getpid().as_raw_nonzero().get());
        let mut group = places.join(&name);
        group.create_or_forget(&mut missing);
        for dir in group.v2_directories() {
            layout::delegate_below(&dir);
        }
        Parent { group, missing }
    }

    pub(crate) fn create(&self, id: &str, limits: Limits) -> io::Result<(Group, Join)> {
        let group = self.group.join(id);
        for directory in group.directories() {
            fs::create_dir(directory)?;
        }
        let joined = group.limit(limits).and_then(|()| group.join_files());
        match joined {
            Ok(join) => Ok((group, join)),
            Err(error) => {
                group.remove().ok();
                Err(error)
            }
        }
    }

    pub(crate) fn remove(&self) {
        self.group.remove().ok();
    }
}

impl Group {
    fn join(&self, name: &str) -> Group {
        Group {
            memory: self.memory.join(name),
            cpu: self.cpu.join(name),
            pids: self.pids.join(name),
            freezer: self.freezer.join(name),
            unified: self.unified.as_ref().map(|path| path.join(name)),
        }
    }

    fn places(&self) -> [&Place; 4] {
        [&self.memory, &self.cpu, &self.pids, &self.freezer]
    }

    /// Each directory once: controllers may share a hierarchy.
    pub(crate) fn directories(&self) -> BTreeSet<PathBuf> {
        let controlled = self.places().into_iter().filter_map(Place::path);
        controlled.chain(self.unified.as_deref()).map(Path::to_owned).collect()
    }

    fn v2_directories(&self) -> Vec<PathBuf> {
        self.unified.iter().cloned().collect()
    }

    /// A hierarchy in which we may not create groups is not used, and said to be missing.
    fn create_or_forget(&mut self, missing: &mut Vec<MissingLimit>) {
        for directory in self.directories() {
            if let Err(error) = fs::create_dir(&directory) {
                let reason = format!("cannot create {}: {error}", directory.display());
                self.forget(&directory, &reason, missing);
            }
        }
    }

    fn forget_unwritable(&mut self, missing: &mut Vec<MissingLimit>) {
        for directory in self.directories() {
            if let Err(error) = rustix::fs::access(&directory, rustix::fs::Access::WRITE_OK) {
                let reason = format!("cannot create groups in {}: {error}", directory.display());
                self.forget(&directory, &reason, missing);
            }
        }
    }

    fn forget(&mut self, directory: &Path, reason: &str, missing: &mut Vec<MissingLimit>) {
        let mut lost = |limit| missing.push(MissingLimit { limit, reason: reason.to_owned() });
        for (place, limit) in [
            (&mut self.memory, Limit::Memory),
            (&mut self.cpu, Limit::Cpu),
            (&mut self.pids, Limit::Pids),
            (&mut self.freezer, Limit::Freeze),
        ] {
            if place.path() == Some(directory) {
                *place = Place::Missing;
                lost(limit);
            }
        }
        if self.unified.as_deref() == Some(directory) {
            self.unified = None;
            lost(Limit::GroupKill);
            if self.freezer == Place::Missing {
                lost(Limit::Freeze);
            }
        }
    }

    fn limit(&self, limits: Limits) -> io::Result<()> {
        self.set_memory(limits.memory_bytes)?;
        self.set_cpu(limits.cpu_millis)?;
        match &self.pids {
            Place::V1(dir) | Place::V2(dir) => put(&dir.join("pids.max"), limits.pids_max)?,
            Place::Missing => {}
        }
        Ok(())
    }

    pub(crate) fn set_memory(&self, bytes: u64) -> io::Result<()> {
        match &self.memory {
            Place::V1(dir) => {
                put(&dir.join("memory.limit_in_bytes"), bytes)?;
                // Absent on kernels without swap accounting, where swap stays possible.
                put_if_there(&dir.join("memory.memsw.limit_in_bytes"), bytes)
            }
            Place::V2(dir) => {
                put(&dir.join("memory.max"), bytes)?;
                put_if_there(&dir.join("memory.swap.max"), 0)?;
                put(&dir.join("memory.oom.group"), 1)
            }
            Place::Missing => Ok(()),
        }
    }

    pub(crate) fn set_cpu(&self, millis: u32) -> io::Result<()> {
        let quota = (u64::from(millis) * CPU_PERIOD_US / 1000).max(CPU_QUOTA_US_MIN);
        match &self.cpu {
            Place::V1(dir) => {
                put(&dir.join("cpu.cfs_period_us"), CPU_PERIOD_US)?;
                put(&dir.join("cpu.cfs_quota_us"), quota)
            }
            Place::V2(dir) => put(&dir.join("cpu.max"), format!("{quota} {CPU_PERIOD_US}")),
            Place::Missing => Ok(()),
        }
    }

    fn join_files(&self) -> io::Result<Join> {
        let v1: BTreeSet<&Path> = self
            .places()
            .into_iter()
            .filter_map(|place| match place {
                Place::V1(path) => Some(path.as_path()),
                Place::V2(_) | Place::Missing => None,
            })
            .collect();
        let open = |dir: &Path| fs::OpenOptions::new().write(true).open(dir.join("tasks"));
        let tasks = v1.into_iter().map(open).collect::<io::Result<Vec<_>>>()?;
        let unified = self.unified.as_ref().map(fs::File::open).transpose()?.map(OwnedFd::from);
        Ok(Join { tasks, unified })
    }

    pub(crate) fn freeze(&self) -> io::Result<()> {
        self.set_frozen("1", "FROZEN")
    }

    pub(crate) fn thaw(&self) -> io::Result<()> {
        self.set_frozen("0", "THAWED")
    }

    fn set_frozen(&self, v2: &str, v1: &str) -> io::Result<()> {
        match (&self.unified, &self.freezer) {
            (Some(dir), _) => put(&dir.join("cgroup.freeze"), v2),
            (None, Place::V1(dir)) => put(&dir.join("freezer.state"), v1),
            (None, Place::V2(_) | Place::Missing) => {
                let missing = "this host offers no freezer to sandboxes";
                Err(io::Error::new(io::ErrorKind::Unsupported, missing))
            }
        }
    }

    /// Kills every member. `false` when the caller has to kill by other means.
    pub(crate) fn kill(&self) -> bool {
        match (&self.unified, &self.freezer) {
            (Some(dir), _) => put(&dir.join("cgroup.kill"), 1).is_ok(),
            // Frozen v1 tasks take no SIGKILL before they are thawed.
            (None, Place::V1(_)) => {
                self.thaw().ok();
                false
            }
            (None, Place::V2(_) | Place::Missing) => false,
        }
    }

    /// Every thread inside, as the host numbers them.
    pub(crate) fn threads(&self) -> io::Result<Vec<Pid>> {
        let file = match [&self.pids, &self.memory, &self.cpu].into_iter().find_map(Place::path) {
            Some(dir) if dir.join("tasks").exists() => dir.join("tasks"),
            Some(dir) => dir.join("cgroup.threads"),
            None => return Err(io::Error::from(io::ErrorKind::Unsupported)),
        };
        let text = fs::read_to_string(file)?;
        let numbers = text.lines().filter_map(|line| line.trim().parse().ok());
        Ok(numbers.filter_map(Pid::from_raw).collect())
    }

    /// The file that `peak_of` reads. Kept open, because each call asks.
    pub(crate) fn open_memory_peak(&self) -> Option<fs::File> {
        let file = match &self.memory {
            Place::V1(dir) => dir.join("memory.max_usage_in_bytes"),
            Place::V2(dir) => dir.join("memory.peak"),
            Place::Missing => return None,
        };
        fs::File::open(file).ok()
    }

    /// Starts a new measurement of the peak. v2 resets per open file only, which the
    /// reader above does not keep; there the peak is that of the whole life.
    pub(crate) fn reset_memory_peak(&self) -> bool {
        match &self.memory {
            Place::V1(dir) => put(&dir.join("memory.max_usage_in_bytes"), 0).is_ok(),
            Place::V2(_) | Place::Missing => false,
        }
    }

    /// Whether the kernel killed a member because of the memory limit.
    pub(crate) fn out_of_memory(&self) -> bool {
        let file = match &self.memory {
            Place::V1(dir) => dir.join("memory.oom_control"),
            Place::V2(dir) => dir.join("memory.events"),
            Place::Missing => return false,
        };
        let text = fs::read_to_string(file).unwrap_or_default();
        let count = text.lines().find_map(|line| line.strip_prefix("oom_kill "));
        count.and_then(|count| count.trim().parse::<u64>().ok()).is_some_and(|kills| kills > 0)
    }

    /// Whether every directory was removed, or there never was one.
    pub(crate) fn is_gone(&self) -> bool {
        self.directories().iter().all(|directory| !directory.exists())
    }

    /// Removes the directories; fails while a member lives. Gone already is success.
    pub(crate) fn remove(&self) -> io::Result<()> {
        let mut outcome = Ok(());
        for directory in self.directories() {
            match fs::remove_dir(&directory) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => outcome = Err(error),
            }
        }
        outcome
    }
}

fn put(file: &Path, value: impl ToString) -> io::Result<()> {
    use std::io::Write as _;
    let mut file = fs::OpenOptions::new().write(true).open(file)?;
    file.write_all(value.to_string().as_bytes())
}

fn put_if_there(file: &Path, value: impl ToString) -> io::Result<()> {
    match put(file, value) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        outcome => outcome,
    }
}

/// The hierarchies and what lacks, for the survey of the host. Changes nothing.
pub(crate) fn survey() -> (Vec<String>, Vec<MissingLimit>) {
    let (mut group, mut missing) = layout::look();
    group.forget_unwritable(&mut missing);
    let named = [
        ("memory", &group.memory),
        ("cpu", &group.cpu),
        ("pids", &group.pids),
        ("freezer", &group.freezer),
    ];
    let mut lines: Vec<String> = named
        .into_iter()
        .filter_map(|(name, place)| match place {
            Place::V1(path) => Some(format!("{name}: v1 {}", path.display())),
            Place::V2(path) => Some(format!("{name}: v2 {}", path.display())),
            Place::Missing => None,
        })
        .collect();
    lines
        .extend(group.unified.iter().map(|path| format!("freeze and kill: v2 {}", path.display())));
    (lines, missing)
}

/// Most memory used since the start or the last reset, in bytes.
pub(crate) fn peak_of(file: &fs::File) -> Option<u64> {
    let mut text = [0_u8; 32];
    let length = std::os::unix::fs::FileExt::read_at(file, &mut text, 0).ok()?;
    std::str::from_utf8(&text[..length]).ok()?.trim().parse().ok()
}
