//! Directories and the object store below the processes. They outlive schedules: what
//! is there is named by its content, and a cache that is warm changes no history.

use std::{io, path::PathBuf};

use model::{Digest, Manifest, RootId, function::Code};
use objects::Objects;

use super::Member;

#[derive(Debug)]
pub struct Disk {
    directory: tempfile::TempDir,
    pub(super) objects: Objects,
    pub(super) code: Code,
}

impl Disk {
    pub fn new() -> io::Result<Disk> {
        // In memory where there is such a place: nothing here is to last.
        let memory = PathBuf::from("/dev/shm");
        let directory = tempfile::tempdir_in(memory).or_else(|_| tempfile::tempdir())?;
        let failed = |error: &dyn std::fmt::Display| io::Error::other(error.to_string());
        let objects =
            Objects::open(&directory.path().join("objects")).map_err(|error| failed(&error))?;
        let bytes = zip().map_err(|error| failed(&error))?;
        let root = RootId("f".into());
        objects.create_root(&root).map_err(|error| failed(&error))?;
        let stored = objects.put(&root, &bytes[..]).map_err(|error| failed(&error))?;
        let manifest: Manifest = stored.manifest;
        let code = Code { sha256: Digest([1; 32]), size: bytes.len() as u64, manifest };
        Ok(Disk { directory, objects, code })
    }

    pub(super) fn of(&self, member: Member) -> PathBuf {
        self.directory.path().join(member.to_string())
    }
}

/// A small zip, as `control` would store it.
fn zip() -> zip::result::ZipResult<Vec<u8>> {
    let mut zip = zip::ZipWriter::new(io::Cursor::new(Vec::new()));
    zip.start_file("f.py", zip::write::SimpleFileOptions::default())?;
    io::Write::write_all(&mut zip, b"def handler(event, context): ...\n")?;
    Ok(zip.finish()?.into_inner())
}
