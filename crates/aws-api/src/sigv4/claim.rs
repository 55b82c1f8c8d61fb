//! What a request says about its own signature: key, scope, time, signed
//! headers, signature, and what it declares about its payload. Read from the
//! Authorization header or from the query of a presigned request.

use std::borrow::Cow;
use std::fmt;

use hmac::Mac as _;
use http::HeaderMap;

use super::keys::SigningKey;
use super::{
    AuthError, CLOCK_SKEW_S_MAX, ExpectedPayload, PRESIGNED_EXPIRES_S_MAX, RequestParts, Signer,
    time,
};
use crate::encoding::query_decode;

const ALGORITHM: &str = "AWS4-HMAC-SHA256";
const UNSIGNED_PAYLOAD: &str = "UNSIGNED-PAYLOAD";
/// Chunks without signatures of their own: as good as unsigned.
const STREAMING_UNSIGNED: &str = "STREAMING-UNSIGNED-PAYLOAD-TRAILER";

/// A request's statement about itself; nothing in it is believed yet.
#[derive(Clone)]
pub struct Claim<'a> {
    pub access_key_id: Cow<'a, str>,
    pub(super) session_token: Option<Cow<'a, str>>,
    pub(super) scope_date: Cow<'a, str>,
    pub(super) signed_headers: Cow<'a, str>,
    region: Cow<'a, str>,
    service: Cow<'a, str>,
    terminator: Cow<'a, str>,
    date: Cow<'a, str>,
    signed_s: u64,
    signature: [u8; 32],
    payload: Option<(&'a str, ExpectedPayload)>,
    /// Life in seconds of a presigned request.
    expires_s: Option<u64>,
}

impl fmt::Debug for Claim<'_> {
    /// Without the token and the signature, which are as good as a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Claim")
            .field("access_key_id", &self.access_key_id)
            .field("date", &self.date)
            .field("signed_headers", &self.signed_headers)
            .finish_non_exhaustive()
    }
}

/// Reads the claim of a request.
///
/// # Errors
/// `AuthError::Missing` without any signature, `AuthError::Incomplete` or
/// `AuthError::PayloadMode` where a part is missing or malformed.
pub fn claim<'a>(parts: &RequestParts<'a>) -> Result<Claim<'a>, AuthError> {
    if let Some(value) = parts.headers.get(http::header::AUTHORIZATION) {
        let value = value.to_str().map_err(|_| incomplete("Authorization header is not text."))?;
        return from_header(value, parts.headers);
    }
    let query = parts.query.unwrap_or_default();
    if query.contains("X-Amz-Signature=") {
        return from_query(query, parts.headers);
    }
    Err(AuthError::Missing)
}

/// The written parts of a signature, from wherever they came.
struct Written<'a> {
    credential: Cow<'a, str>,
    date: Cow<'a, str>,
    signed_headers: Cow<'a, str>,
    signature: Cow<'a, str>,
    session_token: Option<Cow<'a, str>>,
    expires_s: Option<u64>,
}

fn from_header<'a>(value: &'a str, headers: &'a HeaderMap) -> Result<Claim<'a>, AuthError> {
    let fields = value.strip_prefix(ALGORITHM).ok_or_else(|| {
        incomplete("Authorization header requires the algorithm AWS4-HMAC-SHA256.")
    })?;
    let field = |name: &'static str| {
        fields
            .split(',')
            .filter_map(|field| field.trim().split_once('='))
            .find(|(key, _)| *key == name)
            .map(|(_, value)| Cow::Borrowed(value))
            .ok_or_else(|| {
                AuthError::Incomplete(format!("Authorization header requires '{name}' parameter."))
            })
    };
    let date = text_header(headers, "x-amz-date").ok_or_else(|| {
        incomplete(
            "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header.",
        )
    })?;
    let written = Written {
        credential: field("Credential")?,
        date: Cow::Borrowed(date),
        signed_headers: field("SignedHeaders")?,
        signature: field("Signature")?,
        session_token: text_header(headers, "x-amz-security-token").map(Cow::Borrowed),
        expires_s: None,
    };
    build(written, headers)
}

