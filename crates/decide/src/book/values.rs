//! Values whose environment another manager has (A8): after a change of the ring the
//! first call of a value asks whoever had the value before, and its environment comes
//! over with all of its values. An environment of many values has one owner at a time,
//! and goes to whoever asks; who gave it away remembers to whom.
//!
//! ```text
//!   owner                         whoever had the value            worker
//!     │ AskValue ──────────────────▶│ idle: Transfer ────────────────▶│
//!     │◀─────── Offer{env, values} ─│◀───────────────── Transferred ──│
//!     │◀─────── ValueAt ────────────│ nowhere, busy, or with another
//! ```
//! Invariant: a call waits here for a bounded time and number of questions; then it goes
//! the way of a value's first call.

use alloc::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    vec::Vec,
};

use model::{
    AffinityAsk, ManagerId, Now,
    handoff::{ValuePlace, Word},
};

use super::{Acquire, Book, Output, Outputs, Ticket, envs::State};
use crate::{
    affinity::{Home, Key},
    handoff::{EMPTY_QUIET, HANDOFF_BUDGET},
};

/// Managers that are asked for one value, one after the other.
const HOPS_MAX: usize = 4;
/// Values that are being asked for at once; calls of further ones are first calls.
const OPEN_MAX: usize = 4_096;
/// Values remembered as given away, and as asked for in vain: the oldest is forgotten.
const REMEMBERED_MAX: usize = 65_536;

#[derive(Debug)]
struct Open {
    due: Now,
    asked: Vec<ManagerId>,
    untried: VecDeque<ManagerId>,
    calls: Vec<(Acquire, Now)>,
}

#[derive(Debug, Default)]
pub(super) struct Values {
    open: BTreeMap<Key, Open>,
    due: BTreeSet<(Now, Key)>,
    given: Remembered<ManagerId>,
    in_vain: Remembered<Now>,
}

/// A bounded memory; what was put in first is forgotten first.
#[derive(Debug)]
struct Remembered<T> {
    of: BTreeMap<Key, T>,
    line: VecDeque<Key>,
}

impl<T> Default for Remembered<T> {
    fn default() -> Remembered<T> {
        Remembered { of: BTreeMap::new(), line: VecDeque::new() }
    }
}

impl<T> Remembered<T> {
    fn put(&mut self, key: Key, what: T) {
        if self.of.insert(key, what).is_none() {
            self.line.push_back(key);
        }
        if self.line.len() > REMEMBERED_MAX
            && let Some(oldest) = self.line.pop_front()
        {
            self.of.remove(&oldest);
        }
    }
}

impl Values {
    pub(super) fn due(&self) -> Option<Now> {
        self.due.first().map(|(at, _)| *at)
    }

    /// Calls that wait for a value's environment.
    pub(super) fn waiting(&self) -> usize {
        self.open.values().map(|open| open.calls.len()).sum()
    }

    /// The value's environment went to another manager, or came from one.
    pub(super) fn moved(&mut self, key: Key, to: Option<ManagerId>) {
        match to {
            Some(to) => self.given.put(key, to),
            None => {
                self.given.of.remove(&key);
                // Its place in line stays; a later one is found there as well.
            }
        }
    }

    fn end(&mut self, key: &Key) -> Option<Open> {
        let open = self.open.remove(key)?;
        self.due.remove(&(open.due, *key));
        Some(open)
    }
}

impl Book {
    /// Whether a call whose value has no home here waits for whoever had it.
    pub(super) fn seeks_elsewhere(
        &mut self,
        now: Now,
        since: Now,
        ask: &Acquire,
        asked: &AffinityAsk,
        out: &mut Outputs,
    ) -> bool {
        let key = (ask.hash, asked.value);
        if let Some(open) = self.values.open.get_mut(&key) {
            open.calls.push((ask.clone(), since));
            return true;
        }
        let given = self.values.given.of.get(&key).copied();
        let in_vain = self.values.in_vain.of.get(&key).is_some_and(|until| *until > now);
        let preds = ask.routed.preds.as_slice().iter().map(|pred| pred.manager);
        let untried: VecDeque<ManagerId> = given.into_iter().chain(preds).collect();
        if untried.is_empty() || in_vain || self.values.open.len() >= OPEN_MAX {
            return false;
        }
        let due = now + HANDOFF_BUDGET;
        let calls = Vec::from([(ask.clone(), since)]);
        self.values.open.insert(key, Open { due, asked: Vec::new(), untried, calls });
        self.values.due.insert((due, key));
        self.ask_next_for(now, key, out);
        true
    }

