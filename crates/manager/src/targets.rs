//! The provisioning controller's side of this manager: targets come in as notes, and
//! what changed about them waits here until the controller asks, once a second. Of
//! each target only the last report is kept.

use std::{collections::BTreeMap, sync::Arc};

use decide::book::{Input, Target};
use model::{KeyHash, Load, TargetReport};
use wire::manager::{SetTarget, TargetsHeld};

use crate::owner::Owner;

#[derive(Debug, Default)]
pub(crate) struct Targets {
    life: u64,
    /// By target of the controller; none where it was told.
    reports: BTreeMap<KeyHash, Option<TargetReport>>,
}

impl Targets {
    pub(crate) fn new(life: u64) -> Targets {
        Targets { life, reports: BTreeMap::new() }
    }

    /// Of a target that the controller did not set nothing is kept: that is this
    /// manager's own stock.
    pub(crate) fn report(&mut self, report: TargetReport) {
        if let Some(last) = self.reports.get_mut(&report.hash) {
            *last = Some(report);
        }
    }

    /// A target that is told to have ended is forgotten.
    pub(crate) fn take(&mut self) -> TargetsHeld {
        let changed: Vec<_> = self.reports.values_mut().filter_map(Option::take).collect();
        for report in changed.iter().filter(|report| report.share + report.envs == 0) {
            if report.starting == 0 {
                self.reports.remove(&report.hash);
            }
        }
        TargetsHeld { life: self.life, changed }
    }
}

impl Owner {
    pub(crate) fn set_target(&mut self, order: SetTarget) {
        let SetTarget { key, hash, share, epoch, config } = order;
        self.targets.reports.entry(hash).or_default();
        if let Some(config) = config {
            self.configs.entry(hash).or_insert(Arc::clone(&config));
        }
        self.tell(Input::SetTarget(Target { key, hash, share, epoch }));
        if share == 0 && self.book.load(hash) == Load::default() {
            self.configs.remove(&hash);
        }
    }
}
