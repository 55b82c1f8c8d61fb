//! Provisioned targets: what the provisioning controller asked this book to hold.
//! Invariant: an environment or a start of a provisioned key stands under a target,
//! and the epoch of a target only grows (I6).
//!
//! ```text
//!   SetTarget ──▶ fill: survivors first, then starts, so many in flight
//!   gone, failed ─▶ fill; the platform's failures wait a while, the user's init
//!                   is given up after some in a row
//!   each tick ──▶ report what changed; each drain period: the longest idle leave
//!                 that were not wanted within `drain_after` (`decide::drain`)
//!   share 0 and nothing left ──▶ a last report, forgotten
//! ```
//!
//! Calls of the set take the warm path of every other call and touch nothing here;
//! what they change is seen at the next tick.

use alloc::{
    collections::{BTreeMap, btree_map::Entry},
    sync::Arc,
    vec::Vec,
};
use core::ops::Bound;

use model::{
    Class, Effort, Epoch, KeyHash, Load, Now, PoolKey, Span, TargetReport, Trouble, limits,
};

use super::{
    Book,
    envs::State,
    message::{Output, Outputs, Target, Whose},
    starts::Start,
};
use crate::{
    drain::{self, Wanted},
    fact::{Fact, RetireWhy},
};

#[derive(Debug)]
struct Held {
    key: Arc<PoolKey>,
    wanted: Wanted,
    epoch: Epoch,
    /// Starts that failed since the epoch began, and user inits of them in a row.
    failed: u32,
    init_failures: u32,
    effort: Effort,
    /// Nothing is started before; doubles while the platform fails.
    retry_at: Now,
    retry_after: Span,
    /// The last report and when it was made.
    told: Option<(Now, TargetReport)>,
    /// Somebody asked: a report is due though nothing changed.
    asked: bool,
}

impl Held {
    fn new(key: &Arc<PoolKey>, wanted: Wanted, epoch: Epoch) -> Held {
        Held {
            key: Arc::clone(key),
            wanted,
            epoch,
            failed: 0,
            init_failures: 0,
            effort: Effort::Going,
            retry_at: Now(0),
            retry_after: limits::TARGET_RETRY_MIN,
            told: None,
            asked: true,
        }
    }

    fn set(&mut self, now: Now, share: u32, epoch: Epoch, drain_after: Span) {
        self.wanted.set(now, share, drain_after);
        self.epoch = epoch;
        (self.failed, self.init_failures) = (0, 0);
        self.hopeful();
    }

    fn hopeful(&mut self) {
        self.effort = Effort::Going;
        self.init_failures = 0;
        (self.retry_at, self.retry_after) = (Now(0), limits::TARGET_RETRY_MIN);
    }

    fn start_failed(&mut self, now: Now, why: Trouble) {
        self.failed += 1;
        self.init_failures = if why == Trouble::Init { self.init_failures + 1 } else { 0 };
        self.effort = match self.init_failures {
            0..limits::PROVISIONED_INIT_FAILURES_MAX => Effort::Retrying(why),
            limits::PROVISIONED_INIT_FAILURES_MAX.. => Effort::GivenUp,
        };
        // Starts that were in flight together and fail together are one failure.
        if now >= self.retry_at {
            self.retry_at = now + self.retry_after;
            let doubled = Span(self.retry_after.as_micros().saturating_mul(2));
            self.retry_after = doubled.min(limits::TARGET_RETRY_MAX);
        }
    }

    /// Starts that may be sent now.
    fn lacks(&self, now: Now, load: Load, starts_max: u32) -> u32 {
        if self.effort == Effort::GivenUp || now < self.retry_at {
            return 0;
        }
        let lacking = self.wanted.share().saturating_sub(counted(load));
        lacking.min(starts_max.saturating_sub(load.starting))
    }

    fn report(&self, hash: KeyHash, load: Load) -> TargetReport {
        TargetReport {
            hash,
            epoch: self.epoch,
            share: self.wanted.share(),
            envs: load.idle + load.busy,
            busy: load.busy,
            idle: load.idle,
            starting: load.starting,
            failed: self.failed,
            effort: self.effort,
        }
    }
}

/// What counts towards a share.
fn counted(load: Load) -> u32 {
    load.idle + load.busy + load.starting
}