    fn ask_next_for(&mut self, now: Now, key: Key, out: &mut Outputs) {
        let Some(open) = self.values.open.get_mut(&key) else { return };
        while let Some(to) = open.untried.pop_front() {
            if open.asked.contains(&to) || open.asked.len() >= HOPS_MAX {
                continue;
            }
            open.asked.push(to);
            let (hash, value) = key;
            return out.push(Output::Tell { to, word: Word::AskValue { hash, value } });
        }
        self.sought_in_vain(now, key, out);
    }

    /// The other side: gives the environment of a value away, or says where it is.
    pub(super) fn give_value(&mut self, now: Now, asker: ManagerId, key: Key, out: &mut Outputs) {
        let (hash, value) = key;
        let at = match self.affinity.home(&key) {
            None => match self.values.given.of.get(&key) {
                Some(to) => ValuePlace::With(*to),
                None => ValuePlace::Nowhere,
            },
            Some(Home::Sought(_)) => ValuePlace::Busy,
            Some(Home::At(env)) => {
                let seat = self.envs.seat_of(env);
                match seat.and_then(|seat| Some((seat, self.envs.get(seat)?.state))) {
                    Some((seat, State::Idle { .. })) if self.gives.admits(now, asker) => {
                        // What the worker says of it is the answer.
                        return self.send_over(now, seat, asker, out);
                    }
                    Some((_, State::Moving { to })) if to == asker => return,
                    Some((_, State::Moving { to })) => ValuePlace::With(to),
                    Some((_, State::Leaving)) | None => ValuePlace::Nowhere,
                    Some((_, State::Idle { .. } | State::Between)) => ValuePlace::Busy,
                    Some((_, State::Granted { .. } | State::Running { .. })) => ValuePlace::Busy,
                }
            }
        };
        out.push(Output::Tell { to: asker, word: Word::ValueAt { hash, value, at } });
    }

    pub(super) fn value_at(
        &mut self,
        now: Now,
        from: ManagerId,
        key: Key,
        at: ValuePlace,
        out: &mut Outputs,
    ) {
        let Some(open) = self.values.open.get_mut(&key) else { return };
        if open.asked.last() != Some(&from) {
            return;
        }
        match at {
            ValuePlace::Nowhere => self.ask_next_for(now, key, out),
            ValuePlace::With(other) => {
                open.untried.push_front(other);
                self.ask_next_for(now, key, out);
            }
            // It keeps its environment; these calls take another one, and are told so.
            ValuePlace::Busy => {
                let calls = self.values.end(&key).map_or(Vec::new(), |open| open.calls);
                for (ask, _) in calls {
                    self.overflow(now, ask, key, out);
                }
            }
        }
    }

    /// An environment came over, and the value with it.
    pub(super) fn value_came(&mut self, now: Now, key: Key, out: &mut Outputs) {
        self.values.moved(key, None);
        if let Some(open) = self.values.end(&key) {
            self.resume(now, open, out);
        }
    }

    pub(super) fn values_due(&mut self, now: Now, out: &mut Outputs) {
        while let Some((_, key)) = self.values.due.first().copied().filter(|(at, _)| *at <= now) {
            self.sought_in_vain(now, key, out);
        }
    }

    /// The caller of a call that waits here went away.
    pub(super) fn cancel_seeking(&mut self, ticket: Ticket) -> bool {
        for open in self.values.open.values_mut() {
            if let Some(at) = open.calls.iter().position(|(ask, _)| ask.ticket == ticket) {
                open.calls.remove(at);
                return true;
            }
        }
        false
    }

    fn sought_in_vain(&mut self, now: Now, key: Key, out: &mut Outputs) {
        self.values.moved(key, None);
        self.values.in_vain.put(key, now + EMPTY_QUIET);
        if let Some(open) = self.values.end(&key) {
            self.resume(now, open, out);
        }
    }

    fn resume(&mut self, now: Now, open: Open, out: &mut Outputs) {
        for (ask, since) in open.calls {
            match ask.affinity {
                Some(asked) => self.acquire_by_value(now, since, ask, asked, out),
                None => self.acquire_any(now, ask, out),
            }
        }
    }
}
