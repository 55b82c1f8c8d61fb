//! Answers in the public form: status, headers, body. What they say is made by the
//! operations.

use aws_api::ApiError;
use bytes::Bytes;
use model::RequestId;
use serde::Serialize;
use wire::control::ControlAnswer;

use crate::failure::Failure;

const CONTENT_TYPE: &str = "content-type";
const JSON: &str = "application/json";

pub(crate) fn json(status: u16, body: &impl Serialize) -> Result<ControlAnswer, Failure> {
    let headers = vec![(CONTENT_TYPE.into(), JSON.into())];
    Ok(ControlAnswer { status, headers, body: serde_json::to_vec(body)?.into() })
}

pub(crate) fn no_content() -> ControlAnswer {
    ControlAnswer { status: 204, headers: Vec::new(), body: Bytes::new() }
}

pub(crate) fn archive(body: Bytes) -> ControlAnswer {
    let headers = vec![(CONTENT_TYPE.into(), "application/zip".into())];
    ControlAnswer { status: 200, headers, body }
}

pub(crate) fn error(error: &ApiError) -> ControlAnswer {
    let mut headers = vec![
        (CONTENT_TYPE.into(), JSON.into()),
        ("x-amzn-errortype".into(), error.error_type().into()),
    ];
    if let Some(seconds) = error.retry_after_s() {
        headers.push(("retry-after".into(), seconds.to_string()));
    }
    ControlAnswer { status: error.status().as_u16(), headers, body: error.body().into() }
}

/// Every answer names its request.
pub(crate) fn named(mut answer: ControlAnswer, request: RequestId) -> ControlAnswer {
    answer.headers.push(("x-amzn-requestid".into(), request.to_string()));
    answer
}
