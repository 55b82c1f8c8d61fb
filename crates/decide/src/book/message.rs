//! What a book is told and what it answers. The shell turns messages from
//! frontends and workers into `Input`, and performs every `Output` in order.

use alloc::{sync::Arc, vec::Vec};

use model::{
    AccountId, AffinityAsk, AtCap, Attrs, Capacity, EnvId, Epoch, FunctionName, Grant, Hosted,
    KeyHash, LeaseId, Load, ManagerId, Now, PoolKey, Reason, RingVersion, Span, TargetReport,
    TokensGiven, Trouble, VersionId, WorkerId, handoff::Word,
};

use crate::{
    admit::{TokenAsk, TokenWhose},
    affinity::Record,
    fact::Fact,
    ring::Preds,
};

/// One question of one caller, named by the shell. Unique while it is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub u64);

/// One order to a worker to make an environment, named by the book.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StartId(pub u64);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Only an environment that is idle now.
    Existing,
    /// An idle one, or wait for the first that becomes idle, making one if needed.
    ExistingOrNew,
}

#[derive(Clone, Debug)]
pub struct Acquire {
    pub ticket: Ticket,
    /// `key.hash()`, computed once by the shell.
    pub hash: KeyHash,
    pub key: Arc<PoolKey>,
    pub mode: Mode,
    /// A call that waits is refused at this instant.
    pub deadline: Now,
    /// Calls of the account that this manager may hold (A6); `u32::MAX`: no cap.
    pub client_cap: u32,
    pub routed: Routed,
    /// The call wants the environment of its value (A8).
    pub affinity: Option<AffinityAsk>,
}

/// What sent a call here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Routed {
    /// The ring version that decided; its settings hold for the key (A4).
    pub by: RingVersion,
    /// Who may hold environments of the key from before (A3).
    pub preds: Preds,
    /// Who has the create bucket of the function (A6); none: the one that is asked.
    pub home: Option<ManagerId>,
}

/// How a lease ended, as the frontend or the worker saw it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It ran, and the environment can serve again.
    Reusable,
    /// Nothing of the call reached the environment.
    NotStarted,
    /// The environment must not serve again, or the worker refused the lease.
    Broken,
}

/// Which environments a retirement means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Whose {
    pub account: AccountId,
    pub function: FunctionName,
    /// All versions where absent.
    pub version: Option<VersionId>,
    /// The pool that stays, and those bound from it, where a change made the others old.
    pub keep: Option<KeyHash>,
}

/// How the environments of a `PER_TENANT` function are divided at this manager.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TenantRules {
    pub account: AccountId,
    pub function: FunctionName,
    pub at_cap: AtCap,
    /// Environments bound to tenants, active and idle; `tenancy::environments_max`
    /// of the function's concurrency, or this manager's part of it.
    pub environments_max: u32,
}

