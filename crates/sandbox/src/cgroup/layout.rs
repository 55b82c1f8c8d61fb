//! Which hierarchies this host has, where in them we are, and what dead instances
//! left behind. Reads `/proc/self/mountinfo` and `/proc/self/cgroup`; creates nothing
//! but the delegation of v2 controllers that we need.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::{Group, Place, put};
use crate::limited::{Limit, MissingLimit};

const PREFIX: &str = "lambent-";
const SUPERVISOR: &str = "lambent-supervisor";

/// One mounted hierarchy.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Hierarchy {
    v2: bool,
    controllers: Vec<String>,
    mount: PathBuf,
    /// The directory of the hierarchy that the mount shows.
    root: PathBuf,
}

/// Our own places, with v2 controllers made available to children.
pub(super) fn detect() -> (Group, Vec<MissingLimit>) {
    let (group, _) = look();
    if let Some(own) = &group.unified {
        delegate_own(own);
    }
    look()
}

/// The same without touching anything.
pub(super) fn look() -> (Group, Vec<MissingLimit>) {
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let own = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let hierarchies = parse_mounts(&mounts);
    let group = places(&hierarchies, &own, &|dir| {
        fs::read_to_string(dir.join("cgroup.controllers")).unwrap_or_default()
    });
    let missing = missing(&group);
    (group, missing)
}

fn parse_mounts(mountinfo: &str) -> Vec<Hierarchy> {
    let mut found: Vec<Hierarchy> = Vec::new();
    for line in mountinfo.lines() {
        let Some((left, right)) = line.split_once(" - ") else { continue };
        let mut left = left.split(' ').skip(3);
        let (Some(root), Some(mount)) = (left.next(), left.next()) else { continue };
        let right: Vec<&str> = right.split(' ').collect();
        let v2 = right[0] == "cgroup2";
        if !v2 && right[0] != "cgroup" {
            continue;
        }
        let options = right.get(2).copied().unwrap_or_default();
        let controllers = options.split(',').map(str::to_owned).collect();
        found.push(Hierarchy { v2, controllers, mount: mount.into(), root: root.into() });
    }
    found
}

fn places(all: &[Hierarchy], own: &str, controllers: &dyn Fn(&Path) -> String) -> Group {
    let unified = all.iter().find(|h| h.v2).and_then(|h| own_directory(h, own, ""));
    let offered = unified.as_deref().map(controllers).unwrap_or_default();
    let place = |name: &str| {
        let v1 = all.iter().find(|h| !h.v2 && h.controllers.iter().any(|c| c == name));
        if let Some(dir) = v1.and_then(|h| own_directory(h, own, name)) {
            return Place::V1(dir);
        }
        match &unified {
            Some(dir) if offered.split_whitespace().any(|c| c == name) => Place::V2(dir.clone()),
            _ => Place::Missing,
        }
    };
    let freezer = match unified {
        Some(_) => Place::Missing,
        None => place("freezer"),
    };
    Group { memory: place("memory"), cpu: place("cpu"), pids: place("pids"), freezer, unified }
}

/// The directory of our own group in one hierarchy. A supervisor leaf is left upwards.
fn own_directory(hierarchy: &Hierarchy, own: &str, controller: &str) -> Option<PathBuf> {
    let path = own.lines().find_map(|line| {
        let mut fields = line.splitn(3, ':').skip(1);
        let names = fields.next()?;
        let path = fields.next()?;
        names.split(',').any(|name| name == controller).then_some(path)
    })?;
    let below = Path::new(path).strip_prefix(&hierarchy.root).ok()?;
    let below = if below.ends_with(SUPERVISOR) { below.parent()? } else { below };
    Some(hierarchy.mount.join(below))
}

fn missing(group: &Group) -> Vec<MissingLimit> {
    let mut missing = Vec::new();
    for (limit, name, place) in [
        (Limit::Memory, "memory", &group.memory),
        (Limit::Cpu, "cpu", &group.cpu),
        (Limit::Pids, "pids", &group.pids),
    ] {
        if *place == Place::Missing {
            let reason = format!("no hierarchy offers us the controller {name}");
            missing.push(MissingLimit { limit, reason });
        }
    }
    if group.unified.is_none() {
        let reason = "cgroup v2 is not mounted".to_owned();
        missing.push(MissingLimit { limit: Limit::GroupKill, reason: reason.clone() });
        if group.freezer == Place::Missing {
            missing.push(MissingLimit { limit: Limit::Freeze, reason });
        }
    }
    missing
}

