//! Packing: a directory, a file or a zip becomes the zip that the API wants. The
//! same files give the same bytes, whatever their times and whatever the order in
//! which the disk lists them, so that an unchanged function keeps its digest.

use std::{
    fs,
    io::{Cursor, Read, Write},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use anyhow::Context;
use model::limits::{UNZIPPED_BYTES_MAX, ZIP_BYTES_MAX};
use zip::{CompressionMethod, DateTime, ZipArchive, ZipWriter, write::SimpleFileOptions};

use super::detect::Sources;
use crate::failure::Failure;

const LEFT_OUT: [&str; 3] = [".git", "__pycache__", ".DS_Store"];
/// A source file longer than this is not searched for its handler.
const SOURCE_BYTES_MAX: u64 = 1024 * 1024;
const ELF: &[u8] = b"\x7fELF";
const ZIP: &[u8] = b"PK";
const SCRIPT: &[u8] = b"#!";

/// What is uploaded, and what it was recognised from.
#[derive(Debug)]
pub(crate) struct Package {
    pub(crate) zip: Vec<u8>,
    pub(crate) sources: Sources,
}

pub(crate) fn package(path: &Path) -> anyhow::Result<Package> {
    let found = fs::metadata(path).map_err(|error| {
        let what = format!("{} cannot be read: {error}", path.display());
        Failure::usage(what, "deploy takes a directory, a zip, an executable or a source file")
    })?;
    let package = if found.is_dir() { directory(path)? } else { file(path)? };
    let length = package.zip.len() as u64;
    if length > ZIP_BYTES_MAX {
        let what = format!("the zip has {length} bytes, at most {ZIP_BYTES_MAX} can be uploaded");
        return Err(Failure::usage(what, "leave out what the function does not need").into());
    }
    Ok(package)
}

/// A package of files that are no files of this disk.
pub(crate) fn files(files: &[(&str, &[u8])]) -> anyhow::Result<Package> {
    let entry = |(name, bytes): &(&str, &[u8])| Entry {
        name: (*name).to_owned(),
        executable: false,
        bytes: bytes.to_vec(),
    };
    pack(&files.iter().map(entry).collect::<Vec<_>>())
}

fn directory(path: &Path) -> anyhow::Result<Package> {
    let mut files = Vec::new();
    list(path, Path::new(""), &mut files)?;
    files.sort();
    let mut entries = Vec::with_capacity(files.len());
    for relative in files {
        entries.push(Entry::read(&path.join(&relative), &relative)?);
    }
    pack(&entries)
}

/// Regular files below a directory. Links are followed, as AWS's tools do.
fn list(root: &Path, relative: &Path, files: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    let directory = root.join(relative);
    let reading = || format!("reading {}", directory.display());
    for entry in fs::read_dir(&directory).with_context(reading)? {
        let entry = entry.with_context(reading)?;
        if LEFT_OUT.iter().any(|name| entry.file_name() == *name) {
            continue;
        }
        let below = relative.join(entry.file_name());
        let found = fs::metadata(entry.path()).with_context(reading)?;
        if found.is_dir() {
            list(root, &below, files)?;
        } else if found.is_file() {
            files.push(below);
        }
    }
    Ok(())
}

fn file(path: &Path) -> anyhow::Result<Package> {
    let bytes = fs::read(path).with_context(|| format!("reading {}", path.display()))?;
    if bytes.starts_with(ZIP) {
        let sources = sources_of_zip(&bytes).with_context(|| format!("{}", path.display()))?;
        return Ok(Package { zip: bytes, sources });
    }
    let name = path.file_name().unwrap_or_default();
    let own_name = Path::new(name);
    let entry = if bytes.starts_with(ELF) || bytes.starts_with(SCRIPT) && is_executable(path) {
        Entry { name: "bootstrap".into(), executable: true, bytes }
    } else {
        Entry::read(path, own_name)?
    };
    pack(&[entry])
}

fn is_executable(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|found| found.permissions().mode() & 0o111 != 0)
}

#[derive(Debug)]
struct Entry {
    name: String,
    executable: bool,
    bytes: Vec<u8>,
}

impl Entry {
    fn read(path: &Path, name: &Path) -> anyhow::Result<Entry> {
        let reading = || format!("reading {}", path.display());
        let text = name.to_str().with_context(|| format!("{} is no text", name.display()))?;
        Ok(Entry {
            name: text.into(),
            executable: is_executable(path),
            bytes: fs::read(path).with_context(reading)?,
        })
    }
}

