//! One line of a simulated network: two ways of bytes, each chunk with the time at
//! which it arrives. Breaking takes what is under way; silence keeps it.

use std::{
    collections::VecDeque,
    io,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
};

use bytes::{Buf, Bytes};
use model::Span;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Instant, Sleep},
};

use super::Pace;

/// What a line holds in each direction; then writers wait.
pub(super) const LINE_BYTES: usize = 64 * 1024;

#[derive(Clone, Debug)]
pub(super) struct Line(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    pace: Pace,
    /// By the end that writes.
    ways: [Way; 2],
    broken: bool,
    silent: bool,
}

#[derive(Debug, Default)]
struct Way {
    /// An empty chunk is the end.
    chunks: VecDeque<(Instant, Bytes)>,
    bytes: usize,
    over: bool,
    unread: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

/// One end of a line. Dropping it ends what it writes, and refuses what it is sent.
#[derive(Debug)]
pub(crate) struct End {
    line: Line,
    side: usize,
    arrival: Pin<Box<Sleep>>,
}

pub(super) fn line(pace: &Pace) -> (Line, [End; 2]) {
    let ways = [Way::default(), Way::default()];
    let line = Line(Arc::new(Mutex::new(State {
        pace: pace.clone(),
        ways,
        broken: false,
        silent: false,
    })));
    let end = |side| End {
        line: line.clone(),
        side,
        arrival: Box::pin(tokio::time::sleep_until(Instant::now())),
    };
    (line.clone(), [end(0), end(1)])
}

impl Line {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether an end exists still.
    pub(super) fn is_used(&self) -> bool {
        Arc::strong_count(&self.0) > 1
    }

    pub(super) fn cut(&self) {
        let mut state = self.state();
        state.broken = true;
        state.ways.iter_mut().for_each(|way| way.chunks.clear());
        state.wake();
    }

    pub(super) fn silence(&self, silent: bool) {
        let mut state = self.state();
        state.silent = silent;
        state.wake();
    }
}

impl State {
    fn wake(&mut self) {
        for way in &mut self.ways {
            way.wake_reader();
            way.wake_writer();
        }
    }

    /// When what is sent now arrives, after everything that was sent before.
    fn arrival(&self, side: usize) -> Instant {
        let Pace { least, most, dice } = &self.pace;
        let range = most.0.saturating_sub(least.0);
        let drawn = if range == 0 { 0 } else { dice.u64() % (range + 1) };
        let at = Instant::now() + Span(least.0 + drawn).to_std();
        self.ways[side].chunks.back().map_or(at, |(last, _)| at.max(*last))
    }

    fn send(&mut self, side: usize, bytes: Bytes) {
        let at = self.arrival(side);
        let way = &mut self.ways[side];
        way.bytes += bytes.len();
        way.chunks.push_back((at, bytes));
        way.wake_reader();
    }
}

impl Way {
    fn wake_reader(&mut self) {
        self.reader.take().into_iter().for_each(Waker::wake);
    }

    fn wake_writer(&mut self) {
        self.writer.take().into_iter().for_each(Waker::wake);
    }
}

impl AsyncRead for End {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let End { line, side, arrival } = &mut *self;
        let mut state = line.state();
        let State { ways, broken, silent, .. } = &mut *state;
        let way = &mut ways[1 - *side];
        if *broken {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        way.reader = Some(context.waker().clone());
        let Some((at, chunk)) = way.chunks.front_mut().filter(|_| !*silent) else {
            return Poll::Pending;
        };
        if *at > Instant::now() {
            arrival.as_mut().reset(*at);
            if arrival.as_mut().poll(context).is_pending() {
                return Poll::Pending;
            }
        }
        // The end stays where it is, for whoever reads again.
        let length = chunk.len().min(into.remaining());
        into.put_slice(&chunk[..length]);
        chunk.advance(length);
        if chunk.is_empty() && length > 0 {
            way.chunks.pop_front();
        }
        way.bytes -= length;
        way.wake_writer();
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for End {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let mut state = self.line.state();
        let (broken, silent) = (state.broken, state.silent);
        let way = &mut state.ways[self.side];
        // Who hung up is not heard of over a silent line.
        if broken || way.over || (way.unread && !silent) {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let length = bytes.len().min(LINE_BYTES - way.bytes);
        if length == 0 && !bytes.is_empty() {
            way.writer = Some(context.waker().clone());
            return Poll::Pending;
        }
        if length > 0 {
            state.send(self.side, Bytes::copy_from_slice(&bytes[..length]));
        }
        Poll::Ready(Ok(length))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.end();
        Poll::Ready(Ok(()))
    }
}

impl End {
    fn end(&self) {
        let mut state = self.line.state();
        if !state.ways[self.side].over {
            state.send(self.side, Bytes::new());
            state.ways[self.side].over = true;
        }
    }
}

impl Drop for End {
    fn drop(&mut self) {
        self.end();
        let mut state = self.line.state();
        let other = &mut state.ways[1 - self.side];
        other.unread = true;
        other.wake_writer();
    }
}
