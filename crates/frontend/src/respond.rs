//! The answer to a call, in the documented headers. The last step of the path; the
//! answers of refusals are made in `refusal`.

use std::fmt::Write;

use crate::{affinity, run::Outcome, view::Callable};
use aws_api::invoke;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use http_body_util::Full;
use model::RequestId;

pub(crate) type Answer = Response<Full<Bytes>>;

pub(crate) fn dry_run() -> Answer {
    with_status(StatusCode::NO_CONTENT, Bytes::new())
}

/// Handler errors, timeouts and crashes are answers too: 200, and said in a header.
pub(crate) fn ran(callable: &Callable, outcome: Outcome) -> Answer {
    let Outcome { ran, body, affinity } = outcome;
    let mut answer = with_status(StatusCode::OK, body);
    let headers = answer.headers_mut();
    let json = HeaderValue::from_static("application/json");
    headers.insert(header::CONTENT_TYPE, json);
    let mut version = String::new();
    let _ = write!(version, "{}", callable.config.version);
    if let Ok(version) = HeaderValue::try_from(version) {
        headers.insert(invoke::EXECUTED_VERSION, version);
    }
    if let Some(answer) = affinity {
        affinity::tell(headers, answer);
    }
    if ran.function_error {
        mark_failed(headers);
    }
    if let Some(tail) = ran.log_tail
        && let Ok(tail) = HeaderValue::try_from(invoke::encode_log_result(&tail))
    {
        headers.insert(invoke::LOG_RESULT, tail);
    }
    answer
}

/// The function failed: the body is its error, and the status still 200.
pub(crate) fn mark_failed(headers: &mut HeaderMap) {
    let unhandled = HeaderValue::from_static(invoke::FUNCTION_ERROR_UNHANDLED);
    headers.insert(invoke::FUNCTION_ERROR, unhandled);
}

pub(crate) fn with_status(status: StatusCode, body: Bytes) -> Answer {
    let mut answer = Response::new(Full::new(body));
    *answer.status_mut() = status;
    answer
}

/// In the form that Prometheus reads.
pub(crate) fn with_text(page: String) -> Answer {
    let mut answer = with_status(StatusCode::OK, Bytes::from(page));
    let text = HeaderValue::from_static(platform::meters::CONTENT_TYPE);
    answer.headers_mut().insert(header::CONTENT_TYPE, text);
    answer
}

/// Every answer names its request.
pub(crate) fn name_request(answer: &mut Answer, request: RequestId) {
    if let Ok(id) = HeaderValue::from_bytes(&request.to_ascii()) {
        answer.headers_mut().insert(invoke::REQUEST_ID, id);
    }
}
