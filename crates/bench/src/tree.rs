//! A process's descendants and what memory they hold, read from `/proc`. Shared
//! pages are divided by those who share them (PSS), so that sums are honest.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
};

/// All processes below one, itself not among them.
pub(crate) fn descendants(root: u32) -> BTreeSet<u32> {
    let mut children: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        // It may have ended since the directory was read.
        let Ok(stat) = fs::read_to_string(entry.path().join("stat")) else { continue };
        if let Some(parent) = parent_of(&stat) {
            children.entry(parent).or_default().push(pid);
        }
    }
    let mut found = BTreeSet::new();
    let mut open = vec![root];
    while let Some(pid) = open.pop() {
        for child in children.get(&pid).into_iter().flatten() {
            if found.insert(*child) {
                open.push(*child);
            }
        }
    }
    found
}

/// The fourth field; the second, a name in brackets, may hold anything.
fn parent_of(stat: &str) -> Option<u32> {
    let (_, rest) = stat.rsplit_once(')')?;
    rest.split_whitespace().nth(1)?.parse().ok()
}

/// A field of `smaps_rollup` in KiB, such as `Pss`, if the process is there.
pub(crate) fn memory_kib(pid: u32, field: &str) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
    let mut fields = text.lines().filter_map(|line| line.split_once(':'));
    let (_, value) = fields.find(|(name, _)| *name == field)?;
    value.trim().strip_suffix(" kB")?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn a_child_is_found_and_weighed() {
        let mut child = Command::new("/bin/cat").stdin(Stdio::piped()).spawn().unwrap();
        let found = descendants(std::process::id());
        let rss = memory_kib(child.id(), "Rss");
        drop(child.stdin.take());
        let known = child.id();
        child.wait().unwrap();
        assert!(found.contains(&known));
        assert!(rss.is_some_and(|kib| kib > 0), "{rss:?}");
        assert_eq!(memory_kib(known, "NoSuchField"), None);
    }

    #[test]
    fn names_with_brackets_do_not_confuse() {
        assert_eq!(parent_of("12 (a) b (c)) S 7 12 12 0"), Some(7));
    }
}