fn from_query<'a>(query: &'a str, headers: &'a HeaderMap) -> Result<Claim<'a>, AuthError> {
    let optional = |name: &str| {
        query
            .split('&')
            .filter_map(|pair| pair.split_once('='))
            .find(|(key, _)| *key == name)
            .and_then(|(_, value)| query_decode(value))
    };
    let field = |name: &'static str| {
        optional(name).ok_or_else(|| {
            AuthError::Incomplete(format!("AWS query-string parameters must include '{name}'."))
        })
    };
    if field("X-Amz-Algorithm")? != ALGORITHM {
        return Err(incomplete("X-Amz-Algorithm must be AWS4-HMAC-SHA256."));
    }
    let expires_s = field("X-Amz-Expires")?
        .parse()
        .ok()
        .filter(|s| (1..=PRESIGNED_EXPIRES_S_MAX).contains(s))
        .ok_or_else(|| incomplete("X-Amz-Expires must be from 1 to 604800 seconds."))?;
    let written = Written {
        credential: field("X-Amz-Credential")?,
        date: field("X-Amz-Date")?,
        signed_headers: field("X-Amz-SignedHeaders")?,
        signature: field("X-Amz-Signature")?,
        session_token: optional("X-Amz-Security-Token"),
        expires_s: Some(expires_s),
    };
    build(written, headers)
}

fn build<'a>(written: Written<'a>, headers: &'a HeaderMap) -> Result<Claim<'a>, AuthError> {
    let [access_key_id, scope_date, region, service, terminator] =
        split_credential(written.credential)
            .ok_or_else(|| incomplete("Credential must have five parts separated by '/'."))?;
    let signed_s = time::parse(&written.date)
        .ok_or_else(|| incomplete("X-Amz-Date must be in ISO-8601 'basic format'."))?;
    let mut signature = [0; 32];
    hex::decode_to_slice(written.signature.as_bytes(), &mut signature)
        .map_err(|_| incomplete("Signature must be 64 hexadecimal digits."))?;
    let payload = match text_header(headers, "x-amz-content-sha256") {
        None => None,
        Some(text) => Some((text, declared(text)?)),
    };
    Ok(Claim {
        access_key_id,
        session_token: written.session_token,
        scope_date,
        signed_headers: written.signed_headers,
        region,
        service,
        terminator,
        date: written.date,
        signed_s,
        signature,
        payload,
        expires_s: written.expires_s,
    })
}

fn split_credential(credential: Cow<'_, str>) -> Option<[Cow<'_, str>; 5]> {
    fn five<'s, T>(text: &'s str, own: impl Fn(&'s str) -> T) -> Option<[T; 5]> {
        let mut parts = text.split('/').map(own);
        let five = [parts.next()?, parts.next()?, parts.next()?, parts.next()?, parts.next()?];
        parts.next().is_none().then_some(five)
    }
    match credential {
        Cow::Borrowed(text) => five(text, Cow::Borrowed),
        Cow::Owned(text) => five(&text, |part| Cow::Owned(part.to_owned())),
    }
}

fn declared(text: &str) -> Result<ExpectedPayload, AuthError> {
    if text == UNSIGNED_PAYLOAD || text == STREAMING_UNSIGNED {
        return Ok(ExpectedPayload::Unsigned);
    }
    let mut digest = [0; 32];
    hex::decode_to_slice(text, &mut digest).map_err(|_| AuthError::PayloadMode(text.to_owned()))?;
    Ok(ExpectedPayload::Sha256(digest))
}

