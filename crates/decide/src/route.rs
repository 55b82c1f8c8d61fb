//! Which set serves a call: the version's provisioned set or the on-demand arc.
//! Counts only steer here (I7): a wrong guess costs a probe, never an error, since
//! a call that finds no provisioned environment goes on to the on-demand arc.

use alloc::{collections::BTreeMap, vec::Vec};

use model::{Epoch, Load, ManagerId, RingVersion};

use crate::{arcs::RingArc, ring::Ring};

/// How full a provisioned set may be before calls above its limit leave it alone,
/// in percent. Below 100, as the count of busy ones is late.
pub const THETA_PERCENT: u32 = 90;

/// Where a version's provisioned set is, as the provisioning controller stored it.
/// A deleted set keeps its record until nothing of it is left (A2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SetRecord {
    pub epoch: Epoch,
    /// The ring version that the arcs are computed on.
    pub ring: RingVersion,
    pub limit: u32,
    /// Of the limit.
    pub arc: RingArc,
    /// Size of the arc of the largest limit that environments are left of.
    pub wide: u16,
}

/// What one frontend knows of a set: the record, and what managers said they have.
#[derive(Clone, Debug)]
pub struct SetView {
    record: SetRecord,
    loads: BTreeMap<ManagerId, Load>,
    theta_percent: u32,
}

impl SetView {
    pub fn new(record: SetRecord, theta_percent: u32) -> SetView {
        SetView { record, loads: BTreeMap::new(), theta_percent }
    }

    pub fn record(&self) -> SetRecord {
        self.record
    }

    /// A lower epoch is ignored (I6).
    pub fn learn(&mut self, record: SetRecord) {
        if record.epoch < self.record.epoch {
            return;
        }
        if record.ring != self.record.ring || record.wide < self.record.wide {
            // Managers that left the arc would be counted for ever.
            self.loads.clear();
        }
        self.record = record;
    }

    /// From an answer about the set's pool, or from a manager's push.
    pub fn heard(&mut self, manager: ManagerId, load: Load) {
        self.loads.insert(manager, load);
    }

    /// A call of this frontend ended there.
    pub fn freed(&mut self, manager: ManagerId) {
        if let Some(load) = self.loads.get_mut(&manager)
            && load.busy > 0
        {
            (load.busy, load.idle) = (load.busy - 1, load.idle + 1);
        }
    }

    /// Who may have environments beyond the limit's arc. Those that seem to have idle
    /// ones go first, each group in the order of the arc: what drains is used from its
    /// front, so that its end is idle for long enough to leave.
    pub fn surplus(&self, ring: &Ring) -> Vec<ManagerId> {
        let SetRecord { arc, wide, .. } = self.record;
        let mut members = Vec::new();
        ring.members(arc.start, wide, &mut members);
        members.drain(..usize::from(arc.size).min(members.len()));
        let idle = |manager: &ManagerId| self.loads.get(manager).map_or(1, |load| load.idle);
        members.sort_by_key(|manager| idle(manager) == 0);
        members
    }

    pub fn set(&self) -> ProvisionedSet {
        let SetRecord { arc, limit, wide, .. } = self.record;
        let envs: u32 = self.loads.values().map(|load| load.idle + load.busy).sum();
        let busy = self.loads.values().map(|load| load.busy).sum();
        // Of members that said nothing yet the best is taken.
        let unknown = self.loads.len() < usize::from(arc.size);
        let environments = if unknown { envs.max(limit) } else { envs };
        let theta_percent = self.theta_percent;
        ProvisionedSet { arc, wide, limit, environments, busy, theta_percent }
    }
}

/// What is known of a version's provisioned set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProvisionedSet {
    pub arc: RingArc,
    /// Size of the arc in which environments may be found; larger while it drains.
    pub wide: u16,
    /// What the user pays for now.
    pub limit: u32,
    /// Environments that exist; more than `limit` while the set drains (A2).
    pub environments: u32,
    pub busy: u32,
    pub theta_percent: u32,
}

impl ProvisionedSet {
    /// Whether a call with `in_version` calls in flight, itself included, is asked
    /// of the set first.
    pub fn takes(&self, in_version: u32) -> bool {
        if in_version <= self.limit {
            return true;
        }
        // Of what managers said the busy moments are remembered longest; more than the
        // other calls of the version cannot be busy.
        let busy = self.busy.min(in_version - 1);
        // While draining, what is above the limit is on-demand capacity already.
        let theta = if self.environments > self.limit { 100 } else { self.theta_percent };
        let below = u64::from(busy) * 100 < u64::from(self.environments) * u64::from(theta);
        self.environments > busy && below
    }
}

