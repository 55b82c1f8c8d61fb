//! Who calls. The head says which key signed, which already decides whose
//! functions are meant; the signature is checked once the body is there, because
//! the body is part of what was signed.

use std::{borrow::Cow, collections::HashMap};

use aws_api::sigv4::{self, AuthError, Credential, ExpectedPayload, RequestParts, Verifier};
use http::request::Parts;
use model::{AccountId, Digest, Region};
use sha2::{Digest as _, Sha256};

use crate::{Gate, refusal::Refusal};

const SERVICE: &str = "lambda";

/// Whose requests are believed.
#[derive(Debug)]
pub enum Trust {
    /// Those signed with one of these keys.
    Signed(Credentials),
    /// Everybody's, as this account. Only for listeners on the loopback device.
    Anybody(AccountId),
}

/// Access keys with their secrets and accounts.
#[derive(Clone, Default)]
pub struct Credentials(HashMap<String, Key>);

#[derive(Clone)]
struct Key {
    secret: String,
    account: AccountId,
}

impl Credentials {
    pub fn add(&mut self, access_key: &str, secret: &str, account: AccountId) {
        self.0.insert(access_key.to_owned(), Key { secret: secret.to_owned(), account });
    }
}

impl std::fmt::Debug for Credentials {
    /// Without the secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Credentials({} keys)", self.0.len())
    }
}

#[derive(Debug)]
pub(crate) struct Checker {
    trust: Trust,
    verifier: Verifier,
}

/// What a request says of its caller, not yet believed.
#[derive(Debug)]
pub(crate) enum Claim<'a> {
    Signed { claim: Box<sigv4::Claim<'a>>, account: AccountId },
    Unchecked(AccountId),
}

impl Claim<'_> {
    pub(crate) fn account(&self) -> AccountId {
        match self {
            Claim::Signed { account, .. } | Claim::Unchecked(account) => *account,
        }
    }
}

impl Checker {
    pub(crate) fn new(trust: Trust, region: &Region) -> Checker {
        Checker { trust, verifier: Verifier::new(region.as_str(), SERVICE) }
    }
}

/// Reads the head. An unknown key is refused before a byte of the body is read.
pub(crate) fn claim<'a>(gate: &Gate, parts: &'a Parts) -> Result<Claim<'a>, Refusal> {
    match &gate.trust.trust {
        Trust::Anybody(account) => Ok(Claim::Unchecked(*account)),
        Trust::Signed(credentials) => {
            let claim = sigv4::claim(&signed_parts(parts)).map_err(Refusal::Signature)?;
            let id: &Cow<'_, str> = &claim.access_key_id;
            let key = credentials.0.get(&**id);
            let account = key.ok_or(Refusal::Signature(AuthError::UnknownKey))?.account;
            Ok(Claim::Signed { claim: Box::new(claim), account })
        }
    }
}

/// Believes the claim or refuses. The digest is that of the body where the
/// signature covers it.
pub(crate) fn verify(
    gate: &Gate,
    claim: &Claim<'_>,
    parts: &Parts,
    body: &[u8],
) -> Result<Option<Digest>, Refusal> {
    let (claim, credentials) = match (claim, &gate.trust.trust) {
        (Claim::Signed { claim, .. }, Trust::Signed(credentials)) => (claim, credentials),
        (Claim::Unchecked(_), Trust::Anybody(_)) => return Ok(None),
        (Claim::Signed { .. }, Trust::Anybody(_)) | (Claim::Unchecked(_), Trust::Signed(_)) => {
            return Err(Refusal::Signature(AuthError::Missing));
        }
    };
    let covered = claim.declared_payload() != Some(ExpectedPayload::Unsigned);
    let digest: Option<[u8; 32]> = covered.then(|| Sha256::digest(body).into());
    let lookup = |id: &str| {
        let key = credentials.0.get(id)?;
        Some(Credential { secret: &key.secret, session_token: None, expires_s: None })
    };
    let now_s = gate.clock.wall_ms() / 1_000;
    let parts = signed_parts(parts);
    let verified = gate.trust.verifier.verify(&parts, claim, digest.as_ref(), now_s, lookup);
    match (verified.map_err(Refusal::Signature)?.payload, digest) {
        (ExpectedPayload::Unsigned, _) => Ok(None),
        (ExpectedPayload::Sha256(expected), Some(found)) if expected == found => {
            Ok(Some(Digest(found)))
        }
        (ExpectedPayload::Sha256(_), _) => Err(Refusal::Signature(AuthError::Mismatch)),
    }
}

fn signed_parts(parts: &Parts) -> RequestParts<'_> {
    RequestParts {
        method: parts.method.as_str(),
        path: parts.uri.path(),
        query: parts.uri.query(),
        headers: &parts.headers,
    }
}
