//! The Runtime API (2018-06-01) of one environment, for runtime clients that are
//! not ours. It listens inside the environment's own network namespace, so that
//! no environment can reach another's.
//!
//! `serve` turns HTTP into `ApiRequest`s; `ApiLink` is the environment's end,
//! which knows what may be said when:
//!
//! ```text
//!   Init ──next──▶ Waiting ──invoke──▶ Running(id) ──response | error──▶ Answered
//!    │                ▲                                                    │
//!    └─init/error     └───────────────────────── next ─────────────────────┘
//! ```

mod serve;
#[cfg(test)]
mod tests;

use aws_api::runtime_api::reported_error_type;
use bytes::Bytes;
use model::{ErrorClass, RequestId};
use platform::Tasks;
use tokio::sync::{mpsc, oneshot};

use crate::{
    failure::Failure,
    link::{Exchange, Invocation},
};

/// Requests of one environment waiting for it; further ones wait in their sockets.
const REQUESTS_MAX: usize = 16;
/// Runtimes that ask for work at the same time; further ones are refused.
const WAITING_MAX: usize = 64;

#[derive(Debug)]
enum ApiRequest {
    Next { reply: oneshot::Sender<NextReply> },
    Response { id: Option<RequestId>, body: ResponseBody, reply: oneshot::Sender<PostReply> },
    Error { id: Option<RequestId>, error: ReportedError, reply: oneshot::Sender<PostReply> },
    InitError { error: ReportedError, reply: oneshot::Sender<PostReply> },
}

#[derive(Debug)]
enum NextReply {
    Invocation(Box<Invocation>),
    InvalidState,
}

#[derive(Debug)]
enum ResponseBody {
    Whole(Bytes),
    TooLarge,
    /// The stream ended in an error that its trailers tell.
    Broken(ReportedError),
}

#[derive(Debug)]
struct ReportedError {
    error_type: Option<String>,
    json: Bytes,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum PostReply {
    Accepted,
    TooLarge,
    InvalidRequestId,
    InvalidState,
}

/// The environment's end of its Runtime API.
#[derive(Debug)]
pub(crate) struct ApiLink {
    requests: mpsc::Receiver<ApiRequest>,
    waiting: Vec<oneshot::Sender<NextReply>>,
}

impl ApiLink {
    /// Serves on the listener until the link is dropped.
    pub(crate) fn open(tasks: &Tasks, listener: std::net::TcpListener) -> std::io::Result<ApiLink> {
        listener.set_nonblocking(true)?;
        let listener = tokio::net::TcpListener::from_std(listener)?;
        let (sender, requests) = mpsc::channel(REQUESTS_MAX);
        serve::start(tasks, listener, sender);
        Ok(ApiLink { requests, waiting: Vec::new() })
    }

    pub(crate) async fn init(&mut self) -> Exchange {
        self.await_next(ErrorClass::Init).await
    }

    pub(crate) async fn ready(&mut self) -> Exchange {
        self.await_next(ErrorClass::Exit).await
    }

    /// While nothing runs: only `next` and `init/error` are legal.
    async fn await_next(&mut self, class: ErrorClass) -> Exchange {
        while self.waiting.is_empty() {
            match self.requests.recv().await {
                None => return Exchange::Closed,
                Some(ApiRequest::Next { reply }) => self.park(reply),
                Some(ApiRequest::InitError { error, reply }) => {
                    let _ = reply.send(PostReply::Accepted);
                    return Exchange::Failed(error.into_failure(class));
                }
                Some(ApiRequest::Response { reply, .. } | ApiRequest::Error { reply, .. }) => {
                    let _ = reply.send(PostReply::InvalidRequestId);
                }
            }
        }
        Exchange::Done(Bytes::new())
    }

    pub(crate) async fn invoke(&mut self, invocation: Invocation) -> Exchange {
        let current = invocation.request;
        let mut next = NextReply::Invocation(Box::new(invocation));
        // A runtime that gave up waiting has dropped its end: offer to the next one.
        loop {
            let Some(waiting) = self.waiting.pop() else {
                match self.await_next(ErrorClass::Exit).await {
                    Exchange::Done(_) => continue,
                    other @ (Exchange::Failed(_) | Exchange::FailedLast(_) | Exchange::Closed) => {
                        return other;
                    }
                }
            };
            match waiting.send(next) {
                Ok(()) => break,
                Err(returned) => next = returned,
            }
        }
        self.await_answer(current).await
    }

    async fn await_answer(&mut self, current: RequestId) -> Exchange {
        loop {
            match self.requests.recv().await {
                None => return Exchange::Closed,
                Some(ApiRequest::Next { reply }) => self.park(reply),
                Some(ApiRequest::InitError { reply, .. }) => {
                    let _ = reply.send(PostReply::InvalidState);
                }
                Some(
                    ApiRequest::Response { id, reply, .. } | ApiRequest::Error { id, reply, .. },
                ) if id != Some(current) => {
                    let _ = reply.send(PostReply::InvalidRequestId);
                }
                Some(ApiRequest::Response { body: ResponseBody::Whole(body), reply, .. }) => {
                    let _ = reply.send(PostReply::Accepted);
                    return Exchange::Done(body);
                }
                Some(ApiRequest::Response { body: ResponseBody::TooLarge, reply, .. }) => {
                    let _ = reply.send(PostReply::TooLarge);
                    return Exchange::Failed(Failure::response_too_large());
                }
                Some(
                    ApiRequest::Response { body: ResponseBody::Broken(error), reply, .. }
                    | ApiRequest::Error { error, reply, .. },
                ) => {
                    let _ = reply.send(PostReply::Accepted);
                    return Exchange::Failed(error.into_failure(ErrorClass::Handler));
                }
            }
        }
    }

    fn park(&mut self, reply: oneshot::Sender<NextReply>) {
        self.waiting.retain(|waiting| !waiting.is_closed());
        if self.waiting.len() < WAITING_MAX {
            self.waiting.push(reply);
        } else {
            let _ = reply.send(NextReply::InvalidState);
        }
    }

    pub(crate) async fn unasked(&mut self) {
        loop {
            match self.requests.recv().await {
                None => return,
                Some(ApiRequest::Next { reply }) => self.park(reply),
                Some(ApiRequest::Response { reply, .. } | ApiRequest::Error { reply, .. }) => {
                    let _ = reply.send(PostReply::InvalidRequestId);
                }
                Some(ApiRequest::InitError { reply, .. }) => {
                    let _ = reply.send(PostReply::InvalidState);
                }
            }
        }
    }
}

impl ReportedError {
    fn into_failure(self, class: ErrorClass) -> Failure {
        let error_type = reported_error_type(self.error_type.as_deref()).to_owned();
        Failure::reported(class, error_type, self.json)
    }
}
