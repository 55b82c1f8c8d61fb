//! Roots: directories that are made, listed and deleted as a whole. Nothing smaller
//! is ever deleted, so no chunk needs a count of its users.
//!
//! A root's name is never used again after deletion; the caller sees to that.

use std::{
    ffi::OsStr,
    fs::{self, File, TryLockError},
    io,
    path::{Path, PathBuf},
};

use model::RootId;

use crate::{chunks::Objects, errors::RootError, limits::ROOT_NAME_CHARS_MAX};

impl Objects {
    /// Durable on return; a root that exists already is left as it is.
    pub fn create_root(&self, root: &RootId) -> Result<(), RootError> {
        let path = self.root_path(root)?;
        let io = |source| RootError::Io { doing: "creating", root: root.clone(), source };
        match fs::create_dir(&path) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => {}
            Err(error) => return Err(io(error)),
        }
        sync_directory(self.roots_path()).map_err(io)
    }

    /// In the order of their names.
    pub fn list_roots(&self) -> Result<Vec<RootId>, RootError> {
        let mut roots = Vec::new();
        for entry in fs::read_dir(self.roots_path()).map_err(RootError::List)? {
            let name = entry.map_err(RootError::List)?.file_name();
            roots
                .extend(name.to_str().filter(|name| is_name(name)).map(|name| RootId(name.into())));
        }
        roots.sort();
        Ok(roots)
    }

    /// The root is gone at once and durably; its bytes are freed before the return,
    /// or at the next opening if that is cut short. Waits for puts that are under way,
    /// but not for readers, of whichever process: `InUse` is for a later attempt.
    pub fn delete_root(&self, root: &RootId) -> Result<(), RootError> {
        let path = self.root_path(root)?;
        let io = |source| RootError::Io { doing: "deleting", root: root.clone(), source };
        let grave = self.temporary_path();
        {
            let _no_puts = self.hold_off_puts();
            if !path.is_dir() {
                return Err(RootError::NoSuchRoot { root: root.clone() });
            }
            let unread = File::open(&path).map_err(io)?;
            match unread.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => {
                    return Err(RootError::InUse { root: root.clone() });
                }
                Err(TryLockError::Error(error)) => return Err(io(error)),
            }
            fs::rename(&path, &grave).map_err(io)?;
            sync_directory(self.roots_path()).map_err(io)?;
        }
        fs::remove_dir_all(&grave).map_err(io)
    }

    /// Where a root's chunks are. The name is checked: it came from outside.
    pub(crate) fn root_path(&self, root: &RootId) -> Result<PathBuf, RootError> {
        root_path(self.roots_path(), root)
    }
}

pub(crate) fn root_path(roots: &Path, root: &RootId) -> Result<PathBuf, RootError> {
    if !is_name(&root.0) {
        return Err(RootError::BadName { root: root.clone() });
    }
    Ok(roots.join(OsStr::new(&root.0)))
}

fn is_name(text: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    (1..=ROOT_NAME_CHARS_MAX).contains(&text.len())
        && text.bytes().all(allowed)
        && !text.starts_with('-')
}

/// Makes the names in a directory durable.
pub(crate) fn sync_directory(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}
