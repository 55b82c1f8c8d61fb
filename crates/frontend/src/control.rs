//! Control requests: authenticated here, answered by the control role. The
//! frontend does not look inside them.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Request, StatusCode, header};
use hyper::body::Incoming;
use model::{AccountId, RequestId, limits};
use platform::Body;
use wire::control::{ControlAnswer, ControlCall};

use aws_api::errors::ApiError;

use crate::{
    Gate, authenticate, payload,
    refusal::Refusal,
    respond::{self, Answer},
};

/// What shows that the caller may ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Auth {
    Signature,
    /// The link itself; control checks it.
    Link,
}

pub(crate) async fn pass_on(
    gate: &Arc<Gate>,
    request: RequestId,
    message: Request<Incoming>,
    auth: Auth,
) -> Result<Answer, Refusal> {
    let (parts, body) = message.into_parts();
    let claim = match auth {
        Auth::Signature => Some(authenticate::claim(gate, &parts)?),
        Auth::Link => None,
    };
    let body = receive(&parts, body).await?;
    if let Some(claim) = &claim {
        authenticate::verify(gate, claim, &parts, &body)?;
    }
    let account: Option<AccountId> = claim.map(|claim| claim.account());
    let host = parts.headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let target = parts.uri.path_and_query().map_or("/", |target| target.as_str());
    let call = ControlCall {
        request,
        account,
        method: parts.method.to_string(),
        target: target.to_owned(),
        origin: format!("http://{}", host.unwrap_or("localhost")),
    };
    let answered = gate.control.call_with(call, Body::from(body)).await;
    let (answer, _) = answered.map_err(Refusal::internal)?;
    convert(answer)
}

async fn receive(parts: &http::request::Parts, body: Incoming) -> Result<Bytes, Refusal> {
    let too_large =
        || Refusal::Api(ApiError::request_entity_too_large(limits::CONTROL_BODY_BYTES_MAX));
    let length = payload::declared_length(parts);
    if length.is_some_and(|length| length > limits::CONTROL_BODY_BYTES_MAX) {
        return Err(too_large());
    }
    payload::collect(body, limits::CONTROL_BODY_BYTES_MAX, too_large).await
}

fn convert(answer: ControlAnswer) -> Result<Answer, Refusal> {
    let status = StatusCode::from_u16(answer.status).map_err(Refusal::internal)?;
    let mut converted = respond::with_status(status, answer.body);
    for (name, value) in answer.headers {
        let name = HeaderName::try_from(name).map_err(Refusal::internal)?;
        let value = HeaderValue::try_from(value).map_err(Refusal::internal)?;
        converted.headers_mut().insert(name, value);
    }
    Ok(converted)
}
