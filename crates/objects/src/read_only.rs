//! `ReadOnly`: the directory of objects as any process has it that only reads. It may
//! read while another writes and deletes: a chunk appears under its name whole, and a
//! root that is being read is not deleted until the last reader has let go of it.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::Path,
    sync::Arc,
};

use model::Manifest;

use crate::{
    errors::{GetError, RootError},
    limits::PASSING_NAMES_MAX,
    partial::{self, Beside, create_new},
    reader::Reader,
    roots::root_path,
};

/// Cheap to clone. Opens nothing by itself: a directory that is not there yet has no
/// roots.
#[derive(Clone, Debug)]
pub struct ReadOnly {
    roots: Arc<Path>,
}

impl ReadOnly {
    /// The directory that another process has open as `Objects`, or will have.
    pub fn at(directory: &Path) -> ReadOnly {
        ReadOnly { roots: directory.join("roots").into() }
    }

    /// The object's bytes, each chunk verified before any of it is handed out. One
    /// chunk at a time is in memory, however large the object is. While the reader is
    /// there, the root is not deleted.
    pub fn get(&self, manifest: &Manifest) -> Result<Reader, GetError> {
        let path = root_path(&self.roots, &manifest.root)?;
        let no_root = || RootError::NoSuchRoot { root: manifest.root.clone() };
        let failed =
            |source| RootError::Io { doing: "opening", root: manifest.root.clone(), source };
        let in_use = match File::open(&path) {
            Ok(directory) => directory,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(no_root().into()),
            Err(error) => return Err(failed(error).into()),
        };
        // Waits only for a deletion that is under way, which renames the root.
        in_use.lock_shared().map_err(failed)?;
        if !path.is_dir() {
            return Err(no_root().into());
        }
        Reader::open(path, in_use, manifest)
    }

    /// Writes the object to a new file at `path`. The file appears whole or not at
    /// all; it is a copy, so it is not synced.
    pub fn materialise(&self, manifest: &Manifest, path: &Path) -> Result<(), GetError> {
        let mut reader = self.get(manifest)?;
        let failed = |source| GetError::Write { path: path.to_owned(), source };
        let (beside, mut file) = file_beside(path).map_err(failed)?;
        while let Some(chunk) = reader.next_chunk()? {
            file.write_all(&chunk).map_err(failed)?;
        }
        fs::rename(&beside.0, path).map_err(failed)
    }

    pub(crate) fn roots_path(&self) -> &Path {
        &self.roots
    }
}

/// Others may write to the same place, from this process too.
fn file_beside(path: &Path) -> io::Result<(Beside, File)> {
    for _ in 0..PASSING_NAMES_MAX {
        let beside = partial::path_beside(path);
        match create_new(&beside) {
            Ok(file) => return Ok((Beside(beside), file)),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
    Err(io::Error::other(format!("{PASSING_NAMES_MAX} unfinished files are beside it")))
}
