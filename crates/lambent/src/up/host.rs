//! What this host can offer to functions: memory, less a reserve, and places. Read
//! once at the start; the manager places environments within it.

use std::fs;

use anyhow::Context;

use crate::failure::Failure;

/// Stays with the host: the platform itself, page cache, everything else.
const RESERVE_MB_MIN: u64 = 256;
/// Or this part of a larger host, in percent.
const RESERVE_PERCENT: u64 = 10;

/// Environments at once. Each takes a few processes, descriptors and a network
/// namespace; memory is usually used up before.
pub(crate) const SLOTS_DEFAULT: u32 = 1_000;
pub(crate) const SLOTS_MAX: u32 = 100_000;

/// All memory of the host, in MB.
pub(crate) fn memory_mb() -> anyhow::Result<u64> {
    let text = fs::read_to_string("/proc/meminfo").context("reading /proc/meminfo")?;
    total_mb(&text).ok_or_else(|| {
        let todo = "say how much may be used with --memory-mb on a host with Linux's /proc";
        Failure::failed("the memory of this host is not known", todo).into()
    })
}

fn total_mb(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes / 1_024)
}

/// What functions may have of it.
pub(crate) fn offered_mb(host_mb: u64) -> u64 {
    let reserve = (host_mb * RESERVE_PERCENT / 100).max(RESERVE_MB_MIN);
    host_mb.saturating_sub(reserve)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_read_from_the_kernel_s_form() {
        assert_eq!(total_mb("MemTotal:       24683520 kB\nMemFree: 1 kB\n"), Some(24_105));
        assert_eq!(total_mb("MemFree: 1 kB\n"), None);
        assert!(memory_mb().unwrap() > 0);
    }

    #[test]
    fn a_reserve_stays_with_the_host() {
        for (host, offered) in [(1_000, 744), (10_000, 9_000), (200, 0)] {
            assert_eq!(offered_mb(host), offered);
        }
    }
}