/// The arcs to probe, in order; only the last with anything but `Existing`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    pub provisioned: Option<RingArc>,
    /// While the set drains: the wider arc in which its surplus is. Asked after the
    /// first, so that calls within the limit leave the surplus idle.
    pub surplus: Option<RingArc>,
    pub on_demand: RingArc,
}

/// `in_version`: calls of the version in flight, from the counter, this one included.
pub fn plan(in_version: u32, set: Option<&ProvisionedSet>, on_demand: RingArc) -> Plan {
    let set = set.filter(|set| set.takes(in_version));
    let surplus = set.filter(|set| set.wide > set.arc.size);
    Plan {
        provisioned: set.map(|set| set.arc),
        surplus: surplus.map(|set| RingArc { size: set.wide, ..set.arc }),
        on_demand,
    }
}

/// What a call counts as, for metrics and bills.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Served {
    Provisioned,
    /// On-demand though its version has a provisioned limit.
    Spillover,
    OnDemand,
}

/// `by_set`: where an environment of the set ran it, the busy ones of the set with
/// it. What the set has beyond its limit is on-demand capacity.
pub fn served(limit: u32, by_set: Option<u32>) -> Served {
    match by_set {
        Some(busy) if busy <= limit => Served::Provisioned,
        Some(_) => Served::OnDemand,
        None if limit > 0 => Served::Spillover,
        None => Served::OnDemand,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ARC: RingArc = RingArc { start: 1, size: 2 };
    const ON_DEMAND: RingArc = RingArc { start: 2, size: 1 };

    fn set(limit: u32, environments: u32, busy: u32, theta_percent: u32) -> ProvisionedSet {
        let wide = if environments > limit { 5 } else { ARC.size };
        ProvisionedSet { arc: ARC, wide, limit, environments, busy, theta_percent }
    }

    #[test]
    fn a2_4_the_rule_and_its_edges() {
        let cases = [
            ("up to the limit", set(10, 10, 9, 90), 10, true),
            ("above it, busy", set(10, 10, 10, 90), 11, false),
            ("a2_4: at theta", set(10, 10, 8, 80), 11, false),
            ("a2_4: below theta", set(10, 10, 7, 80), 11, true),
            ("a2_5: spill-back", set(10, 10, 4, 90), 11, true),
            ("a2_1: draining, above 90 %", set(10, 100, 99, 90), 61, true),
            ("a2_3: deleted, one idle", set(0, 20, 19, 90), 20, true),
            ("draining and full", set(10, 20, 20, 90), 21, false),
            ("stale: all seemed busy", set(10, 100, 100, 90), 61, true),
            ("nothing left", set(0, 0, 0, 90), 1, false),
        ];
        for (name, set, n, provisioned) in cases {
            let surplus = RingArc { size: 5, ..ARC };
            let expected = Plan {
                provisioned: provisioned.then_some(ARC),
                surplus: (provisioned && set.environments > set.limit).then_some(surplus),
                on_demand: ON_DEMAND,
            };
            assert_eq!(plan(n, Some(&set), ON_DEMAND), expected, "{name}");
        }
        assert_eq!(plan(1, None, ON_DEMAND).provisioned, None);
    }
    #[test]
    fn a_view_sums_what_managers_said_and_forgets_who_left() {
        let record = |epoch, limit, wide| SetRecord {
            epoch: Epoch(epoch),
            ring: RingVersion(1),
            limit,
            arc: ARC,
            wide,
        };
        let load = |idle, busy| Load { idle, busy, starting: 0, waiting: 0 };
        let mut view = SetView::new(record(5, 10, 2), THETA_PERCENT);
        let counts = |view: &SetView| (view.set().environments, view.set().busy);
        assert_eq!(counts(&view), (10, 0), "nobody said anything yet");
        view.heard(ManagerId(1), load(1, 4));
        assert_eq!(counts(&view), (10, 4));
        view.heard(ManagerId(2), load(3, 1));
        assert_eq!(counts(&view), (9, 5), "one is missing");
        view.learn(record(4, 99, 9));
        assert_eq!(view.record(), record(5, 10, 2), "a lower epoch is ignored");
        view.learn(record(6, 2, 5));
        view.heard(ManagerId(3), load(3, 0));
        assert_eq!(counts(&view), (12, 5));
        view.learn(record(7, 2, 2));
        assert_eq!(counts(&view), (2, 0), "drained: asked anew");
    }

    #[test]
    fn beyond_the_limit_a_call_counts_as_on_demand() {
        let cases = [
            ((10, Some(10)), Served::Provisioned),
            ((10, Some(11)), Served::OnDemand),
            ((0, Some(1)), Served::OnDemand),
            ((10, None), Served::Spillover),
            ((0, None), Served::OnDemand),
        ];
        for ((limit, by_set), expected) in cases {
            assert_eq!(served(limit, by_set), expected, "limit {limit}, {by_set:?}");
        }
    }
}
