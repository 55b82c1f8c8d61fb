//! The ground that shells stand on: the only home of clock, entropy, named tasks,
//! transport between roles, listeners, telemetry and shutdown.
//!
//! The wall: it knows nothing of functions, leases or rings.
#![forbid(unsafe_code)]

pub mod authority;
pub mod body;
mod changing;
pub mod clock;
pub mod cores;
pub mod entropy;
pub mod limits;
pub mod listen;
pub mod meters;
mod metrics;
mod running;
pub mod tasks;
pub mod telemetry;
pub mod transport;

pub use body::Body;
pub use clock::Clock;
pub use entropy::Entropy;
pub use meters::Meters;
pub use running::{One, Running};
pub use tasks::{TaskKind, Tasks};
pub use transport::{Call, Caller, Inbox, Mail};
