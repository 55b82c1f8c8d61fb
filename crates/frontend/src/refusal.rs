//! Why a call was not run, and the one place where that becomes an answer. What
//! the operator needs to know is logged here; the caller gets the public text.

use std::fmt;

use aws_api::{
    errors::{ApiError, Exception, ThrottleReason},
    invoke,
    runtime_api::FunctionError,
    sigv4,
};
use bytes::Bytes;
use http::{HeaderValue, StatusCode, header};
use model::{Denied, Reason, RequestId, Span, limits, reason::ReasonKind};
use wire::worker::StartFailure;

use crate::respond::{self, Answer};

#[derive(Debug)]
pub(crate) enum Refusal {
    /// The request is malformed, unsigned, or of no known form.
    Api(ApiError),
    Signature(sigv4::AuthError),
    FunctionNotFound {
        arn: String,
    },
    InvalidParameter {
        message: String,
    },
    Pending,
    Failed {
        code: String,
        reason: String,
    },
    PayloadTooLarge {
        length: u64,
    },
    NotJson {
        message: String,
    },
    BodyBroken,
    BodyTooSlow,
    Denied(Denied),
    StartFailed(StartFailure),
    /// The platform failed; the text is for operators.
    Internal {
        message: String,
    },
}

impl From<Denied> for Refusal {
    fn from(denied: Denied) -> Refusal {
        Refusal::Denied(denied)
    }
}

impl Refusal {
    pub(crate) fn internal(what: impl fmt::Display) -> Refusal {
        Refusal::Internal { message: what.to_string() }
    }

    /// No manager answers for the call.
    pub(crate) fn no_manager() -> Refusal {
        Refusal::Denied(Denied { reason: Reason::NoManager, retry_after: Span::secs(1) })
    }

    pub(crate) fn into_answer(self, request: RequestId) -> Answer {
        if let Refusal::StartFailed(StartFailure::InvalidEntryPoint { message }) = &self {
            return invalid_entry_point(request, message);
        }
        error_answer(&self.into_error(request))
    }

    fn into_error(self, request: RequestId) -> ApiError {
        match self {
            Refusal::Api(error) => error,
            Refusal::Signature(error) => error.into(),
            Refusal::FunctionNotFound { arn } => ApiError::function_not_found(&arn),
            Refusal::InvalidParameter { message } => ApiError::invalid_parameter(message),
            Refusal::Pending => ApiError::function_in_state("Pending"),
            Refusal::Failed { code, reason } => ApiError::new(
                Exception::InvalidZipFile,
                format!("The function cannot be invoked: {code}: {reason}"),
            ),
            Refusal::PayloadTooLarge { length } => {
                ApiError::payload_too_large(length, limits::PAYLOAD_SYNC_BYTES_MAX)
            }
            Refusal::NotJson { message } => ApiError::payload_not_json(&message),
            Refusal::BodyBroken => ApiError::new(
                Exception::RequestTimeout,
                "The request body ended before its declared length.",
            ),
            Refusal::BodyTooSlow => ApiError::new(
                Exception::RequestTimeout,
                "The request body took longer than 300 seconds to arrive.",
            ),
            Refusal::Denied(denied) => throttled(denied),
            Refusal::StartFailed(StartFailure::InvalidRuntime { message }) => {
                ApiError::new(Exception::InvalidRuntime, message)
            }
            Refusal::StartFailed(StartFailure::NoRoom) => {
                throttled(Denied { reason: Reason::NoCapacity, retry_after: Span::ZERO })
            }
            Refusal::StartFailed(
                StartFailure::Platform { message }
                | StartFailure::InvalidEntryPoint { message }
                | StartFailure::InitFailed { message },
            )
            | Refusal::Internal { message } => {
                tracing::error!(%request, message, "a call failed inside the platform");
                ApiError::service()
            }
        }
    }
}

/// Limits are 429 with a documented reason, capacity is 503: never the other way (I27).
fn throttled(Denied { reason, retry_after }: Denied) -> ApiError {
    let retry_after_s = u32::try_from(retry_after.as_millis().div_ceil(1_000)).unwrap_or(1).max(1);
    let documented = match reason {
        Reason::ConcurrentInvocationLimitExceeded
        // Ours; the documented word nearest to them is the general one.
        | Reason::TenantConcurrentInvocationLimitExceeded
        | Reason::AffinityBusy => {
            ThrottleReason::ConcurrentInvocationLimitExceeded
        }
        // AWS documents "Rate exceeded" for too many environments of tenants.
        Reason::FunctionInvocationRateLimitExceeded | Reason::TenantEnvironmentLimitExceeded => {
            ThrottleReason::FunctionInvocationRateLimitExceeded
        }
        Reason::ReservedFunctionConcurrentInvocationLimitExceeded => {
            ThrottleReason::ReservedFunctionConcurrentInvocationLimitExceeded
        }
        Reason::ReservedFunctionInvocationRateLimitExceeded => {
            ThrottleReason::ReservedFunctionInvocationRateLimitExceeded
        }
        Reason::CallerRateLimitExceeded => ThrottleReason::CallerRateLimitExceeded,
        Reason::ConcurrentSnapshotCreateLimitExceeded => {
            ThrottleReason::ConcurrentSnapshotCreateLimitExceeded
        }
        Reason::NoCapacity | Reason::NoManager => {
            debug_assert_eq!(reason.kind(), ReasonKind::Capacity);
            tracing::warn!(reason = reason.as_str(), "no room for a call");
            return ApiError::new(
                Exception::ServiceUnavailable,
                format!("The installation has no room for this call now ({}).", reason.as_str()),
            );
        }
    };
    ApiError::throttled(documented, retry_after_s)
}

pub(crate) fn error_answer(error: &ApiError) -> Answer {
    let mut answer = respond::with_status(error.status(), Bytes::from(error.body()));
    let headers = answer.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(invoke::ERROR_TYPE, HeaderValue::from_static(error.error_type()));
    if let Some(seconds) = error.retry_after_s() {
        headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    answer
}

/// The function's fault, so an answer of the function: 200 and said in a header.
fn invalid_entry_point(request: RequestId, message: &str) -> Answer {
    let message = format!("RequestId: {request} Error: {message}");
    let body = FunctionError::new("Runtime.InvalidEntrypoint", message).to_json();
    let mut answer = respond::with_status(StatusCode::OK, Bytes::from(body));
    let headers = answer.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    respond::mark_failed(headers);
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn i27_limits_are_429_and_capacity_is_503() {
        let cases = [
            (Reason::ConcurrentInvocationLimitExceeded, 429),
            (Reason::ReservedFunctionConcurrentInvocationLimitExceeded, 429),
            (Reason::FunctionInvocationRateLimitExceeded, 429),
            (Reason::TenantConcurrentInvocationLimitExceeded, 429),
            (Reason::TenantEnvironmentLimitExceeded, 429),
            (Reason::AffinityBusy, 429),
            (Reason::NoCapacity, 503),
            (Reason::NoManager, 503),
        ];
        for (reason, status) in cases {
            let error = throttled(Denied { reason, retry_after: Span::millis(1_500) });
            assert_eq!(error.status(), status, "{reason:?}");
            assert_eq!(error.retry_after_s(), (status == 429).then_some(2));
        }
    }

    #[test]
    fn the_inside_is_not_told_to_callers() {
        let refusal = Refusal::internal("disk /var/lib/x is full");
        let answer = refusal.into_error(RequestId::from_random(1));
        assert!(!String::from_utf8(answer.body()).unwrap().contains("/var/lib"));
    }
}