#[derive(Debug, Default)]
pub(super) struct Targets {
    of: BTreeMap<KeyHash, Held>,
    /// Changed by the input that is being handled, in other ways than by calls.
    touched: Vec<KeyHash>,
    tick_at: Now,
    drain_at: Now,
}

impl Targets {
    pub(super) fn tick_at(&self) -> Option<Now> {
        (!self.of.is_empty()).then_some(self.tick_at)
    }

    pub(super) fn touch(&mut self, hash: KeyHash) {
        if self.of.contains_key(&hash) && self.touched.last() != Some(&hash) {
            self.touched.push(hash);
        }
    }

    /// Whether neither time nor need of room takes an environment of the key.
    pub(super) fn keeps(&self, hash: KeyHash, key: &PoolKey) -> bool {
        key.class == Class::Provisioned || self.of.contains_key(&hash)
    }

    /// An environment or a start of the key came from elsewhere.
    pub(super) fn found(&mut self, now: Now, hash: KeyHash, key: &Arc<PoolKey>) {
        if key.class == Class::Provisioned && !self.of.contains_key(&hash) {
            self.add(now, hash, Held::new(key, Wanted::found(now), Epoch(0)));
        }
        self.touch(hash);
    }

    pub(super) fn started(&mut self, hash: KeyHash) {
        if let Some(target) = self.of.get_mut(&hash) {
            target.hopeful();
            self.touch(hash);
        }
    }

    pub(super) fn start_failed(&mut self, now: Now, hash: KeyHash, why: Trouble) {
        if let Some(target) = self.of.get_mut(&hash) {
            target.start_failed(now, why);
            self.touch(hash);
        }
    }

    /// An environment of the key goes to another manager, or stays after all: what
    /// was asked for goes with it, or it would be made again here.
    pub(super) fn moves(
        &mut self,
        now: Now,
        drain_after: Span,
        hash: Option<KeyHash>,
        change: i32,
    ) {
        if let Some(target) = hash.and_then(|hash| self.of.get_mut(&hash)) {
            let share = target.wanted.share().saturating_add_signed(change);
            target.wanted.set(now, share, drain_after);
        }
    }

    /// Its function or version goes away: nothing is made for it any more, whatever
    /// the controller still believes.
    pub(super) fn withdraw(&mut self, now: Now, drain_after: Span, whose: &Whose) {
        for (hash, target) in &mut self.of {
            if whose.means(&target.key) && whose.keep != Some(*hash) {
                target.wanted.set(now, 0, drain_after);
                self.touched.push(*hash);
            }
        }
    }

    fn add(&mut self, now: Now, hash: KeyHash, target: Held) {
        if self.of.is_empty() {
            self.tick_at = now + limits::TARGET_REPORT_PERIOD;
            self.drain_at = now + limits::DRAIN_PERIOD;
        }
        self.of.insert(hash, target);
    }

    fn next_after(&self, hash: Option<KeyHash>) -> Option<KeyHash> {
        let from = hash.map_or(Bound::Unbounded, Bound::Excluded);
        self.of.range((from, Bound::Unbounded)).next().map(|(hash, _)| *hash)
    }
}

impl Book {
    pub(super) fn set_target(&mut self, now: Now, target: Target, out: &mut Outputs) {
        let Target { key, hash, share, epoch } = target;
        // A tenant's calls make what it needs; only what is nobody's yet is stock.
        if key.class != Class::Provisioned && key.tenant.is_some() {
            return out.push(Output::Fact(Fact::Stale { env: None, lease: None }));
        }
        let drain_after = self.config.drain_after;
        let known = self.targets.of.contains_key(&hash);
        if !known {
            self.targets.add(now, hash, Held::new(&key, Wanted::new(0), Epoch(0)));
        }
        let Entry::Occupied(mut entry) = self.targets.of.entry(hash) else { return };
        let held = entry.get_mut();
        let in_force = !known || epoch > held.epoch;
        held.asked = true;
        if in_force {
            held.set(now, share, epoch, drain_after);
        }
        self.targets.touch(hash);
        out.push(Output::Fact(Fact::TargetSet { key: hash, share, epoch, in_force }));
    }

