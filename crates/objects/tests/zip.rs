//! What is unpacked, and what is refused: archives as people make them, and as
//! attackers do.

use std::{
    fs,
    io::{Cursor, Write},
    os::unix::fs::PermissionsExt,
    path::Path,
};

use ::zip::{CompressionMethod, ZipWriter, write::SimpleFileOptions};
use model::{
    RootId,
    limits::{UNZIPPED_BYTES_MAX, ZIP_ENTRIES_MAX},
};
use objects::{
    Objects,
    zip::{self, Fault, Listing, UnpackError},
};

type Archive = ZipWriter<Cursor<Vec<u8>>>;

fn stored() -> SimpleFileOptions {
    SimpleFileOptions::default().compression_method(CompressionMethod::Stored)
}

fn build(fill: impl FnOnce(&mut Archive)) -> Vec<u8> {
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    fill(&mut archive);
    archive.finish().unwrap().into_inner()
}

fn file(archive: &mut Archive, name: &str, options: SimpleFileOptions, contents: &[u8]) {
    archive.start_file(name, options).unwrap();
    archive.write_all(contents).unwrap();
}

fn files(names: &[&str]) -> Vec<u8> {
    build(|archive| names.iter().for_each(|name| file(archive, name, stored(), b"x")))
}

fn link(name: &str, target: &str) -> Vec<u8> {
    build(|archive| archive.add_symlink(name, target, stored()).unwrap())
}

/// Changes every occurrence: the name or the size is in two places.
fn patch(mut bytes: Vec<u8>, from: &[u8], to: &[u8]) -> Vec<u8> {
    assert_eq!(from.len(), to.len());
    let places: Vec<_> =
        (0..=bytes.len() - from.len()).filter(|at| bytes[*at..].starts_with(from)).collect();
    assert!(!places.is_empty());
    places.into_iter().for_each(|at| bytes[at..at + to.len()].copy_from_slice(to));
    bytes
}

/// Both ways refuse it, for the same reason, and nothing is left behind.
fn refused(archive: &[u8]) -> UnpackError {
    let directory = tempfile::tempdir().unwrap();
    let destination = directory.path().join("code");
    let error = zip::unpack(Cursor::new(archive), &destination).unwrap_err();
    let inspected = zip::inspect(archive).unwrap_err();
    assert_eq!(inspected.to_string(), error.to_string());
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0, "nothing is left");
    error
}

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().permissions().mode() & 0o7777
}

#[test]
fn files_directories_links_and_modes_are_unpacked() {
    let archive = build(|archive| {
        archive.add_directory("empty/", stored()).unwrap();
        file(archive, "app.py", stored().unix_permissions(0o666), b"print(1)");
        file(archive, "deep/er/bootstrap", stored().unix_permissions(0o4700), b"#!");
        let deflated = SimpleFileOptions::default().compression_method(CompressionMethod::Deflated);
        file(archive, "zeros", deflated.unix_permissions(0o600), &[0; 100_000]);
        archive.add_symlink("deep/link", "../app.py", stored()).unwrap();
        file(archive, "./dot", stored(), b"");
    });
    let directory = tempfile::tempdir().unwrap();
    let code = directory.path().join("code");
    let listing = zip::unpack(Cursor::new(&archive), &code).unwrap();
    let total = 8 + 2 + 100_000 + 9;
    assert_eq!(listing, Listing { entries: 6, total });
    assert_eq!(zip::inspect(&archive).unwrap(), listing);
    assert_eq!(fs::read(code.join("app.py")).unwrap(), b"print(1)");
    assert_eq!(fs::read(code.join("deep/link")).unwrap(), b"print(1)");
    assert_eq!(fs::read(code.join("zeros")).unwrap(), vec![0; 100_000]);
    assert!(code.join("empty").is_dir());
    let modes = [
        ("", 0o755),
        ("empty", 0o755),
        ("deep/er", 0o755),
        ("app.py", 0o644),
        ("deep/er/bootstrap", 0o755),
        ("zeros", 0o644),
        ("dot", 0o644),
    ];
    for (path, expected) in modes {
        assert_eq!(mode(&code.join(path)), expected, "{path}");
    }
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1, "no unfinished copy");
}

