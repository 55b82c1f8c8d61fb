//! Why an archive is not unpacked, and whose fault it is. The words that a caller
//! of the public API sees are made where the API is spoken, from `Fault`.

use std::{io, path::PathBuf};

use model::limits::{UNZIPPED_BYTES_MAX, ZIP_ENTRIES_MAX};

use crate::{errors::GetError, limits::ZIP_RATIO_MAX};

/// Who has to act.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The archive is not one that can be unpacked: its maker.
    Archive,
    /// The archive is sound and has nothing in it: its maker.
    Empty,
    /// Unpacked it has more than `UNZIPPED_BYTES_MAX`: its maker.
    TooLarge,
    /// Reading or writing failed: the operator.
    Platform,
}

#[derive(Debug, thiserror::Error)]
pub enum UnpackError {
    #[error("the zip archive cannot be read: {detail}")]
    Unreadable { detail: String },
    #[error("the zip archive is empty")]
    Empty,
    #[error("the archive unpacks to {bytes} bytes, at most {UNZIPPED_BYTES_MAX} are allowed")]
    TooLarge { bytes: u64 },
    #[error("more than {ZIP_ENTRIES_MAX} files and directories in the archive")]
    TooManyEntries,
    #[error("{path:?} has too long a name or is too deep")]
    PathTooLong { path: String },
    #[error("{path:?} leads out of the archive")]
    Escapes { path: String },
    #[error("the link {path:?} leads out of the archive, or back up after going down")]
    LinkEscapes { path: String },
    #[error("{path:?} is in the archive twice, or is both a file and a directory")]
    Collides { path: String },
    #[error("two entries of the archive have the same name")]
    Duplicate,
    #[error("{path:?} is neither a file nor a directory nor a link")]
    Special { path: String },
    #[error("{path:?} does not have the size that the archive claims")]
    SizeDiffers { path: String },
    /// Overlapping entries, or a claim that no compression can keep.
    #[error("the archive claims more than {ZIP_RATIO_MAX} bytes for each of its own, or overlaps")]
    Bomb,
    #[error("{} has too many unfinished copies: remove them", destination.display())]
    TooManyPartials { destination: PathBuf },
    #[error("reading the archive")]
    Read(#[source] io::Error),
    #[error("writing {}", path.display())]
    Write {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
}

impl UnpackError {
    pub fn fault(&self) -> Fault {
        match self {
            UnpackError::Unreadable { .. }
            | UnpackError::TooManyEntries
            | UnpackError::PathTooLong { .. }
            | UnpackError::Escapes { .. }
            | UnpackError::LinkEscapes { .. }
            | UnpackError::Collides { .. }
            | UnpackError::Duplicate
            | UnpackError::Special { .. }
            | UnpackError::SizeDiffers { .. }
            | UnpackError::Bomb => Fault::Archive,
            UnpackError::Empty => Fault::Empty,
            UnpackError::TooLarge { .. } => Fault::TooLarge,
            UnpackError::TooManyPartials { .. }
            | UnpackError::Read(_)
            | UnpackError::Write { .. } => Fault::Platform,
        }
    }
}

/// An error with a number came from the system that holds the archive, or from our
/// own reader; any other was made by a decoder that found the bytes wrong.
impl From<io::Error> for UnpackError {
    fn from(error: io::Error) -> UnpackError {
        let ours = error.get_ref().is_some_and(|inner| inner.is::<GetError>());
        if ours || error.raw_os_error().is_some() {
            UnpackError::Read(error)
        } else {
            UnpackError::Unreadable { detail: error.to_string() }
        }
    }
}

impl From<::zip::result::ZipError> for UnpackError {
    fn from(error: ::zip::result::ZipError) -> UnpackError {
        if let ::zip::result::ZipError::Io(error) = error {
            return error.into();
        }
        UnpackError::Unreadable { detail: error.to_string() }
    }
}
