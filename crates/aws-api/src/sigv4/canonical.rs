//! The canonical request: the one form of a request that both sides digest.
//!
//! Written as bytes into one buffer, in the order of the specification: method,
//! path, query, headers, names of the headers, payload.

use http::HeaderMap;
use sha2::{Digest as _, Sha256};

use super::claim::Claim;
use super::{ExpectedPayload, RequestParts};
use crate::encoding::{is_unreserved, percent_decode_bytes, percent_encode_into};

/// Room for the canonical form of an ordinary call without growing.
const CANONICAL_BYTES_TYPICAL: usize = 1024;

/// How the path enters the canonical form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PathForm {
    /// Encoded once more: every service but S3.
    Encoded,
    /// Encoded once more after `//`, `.` and `..` are resolved.
    Normalized,
    /// As on the wire: S3.
    Verbatim,
}

impl PathForm {
    /// The forms in use for this path. Most SDKs resolve dots and doubled
    /// slashes, some do not; an ordinary path has one form.
    pub(super) fn candidates(path: &str, service: &str) -> impl Iterator<Item = Self> {
        let resolvable = path.contains("//") || path.contains("/.");
        let (first, second) = match (service, resolvable) {
            ("s3", _) => (Self::Verbatim, None),
            (_, true) => (Self::Normalized, Some(Self::Encoded)),
            (_, false) => (Self::Encoded, None),
        };
        std::iter::once(first).chain(second)
    }
}

/// The SHA-256 of the canonical request.
pub(super) fn hash_request(
    parts: &RequestParts<'_>,
    claim: &Claim<'_>,
    form: PathForm,
    payload: ExpectedPayload,
) -> [u8; 32] {
    let mut out = Vec::with_capacity(CANONICAL_BYTES_TYPICAL);
    out.extend_from_slice(parts.method.as_bytes());
    out.push(b'\n');
    path(&mut out, parts.path, form);
    out.push(b'\n');
    query(&mut out, parts.query.unwrap_or_default(), claim.is_presigned());
    out.push(b'\n');
    for name in claim.signed_headers.split(';') {
        header(&mut out, name, parts.headers);
    }
    out.push(b'\n');
    out.extend_from_slice(claim.signed_headers.as_bytes());
    out.push(b'\n');
    match (claim.payload_text(), payload) {
        (Some(text), _) => out.extend_from_slice(text.as_bytes()),
        (None, ExpectedPayload::Unsigned) => out.extend_from_slice(b"UNSIGNED-PAYLOAD"),
        (None, ExpectedPayload::Sha256(digest)) => {
            out.extend_from_slice(hex::encode(digest).as_bytes());
        }
    }
    Sha256::digest(&out).into()
}

fn path(out: &mut Vec<u8>, path: &str, form: PathForm) {
    match form {
        PathForm::Verbatim => out.extend_from_slice(path.as_bytes()),
        PathForm::Encoded => encode_path(out, path),
        PathForm::Normalized => encode_path(out, &resolve(path)),
    }
}

fn encode_path(out: &mut Vec<u8>, path: &str) {
    for (index, segment) in path.split('/').enumerate() {
        if index > 0 {
            out.push(b'/');
        }
        percent_encode_into(out, segment.as_bytes());
    }
}

/// Drops empty and `.` segments, lets `..` take the one before it, and keeps a
/// trailing slash.
fn resolve(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." => {
                kept.pop();
            }
            other => kept.push(other),
        }
    }
    let mut out = String::with_capacity(path.len());
    for segment in &kept {
        out.push('/');
        out.push_str(segment);
    }
    let ends_open = path.ends_with('/') || path.ends_with("/.") || path.ends_with("/..");
    if ends_open || kept.is_empty() {
        out.push('/');
    }
    out
}

fn query(out: &mut Vec<u8>, query: &str, presigned: bool) {
    if query.is_empty() {
        return;
    }
    let mut pairs: Vec<(Vec<u8>, Vec<u8>)> = query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            (reencode(key), reencode(value))
        })
        .filter(|(key, _)| !(presigned && key == b"X-Amz-Signature"))
        .collect();
    pairs.sort_unstable();
    for (index, (key, value)) in pairs.iter().enumerate() {
        if index > 0 {
            out.push(b'&');
        }
        out.extend_from_slice(key);
        out.push(b'=');
        out.extend_from_slice(value);
    }
}

/// One encoding of a query part, whichever way the client wrote it.
fn reencode(part: &str) -> Vec<u8> {
    if part.bytes().all(is_unreserved) {
        return part.as_bytes().to_vec();
    }
    let spaced = part.replace('+', "%20");
    // A broken escape is taken as it stands, which no client has signed.
    let plain = percent_decode_bytes(spaced.as_bytes()).unwrap_or_else(|| part.as_bytes().to_vec());
    let mut out = Vec::with_capacity(part.len());
    percent_encode_into(&mut out, &plain);
    out
}

fn header(out: &mut Vec<u8>, name: &str, headers: &HeaderMap) {
    out.extend_from_slice(name.as_bytes());
    out.push(b':');
    for (index, value) in headers.get_all(name).iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        collapse(out, value.as_bytes());
    }
    out.push(b'\n');
}

/// Appends a value without outer white space and with inner runs as one space.
fn collapse(out: &mut Vec<u8>, value: &[u8]) {
    let mut gap = false;
    let mut begun = false;
    for byte in value.trim_ascii() {
        if byte.is_ascii_whitespace() {
            gap = true;
            continue;
        }
        if gap && begun {
            out.push(b' ');
        }
        gap = false;
        begun = true;
        out.push(*byte);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).expect("ASCII")
    }

    #[test]
    fn queries_have_one_form() {
        for (given, expected) in [
            ("b=2&a=1", "a=1&b=2"),
            ("a", "a="),
            ("a=b+c&&d=%2f%7E", "a=b%20c&d=%2F~"),
            ("a=2&a=1&a-=0", "a=1&a=2&a-=0"),
            ("Qualifier=$LATEST", "Qualifier=%24LATEST"),
        ] {
            assert_eq!(text(|out| query(out, given, false)), expected);
        }
        assert_eq!(text(|out| query(out, "X-Amz-Signature=0&a=1", true)), "a=1");
    }

    #[test]
    fn paths_have_the_forms_of_their_service() {
        for (given, expected) in [
            ("/", "/"),
            ("//a/./b/../c//", "/a/c/"),
            ("/a/..", "/"),
            ("/../a", "/a"),
            ("/a/.", "/a/"),
        ] {
            assert_eq!(resolve(given), expected, "{given}");
        }
        let path_of = |form| text(|out| path(out, "/f/arn%3Aaws//x", form));
        assert_eq!(path_of(PathForm::Encoded), "/f/arn%253Aaws//x");
        assert_eq!(path_of(PathForm::Normalized), "/f/arn%253Aaws/x");
        assert_eq!(path_of(PathForm::Verbatim), "/f/arn%3Aaws//x");
    }

    #[test]
    fn header_values_are_trimmed_and_joined() {
        let mut headers = HeaderMap::new();
        headers.append("x-a", "  b   c ".parse().expect("a value"));
        headers.append("x-a", "d".parse().expect("a value"));
        assert_eq!(text(|out| header(out, "x-a", &headers)), "x-a:b c,d\n");
        assert_eq!(text(|out| header(out, "x-b", &headers)), "x-b:\n");
    }
}
