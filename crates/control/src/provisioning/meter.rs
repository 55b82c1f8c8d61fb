//! What the provisioning controller says of its sets when somebody reads the page: up to
//! one second old, as the managers' reports are. Users create sets one by one, so that
//! their number bounds that of the series.

use std::collections::{BTreeMap, BTreeSet};

use decide::provision::{Controller, Sums};
use model::{AccountId, FunctionName, VersionId};
use platform::meters::{Asked, Meters};
use tokio::sync::mpsc;

use super::Event;
use crate::metrics;

#[derive(Debug)]
pub(super) struct Meter {
    meters: Meters,
    /// Versions that have series: a set that is gone shows zeros.
    shown: BTreeSet<Version>,
}

type Version = (AccountId, FunctionName, VersionId);

impl Meter {
    pub(super) fn new(meters: Meters, events: mpsc::Sender<Event>) -> Meter {
        meters.sample_with(move |asked| {
            // A full queue leaves the values of before.
            let _ = events.try_send(Event::Asked(asked));
        });
        Meter { meters, shown: BTreeSet::new() }
    }

    pub(super) fn sample(&mut self, controller: &Controller, asked: Asked) {
        let mut now: BTreeMap<Version, Sums> = BTreeMap::new();
        for (key, sums) in controller.sets() {
            let version = (key.account, key.function.clone(), key.version);
            let of = now.entry(version).or_default();
            (of.limit, of.envs, of.busy) =
                (of.limit + sums.limit, of.envs + sums.envs, of.busy + sums.busy);
        }
        self.shown.extend(now.keys().cloned());
        for version in &self.shown {
            self.show(version, now.get(version).copied().unwrap_or_default());
        }
        drop(asked);
    }

    fn show(&self, version: &Version, sums: Sums) {
        let (account, function, version) = version;
        let (account, version) = (account.to_string(), version.to_string());
        let of = [
            ("account", account.as_str()),
            ("function", function.as_str()),
            ("qualifier", version.as_str()),
        ];
        let Sums { limit, envs, busy, .. } = sums;
        // What is above the limit counts as on-demand from the moment of the change (A2).
        let (available, executing) = (envs.min(limit), busy.min(limit));
        let share = if available == 0 { 0.0 } else { f64::from(executing) / f64::from(available) };
        let meters = &self.meters;
        metrics::provisioned_concurrency_requested(meters, &of).set(f64::from(limit));
        metrics::provisioned_concurrency_available(meters, &of).set(f64::from(available));
        metrics::provisioned_concurrent_executions(meters, &of).set(f64::from(executing));
        metrics::provisioned_concurrency_utilization(meters, &of).set(share.min(1.0));
    }
}
