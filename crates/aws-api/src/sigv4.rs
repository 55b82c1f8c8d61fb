//! AWS Signature Version 4: who sent a request, and that nobody changed it.
//!
//! On the path of every call: `claim` reads what the request says about itself,
//! `Verifier::verify` checks it against the caller's secret. Both header and
//! query (presigned) signatures. The body is not read here: a claim says which
//! digest it must have, and whoever reads the body compares.

mod canonical;
mod claim;
mod keys;
mod sign;
mod time;

use std::fmt;

use http::HeaderMap;
use subtle::ConstantTimeEq as _;

pub use claim::{Claim, claim};
pub use keys::SIGNING_KEYS_MAX;
pub use sign::{Signer, sign};
pub use time::amz_date;

use crate::errors::{ApiError, Exception};
use canonical::{PathForm, hash_request};
use keys::SigningKeys;

/// How far the clock of a caller may be off, either way (AWS: 15 minutes).
pub const CLOCK_SKEW_S_MAX: u64 = 15 * 60;
/// The longest life of a presigned request (AWS: 7 days).
pub const PRESIGNED_EXPIRES_S_MAX: u64 = 7 * 24 * 60 * 60;

/// What of a request is signed, as it was on the wire.
#[derive(Clone, Copy)]
pub struct RequestParts<'a> {
    pub method: &'a str,
    /// Percent-encoded, starting with `/`.
    pub path: &'a str,
    /// Without the question mark.
    pub query: Option<&'a str>,
    pub headers: &'a HeaderMap,
}

impl fmt::Debug for RequestParts<'_> {
    /// Without query and headers: they may hold tokens and signatures.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (method, path) = (self.method, self.path);
        f.debug_struct("RequestParts")
            .field("method", &method)
            .field("path", &path)
            .finish_non_exhaustive()
    }
}

/// What the body must be for the signature to cover it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExpectedPayload {
    Sha256([u8; 32]),
    Unsigned,
}

/// The secret side of an access key, as the lookup finds it.
#[derive(Clone, Copy)]
pub struct Credential<'c> {
    pub secret: &'c str,
    /// Temporary credentials come with a token that the request must carry.
    pub session_token: Option<&'c str>,
    /// Epoch seconds after which the credential is void.
    pub expires_s: Option<u64>,
}

impl fmt::Debug for Credential<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credential").field("expires_s", &self.expires_s).finish_non_exhaustive()
    }
}

/// A request whose signature is right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verified<'a> {
    pub access_key_id: &'a str,
    /// Compare with the digest of the body before acting on it.
    pub payload: ExpectedPayload,
}

/// Why a request is not believed. The texts are those AWS answers with.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuthError {
    #[error("Missing Authentication Token")]
    Missing,
    #[error("{0}")]
    Incomplete(String),
    #[error("The security token included in the request is invalid.")]
    UnknownKey,
    #[error("The security token included in the request is expired")]
    Expired,
    #[error("{0}")]
    Scope(String),
    #[error("Signature expired: {signed} is now earlier than {bound} ({now} - 15 min.)")]
    TooOld { signed: String, bound: String, now: String },
    #[error("Signature not yet current: {signed} is still later than {bound} ({now} + 15 min.)")]
    TooNew { signed: String, bound: String, now: String },
    #[error("Signature expired: {ended} is now earlier than {now}")]
    PresignedEnded { ended: String, now: String },
    #[error("There were headers present in the request which were not signed: {0}")]
    UnsignedHeader(String),
    #[error(
        "The request signature we calculated does not match the signature you provided. \
         Check your AWS Secret Access Key and signing method. \
         Consult the service documentation for details."
    )]
    Mismatch,
    #[error("The value of x-amz-content-sha256 is not supported: {0}")]
    PayloadMode(String),
}

impl From<AuthError> for ApiError {
    fn from(error: AuthError) -> Self {
        let exception = match &error {
            AuthError::Missing => Exception::MissingAuthenticationToken,
            AuthError::Incomplete(_) => Exception::IncompleteSignature,
            AuthError::UnknownKey => Exception::UnrecognizedClient,
            AuthError::Expired => Exception::ExpiredToken,
            AuthError::Scope(_)
            | AuthError::TooOld { .. }
            | AuthError::TooNew { .. }
            | AuthError::PresignedEnded { .. }
            | AuthError::UnsignedHeader(_)
            | AuthError::PayloadMode(_)
            | AuthError::Mismatch => Exception::InvalidSignature,
        };
        Self::new(exception, error.to_string())
    }
}

/// Checks claims for one region and service. Owned by a frontend, shared by its
/// tasks; its only state is a bounded cache of derived keys.
#[derive(Debug)]
pub struct Verifier {
    region: String,
    service: String,
    keys: SigningKeys,
}

