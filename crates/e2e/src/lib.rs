//! The end-to-end suite's ground: a platform of one's own for each test, the
//! programs that drive it, and the look for what it left behind. It knows the
//! command line and the public API only, nothing of the inside. The tests stand
//! in `tests/`, one file per kind of client; what they drive in `py/`, `js/`, `cli/`.

// Real programs are driven in real time; every wait here has a deadline.
#![allow(clippy::disallowed_methods)]

mod deadline;
mod driver;
pub mod installation;
mod leftovers;
mod platform;

pub use deadline::until;
pub use driver::{Driver, folder, rust_function, static_bootstrap};
pub use platform::Platform;