fn pack(entries: &[Entry]) -> anyhow::Result<Package> {
    let total: u64 = entries.iter().map(|entry| entry.bytes.len() as u64).sum();
    if total > UNZIPPED_BYTES_MAX {
        let what =
            format!("the files have {total} bytes, at most {UNZIPPED_BYTES_MAX} are allowed");
        return Err(Failure::usage(what, "leave out what the function does not need").into());
    }
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    let mut sources = Sources::new();
    for Entry { name, executable, bytes } in entries {
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Deflated)
            .last_modified_time(DateTime::default())
            .unix_permissions(if *executable { 0o755 } else { 0o644 });
        zip.start_file(name.as_str(), options).with_context(|| format!("packing {name}"))?;
        zip.write_all(bytes).with_context(|| format!("packing {name}"))?;
        if !name.contains('/') {
            sources.insert(name.clone(), source_text(bytes));
        }
    }
    Ok(Package { zip: zip.finish().context("packing")?.into_inner(), sources })
}

fn sources_of_zip(bytes: &[u8]) -> anyhow::Result<Sources> {
    let mut archive = ZipArchive::new(Cursor::new(bytes))?;
    let mut sources = Sources::new();
    for at in 0..archive.len() {
        let entry = archive.by_index(at)?;
        let name = entry.name()?.into_owned();
        if entry.is_file() && !name.contains('/') {
            let mut text = Vec::new();
            entry.take(SOURCE_BYTES_MAX).read_to_end(&mut text)?;
            sources.insert(name, source_text(&text));
        }
    }
    Ok(sources)
}

fn source_text(bytes: &[u8]) -> String {
    if bytes.len() as u64 > SOURCE_BYTES_MAX {
        return String::new();
    }
    std::str::from_utf8(bytes).unwrap_or_default().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(order: &[&str]) -> tempfile::TempDir {
        let directory = tempfile::tempdir().unwrap();
        for name in order {
            let path = directory.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, format!("# {name}")).unwrap();
        }
        directory
    }

    #[test]
    fn the_same_files_give_the_same_bytes() {
        let names = ["app.py", "lib/a.py", "lib/b.py", "data.bin"];
        let (one, other) = (tree(&names), tree(&[names[3], names[2], names[1], names[0]]));
        let old = fs::File::options().write(true).open(other.path().join("app.py")).unwrap();
        old.set_modified(std::time::UNIX_EPOCH + std::time::Duration::from_secs(1)).unwrap();
        let zip = |directory: &tempfile::TempDir| package(directory.path()).unwrap().zip;
        assert_eq!(zip(&one), zip(&other));
        fs::write(other.path().join("app.py"), "changed").unwrap();
        assert_ne!(zip(&one), zip(&other));
    }

    #[test]
    fn what_nobody_deploys_is_left_out_and_dependencies_are_kept() {
        let tree = tree(&[
            "index.js",
            ".git/HEAD",
            "sub/__pycache__/x.pyc",
            ".DS_Store",
            "node_modules/a/index.js",
        ]);
        let package = package(tree.path()).unwrap();
        let archive = ZipArchive::new(Cursor::new(package.zip)).unwrap();
        let mut names: Vec<_> = archive.file_names().map(Result::unwrap).collect();
        names.sort_unstable();
        assert_eq!(names, ["index.js", "node_modules/a/index.js"]);
        assert_eq!(package.sources.keys().collect::<Vec<_>>(), ["index.js"]);
    }

    #[test]
    fn an_executable_becomes_bootstrap_and_may_be_executed() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("my-program");
        fs::write(&path, b"\x7fELF...").unwrap();
        let package = package(&path).unwrap();
        let mut archive = ZipArchive::new(Cursor::new(package.zip)).unwrap();
        let entry = archive.by_index(0).unwrap();
        assert_eq!(entry.name().unwrap(), "bootstrap");
        assert_eq!(entry.unix_mode().unwrap() & 0o777, 0o755);
    }

    #[test]
    fn a_zip_goes_as_it_is() {
        let tree = tree(&["app.py", "lib/b.py"]);
        let zip = package(tree.path()).unwrap().zip;
        let path = tree.path().join("f.zip");
        fs::write(&path, &zip).unwrap();
        let again = package(&path).unwrap();
        assert_eq!(again.zip, zip);
        assert_eq!(again.sources["app.py"], "# app.py");
        assert!(!again.sources.contains_key("lib/b.py"));
    }

    #[test]
    fn a_missing_path_says_what_is_wanted() {
        let error = package(Path::new("/no/such")).unwrap_err().to_string();
        assert!(error.contains("a directory, a zip"), "{error}");
    }
}
