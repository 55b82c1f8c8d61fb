//! HTTP in front of an environment's `ApiLink`: reads requests, bounds bodies,
//! writes the documented answers. It decides nothing about order.

use std::convert::Infallible;

use aws_api::runtime_api::{self, Call, FunctionError, Refusal};
use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use model::{RequestId, limits};
use platform::{TaskKind, Tasks};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{mpsc, oneshot},
};

use super::{ApiRequest, NextReply, PostReply, ReportedError, ResponseBody};
use crate::link::Invocation;

type Requests = mpsc::Sender<ApiRequest>;
type Answer = Response<Full<Bytes>>;

/// Serves until the receiving end of `requests` is gone.
pub(super) fn start(tasks: &Tasks, listener: TcpListener, requests: Requests) {
    let connections = tasks.clone();
    tasks.spawn(TaskKind::Environment, "runtime API", async move {
        loop {
            let (stream, _) = tokio::select! {
                () = requests.closed() => return,
                accepted = platform::listen::accept(&listener) => accepted,
            };
            let requests = requests.clone();
            let connection = connection(stream, requests);
            connections.spawn(TaskKind::Connection, "runtime API connection", connection);
        }
    });
}

async fn connection(stream: TcpStream, requests: Requests) {
    let service = service_fn(|request| {
        let requests = requests.clone();
        async move { Ok::<_, Infallible>(answer(request, &requests).await) }
    });
    let serve = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    tokio::select! {
        () = requests.closed() => {}
        // A broken connection is the runtime's affair; its process tells the rest.
        _ = serve => {}
    }
}

async fn answer(request: Request<Incoming>, requests: &Requests) -> Answer {
    match Call::of(request.method(), request.uri().path()) {
        Some(Call::Next) => next(requests).await,
        Some(Call::Response { request_id }) => {
            let id = RequestId::parse(request_id);
            response(id, request, requests).await
        }
        Some(Call::Error { request_id }) => {
            let id = RequestId::parse(request_id);
            let Some(error) = reported_error(request).await else { return too_large() };
            post(requests, |reply| ApiRequest::Error { id, error, reply }).await
        }
        Some(Call::InitError) => {
            let Some(error) = reported_error(request).await else { return too_large() };
            post(requests, |reply| ApiRequest::InitError { error, reply }).await
        }
        Some(Call::Ping) => text(StatusCode::OK, "pong"),
        // There are no snapshots to restore from.
        Some(Call::RestoreNext | Call::RestoreError) | None => {
            text(StatusCode::NOT_FOUND, "404 page not found")
        }
    }
}

async fn next(requests: &Requests) -> Answer {
    let (reply, answer) = oneshot::channel();
    if requests.send(ApiRequest::Next { reply }).await.is_err() {
        return gone();
    }
    match answer.await {
        Ok(NextReply::Invocation(invocation)) => event(*invocation).unwrap_or_else(|_| gone()),
        Ok(NextReply::InvalidState) => post_answer(PostReply::InvalidState),
        Err(_) => gone(),
    }
}

fn event(invocation: Invocation) -> Result<Answer, http::Error> {
    let id = invocation.request.to_ascii();
    let mut head = Response::builder()
        .header(runtime_api::REQUEST_ID, &id[..])
        .header(runtime_api::DEADLINE_MS, invocation.deadline_ms)
        .header(runtime_api::INVOKED_FUNCTION_ARN, &*invocation.arn)
        .header("Content-Type", "application/json");
    let optional = [
        (runtime_api::TRACE_ID, invocation.trace_id.as_deref()),
        (runtime_api::CLIENT_CONTEXT, invocation.client_context.as_deref()),
        (runtime_api::TENANT_ID, invocation.tenant.as_ref().map(|t| t.as_str())),
    ];
    for (name, value) in optional {
        if let Some(value) = value {
            head = head.header(name, value);
        }
    }
    head.body(Full::new(invocation.payload))
}

