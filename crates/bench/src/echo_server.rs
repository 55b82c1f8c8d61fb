//! The floor of the payload rows: the HTTP library that the platform stands on,
//! answering a body with itself. It runs as a process of its own, as the
//! platform does, and serves one connection after the other.

use std::{
    convert::Infallible,
    io::{BufRead, BufReader, Write},
    net::SocketAddr,
    process::{Child, Command, Stdio},
};

use anyhow::Context;
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{
    Request, Response, StatusCode, body::Incoming, server::conn::http1, service::service_fn,
};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

#[derive(Debug)]
pub(crate) struct EchoServer {
    child: Child,
    pub(crate) address: SocketAddr,
}

impl EchoServer {
    pub(crate) fn start() -> anyhow::Result<EchoServer> {
        let program = std::env::current_exe().context("finding the bench's own program")?;
        let mut child = Command::new(program)
            .arg("echo-server")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .context("starting the echo server")?;
        let said = child.stdout.take().context("the echo server has no output")?;
        let mut server = EchoServer { child, address: ([127, 0, 0, 1], 0).into() };
        let mut line = String::new();
        BufReader::new(said).read_line(&mut line)?;
        server.address = line.trim().parse().context("reading the echo server's address")?;
        Ok(server)
    }
}

impl Drop for EchoServer {
    fn drop(&mut self) {
        // It may have ended by itself; both are asked to be sure.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Prints its address and serves until it is killed.
pub(crate) fn serve() -> anyhow::Result<()> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
        let door = TcpListener::bind("127.0.0.1:0").await?;
        writeln!(std::io::stdout(), "{}", door.local_addr()?)?;
        loop {
            let (stream, _) = door.accept().await?;
            stream.set_nodelay(true)?;
            let served =
                http1::Builder::new().serve_connection(TokioIo::new(stream), service_fn(echo));
            if let Err(error) = served.await {
                eprintln!("bench: the echo server lost a connection: {error}");
            }
        }
    })
}

async fn echo(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    Ok(match request.into_body().collect().await {
        Ok(body) => Response::new(Full::new(body.to_bytes())),
        Err(_) => {
            let mut broken = Response::new(Full::default());
            *broken.status_mut() = StatusCode::BAD_REQUEST;
            broken
        }
    })
}
