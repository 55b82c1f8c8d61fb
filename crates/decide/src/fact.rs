//! `Fact`: the one stream of what happened inside the machines. Shells turn facts
//! into metrics and spans, tests and the simulator check them. A fact steers
//! nothing, holds no payload and no secret, and is `Copy`: telling one allocates
//! nothing.

use model::{
    AccountId, EnvId, Epoch, KeyHash, LeaseId, ManagerId, Reason, RingVersion, Span, Trouble,
    WorkerId,
};

use crate::book::{StartId, Ticket};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fact {
    /// A call got an environment. `waited` is zero on the warm path.
    Granted {
        ticket: Ticket,
        key: KeyHash,
        env: EnvId,
        lease: LeaseId,
        epoch: Epoch,
        warm: bool,
        waited: Span,
    },
    /// No idle environment, and the call only wanted an existing one.
    Missed {
        ticket: Ticket,
        key: KeyHash,
    },
    /// The call waits for an environment; `start` says if one was begun for it.
    Waiting {
        ticket: Ticket,
        key: KeyHash,
        start: Option<StartId>,
    },
    /// This manager has as many calls of the client as it may (A6).
    Throttled {
        ticket: Ticket,
        account: AccountId,
    },
    Refused {
        ticket: Ticket,
        key: KeyHash,
        reason: Reason,
    },
    /// The caller went away, or its deadline passed, before it got anything.
    WaitEnded {
        ticket: Ticket,
        key: KeyHash,
        waited: Span,
        cancelled: bool,
    },

    StartBegan {
        start: StartId,
        key: KeyHash,
        worker: WorkerId,
        memory_mb: u32,
    },
    /// No room yet: idle environments were retired to make it.
    StartAwaitsRoom {
        start: StartId,
        key: KeyHash,
    },
    /// It awaited room, and its call was served otherwise.
    StartDropped {
        start: StartId,
        key: KeyHash,
    },
    StartEnded {
        start: StartId,
        key: KeyHash,
        env: EnvId,
        took: Span,
    },
    StartFailed {
        start: StartId,
        key: KeyHash,
        why: Trouble,
    },

    RunBegan {
        lease: LeaseId,
        env: EnvId,
    },
    RunEnded {
        lease: LeaseId,
        env: EnvId,
        held: Span,
    },
    /// Given back without having run anything.
    LeaseReturned {
        lease: LeaseId,
        env: EnvId,
        expired: bool,
    },

    Shelved {
        env: EnvId,
        key: KeyHash,
    },
    /// A generic environment is a tenant's from now on (A9).
    Bound {
        env: EnvId,
        from: KeyHash,
        to: KeyHash,
    },
    Retired {
        env: EnvId,
        key: KeyHash,
        why: RetireWhy,
        idle: Span,
    },
    Gone {
        env: EnvId,
        key: KeyHash,
    },
    /// Learnt from the worker's list, not started by this book.
    Adopted {
        env: EnvId,
        key: KeyHash,
        worker: WorkerId,
    },
    /// A provisioned target came into force, or is an old one and ignored.
    TargetSet {
        key: KeyHash,
        share: u32,
        epoch: Epoch,
        in_force: bool,
    },
    /// A target of nothing has nothing left.
    TargetForgotten {
        key: KeyHash,
        epoch: Epoch,
    },
    /// Calls of the key wait for what a predecessor has.
    HandoffAsked {
        key: KeyHash,
        to: ManagerId,
        by: RingVersion,
    },
    /// `served`: all of them got an environment.
    HandoffEnded {
        key: KeyHash,
        took: Span,
        served: bool,
    },
    /// Another manager owns it now.
    HandedOver {
        env: EnvId,
        key: KeyHash,
        to: ManagerId,
    },
    /// A message about a lease or environment whose turn has passed.
    Stale {
        env: Option<EnvId>,
        lease: Option<LeaseId>,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RetireWhy {
    /// Idle for the whole idle TTL.
    IdleTtl,
    /// Its memory was needed for another key.
    Evicted,
    /// Its account's environments store more than they may, and it is the cheapest to
    /// make again.
    KeepBudget,
    /// Another tenant of its function needed its place under the cap.
    TenantCap,
    /// Its function or version changed or went away, or its worker empties.
    Drained,
    /// The last run left it unusable.
    Broken,
    /// Above its provisioned target, and idle for long enough (A2).
    Surplus,
}