#[test]
fn an_archive_without_modes_is_readable_code() {
    // "Made by" in the central directory: 0 is MS-DOS, and no attributes.
    let made = files(&["app.py"]);
    let central = made.windows(4).position(|w| w == b"PK\x01\x02").unwrap();
    let mut archive = made;
    archive[central + 5] = 0;
    archive[central + 38..central + 42].fill(0);
    let directory = tempfile::tempdir().unwrap();
    let code = directory.path().join("code");
    zip::unpack(Cursor::new(archive), &code).unwrap();
    assert_eq!(mode(&code.join("app.py")), 0o644);
}

#[test]
fn what_is_there_already_is_left_as_it_is() {
    let directory = tempfile::tempdir().unwrap();
    let code = directory.path().join("code");
    zip::unpack(Cursor::new(files(&["a"])), &code).unwrap();
    zip::unpack(Cursor::new(files(&["b"])), &code).unwrap();
    assert!(code.join("a").exists() && !code.join("b").exists());
}

#[test]
fn what_a_killed_unpack_left_is_swept() {
    let directory = tempfile::tempdir().unwrap();
    let unfinished = directory.path().join(".code.1-0.partial");
    fs::create_dir_all(unfinished.join("x")).unwrap();
    let unfinished_file = directory.path().join(".zip.1-0.partial");
    fs::write(&unfinished_file, "x").unwrap();
    zip::unpack(Cursor::new(files(&["a"])), &directory.path().join("code")).unwrap();
    objects::sweep_partial(directory.path()).unwrap();
    assert!(!unfinished.exists() && !unfinished_file.exists());
    assert!(directory.path().join("code/a").exists());
}

#[test]
fn paths_that_lead_out_are_refused() {
    for name in ["../x", "/x", "a/../../x", "a/../b", ".."] {
        // The writer would clean such names, so they are patched in.
        let clean = "n".repeat(name.len());
        let archive = patch(files(&[&clean]), clean.as_bytes(), name.as_bytes());
        let error = refused(&archive);
        assert!(matches!(error, UnpackError::Escapes { .. }), "{name}: {error}");
        assert_eq!(error.fault(), Fault::Archive);
    }
}

#[test]
fn links_stay_inside() {
    for (name, target) in [
        ("l", "/etc/passwd"),
        ("l", ".."),
        ("l", "../x"),
        ("a/l", "../../x"),
        ("a/l", "b/../../../x"),
        // Leads out where `b` is a link that goes up.
        ("a/l", "b/../x"),
        ("l", ""),
    ] {
        let error = refused(&link(name, target));
        assert!(matches!(error, UnpackError::LinkEscapes { .. }), "{name} -> {target}: {error}");
    }
    for (name, target) in [("l", "x"), ("a/l", "../x"), ("a/b/l", "../.././c/d"), ("l", ".")] {
        zip::inspect(&link(name, target)).unwrap();
    }
}

#[test]
fn nothing_is_written_through_a_link() {
    let archive = build(|archive| {
        archive.add_symlink("l", "d", stored()).unwrap();
        file(archive, "l/x", stored(), b"x");
    });
    assert!(matches!(refused(&archive), UnpackError::Collides { .. }));
}

#[test]
fn names_that_collide_are_refused() {
    let twice = patch(files(&["aa.txt", "bb.txt"]), b"bb.txt", b"aa.txt");
    assert!(matches!(refused(&twice), UnpackError::Duplicate));
    for names in [["a", "a/b"], ["a/b", "a"], ["a/b", "a//b"], ["a", "./a"]] {
        let error = refused(&files(&names));
        assert!(matches!(error, UnpackError::Collides { .. }), "{names:?}: {error}");
    }
}

#[test]
fn what_is_no_archive_is_refused() {
    let sound = files(&["a"]);
    let cut = &sound[..sound.len() - 10];
    let tail = &sound[10..];
    for bytes in [b"".as_slice(), b"not a zip at all", cut, tail] {
        let error = refused(bytes);
        assert_eq!(error.fault(), Fault::Archive, "{error}");
    }
    let empty = build(|_| {});
    assert_eq!(refused(&empty).fault(), Fault::Empty);
}

#[test]
fn contents_that_were_changed_are_refused() {
    let archive = build(|archive| file(archive, "a", stored(), b"original"));
    let error = refused(&patch(archive, b"original", b"tampered"));
    assert!(matches!(error, UnpackError::Unreadable { .. }), "{error}");
}

