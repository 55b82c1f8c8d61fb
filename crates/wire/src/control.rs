//! Control requests: the frontend authenticates them and passes them on whole;
//! `control` reads, decides and answers in the public form.

use bytes::Bytes;
use model::{AccountId, RequestId};
use serde::{Deserialize, Serialize};

/// One authenticated request of the control API. Its body travels beside.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ControlCall {
    pub request: RequestId,
    /// Absent where the link itself is the permission.
    pub account: Option<AccountId>,
    pub method: String,
    /// Path with query, as the client sent it.
    pub target: String,
    /// `http://host:port` as the client sees this installation.
    pub origin: String,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ControlAnswer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Bytes,
}
