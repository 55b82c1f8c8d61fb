//! A caller of functions: HTTP over a stream in memory to one frontend, as any client
//! would speak it.

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{Request, client::conn::http1};
use hyper_util::rt::TokioIo;
use platform::{TaskKind, Tasks};
use serde_json::{Value, json};

use super::World;

#[derive(Clone, Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: http::HeaderMap,
    pub body: Bytes,
}

/// The frontend is not there, or went away before it answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoAnswer;

/// What a line between a client and a frontend holds.
const LINE_BYTES: usize = 64 * 1024;

impl Answer {
    /// `null` where it is no JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    pub fn function_error(&self) -> bool {
        self.headers.contains_key("x-amz-function-error")
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

impl World {
    pub async fn invoke(&self, name: &str, event: Value) -> Answer {
        self.invoke_with(name, &event.to_string(), &[]).await
    }

    pub async fn invoke_with(&self, name: &str, event: &str, headers: &[(&str, &str)]) -> Answer {
        self.invoke_at(0, name, event, headers).await
    }

    /// Through one frontend of several, which is there and stays.
    #[expect(clippy::expect_used, reason = "scenes without faults have their frontends")]
    pub async fn invoke_at(
        &self,
        frontend: usize,
        name: &str,
        event: &str,
        headers: &[(&str, &str)],
    ) -> Answer {
        self.try_invoke(frontend, name, event, headers).await.expect("the frontend answers")
    }

    /// A caller that gives up drops this, and its connection with it.
    pub async fn try_invoke(
        &self,
        frontend: usize,
        name: &str,
        event: &str,
        headers: &[(&str, &str)],
    ) -> Result<Answer, NoAnswer> {
        let mut request = Request::post(target(name));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::new(Bytes::from(event.to_owned())));
        self.ask(frontend, request.map_err(|_| NoAnswer)?).await
    }

    /// The page of metrics of a frontend that is there.
    #[expect(clippy::expect_used, reason = "scenes without faults have their frontends")]
    pub async fn metrics(&self, frontend: usize) -> String {
        let request = Request::get("/metrics").body(Full::default()).expect("a request");
        let answer = self.ask(frontend, request).await.expect("the frontend answers");
        String::from_utf8_lossy(&answer.body).into_owned()
    }

    async fn ask(
        &self,
        frontend: usize,
        request: Request<Full<Bytes>>,
    ) -> Result<Answer, NoAnswer> {
        let frontend = self.frontend(frontend).ok_or(NoAnswer)?;
        let (client, server) = tokio::io::duplex(LINE_BYTES);
        frontend.serve(server);
        let connected = http1::handshake(TokioIo::new(client)).await;
        let (mut sender, connection) = connected.map_err(|_| NoAnswer)?;
        let caller = Tasks::simulated();
        caller.spawn(TaskKind::Connection, "client", async move { drop(connection.await) });
        let _close = KillOnDrop(caller);
        let answer = sender.send_request(request).await.map_err(|_| NoAnswer)?;
        let (parts, body) = answer.into_parts();
        let body = body.collect().await.map_err(|_| NoAnswer)?.to_bytes();
        Ok(Answer { status: parts.status.as_u16(), headers: parts.headers, body })
    }

    /// Bytes as they are, and the first line of what is answered.
    #[expect(clippy::expect_used, reason = "scenes without faults have their frontends")]
    pub async fn say(&self, bytes: &str) -> String {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let (mut client, server) = tokio::io::duplex(LINE_BYTES);
        self.frontend(0).expect("the frontend is up").serve(server);
        client.write_all(bytes.as_bytes()).await.expect("the frontend reads");
        let mut answer = vec![0; 1_024];
        let length = client.read(&mut answer).await.expect("the frontend answers");
        let answer = String::from_utf8_lossy(&answer[..length]).into_owned();
        answer.lines().next().unwrap_or_default().to_owned()
    }

    /// All at once; answers in the order of the events.
    pub async fn invoke_all(&self, name: &str, events: Vec<Value>) -> Vec<Answer> {
        let calls = events.into_iter().map(|event| self.invoke(name, event));
        futures_util::future::join_all(calls).await
    }

    /// Calls of a load by the world's seed: mostly short, some late, some fatal.
    pub fn draw_calls(&self, number: usize) -> Vec<Value> {
        let dice = &self.land.entropy;
        let draw = || match dice.u64() % 20 {
            0 => json!({"exit": 1}),
            1 => json!({"ms": 5_000}),
            _ => json!({"ms": dice.u64() % 200}),
        };
        (0..number).map(|_| draw()).collect()
    }
}

struct KillOnDrop(Tasks);

impl Drop for KillOnDrop {
    fn drop(&mut self) {
        self.0.kill();
    }
}

/// The path of a call; a query after the name goes to the end.
fn target(name: &str) -> String {
    let (name, query) = name.split_once('?').unwrap_or((name, ""));
    format!("/2015-03-31/functions/{name}/invocations?{query}")
}
