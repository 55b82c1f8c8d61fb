//! Stored values that no other crate's words describe: the installation itself,
//! credentials, limits of an account. Not the configuration of the process.

use std::fmt;

use model::{AccountId, Region, ids::Malformed};
use serde::{Deserialize, Serialize};

/// What the data directory is, made once at the first start.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Installation {
    /// Random, in the form of a UUID.
    pub id: String,
    pub region: Region,
    /// The account that the generated credentials belong to.
    pub account: AccountId,
    /// Milliseconds since the Unix epoch.
    pub created_ms: u64,
}

/// The public half of a credential: `\w{16,128}`, as AWS defines it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AccessKeyId(String);

impl AccessKeyId {
    pub fn parse(text: &str) -> Result<AccessKeyId, Malformed> {
        let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
        if (16..=128).contains(&text.len()) && text.bytes().all(word) {
            Ok(AccessKeyId(text.to_owned()))
        } else {
            Err(Malformed("access key id"))
        }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for AccessKeyId {
    type Error = Malformed;
    fn try_from(text: String) -> Result<AccessKeyId, Malformed> {
        AccessKeyId::parse(&text)
    }
}

impl From<AccessKeyId> for String {
    fn from(id: AccessKeyId) -> String {
        id.0
    }
}

impl fmt::Display for AccessKeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A key pair that signs requests for an account.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Credential {
    pub id: AccessKeyId,
    /// Needed in the clear: a signature is checked by signing again.
    pub secret: String,
    pub account: AccountId,
    /// Milliseconds since the Unix epoch.
    pub created_ms: u64,
}

impl fmt::Debug for Credential {
    /// Without the secret: secrets are never logged.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Credential");
        shown.field("id", &self.id).field("account", &self.account).finish_non_exhaustive()
    }
}

/// Limits an operator set for an account; an absent record means the defaults.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountLimits {
    pub concurrency: u32,
}

impl Default for AccountLimits {
    fn default() -> AccountLimits {
        AccountLimits { concurrency: model::limits::ACCOUNT_CONCURRENCY_DEFAULT }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_credential_does_not_show_its_secret() {
        let credential = Credential {
            id: AccessKeyId::parse("AKIAIOSFODNN7EXAMPLE").unwrap(),
            secret: "hush-hush".into(),
            account: AccountId::parse("000000000001").unwrap(),
            created_ms: 0,
        };
        assert!(!format!("{credential:?}").contains("hush"));
    }

    #[test]
    fn an_access_key_id_never_leaves_its_place_in_a_key() {
        for bad in ["", "short", "AKIA/IOSFODNN7EXAMPLE", "AKIAIOSFODNN7EXAMPL\u{e9}"] {
            assert!(AccessKeyId::parse(bad).is_err(), "{bad}");
        }
    }
}
