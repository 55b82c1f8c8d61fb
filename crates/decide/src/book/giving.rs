//! The predecessor's side of a handoff: idle environments go to the key's new owner
//! once their worker has said so, busy ones when they are idle and nobody here waits
//! for them. Invariant: an entry that is `Moving` is granted to nobody, and leaves
//! that state by the worker's word only.

use alloc::{sync::Arc, vec::Vec};

use model::{
    EnvId, Epoch, Hosted, KeptValue, KeyHash, ManagerId, Now,
    handoff::{Ask, Given, Moved, Word},
};

use super::{
    Book,
    envs::{Seat, State},
    message::{Output, Outputs},
};
use crate::{affinity::Record, fact::Fact};

impl Book {
    pub(super) fn give(&mut self, now: Now, asker: ManagerId, ask: Ask, out: &mut Outputs) {
        let hash = ask.hash;
        let answer = |given| Output::Tell { to: asker, word: Word::Answer { hash, given } };
        if !self.gives.admits(now, asker) {
            return out.push(answer(Given::Busy));
        }
        if self.gives.is_open(hash, asker) {
            return out.push(answer(Given::Empty));
        }
        let Some(pool) = self.pools.get_mut(hash).filter(|pool| pool.by <= ask.by) else {
            return out.push(answer(Given::Empty));
        };
        let (idle, busy) = (pool.shelf.len(), pool.busy);
        let share = pool.heirs.get_or_insert_default().share(asker, &ask, idle, busy);
        if share == 0 {
            return out.push(answer(Given::Empty));
        }
        self.gives.begin(now, hash, asker, share, idle > share);
        for _ in 0..share {
            let Some(seat) = self.pools.get(hash).and_then(|pool| pool.shelf.first()) else {
                break;
            };
            self.send_over(now, seat, asker, out);
        }
    }

    /// Asks the worker to make somebody else the owner.
    pub(super) fn send_over(&mut self, now: Now, seat: Seat, to: ManagerId, out: &mut Outputs) {
        let Some(entry) = self.envs.get(seat) else { return };
        let (env, worker, epoch) = (entry.env, entry.worker, entry.epoch);
        let Some(pool) = self.pools.get_mut(entry.key) else { return };
        self.envs.depart(seat, &mut pool.shelf, to);
        pool.moving += 1;
        let hash = self.envs.get(seat).map(|entry| entry.key);
        self.targets.moves(now, self.config.drain_after, hash, -1);
        out.push(Output::Transfer { env, worker, epoch, to });
    }

    /// The worker counts from `epoch` now, for another manager: whatever this book
    /// thought, the environment is not its own any more.
    pub(super) fn transferred(
        &mut self,
        now: Now,
        env: EnvId,
        epoch: Epoch,
        to: ManagerId,
        out: &mut Outputs,
    ) {
        let seat = self.envs.seat_of(env);
        let Some((seat, entry)) = seat.and_then(|seat| Some((seat, self.envs.get(seat)?))) else {
            return out.push(Output::Fact(Fact::Stale { env: Some(env), lease: None }));
        };
        let (hash, state) = (entry.key, entry.state);
        if self.departed.has_left(env, epoch) {
            // Told once more, and it has come back since.
            return out.push(Output::Fact(Fact::Stale { env: Some(env), lease: None }));
        }
        let Some(key) = self.pools.get(hash).map(|pool| Arc::clone(&pool.key)) else { return };
        if state == (State::Moving { to }) {
            // Its question is settled below, with the record.
            self.stop_moving(seat, hash);
        } else {
            self.stays(now, seat, out);
            self.targets.moves(now, self.config.drain_after, Some(hash), -1);
        }
        let values = self.values_of(now, hash, env, to);
        self.remove(now, seat, out);
        self.departed.left(env, epoch);
        out.push(Output::Fact(Fact::HandedOver { env, key: hash, to }));
        let moved = Moved { hosted: Hosted { env, key, epoch, busy: false }, values };
        if state == (State::Moving { to }) {
            let (given, late) = self.gives.settled(hash, to, Some(moved));
            self.answer(hash, to, given, out);
            out.extend(late.map(|moved| Output::Tell { to, word: Word::Offer(moved) }));
        } else {
            out.push(Output::Tell { to, word: Word::Offer(moved) });
        }
        self.feed(now, hash, out);
        self.place_waiting(now, out);
        self.pools.close_if_empty(hash);
    }

    /// The values of an environment that goes away with them.
    fn values_of(&mut self, now: Now, hash: KeyHash, env: EnvId, to: ManagerId) -> Vec<KeptValue> {
        let records = self.affinity.records(now, env);
        let kept = |record: Record| {
            let Record { key: (_, value), ttl, left, seq, .. } = record;
            KeptValue { value, ttl, left, seq }
        };
        let values: Vec<KeptValue> = records.into_iter().map(kept).collect();
        for kept in &values {
            self.values.moved((hash, kept.value), Some(to));
        }
        values
    }

    /// The worker refused: its epoch is higher, or the environment is not free. What
    /// else it is, it says in other messages.
    pub(super) fn transfer_refused(
        &mut self,
        now: Now,
        env: EnvId,
        epoch: Epoch,
        out: &mut Outputs,
    ) {
        let stale = Output::Fact(Fact::Stale { env: Some(env), lease: None });
        let Some(seat) = self.envs.seat_of(env) else { return out.push(stale) };
        let Some(entry) = self.envs.get_mut(seat) else { return };
        entry.epoch = entry.epoch.max(epoch);
        if entry.state.is_moving() {
            self.stays(now, seat, out);
            self.settle(now, seat, false, out);
        } else {
            out.push(stale);
        }
    }

    /// An entry that was to move is this book's own still: it is in no list, and no
    /// question waits for it.
    pub(super) fn stays(&mut self, now: Now, seat: Seat, out: &mut Outputs) {
        let Some(entry) = self.envs.get(seat) else { return };
        let State::Moving { to } = entry.state else { return };
        let hash = entry.key;
        self.stop_moving(seat, hash);
        self.targets.moves(now, self.config.drain_after, Some(hash), 1);
        let (given, _) = self.gives.settled(hash, to, None);
        self.answer(hash, to, given, out);
    }

    /// A question has waited long enough for workers.
    pub(super) fn give_due(&mut self, hash: KeyHash, asker: ManagerId, out: &mut Outputs) {
        let given = self.gives.end(hash, asker);
        self.answer(hash, asker, given, out);
    }

    fn answer(&self, hash: KeyHash, to: ManagerId, given: Option<Given>, out: &mut Outputs) {
        let word = given.map(|given| Word::Answer { hash, given });
        out.extend(word.map(|word| Output::Tell { to, word }));
    }

    fn stop_moving(&mut self, seat: Seat, hash: KeyHash) {
        let Some(pool) = self.pools.get_mut(hash) else { return };
        self.envs.between(seat, &mut pool.shelf);
        pool.moving -= 1;
    }
}
