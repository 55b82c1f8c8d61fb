//! Who inherits a pool: the owners that have asked for it, what each may take of the
//! idle environments, and to whom busy ones go when they are idle. Invariant: askers
//! of one version divide what there was when the first of them asked.

use alloc::vec::Vec;

use model::{ManagerId, RingVersion, handoff::Ask};

#[derive(Debug, Default)]
pub(crate) struct Heirs {
    by: RingVersion,
    quota: u32,
    busy_quota: u32,
    /// Askers of the current round.
    served: Vec<ManagerId>,
    /// Owners to whom environments go when they become idle, and how many.
    forward: Vec<(ManagerId, u32)>,
}

impl Heirs {
    pub(crate) fn by(&self) -> RingVersion {
        self.by
    }

    /// How many of the idle environments the asker may take.
    pub(crate) fn share(&mut self, asker: ManagerId, ask: &Ask, idle: u32, busy: u32) -> u32 {
        if ask.by > self.by {
            *self = Heirs { by: ask.by, ..Heirs::default() };
        }
        let askers = u32::from(ask.askers);
        if askers == 0 {
            return idle.min(ask.max);
        }
        // Who asks twice has had its part: what is left is divided anew.
        if self.served.is_empty() || self.served.contains(&asker) {
            self.served.clear();
            self.quota = idle.div_ceil(askers);
            self.busy_quota = busy.div_ceil(askers);
        }
        self.served.push(asker);
        self.forward.retain(|(heir, _)| *heir != asker);
        if self.busy_quota > 0 {
            self.forward.push((asker, self.busy_quota));
        }
        self.quota.min(ask.max).min(idle)
    }

    /// Who gets an environment that has just become idle.
    pub(crate) fn next(&mut self) -> Option<ManagerId> {
        if self.forward.is_empty() {
            return None;
        }
        let (heir, left) = self.forward.remove(0);
        if left > 1 {
            self.forward.push((heir, left - 1));
        }
        Some(heir)
    }
}
