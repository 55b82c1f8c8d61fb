//! The role that owns functions. The frontend authenticates a control request and
//! passes it on whole; here it is read in the public form, decided, stored, and
//! answered. Managers and frontends learn of a change by watching the store.
//!
//! The wall: nothing of the path of a call. One file is one operation (or one small
//! family); `dispatch` has the list of them. `catalogue` is where records change,
//! `code` where archives are kept, `sweep` where they end; `provisioning` keeps what
//! is provisioned at what was asked for.
#![forbid(unsafe_code)]

mod absent;
mod admin;
mod affinity;
mod answer;
mod busiest;
mod catalogue;
mod code;
mod create_function;
mod delete_function;
mod dispatch;
mod environment;
mod extension;
mod failure;
mod function_concurrency;
mod get_account_settings;
mod get_function;
mod limits;
mod link;
mod list_functions;
mod list_versions_by_function;
mod marker;
mod metrics;
mod opaque;
mod provisioned_concurrency;
mod provisioning;
mod publish_version;
mod request;
pub mod rings;
mod role;
mod settings;
mod sweep;
mod tags;
mod target;
mod tenancy;
mod update_function_code;
mod update_function_configuration;
mod view;

pub use provisioning::{ManagerCaller, Provisioning, start as start_provisioning};
pub use role::{ControlInbox, Settings, start};
