//! The simulator: the real decision machines in a false world with a virtual
//! clock. One seed gives all dice; the same seed gives the same bytes. Layer 6.
//!
//! Two ways in: `run` plays a workload through admission, routing, probing, books
//! and placement over fake workers and reports what callers saw; `fuzz` drives one
//! book with random transitions beside a small slow reference model. `story` plays
//! scripted inputs, whose whole output is kept beside them; `region` plays an
//! installation of a thousand managers.
//!
//! `whole` runs the real roles, each in a process of its own, over a simulated network
//! and fake sandboxes.
//!
//! Not here: sockets, real sandboxes. Those belong to tests end to end.
#![forbid(unsafe_code)]

pub mod fuzz;
mod heap;
mod log;
pub mod naive;
pub mod optimum;
pub mod outcome;
pub mod plot;
mod reference;
pub mod region;
pub mod story;
pub mod whole;
pub mod workload;
mod world;

pub use outcome::Outcome;
pub use workload::Workload;
pub use world::{Config, Faults, run};
