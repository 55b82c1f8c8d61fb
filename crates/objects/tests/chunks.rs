//! What `put`, `get`, `materialise` and roots promise, on a real directory. What a
//! kill in the middle leaves is the matter of the crash test.

use std::{
    fs,
    io::{self, Cursor, Read, Seek, SeekFrom},
    path::{Path, PathBuf},
};

use model::{Manifest, RootId, manifest::ChunkRef};
use objects::{GetError, Objects, OpenError, PutError, RootError, limits::CHUNK_BYTES};
use pattern::pattern;

mod pattern;

fn open(directory: &Path) -> (Objects, RootId) {
    let objects = Objects::open(directory).unwrap();
    let root = RootId("r1".into());
    objects.create_root(&root).unwrap();
    (objects, root)
}

fn read(objects: &Objects, manifest: &Manifest) -> Result<Vec<u8>, GetError> {
    let mut reader = objects.get(manifest)?;
    let mut bytes = Vec::new();
    while let Some(chunk) = reader.next_chunk()? {
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

fn chunk_path(directory: &Path, manifest: &Manifest, at: usize) -> PathBuf {
    directory.join("roots").join(&manifest.root.0).join(manifest.chunks[at].id.to_string())
}

#[test]
fn objects_of_every_length_round_trip() {
    let directory = tempfile::tempdir().unwrap();
    let (objects, root) = open(directory.path());
    let chunk = CHUNK_BYTES as u64;
    for length in [0, 1, chunk - 1, chunk, chunk + 1, 3 * chunk, 3 * chunk + 7] {
        let bytes = pattern(length, length);
        let stored = objects.put(&root, &bytes[..]).unwrap();
        assert_eq!(stored.manifest.length, length);
        assert_eq!(stored.manifest.chunks.len() as u64, length.div_ceil(chunk));
        assert!(stored.manifest.is_whole());
        assert!(read(&objects, &stored.manifest).unwrap() == bytes, "{length}");
    }
}

#[test]
fn every_position_can_be_read_from() {
    let directory = tempfile::tempdir().unwrap();
    let (objects, root) = open(directory.path());
    let chunk = CHUNK_BYTES as u64;
    let bytes = pattern(5, 2 * chunk + 3);
    let mut reader = objects.get(&objects.put(&root, &bytes[..]).unwrap().manifest).unwrap();
    let mut model = Cursor::new(&bytes);
    let moves = [
        SeekFrom::End(-1),
        SeekFrom::Start(chunk - 1),
        SeekFrom::Start(chunk),
        SeekFrom::Current(-3),
        SeekFrom::End(0),
        SeekFrom::End(9),
        SeekFrom::Start(0),
    ];
    for to in moves {
        assert_eq!(reader.seek(to).unwrap(), model.seek(to).unwrap(), "{to:?}");
        let (mut found, mut expected) = (Vec::new(), Vec::new());
        reader.by_ref().take(5).read_to_end(&mut found).unwrap();
        model.by_ref().take(5).read_to_end(&mut expected).unwrap();
        assert_eq!(found, expected, "{to:?}");
    }
    assert!(reader.seek(SeekFrom::Current(-100)).is_err());
}

#[test]
fn names_and_digests_are_the_published_ones() {
    let directory = tempfile::tempdir().unwrap();
    let (objects, root) = open(directory.path());
    let stored = objects.put(&root, &b"abc"[..]).unwrap();
    let blake3 = "6437b3ac38465133ffb63b75273a8db548c558465d79db03fd359c6cd5bd9d85";
    let sha256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    assert_eq!(stored.manifest.chunks[0].id.to_string(), blake3);
    assert_eq!(stored.sha256.to_string(), sha256);
}

#[test]
fn storing_again_writes_nothing_and_gives_the_same_manifest() {
    let directory = tempfile::tempdir().unwrap();
    let (objects, root) = open(directory.path());
    let bytes = pattern(1, CHUNK_BYTES as u64 + 9);
    let first = objects.put(&root, &bytes[..]).unwrap();
    let path = chunk_path(directory.path(), &first.manifest, 0);
    let modified = fs::metadata(&path).unwrap().modified().unwrap();
    assert_eq!(objects.put(&root, &bytes[..]).unwrap(), first);
    assert_eq!(fs::metadata(&path).unwrap().modified().unwrap(), modified);
}

#[test]
fn damaged_bytes_are_never_handed_out_and_storing_again_repairs() {
    let directory = tempfile::tempdir().unwrap();
    let (objects, root) = open(directory.path());
    let bytes = pattern(2, 2 * CHUNK_BYTES as u64);
    let manifest = objects.put(&root, &bytes[..]).unwrap().manifest;
    let path = chunk_path(directory.path(), &manifest, 1);
    let sound = fs::read(&path).unwrap();
    let mut flipped = sound.clone();
    flipped[77] ^= 1;
    let longer = [&sound[..], b"!"].concat();
    for damage in [&flipped[..], &sound[..100], b"", &longer[..]] {
        fs::write(&path, damage).unwrap();
        let error = read(&objects, &manifest).unwrap_err();
        assert!(
            matches!(&error, GetError::Damaged { chunk, .. } if *chunk == manifest.chunks[1].id),
            "{error}"
        );
        let mut as_read = Vec::new();
        let error = objects.get(&manifest).unwrap().read_to_end(&mut as_read).unwrap_err();
        assert!(error.get_ref().is_some_and(|inner| inner.is::<GetError>()));
        assert!(as_read == bytes[..CHUNK_BYTES], "only what was verified came out");
        let target = directory.path().join("copy");
        objects.read_only().materialise(&manifest, &target).unwrap_err();
        assert!(!target.exists());
        assert_eq!(objects.put(&root, &bytes[..]).unwrap().manifest, manifest);
        assert!(read(&objects, &manifest).unwrap() == bytes);
    }
    fs::remove_file(&path).unwrap();
    assert!(matches!(read(&objects, &manifest), Err(GetError::Missing { .. })));
}

#[test]
fn a_manifest_that_put_never_made_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let (objects, root) = open(directory.path());
    let manifest = objects.put(&root, &b"abc"[..]).unwrap().manifest;
    let id = manifest.chunks[0].id;
    let huge = u32::MAX;
    let cases = [
        Manifest { length: 4, ..manifest.clone() },
        Manifest { chunks: Vec::new(), ..manifest.clone() },
        Manifest {
            length: u64::from(huge),
            chunks: vec![ChunkRef { id, length: huge }],
            ..manifest.clone()
        },
        Manifest { length: 0, chunks: vec![ChunkRef { id, length: 0 }], ..manifest.clone() },
    ];
    for case in cases {
        assert!(matches!(objects.get(&case), Err(GetError::NotWhole)), "{case:?}");
    }
    let elsewhere = Manifest { root: RootId("../r1".into()), ..manifest };
    assert!(matches!(objects.get(&elsewhere), Err(GetError::Root(RootError::BadName { .. }))));
}

#[test]
fn a_source_that_fails_stores_no_object() {
    struct Broken(u64);
    impl Read for Broken {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            self.0 += 1;
            match self.0 {
                1 => Err(io::ErrorKind::Interrupted.into()),
                2..4 => Ok(buffer.len() / 2),
                _ => Err(io::Error::other("gone")),
            }
        }
    }
    let directory = tempfile::tempdir().unwrap();
    let (objects, root) = open(directory.path());
    assert!(matches!(objects.put(&root, Broken(0)), Err(PutError::Source(_))));
    assert_eq!(fs::read_dir(directory.path().join("temporary")).unwrap().count(), 0);
}

