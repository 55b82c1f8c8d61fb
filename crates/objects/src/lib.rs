//! Stored bytes: manifests over content-addressed chunks in life-cycled roots, and
//! the safe unpacking of zip archives.
//!
//! The wall: no word of functions or invocations here, and no metadata; a manifest
//! is given to the caller, who keeps it. One process of a host writes and deletes,
//! any number read. Every call blocks on the disk: callers on
//! an async executor use their blocking pool. Beside the path of an invoke: a
//! worker comes here when it has no unpacked copy of some code.

pub mod limits;
pub mod zip;

mod chunks;
mod errors;
mod partial;
mod read_only;
mod reader;
mod roots;

pub use chunks::{Objects, Stored};
pub use errors::{GetError, OpenError, PutError, RootError};
pub use partial::sweep_partial;
pub use read_only::ReadOnly;
pub use reader::Reader;
