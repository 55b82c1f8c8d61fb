//! `GET /lambent/v1/functions/{name}/logs?after=N`: log lines of a function from a
//! position on, as JSON lines; `x-lambent-next` is where to go on.

use std::sync::Arc;

use http::{HeaderValue, Request, header};
use hyper::body::Incoming;
use model::FunctionName;
use wire::worker::{LogLines, ReadLogs, WorkerAnswer, WorkerCall};

use crate::{
    Gate, authenticate,
    refusal::Refusal,
    respond::{self, Answer},
};

/// Lines of one answer; the reader asks again for more.
const ANSWER_BYTES_MAX: u64 = 1024 * 1024;

pub(crate) async fn read(gate: &Arc<Gate>, message: Request<Incoming>) -> Result<Answer, Refusal> {
    let (parts, _) = message.into_parts();
    let claim = authenticate::claim(gate, &parts)?;
    authenticate::verify(gate, &claim, &parts, &[])?;
    let name = parts.uri.path().split('/').nth(4).unwrap_or_default();
    let function = FunctionName::parse(name)
        .map_err(|error| Refusal::InvalidParameter { message: format!("{name}: {error}") })?;
    let after = query(parts.uri.query().unwrap_or_default(), "after")?;
    let read = ReadLogs { account: claim.account(), function, after, bytes_max: ANSWER_BYTES_MAX };
    // One worker for now keeps the logs of all functions.
    let worker = gate.workers.values().next();
    let worker = worker.ok_or_else(|| Refusal::internal("no worker is known"))?;
    let answer = worker.call(WorkerCall::ReadLogs(read)).await.map_err(Refusal::internal)?;
    if let WorkerAnswer::LogsUnreadable { message } = answer {
        return Err(Refusal::Internal { message });
    }
    let WorkerAnswer::Logs(LogLines { lines, next }) = answer else {
        return Err(Refusal::internal("the worker answered something else"));
    };
    let mut answer = respond::with_status(http::StatusCode::OK, lines);
    let headers = answer.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/x-ndjson"));
    headers.insert("x-lambent-next", HeaderValue::from(next));
    Ok(answer)
}

/// A number of the query, zero where it is absent.
fn query(query: &str, name: &str) -> Result<u64, Refusal> {
    let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    let Some((_, value)) = pairs.find(|(key, _)| *key == name) else { return Ok(0) };
    value.parse().map_err(|_| Refusal::InvalidParameter {
        message: format!("{name} has to be a whole number, not {value}"),
    })
}
