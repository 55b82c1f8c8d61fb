//! What frontends and workers say to a manager: concurrency leases from its
//! counter, environment leases from its book.

use std::sync::Arc;

use model::{
    AccountId, AffinityAsk, BlockAsk, ClientSize, Denied, EnvId, Epoch, FrontendId, FunctionConfig,
    FunctionName, Grant, Hosted, KeyHash, LeaseId, Lent, Load, ManagerId, PoolKey, Pred,
    ProvisionedCharge, Register, RequestId, RingVersion, TargetReport, TenantId, TokensGiven,
    VersionId, WorkerId, handoff::Word,
};
use serde::{Deserialize, Serialize};

use crate::worker::StartFailure;

/// To the manager, with an answer.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum ManagerCall {
    Admit(Admit),
    Acquire(Acquire),
    /// Both in one message, where the manager of the account's counter is also the
    /// first to be asked for an environment.
    Enter(Admit, Acquire),
    /// Slots of a large account in blocks, so that most calls need no question.
    Borrow(FrontendId, BlockAsk),
    /// Calls of an account that this manager holds, for the home of its set (A6).
    InFlight {
        account: AccountId,
    },
    /// The keys with the most calls in flight at this manager, for those who publish
    /// ring versions (A4).
    Busiest,
    /// From another manager: create tokens of a function whose bucket this one has (A6).
    TakeTokens {
        account: AccountId,
        function: FunctionName,
        want: u32,
    },
    /// What the counter and the book hold now, for operators and tests.
    Inspect,
    /// From the provisioning controller: what changed about its targets since it
    /// asked last.
    Targets,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum ManagerAnswer {
    Admitted(Admitted),
    Denied(Denied),
    Acquired(Acquired),
    /// Admitted, and what came of the acquire.
    Entered(Admitted, Acquired),
    /// Absent where a later question of the frontend was answered before.
    Lent(Option<Lent>),
    InFlight(u32),
    /// With their calls, running or waiting; the busiest first, a bounded number.
    Busiest(Vec<(KeyHash, u32)>),
    /// As many as there are of those wanted; where fewer, when there will be one more.
    TokensTaken(TokensGiven),
    Inspection(Inspection),
    Targets(TargetsHeld),
}

/// A concurrency lease, and what is in flight with it, this call included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Admitted {
    pub lease: LeaseId,
    pub in_version: u32,
    /// The most that the account, or the function's reservation, may have in flight.
    pub limit_max: u32,
}

/// How an acquire was answered.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Acquired {
    pub found: Found,
    /// Hints about the pool at this manager.
    pub load: Load,
    /// The widest set of the client that this manager has heard of (A7).
    pub register: Option<Register>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Found {
    Granted(Grant),
    /// Nothing idle, and only an existing environment was wanted.
    NoIdle,
    /// This manager holds its share of the client's calls.
    AskAnother,
    Denied(Denied),
    /// The environment that the call waited for could not be built.
    StartFailed(StartFailure),
}

/// To the manager, without an answer.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum ManagerNote {
    /// A concurrency lease ended.
    Return { lease: LeaseId },
    /// A frontend lives: its concurrency leases last on (I4). With those that it has
    /// held for `LEASE_TOLD_AFTER` or longer: what else it was given as long ago is
    /// over. None where they are too many to be told.
    Renew { holder: FrontendId, held: Option<Vec<LeaseId>> },
    /// An environment lease that was never started goes back.
    Unused { lease: LeaseId },
    /// From the worker, over a new connection: notes before may be lost, so that its list
    /// is to be asked for.
    Back { worker: WorkerId },
    /// From the worker: the call of this lease has begun.
    RunStarted { env: EnvId, lease: LeaseId },
    /// From the worker: free again.
    Idle { env: EnvId, epoch: Epoch },
    /// From the worker: it exists no longer.
    Gone { env: EnvId },
    /// From another manager: create tokens that it did not need.
    TokensBack { account: AccountId, function: FunctionName, count: u32 },
    /// From the frontend that changed the size of a client's set, to the set's first
    /// member: whoever knows nothing of the client asks that one first (A7).
    Size(ClientSize),
    /// From the provisioning controller: what to hold of a provisioned key.
    SetTarget(Box<SetTarget>),
    /// From the provisioning controller: what a version's set is to its account.
    Provision {
        account: AccountId,
        function: FunctionName,
        version: VersionId,
        charge: ProvisionedCharge,
    },
    /// From another manager, about a handoff.
    Hear { from: ManagerId, word: Word },
    /// From the worker: an environment of another manager is this one's now.
    Owned(Hosted),
    /// From the worker: the one told here owns it now, and counts from this epoch.
    Transferred { env: EnvId, epoch: Epoch, to: ManagerId },
    /// From the worker: it is not free, or its epoch is the one told here.
    TransferRefused { env: EnvId, epoch: Epoch },
}

/// What a manager is to hold of a provisioned key. A lower epoch is ignored (I6).
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SetTarget {
    pub key: Arc<PoolKey>,
    pub hash: KeyHash,
    pub share: u32,
    pub epoch: Epoch,
    /// What environments are built from; absent where none is wanted any more.
    pub config: Option<Arc<FunctionConfig>>,
}

/// What a manager says of its targets.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TargetsHeld {
    /// Another number is another life of the manager: it knows of no target.
    pub life: u64,
    pub changed: Vec<TargetReport>,
}

/// May one more call of this function run now?
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Admit {
    pub request: RequestId,
    pub account: AccountId,
    pub function: FunctionName,
    pub version: VersionId,
    pub tenant: Option<TenantId>,
    pub holder: FrontendId,
}

/// One environment for one call.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Acquire {
    pub request: RequestId,
    pub key: Arc<PoolKey>,
    pub hash: KeyHash,
    /// What a new environment would be built from.
    pub config: Arc<FunctionConfig>,
    /// Whether the call may wait for an environment that is made for it.
    pub may_create: bool,
    /// Calls of the client that this manager may hold (A6).
    pub client_cap: u32,
    /// Where the client's arc starts, and the frontend's register of its size.
    pub client: u64,
    pub register: Option<Register>,
    /// The call wants the environment of its value (A8).
    pub affinity: Option<AffinityAsk>,
    /// The ring version that decided, and who may hold environments of the key from
    /// before (A3).
    pub by: RingVersion,
    pub preds: Vec<Pred>,
    /// Who has the function's create bucket (A6).
    pub home: ManagerId,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inspection {
    pub in_flight: u64,
    /// Calls that the counter was asked about, one by one.
    pub counted: u64,
    /// Slots that frontends have borrowed.
    pub lent: u64,
    pub environments: u64,
    pub idle: u64,
    pub leases_granted: u64,
    pub leases_started: u64,
    pub leases_returned: u64,
    pub starts: u64,
}
