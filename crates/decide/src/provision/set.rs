//! One version's provisioned set over the managers of its arc. Invariant: the
//! shares in force add up to the limit, or to less while a handoff is awaited; the
//! epoch grows with every change of a share, of the limit and of the ring (I6).

use alloc::{collections::BTreeMap, sync::Arc, vec::Vec};

use model::{
    Effort, Epoch, KeyHash, ManagerId, Now, PoolKey, ProvisionedCharge, RingVersion, Span,
    TargetReport, Trouble, limits,
};

use super::{Cause, Output, State, Status};
use crate::{
    arcs::{self, RingArc},
    book::Target,
    drain,
    ring::Ring,
    route::SetRecord,
};

/// A target whose report does not come is sent again; the last one holds.
const RESEND_AFTER: Span = Span::secs(2);
/// Time between two tellings of a status that only counts.
const STATUS_PERIOD: Span = Span::secs(1);

/// What one manager was asked for and said.
#[derive(Debug)]
struct Site {
    share: u32,
    /// Of the last change of this share.
    epoch: Epoch,
    sent_at: Option<Now>,
    report: Option<TargetReport>,
    /// It does not answer: asked again while it is in the arc, forgotten after.
    lost: bool,
}

impl Site {
    fn new(epoch: Epoch) -> Site {
        Site { share: 0, epoch, sent_at: None, report: None, lost: false }
    }

    fn confirmed(&self) -> bool {
        self.report.is_some_and(|report| report.epoch >= self.epoch)
    }

    fn gave_up(&self) -> bool {
        self.report.is_some_and(|report| report.effort == Effort::GivenUp)
    }

    fn is_over(&self) -> bool {
        let left = self.report.map_or(0, |report| report.envs + report.starting);
        self.share == 0 && self.confirmed() && left == 0
    }
}

/// Sums over the reports of all managers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sums {
    /// What is wanted; environments above it count as on-demand (A2).
    pub limit: u32,
    pub envs: u32,
    pub busy: u32,
    pub starting: u32,
}

#[derive(Debug)]
pub(super) struct Set {
    key: Arc<PoolKey>,
    hash: KeyHash,
    /// Where its arc starts.
    start: u64,
    limit: u32,
    epoch: Epoch,
    /// What the shares were planned for; none before the first plan.
    planned: Option<(u32, RingVersion)>,
    /// No share grows before: a handoff may bring what is missing.
    hold_until: Option<Now>,
    /// Size of the arc in which environments may be found.
    wide: u16,
    sites: BTreeMap<ManagerId, Site>,
    recorded: Option<SetRecord>,
    told: Option<(Now, Status)>,
    /// When `act` has to be called again.
    pub(super) due: Option<Now>,
}

impl Set {
    /// `stored`: from an earlier life of the controller. The managers of its arc are
    /// asked what they have, before anything is taken for gone.
    pub(super) fn new(
        key: Arc<PoolKey>,
        hash: KeyHash,
        stored: Option<SetRecord>,
        ring: &Ring,
    ) -> Set {
        let start = arcs::start_of_version(key.account, &key.function, key.version);
        let (epoch, wide) = stored.map_or((Epoch(0), 0), |record| (record.epoch, record.wide));
        let mut members = Vec::new();
        ring.members(start, wide, &mut members);
        // Asked with an epoch that is newer than any of before.
        let sites = members.into_iter().map(|manager| (manager, Site::new(epoch.next())));
        Set {
            key,
            hash,
            start,
            limit: 0,
            epoch,
            planned: None,
            hold_until: None,
            wide,
            sites: sites.collect(),
            recorded: None,
            told: None,
            due: None,
        }
    }

    pub(super) fn key(&self) -> &PoolKey {
        &self.key
    }

    pub(super) fn knows(&self, manager: ManagerId) -> bool {
        self.sites.contains_key(&manager)
    }

    /// Asking once more, for the same too, is a new attempt at what was given up.
    pub(super) fn want(&mut self, limit: u32, epoch: Epoch) {
        self.limit = limit;
        if self.sites.values().any(Site::gave_up) {
            self.planned = None;
        }
        self.epoch = self.epoch.max(epoch);
    }

    pub(super) fn ring_changed(&mut self, now: Now) {
        self.hold_until = Some(now + limits::HANDOFF_WAIT);
    }

    pub(super) fn heard(&mut self, manager: ManagerId, report: TargetReport) {
        let epoch = self.epoch;
        let site = self.sites.entry(manager).or_insert(Site::new(epoch));
        (site.report, site.lost) = (Some(report), false);
        if report.epoch > self.epoch {
            // From a life of the controller that is not remembered: above it.
            self.epoch = report.epoch.next();
            (site.epoch, site.sent_at) = (self.epoch, None);
        }
    }

    pub(super) fn lost(&mut self, manager: ManagerId, ring: &Ring) {
        let mut members = Vec::new();
        ring.members(self.start, self.arc(ring).size, &mut members);
        if members.contains(&manager) {
            if let Some(site) = self.sites.get_mut(&manager) {
                (site.report, site.lost) = (None, true);
            }
        } else {
            self.sites.remove(&manager);
        }
    }

    /// Everything that has to be said now.
    pub(super) fn act(&mut self, now: Now, ring: &Ring, out: &mut Vec<Output>) {
        self.plan(now, ring);
        self.sites.retain(|_, site| !site.is_over());
        self.record(ring, out);
        self.send(now, out);
        self.tell(now, out);
        self.due = self.next_due();
    }

    /// Nothing wanted, and every manager said that it has nothing left.
    pub(super) fn is_over(&self) -> bool {
        self.limit == 0 && self.sites.is_empty()
    }

