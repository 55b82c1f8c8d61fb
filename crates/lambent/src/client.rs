//! The client of the commands for people: a signed HTTP/1.1 connection to one
//! platform. What is asked stands in `client/api.rs`; nothing here knows it.

pub(crate) mod api;
pub(crate) mod reach;

mod sign;

use std::{future::Future, time::Duration};

use anyhow::Context;
use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use platform::{Clock, TaskKind, Tasks};
use tokio::net::TcpStream;

use crate::{
    data::Access,
    failure::{Exit, Failure},
};

/// A platform on the same host or network answers a connection at once.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// The longest a function may run, and some time for the platform around it.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(model::limits::TIMEOUT_SECS_MAX as u64 + 60);

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// What is asked: method, target as it goes on the line, own headers, body.
#[derive(Debug)]
pub(crate) struct Ask {
    pub(crate) method: Method,
    pub(crate) target: String,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Bytes,
}

impl Ask {
    pub(crate) fn new(method: Method, target: impl Into<String>) -> Ask {
        Ask { method, target: target.into(), headers: Vec::new(), body: Bytes::new() }
    }

    pub(crate) fn body(mut self, body: impl Into<Bytes>) -> Ask {
        self.body = body.into();
        self
    }

    pub(crate) fn header(mut self, name: &'static str, value: impl Into<String>) -> Ask {
        self.headers.push((name, value.into()));
        self
    }
}

pub(crate) struct Client {
    access: Access,
    /// `host:port`
    authority: String,
    clock: Clock,
    tasks: Tasks,
    kept: Option<SendRequest<Full<Bytes>>>,
}

impl Client {
    /// Call inside the executor.
    pub(crate) fn new(access: Access, clock: Clock, tasks: Tasks) -> anyhow::Result<Client> {
        let endpoint = access.endpoint.trim_end_matches('/');
        let Some(authority) = endpoint.strip_prefix("http://").filter(|a| !a.contains('/')) else {
            let what = format!("{endpoint} is no endpoint of a platform");
            return Err(Failure::usage(what, "it has the form http://host:port").into());
        };
        let port = if authority.contains(':') { "" } else { ":80" };
        Ok(Client { authority: format!("{authority}{port}"), access, clock, tasks, kept: None })
    }

    /// Asks once. A connection that was kept and has died is replaced before it
    /// is used, so that nothing is ever sent twice.
    pub(crate) async fn ask(&mut self, ask: Ask) -> anyhow::Result<Answer> {
        let request = self.request(ask)?;
        let mut sender = self.connection().await?;
        let exchange = async {
            let answer = sender.send_request(request).await.map_err(|e| self.broken(&e))?;
            let (head, body) = answer.into_parts();
            let body = body.collect().await.map_err(|e| self.broken(&e))?.to_bytes();
            Ok::<_, anyhow::Error>(Answer { status: head.status, headers: head.headers, body })
        };
        let answer = tokio::time::timeout(ANSWER_TIMEOUT, exchange).await.map_err(|_| {
            let what = format!("no answer from {} in {ANSWER_TIMEOUT:?}", self.access.endpoint);
            Failure::new(Exit::Unreachable, what, "look at what `lambent up` printed")
        })??;
        self.kept = Some(sender);
        Ok(answer)
    }

    fn request(&self, ask: Ask) -> anyhow::Result<Request<Full<Bytes>>> {
        let Ask { method, target, headers, body } = ask;
        let mut request =
            Request::builder().method(method).uri(&target).header("host", &self.authority);
        for (name, value) in &headers {
            request = request.header(*name, value);
        }
        let mut request = request.body(Full::new(body.clone())).context("the request's headers")?;
        sign::sign(&mut request, &body, &self.access, &self.authority, self.clock.wall_ms())?;
        Ok(request)
    }

    async fn connection(&mut self) -> anyhow::Result<SendRequest<Full<Bytes>>> {
        if let Some(mut kept) = self.kept.take()
            && kept.ready().await.is_ok()
        {
            return Ok(kept);
        }
        let connect = TcpStream::connect(&self.authority);
        let stream = match tokio::time::timeout(CONNECT_TIMEOUT, connect).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => return Err(self.unreachable(&error)),
            Err(_) => return Err(self.unreachable(&"it does not answer")),
        };
        stream.set_nodelay(true)?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        // Its end is seen by whoever sends next.
        let drive = async { drop(connection.await) };
        self.tasks.spawn(TaskKind::Connection, "client connection", drive);
        Ok(sender)
    }

    fn unreachable(&self, error: &dyn std::fmt::Display) -> anyhow::Error {
        let what = format!("no platform answers at {}: {error}", self.access.endpoint);
        Failure::new(Exit::Unreachable, what, "start one with `lambent up`").into()
    }

    fn broken(&self, error: &hyper::Error) -> anyhow::Error {
        let what = format!("the connection to {} broke: {error}", self.access.endpoint);
        Failure::new(Exit::Unreachable, what, "look at what `lambent up` printed").into()
    }
}

/// Runs a client command to its end on an executor of its own.
pub(crate) fn block_on<T>(command: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    let executor = tokio::runtime::Builder::new_current_thread().enable_all().build();
    executor.context("starting the executor")?.block_on(command)
}

/// Text as one segment of a path: everything but unreserved characters is escaped.
pub(crate) fn segment(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            escaped.push_str(&format!("%{byte:02X}"));
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_segment_holds_no_separator() {
        assert_eq!(segment("my-fn_1"), "my-fn_1");
        assert_eq!(segment("arn:aws/x?y é"), "arn%3Aaws%2Fx%3Fy%20%C3%A9");
    }

    #[test]
    fn endpoints_are_judged_before_they_are_used() {
        let cases = [
            ("http://127.0.0.1:4574", Some("127.0.0.1:4574")),
            ("http://lambent/", Some("lambent:80")),
            ("https://lambda.us-east-1.amazonaws.com", None),
            ("127.0.0.1:4574", None),
            ("http://host/path", None),
        ];
        for (endpoint, authority) in cases {
            let access = Access {
                endpoint: endpoint.into(),
                region: "us-east-1".into(),
                account: String::new(),
                access_key_id: "A".into(),
                secret_access_key: "s".into(),
            };
            let client = Client::new(access, Clock::system(), Tasks::default());
            assert_eq!(client.ok().map(|c| c.authority).as_deref(), authority, "{endpoint}");
        }
    }
}
