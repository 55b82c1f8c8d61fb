//! The plan of an archive: every entry with its place and kind, judged as a whole.
//! After `Plan::read` each path is relative, stays inside, is unique, and has only
//! directories above it. Writes nothing.
//!
//! A link may begin with `..` and then only goes down. Its own directory is no link,
//! so the first part stays inside if it does by counting; and each link on the way
//! down leads inside for the same reason.

use std::{
    collections::BTreeMap,
    ffi::OsStr,
    io::{Read, Seek, SeekFrom},
    os::unix::ffi::OsStrExt,
    path::{Component, Path, PathBuf},
};

use ::zip::ZipArchive;
use model::limits::{UNZIPPED_BYTES_MAX, ZIP_ENTRIES_MAX};

use super::{Listing, Sink, UnpackError};
use crate::limits::{
    ZIP_DEPTH_MAX, ZIP_LINK_BYTES_MAX, ZIP_NAME_BYTES_MAX, ZIP_PATH_BYTES_MAX, ZIP_RATIO_MAX,
};

const TYPE_MASK: u32 = 0o170_000;
const TYPE_FILE: u32 = 0o100_000;
const TYPE_DIRECTORY: u32 = 0o040_000;
const TYPE_LINK: u32 = 0o120_000;
const EXECUTABLE: u32 = 0o111;
const COPY_BYTES: usize = 64 * 1024;

pub(super) struct Plan<R> {
    archive: ZipArchive<R>,
    entries: Vec<Planned>,
    /// All that are needed, also those that no entry names; parents first.
    directories: Vec<PathBuf>,
    total: u64,
}

#[derive(Debug)]
pub(super) struct Planned {
    pub(super) path: PathBuf,
    pub(super) kind: Kind,
    index: usize,
    size: u64,
}

#[derive(Debug)]
pub(super) enum Kind {
    Directory,
    File { executable: bool },
    Link { target: PathBuf },
}

impl<R: Read + Seek> Plan<R> {
    pub(super) fn read(mut reader: R) -> Result<Plan<R>, UnpackError> {
        let packed = reader.seek(SeekFrom::End(0))?;
        let mut archive = ZipArchive::new(reader)?;
        if archive.has_duplicate_names() {
            return Err(UnpackError::Duplicate);
        }
        if archive.len() > ZIP_ENTRIES_MAX {
            return Err(UnpackError::TooManyEntries);
        }
        let mut entries = Vec::with_capacity(archive.len());
        let mut total: u64 = 0;
        for index in 0..archive.len() {
            let planned = read_entry(&mut archive, index)?;
            total = total.saturating_add(planned.size);
            entries.push(planned);
        }
        if entries.is_empty() {
            return Err(UnpackError::Empty);
        }
        if total > UNZIPPED_BYTES_MAX {
            return Err(UnpackError::TooLarge { bytes: total });
        }
        if total > packed.saturating_mul(ZIP_RATIO_MAX) || archive.has_overlapping_entries()? {
            return Err(UnpackError::Bomb);
        }
        let directories = directories(&entries)?;
        Ok(Plan { archive, entries, directories, total })
    }

    pub(super) fn entries(&self) -> &[Planned] {
        &self.entries
    }

    pub(super) fn directories(&self) -> &[PathBuf] {
        &self.directories
    }

    pub(super) fn listing(&self) -> Listing {
        Listing { entries: self.entries.len(), total: self.total }
    }

    /// Decompresses one entry; stops as soon as it is longer than it claims.
    pub(super) fn copy_contents(
        &mut self,
        at: usize,
        sink: &mut impl Sink,
    ) -> Result<(), UnpackError> {
        let Planned { index, size, path, .. } = &self.entries[at];
        let mut contents = self.archive.by_index(*index)?.take(size.saturating_add(1));
        let mut buffer = vec![0; COPY_BYTES.min(usize::try_from(*size).unwrap_or(COPY_BYTES) + 1)];
        let mut copied: u64 = 0;
        loop {
            let length = contents.read(&mut buffer)?;
            copied += length as u64;
            if copied > *size || (length == 0 && copied < *size) {
                return Err(UnpackError::SizeDiffers { path: shown(path.as_os_str().as_bytes()) });
            }
            if length == 0 {
                return Ok(());
            }
            sink.take_in(&buffer[..length])?;
        }
    }
}

