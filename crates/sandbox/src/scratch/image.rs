//! Images of scratch: sparse files without a name, each holding an empty ext4 without a
//! journal. mke2fs makes one per size; the few blocks it wrote are kept in memory and
//! written into every further image. A fresh file reads as zero wherever nothing was
//! written, so no image shows what another sandbox left.

use std::{
    collections::VecDeque,
    fs::{self, DirBuilder, File},
    io,
    os::{
        fd::{AsFd, AsRawFd},
        unix::fs::{DirBuilderExt, FileExt, PermissionsExt},
    },
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use rustix::{
    fs::{AtFlags, CWD, Mode, OFlags, SeekFrom, openat, seek, unlinkat},
    io::Errno,
};

use super::{NoDisk, ScratchStep, device};
use crate::limits::{
    SCRATCH_BYTES_PER_INODE, SCRATCH_INODES_MIN, SCRATCH_TEMPLATES_MAX, TEMPLATE_TRIES_MAX,
};

pub(super) const BLOCK_BYTES: u64 = 4096;
const INODE_BYTES: u64 = 256;
const BLOCKS_PER_GROUP: u64 = BLOCK_BYTES * 8;
/// Directories and the maps of large files take blocks too: they are not the user's.
const SPARE_BLOCKS: u64 = 64;
const SMALLEST_BLOCKS: u64 = 256;
/// Nothing that costs time at mount or needs the host's configuration of mke2fs.
const FEATURES: &str = "none,extent,filetype,dir_index,dir_nlink,extra_isize,flex_bg,huge_file,\
                        large_file,sparse_super2,uninit_bg";
const PROGRAMS: [&str; 3] = ["/usr/sbin/mke2fs", "/sbin/mke2fs", "/usr/bin/mke2fs"];
const SUPERBLOCK: u64 = 1024;
const TMPFS: i64 = 0x0102_1994;
const RAMFS: i64 = 0x8584_58f6;

/// Where mke2fs is.
pub(super) fn program() -> Result<&'static str, NoDisk> {
    PROGRAMS.into_iter().find(|path| Path::new(path).exists()).ok_or(NoDisk::NoMke2fs)
}

/// An empty file system of one size.
#[derive(Debug)]
struct Template {
    bytes: u64,
    image_bytes: u64,
    /// What is not zero, by offset.
    parts: Vec<(u64, Vec<u8>)>,
}

#[derive(Debug)]
pub(super) struct Images {
    directory: PathBuf,
    templates: VecDeque<Template>,
}

impl Images {
    pub(super) fn open(directory: &Path) -> Result<Images, NoDisk> {
        let failed = ScratchStep::Directory.failed::<io::Error>();
        DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(&failed)?;
        let kind = rustix::fs::statfs(directory).map_err(|error| failed(error.into()))?.f_type;
        if [TMPFS, RAMFS].contains(&kind) {
            return Err(NoDisk::InMemory);
        }
        Ok(Images { directory: directory.to_owned(), templates: VecDeque::new() })
    }

    pub(super) fn fresh(&mut self, bytes: u64) -> Result<File, NoDisk> {
        let disk = rustix::fs::statvfs(&self.directory).map_err(ScratchStep::Image.failed())?;
        if disk.f_bavail.saturating_mul(disk.f_frsize) < bytes {
            return Err(NoDisk::NoRoom);
        }
        let index = match self.templates.iter().position(|template| template.bytes == bytes) {
            Some(index) => index,
            None => {
                let template = Template::make(&self.directory, bytes)?;
                if self.templates.len() >= SCRATCH_TEMPLATES_MAX {
                    self.templates.pop_front();
                }
                self.templates.push_back(template);
                self.templates.len() - 1
            }
        };
        self.templates[index].copy(&self.directory)
    }
}

/// Without a name from the beginning, so that no crash can leave it.
fn unnamed(directory: &Path) -> Result<File, Errno> {
    let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
    openat(CWD, directory, flags, Mode::RUSR | Mode::WUSR).map(File::from)
}

