//! `PayloadRef`: what messages say about request and response bytes. The bytes
//! travel once, beside the message that describes them (I20).

use core::fmt;

use serde::{Deserialize, Serialize};

use crate::ids::RequestId;

/// SHA-256 of the bytes, made where they enter.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Digest(pub [u8; 32]);

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Where the bytes are while the message travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PayloadPlace {
    /// There are none.
    Empty,
    /// In the body that follows the message on the same connection or call.
    Beside,
}

/// Descriptor of request or response bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PayloadRef {
    pub id: RequestId,
    pub length: u64,
    /// Absent where the client signed no payload and nobody needs it.
    pub digest: Option<Digest>,
    pub place: PayloadPlace,
}

impl PayloadRef {
    pub const fn empty(id: RequestId) -> PayloadRef {
        PayloadRef { id, length: 0, digest: None, place: PayloadPlace::Empty }
    }

    pub const fn beside(id: RequestId, length: u64, digest: Option<Digest>) -> PayloadRef {
        PayloadRef { id, length, digest, place: PayloadPlace::Beside }
    }
}