fn read_entry<R: Read + Seek>(
    archive: &mut ZipArchive<R>,
    index: usize,
) -> Result<Planned, UnpackError> {
    let mut file = archive.by_index(index)?;
    let name = match std::str::from_utf8(file.name_raw()) {
        Ok(name) => name.to_owned(),
        // An old archive in the character set of MS-DOS.
        Err(_) => file.name()?.into_owned(),
    };
    let path = inner_path(&name)?;
    let mode = file.unix_mode().unwrap_or(0);
    let size = file.size();
    let kind = match mode & TYPE_MASK {
        TYPE_LINK => Kind::Link { target: read_link(&name, &path, size, &mut file)? },
        TYPE_DIRECTORY => Kind::Directory,
        0 | TYPE_FILE if name.ends_with('/') => Kind::Directory,
        0 | TYPE_FILE => Kind::File { executable: mode & EXECUTABLE != 0 },
        _ => return Err(UnpackError::Special { path: shown(name.as_bytes()) }),
    };
    if matches!(kind, Kind::Directory) && size != 0 {
        return Err(UnpackError::SizeDiffers { path: shown(name.as_bytes()) });
    }
    // Only a directory can be the destination itself (`./`).
    if path.as_os_str().is_empty() && !matches!(kind, Kind::Directory) {
        return Err(UnpackError::Escapes { path: shown(name.as_bytes()) });
    }
    Ok(Planned { path, kind, index, size })
}

/// The entry's place: relative, only going down, without empty parts.
fn inner_path(name: &str) -> Result<PathBuf, UnpackError> {
    let path = || shown(name.as_bytes());
    if name.len() > ZIP_PATH_BYTES_MAX {
        return Err(UnpackError::PathTooLong { path: path() });
    }
    if name.contains('\0') {
        return Err(UnpackError::Escapes { path: path() });
    }
    let mut inner = PathBuf::new();
    let mut depth = 0;
    for component in Path::new(name).components() {
        match component {
            Component::Normal(part) => {
                depth += 1;
                if part.len() > ZIP_NAME_BYTES_MAX || depth > ZIP_DEPTH_MAX {
                    return Err(UnpackError::PathTooLong { path: path() });
                }
                inner.push(part);
            }
            Component::CurDir => {}
            Component::ParentDir | Component::RootDir | Component::Prefix(_) => {
                return Err(UnpackError::Escapes { path: path() });
            }
        }
    }
    Ok(inner)
}

fn read_link(
    name: &str,
    path: &Path,
    size: u64,
    contents: &mut impl Read,
) -> Result<PathBuf, UnpackError> {
    let escapes = || UnpackError::LinkEscapes { path: shown(name.as_bytes()) };
    if size == 0 || size > ZIP_LINK_BYTES_MAX {
        return Err(escapes());
    }
    let mut target = Vec::new();
    contents.take(ZIP_LINK_BYTES_MAX + 1).read_to_end(&mut target)?;
    if target.len() as u64 != size {
        return Err(UnpackError::SizeDiffers { path: shown(name.as_bytes()) });
    }
    let target = PathBuf::from(OsStr::from_bytes(&target));
    let above = path.components().count().saturating_sub(1);
    let (mut ups, mut went_down) = (0, false);
    for component in target.components() {
        match component {
            Component::CurDir => {}
            Component::Normal(_) => went_down = true,
            Component::ParentDir if !went_down && ups < above => ups += 1,
            Component::ParentDir | Component::RootDir | Component::Prefix(_) => {
                return Err(escapes());
            }
        }
    }
    let has_nul = target.as_os_str().as_bytes().contains(&0);
    if has_nul { Err(escapes()) } else { Ok(target) }
}

/// Every directory that the entries need, and proof that no two entries collide.
fn directories(entries: &[Planned]) -> Result<Vec<PathBuf>, UnpackError> {
    // True for a directory. An ordered map: parents come before what they hold.
    let mut places: BTreeMap<&Path, bool> = BTreeMap::new();
    for entry in entries {
        let collides = || UnpackError::Collides { path: shown(entry.path.as_os_str().as_bytes()) };
        let is_directory = matches!(entry.kind, Kind::Directory);
        let found = places.insert(&entry.path, is_directory);
        if found.is_some_and(|found| !(found && is_directory)) {
            return Err(collides());
        }
        for parent in entry.path.ancestors().skip(1) {
            match places.insert(parent, true) {
                Some(true) => break,
                Some(false) => return Err(collides()),
                None => {}
            }
        }
        if places.len() > ZIP_ENTRIES_MAX {
            return Err(UnpackError::TooManyEntries);
        }
    }
    let directories = places.into_iter().filter(|(path, is)| *is && !path.as_os_str().is_empty());
    Ok(directories.map(|(path, _)| path.to_owned()).collect())
}

/// A name from an archive, cut to what fits in a message.
fn shown(name: &[u8]) -> String {
    const SHOWN_BYTES: usize = 200;
    String::from_utf8_lossy(&name[..name.len().min(SHOWN_BYTES)]).into_owned()
}
