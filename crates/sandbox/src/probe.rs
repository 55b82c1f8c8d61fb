//! What this host offers for isolation: one [`Finding`] per mechanism, found by trying
//! it harmlessly or by reading the kernel's own statements. `lambent doctor` prints
//! them; [`strength`] says what sandboxes are worth here. Changes nothing on the host.

use std::{fs, path::Path};

use crate::{cgroup, landlock, limited::Limit, scratch};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    Found,
    Partial,
    Missing,
}

/// What a mechanism means for isolation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weight {
    /// Without it there is no process sandbox.
    Required,
    /// Without it a sandbox is weaker, and says so.
    Wanted,
    /// Good to know.
    Extra,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    pub name: &'static str,
    pub found: Found,
    pub weight: Weight,
    /// What was seen.
    pub detail: String,
    /// What its absence means for the user.
    pub meaning: &'static str,
    /// What the operator can do.
    pub remedy: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Strength {
    Full,
    Reduced {
        missing: Vec<&'static str>,
    },
    /// No sandbox can be built.
    None,
}

/// Takes a few milliseconds; forks through the standard library's `Command` only.
pub fn survey() -> Vec<Finding> {
    let mut findings = vec![root()];
    findings.extend(NAMESPACES.map(namespace));
    findings.push(unshare());
    findings.extend([tmpfs(), overlay(), pivot_root()]);
    findings.extend(control_groups());
    findings.extend([seccomp(), landlock_finding(), no_new_privileges(), kvm(), scratch_on_disk()]);
    findings
}

/// Full only if nothing required or wanted lacks or is partial.
pub fn strength(findings: &[Finding]) -> Strength {
    let lacks = |weight, found: &[Found]| -> Vec<&'static str> {
        let named = findings.iter().filter(|f| f.weight == weight && found.contains(&f.found));
        named.map(|finding| finding.name).collect()
    };
    if !lacks(Weight::Required, &[Found::Missing]).is_empty() {
        return Strength::None;
    }
    let mut missing = lacks(Weight::Required, &[Found::Partial]);
    missing.extend(lacks(Weight::Wanted, &[Found::Missing, Found::Partial]));
    if missing.is_empty() { Strength::Full } else { Strength::Reduced { missing } }
}

const NAMESPACES: [(&str, &str); 8] = [
    ("user namespace", "user"),
    ("mount namespace", "mnt"),
    ("PID namespace", "pid"),
    ("network namespace", "net"),
    ("IPC namespace", "ipc"),
    ("UTS namespace", "uts"),
    ("cgroup namespace", "cgroup"),
    ("time namespace", "time"),
];

fn yes(condition: bool) -> Found {
    if condition { Found::Found } else { Found::Missing }
}

fn root() -> Finding {
    let uid = rustix::process::geteuid().as_raw();
    Finding {
        name: "root",
        found: if uid == 0 { Found::Found } else { Found::Partial },
        weight: Weight::Extra,
        detail: format!("effective user id {uid}"),
        meaning: "as an ordinary user all sandboxes share one host user",
        remedy: "run as root, or delegate a cgroup to the user for limits",
    }
}

