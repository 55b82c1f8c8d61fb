//! The other side: signs a request with the same canonical form that `verify`
//! reads. For the command line's own calls and for tests.

use http::HeaderMap;
use http::header::{AUTHORIZATION, HeaderName, HeaderValue, InvalidHeaderValue};
use sha2::{Digest as _, Sha256};

use super::canonical::{PathForm, hash_request};
use super::claim::Claim;
use super::keys::derive;
use super::{Credential, ExpectedPayload, RequestParts, time};

/// Who signs, and for what.
#[derive(Clone, Copy, Debug)]
pub struct Signer<'a> {
    pub access_key_id: &'a str,
    pub credential: Credential<'a>,
    pub region: &'a str,
    pub service: &'a str,
}

/// Headers that a proxy or a client's transport may change on the way.
const NEVER_SIGNED: [&str; 5] =
    ["authorization", "connection", "transfer-encoding", "user-agent", "x-amzn-trace-id"];

/// Adds `x-amz-date`, `x-amz-content-sha256`, the session token if there is one,
/// and `authorization` to `headers`, which must already have `host`.
///
/// # Errors
/// Where the key id or the token cannot be a header value.
pub fn sign(
    signer: &Signer<'_>,
    method: &str,
    path: &str,
    query: Option<&str>,
    headers: &mut HeaderMap,
    body: &[u8],
    now_s: u64,
) -> Result<(), InvalidHeaderValue> {
    let date = time::amz_date(now_s);
    let digest: [u8; 32] = Sha256::digest(body).into();
    let added = [
        ("x-amz-date", Some(date.as_str())),
        ("x-amz-content-sha256", Some(&*hex::encode(digest))),
        ("x-amz-security-token", signer.credential.session_token),
    ];
    for (name, value) in added {
        if let Some(value) = value {
            headers.insert(HeaderName::from_static(name), HeaderValue::from_str(value)?);
        }
    }
    let mut names: Vec<&str> =
        headers.keys().map(HeaderName::as_str).filter(|n| !NEVER_SIGNED.contains(n)).collect();
    names.sort_unstable();
    let names = names.join(";");
    let claim = Claim::unsigned(signer, &date, &names);
    let form = PathForm::candidates(path, signer.service).next().unwrap_or(PathForm::Encoded);
    let parts = RequestParts { method, path, query, headers };
    let request = hash_request(&parts, &claim, form, ExpectedPayload::Sha256(digest));
    let key = derive(signer.credential.secret, &date[..8], signer.region, signer.service);
    let authorization = claim.authorization(&key, &request);
    headers.insert(AUTHORIZATION, HeaderValue::from_str(&authorization)?);
    Ok(())
}
