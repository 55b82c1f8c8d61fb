//! The Runtime API (2018-06-01) of one environment, for runtime clients that are
//! not ours. It listens inside the environment's own network namespace, so that
//! no environment can reach another's.
//!
//! The environment's own task reads and writes the connections: no task and no queue
//! stands between it and the runtime. `connection` and what it is made of turn bytes
//! into requests and answers into bytes; `ApiLink` knows what may be said when:
//!
//! ```text
//!   Init ──next──▶ Waiting ──invoke──▶ Running(id) ──response | error──▶ Answered
//!    │                ▲                                                    │
//!    └─init/error     └───────────────────────── next ─────────────────────┘
//! ```

mod answer;
mod body;
mod connection;
mod head;
mod request;
#[cfg(test)]
mod request_tests;
#[cfg(test)]
mod tests;

use std::{
    future::poll_fn,
    task::{Context, Poll},
};

use aws_api::runtime_api::{Refusal, reported_error_type};
use bytes::Bytes;
use model::{ErrorClass, RequestId};
use tokio::net::{TcpListener, TcpStream};

use self::{answer::Answer, connection::Connection, request::Request};
use crate::{
    failure::Failure,
    link::{Exchange, Invocation},
};

/// Connections of one environment. For a further one, that is closed which has been
/// silent for longest; those that wait for work are spared if any other is there.
const CONNECTIONS_MAX: usize = 64;

#[derive(Debug, PartialEq)]
enum ResponseBody {
    Whole(Bytes),
    TooLarge,
    /// The stream ended in an error that its trailers tell.
    Broken(ReportedError),
}

#[derive(Debug, PartialEq)]
struct ReportedError {
    error_type: Option<String>,
    json: Bytes,
}

/// The environment's end of its Runtime API.
#[derive(Debug)]
pub(crate) struct ApiLink {
    listener: TcpListener,
    connections: Vec<Known>,
    /// Requests so far: the clock of `Known::last_request`.
    requests: u64,
}

#[derive(Debug)]
struct Known {
    connection: Connection,
    last_request: u64,
}

impl ApiLink {
    /// Serves while it is asked for something, until it is dropped.
    pub(crate) fn open(listener: std::net::TcpListener) -> std::io::Result<ApiLink> {
        listener.set_nonblocking(true)?;
        let listener = TcpListener::from_std(listener)?;
        Ok(ApiLink { listener, connections: Vec::new(), requests: 0 })
    }

    pub(crate) async fn init(&mut self) -> Exchange {
        self.await_next(ErrorClass::Init).await
    }

    pub(crate) async fn ready(&mut self) -> Exchange {
        self.await_next(ErrorClass::Exit).await
    }

    /// While nothing runs: only `next` and `init/error` are legal.
    async fn await_next(&mut self, class: ErrorClass) -> Exchange {
        while !self.connections.iter().any(|known| known.connection.is_waiting()) {
            let (connection, request) = self.request().await;
            match request {
                Request::InitError { error } => {
                    say(connection, Answer::Accepted);
                    return Exchange::Failed(error.into_failure(class));
                }
                Request::Response { .. } | Request::Error { .. } => {
                    say(connection, Answer::Refused(Refusal::InvalidRequestId));
                }
                Request::Next | Request::Ping | Request::Unknown | Request::Refused(_) => {}
            }
        }
        Exchange::Done(Bytes::new())
    }

    /// The response, whose 202 goes out with the next wait for the runtime: the caller
    /// comes first.
    pub(crate) async fn invoke(&mut self, invocation: Invocation) -> Exchange {
        loop {
            let mut known = self.connections.iter_mut().map(|known| &mut known.connection);
            if let Some(connection) = known.find(|connection| connection.is_waiting()) {
                connection.event(&invocation);
                connection.send_now();
                return self.await_answer(invocation.request).await;
            }
            match self.await_next(ErrorClass::Exit).await {
                Exchange::Done(_) => {}
                other @ (Exchange::Failed(_) | Exchange::FailedLast(_) | Exchange::Closed) => {
                    return other;
                }
            }
        }
    }