fn namespace((name, file): (&'static str, &str)) -> Finding {
    let path = format!("/proc/self/ns/{file}");
    let there = Path::new(&path).exists();
    Finding {
        name,
        found: yes(there),
        weight: Weight::Required,
        detail: if there { format!("{path} exists") } else { format!("{path} does not exist") },
        meaning: "sandboxes cannot be built",
        remedy: "use a kernel 5.6 or later with all namespaces",
    }
}

/// The namespaces together, as a sandbox needs them.
fn unshare() -> Finding {
    let tried = crate::spawner::try_namespaces();
    Finding {
        name: "creating namespaces",
        found: yes(tried.is_ok()),
        weight: Weight::Required,
        detail: match tried {
            Ok(()) => "all namespaces were created together".into(),
            Err(error) => format!("creating all namespaces together: {error}"),
        },
        meaning: "sandboxes cannot be built",
        remedy: "allow user namespaces (user.max_user_namespaces, kernel.unprivileged_userns_clone, \
                 AppArmor's userns restriction, or the container's seccomp profile)",
    }
}

fn file_system(name: &'static str) -> bool {
    let known = fs::read_to_string("/proc/filesystems").unwrap_or_default();
    known.lines().any(|line| line.split_whitespace().last() == Some(name))
}

fn tmpfs() -> Finding {
    Finding {
        name: "tmpfs",
        found: yes(file_system("tmpfs")),
        weight: Weight::Required,
        detail: "/proc/filesystems".into(),
        meaning: "sandboxes have no root and no scratch space",
        remedy: "use a kernel with tmpfs",
    }
}

fn overlay() -> Finding {
    Finding {
        name: "overlayfs",
        found: yes(file_system("overlay")),
        weight: Weight::Extra,
        detail: "/proc/filesystems".into(),
        meaning: "nothing today: the root is read-only and needs no overlay",
        remedy: "load the module overlay",
    }
}

fn pivot_root() -> Finding {
    let root = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let initramfs =
        root.lines().any(|line| line.split(' ').nth(4) == Some("/") && line.contains(" - rootfs "));
    Finding {
        name: "pivot_root",
        found: if initramfs { Found::Partial } else { Found::Found },
        weight: Weight::Required,
        detail: if initramfs {
            "the root is the initramfs".into()
        } else {
            "root is a mount".into()
        },
        meaning: "the host's root may stay reachable for the kernel, not for sandboxes",
        remedy: "start from a mounted root file system",
    }
}

fn control_groups() -> Vec<Finding> {
    let (places, missing) = cgroup::survey();
    let mut findings = vec![Finding {
        name: "control groups",
        found: yes(!places.is_empty()),
        weight: Weight::Wanted,
        detail: places.join("; "),
        meaning: "no limit of memory, CPU or processes is enforced by the kernel",
        remedy: "mount cgroup2 on /sys/fs/cgroup",
    }];
    for limit in cgroup::LIMITS {
        let reason = missing.iter().find(|m| m.limit == limit).map(|m| m.reason.clone());
        findings.push(Finding {
            name: limit.name(),
            found: yes(reason.is_none()),
            weight: Weight::Wanted,
            detail: reason.unwrap_or_else(|| "available to us".into()),
            meaning: limit.consequence(),
            remedy: "run as root, or delegate the controllers (systemd: Delegate=yes)",
        });
    }
    findings
}

fn seccomp() -> Finding {
    let actions = fs::read_to_string("/proc/sys/kernel/seccomp/actions_avail").unwrap_or_default();
    let there = actions.contains("kill_process") && actions.contains("errno");
    Finding {
        name: "seccomp filters",
        found: yes(there),
        weight: Weight::Required,
        detail: if there { actions.trim().to_owned() } else { "no filter actions".into() },
        meaning: "programs could reach every system call",
        remedy: "use a kernel with CONFIG_SECCOMP_FILTER",
    }
}

fn landlock_finding() -> Finding {
    let abi = landlock::abi();
    Finding {
        name: "Landlock",
        found: match abi {
            0 => Found::Missing,
            1 | 2 => Found::Partial,
            _ => Found::Found,
        },
        weight: Weight::Wanted,
        detail: format!("ABI {abi}"),
        meaning: "read-only mounts are the only wall around files",
        remedy: "use a kernel 6.2 or later with landlock in its lsm= list",
    }
}

fn no_new_privileges() -> Finding {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    Finding {
        name: "no_new_privs",
        found: yes(status.contains("NoNewPrivs:")),
        weight: Weight::Required,
        detail: "/proc/self/status".into(),
        meaning: "set-uid programs could regain rights",
        remedy: "use a kernel 3.5 or later",
    }
}

fn kvm() -> Finding {
    let there = Path::new("/dev/kvm").exists();
    Finding {
        name: "KVM",
        found: yes(there),
        weight: Weight::Extra,
        detail: if there { "/dev/kvm exists; not used today" } else { "no /dev/kvm" }.into(),
        meaning: "no microVM tier",
        remedy: "enable hardware virtualisation",
    }
}

fn scratch_on_disk() -> Finding {
    let found = scratch::survey();
    Finding {
        name: Limit::Scratch.name(),
        found: yes(found.is_ok()),
        weight: Weight::Extra,
        detail: match found {
            Ok(()) => "ext4, loop devices and mke2fs are there".into(),
            Err(reason) => reason.to_string(),
        },
        meaning: Limit::Scratch.consequence(),
        remedy: "run as root with loop devices, and install e2fsprogs",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(name: &'static str, weight: Weight, found: Found) -> Finding {
        Finding { name, found, weight, detail: String::new(), meaning: "", remedy: "" }
    }

    #[test]
    fn strength_follows_the_weakest_part() {
        use Found as F;
        use Weight as W;
        let all = |wanted, required, extra| {
            strength(&[
                finding("w", W::Wanted, wanted),
                finding("r", W::Required, required),
                finding("e", W::Extra, extra),
            ])
        };
        assert_eq!(all(F::Found, F::Found, F::Missing), Strength::Full);
        assert_eq!(all(F::Missing, F::Found, F::Found), Strength::Reduced { missing: vec!["w"] });
        assert_eq!(
            all(F::Partial, F::Partial, F::Found),
            Strength::Reduced { missing: vec!["r", "w"] }
        );
        assert_eq!(all(F::Found, F::Missing, F::Found), Strength::None);
    }
}
