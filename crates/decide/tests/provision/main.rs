//! Provisioned concurrency at decision level: many books, the provisioning
//! controller, the counter and frontends in virtual time (`stage`). Each test says
//! what its acceptance line says, in virtual seconds.

mod controller;
mod drain;
mod set;
mod stage;
