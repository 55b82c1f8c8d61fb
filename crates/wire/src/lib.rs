//! Messages between roles. A message names bytes by `PayloadRef`; the bytes travel
//! beside it in the body of the same call, never inside.
//!
//! The wall: no handlers and no sockets. What carries a message is
//! `platform::transport`; what it means is the business of the role that gets it.
#![forbid(unsafe_code)]

pub mod codec;
pub mod control;
pub mod frame;
pub mod frontend;
pub mod manager;
pub mod store;
pub mod worker;
