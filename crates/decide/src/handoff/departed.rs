//! Environments that left the book while word of them may still be on the way, from
//! another manager or in a list that their worker made before. Invariant: one is adopted only with a higher epoch than the book
//! last knew of it, so that a late offer revives nothing.

use alloc::collections::{BTreeMap, VecDeque};

use model::{EnvId, Epoch};

use super::DEPARTED_MAX;

#[derive(Debug, Default)]
pub(crate) struct Departed {
    known: BTreeMap<EnvId, Epoch>,
    line: VecDeque<EnvId>,
}

impl Departed {
    /// It was given away with this epoch.
    pub(crate) fn moved(&mut self, env: EnvId, epoch: Epoch) {
        if self.known.insert(env, epoch).is_none() {
            self.line.push_back(env);
        }
        while self.line.len() > DEPARTED_MAX
            && let Some(oldest) = self.line.pop_front()
        {
            self.known.remove(&oldest);
        }
    }

    /// It exists no more, and its number never comes again.
    pub(crate) fn gone(&mut self, env: EnvId) {
        self.moved(env, Epoch(u64::MAX));
    }

    pub(crate) fn is_gone(&self, env: EnvId) -> bool {
        self.known.get(&env) == Some(&Epoch(u64::MAX))
    }

    pub(crate) fn admits(&self, env: EnvId, epoch: Epoch) -> bool {
        self.known.get(&env).is_none_or(|known| epoch > *known)
    }
}