    /// The last thing in every step: what the input changed is made good.
    pub(super) fn pursue_touched(&mut self, now: Now, out: &mut Outputs) {
        while let Some(hash) = self.targets.touched.pop() {
            self.pursue(now, hash, out);
        }
    }

    pub(super) fn tick_targets(&mut self, now: Now, out: &mut Outputs) {
        self.targets.tick_at = now + limits::TARGET_REPORT_PERIOD;
        let drain = now >= self.targets.drain_at;
        if drain {
            self.targets.drain_at = now + limits::DRAIN_PERIOD;
        }
        let mut at = None;
        while let Some(hash) = self.targets.next_after(at) {
            if drain {
                self.retire_surplus(now, hash, out);
            }
            self.pursue(now, hash, out);
            at = Some(hash);
        }
    }

    fn pursue(&mut self, now: Now, hash: KeyHash, out: &mut Outputs) {
        self.fill(now, hash, out);
        self.drop_surplus_starts(hash, out);
        self.report(now, hash, out);
    }

    fn fill(&mut self, now: Now, hash: KeyHash, out: &mut Outputs) {
        let starts_max = self.config.provisioned_starts;
        let load = self.load(hash);
        let Some(target) = self.targets.of.get(&hash) else { return };
        let key = Arc::clone(&target.key);
        for _ in 0..target.lacks(now, load, starts_max) {
            self.pools.open(hash, &key);
            let start = Start {
                hash,
                key: Arc::clone(&key),
                worker: None,
                since: now,
                attempt: 1,
                ticket: None,
                token: None,
                unwanted: false,
            };
            if self.place_start(now, start, None, out).is_err() {
                self.pools.close_if_empty(hash);
                if let Some(target) = self.targets.of.get_mut(&hash) {
                    target.start_failed(now, Trouble::NoRoom);
                }
                return;
            }
        }
    }

    /// Starts that still await room go when less is wanted.
    fn drop_surplus_starts(&mut self, hash: KeyHash, out: &mut Outputs) {
        let Some(share) = self.targets.of.get(&hash).map(|held| held.wanted.share()) else {
            return;
        };
        while counted(self.load(hash)) > share
            && let Some(id) = self.starts.unplaced_of(hash)
            && let Some(start) = self.starts.remove(id)
        {
            if let Some(pool) = self.pools.get_mut(hash) {
                pool.start_left(start.since);
            }
            self.tenants.left(hash, &start.key);
            out.push(Output::Fact(Fact::StartDropped { start: id, key: hash }));
        }
        self.pools.close_if_empty(hash);
    }

    /// The longest idle first, while there is a surplus; never a busy one.
    fn retire_surplus(&mut self, now: Now, hash: KeyHash, out: &mut Outputs) {
        let drain_after = self.config.drain_after;
        let Some(target) = self.targets.of.get(&hash) else { return };
        let kept = target.wanted.kept(now, drain_after);
        while let Some(pool) = self.pools.get(hash)
            && pool.shelf.len() + pool.busy > kept
            && let Some(seat) = pool.shelf.last()
            && let Some(State::Idle { since }) = self.envs.get(seat).map(|entry| entry.state)
            && drain::may_leave(now, since, drain_after)
        {
            self.retire(seat, RetireWhy::Surplus, now.since(since), out);
        }
    }

    fn report(&mut self, now: Now, hash: KeyHash, out: &mut Outputs) {
        let load = self.load(hash);
        let empty = self.pools.get(hash).is_none();
        let Entry::Occupied(mut entry) = self.targets.of.entry(hash) else { return };
        let target = entry.get_mut();
        let report = target.report(hash, load);
        let (early, new) = match &target.told {
            Some((at, told)) => (now.since(*at) < limits::TARGET_REPORT_PERIOD, *told != report),
            None => (false, true),
        };
        if (new || target.asked) && !early {
            target.told = Some((now, report));
            target.asked = false;
            out.push(Output::Report(report));
        }
        let told = target.told.is_some_and(|(_, told)| told == report) && !target.asked;
        if told && empty && report.share == 0 {
            let epoch = entry.remove().epoch;
            out.push(Output::Fact(Fact::TargetForgotten { key: hash, epoch }));
        }
    }
}
