//! The book from outside, by subject. Random transitions against a reference model run
//! in `sim`.

mod affinity;
mod desk;
mod fleet;
mod supply;
mod targets;
mod tenants;
mod turns;
mod waiting;