impl Template {
    fn make(directory: &Path, bytes: u64) -> Result<Template, NoDisk> {
        let failed = ScratchStep::Template.failed::<io::Error>();
        let wanted = bytes.div_ceil(BLOCK_BYTES).max(SMALLEST_BLOCKS);
        let inodes = (bytes / SCRATCH_BYTES_PER_INODE).max(SCRATCH_INODES_MIN);
        let mut blocks = estimate(wanted, inodes);
        for _ in 0..TEMPLATE_TRIES_MAX {
            let file = unnamed(directory).map_err(|error| failed(error.into()))?;
            file.set_len(blocks * BLOCK_BYTES).map_err(&failed)?;
            make_file_system(&file, inodes)?;
            let usable = usable_blocks(&file).map_err(&failed)?;
            if usable < wanted + SPARE_BLOCKS {
                blocks += wanted + SPARE_BLOCKS - usable;
                continue;
            }
            open_for_everyone(&file)?;
            let parts = parts(&file).map_err(&failed)?;
            return Ok(Template { bytes, image_bytes: blocks * BLOCK_BYTES, parts });
        }
        Err(NoDisk::Mke2fs)
    }

    fn copy(&self, directory: &Path) -> Result<File, NoDisk> {
        let failed = ScratchStep::Image.failed::<io::Error>();
        let file = unnamed(directory).map_err(|error| failed(error.into()))?;
        file.set_len(self.image_bytes).map_err(&failed)?;
        for (offset, part) in &self.parts {
            file.write_all_at(part, *offset).map_err(&failed)?;
        }
        Ok(file)
    }
}

/// Blocks of a file system in which about `wanted` are free for files.
fn estimate(wanted: u64, inodes: u64) -> u64 {
    let groups = wanted / BLOCKS_PER_GROUP + 1;
    let tables = (inodes * INODE_BYTES).div_ceil(BLOCK_BYTES);
    let taken = wanted + tables + 4 * groups + SPARE_BLOCKS;
    taken + (taken / 49 + 1).min(KEPT_BLOCKS_MAX)
}

/// ext4 keeps a fiftieth for itself, at most this many blocks.
const KEPT_BLOCKS_MAX: u64 = 4096;

fn usable_blocks(file: &File) -> io::Result<u64> {
    let mut head = [0_u8; 16];
    file.read_exact_at(&mut head, SUPERBLOCK)?;
    let number =
        |at: usize| u32::from_le_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
    let (blocks, free) = (u64::from(number(4)), u64::from(number(12)));
    Ok(free.saturating_sub((blocks / 50).min(KEPT_BLOCKS_MAX)))
}

fn make_file_system(file: &File, inodes: u64) -> Result<(), NoDisk> {
    let path = format!("/proc/{}/fd/{}", std::process::id(), file.as_fd().as_raw_fd());
    let mut command = Command::new(program()?);
    command
        .env_clear()
        .env("MKE2FS_CONFIG", "/dev/null")
        .args(["-q", "-F", "-t", "ext4", "-m", "0", "-O", FEATURES])
        .args(["-E", "lazy_itable_init=1,nodiscard,num_backup_sb=0"])
        .args(["-b", &BLOCK_BYTES.to_string(), "-I", &INODE_BYTES.to_string()])
        .args(["-N", &inodes.to_string(), &path])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let status = waited_for(|| command.status()).map_err(ScratchStep::Template.failed())?;
    if status.success() { Ok(()) } else { Err(NoDisk::Mke2fs) }
}

/// The spawner lets the kernel reap its children; one whose status counts must be kept.
fn waited_for<T>(run: impl FnOnce() -> T) -> T {
    // SAFETY: neither disposition runs code of ours; the previous one is put back.
    let before = unsafe { libc::signal(libc::SIGCHLD, libc::SIG_DFL) };
    let outcome = run();
    // SAFETY: as above; the value came from the same call.
    unsafe { libc::signal(libc::SIGCHLD, before) };
    if before == libc::SIG_IGN {
        // Sandboxes that died in the meantime.
        // SAFETY: no status is asked for.
        while unsafe { libc::waitpid(-1, std::ptr::null_mut(), libc::WNOHANG) } > 0 {}
    }
    outcome
}

