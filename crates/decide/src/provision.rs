//! The provisioning controller as a machine: what is wanted, the ring and what
//! managers report come in; targets for managers, the records that frontends route
//! by, and the status that users see go out. Authority on targets, through the
//! metadata store; never on what exists.
//!
//! ```text
//!   Want, Ring ──▶ plan: shares over the members of the arc ──▶ epoch + 1
//!                  Record (stored first) ──▶ SetTarget to each changed member
//!   Report     ──▶ Status, Charge; a lower epoch is told again
//!   ring changed ─▶ shares grow only after HANDOFF_WAIT: handoff may bring them
//!   limit 0 and nothing left ──▶ Forget; a tombstone until then
//! ```
//! The parts: `set` one version's set, `scaling` the limit that auto scaling wants.

pub mod scaling;
mod set;

use alloc::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    vec::Vec,
};

use model::{
    AccountId, Epoch, FunctionName, KeyHash, ManagerId, Now, PoolKey, ProvisionedCharge,
    TargetReport, VersionId,
};
pub use model::{
    ProvisionedCause as Cause, ProvisionedState as State, ProvisionedStatus as Status,
};

use crate::{book::Target, ring::Ring, route::SetRecord};
use set::Set;
pub use set::Sums;

/// What is wanted of one version.
#[derive(Clone, Debug)]
pub struct Want {
    /// Of class `Provisioned`.
    pub key: Arc<PoolKey>,
    pub hash: KeyHash,
    /// 0: deleted, and what is there drains.
    pub limit: u32,
    /// The last record that was stored for the set, if any.
    pub stored: Option<SetRecord>,
    /// Above every epoch of the set's earlier lives.
    pub epoch_min: Epoch,
}

#[derive(Clone, Debug)]
pub enum Input {
    /// At the start for everything stored, tombstones too; then for every change.
    Want(Want),
    Ring(Arc<Ring>),
    Report {
        manager: ManagerId,
        report: TargetReport,
    },
    /// It does not answer: what it held does not count, and it is told again.
    ManagerLost(ManagerId),
    /// The instant of `deadline()` has come, or may have.
    Deadline,
}

#[derive(Clone, Debug)]
pub enum Output {
    /// To be stored before what follows is sent: epochs survive a restart (I6).
    Record {
        hash: KeyHash,
        record: SetRecord,
    },
    SetTarget {
        manager: ManagerId,
        target: Target,
    },
    Status {
        hash: KeyHash,
        status: Status,
    },
    /// What a version's set takes of the account's concurrency, for
    /// `admit::Counter::provision`, which counts nothing twice inside a reservation.
    Charge {
        account: AccountId,
        function: FunctionName,
        version: VersionId,
        charge: ProvisionedCharge,
    },
    /// Nothing wanted and nothing left: its record may go.
    Forget {
        hash: KeyHash,
    },
}

#[derive(Debug)]
pub struct Controller {
    ring: Arc<Ring>,
    sets: BTreeMap<KeyHash, Set>,
    due: BTreeSet<(Now, KeyHash)>,
    /// What each set was last told to be charged.
    charges: BTreeMap<KeyHash, ProvisionedCharge>,
}

impl Controller {
    pub fn new(ring: Arc<Ring>) -> Controller {
        Controller { ring, sets: BTreeMap::new(), due: BTreeSet::new(), charges: BTreeMap::new() }
    }

    pub fn handle(&mut self, now: Now, input: Input, out: &mut Vec<Output>) {
        match input {
            Input::Want(want) => self.want(now, want, out),
            Input::Ring(ring) => self.ring_changed(now, ring, out),
            Input::Report { manager, report } => {
                self.with(now, report.hash, out, |set, _| set.heard(manager, report));
            }
            Input::ManagerLost(manager) => self.manager_lost(now, manager, out),
            Input::Deadline => self.pass(now, out),
        }
    }

    pub fn deadline(&self) -> Option<Now> {
        self.due.first().map(|(at, _)| *at)
    }

    /// What is known of a set; none where nothing is wanted or left.
    pub fn status(&self, hash: KeyHash) -> Option<Status> {
        self.sets.get(&hash).map(Set::status)
    }

    /// Every set that is wanted or drains, with its sums over all managers.
    pub fn sets(&self) -> impl Iterator<Item = (&PoolKey, Sums)> {
        self.sets.values().map(|set| (set.key(), set.sums()))
    }

    fn want(&mut self, now: Now, want: Want, out: &mut Vec<Output>) {
        let Want { key, hash, limit, stored, epoch_min } = want;
        if !self.sets.contains_key(&hash) {
            self.sets.insert(hash, Set::new(key, hash, stored, &self.ring));
        }
        let epoch = stored.map_or(epoch_min, |record| record.epoch.max(epoch_min));
        self.with(now, hash, out, |set, _| set.want(limit, epoch));
    }

    fn ring_changed(&mut self, now: Now, ring: Arc<Ring>, out: &mut Vec<Output>) {
        if ring.version() <= self.ring.version() {
            return;
        }
        self.ring = ring;
        let hashes: Vec<KeyHash> = self.sets.keys().copied().collect();
        for hash in hashes {
            self.with(now, hash, out, |set, _| set.ring_changed(now));
        }
    }

    fn manager_lost(&mut self, now: Now, manager: ManagerId, out: &mut Vec<Output>) {
        let there = |(_, set): &(&KeyHash, &Set)| set.knows(manager);
        let hashes: Vec<KeyHash> = self.sets.iter().filter(there).map(|(hash, _)| *hash).collect();
        for hash in hashes {
            self.with(now, hash, out, |set, ring| set.lost(manager, ring));
        }
    }

    fn pass(&mut self, now: Now, out: &mut Vec<Output>) {
        while let Some((at, hash)) = self.due.first().copied()
            && at <= now
        {
            self.with(now, hash, out, |_, _| {});
        }
    }

    /// One change of one set, and everything that follows from it.
    fn with(
        &mut self,
        now: Now,
        hash: KeyHash,
        out: &mut Vec<Output>,
        change: impl FnOnce(&mut Set, &Ring),
    ) {
        let Some(set) = self.sets.get_mut(&hash) else { return };
        if let Some(due) = set.due {
            self.due.remove(&(due, hash));
        }
        change(set, &self.ring);
        set.act(now, &self.ring, out);
        let over = set.is_over();
        let (charge, due) =
            if over { (ProvisionedCharge::default(), None) } else { (set.charge(), set.due) };
        let PoolKey { account, function, version, .. } = set.key();
        let version = (*account, function.clone(), *version);
        self.due.extend(due.map(|due| (due, hash)));
        self.charge(version, hash, charge, out);
        if over {
            self.sets.remove(&hash);
            out.push(Output::Forget { hash });
        }
    }

    /// Told where it changed; a version has one set.
    fn charge(
        &mut self,
        version: (AccountId, FunctionName, VersionId),
        hash: KeyHash,
        charge: ProvisionedCharge,
        out: &mut Vec<Output>,
    ) {
        let nothing = charge == ProvisionedCharge::default();
        let before =
            if nothing { self.charges.remove(&hash) } else { self.charges.insert(hash, charge) };
        if before.unwrap_or_default() != charge {
            let (account, function, version) = version;
            out.push(Output::Charge { account, function, version, charge });
        }
    }
}