impl Claim<'_> {
    /// What the request says its body is; `None` where only the body can tell,
    /// and its digest must be known before the signature can be checked.
    pub fn declared_payload(&self) -> Option<ExpectedPayload> {
        self.payload.map(|(_, payload)| payload)
    }

    pub fn is_presigned(&self) -> bool {
        self.expires_s.is_some()
    }

    /// The payload line of the canonical request as the client wrote it.
    pub(super) fn payload_text(&self) -> Option<&str> {
        self.payload.map(|(text, _)| text)
    }

    pub(super) fn check_scope(&self, region: &str, service: &str) -> Result<(), AuthError> {
        if self.service != service {
            let text = format!("Credential should be scoped to correct service: '{service}'. ");
            return Err(AuthError::Scope(text));
        }
        if self.region != region {
            let text =
                format!("Credential should be scoped to a valid region, not '{}'. ", self.region);
            return Err(AuthError::Scope(text));
        }
        if self.terminator != "aws4_request" {
            let text = "Credential should be scoped with a valid terminator: 'aws4_request'. ";
            return Err(AuthError::Scope(text.to_owned()));
        }
        if !self.date.starts_with(&*self.scope_date) || self.scope_date.len() != 8 {
            let text = "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP";
            return Err(AuthError::Scope(text.to_owned()));
        }
        Ok(())
    }

    pub(super) fn check_time(&self, now_s: u64) -> Result<(), AuthError> {
        let text = time::amz_date;
        if self.signed_s > now_s + CLOCK_SKEW_S_MAX {
            let bound = text(now_s + CLOCK_SKEW_S_MAX);
            return Err(AuthError::TooNew { signed: text(self.signed_s), bound, now: text(now_s) });
        }
        if let Some(expires_s) = self.expires_s {
            let ended_s = self.signed_s + expires_s;
            if now_s > ended_s {
                return Err(AuthError::PresignedEnded { ended: text(ended_s), now: text(now_s) });
            }
        } else if self.signed_s + CLOCK_SKEW_S_MAX < now_s {
            let bound = text(now_s.saturating_sub(CLOCK_SKEW_S_MAX));
            return Err(AuthError::TooOld { signed: text(self.signed_s), bound, now: text(now_s) });
        }
        Ok(())
    }

    /// `host` and every `x-amz-` header must be covered, or they could be
    /// changed or added on the way.
    pub(super) fn check_signed_headers(&self, headers: &HeaderMap) -> Result<(), AuthError> {
        let is_signed = |name: &str| self.signed_headers.split(';').any(|signed| signed == name);
        let unsigned = std::iter::once("host")
            .chain(headers.keys().map(|name| name.as_str()).filter(|n| n.starts_with("x-amz-")))
            .find(|name| !is_signed(name));
        match unsigned {
            None => Ok(()),
            Some(name) => Err(AuthError::UnsignedHeader(name.to_owned())),
        }
    }

    /// Compares in constant time.
    pub(super) fn signature_is(&self, key: &SigningKey, request_sha256: &[u8; 32]) -> bool {
        self.mac(key, request_sha256).verify_slice(&self.signature).is_ok()
    }

    /// The authenticated text: algorithm, time, scope and digest of the request.
    pub(super) fn mac(&self, key: &SigningKey, request_sha256: &[u8; 32]) -> SigningKey {
        let mut mac = key.clone();
        for part in [
            ALGORITHM.as_bytes(),
            b"\n",
            self.date.as_bytes(),
            b"\n",
            self.scope_date.as_bytes(),
            b"/",
            self.region.as_bytes(),
            b"/",
            self.service.as_bytes(),
            b"/aws4_request\n",
            hex::encode(request_sha256).as_bytes(),
        ] {
            mac.update(part);
        }
        mac
    }
}

impl<'a> Claim<'a> {
    /// The claim a signer is about to make; its signature is still to be computed.
    pub(super) fn unsigned(signer: &Signer<'a>, date: &'a str, signed_headers: &'a str) -> Self {
        Self {
            access_key_id: signer.access_key_id.into(),
            session_token: signer.credential.session_token.map(Cow::Borrowed),
            scope_date: date[..8].into(),
            signed_headers: signed_headers.into(),
            region: signer.region.into(),
            service: signer.service.into(),
            terminator: "aws4_request".into(),
            date: date.into(),
            signed_s: 0,
            signature: [0; 32],
            payload: None,
            expires_s: None,
        }
    }

    pub(super) fn authorization(&self, key: &SigningKey, request_sha256: &[u8; 32]) -> String {
        let signature = hex::encode(self.mac(key, request_sha256).finalize().into_bytes());
        format!(
            "{ALGORITHM} Credential={}/{}/{}/{}/{}, SignedHeaders={}, Signature={signature}",
            self.access_key_id,
            self.scope_date,
            self.region,
            self.service,
            self.terminator,
            self.signed_headers,
        )
    }
}

fn text_header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

fn incomplete(text: &str) -> AuthError {
    AuthError::Incomplete(text.to_owned())
}