    async fn await_answer(&mut self, current: RequestId) -> Exchange {
        loop {
            let (connection, request) = self.request().await;
            match request {
                Request::Response { id, .. } | Request::Error { id, .. } if id != Some(current) => {
                    say(connection, Answer::Refused(Refusal::InvalidRequestId));
                }
                Request::InitError { .. } => {
                    say(connection, Answer::Refused(Refusal::InvalidStateTransition));
                }
                Request::Response { body: ResponseBody::Whole(body), .. } => {
                    connection.answer(Answer::Accepted);
                    return Exchange::Done(body);
                }
                Request::Response { body: ResponseBody::TooLarge, .. } => {
                    say(connection, Answer::Refused(Refusal::RequestEntityTooLarge));
                    return Exchange::Failed(Failure::response_too_large());
                }
                Request::Response { body: ResponseBody::Broken(error), .. }
                | Request::Error { error, .. } => {
                    say(connection, Answer::Accepted);
                    return Exchange::Failed(error.into_failure(ErrorClass::Handler));
                }
                Request::Next | Request::Ping | Request::Unknown | Request::Refused(_) => {}
            }
        }
    }

    /// While the runtime waits for work, it has nothing to say. Does not return.
    pub(crate) async fn unasked(&mut self) {
        loop {
            let (connection, request) = self.request().await;
            match request {
                Request::Response { .. } | Request::Error { .. } => {
                    say(connection, Answer::Refused(Refusal::InvalidRequestId));
                }
                Request::InitError { .. } => {
                    say(connection, Answer::Refused(Refusal::InvalidStateTransition));
                }
                Request::Next | Request::Ping | Request::Unknown | Request::Refused(_) => {}
            }
        }
    }

    /// The next request of any connection, to be answered by the caller unless it is a
    /// `next`. Safe to cancel.
    async fn request(&mut self) -> (&mut Connection, Request) {
        let (at, request) = loop {
            let ApiLink { listener, connections, .. } = &mut *self;
            tokio::select! {
                biased;
                taken = poll_fn(|cx| poll_connections(connections, cx)) => break taken,
                (stream, _) = platform::listen::accept(listener) => self.admit(stream),
            }
        };
        self.requests += 1;
        let known = &mut self.connections[at];
        known.last_request = self.requests;
        (&mut known.connection, request)
    }

    fn admit(&mut self, stream: TcpStream) {
        if self.connections.len() >= CONNECTIONS_MAX {
            let silence = |known: &Known| (known.connection.is_waiting(), known.last_request);
            let order = |at: &usize| silence(&self.connections[*at]);
            if let Some(silent) = (0..self.connections.len()).min_by_key(order) {
                self.connections.swap_remove(silent);
            }
        }
        let connection = Connection::new(stream);
        self.connections.push(Known { connection, last_request: self.requests });
    }
}

/// Polls all, so that each is sent what it waits for; forgets those that are over.
fn poll_connections(connections: &mut Vec<Known>, cx: &mut Context<'_>) -> Poll<(usize, Request)> {
    let mut at = 0;
    while let Some(known) = connections.get_mut(at) {
        match known.connection.poll_request(cx) {
            Poll::Ready(Some(request)) => return Poll::Ready((at, request)),
            Poll::Ready(None) => drop(connections.swap_remove(at)),
            Poll::Pending => at += 1,
        }
    }
    Poll::Pending
}

fn say(connection: &mut Connection, answer: Answer) {
    connection.answer(answer);
    connection.send_now();
}

impl ReportedError {
    fn into_failure(self, class: ErrorClass) -> Failure {
        let error_type = reported_error_type(self.error_type.as_deref()).to_owned();
        Failure::reported(class, error_type, self.json)
    }
}
