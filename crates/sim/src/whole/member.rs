//! Who takes part: each member is one role in one process, at a place of the network
//! that has the member's name.

use std::fmt;

use model::{FrontendId, ManagerId, WorkerId};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Member {
    Frontend(FrontendId),
    Manager(ManagerId),
    Worker(WorkerId),
}

impl fmt::Display for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Member::Frontend(FrontendId(number)) => write!(f, "frontend-{number}"),
            Member::Manager(ManagerId(number)) => write!(f, "manager-{number}"),
            Member::Worker(WorkerId(number)) => write!(f, "worker-{number}"),
        }
    }
}
