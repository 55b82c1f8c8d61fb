//! The public contract: what a client, a runtime or a tool sees of the Lambda
//! API. Operations, request and response shapes, errors, invoke headers, request
//! signatures and the words of the Runtime API. Layer 1.
//!
//! The wall: no server, no IO, no clock, nothing of our internals. Time comes in
//! as an argument; bytes come in and go out.
#![forbid(unsafe_code)]

pub mod encoding;
pub mod errors;
pub mod generated;
pub mod invoke;
pub mod operation;
pub mod request;
pub mod runtime_api;
pub mod shape;
pub mod sigv4;
pub mod validate;

pub use errors::{ApiError, Exception, ThrottleReason};
pub use generated::{enums, requests, responses, structures};
pub use operation::{Operation, route};
