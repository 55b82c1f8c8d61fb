//! The owner's side: which keys' predecessors are being asked, and which are left
//! alone for a while. Invariant: a key is asked for at most once at a time, and an
//! open ask ends within the budget, however many predecessors are silent.

use alloc::{
    collections::{BTreeMap, BTreeSet},
    vec::Vec,
};

use model::{
    KeyHash, ManagerId, Now, Pred, RingVersion, Span,
    handoff::{Ask, Given},
};

use super::{BUSY_QUIET, EMPTY_QUIET, HANDOFF_BUDGET, HANDOFF_ENVS_MAX, QUIET_KEYS_MAX};
use crate::{book::Routed, ring::Preds};

/// What became of an open ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// There is none for this key, or not of this manager.
    Stale,
    Waiting,
    /// All that were asked together have answered, or will not.
    RoundOver,
}

#[derive(Debug)]
struct Open {
    by: RingVersion,
    preds: Preds,
    tier: u8,
    /// Asked in this round and not answered.
    awaited: Vec<ManagerId>,
    /// Gave environments in this round and have more.
    rich: Vec<ManagerId>,
    since: Now,
    round_ends: Now,
    quiet: Span,
}

#[derive(Clone, Copy, Debug)]
struct Quiet {
    by: RingVersion,
    until: Now,
}

#[derive(Debug, Default)]
pub(crate) struct Asks {
    open: BTreeMap<KeyHash, Open>,
    ends: BTreeSet<(Now, KeyHash)>,
    quiet: BTreeMap<KeyHash, Quiet>,
    quiet_ends: BTreeSet<(Now, KeyHash)>,
}

impl Asks {
    pub(crate) fn is_open(&self, hash: KeyHash) -> bool {
        self.open.contains_key(&hash)
    }

    /// When the next round ends, and of which key.
    pub(crate) fn due(&self) -> Option<(Now, KeyHash)> {
        self.ends.first().copied()
    }

    /// Whether a call that missed has somebody to wait for: an ask is open, or this
    /// opens one, whose questions are appended.
    pub(crate) fn wants(
        &mut self,
        now: Now,
        hash: KeyHash,
        routed: &Routed,
        into: &mut Vec<(ManagerId, Ask)>,
    ) -> bool {
        if routed.preds.is_empty() || self.is_open(hash) {
            return self.is_open(hash);
        }
        if let Some(quiet) = self.quiet.get(&hash).copied() {
            if routed.by <= quiet.by && now < quiet.until {
                return false;
            }
            self.forget_quiet(hash, quiet.until);
        }
        let open = Open {
            by: routed.by,
            preds: routed.preds,
            tier: 0,
            awaited: Vec::new(),
            rich: Vec::new(),
            since: now,
            round_ends: now,
            quiet: Span::ZERO,
        };
        self.open.insert(hash, open);
        let tier = routed.preds.as_slice().first().map_or(0, |pred| pred.tier);
        self.ask_tier(now, hash, tier, 1, into);
        true
    }

    /// An answer, whose environments the book has adopted.
    pub(crate) fn answered(&mut self, hash: KeyHash, from: ManagerId, given: &Given) -> Progress {
        let Some(open) = self.open.get_mut(&hash) else { return Progress::Stale };
        let Some(at) = open.awaited.iter().position(|awaited| *awaited == from) else {
            return Progress::Stale;
        };
        open.awaited.swap_remove(at);
        match given {
            Given::Envs { more: true, .. } => open.rich.push(from),
            Given::Envs { more: false, .. } | Given::Empty => open.quiet = EMPTY_QUIET,
            Given::Busy => open.quiet = BUSY_QUIET,
        }
        if open.awaited.is_empty() { Progress::RoundOver } else { Progress::Waiting }
    }

    /// The next round for calls that still wait: those that have more once again,
    /// else the next tier. False where there is nobody left to ask, or no time.
    pub(crate) fn next_round(
        &mut self,
        now: Now,
        hash: KeyHash,
        waiting: usize,
        into: &mut Vec<(ManagerId, Ask)>,
    ) -> bool {
        let Some(open) = self.open.get_mut(&hash) else { return false };
        if now >= open.since + HANDOFF_BUDGET {
            return false;
        }
        let tier = if open.rich.is_empty() {
            let later = open.preds.as_slice().iter().map(|pred| pred.tier);
            later.filter(|tier| *tier > open.tier).min()
        } else {
            Some(open.tier)
        };
        let Some(tier) = tier else { return false };
        self.ask_tier(now, hash, tier, waiting, into);
        true
    }

    /// Ends an ask. `served`: no call waits any more, so that the next miss asks
    /// again; else its predecessors are left alone for a while.
    pub(crate) fn end(&mut self, now: Now, hash: KeyHash, served: bool) -> Option<Span> {
        let open = self.open.remove(&hash)?;
        self.ends.remove(&(open.round_ends, hash));
        let silent = now >= open.round_ends && !open.awaited.is_empty();
        let quiet = if silent { EMPTY_QUIET } else { open.quiet };
        if silent || !served {
            self.be_quiet(hash, Quiet { by: open.by, until: now + quiet });
        }
        Some(now.since(open.since))
    }

    fn ask_tier(
        &mut self,
        now: Now,
        hash: KeyHash,
        tier: u8,
        waiting: usize,
        into: &mut Vec<(ManagerId, Ask)>,
    ) {
        let Some(open) = self.open.get_mut(&hash) else { return };
        let rich = core::mem::take(&mut open.rich);
        let meant =
            |pred: &&Pred| pred.tier == tier && (rich.is_empty() || rich.contains(&pred.manager));
        let asked: Vec<Pred> = open.preds.as_slice().iter().filter(meant).copied().collect();
        let each = waiting.div_ceil(asked.len().max(1));
        let max = u32::try_from(each).unwrap_or(u32::MAX).clamp(1, HANDOFF_ENVS_MAX);
        open.tier = tier;
        if !open.awaited.is_empty() {
            // Silent for a whole round.
            open.quiet = EMPTY_QUIET;
            open.awaited.clear();
        }
        for pred in &asked {
            open.awaited.push(pred.manager);
            into.push((pred.manager, Ask { hash, by: open.by, max, askers: pred.askers }));
        }
        self.ends.remove(&(open.round_ends, hash));
        open.round_ends = now + open.round(now);
        self.ends.insert((open.round_ends, hash));
    }

    fn be_quiet(&mut self, hash: KeyHash, quiet: Quiet) {
        while self.quiet.len() >= QUIET_KEYS_MAX
            && let Some((until, oldest)) = self.quiet_ends.first().copied()
        {
            self.forget_quiet(oldest, until);
        }
        self.quiet.insert(hash, quiet);
        self.quiet_ends.insert((quiet.until, hash));
    }

    fn forget_quiet(&mut self, hash: KeyHash, until: Now) {
        self.quiet.remove(&hash);
        self.quiet_ends.remove(&(until, hash));
    }
}

impl Open {
    /// What is left of the budget, in equal parts for this tier and the later ones,
    /// so that a silent tier leaves time for the next.
    fn round(&self, now: Now) -> Span {
        let left = (self.since + HANDOFF_BUDGET).since(now).as_micros();
        let mut tiers = 0;
        let mut last = None;
        for pred in self.preds.as_slice().iter().filter(|pred| pred.tier >= self.tier) {
            if last.replace(pred.tier) != Some(pred.tier) {
                tiers += 1;
            }
        }
        Span(left / tiers.max(1))
    }
}