#[derive(Clone, Debug)]
pub enum Input {
    Acquire(Acquire),
    /// The caller of an open ticket went away.
    Cancel {
        ticket: Ticket,
    },
    /// The environment finished its init. `epoch` is where the worker's count begins.
    Started {
        start: StartId,
        env: EnvId,
        epoch: Epoch,
    },
    StartFailed {
        start: StartId,
        why: Trouble,
    },
    /// The worker accepted the lease.
    RunStarted {
        lease: LeaseId,
    },
    /// The frontend is done with the lease. Whoever tells the end first ends it; the
    /// other telling is recognised by its lease or epoch and ignored.
    Released {
        lease: LeaseId,
        outcome: Outcome,
    },
    /// The worker says the environment waits for its next call.
    Idle {
        env: EnvId,
        epoch: Epoch,
    },
    /// The worker says the environment exists no more.
    Gone {
        env: EnvId,
    },
    /// A function was deleted, or its code or configuration changed.
    Retire(Whose),
    /// A function's rules for tenants, which replace the ones of before.
    TenantRules(TenantRules),
    /// The worker says what an environment stores after a run: bytes in its scratch
    /// and growth of its memory (A8).
    Stores {
        env: EnvId,
        bytes: u64,
    },
    /// A value of an environment that came from another manager (A8).
    Affinity(Record),
    WorkerOffers {
        worker: WorkerId,
        capacity: Capacity,
    },
    /// The worker empties: nothing new there, idle environments leave.
    WorkerDrains {
        worker: WorkerId,
    },
    WorkerLost {
        worker: WorkerId,
    },
    /// Everything the worker hosts for this book. After a restart of either.
    Rebuild {
        worker: WorkerId,
        envs: Vec<Hosted>,
    },
    /// From the provisioning controller. A lower epoch than the known one is ignored
    /// (I6); the answer is a `Report` with the epoch in force.
    SetTarget(Target),
    /// A ring version was published: what it says holds for the keys that it decides.
    Ring {
        v: RingVersion,
        attrs: Attrs,
    },
    /// Another manager, about a handoff.
    Hear {
        from: ManagerId,
        word: Word,
    },
    /// The worker: an environment of another manager is this one's now.
    Owned(Hosted),
    /// The worker made the change of owner, to the one told here: of two orders that
    /// crossed a list the first may be the one. It counts from this epoch.
    Transferred {
        env: EnvId,
        epoch: Epoch,
        to: ManagerId,
    },
    /// The worker did not make it: the environment is not free, or its epoch is the
    /// one told here.
    TransferRefused {
        env: EnvId,
        epoch: Epoch,
    },
    /// The home of a function's create bucket answered; absent: it was not reached.
    Tokens {
        whose: TokenWhose,
        seq: u64,
        given: Option<TokensGiven>,
    },
    /// The instant of `deadline()` has come, or may have.
    Deadline,
}

/// What this manager is to hold of a provisioned key.
#[derive(Clone, Debug)]
pub struct Target {
    /// Of class `Provisioned`; others are ignored.
    pub key: Arc<PoolKey>,
    pub hash: KeyHash,
    pub share: u32,
    pub epoch: Epoch,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reply {
    Grant(Grant, Load),
    NoIdle(Load),
    /// "Ask another": this manager holds `client_cap` calls of the account.
    Throttle(Load),
    /// `retry_after` is the time until it may work; zero where unknown.
    Refused {
        reason: Reason,
        retry_after: Span,
    },
    /// The start that the call waited for failed, and no other is tried for it.
    StartFailed {
        start: StartId,
    },
}

#[derive(Clone, Debug)]
pub enum Output {
    Reply {
        ticket: Ticket,
        reply: Reply,
    },
    /// Make an environment; answer with `Started` or `StartFailed`.
    Start {
        start: StartId,
        worker: WorkerId,
        key: Arc<PoolKey>,
    },
    /// End an environment; answer with `Gone`.
    Retire {
        env: EnvId,
        worker: WorkerId,
        epoch: Epoch,
    },
    /// To the provisioning controller.
    Report(TargetReport),
    /// To another manager, about a handoff.
    Tell {
        to: ManagerId,
        word: Word,
    },
    /// Make another manager the owner, if the environment is free and no epoch above
    /// this one was seen; answer with `Transferred` or `TransferRefused`. Grants of
    /// this epoch and below are refused from then on (I5).
    Transfer {
        env: EnvId,
        worker: WorkerId,
        epoch: Epoch,
        to: ManagerId,
    },
    /// To the home of a function's create bucket; answer with `Tokens`.
    AskTokens {
        to: ManagerId,
        ask: TokenAsk,
    },
    /// To the same: so many were not needed.
    ReturnTokens {
        to: ManagerId,
        whose: TokenWhose,
        count: u32,
    },
    Fact(Fact),
}

/// Filled by `handle`, emptied by the shell with `drain(..)`, kept between calls.
pub type Outputs = Vec<Output>;

/// Why the book wants to be called at an instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Why {
    LeaseExpiry,
    CallerDeadline,
    StartOverdue,
    /// A call has hoped long enough for an environment of others.
    Patience,
    /// Predecessors were asked long enough, or an asker has waited long enough.
    Handoff,
    /// Targets are looked at: reports, retries, drains.
    TargetTick,
    IdleTtl,
    /// The home of a create bucket was asked long enough.
    Tokens,
    /// A call insisted long enough on a busy environment, or a value was not used.
    Affinity,
}
