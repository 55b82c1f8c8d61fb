//! Handoff: the owner of a key in a newer ring version takes environments from the
//! managers that had the key before, one by one, when calls need them (A3). Here is
//! what each side remembers; what they say to each other is `model::handoff`, and the
//! book does it.
//!
//! ```text
//!   owner                       predecessor                     worker
//!     │ Ask{key, max} ─────────────▶│ idle ones: Transfer{e, to} ──▶│ owner, epoch: e+1
//!     │                             │◀──────── Transferred{e+1} ────│
//!     │◀──────── Answer{envs} ──────│                               │
//!     │◀──────── Offer{env} ────────│ busy ones, when they are idle │
//! ```
//! The worker's word decides who owns an environment (I5). An answer that comes
//! late, or never, costs warmth and no environment: it is adopted late, or found in
//! the worker's next list.

mod asks;
mod departed;
mod gives;
mod heirs;

use model::{RingVersion, Span};

pub(crate) use asks::{Asks, Progress};
pub(crate) use departed::Departed;
pub(crate) use gives::Gives;
pub(crate) use heirs::Heirs;

/// A call waits so long for its key's predecessors, all of them together; then it is
/// served as if there were none.
pub const HANDOFF_BUDGET: Span = Span::millis(10);
/// A predecessor answers after so long with what workers have confirmed; what they
/// confirm later it offers.
pub const SETTLE_BUDGET: Span = Span::millis(4);
/// Predecessors that had nothing for a key, or were silent, are left alone so long.
pub const EMPTY_QUIET: Span = Span::secs(60);
/// One that was too busy to answer is asked again after so long.
pub const BUSY_QUIET: Span = Span::secs(1);
/// Environments in one answer; the asker asks again for more.
pub const HANDOFF_ENVS_MAX: u32 = 64;
/// Questions of one asker at once, and per second; above it the answer is `Busy`.
pub const ASKS_MAX: u32 = 1_000;
pub const ASKS_PER_SEC: u32 = 1_000;
/// Keys remembered as quiet; above it the one that is quiet longest is asked again.
const QUIET_KEYS_MAX: usize = 65_536;
/// Environments remembered as gone; above it the oldest is forgotten, and a late
/// offer of it costs a refused lease.
const DEPARTED_MAX: usize = 4_096;

/// Whether an old manager may exit: it has no obligations (`Book::obligations`), and
/// every live frontend announces a version that does without it. `without` is the
/// first version from which on it is a member of none.
pub fn may_exit(
    obligations: usize,
    without: RingVersion,
    announced: impl IntoIterator<Item = RingVersion>,
) -> bool {
    obligations == 0 && announced.into_iter().all(|known| known >= without)
}
