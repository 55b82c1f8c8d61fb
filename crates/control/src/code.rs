//! Code on its way in and out: an archive is inspected, stored in a root of its own,
//! and only then named by a record. What was stored and never named is found and
//! deleted by `sweep`.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
};

use aws_api::{ApiError, Exception};
use bytes::{Bytes, BytesMut};
use model::{
    Manifest, RootId,
    function::Code,
    limits::{UNZIPPED_BYTES_MAX, ZIP_BYTES_MAX},
    payload::Digest,
};
use objects::{
    Objects,
    zip::{self, Fault},
};
use platform::{Entropy, Tasks};
use sha2::{Digest as _, Sha256};

use crate::failure::Failure;

/// Roots of code have names of this form; others are not ours to delete.
pub(crate) const ROOT_PREFIX: &str = "fn-";

#[derive(Clone, Debug)]
pub(crate) struct CodeStore {
    pub(crate) objects: Objects,
    tasks: Tasks,
    entropy: Entropy,
    uploads: Uploads,
}

/// An archive that would unpack.
#[derive(Clone, Debug)]
pub(crate) struct Archive {
    bytes: Bytes,
    pub(crate) sha256: Digest,
}

impl Archive {
    pub(crate) fn size(&self) -> u64 {
        self.bytes.len() as u64
    }
}

/// Stored code that no record names yet. Keep it until the record is committed.
#[derive(Debug)]
pub(crate) struct Upload {
    pub(crate) code: Code,
    _under_way: UnderWay,
}

/// Roots that are being filled: no record names them and yet they are wanted.
#[derive(Clone, Debug, Default)]
pub(crate) struct Uploads(Arc<Mutex<BTreeSet<RootId>>>);

#[derive(Debug)]
struct UnderWay {
    uploads: Uploads,
    root: RootId,
}

impl CodeStore {
    pub(crate) fn new(objects: Objects, tasks: Tasks, entropy: Entropy) -> CodeStore {
        CodeStore { objects, tasks, entropy, uploads: Uploads::default() }
    }

    /// Refused with the caller's words where it would not unpack.
    pub(crate) async fn inspect(&self, bytes: Bytes) -> Result<Archive, Failure> {
        if bytes.is_empty() {
            return Err(ApiError::invalid_parameter(EMPTY).into());
        }
        if bytes.len() as u64 > ZIP_BYTES_MAX {
            let text = format!("Zipped size must be smaller than {ZIP_BYTES_MAX} bytes");
            return Err(ApiError::new(Exception::RequestEntityTooLarge, text).into());
        }
        let inspect = move || {
            zip::inspect(&bytes)?;
            let sha256 = Digest(Sha256::digest(&bytes).into());
            Ok(Archive { bytes, sha256 })
        };
        self.tasks.blocking("inspection of code", inspect).await?.map_err(refused)
    }

    /// Durable on return.
    pub(crate) async fn store(&self, archive: Archive) -> Result<Upload, Failure> {
        let root = RootId(format!("{ROOT_PREFIX}{:032x}", self.entropy.u128()));
        let under_way = self.uploads.enter(root.clone());
        let objects = self.objects.clone();
        let put = move || {
            objects.create_root(&root)?;
            let stored = objects.put(&root, &archive.bytes[..])?;
            debug_assert_eq!(stored.sha256, archive.sha256);
            let size = archive.size();
            Ok(Code { sha256: stored.sha256, size, manifest: stored.manifest })
        };
        let code: Result<Code, Failure> = self.tasks.blocking("storing of code", put).await?;
        Ok(Upload { code: code?, _under_way: under_way })
    }

    /// The archive as it was uploaded; at most `ZIP_BYTES_MAX`.
    pub(crate) async fn fetch(&self, manifest: Manifest) -> Result<Bytes, Failure> {
        let objects = self.objects.clone();
        let get = move || {
            let mut reader = objects.get(&manifest)?;
            let mut whole = BytesMut::with_capacity(manifest.length.min(ZIP_BYTES_MAX) as usize);
            while let Some(chunk) = reader.next_chunk()? {
                whole.extend_from_slice(&chunk);
            }
            Ok(whole.freeze())
        };
        self.tasks.blocking("reading of code", get).await?
    }

    pub(crate) fn uploads(&self) -> &Uploads {
        &self.uploads
    }
}

impl Uploads {
    fn enter(&self, root: RootId) -> UnderWay {
        self.roots(|roots| roots.insert(root.clone()));
        UnderWay { uploads: self.clone(), root }
    }

    pub(crate) fn snapshot(&self) -> BTreeSet<RootId> {
        self.roots(|roots| roots.clone())
    }

    fn roots<T>(&self, work: impl FnOnce(&mut BTreeSet<RootId>) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.uploads.roots(|roots| roots.remove(&self.root));
    }
}

const EMPTY: &str = "Uploaded file must be a non-empty zip";

fn refused(error: objects::zip::UnpackError) -> Failure {
    match error.fault() {
        Fault::Archive => ApiError::invalid_parameter(
            "Could not unzip uploaded file. Please check your file, then try to upload again.",
        )
        .into(),
        Fault::Empty => ApiError::invalid_parameter(EMPTY).into(),
        Fault::TooLarge => ApiError::invalid_parameter(format!(
            "Unzipped size must be smaller than {UNZIPPED_BYTES_MAX} bytes"
        ))
        .into(),
        Fault::Platform => Failure::Inspect(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_archive_above_fifty_megabytes_is_refused_before_it_is_read() {
        let directory = tempfile::tempdir().unwrap();
        let objects = Objects::open(directory.path()).unwrap();
        let code = CodeStore::new(objects, Tasks::default(), Entropy::seeded(1));
        let cases = [
            (ZIP_BYTES_MAX + 1, "Zipped size must be smaller than 52428800 bytes"),
            (ZIP_BYTES_MAX, "Could not unzip uploaded file."),
            (0, "Uploaded file must be a non-empty zip"),
        ];
        for (length, words) in cases {
            let archive = vec![0; usize::try_from(length).unwrap()];
            let refused = code.inspect(archive.into()).await.unwrap_err();
            assert!(refused.to_string().contains(words), "{refused}");
        }
    }

    #[tokio::test]
    async fn code_comes_back_as_it_was_uploaded() {
        let directory = tempfile::tempdir().unwrap();
        let objects = Objects::open(directory.path()).unwrap();
        let code = CodeStore::new(objects, Tasks::default(), Entropy::seeded(1));
        // More than one chunk, not a whole number of them.
        let bytes: Bytes = (0..1_300_000_u32).map(|n| (n % 251) as u8).collect();
        let sha256 = Digest(Sha256::digest(&bytes).into());
        let archive = Archive { bytes: bytes.clone(), sha256 };
        let upload = code.store(archive).await.unwrap();
        assert_eq!((upload.code.size, upload.code.sha256), (1_300_000, sha256));
        assert_eq!(code.fetch(upload.code.manifest.clone()).await.unwrap(), bytes);
    }
}
