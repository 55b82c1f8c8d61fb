//! The predecessor's side: questions that await what workers say about transfers,
//! and how often each asker may ask. Invariant: every question is answered once.

use alloc::{
    collections::{BTreeMap, BTreeSet},
    vec::Vec,
};

use model::{
    KeyHash, ManagerId, Now,
    handoff::{Given, Moved},
};

use super::{ASKS_MAX, ASKS_PER_SEC, SETTLE_BUDGET};
use crate::admit::Bucket;

#[derive(Debug)]
struct Give {
    moving: u32,
    moved: Vec<Moved>,
    more: bool,
    answer_by: Now,
}

type GiveKey = (KeyHash, ManagerId);

#[derive(Debug, Default)]
pub(crate) struct Gives {
    open: BTreeMap<GiveKey, Give>,
    due: BTreeSet<(Now, GiveKey)>,
    rates: BTreeMap<ManagerId, Bucket>,
}

impl Gives {
    /// Whether the asker may ask now.
    pub(crate) fn admits(&mut self, now: Now, asker: ManagerId) -> bool {
        let full = || Bucket::full(u64::from(ASKS_MAX), u64::from(ASKS_PER_SEC), now);
        self.rates.entry(asker).or_insert_with(full).take(now).is_ok()
    }

    pub(crate) fn is_open(&self, hash: KeyHash, asker: ManagerId) -> bool {
        self.open.contains_key(&(hash, asker))
    }

    /// `moving` transfers are on their way to workers.
    pub(crate) fn begin(
        &mut self,
        now: Now,
        hash: KeyHash,
        asker: ManagerId,
        moving: u32,
        more: bool,
    ) {
        let answer_by = now + SETTLE_BUDGET;
        let give = Give { moving, moved: Vec::new(), more, answer_by };
        self.open.insert((hash, asker), give);
        self.due.insert((answer_by, (hash, asker)));
    }

    pub(crate) fn due(&self) -> Option<(Now, KeyHash, ManagerId)> {
        self.due.first().map(|(at, (hash, asker))| (*at, *hash, *asker))
    }

    /// One transfer has its answer: the environment moved, or it stays. Gives the
    /// moved one back where no question waits for it.
    pub(crate) fn settled(
        &mut self,
        hash: KeyHash,
        asker: ManagerId,
        moved: Option<Moved>,
    ) -> (Option<Given>, Option<Moved>) {
        let Some(give) = self.open.get_mut(&(hash, asker)) else { return (None, moved) };
        give.moved.extend(moved);
        give.moving = give.moving.saturating_sub(1);
        let over = give.moving == 0;
        (over.then(|| self.end(hash, asker)).flatten(), None)
    }

    /// The answer of a question, with what has moved by now.
    pub(crate) fn end(&mut self, hash: KeyHash, asker: ManagerId) -> Option<Given> {
        let give = self.open.remove(&(hash, asker))?;
        self.due.remove(&(give.answer_by, (hash, asker)));
        Some(if give.moved.is_empty() {
            Given::Empty
        } else {
            Given::Envs { moved: give.moved, more: give.more }
        })
    }
}
