//! The page of metrics on a port of its own, for processes without a public port and for
//! installations whose public port is reached from elsewhere. It serves nothing else and
//! asks nobody who they are.

use std::{convert::Infallible, sync::Arc};

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use platform::{Meters, TaskKind, Tasks, meters};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
};

/// Readers at a time; further ones wait in the kernel's backlog.
const READERS_MAX: usize = 16;

/// Answers until the process stops.
pub(super) async fn serve(listener: TcpListener, meters: Meters, tasks: Tasks) {
    let room = Arc::new(Semaphore::new(READERS_MAX));
    loop {
        let next = async {
            let place = Arc::clone(&room).acquire_owned().await;
            (platform::listen::accept(&listener).await, place)
        };
        let ((stream, _), place) = tokio::select! {
            biased;
            _ = tasks.stopped() => return,
            next = next => next,
        };
        let connection = connection(stream, meters.clone(), tasks.clone());
        let connection = async move {
            connection.await;
            drop(place);
        };
        tasks.spawn(TaskKind::Connection, "reader of metrics", connection);
    }
}

async fn connection(stream: TcpStream, meters: Meters, tasks: Tasks) {
    let service = service_fn(|request| {
        let meters = meters.clone();
        async move { Ok::<_, Infallible>(answer(&request, &meters).await) }
    });
    let mut server = http1::Builder::new();
    let served = server.timer(TokioTimer::new()).serve_connection(TokioIo::new(stream), service);
    let ended = tokio::select! {
        biased;
        _ = tasks.stopped() => return,
        ended = served => ended,
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a reader of metrics went away");
    }
}

async fn answer(request: &Request<Incoming>, meters: &Meters) -> Response<Full<Bytes>> {
    let found = request.method() == Method::GET && request.uri().path() == "/metrics";
    let text = if found { meters.page().await } else { "GET /metrics\n".to_owned() };
    let mut answer = Response::new(Full::new(Bytes::from(text)));
    if !found {
        *answer.status_mut() = StatusCode::NOT_FOUND;
    }
    let kind = HeaderValue::from_static(meters::CONTENT_TYPE);
    answer.headers_mut().insert(header::CONTENT_TYPE, kind);
    answer
}
