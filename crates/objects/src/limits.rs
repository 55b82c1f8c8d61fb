//! Limits of stored bytes, each with its reaction. Those that other crates know too
//! stand in `model::limits`.

/// Bytes of a chunk; only the last one of an object is shorter.
pub const CHUNK_BYTES: usize = 512 * 1024;
/// Characters of a root's name; a longer one is refused.
pub const ROOT_NAME_CHARS_MAX: usize = 64;
/// Bytes of a path in a zip (Linux `PATH_MAX`); an archive with a longer one is refused.
pub const ZIP_PATH_BYTES_MAX: usize = 4096;
/// Bytes of one name in a path (`NAME_MAX`); an archive with a longer one is refused.
pub const ZIP_NAME_BYTES_MAX: usize = 255;
/// Unpacked bytes for each packed byte. Deflate cannot pass 1032; an archive that
/// claims more is refused.
pub const ZIP_RATIO_MAX: u64 = 1_100;
/// Directories above an entry of a zip; an archive with a deeper one is refused.
pub const ZIP_DEPTH_MAX: usize = 64;
/// Bytes of a symbolic link's target in a zip; a longer one is refused.
pub const ZIP_LINK_BYTES_MAX: u64 = 4096;
/// Names tried for a copy that is not finished; with all of them taken it is refused.
pub const PASSING_NAMES_MAX: u64 = 256;