async fn response(
    id: Option<RequestId>,
    request: Request<Incoming>,
    requests: &Requests,
) -> Answer {
    let headers = request.headers();
    let streaming = match headers.get(runtime_api::RESPONSE_MODE).map(|mode| mode.as_bytes()) {
        None => false,
        Some(mode) if mode == runtime_api::RESPONSE_MODE_STREAMING.as_bytes() => true,
        Some(_) => return refusal(Refusal::InvalidFunctionResponseMode),
    };
    let limit = usize::try_from(limits::RESPONSE_BYTES_MAX).unwrap_or(usize::MAX);
    let body = match Limited::new(request.into_body(), limit).collect().await {
        Ok(collected) => match collected.trailers().filter(|_| streaming).map(trailer_error) {
            Some(Some(error)) => ResponseBody::Broken(error),
            Some(None) | None => ResponseBody::Whole(collected.to_bytes()),
        },
        Err(error) if error.is::<LengthLimitError>() => ResponseBody::TooLarge,
        Err(_) => return refusal(Refusal::TruncatedHttpRequest),
    };
    post(requests, |reply| ApiRequest::Response { id, body, reply }).await
}

fn trailer_error(trailers: &HeaderMap) -> Option<ReportedError> {
    use base64::Engine;
    let error_type =
        trailers.get(runtime_api::FUNCTION_ERROR_TYPE)?.to_str().ok().map(str::to_owned);
    let encoded = trailers
        .get(runtime_api::FUNCTION_ERROR_BODY)
        .map(|body| body.as_bytes())
        .unwrap_or_default();
    let json = base64::engine::general_purpose::STANDARD.decode(encoded).unwrap_or_default();
    Some(ReportedError { error_type, json: json.into() })
}

async fn reported_error(request: Request<Incoming>) -> Option<ReportedError> {
    let error_type = request
        .headers()
        .get(runtime_api::FUNCTION_ERROR_TYPE)
        .and_then(|value| value.to_str().ok());
    let error_type = error_type.map(str::to_owned);
    let limit = usize::try_from(limits::RESPONSE_BYTES_MAX).unwrap_or(usize::MAX);
    let body = Limited::new(request.into_body(), limit).collect().await.ok()?;
    Some(ReportedError { error_type, json: body.to_bytes() })
}

async fn post(
    requests: &Requests,
    request: impl FnOnce(oneshot::Sender<PostReply>) -> ApiRequest,
) -> Answer {
    let (reply, answer) = oneshot::channel();
    if requests.send(request(reply)).await.is_err() {
        return gone();
    }
    answer.await.map_or_else(|_| gone(), post_answer)
}

fn post_answer(reply: PostReply) -> Answer {
    match reply {
        PostReply::Accepted => json(StatusCode::ACCEPTED, runtime_api::STATUS_OK_BODY.into()),
        PostReply::TooLarge => too_large(),
        PostReply::InvalidRequestId => refusal(Refusal::InvalidRequestId),
        PostReply::InvalidState => refusal(Refusal::InvalidStateTransition),
    }
}

fn too_large() -> Answer {
    refusal(Refusal::RequestEntityTooLarge)
}

fn refusal(refusal: Refusal) -> Answer {
    json(refusal.status(), refusal.body().to_json().into())
}

fn gone() -> Answer {
    let error = FunctionError::new("EnvironmentGone", "The environment is being shut down");
    json(StatusCode::GONE, error.to_json().into())
}

fn json(status: StatusCode, body: Bytes) -> Answer {
    let mut answer = Response::new(Full::new(body));
    *answer.status_mut() = status;
    let kind = http::HeaderValue::from_static("application/json");
    answer.headers_mut().insert(http::header::CONTENT_TYPE, kind);
    answer
}

fn text(status: StatusCode, body: &'static str) -> Answer {
    let mut answer = Response::new(Full::new(Bytes::from_static(body.as_bytes())));
    *answer.status_mut() = status;
    answer
}
