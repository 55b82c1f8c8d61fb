//! The public port: accepts, routes, and hands each request to its step. All
//! routes of the frontend stand in one table.

use std::{convert::Infallible, sync::Arc};

use http::{Method, Request};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use model::{RequestId, limits};
use platform::{
    TaskKind,
    cores::{self, CallerCore, Traced},
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpListener,
    sync::Semaphore,
};

use crate::{Gate, control, invoke, logs, refusal::Refusal, respond, respond::Answer};

/// Who answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Route {
    Invoke,
    Logs,
    /// A link that carries its own permission.
    CodeDownload,
    Health,
    /// Where it is shown here.
    Metrics,
    /// Everything else of the API, known or not.
    Control,
}

/// The route table. Function names may be percent-encoded ARNs: one segment.
fn route(method: &Method, path: &str) -> Route {
    let mut parts = path.trim_start_matches('/').split('/');
    let parts: [Option<&str>; 5] = std::array::from_fn(|_| parts.next());
    match (method, parts) {
        (
            &Method::POST,
            [Some("2015-03-31"), Some("functions"), Some(_), Some("invocations"), None],
        ) => Route::Invoke,
        (&Method::GET, [Some("lambent"), Some("v1"), Some("functions"), Some(_), Some("logs")]) => {
            Route::Logs
        }
        (&Method::GET, [Some("lambent"), Some("v1"), Some("code"), ..]) => Route::CodeDownload,
        (&Method::GET, [Some("lambent"), Some("v1"), Some("health"), None, None]) => Route::Health,
        (&Method::GET, [Some("metrics"), None, ..]) => Route::Metrics,
        _ => Route::Control,
    }
}

/// Accepts until the process stops; connections then finish their calls.
pub(crate) async fn serve(gate: Arc<Gate>, listener: TcpListener) {
    let room = Arc::new(Semaphore::new(limits::CONNECTIONS_MAX));
    loop {
        let next = async {
            let place = Arc::clone(&room).acquire_owned().await;
            (platform::listen::accept(&listener).await, place)
        };
        let ((stream, _), place) = tokio::select! {
            biased;
            _ = gate.tasks.stopped() => return,
            next = next => next,
        };
        let (stream, caller) = Traced::new(stream);
        let connection = connection(Arc::clone(&gate), stream, caller);
        let connection = async move {
            connection.await;
            drop(place);
        };
        gate.tasks.spawn(TaskKind::Connection, "connection", connection);
    }
}

pub(crate) async fn connection<S>(gate: Arc<Gate>, stream: S, caller: CallerCore)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let stopped = gate.tasks.stopped();
    let service = service_fn(|message| {
        let (gate, here) = (Arc::clone(&gate), caller.get());
        async move { Ok::<_, Infallible>(near(&gate, here, message).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .max_buf_size(limits::REQUEST_HEAD_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection, stopped);
    let served = tokio::select! {
        biased;
        served = connection.as_mut() => served,
        _ = &mut stopped => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = served {
        tracing::debug!(%error, "a connection ended early");
    }
}

/// Answers on the caller's core, where that is quicker.
async fn near(gate: &Arc<Gate>, caller: Option<usize>, message: Request<Incoming>) -> Answer {
    let running = gate.calls.enter();
    let Some(core) = caller else { return answer(gate, message).await };
    let began = gate.clock.now();
    cores::called(running.number(), core);
    let answer = answer(gate, message).await;
    cores::answered(gate.clock.now().since(began));
    answer
}

async fn answer(gate: &Arc<Gate>, message: Request<Incoming>) -> Answer {
    let request = RequestId::from_random(gate.entropy.u128());
    let result: Result<Answer, Refusal> = match route(message.method(), message.uri().path()) {
        Route::Invoke => invoke::invoke(gate, request, message).await,
        Route::Logs => logs::read(gate, message).await,
        Route::CodeDownload => control::pass_on(gate, request, message, control::Auth::Link).await,
        Route::Health => Ok(respond::with_status(http::StatusCode::OK, "ok\n".into())),
        Route::Metrics if gate.shows_metrics => Ok(respond::with_text(gate.meters.page().await)),
        Route::Metrics | Route::Control => {
            control::pass_on(gate, request, message, control::Auth::Signature).await
        }
    };
    let mut answer = result.unwrap_or_else(|refusal| refusal.into_answer(request));
    respond::name_request(&mut answer, request);
    tracing::debug!(%request, status = answer.status().as_u16(), "answered");
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_reach_their_routes() {
        let invoke = "/2015-03-31/functions/arn%3Aaws%3Alambda%3Aus-east-1%3A1%3Af/invocations";
        let cases = [
            (Method::POST, invoke, Route::Invoke),
            (Method::GET, invoke, Route::Control),
            (Method::POST, "/2015-03-31/functions", Route::Control),
            (Method::POST, "/2015-03-31/functions/f/invocations/x", Route::Control),
            (Method::GET, "/lambent/v1/functions/f/logs", Route::Logs),
            (Method::GET, "/lambent/v1/code/1/f/2", Route::CodeDownload),
            (Method::GET, "/lambent/v1/health", Route::Health),
            (Method::GET, "/metrics", Route::Metrics),
            (Method::POST, "/metrics", Route::Control),
            (Method::GET, "/", Route::Control),
        ];
        for (method, path, wanted) in cases {
            assert_eq!(route(&method, path), wanted, "{method} {path}");
        }
    }
}
