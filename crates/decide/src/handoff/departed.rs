//! Environments that left the book while word of them may still be on the way, from
//! another manager or in a list that their worker made before. Invariants: one that is
//! offered is adopted only with a higher epoch than the book last knew of it, so that a
//! late offer revives nothing; one that a worker lists is adopted unless the list may be
//! older than its end.

use alloc::collections::{BTreeMap, VecDeque};

use model::{EnvId, Epoch, Now, Span};

use super::DEPARTED_MAX;

/// A list that a worker made before an environment ended may come so much later than
/// the word of that end: a connection that is silent for longer is given up.
const LATE_LIST: Span = Span::secs(30);

#[derive(Debug, Default)]
pub(crate) struct Departed {
    known: BTreeMap<EnvId, Epoch>,
    line: VecDeque<EnvId>,
    /// Those whose end was told, and when; the oldest first.
    ended: VecDeque<(EnvId, Now)>,
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

    /// Its worker said that it is over.
    pub(crate) fn ended(&mut self, now: Now, env: EnvId) {
        let late = |(_, at): &(EnvId, Now)| now.since(*at) >= LATE_LIST;
        while self.ended.len() >= DEPARTED_MAX || self.ended.front().is_some_and(late) {
            self.ended.pop_front();
        }
        self.ended.push_back((env, now));
    }

    /// Whether a list that names it may be older than its end.
    pub(crate) fn overtook(&self, now: Now, env: EnvId) -> bool {
        let within = |(ended, at): &(EnvId, Now)| *ended == env && now.since(*at) < LATE_LIST;
        self.ended.iter().rev().any(within)
    }

    pub(crate) fn admits(&self, env: EnvId, epoch: Epoch) -> bool {
        self.known.get(&env).is_none_or(|known| epoch > *known)
    }
}
