//! Bounds of this crate, each with its reason and what happens at the bound.
//! Limits that a function can see (memory, scratch size) arrive in [`crate::Spec`].

use std::time::Duration;

/// One request or event on a spawner socket. The kernel's default send buffer is
/// 208 KiB; a larger specification is refused before it is sent.
pub(crate) const PACKET_BYTES_MAX: usize = 160 * 1024;
/// Descriptors that travel with one packet: status, channel, stdout, stderr.
pub(crate) const PACKET_FDS_MAX: usize = 4;
/// Sandboxes one spawner holds; the next launch is refused with `EAGAIN`.
pub(crate) const LIVE_MAX: usize = 4096;
/// Sandboxes a spawner remembers before it looks for those that are gone.
pub(crate) const LIVE_SWEEP_MIN: usize = 32;
/// How long a fresh spawner may take to say hello before it is given up.
pub(crate) const HELLO_WAIT: Duration = Duration::from_secs(10);
/// How often the removal of a group that is still busy is tried again. Groups empty
/// themselves within a scheduler tick of the last exit.
pub(crate) const REMOVE_RETRY_MS: i32 = 2;
/// After this many tries a group is left to the clean-up of the next start (10 s).
pub(crate) const REMOVE_TRIES_MAX: u32 = 5_000;
/// Wait for killed sandboxes when the spawner ends.
pub(crate) const END_WAIT_MS: i32 = 5_000;
/// Extra read-only binds of one sandbox; more is refused by `Spec::check`.
pub(crate) const BINDS_MAX: usize = 64;
/// Open files per process, as on AWS.
pub(crate) const OPEN_FILES_MAX: u64 = 1024;
/// Locked memory per process: the kernel's usual 64 KiB.
pub(crate) const LOCKED_BYTES_MAX: u64 = 64 * 1024;
/// `/dev/shm`: enough for POSIX semaphores, not a second scratch.
pub(crate) const SHM_BYTES_MAX: u64 = 16 * 1024 * 1024;
/// The root holds directories and a handful of files of `/etc`.
pub(crate) const ROOT_BYTES_MAX: u64 = 1024 * 1024;
/// Scratch bytes per inode: an inode costs about 1 KiB of unaccounted kernel memory.
pub(crate) const SCRATCH_BYTES_PER_INODE: u64 = 16 * 1024;
/// The kernel refuses quotas under 1 ms.
pub(crate) const CPU_QUOTA_US_MIN: u64 = 1_000;
/// Period of the CPU quota: a throttled function pauses at most this long.
pub(crate) const CPU_PERIOD_US: u64 = 20_000;
/// Tries of an ending spawner to remove the groups of its dead (1 s); the next start of
/// a spawner removes what is left.
pub(crate) const END_TRIES_MAX: u32 = 500;
/// Fewest inodes of a scratch, however small: programs make many small files.
pub(crate) const SCRATCH_INODES_MIN: u64 = 1024;
/// Scratches made ahead, each a loop device and a mounted file system (about 0.3 MiB of
/// kernel memory). A launch that finds none makes its own (1 to 3 ms).
pub(crate) const SCRATCH_STOCK_MAX: usize = 8;
/// Sizes of scratch that are remembered (60 to 300 KiB each); the oldest is forgotten and
/// made again when asked for (about 40 ms).
pub(crate) const SCRATCH_TEMPLATES_MAX: usize = 8;
/// File systems made before a size is given up. The first try is right unless mke2fs
/// rounds the last block group away.
pub(crate) const TEMPLATE_TRIES_MAX: u32 = 3;
/// Free loop devices asked for before giving up: each try lost one to another process.
pub(crate) const LOOP_TRIES_MAX: u32 = 16;
/// Scratches the remover holds; beyond, the end of a sandbox itself lets go of its own.
pub(crate) const SCRATCH_HELD_MAX: usize = 2 * LIVE_MAX;
/// A dead scratch with more in it is shut down, so that none of it is written for nobody.
pub(crate) const SCRATCH_WRITTEN_BYTES_MAX: u64 = 16 * 1024 * 1024;
