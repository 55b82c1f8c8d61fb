//! The words of Lambent: identities, configuration, descriptors and limits that
//! every other crate speaks. Layer 0.
//!
//! The wall: no IO, no async, no clock, and nothing of the public wire format.
//! What a client sends or sees is translated in `aws-api` and at the edges.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod affinity;
pub mod allowance;
pub mod arn;
pub mod civil;
pub mod environment;
pub mod function;
pub mod handoff;
pub mod ids;
pub mod invariant;
pub mod limits;
pub mod manifest;
pub mod payload;
pub mod pool_key;
pub mod provisioned;
pub mod reason;
pub mod register;
pub mod report;
pub mod ring;
pub mod target;
pub mod tenancy;
pub mod time;

pub use affinity::{Affinity, AffinityAnswer, AffinityAsk, KeptValue, WhenBusy};
pub use allowance::{BlockAsk, Lent, TokensGiven};
pub use arn::{FunctionRef, Qualifier};
pub use civil::Civil;
pub use environment::{Capacity, Grant, Hosted, Load, Trouble};
pub use function::{FunctionConfig, FunctionState, Runtime};
pub use handoff::Pred;
pub use ids::{
    AccountId, EnvId, Epoch, FleetId, FrontendId, FunctionName, LeaseId, ManagerId, Region,
    RequestId, RingVersion, SlotId, TenantId, VersionId, WorkerId,
};
pub use invariant::Invariant;
pub use manifest::{ChunkId, Manifest, RootId};
pub use payload::{Digest, PayloadPlace, PayloadRef};
pub use pool_key::{Class, CpuClass, KeyHash, PoolKey};
pub use provisioned::{
    ProvisionedCause, ProvisionedCharge, ProvisionedConfig, ProvisionedSet, ProvisionedState,
    ProvisionedStatus,
};
pub use reason::{Denied, Reason};
pub use register::{ClientSize, Register};
pub use report::{Arm, ErrorClass, ExecutionReport};
pub use ring::{Attrs, Profile, RingRecord, RingState};
pub use target::{Effort, TargetReport};
pub use tenancy::{AtCap, Tenancy};
pub use time::{Now, Span};
