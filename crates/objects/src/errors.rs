//! What can go wrong with stored bytes: one enum per operation, each with the facts
//! that an operator needs. Errors of archives stand in `zip`.

use std::{io, path::PathBuf};

use model::{ChunkId, RootId};

/// Why the directory of objects cannot be used, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error(
        "{} is in use by another process: stop it, or choose another objects directory",
        directory.display()
    )]
    Locked { directory: PathBuf },
    #[error("{doing} {}", path.display())]
    Io {
        doing: &'static str,
        path: PathBuf,
        #[source]
        source: io::Error,
    },
}

#[derive(Debug, thiserror::Error)]
pub enum RootError {
    #[error("{:?} is no name of a root: a-z, 0-9 and - (not first), at most 64", root.0)]
    BadName { root: RootId },
    #[error("there is no root {}", root.0)]
    NoSuchRoot { root: RootId },
    #[error("root {} is being read", root.0)]
    InUse { root: RootId },
    #[error("{doing} root {}", root.0)]
    Io {
        doing: &'static str,
        root: RootId,
        #[source]
        source: io::Error,
    },
    #[error("listing roots")]
    List(#[source] io::Error),
}

#[derive(Debug, thiserror::Error)]
pub enum PutError {
    #[error(transparent)]
    Root(#[from] RootError),
    /// The caller's source of bytes failed; nothing refers to what was written.
    #[error("reading the bytes to store")]
    Source(#[source] io::Error),
    #[error("storing a chunk in root {}", root.0)]
    Io {
        root: RootId,
        #[source]
        source: io::Error,
    },
}

#[derive(Debug, thiserror::Error)]
pub enum GetError {
    #[error(transparent)]
    Root(#[from] RootError),
    #[error("the lengths of the manifest's chunks do not make up its length")]
    NotWhole,
    #[error("chunk {chunk} of root {} is missing", root.0)]
    Missing { root: RootId, chunk: ChunkId },
    /// The disk has other bytes than were stored. They are never handed out.
    #[error("chunk {chunk} of root {} is damaged: restore it, or store the object again", root.0)]
    Damaged { root: RootId, chunk: ChunkId },
    #[error("reading chunk {chunk} of root {}", root.0)]
    Io {
        root: RootId,
        chunk: ChunkId,
        #[source]
        source: io::Error,
    },
    #[error("writing {}", path.display())]
    Write {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
}

impl From<GetError> for io::Error {
    fn from(error: GetError) -> io::Error {
        io::Error::other(error)
    }
}
