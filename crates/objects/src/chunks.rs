//! `Objects`: a directory of chunks, one file per chunk, named by its BLAKE3, as the
//! one process has it that writes and deletes. Others read beside it: `ReadOnly`.
//!
//! ```text
//! lock              held by the process that writes here
//! temporary/        files being written, roots being removed; emptied at opening
//! roots/{root}/     {64 hex digits of the chunk's name}; locked shared by readers
//! ```
//!
//! A chunk is written beside, synced, and renamed, then the names are synced, and
//! only then does the caller get the manifest: what was acknowledged is readable
//! after a power loss, and a file under a chunk's name is never half of one.

use std::{
    fs::{self, DirBuilder, File, OpenOptions, TryLockError},
    io::{self, Read, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::{
        Arc, PoisonError, RwLock, RwLockWriteGuard,
        atomic::{AtomicU64, Ordering},
    },
};

use model::{ChunkId, Digest, Manifest, RootId, manifest::ChunkRef};
use sha2::{Digest as _, Sha256};

use crate::{
    errors::{GetError, OpenError, PutError, RootError},
    limits::CHUNK_BYTES,
    partial::{Beside, create_new},
    read_only::ReadOnly,
    reader::Reader,
    roots::sync_directory,
};

/// The open directory. Cheap to clone; closed when the last clone is dropped.
#[derive(Clone, Debug)]
pub struct Objects(Arc<Open>);

#[derive(Debug)]
struct Open {
    directory: PathBuf,
    read_only: ReadOnly,
    /// Told apart within this process: no other writes here.
    temporaries: AtomicU64,
    /// Read by puts, written by the deletion of a root.
    puts: RwLock<()>,
    _lock: File,
}

/// An object that is durable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    pub manifest: Manifest,
    /// Of the whole object, computed on the way.
    pub sha256: Digest,
}

impl Objects {
    /// Makes the directory where it is missing, and removes what an earlier process
    /// left unfinished.
    pub fn open(directory: &Path) -> Result<Objects, OpenError> {
        let io = |doing| move |source| OpenError::Io { doing, path: directory.to_owned(), source };
        let mut builder = DirBuilder::new();
        builder.recursive(true).mode(0o700);
        builder.create(directory).map_err(io("creating"))?;
        let mut options = OpenOptions::new();
        options.create(true).truncate(false).write(true).mode(0o600);
        let lock = options.open(directory.join("lock")).map_err(io("opening the lock of"))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(OpenError::Locked { directory: directory.to_owned() });
            }
            Err(TryLockError::Error(source)) => return Err(io("locking")(source)),
        }
        let objects = Objects(Arc::new(Open {
            directory: directory.to_owned(),
            read_only: ReadOnly::at(directory),
            temporaries: AtomicU64::new(0),
            puts: RwLock::new(()),
            _lock: lock,
        }));
        let temporary = directory.join("temporary");
        if temporary.exists() {
            fs::remove_dir_all(&temporary).map_err(io("sweeping unfinished files of"))?;
        }
        builder.create(&temporary).map_err(io("creating a directory in"))?;
        builder.create(objects.roots_path()).map_err(io("creating a directory in"))?;
        sync_directory(directory).map_err(io("syncing"))?;
        Ok(objects)
    }

    /// Stores all bytes of `source` in a root. On return the object is durable; on an
    /// error nothing refers to what was written. Storing the same bytes again writes
    /// nothing, unless a chunk was damaged: then it is repaired.
    pub fn put(&self, root: &RootId, mut source: impl Read) -> Result<Stored, PutError> {
        let directory = self.root_path(root)?;
        let _not_deleted = self.0.puts.read().unwrap_or_else(PoisonError::into_inner);
        if !directory.is_dir() {
            return Err(RootError::NoSuchRoot { root: root.clone() }.into());
        }
        let failed = |source| PutError::Io { root: root.clone(), source };
        let mut manifest = Manifest { root: root.clone(), length: 0, chunks: Vec::new() };
        let mut sha256 = Sha256::new();
        let mut chunk = vec![0; CHUNK_BYTES];
        loop {
            let length = fill(&mut source, &mut chunk).map_err(PutError::Source)?;
            let Some(bytes) = chunk.get(..length).filter(|bytes| !bytes.is_empty()) else { break };
            sha256.update(bytes);
            let id = name(bytes);
            self.put_chunk(&directory, id, bytes).map_err(failed)?;
            manifest.length += length as u64;
            manifest.chunks.push(ChunkRef { id, length: length as u32 });
            if length < CHUNK_BYTES {
                break;
            }
        }
        // Also when every chunk was there: another put may have renamed it and not
        // have synced yet.
        sync_directory(&directory).map_err(failed)?;
        Ok(Stored { manifest, sha256: Digest(sha256.finalize().into()) })
    }

    /// As `ReadOnly::get`.
    pub fn get(&self, manifest: &Manifest) -> Result<Reader, GetError> {
        self.0.read_only.get(manifest)
    }

    /// For those who neither write nor delete.
    pub fn read_only(&self) -> ReadOnly {
        self.0.read_only.clone()
    }

    pub(crate) fn roots_path(&self) -> &Path {
        self.0.read_only.roots_path()
    }

    /// A name that nothing has, in a directory that is emptied at the next opening.
    pub(crate) fn temporary_path(&self) -> PathBuf {
        let number = self.0.temporaries.fetch_add(1, Ordering::Relaxed);
        self.0.directory.join("temporary").join(number.to_string())
    }

    pub(crate) fn hold_off_puts(&self) -> RwLockWriteGuard<'_, ()> {
        self.0.puts.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn put_chunk(&self, directory: &Path, id: ChunkId, bytes: &[u8]) -> io::Result<()> {
        let path = directory.join(id.to_string());
        // What is there is read, not trusted: a damaged chunk is replaced.
        if fs::read(&path).is_ok_and(|found| found == bytes) {
            return Ok(());
        }
        let beside = Beside(self.temporary_path());
        let mut file = create_new(&beside.0)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&beside.0, path)
    }
}

pub(crate) fn name(bytes: &[u8]) -> ChunkId {
    ChunkId(*blake3::hash(bytes).as_bytes())
}

/// Reads until the buffer is full or the source ends.
fn fill(source: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut length = 0;
    while length < buffer.len() {
        match source.read(&mut buffer[length..]) {
            Ok(0) => break,
            Ok(read) => length += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(length)
}
