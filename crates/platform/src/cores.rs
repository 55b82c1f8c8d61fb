//! Cores of this host: which one a caller's bytes came from, and where the thread
//! that serves runs. Invariant: a thread is only ever held to a core that it was
//! given, and whoever sets its cores from outside has the last word.

mod nearness;

use std::{
    io,
    pin::Pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
    task::{Context, Poll},
};

pub use nearness::{Change, LONG, Nearness};
pub use rustix::thread::CpuSet;
use rustix::{
    net::sockopt::socket_incoming_cpu,
    thread::{sched_getaffinity, sched_setaffinity},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};

/// Where the serving thread is held. Executors of this project have one thread that
/// serves; their other threads only wait for disks.
static SEAT: Mutex<Seat> = Mutex::new(Seat { given: None, held: None });

#[derive(Debug)]
struct Seat {
    /// What the thread could use before it was first held.
    given: Option<CpuSet>,
    held: Option<usize>,
}

/// The core this thread runs on now.
pub fn here() -> usize {
    rustix::thread::sched_getcpu()
}

/// The cores that this process may use, also while its thread is held to one.
pub fn allowed() -> io::Result<CpuSet> {
    SEAT.lock().unwrap_or_else(PoisonError::into_inner).allowed()
}

/// Holds the calling thread to one of its cores, or lets it run on all of them. Says
/// whether it may run there.
pub fn hold(core: Option<usize>) -> io::Result<bool> {
    SEAT.lock().unwrap_or_else(PoisonError::into_inner).sit(core)
}

/// For a thread that begins: what starts it may be held to a core, and a thread
/// inherits that.
pub fn begin_free() {
    let given = SEAT.lock().unwrap_or_else(PoisonError::into_inner).given;
    if let Some(given) = given
        && let Err(error) = sched_setaffinity(None, &given)
    {
        tracing::debug!(%error, "a new thread stays on its maker's core");
    }
}

impl Seat {
    fn allowed(&self) -> io::Result<CpuSet> {
        let now = sched_getaffinity(None)?;
        match (self.held, self.given) {
            (Some(held), Some(given)) if now == only(held) => Ok(given),
            _ => Ok(now),
        }
    }

    fn sit(&mut self, core: Option<usize>) -> io::Result<bool> {
        let allowed = self.allowed()?;
        self.given = Some(allowed);
        self.held = core.filter(|core| allowed.is_set(*core));
        let cores = self.held.map_or(allowed, only);
        sched_setaffinity(None, &cores)?;
        Ok(self.held == core)
    }
}

/// One core as a set.
pub fn only(core: usize) -> CpuSet {
    let mut set = CpuSet::new();
    set.set(core);
    set
}

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
    use tokio::io::AsyncReadExt;

    use super::*;

    #[test]
    fn a_held_thread_knows_its_cores_and_gets_them_back() {
        let given = sched_getaffinity(None).unwrap();
        let core = (0..CpuSet::MAX_CPU).find(|core| given.is_set(*core)).unwrap();
        let mut seat = Seat { given: None, held: None };
        assert!(seat.sit(Some(core)).unwrap());
        assert_eq!(sched_getaffinity(None).unwrap(), only(core));
        assert_eq!(seat.allowed().unwrap(), given);
        assert!(seat.sit(None).unwrap());
        assert_eq!(sched_getaffinity(None).unwrap(), given);
    }

    #[test]
    fn a_core_that_was_not_given_is_not_taken() {
        let given = sched_getaffinity(None).unwrap();
        let core = (0..CpuSet::MAX_CPU).find(|core| !given.is_set(*core)).unwrap();
        let mut seat = Seat { given: None, held: None };
        assert!(!seat.sit(Some(core)).unwrap());
        assert_eq!(sched_getaffinity(None).unwrap(), given);
    }

    #[test]
    fn cores_that_were_set_from_outside_stay() {
        let given = sched_getaffinity(None).unwrap();
        let mut cores = (0..CpuSet::MAX_CPU).filter(|core| given.is_set(*core));
        let (Some(first), Some(second)) = (cores.next(), cores.next()) else { return };
        let mut seat = Seat { given: None, held: None };
        assert!(seat.sit(Some(first)).unwrap());
        sched_setaffinity(None, &only(second)).unwrap();
        assert!(seat.sit(None).unwrap());
        assert_eq!(sched_getaffinity(None).unwrap(), only(second));
    }

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
