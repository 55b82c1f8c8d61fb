//! Generated from the published service model of Lambda (2015-03-31).
//! Not written by hand: `cargo run -p xtask -- codegen MODEL` makes it anew.

pub mod checks;
pub mod constraints;
pub mod enums;
pub mod errors;
pub mod operations;
pub mod requests;
pub mod responses;
pub mod structures;
