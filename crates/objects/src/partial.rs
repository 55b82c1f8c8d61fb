//! Passing names for what is being written. Outside of the objects' own directory:
//! hidden, beside the destination, told apart by process and number. A process never
//! uses a number again; who meets a name of a process of another host or container
//! that has the same number tries the next.

use std::{
    ffi::OsString,
    fs::{self, File, OpenOptions},
    io,
    os::unix::{ffi::OsStrExt, fs::OpenOptionsExt},
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

const ENDING: &str = ".partial";

pub(crate) fn path_beside(destination: &Path) -> PathBuf {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let mut name = OsString::from(".");
    name.push(destination.file_name().unwrap_or_default());
    name.push(format!(".{}-{number}{ENDING}", std::process::id()));
    destination.with_file_name(name)
}

/// A file under a passing name that is never used again; removed unless it was renamed.
pub(crate) struct Beside(pub(crate) PathBuf);

impl Drop for Beside {
    fn drop(&mut self) {
        // Usually gone: it has its real name. What stays is swept at the next opening.
        let _ = fs::remove_file(&self.0);
    }
}

pub(crate) fn create_new(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

/// Removes what a killed `materialise` or `unpack` left in a directory. Only for a
/// directory into which nobody writes meanwhile.
pub fn sweep_partial(directory: &Path) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.as_bytes();
        if !(name.starts_with(b".") && name.ends_with(ENDING.as_bytes())) {
            continue;
        }
        if entry.file_type()?.is_dir() {
            fs::remove_dir_all(entry.path())?;
        } else {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}