impl Verifier {
    pub fn new(region: impl Into<String>, service: impl Into<String>) -> Self {
        Self { region: region.into(), service: service.into(), keys: SigningKeys::default() }
    }

    /// Verifies `claim`, which `claim(parts)` returned. `body_sha256` is needed
    /// where `claim.declared_payload()` is `None`: then the digest of the body
    /// is part of what was signed.
    ///
    /// # Errors
    /// `AuthError`, in the order scope, time, credential, signature.
    pub fn verify<'a, 'c>(
        &self,
        parts: &RequestParts<'_>,
        claim: &'a Claim<'_>,
        body_sha256: Option<&[u8; 32]>,
        now_s: u64,
        lookup: impl FnOnce(&str) -> Option<Credential<'c>>,
    ) -> Result<Verified<'a>, AuthError> {
        claim.check_scope(&self.region, &self.service)?;
        claim.check_time(now_s)?;
        claim.check_signed_headers(parts.headers)?;
        let credential = lookup(&claim.access_key_id).ok_or(AuthError::UnknownKey)?;
        check_credential(claim, &credential, now_s)?;
        let payload = self.payload(claim, body_sha256)?;

        let key = self.keys.get(claim, credential.secret, &self.region, &self.service);
        for form in PathForm::candidates(parts.path, &self.service) {
            let digest = hash_request(parts, claim, form, payload);
            if claim.signature_is(&key, &digest) {
                return Ok(Verified { access_key_id: &claim.access_key_id, payload });
            }
        }
        Err(AuthError::Mismatch)
    }

    fn payload(
        &self,
        claim: &Claim<'_>,
        body_sha256: Option<&[u8; 32]>,
    ) -> Result<ExpectedPayload, AuthError> {
        match (claim.declared_payload(), body_sha256) {
            (Some(payload), _) => Ok(payload),
            // A presigned request to S3 never covers the body.
            (None, _) if claim.is_presigned() && self.service == "s3" => {
                Ok(ExpectedPayload::Unsigned)
            }
            (None, Some(digest)) => Ok(ExpectedPayload::Sha256(*digest)),
            (None, None) => Err(AuthError::Mismatch),
        }
    }
}

fn check_credential(
    claim: &Claim<'_>,
    credential: &Credential<'_>,
    now_s: u64,
) -> Result<(), AuthError> {
    match (credential.session_token, claim.session_token.as_deref()) {
        (None, None) => {}
        (Some(kept), Some(sent)) if bool::from(kept.as_bytes().ct_eq(sent.as_bytes())) => {}
        (Some(_), _) | (None, Some(_)) => return Err(AuthError::UnknownKey),
    }
    if credential.expires_s.is_some_and(|end| now_s >= end) {
        return Err(AuthError::Expired);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_failure_is_a_403_with_the_name_clients_know() {
        let text = || "x".to_owned();
        for (error, name) in [
            (AuthError::Missing, "MissingAuthenticationTokenException"),
            (AuthError::Incomplete(text()), "IncompleteSignatureException"),
            (AuthError::UnknownKey, "UnrecognizedClientException"),
            (AuthError::Expired, "ExpiredTokenException"),
            (AuthError::Scope(text()), "InvalidSignatureException"),
            (AuthError::PresignedEnded { ended: text(), now: text() }, "InvalidSignatureException"),
            (AuthError::UnsignedHeader(text()), "InvalidSignatureException"),
            (AuthError::Mismatch, "InvalidSignatureException"),
        ] {
            let error = ApiError::from(error);
            assert_eq!((error.error_type(), error.status().as_u16()), (name, 403));
        }
    }

    #[test]
    fn secrets_are_not_printed() {
        let (secret, token) = ("s3cr3t", "t0ken");
        let credential = Credential { secret, session_token: Some(token), expires_s: None };
        let signer = Signer { access_key_id: "AKID", credential, region: "r-1", service: "lambda" };
        let mut headers = HeaderMap::new();
        headers.insert("host", http::HeaderValue::from_static("h"));
        sign(&signer, "GET", "/", None, &mut headers, b"", 0).expect("signed");
        let parts = RequestParts { method: "GET", path: "/", query: None, headers: &headers };
        let claim = claim(&parts).expect("a claim");
        let verifier = Verifier::new("r-1", "lambda");
        let answer = verifier.verify(&parts, &claim, None, 0, |_| Some(credential));
        let printed = format!("{signer:?} {parts:?} {claim:?} {verifier:?} {answer:?}");
        let authorization = headers["authorization"].to_str().expect("text");
        let signature = authorization.rsplit('=').next().expect("a signature");
        for hidden in [secret, token, signature] {
            assert!(!printed.contains(hidden), "{printed}");
        }
        assert!(answer.is_ok());
    }
}