/// An empty root in which every user may create, as in any `/tmp`.
fn open_for_everyone(file: &File) -> Result<(), NoDisk> {
    let mount = device::mount(file)?;
    let failed = ScratchStep::Template.failed::<io::Error>();
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let root = openat(&mount, ".", flags, Mode::empty()).map_err(|error| failed(error.into()))?;
    match unlinkat(&root, "lost+found", AtFlags::REMOVEDIR) {
        Ok(()) | Err(Errno::NOENT) => {}
        Err(error) => return Err(failed(error.into())),
    }
    File::from(root).set_permissions(fs::Permissions::from_mode(0o1777)).map_err(failed)
}

fn parts(file: &File) -> io::Result<Vec<(u64, Vec<u8>)>> {
    let mut parts = Vec::new();
    let mut offset = 0;
    loop {
        let begin = match seek(file, SeekFrom::Data(offset)) {
            Ok(begin) => begin,
            Err(Errno::NXIO) => return Ok(parts),
            Err(error) => return Err(error.into()),
        };
        offset = seek(file, SeekFrom::Hole(begin))?;
        let length = usize::try_from(offset - begin).map_err(io::Error::other)?;
        let mut bytes = vec![0; length];
        file.read_exact_at(&mut bytes, begin)?;
        parts.push((begin, bytes));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn directory() -> tempfile::TempDir {
        tempfile::tempdir().unwrap()
    }

    #[test]
    fn every_size_has_its_whole_room_and_little_more() {
        let directory = directory();
        for bytes in [1, 8 << 20, 100 << 20, 512 << 20, 1000 << 20, 10_240 << 20] {
            let template = Template::make(directory.path(), bytes).unwrap();
            let file = template.copy(directory.path()).unwrap();
            let wanted = bytes.div_ceil(BLOCK_BYTES).max(SMALLEST_BLOCKS);
            let usable = usable_blocks(&file).unwrap();
            assert!(usable >= wanted, "{bytes}: {usable} of {wanted}");
            assert!(usable <= wanted + 4 * SPARE_BLOCKS, "{bytes}: {usable} of {wanted}");
            let written: usize = template.parts.iter().map(|(_, part)| part.len()).sum();
            assert!(written < 1 << 20, "{bytes}: {written} bytes per image");
        }
    }

    #[test]
    fn an_image_is_zero_beyond_its_template() {
        let directory = directory();
        let template = Template::make(directory.path(), 16 << 20).unwrap();
        // A used image with a pattern in all of it is freed before the next one is made.
        let used = template.copy(directory.path()).unwrap();
        let pattern = [0xa5_u8; BLOCK_BYTES as usize];
        for block in 0..template.image_bytes / BLOCK_BYTES {
            used.write_all_at(&pattern, block * BLOCK_BYTES).unwrap();
        }
        used.sync_all().unwrap();
        drop(used);
        let fresh = template.copy(directory.path()).unwrap();
        let mut bytes = vec![1; usize::try_from(template.image_bytes).unwrap()];
        fresh.read_exact_at(&mut bytes, 0).unwrap();
        for (offset, part) in &template.parts {
            let begin = usize::try_from(*offset).unwrap();
            let place = &mut bytes[begin..begin + part.len()];
            assert_eq!(place, part.as_slice(), "the template itself");
            place.fill(0);
        }
        assert!(bytes.iter().all(|byte| *byte == 0), "nothing of the used image");
    }

    #[test]
    fn a_directory_in_memory_is_refused() {
        let place = tempfile::tempdir_in("/dev/shm").unwrap();
        assert_eq!(Images::open(place.path()).unwrap_err(), NoDisk::InMemory);
    }

    #[test]
    fn images_have_no_names() {
        let directory = directory();
        let mut images = Images::open(directory.path()).unwrap();
        let _image = images.fresh(16 << 20).unwrap();
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
    }
}
