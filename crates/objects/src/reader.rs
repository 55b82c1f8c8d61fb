//! `Reader`: an object's bytes, chunk by chunk. A chunk is compared with its name
//! and its length before the first byte of it is handed out.

use std::{
    fs::File,
    io::{self, Read},
    path::PathBuf,
};

use bytes::{Buf, Bytes};
use model::{ChunkId, Manifest, RootId, manifest::ChunkRef};

use crate::{
    chunks::name,
    errors::{GetError, RootError},
    limits::CHUNK_BYTES,
};

/// Reads an object from its start; also a `std::io::Read`, whose errors carry the
/// `GetError` inside.
#[derive(Debug)]
pub struct Reader {
    directory: PathBuf,
    root: RootId,
    chunks: std::vec::IntoIter<ChunkRef>,
    /// Verified and not yet handed out.
    current: Bytes,
}

impl Reader {
    pub(crate) fn open(directory: PathBuf, manifest: &Manifest) -> Result<Reader, GetError> {
        let root = manifest.root.clone();
        if !directory.is_dir() {
            return Err(RootError::NoSuchRoot { root }.into());
        }
        // Bounds what is read at once to what `put` would have written.
        let fits = |chunk: &ChunkRef| (1..=CHUNK_BYTES).contains(&(chunk.length as usize));
        if !manifest.is_whole() || !manifest.chunks.iter().all(fits) {
            return Err(GetError::NotWhole);
        }
        let chunks = manifest.chunks.clone().into_iter();
        Ok(Reader { directory, root, chunks, current: Bytes::new() })
    }

    /// The rest of the current chunk, or the next one; `None` at the end.
    pub fn next_chunk(&mut self) -> Result<Option<Bytes>, GetError> {
        if !self.current.is_empty() {
            return Ok(Some(std::mem::take(&mut self.current)));
        }
        let Some(chunk) = self.chunks.next() else { return Ok(None) };
        match self.read_verified(chunk) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) => {
                // After a failure there is no rest that would be the object's.
                self.chunks = Vec::new().into_iter();
                Err(error)
            }
        }
    }

    fn read_verified(&self, chunk: ChunkRef) -> Result<Bytes, GetError> {
        let bytes = self.read_file(chunk).map_err(|source| {
            let (root, chunk) = (self.root.clone(), chunk.id);
            if source.kind() == io::ErrorKind::NotFound {
                GetError::Missing { root, chunk }
            } else {
                GetError::Io { root, chunk, source }
            }
        })?;
        if bytes.len() != chunk.length as usize || name(&bytes) != chunk.id {
            return Err(self.damaged(chunk.id));
        }
        Ok(bytes.into())
    }

    /// At most one byte more than the chunk should have, however long the file is.
    fn read_file(&self, chunk: ChunkRef) -> io::Result<Vec<u8>> {
        let file = File::open(self.directory.join(chunk.id.to_string()))?;
        let mut bytes = Vec::with_capacity(chunk.length as usize + 1);
        file.take(u64::from(chunk.length) + 1).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    fn damaged(&self, chunk: ChunkId) -> GetError {
        GetError::Damaged { root: self.root.clone(), chunk }
    }
}

impl Read for Reader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        if self.current.is_empty() {
            match self.next_chunk()? {
                Some(chunk) => self.current = chunk,
                None => return Ok(0),
            }
        }
        let length = buffer.len().min(self.current.len());
        self.current.copy_to_slice(&mut buffer[..length]);
        Ok(length)
    }
}
