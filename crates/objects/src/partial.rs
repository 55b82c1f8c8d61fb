//! Passing names for what is being written outside of the objects' own directory:
//! hidden, beside the destination, told apart by process and number.

use std::{
    ffi::OsString,
    fs, io,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
};

const ENDING: &str = ".partial";

pub(crate) fn path_beside(destination: &Path, number: u64) -> PathBuf {
    let mut name = OsString::from(".");
    name.push(destination.file_name().unwrap_or_default());
    name.push(format!(".{}-{number}{ENDING}", std::process::id()));
    destination.with_file_name(name)
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