#[test]
fn a_copy_is_whole_and_replaces_what_was_there() {
    let directory = tempfile::tempdir().unwrap();
    let (objects, root) = open(directory.path());
    let bytes = pattern(3, CHUNK_BYTES as u64 + 1);
    let manifest = objects.put(&root, &bytes[..]).unwrap().manifest;
    let target = directory.path().join("copy");
    fs::write(&target, "old").unwrap();
    objects.read_only().materialise(&manifest, &target).unwrap();
    assert!(fs::read(&target).unwrap() == bytes);
}

#[test]
fn roots_are_made_listed_and_deleted_whole() {
    let directory = tempfile::tempdir().unwrap();
    let (objects, root) = open(directory.path());
    let second = RootId("r2".into());
    objects.create_root(&second).unwrap();
    objects.create_root(&second).unwrap();
    assert_eq!(objects.list_roots().unwrap(), [root.clone(), second.clone()]);
    let lost = objects.put(&root, &b"abc"[..]).unwrap().manifest;
    let kept = objects.put(&second, &b"abc"[..]).unwrap().manifest;
    objects.delete_root(&root).unwrap();
    assert_eq!(objects.list_roots().unwrap(), std::slice::from_ref(&second));
    let no_root = |error: &RootError| matches!(error, RootError::NoSuchRoot { .. });
    assert!(matches!(objects.get(&lost), Err(GetError::Root(ref error)) if no_root(error)));
    let put = objects.put(&root, &b"abc"[..]);
    assert!(matches!(put, Err(PutError::Root(ref error)) if no_root(error)), "{put:?}");
    assert!(no_root(&objects.delete_root(&root).unwrap_err()));
    assert_eq!(read(&objects, &kept).unwrap(), b"abc");
    for bad in ["", "..", "a/b", "A", "-r", &"a".repeat(65)] {
        let refused = objects.create_root(&RootId(bad.into()));
        assert!(matches!(refused, Err(RootError::BadName { .. })), "{bad}");
    }
}

#[test]
fn a_chunk_that_was_cut_short_is_swept_at_the_next_opening() {
    let directory = tempfile::tempdir().unwrap();
    let (objects, root) = open(directory.path());
    let manifest = objects.put(&root, &b"abc"[..]).unwrap().manifest;
    drop(objects);
    let unfinished = directory.path().join("temporary/3");
    fs::write(&unfinished, "half a chu").unwrap();
    let objects = Objects::open(directory.path()).unwrap();
    assert!(!unfinished.exists());
    assert_eq!(read(&objects, &manifest).unwrap(), b"abc");
}

#[test]
fn a_deletion_that_was_cut_short_is_finished_at_the_next_opening() {
    let directory = tempfile::tempdir().unwrap();
    let (objects, root) = open(directory.path());
    objects.put(&root, &b"abc"[..]).unwrap();
    drop(objects);
    let grave = directory.path().join("temporary/7");
    fs::rename(directory.path().join("roots/r1"), &grave).unwrap();
    let objects = Objects::open(directory.path()).unwrap();
    assert!(!grave.exists());
    assert_eq!(objects.list_roots().unwrap(), []);
}

#[test]
fn a_second_opener_is_told_that_the_directory_is_in_use() {
    let directory = tempfile::tempdir().unwrap();
    let (first, _) = open(directory.path());
    let error = Objects::open(directory.path()).unwrap_err();
    assert!(matches!(error, OpenError::Locked { .. }), "{error}");
    drop(first);
    Objects::open(directory.path()).unwrap();
}