/// A v2 group with members cannot give controllers to children, so we step into a
/// leaf first. Only needed outside the root group and only if controllers are there;
/// a failure shows as missing limits.
fn delegate_own(own: &Path) {
    let offered = fs::read_to_string(own.join("cgroup.controllers")).unwrap_or_default();
    if !["memory", "cpu", "pids"].iter().any(|name| offered.contains(name)) {
        return;
    }
    if own.join("cgroup.type").exists() {
        let leaf = own.join(SUPERVISOR);
        fs::create_dir(&leaf).ok();
        let parent = rustix::process::getppid().map(|pid| pid.as_raw_nonzero().get());
        let members = fs::read_to_string(own.join("cgroup.procs")).unwrap_or_default();
        for pid in members.lines().filter_map(|line| line.parse::<i32>().ok()) {
            if Some(pid) == parent || pid == rustix::process::getpid().as_raw_nonzero().get() {
                put(&leaf.join("cgroup.procs"), pid).ok();
            }
        }
    }
    delegate_below(own);
}

/// Gives each wanted v2 controller that is there to the children of a group.
pub(super) fn delegate_below(dir: &Path) {
    let offered = fs::read_to_string(dir.join("cgroup.controllers")).unwrap_or_default();
    for name in ["memory", "cpu", "pids"] {
        if offered.split_whitespace().any(|c| c == name) {
            put(&dir.join("cgroup.subtree_control"), format!("+{name}")).ok();
        }
    }
}

/// `lambent-<pid>-<start time>`: a name that no later process can have again.
pub(super) fn instance_name(pid: i32) -> String {
    format!("{PREFIX}{pid}-{}", start_time(pid).unwrap_or_default())
}

fn start_time(pid: i32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The command name may hold spaces and brackets: fields count from its end.
    stat.rsplit_once(") ")?.1.split(' ').nth(19)?.parse().ok()
}

/// Removes the groups of instances whose process is gone, with all that is in them.
pub(super) fn remove_stale(parent: &Path) {
    let Ok(entries) = fs::read_dir(parent) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let Some(instance) = name.strip_prefix(PREFIX) else { continue };
        let Some((pid, started)) = instance.split_once('-') else { continue };
        let (Ok(pid), Ok(started)) = (pid.parse::<i32>(), started.parse::<u64>()) else {
            continue;
        };
        if start_time(pid) != Some(started) {
            remove_tree(&entry.path());
        }
    }
}

fn remove_tree(group: &Path) {
    for entry in fs::read_dir(group).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            let child = entry.path();
            put(&child.join("cgroup.kill"), 1).ok();
            fs::remove_dir(child).ok();
        }
    }
    fs::remove_dir(group).ok();
}

#[cfg(test)]
mod tests {
    use super::*;

    const HYBRID: &str = "\
25 20 0:21 / /sys/fs/cgroup/memory rw shared:9 - cgroup cgroup rw,memory
26 20 0:22 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct
27 20 0:23 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids
28 20 0:24 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw";
    const HYBRID_OWN: &str = "4:memory:/x/y\n3:cpu,cpuacct:/\n2:pids:/\n0::/";

    #[test]
    fn hybrid_hosts_use_v1_controllers_and_v2_freeze() {
        let group = places(&parse_mounts(HYBRID), HYBRID_OWN, &|_| "hugetlb".into());
        assert_eq!(group.memory, Place::V1("/sys/fs/cgroup/memory/x/y".into()));
        assert_eq!(group.cpu, Place::V1("/sys/fs/cgroup/cpu,cpuacct/".into()));
        assert_eq!(group.freezer, Place::Missing);
        assert_eq!(group.unified, Some("/sys/fs/cgroup/unified/".into()));
        assert_eq!(missing(&group), []);
    }

    #[test]
    fn pure_v2_hosts_use_what_is_delegated() {
        let mounts = "28 20 0:24 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw";
        let own = "0::/system.slice/l.service/lambent-supervisor";
        let group = places(&parse_mounts(mounts), own, &|_| "memory pids".into());
        let dir = PathBuf::from("/sys/fs/cgroup/system.slice/l.service");
        assert_eq!(group.memory, Place::V2(dir.clone()));
        assert_eq!(group.unified, Some(dir));
        let limits: Vec<Limit> = missing(&group).into_iter().map(|m| m.limit).collect();
        assert_eq!(limits, [Limit::Cpu]);
    }

    #[test]
    fn a_host_without_cgroups_says_so() {
        let group = places(&[], "", &|_| String::new());
        assert_eq!(missing(&group).len(), 5);
    }

    #[test]
    fn a_container_sees_its_own_root() {
        let mounts = "25 20 0:21 /docker/abc /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory";
        let group = places(&parse_mounts(mounts), "4:memory:/docker/abc", &|_| String::new());
        assert_eq!(group.memory, Place::V1("/sys/fs/cgroup/memory/".into()));
    }
}
