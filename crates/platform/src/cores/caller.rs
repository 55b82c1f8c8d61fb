//! Connections that know which core their bytes came over: on one host, the caller's.
//! Invariant: it is asked for anew with each read, since callers move.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
    task::{Context, Poll},
};

use rustix::net::sockopt::socket_incoming_cpu;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};

/// The core that a connection's last bytes came over: on one host, the caller's.
#[derive(Clone, Debug)]
pub struct CallerCore(Arc<AtomicU32>);

impl CallerCore {
    const UNKNOWN: u32 = u32::MAX;

    /// Of a stream that is no socket.
    pub fn unknown() -> CallerCore {
        CallerCore(Arc::new(AtomicU32::new(CallerCore::UNKNOWN)))
    }

    pub fn get(&self) -> Option<usize> {
        let core = self.0.load(Relaxed);
        (core != CallerCore::UNKNOWN).then_some(core as usize)
    }
}

/// A connection that knows its caller's core.
#[derive(Debug)]
pub struct Traced {
    stream: TcpStream,
    core: CallerCore,
}

impl Traced {
    pub fn new(stream: TcpStream) -> (Traced, CallerCore) {
        let core = CallerCore::unknown();
        (Traced { stream, core: core.clone() }, core)
    }
}

impl AsyncRead for Traced {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let read = Pin::new(&mut self.stream).poll_read(cx, buffer);
        if read.is_ready() {
            let core = socket_incoming_cpu(&self.stream).unwrap_or(CallerCore::UNKNOWN);
            self.core.0.store(core, Relaxed);
        }
        read
    }
}

impl AsyncWrite for Traced {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use rustix::thread::sched_getaffinity;
    use tokio::io::AsyncReadExt;

    use super::*;

    #[tokio::test]
    async fn a_connection_says_which_core_its_bytes_came_over() {
        let listener = crate::listen::tcp("127.0.0.1:0".parse().unwrap()).unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (stream, _) = crate::listen::accept(&listener).await;
        let (mut stream, core) = Traced::new(stream);
        assert_eq!(core.get(), None, "nothing came yet");
        client.try_write(b"x").unwrap();
        stream.read_u8().await.unwrap();
        let given = sched_getaffinity(None).unwrap();
        assert!(core.get().is_some_and(|core| given.is_set(core)));
    }
}
