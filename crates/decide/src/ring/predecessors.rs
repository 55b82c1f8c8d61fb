//! Who may hold environments of a key from before: the managers that its owner asks
//! when it misses, in tiers. Within a tier all are asked at once; the next tier only
//! where the call is still not served. Small and `Copy`, as it travels with calls.

use core::fmt;

use model::{ManagerId, Pred};

/// Managers asked for one key at most: a change of spread from eight to one, or four
/// of each of two versions. Beyond it the last are left out, and theirs idle out.
pub const PREDS_MAX: usize = 8;

const NOBODY: Pred = Pred { manager: ManagerId(0), tier: 0, askers: 0 };

/// Ordered by tier, without doubles.
#[derive(Clone, Copy)]
pub struct Preds {
    all: [Pred; PREDS_MAX],
    len: u8,
}

impl Preds {
    pub const NONE: Preds = Preds { all: [NOBODY; PREDS_MAX], len: 0 };

    pub fn as_slice(&self) -> &[Pred] {
        self.all.get(..usize::from(self.len)).unwrap_or_default()
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub fn contains(&self, manager: ManagerId) -> bool {
        self.as_slice().iter().any(|pred| pred.manager == manager)
    }

    /// Appends one that is not there yet; tiers must not fall. Says whether it has
    /// room left.
    pub fn push(&mut self, pred: Pred) -> bool {
        if !self.contains(pred.manager)
            && let Some(slot) = self.all.get_mut(usize::from(self.len))
        {
            *slot = pred;
            self.len += 1;
        }
        usize::from(self.len) < PREDS_MAX
    }

    /// Without those that were asked for this call already: no call waits for the
    /// same predecessor twice.
    #[must_use]
    pub fn without(&self, asked: &Preds) -> Preds {
        let mut left = Preds::NONE;
        for pred in self.as_slice().iter().filter(|pred| !asked.contains(pred.manager)) {
            left.push(*pred);
        }
        left
    }
}

/// Of more than there is room for, the last are left out.
impl FromIterator<Pred> for Preds {
    fn from_iter<I: IntoIterator<Item = Pred>>(named: I) -> Preds {
        let mut preds = Preds::NONE;
        for pred in named {
            preds.push(pred);
        }
        preds
    }
}

impl Default for Preds {
    fn default() -> Preds {
        Preds::NONE
    }
}

impl PartialEq for Preds {
    fn eq(&self, other: &Preds) -> bool {
        self.as_slice() == other.as_slice()
    }
}

impl Eq for Preds {}

impl fmt::Debug for Preds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.as_slice()).finish()
    }
}
