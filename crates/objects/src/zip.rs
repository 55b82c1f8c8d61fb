//! Unpacking a zip that a stranger made. The archive is read whole as a plan and
//! judged before the first file is written; while writing, what comes out is
//! compared with the plan.
//!
//! Nothing is written outside the destination, no link leads out of it, and nothing
//! in it is writable but by its owner. Times and owners in the archive are ignored.
//! Not durable: what is unpacked is a cache of an object.

use std::{
    fs::{self, DirBuilder, File, OpenOptions, Permissions},
    io::{self, Cursor, Read, Seek, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt, symlink},
    path::{Path, PathBuf},
};

use crate::{limits::PASSING_NAMES_MAX, partial};

pub use self::errors::{Fault, UnpackError};
use self::plan::{Kind, Plan, Planned};

mod errors;
mod plan;

const DIRECTORY_MODE: u32 = 0o755;

/// What an archive holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listing {
    /// As the archive counts them: files, links and directories.
    pub entries: usize,
    /// Unpacked bytes.
    pub total: u64,
}

/// Whether `unpack` would take the archive. Decompresses everything, writes nothing.
pub fn inspect(archive: &[u8]) -> Result<Listing, UnpackError> {
    let mut plan = Plan::read(Cursor::new(archive))?;
    for at in 0..plan.entries().len() {
        plan.copy_contents(at, &mut io::sink())?;
    }
    Ok(plan.listing())
}

/// Unpacks into a directory that appears whole or not at all. Where it is there
/// already it is left as it is: name it by the digest of the archive.
pub fn unpack(archive: impl Read + Seek, destination: &Path) -> Result<Listing, UnpackError> {
    let mut plan = Plan::read(archive)?;
    if destination.is_dir() {
        return Ok(plan.listing());
    }
    let partial = Partial::beside(destination)?;
    for path in plan.directories() {
        create_directory(&partial.0.join(path))?;
    }
    for at in 0..plan.entries().len() {
        write_entry(&mut plan, at, &partial.0)?;
    }
    match fs::rename(&partial.0, destination) {
        // Somebody else was faster; ours is removed.
        Err(_) if destination.is_dir() => {}
        Err(source) => return Err(write_failed(destination)(source)),
        Ok(()) => {}
    }
    Ok(plan.listing())
}

fn write_entry<R: Read + Seek>(
    plan: &mut Plan<R>,
    at: usize,
    root: &Path,
) -> Result<(), UnpackError> {
    let Planned { path, kind, .. } = &plan.entries()[at];
    let path = root.join(path);
    match kind {
        Kind::Directory => Ok(()),
        Kind::Link { target } => symlink(target, &path).map_err(write_failed(&path)),
        Kind::File { executable } => {
            let mode = if *executable { 0o755 } else { 0o644 };
            let mut file = create_file(&path, mode).map_err(write_failed(&path))?;
            plan.copy_contents(at, &mut Target { file: &mut file, path: &path })
        }
    }
}

fn create_directory(path: &Path) -> Result<(), UnpackError> {
    let created = DirBuilder::new().mode(DIRECTORY_MODE).create(path);
    // The mode again: the first one went through the process's umask.
    let created =
        created.and_then(|()| fs::set_permissions(path, Permissions::from_mode(DIRECTORY_MODE)));
    created.map_err(write_failed(path))
}

fn create_file(path: &Path, mode: u32) -> io::Result<File> {
    let file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
    file.set_permissions(Permissions::from_mode(mode))?;
    Ok(file)
}

fn write_failed(path: &Path) -> impl Fn(io::Error) -> UnpackError {
    move |source| UnpackError::Write { path: path.to_owned(), source }
}

/// A file being written; tells its errors from those of the archive.
struct Target<'t> {
    file: &'t mut File,
    path: &'t Path,
}

/// Where contents go.
trait Sink {
    fn take_in(&mut self, bytes: &[u8]) -> Result<(), UnpackError>;
}

impl Sink for Target<'_> {
    fn take_in(&mut self, bytes: &[u8]) -> Result<(), UnpackError> {
        self.file.write_all(bytes).map_err(write_failed(self.path))
    }
}

impl Sink for io::Sink {
    fn take_in(&mut self, _: &[u8]) -> Result<(), UnpackError> {
        Ok(())
    }
}

/// A directory under a passing name, removed unless it was renamed.
struct Partial(PathBuf);

impl Partial {
    fn beside(destination: &Path) -> Result<Partial, UnpackError> {
        for _ in 0..PASSING_NAMES_MAX {
            let path = partial::path_beside(destination);
            match create_directory(&path) {
                Ok(()) => return Ok(Partial(path)),
                Err(UnpackError::Write { source, .. })
                    if source.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
        Err(UnpackError::TooManyPartials { destination: destination.to_owned() })
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        // Usually gone: it has its real name. What stays is for `sweep_partial`.
        let _ = fs::remove_dir_all(&self.0);
    }
}
