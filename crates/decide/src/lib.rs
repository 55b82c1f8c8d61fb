//! Every choice that Lambent makes on the path of a call, as pure machines and
//! pure functions. Layer 1.
//!
//! The wall: no clock, no dice of its own, no thread, no socket, no file, no map
//! of random order. Time and randomness are arguments, answers are data, and a
//! shell (`frontend`, `manager`, `sim`) performs them. The same inputs give the
//! same outputs, byte for byte, on every machine.
//!
//! In the order in which a call meets them: `admit`, `route` over `arcs` over
//! `ring`, `probe` (both inside `search`), `book`, `place`. What happened leaves as a `Fact`.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod admit;
pub mod affinity;
pub mod arcs;
pub mod book;
pub mod dice;
pub mod drain;
pub mod fact;
pub mod handoff;
pub mod keep;
pub mod place;
pub mod probe;
pub mod provision;
pub mod ring;
pub mod route;
pub mod search;
mod table;

pub use book::Book;
pub use dice::Dice;
pub use fact::Fact;
