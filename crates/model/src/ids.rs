//! Identities. Each is its own type, so that one can never stand in for another,
//! and each that is text is checked where it is made. Text is shared, so that a
//! copy of an identity on the path of a call allocates nothing.

use alloc::{
    string::{String, ToString},
    sync::Arc,
};
use core::fmt;

use serde::{Deserialize, Serialize};

use crate::limits;

macro_rules! number_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[derive(Serialize, Deserialize)]
        pub struct $name(pub u64);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}", self.0)
            }
        }
    };
}

number_id!(
    /// A frontend process.
    FrontendId
);
number_id!(
    /// A ring member: an environment manager.
    ManagerId
);
number_id!(
    /// The managers of one deployment.
    FleetId
);
number_id!(
    /// A host agent that owns sandboxes.
    WorkerId
);
number_id!(
    /// An execution environment. Unique for the life of an installation:
    /// worker number in the upper bits, a count in the lower.
    EnvId
);
number_id!(
    /// A concurrency lease or an environment lease; which one, the field says.
    LeaseId
);
number_id!(
    /// A place for one environment on a worker.
    SlotId
);
number_id!(
    /// A number that only grows; the higher one wins (I6).
    Epoch
);
number_id!(
    /// One published state of the ring.
    RingVersion
);

impl Epoch {
    #[must_use]
    pub const fn next(self) -> Epoch {
        Epoch(self.0 + 1)
    }
}

impl EnvId {
    /// Bits of the count below the worker's number.
    const COUNT_BITS: u32 = 40;

    pub const fn new(worker: WorkerId, count: u64) -> EnvId {
        EnvId((worker.0 << Self::COUNT_BITS) | (count & ((1 << Self::COUNT_BITS) - 1)))
    }

    pub const fn worker(self) -> WorkerId {
        WorkerId(self.0 >> Self::COUNT_BITS)
    }
}

/// The owner of functions; unit of limits and billing. Twelve decimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct AccountId(u64);

impl AccountId {
    pub fn parse(text: &str) -> Option<AccountId> {
        let twelve_digits = text.len() == 12 && text.bytes().all(|b| b.is_ascii_digit());
        twelve_digits.then(|| text.parse().ok().map(AccountId)).flatten()
    }

    pub const fn as_u64(self) -> u64 {
        self.0
    }
}

impl fmt::Display for AccountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:012}", self.0)
    }
}

/// Text of an identity was not of the form that the identity has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Malformed(pub &'static str);

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "not a {}", self.0)
    }
}

impl core::error::Error for Malformed {}

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident, $word:literal, $valid:expr) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Arc<str>);

        impl $name {
            pub fn parse(text: &str) -> Result<$name, Malformed> {
                let valid: fn(&str) -> bool = $valid;
                if valid(text) { Ok($name(text.into())) } else { Err(Malformed($word)) }
            }

            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = Malformed;
            fn try_from(text: String) -> Result<$name, Malformed> {
                $name::parse(&text)
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.0.to_string()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

text_id!(
    /// A function's name within its account: `[a-zA-Z0-9-_]{1,64}`.
    FunctionName,
    "function name",
    |text| (1..=limits::FUNCTION_NAME_CHARS_MAX).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
);
text_id!(
    /// The region that an installation answers for.
    Region,
    "region",
    |text| (1..=32).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
);
text_id!(
    /// A customer of an account, separated inside one function (A9.4).
    TenantId,
    "tenant id",
    |text| (1..=limits::TENANT_ID_CHARS_MAX).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._:/=+-@ ".contains(&b))
);

/// Which immutable version: a published number, or the head of the function.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum VersionId {
    /// `$LATEST`; what it is made of is told apart by digest and revision.
    Latest,
    Published(u64),
}

impl fmt::Display for VersionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            VersionId::Latest => f.write_str("$LATEST"),
            VersionId::Published(n) => write!(f, "{n}"),
        }
    }
}

/// A request, in the form of a random UUID, from the edge to the last log line.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RequestId(u128);

impl RequestId {
    /// A version 4 UUID over the given randomness.
    pub const fn from_random(random: u128) -> RequestId {
        let version = (random & !(0xf << 76)) | (0x4 << 76);
        RequestId((version & !(0x3 << 62)) | (0x2 << 62))
    }

    /// Accepts the hyphenated lower- or upper-case form.
    pub fn parse(text: &str) -> Option<RequestId> {
        let bytes = text.as_bytes();
        if bytes.len() != 36 {
            return None;
        }
        let mut value: u128 = 0;
        for (at, byte) in bytes.iter().enumerate() {
            if matches!(at, 8 | 13 | 18 | 23) {
                if *byte != b'-' {
                    return None;
                }
                continue;
            }
            value = (value << 4) | u128::from(char::from(*byte).to_digit(16)?);
        }
        Some(RequestId(value))
    }

    /// The 36 characters, without allocating.
    pub fn to_ascii(self) -> [u8; 36] {
        const HEX: &[u8; 16] = b"0123456789abcdef";
        let mut text = [b'-'; 36];
        let mut shift = 128;
        for (at, slot) in text.iter_mut().enumerate() {
            if !matches!(at, 8 | 13 | 18 | 23) {
                shift -= 4;
                *slot = HEX[((self.0 >> shift) & 0xf) as usize];
            }
        }
        text
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(core::str::from_utf8(&self.to_ascii()).unwrap_or_default())
    }
}

impl fmt::Debug for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn account_is_twelve_digits() {
        assert_eq!(AccountId::parse("000000000042").unwrap().to_string(), "000000000042");
        for bad in ["", "12345678901", "1234567890123", "12345678901a", "+12345678901"] {
            assert_eq!(AccountId::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn request_id_round_trips_and_is_version_four() {
        for random in [0, u128::MAX, 0x0123_4567_89ab_cdef_0123_4567_89ab_cdef] {
            let id = RequestId::from_random(random);
            let text = id.to_string();
            assert_eq!(RequestId::parse(&text), Some(id));
            assert_eq!(&text[14..15], "4");
            assert!("89ab".contains(&text[19..20]), "{text}");
        }
        assert_eq!(RequestId::parse("not-a-uuid"), None);
    }

    #[test]
    fn a9_4_tenant_ids_follow_the_documented_alphabet() {
        let longest = "a".repeat(256);
        let good = ["a", "Tenant 1", "a.b_c:d/e=f+g-h@i", longest.as_str()];
        let too_long = "a".repeat(257);
        let bad = ["", "tenant\n", "tenant#1", "täglich", too_long.as_str()];
        for text in good {
            assert!(TenantId::parse(text).is_ok(), "{text}");
        }
        for text in bad {
            assert!(TenantId::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn environment_names_its_worker() {
        assert_eq!(EnvId::new(WorkerId(7), 99).worker(), WorkerId(7));
    }
}
