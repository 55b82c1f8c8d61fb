//! Environments that left the book while word of them may still be on the way, from
//! another manager or in a list that their worker made before. Invariant: one is adopted
//! only with a higher epoch than the book last knew of it, or some time after its end
//! where it knew of none, so that late word revives nothing.

use alloc::collections::{BTreeMap, VecDeque};

use model::{EnvId, Epoch, Now, Span};

use super::DEPARTED_MAX;

/// A list that a worker made before an environment ended, or an offer of it, may come so
/// much later than the word of that end: a connection that is silent for longer is given
/// up.
const LATE: Span = Span::secs(30);

#[derive(Debug, Default)]
pub(crate) struct Departed {
    known: BTreeMap<EnvId, Epoch>,
    line: VecDeque<EnvId>,
    /// Those whose end was told, and when; the oldest first.
    ended: VecDeque<(EnvId, Now)>,
}

impl Departed {
    /// It left the book, which knew of this epoch: it was given away with it, or ended.
    pub(crate) fn left(&mut self, env: EnvId, epoch: Epoch) {
        if self.known.insert(env, epoch).is_none() {
            self.line.push_back(env);
        }
        while self.line.len() > DEPARTED_MAX
            && let Some(oldest) = self.line.pop_front()
        {
            self.known.remove(&oldest);
        }
    }

    pub(crate) fn knows(&self, env: EnvId) -> bool {
        self.known.contains_key(&env)
    }

    /// Whether it is known that it left with this epoch, or later.
    pub(crate) fn has_left(&self, env: EnvId, epoch: Epoch) -> bool {
        self.known.get(&env).is_some_and(|known| *known >= epoch)
    }

    /// Its worker said that it is over; for this manager it is, where it went to another.
    pub(crate) fn ended(&mut self, now: Now, env: EnvId) {
        let late = |(_, at): &(EnvId, Now)| now.since(*at) >= LATE;
        while self.ended.len() >= DEPARTED_MAX || self.ended.front().is_some_and(late) {
            self.ended.pop_front();
        }
        self.ended.push_back((env, now));
    }

    /// Whether what names it may be older than its end.
    fn overtook(&self, now: Now, env: EnvId) -> bool {
        let within = |(ended, at): &(EnvId, Now)| *ended == env && now.since(*at) < LATE;
        self.ended.iter().rev().any(within)
    }

    /// Whether an offer or a list that names it is not from before it left, or ended.
    pub(crate) fn admits(&self, now: Now, env: EnvId, epoch: Epoch) -> bool {
        match self.known.get(&env) {
            Some(known) => epoch > *known,
            None => !self.overtook(now, env),
        }
    }
}
