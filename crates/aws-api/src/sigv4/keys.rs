//! Derived signing keys, kept for the day they are valid: four digests less on
//! every call. Bounded by `SIGNING_KEYS_MAX`.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};

use hmac::{Hmac, Mac as _};
use sha2::Sha256;

use super::claim::Claim;

/// Access keys whose derived key is kept; when one more comes, all are dropped
/// and derived again as they are used (about 2 µs each).
pub const SIGNING_KEYS_MAX: usize = 1024;

/// A key with its first block already digested.
pub(super) type SigningKey = Hmac<Sha256>;

#[derive(Default)]
pub(super) struct SigningKeys {
    by_access_key: Mutex<BTreeMap<String, Entry>>,
}

struct Entry {
    date: String,
    /// Compared on every use: a changed secret must not find the old key.
    secret: String,
    key: SigningKey,
}

impl fmt::Debug for SigningKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKeys").finish_non_exhaustive()
    }
}

impl SigningKeys {
    pub(super) fn get(
        &self,
        claim: &Claim<'_>,
        secret: &str,
        region: &str,
        service: &str,
    ) -> SigningKey {
        let mut entries = self.by_access_key.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(entry) = entries.get(&*claim.access_key_id)
            && entry.date == claim.scope_date
            && entry.secret == secret
        {
            return entry.key.clone();
        }
        let key = derive(secret, &claim.scope_date, region, service);
        if entries.len() >= SIGNING_KEYS_MAX {
            entries.clear();
        }
        let entry =
            Entry { date: claim.scope_date.to_string(), secret: secret.into(), key: key.clone() };
        entries.insert(claim.access_key_id.to_string(), entry);
        key
    }
}

pub(super) fn derive(secret: &str, date: &str, region: &str, service: &str) -> SigningKey {
    let mut key = keyed(format!("AWS4{secret}").as_bytes());
    for part in [date, region, service, "aws4_request"] {
        key.update(part.as_bytes());
        key = keyed(&key.finalize().into_bytes());
    }
    key
}

fn keyed(key: &[u8]) -> SigningKey {
    SigningKey::new_from_slice(key).expect("HMAC takes a key of any length")
}
