//! Admission: whether a call may run now, and the one reason where it may not
//! (I27). Steps 7, 8 and 11 of the order of admission. It knows no environment
//! and no worker; it runs at the counter shard of the account, except the create
//! gate, which runs where environments are created.
//!
//! The parts: `bucket` rates, `account` caps and counts, `leases` rights that end
//! by themselves, `counter` the whole, `blocks` what it lends to frontends,
//! `allowance` what a frontend admits of that by itself, `gate` new environments per
//! function, `tokens` those that another manager's gate has to give.

mod account;
mod allowance;
mod blocks;
mod bucket;
mod counter;
mod gate;
mod leases;
mod paid;
mod tokens;

pub use account::{AccountLimits, Claimed, ReserveError};
pub use allowance::{Admission, Allowances, Basis};
pub use blocks::{BLOCK_MAX, BLOCK_MIN, block_size};
pub use bucket::Bucket;
pub use counter::{Admitted, Ask, Counter};
pub use gate::CreateGate;
pub use tokens::{Answered, Taken, Token, TokenAsk, Tokens, Whose as TokenWhose};
