//! A published ring version: the managers that serve, and the settings that they
//! serve with. A setting of managers changes by publishing another version, never
//! in place, so that each key has one of the two and can go back (A4).

use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use crate::{
    ids::{FleetId, ManagerId, RingVersion},
    limits,
    time::Span,
};

/// A `key_share` that means every key.
pub const KEY_SHARE_WHOLE: u16 = 10_000;

/// What cannot change about an environment that runs: another one is another pool.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Profile {
    /// Number of the sandbox profile; 0 is the host's default.
    pub sandbox: u16,
    /// Number of the class of workers; 0 is any.
    pub worker_class: u16,
}

/// The settings that a ring version carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attrs {
    /// Managers of one key at least, where the ring has so many.
    pub spread: u16,
    /// Concurrent calls of one key at one manager.
    pub per_mgr_cap: u32,
    pub idle_ttl_s: u32,
    /// Pool-breaking, the only one: another profile drains the old pools.
    pub profile: Profile,
}

impl Attrs {
    pub const fn idle_ttl(&self) -> Span {
        Span::secs(self.idle_ttl_s as u64)
    }

    /// Calls of one key that may run at once.
    pub fn total(&self) -> u64 {
        u64::from(self.spread) * u64::from(self.per_mgr_cap)
    }
}

impl Default for Attrs {
    fn default() -> Attrs {
        Attrs {
            spread: 1,
            per_mgr_cap: u32::MAX,
            idle_ttl_s: u32::try_from(limits::IDLE_TTL.as_micros() / 1_000_000).unwrap_or(u32::MAX),
            profile: Profile::default(),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum RingState {
    /// Serves the part of the keys that `key_share` says.
    Baking,
    Active,
    /// A newer version serves every key; its managers leave when they own nothing.
    Retiring,
    Gone,
}

/// One ring version, as it is published.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RingRecord {
    pub v: RingVersion,
    pub fleet: FleetId,
    pub members: Vec<ManagerId>,
    pub attrs: Attrs,
    /// The version whose managers hold environments for this one's.
    pub prev: Option<RingVersion>,
    /// Keys served, in parts of `KEY_SHARE_WHOLE`.
    pub key_share: u16,
    pub state: RingState,
}
