//! What frontends say to each other: the sizes of clients' sets that changed a short
//! time ago (A7). Lost and repeated notes do no harm.

use model::ClientSize;
use serde::{Deserialize, Serialize};

/// To a frontend, without an answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum FrontendNote {
    Sizes(Vec<ClientSize>),
}
