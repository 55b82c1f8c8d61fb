//! The answer to a call, in the documented headers. The last step of the path; the
//! answers of refusals are made in `refusal`.

use std::fmt::Write;

use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use http_body_util::Full;
use model::RequestId;
use wire::worker::Ran;

use crate::view::Callable;

pub(crate) type Answer = Response<Full<Bytes>>;

pub(crate) fn dry_run() -> Answer {
    with_status(StatusCode::NO_CONTENT, Bytes::new())
}

/// Handler errors, timeouts and crashes are answers too: 200, and said in a header.
pub(crate) fn ran(callable: &Callable, ran: Ran, body: Bytes) -> Answer {
    let mut answer = with_status(StatusCode::OK, body);
    let headers = answer.headers_mut();
    let json = HeaderValue::from_static("application/json");
    headers.insert(header::CONTENT_TYPE, json);
    let mut version = String::new();
    let _ = write!(version, "{}", callable.config.version);
    if let Ok(version) = HeaderValue::try_from(version) {
        headers.insert("x-amz-executed-version", version);
    }
    if ran.function_error {
        headers.insert("x-amz-function-error", HeaderValue::from_static("Unhandled"));
    }
    if let Some(tail) = ran.log_tail
        && let Ok(tail) = HeaderValue::try_from(STANDARD.encode(tail))
    {
        headers.insert("x-amz-log-result", tail);
    }
    answer
}

pub(crate) fn with_status(status: StatusCode, body: Bytes) -> Answer {
    let mut answer = Response::new(Full::new(body));
    *answer.status_mut() = status;
    answer
}

/// Every answer names its request.
pub(crate) fn name_request(answer: &mut Answer, request: RequestId) {
    if let Ok(id) = HeaderValue::from_bytes(&request.to_ascii()) {
        answer.headers_mut().insert("x-amzn-requestid", id);
    }
}
