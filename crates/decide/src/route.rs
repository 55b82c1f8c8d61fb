//! Which set serves a call: the version's provisioned set or the on-demand arc.
//! Counts only steer here (I7): a wrong guess costs a probe, never an error, since
//! a call that finds no provisioned environment goes on to the on-demand arc.

use crate::arcs::RingArc;

/// How full a provisioned set may be before calls above its limit leave it alone,
/// in percent. Below 100, as the count of busy ones is late.
pub const THETA_PERCENT: u32 = 90;

/// What is known of a version's provisioned set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProvisionedSet {
    pub arc: RingArc,
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
        // While draining, what is above the limit is on-demand capacity already.
        let theta = if self.environments > self.limit { 100 } else { self.theta_percent };
        let below = u64::from(self.busy) * 100 < u64::from(self.environments) * u64::from(theta);
        self.environments > self.busy && below
    }
}

/// The arcs to probe, in order: the first only with `Existing`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    pub provisioned: Option<RingArc>,
    pub on_demand: RingArc,
}

/// `in_version`: calls of the version in flight, from the counter, this one included.
pub fn plan(in_version: u32, set: Option<&ProvisionedSet>, on_demand: RingArc) -> Plan {
    let provisioned = set.filter(|set| set.takes(in_version)).map(|set| set.arc);
    Plan { provisioned, on_demand }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ARC: RingArc = RingArc { start: 1, size: 2 };
    const ON_DEMAND: RingArc = RingArc { start: 2, size: 1 };

    fn set(limit: u32, environments: u32, busy: u32, theta_percent: u32) -> ProvisionedSet {
        ProvisionedSet { arc: ARC, limit, environments, busy, theta_percent }
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
            ("nothing left", set(0, 0, 0, 90), 1, false),
        ];
        for (name, set, n, provisioned) in cases {
            let expected = Plan { provisioned: provisioned.then_some(ARC), on_demand: ON_DEMAND };
            assert_eq!(plan(n, Some(&set), ON_DEMAND), expected, "{name}");
        }
        assert_eq!(plan(1, None, ON_DEMAND).provisioned, None);
    }
}