#[test]
fn more_than_the_limit_is_refused_before_anything_is_unpacked() {
    let size = 0x0abb_ccdd_u32;
    assert!(u64::from(size) < UNZIPPED_BYTES_MAX);
    let archive = build(|archive| file(archive, "a", stored(), &[b'x'; 0x0102]));
    let claims =
        |bytes: u32| patch(archive.clone(), &0x0102_u32.to_le_bytes(), &bytes.to_le_bytes());
    let over = u32::try_from(UNZIPPED_BYTES_MAX).unwrap() + 1;
    let error = refused(&claims(over));
    assert!(
        matches!(error, UnpackError::TooLarge { bytes } if bytes == u64::from(over)),
        "{error}"
    );
    assert_eq!(error.fault(), Fault::TooLarge);
    // Under the limit, and yet more than any compression could hold.
    assert!(matches!(refused(&claims(size)), UnpackError::Bomb));
}

#[test]
fn contents_longer_than_claimed_are_stopped() {
    let deflated = SimpleFileOptions::default().compression_method(CompressionMethod::Deflated);
    let archive = build(|archive| file(archive, "a", deflated, &vec![0; 0x0001_0203]));
    let archive = patch(archive, &0x0001_0203_u32.to_le_bytes(), &0x0000_0203_u32.to_le_bytes());
    let error = refused(&archive);
    assert_eq!(error.fault(), Fault::Archive, "{error}");
}

#[test]
fn entries_that_share_bytes_are_refused() {
    let archive = build(|archive| {
        file(archive, "a", stored(), b"contents");
        archive.shallow_copy_file("a", "b").unwrap();
    });
    assert!(matches!(refused(&archive), UnpackError::Bomb));
}

#[test]
fn names_and_depth_have_limits() {
    let long = "n".repeat(256);
    let deep = vec!["d"; 65].join("/");
    for name in [&long, &deep] {
        assert!(matches!(refused(&files(&[name])), UnpackError::PathTooLong { .. }));
    }
    zip::inspect(&files(&[&"n".repeat(255), &vec!["d"; 64].join("/")])).unwrap();
}

#[test]
fn directories_that_no_entry_names_count_too() {
    let deep = |n: usize| format!("{n}/{}", vec!["d"; 60].join("/"));
    let names: Vec<String> = (0..=ZIP_ENTRIES_MAX / 60).map(deep).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    assert!(matches!(refused(&files(&names)), UnpackError::TooManyEntries));
}

#[test]
fn devices_and_sockets_are_refused() {
    let archive = files(&["a"]);
    let central = archive.windows(4).position(|w| w == b"PK\x01\x02").unwrap();
    for kind in [0o010_000_u32, 0o020_000, 0o060_000, 0o140_000] {
        let mut archive = archive.clone();
        let attributes = (kind | 0o644) << 16;
        archive[central + 38..central + 42].copy_from_slice(&attributes.to_le_bytes());
        assert!(matches!(refused(&archive), UnpackError::Special { .. }), "{kind:o}");
    }
}

#[test]
fn an_archive_is_unpacked_from_where_it_is_stored() {
    let big = vec![7; 700_000];
    let archive = build(|archive| {
        ["a", "b", "c"].iter().for_each(|name| file(archive, name, stored(), &big));
    });
    let directory = tempfile::tempdir().unwrap();
    let objects = Objects::open(&directory.path().join("objects")).unwrap();
    let root = RootId("r1".into());
    objects.create_root(&root).unwrap();
    let manifest = objects.put(&root, &archive[..]).unwrap().manifest;
    let code = directory.path().join("code");
    let listing = zip::unpack(objects.get(&manifest).unwrap(), &code).unwrap();
    assert_eq!(listing, Listing { entries: 3, total: 2_100_000 });
    assert!(fs::read(code.join("c")).unwrap() == big);
    // A damaged disk is not the fault of who made the archive.
    let chunk = manifest.chunks[1].id.to_string();
    fs::write(directory.path().join("objects/roots/r1").join(chunk), "damaged").unwrap();
    let again = directory.path().join("again");
    let error = zip::unpack(objects.get(&manifest).unwrap(), &again).unwrap_err();
    assert_eq!(error.fault(), Fault::Platform, "{error}");
    assert!(!again.exists());
}