    pub(super) fn charge(&self) -> ProvisionedCharge {
        let Sums { limit, envs, busy, .. } = self.sums();
        ProvisionedCharge { limit, charged: drain::charge(limit, envs, busy) }
    }

    pub(super) fn status(&self) -> Status {
        let Sums { envs, starting, .. } = self.sums();
        let (requested, available) = (self.limit, envs.min(self.limit));
        let allocated = (envs + starting).min(self.limit);
        let efforts = self.sites.values().filter_map(|site| site.report.map(|r| r.effort));
        let cause = efforts.filter_map(cause).min_by_key(|cause| rank(*cause));
        let state = match cause {
            _ if available >= requested => State::Ready,
            Some(Cause::Init) if starting == 0 && self.sites.values().any(Site::gave_up) => {
                State::Failed
            }
            Some(_) | None => State::InProgress,
        };
        let cause = cause.filter(|_| state != State::Ready);
        Status { requested, allocated, available, state, cause }
    }

    pub(super) fn sums(&self) -> Sums {
        let reports = self.sites.values().filter_map(|site| site.report);
        let none = Sums { limit: self.limit, ..Sums::default() };
        reports.fold(none, |sum, report| Sums {
            limit: sum.limit,
            envs: sum.envs + report.envs,
            busy: sum.busy + report.busy,
            starting: sum.starting + report.starting,
        })
    }

    fn arc(&self, ring: &Ring) -> RingArc {
        arcs::provisioned(self.start, self.limit, ring.len())
    }

    /// New shares where the limit, the ring or the end of a wait asks for them.
    fn plan(&mut self, now: Now, ring: &Ring) {
        let planned = Some((self.limit, ring.version()));
        let over = self.hold_until.is_some_and(|until| until <= now);
        if over {
            self.hold_until = None;
        }
        if planned == self.planned && !over {
            return;
        }
        let arc = self.arc(ring);
        let mut members = Vec::new();
        ring.members(self.start, arc.size, &mut members);
        self.epoch = self.epoch.next();
        for manager in &members {
            let epoch = self.epoch;
            self.sites.entry(*manager).or_insert(Site::new(epoch));
        }
        self.sites.retain(|manager, site| !site.lost || members.contains(manager));
        let mut waits = false;
        for (manager, site) in &mut self.sites {
            let at = members.iter().position(|member| member == manager);
            let whole = at.map_or(0, |at| {
                arcs::share(self.limit, arc.size, u16::try_from(at).unwrap_or(u16::MAX))
            });
            let share = if self.hold_until.is_some() { whole.min(site.share) } else { whole };
            waits |= share < whole;
            if share != site.share || site.gave_up() {
                (site.share, site.epoch, site.sent_at) = (share, self.epoch, None);
            }
        }
        if !waits {
            self.hold_until = None;
        }
        self.planned = planned;
    }

    fn record(&mut self, ring: &Ring, out: &mut Vec<Output>) {
        let arc = self.arc(ring);
        let known = self.sites.values().all(Site::confirmed);
        let drains = !known || self.sums().envs > self.limit;
        let wide = if drains { self.wide.max(arc.size) } else { arc.size };
        if core::mem::replace(&mut self.wide, wide) > wide {
            self.epoch = self.epoch.next();
        }
        let (epoch, limit, wide) = (self.epoch, self.limit, self.wide);
        let record = SetRecord { epoch, ring: ring.version(), limit, arc, wide };
        if self.recorded != Some(record) && !self.is_over() {
            self.recorded = Some(record);
            out.push(Output::Record { hash: self.hash, record });
        }
    }

    fn send(&mut self, now: Now, out: &mut Vec<Output>) {
        for (manager, site) in &mut self.sites {
            let late = site.sent_at.is_none_or(|at| at + RESEND_AFTER <= now);
            if !site.confirmed() && late {
                site.sent_at = Some(now);
                let (key, hash) = (Arc::clone(&self.key), self.hash);
                let target = Target { key, hash, share: site.share, epoch: site.epoch };
                out.push(Output::SetTarget { manager: *manager, target });
            }
        }
    }

    fn tell(&mut self, now: Now, out: &mut Vec<Output>) {
        let status = self.status();
        let (new, early) = match self.told {
            None => (true, false),
            Some((at, told)) => {
                let only_counts = (told.state, told.requested) == (status.state, status.requested);
                (told != status, only_counts && now.since(at) < STATUS_PERIOD)
            }
        };
        if new && !early {
            self.told = Some((now, status));
            out.push(Output::Status { hash: self.hash, status });
        }
    }

    fn next_due(&self) -> Option<Now> {
        let unconfirmed = self.sites.values().filter(|site| !site.confirmed());
        let resend = unconfirmed.filter_map(|site| site.sent_at).min();
        let told = self.told.filter(|(_, told)| *told != self.status());
        let due = [
            resend.map(|at| at + RESEND_AFTER),
            told.map(|(at, _)| at + STATUS_PERIOD),
            self.hold_until,
        ];
        due.into_iter().flatten().min()
    }
}

fn cause(effort: Effort) -> Option<Cause> {
    match effort {
        Effort::Going => None,
        Effort::GivenUp | Effort::Retrying(Trouble::Init) => Some(Cause::Init),
        Effort::Retrying(Trouble::NoRoom) => Some(Cause::NoCapacity),
        Effort::Retrying(Trouble::Platform) => Some(Cause::Platform),
    }
}

/// The one to tell of several: what the user can mend goes first.
fn rank(cause: Cause) -> u8 {
    match cause {
        Cause::Init => 0,
        Cause::NoCapacity => 1,
        Cause::Platform => 2,
    }
}
