//! Unpacked code on this host: a cache by the digest of the zip, filled once per
//! digest however many environments ask at the same time, and kept within a size:
//! what no environment uses goes first, least recently used first. Losing all of
//! it loses nothing (I21).

use std::{
    collections::HashMap,
    fs, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use model::{Digest, function::Code, limits};
use objects::ReadOnly;
use platform::{TaskKind, Tasks};
use tokio::sync::OnceCell;
use wire::worker::StartFailure;

/// A directory that is there, or is being made.
type Slot = Arc<OnceCell<Unpacked>>;

#[derive(Debug)]
struct Unpacked {
    path: PathBuf,
    bytes: u64,
}

/// Code that an environment runs from. It stays while this lives.
#[derive(Clone, Debug)]
pub(crate) struct CodeInUse {
    slot: Slot,
}

impl CodeInUse {
    pub(crate) fn path(&self) -> PathBuf {
        self.slot.get().map(|unpacked| unpacked.path.clone()).unwrap_or_default()
    }
}

pub(crate) struct CodeCache {
    directory: PathBuf,
    bytes_max: u64,
    objects: ReadOnly,
    tasks: Tasks,
    held: Mutex<Held>,
}

#[derive(Default)]
struct Held {
    entries: HashMap<Digest, Entry>,
    /// Counts fetches; the last one of an entry is its age.
    fetches: u64,
}

struct Entry {
    slot: Slot,
    fetched: u64,
}

impl CodeCache {
    pub(crate) fn open(directory: PathBuf, objects: ReadOnly, tasks: Tasks) -> io::Result<Self> {
        CodeCache::with_room(directory, limits::CODE_CACHE_BYTES_MAX, objects, tasks)
    }

    fn with_room(
        directory: PathBuf,
        bytes_max: u64,
        objects: ReadOnly,
        tasks: Tasks,
    ) -> io::Result<Self> {
        fs::create_dir_all(&directory)?;
        objects::sweep_partial(&directory)?;
        let entries = found(&directory)?;
        let held = Mutex::new(Held { entries, fetches: 0 });
        Ok(CodeCache { directory, bytes_max, objects, tasks, held })
    }

    pub(crate) async fn fetch(&self, code: &Code) -> Result<CodeInUse, StartFailure> {
        let slot = {
            let mut held = self.held();
            held.fetches += 1;
            let fetched = held.fetches;
            let fresh = || Entry { slot: Slot::default(), fetched };
            let entry = held.entries.entry(code.sha256).or_insert_with(fresh);
            entry.fetched = fetched;
            Arc::clone(&entry.slot)
        };
        let made = slot.get().is_none();
        slot.get_or_try_init(|| self.unpack(code)).await?;
        if made {
            self.make_room();
        }
        Ok(CodeInUse { slot })
    }

    async fn unpack(&self, code: &Code) -> Result<Unpacked, StartFailure> {
        let target = self.directory.join(code.sha256.to_string());
        let objects = self.objects.clone();
        let manifest = code.manifest.clone();
        let work = move || -> Result<Unpacked, String> {
            let zip = objects.get(&manifest).map_err(|error| error.to_string())?;
            let listing = objects::zip::unpack(zip, &target).map_err(|error| error.to_string())?;
            let bytes = listing.total;
            fs::write(size_file(&target), bytes.to_string()).map_err(|error| error.to_string())?;
            Ok(Unpacked { path: target, bytes })
        };
        let done = self.tasks.blocking("code unpacking", work).await;
        let platform = |message| StartFailure::Platform { message };
        done.map_err(|error| platform(error.to_string()))?.map_err(platform)
    }

    /// Takes what is over the size out of the cache; the disk is cleared behind.
    fn make_room(&self) {
        let mut gone = Vec::new();
        let mut held = self.held();
        while held.bytes() > self.bytes_max {
            let Some(oldest) = held.oldest_unused() else { break };
            let Some(entry) = held.entries.remove(&oldest) else { break };
            if let Some(Unpacked { path, .. }) = entry.slot.get() {
                // Out of the way at once: the same code may be fetched again meanwhile.
                let aside = path.with_file_name(format!(".{oldest}-{}.partial", entry.fetched));
                let _ = fs::remove_file(size_file(path));
                if fs::rename(path, &aside).is_ok() {
                    gone.push(aside);
                }
            }
        }
        drop(held);
        if !gone.is_empty() {
            let tasks = self.tasks.clone();
            self.tasks.spawn(TaskKind::Background, "code eviction", async move {
                let remove = move || gone.iter().try_for_each(fs::remove_dir_all);
                if let Ok(Err(error)) = tasks.blocking("code eviction", remove).await {
                    tracing::warn!(%error, "unused code could not be removed");
                }
            });
        }
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Held {
    fn bytes(&self) -> u64 {
        self.entries.values().filter_map(|entry| entry.slot.get()).map(|code| code.bytes).sum()
    }

    fn oldest_unused(&self) -> Option<Digest> {
        let unused =
            |entry: &Entry| Arc::strong_count(&entry.slot) == 1 && entry.slot.get().is_some();
        let unused = self.entries.iter().filter(|(_, entry)| unused(entry));
        unused.min_by_key(|(_, entry)| entry.fetched).map(|(digest, _)| *digest)
    }
}

/// What an earlier life of this worker left: whole, because unpacking ends in a
/// rename; without a size where it was killed before it wrote that down.
fn found(directory: &Path) -> io::Result<HashMap<Digest, Entry>> {
    let mut entries = HashMap::new();
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        let Some(digest) = path.file_name().and_then(|name| name.to_str()).and_then(digest_of)
        else {
            continue;
        };
        let size = fs::read_to_string(size_file(&path)).ok();
        let size = size.and_then(|text| text.trim().parse().ok());
        let bytes = size.unwrap_or(limits::UNZIPPED_BYTES_MAX);
        let slot = Slot::new(OnceCell::new_with(Some(Unpacked { path, bytes })));
        entries.insert(digest, Entry { slot, fetched: 0 });
    }
    Ok(entries)
}

fn size_file(directory: &Path) -> PathBuf {
    directory.with_extension("size")
}

fn digest_of(name: &str) -> Option<Digest> {
    let mut bytes = [0; 32];
    if name.len() != 2 * bytes.len() || !name.is_ascii() {
        return None;
    }
    for (at, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&name[2 * at..2 * at + 2], 16).ok()?;
    }
    Some(Digest(bytes))
}

#[cfg(test)]
mod tests {
    use model::RootId;
    use objects::Objects;

    use super::*;

    /// A stored zip of one file of `bytes` bytes, named by `number`.
    fn stored(objects: &Objects, number: u8, bytes: usize) -> Code {
        let mut zip = zip::ZipWriter::new(io::Cursor::new(Vec::new()));
        zip.start_file("f", zip::write::SimpleFileOptions::default()).unwrap();
        io::Write::write_all(&mut zip, &vec![number; bytes]).unwrap();
        let archive = zip.finish().unwrap().into_inner();
        let root = RootId(format!("r{number}"));
        objects.create_root(&root).unwrap();
        let manifest = objects.put(&root, &archive[..]).unwrap().manifest;
        Code { sha256: Digest([number; 32]), size: archive.len() as u64, manifest }
    }

    fn cache(data: &Path, objects: &Objects) -> CodeCache {
        let tasks = Tasks::default();
        CodeCache::with_room(data.join("code"), 250, objects.read_only(), tasks).unwrap()
    }

    fn held(cache: &CodeCache) -> Vec<u8> {
        let mut held: Vec<u8> = cache.held().entries.keys().map(|digest| digest.0[0]).collect();
        held.sort_unstable();
        held
    }

    #[tokio::test]
    async fn what_is_used_stays_and_the_oldest_of_the_rest_goes() {
        let data = tempfile::tempdir().unwrap();
        let objects = Objects::open(&data.path().join("objects")).unwrap();
        let codes: Vec<Code> = (1..=4).map(|number| stored(&objects, number, 100)).collect();
        let cache = cache(data.path(), &objects);
        let first = cache.fetch(&codes[0]).await.unwrap();
        drop(cache.fetch(&codes[1]).await.unwrap());
        assert_eq!(held(&cache), [1, 2]);
        drop(cache.fetch(&codes[2]).await.unwrap());
        assert_eq!(held(&cache), [1, 3], "1 is in use, 2 is the oldest of the rest");
        drop(cache.fetch(&codes[3]).await.unwrap());
        assert_eq!(held(&cache), [1, 4]);
        assert!(first.path().join("f").exists());
        let again = cache.fetch(&codes[1]).await.unwrap();
        assert_eq!(fs::read(again.path().join("f")).unwrap(), [2; 100]);
    }

    #[tokio::test]
    async fn a_new_life_knows_what_is_there_and_how_large_it_is() {
        let data = tempfile::tempdir().unwrap();
        let objects = Objects::open(&data.path().join("objects")).unwrap();
        let codes: Vec<Code> = (1..=3).map(|number| stored(&objects, number, 100)).collect();
        drop(cache(data.path(), &objects).fetch(&codes[0]).await.unwrap());
        let cache = cache(data.path(), &objects);
        assert_eq!((held(&cache), cache.held().bytes()), (vec![1], 100));
        objects.delete_root(&RootId("r1".into())).unwrap();
        let found = cache.fetch(&codes[0]).await.unwrap();
        assert!(found.path().join("f").exists(), "it was not unpacked again");
    }

    #[tokio::test]
    async fn many_that_ask_at_once_unpack_once() {
        let data = tempfile::tempdir().unwrap();
        let objects = Objects::open(&data.path().join("objects")).unwrap();
        let code = stored(&objects, 1, 100);
        let cache = cache(data.path(), &objects);
        let fetches = (0..20).map(|_| cache.fetch(&code));
        let all = futures_util::future::join_all(fetches).await;
        let first = all[0].as_ref().unwrap();
        assert!(all.iter().all(|code| Arc::ptr_eq(&code.as_ref().unwrap().slot, &first.slot)));
    }
}
