//! The body of a call: bounded before it is read, read once, and JSON before
//! anything runs.

use bytes::Bytes;
use http::request::Parts;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Incoming;
use model::limits;

use crate::refusal::Refusal;

/// What a function gets where the caller sent nothing.
const NO_EVENT: &[u8] = b"{}";

/// Refuses by the declared length, before a byte of the body is read.
pub(crate) fn check_length(parts: &Parts) -> Result<(), Refusal> {
    match declared_length(parts) {
        Some(length) if length > limits::PAYLOAD_SYNC_BYTES_MAX => {
            Err(Refusal::PayloadTooLarge { length })
        }
        Some(_) | None => Ok(()),
    }
}

/// `None` where the request does not say, or says no number.
pub(crate) fn declared_length(parts: &Parts) -> Option<u64> {
    parts.headers.get(http::header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

pub(crate) async fn receive(body: Incoming) -> Result<Bytes, Refusal> {
    let over = || Refusal::PayloadTooLarge { length: limits::PAYLOAD_SYNC_BYTES_MAX + 1 };
    collect(body, limits::PAYLOAD_SYNC_BYTES_MAX, over).await
}

/// A whole body within a length and a time.
pub(crate) async fn collect(
    body: Incoming,
    bytes_max: u64,
    too_long: impl FnOnce() -> Refusal,
) -> Result<Bytes, Refusal> {
    let limit = usize::try_from(bytes_max).unwrap_or(usize::MAX);
    let whole = Limited::new(body, limit).collect();
    match tokio::time::timeout(limits::BODY_READ_TIMEOUT.to_std(), whole).await {
        Ok(Ok(whole)) => Ok(whole.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_long()),
        Ok(Err(_)) => Err(Refusal::BodyBroken),
        Err(_) => Err(Refusal::BodyTooSlow),
    }
}

/// The event: JSON, or the empty object for an empty body.
pub(crate) fn event(payload: Bytes) -> Result<Bytes, Refusal> {
    if payload.is_empty() {
        return Ok(Bytes::from_static(NO_EVENT));
    }
    match serde_json::from_slice::<serde::de::IgnoredAny>(&payload) {
        Ok(_) => Ok(payload),
        Err(error) => Err(Refusal::NotJson { message: error.to_string() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_json_is_an_event() {
        for good in ["null", "1", r#""text""#, "{}", " [1, 2] "] {
            assert!(event(Bytes::from_static(good.as_bytes())).is_ok(), "{good}");
        }
        for bad in ["{", "text", "{} {}", "'x'"] {
            assert!(event(Bytes::from_static(bad.as_bytes())).is_err(), "{bad}");
        }
        assert_eq!(&event(Bytes::new()).unwrap()[..], b"{}");
    }

    #[test]
    fn a_declared_length_is_judged_before_the_body() {
        let parts = |length: u64| {
            let request = http::Request::builder().header("content-length", length);
            request.body(()).unwrap().into_parts().0
        };
        assert!(check_length(&parts(limits::PAYLOAD_SYNC_BYTES_MAX)).is_ok());
        let over = check_length(&parts(limits::PAYLOAD_SYNC_BYTES_MAX + 1));
        assert!(matches!(over, Err(Refusal::PayloadTooLarge { .. })));
    }
}
