//! `Reader`: an object's bytes, one chunk in memory at a time. A chunk is compared
//! with its name and its length before the first byte of it is handed out.

use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom},
    path::PathBuf,
};

use bytes::Bytes;
use model::{Manifest, RootId, manifest::ChunkRef};

use crate::{chunks::name, errors::GetError, limits::CHUNK_BYTES};

/// Reads an object from its start, or from where it was set to. As a
/// `std::io::Read` its errors carry the `GetError` inside.
#[derive(Debug)]
pub struct Reader {
    directory: PathBuf,
    /// Locked, shared: the root stays as long as this reader does.
    _in_use: File,
    root: RootId,
    chunks: Vec<Chunk>,
    length: u64,
    position: u64,
    /// The verified chunk with this index.
    loaded: Option<(usize, Bytes)>,
}

#[derive(Clone, Copy, Debug)]
struct Chunk {
    start: u64,
    named: ChunkRef,
}

impl Reader {
    /// `in_use` is the root's directory, locked by the caller.
    pub(crate) fn open(
        directory: PathBuf,
        in_use: File,
        manifest: &Manifest,
    ) -> Result<Reader, GetError> {
        let root = manifest.root.clone();
        // Bounds what is read at once to what `put` would have written.
        let fits = |chunk: &ChunkRef| (1..=CHUNK_BYTES).contains(&(chunk.length as usize));
        if !manifest.is_whole() || !manifest.chunks.iter().all(fits) {
            return Err(GetError::NotWhole);
        }
        let mut start = 0;
        let chunks = manifest.chunks.iter().map(|named| {
            let chunk = Chunk { start, named: *named };
            start += u64::from(named.length);
            chunk
        });
        let (chunks, length) = (chunks.collect(), manifest.length);
        Ok(Reader { directory, _in_use: in_use, root, chunks, length, position: 0, loaded: None })
    }

    /// What is left of the chunk at the position, and moves past it; `None` at the end.
    pub fn next_chunk(&mut self) -> Result<Option<Bytes>, GetError> {
        let rest = self.load()?;
        self.position += rest.len() as u64;
        Ok((!rest.is_empty()).then_some(rest))
    }

    /// From the position to the end of its chunk; empty at the end.
    fn load(&mut self) -> Result<Bytes, GetError> {
        if self.position >= self.length {
            return Ok(Bytes::new());
        }
        let at = self.chunks.partition_point(|chunk| chunk.start <= self.position) - 1;
        let Chunk { start, named } = self.chunks[at];
        let offset = (self.position - start) as usize;
        if let Some((loaded, bytes)) = &self.loaded
            && *loaded == at
        {
            return Ok(bytes.slice(offset..));
        }
        let bytes = self.read_verified(named)?;
        self.loaded = Some((at, bytes.clone()));
        Ok(bytes.slice(offset..))
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
            return Err(GetError::Damaged { root: self.root.clone(), chunk: chunk.id });
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
}

impl Read for Reader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let rest = self.load()?;
        let length = buffer.len().min(rest.len());
        buffer[..length].copy_from_slice(&rest[..length]);
        self.position += length as u64;
        Ok(length)
    }
}

impl Seek for Reader {
    /// Past the end is allowed and reads nothing, as with files.
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let position = match to {
            SeekFrom::Start(position) => Some(position),
            SeekFrom::End(offset) => self.length.checked_add_signed(offset),
            SeekFrom::Current(offset) => self.position.checked_add_signed(offset),
        };
        self.position = position.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
        Ok(self.position)
    }
}
