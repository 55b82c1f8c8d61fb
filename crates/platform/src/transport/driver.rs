//! The one task of a connection. It owns the stream: reads frames and hands them on,
//! writes what senders left in the link, and lets messages pass between the pieces of
//! long bodies. It ends with the connection.
//!
//! ```text
//! woken ─▶ read all there is ─▶ write all there is ─▶ asleep
//! ```

use std::{
    collections::{BTreeMap, VecDeque},
    future::Future,
    io,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll},
};

use bytes::{Buf, Bytes, BytesMut};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite},
    time::{Instant, Sleep},
};
use wire::{
    codec::Undecodable,
    frame::{self, Content, Frame, Malformed, StreamId},
};

use super::{incoming::Incoming, link::Gathered, link::Link, outgoing::Outgoing};
use crate::{
    body::Body,
    limits::{READ_BYTES, SILENCE, SILENCES_MAX, WRITE_BYTES},
};

/// Why a connection is over.
#[derive(Debug, thiserror::Error)]
pub(super) enum Ending {
    #[error("everything that was asked is answered")]
    Left,
    #[error("the other end hung up")]
    HungUp,
    #[error("the connection broke: {0}")]
    Io(#[from] io::Error),
    #[error("nothing was heard from the other end")]
    Silent,
    #[error(transparent)]
    Malformed(#[from] Malformed),
    #[error(transparent)]
    Undecodable(#[from] Undecodable),
    #[error("the other end broke the rules: {0}")]
    Rules(&'static str),
}

/// Where the calls and notes of the other end go.
pub(super) trait Receiver {
    /// Whether one more may be handed over now. Nothing is read until then.
    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<()>;
    fn call(&mut self, stream: StreamId, message: &[u8], body: Body) -> Result<(), Ending>;
    fn note(&mut self, message: &[u8]) -> Result<(), Ending>;
}

/// The end that connected is never called.
#[derive(Debug)]
pub(super) struct Nobody;

impl Receiver for Nobody {
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<()> {
        Poll::Ready(())
    }

    fn call(&mut self, _: StreamId, _: &[u8], _: Body) -> Result<(), Ending> {
        Err(Ending::Rules("the end that serves made a call"))
    }

    fn note(&mut self, _: &[u8]) -> Result<(), Ending> {
        Err(Ending::Rules("the end that serves sent a note"))
    }
}

pub(super) struct Driver<S, R> {
    stream: S,
    link: Arc<Link>,
    receiver: R,
    reading: BytesMut,
    writing: Gathered,
    unflushed: bool,
    sending: VecDeque<Outgoing>,
    receiving: BTreeMap<StreamId, Incoming>,
    silence: Pin<Box<Sleep>>,
    /// Since the last look at the silence.
    heard: bool,
    spoke: bool,
    /// The inbox had room when it was last asked.
    reads: bool,
    silences: u32,
}

impl<S, R> Driver<S, R>
where
    S: AsyncRead + AsyncWrite + Unpin,
    R: Receiver + Unpin,
{
    /// `read` was read from the stream already.
    pub(super) fn new(stream: S, read: BytesMut, link: Arc<Link>, receiver: R) -> Driver<S, R> {
        Driver {
            stream,
            link,
            receiver,
            reading: read,
            writing: Gathered::default(),
            unflushed: false,
            sending: VecDeque::new(),
            receiving: BTreeMap::new(),
            silence: Box::pin(tokio::time::sleep(SILENCE.to_std())),
            heard: false,
            spoke: false,
            reads: true,
            silences: 0,
        }
    }

    /// Until the connection is over.
    pub(super) async fn run(mut self) -> Ending {
        std::future::poll_fn(|context| self.poll(context)).await
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Ending> {
        match self.turn(context) {
            Err(ending) => Poll::Ready(ending),
            Ok(()) if self.is_left() => Poll::Ready(Ending::Left),
            Ok(()) => Poll::Pending,
        }
    }

    fn turn(&mut self, context: &mut Context<'_>) -> Result<(), Ending> {
        self.read(context)?;
        self.listen(context)?;
        self.write(context)
    }

    fn is_left(&self) -> bool {
        let quiet = self.writing.bytes.is_empty() && !self.unflushed;
        quiet && self.sending.is_empty() && self.receiving.is_empty() && self.link.is_left()
    }

    fn read(&mut self, context: &mut Context<'_>) -> Result<(), Ending> {
        loop {
            self.reads = self.receiver.poll_ready(context).is_ready();
            if !self.reads {
                return Ok(());
            }
            if let Some(frame) = frame::take(&mut self.reading)? {
                self.take(frame)?;
                continue;
            }
            self.reading.reserve(READ_BYTES);
            match pin!(self.stream.read_buf(&mut self.reading)).poll(context)? {
                Poll::Ready(0) => return Err(Ending::HungUp),
                Poll::Ready(_) => self.heard = true,
                Poll::Pending => return Ok(()),
            }
        }
    }

    fn take(&mut self, frame: Frame) -> Result<(), Ending> {
        match frame {
            Frame::Call { stream, content } => {
                if !self.link.serves_one_more() {
                    return Err(Ending::Rules("it made too many calls at once"));
                }
                let body = self.open(stream, &content);
                self.receiver.call(stream, &content.message, body)
            }
            Frame::Note(message) => self.receiver.note(&message),
            Frame::Answer { stream, content } => {
                let Some(asked) = self.link.asked(stream) else {
                    return Err(Ending::Rules("it answered what nobody asked"));
                };
                let body = self.open(stream, &content);
                // Where the caller has gone away, so does the body.
                let _ = asked.send((content.message, body));
                Ok(())
            }
            Frame::NoAnswer(stream) => {
                drop(self.link.asked(stream));
                Ok(())
            }
            Frame::Piece { stream, bytes, last } => self.piece(stream, bytes, last),
            Frame::Broken(stream) => {
                self.receiving.remove(&stream).into_iter().for_each(Incoming::break_off);
                Ok(())
            }
            Frame::Room { stream, bytes } => {
                let body = self.sending.iter_mut().find(|body| body.stream == stream);
                body.into_iter().for_each(|body| body.has_room_for(bytes));
                Ok(())
            }
            Frame::Stop(stream) => {
                self.stop(stream);
                Ok(())
            }
            Frame::Alive => Ok(()),
            Frame::At(core) => {
                self.link.hears_of(core);
                Ok(())
            }
            Frame::Hello(_) | Frame::Greeting(_) => Err(Ending::Rules("it greeted twice")),
        }
    }

    fn open(&mut self, stream: StreamId, content: &Content) -> Body {
        let (body, incoming) = Incoming::open(&self.link, stream, content);
        if let Some(incoming) = incoming {
            self.receiving.insert(stream, incoming);
        }
        body
    }

    /// Pieces of a body that nobody reads may still be on their way: the sender hears
    /// of it later.
    fn piece(&mut self, stream: StreamId, bytes: Bytes, last: bool) -> Result<(), Ending> {
        let Some(incoming) = self.receiving.get(&stream) else { return Ok(()) };
        let overrun = |_| Ending::Rules("it sent more of a body than there is room for");
        let read = incoming.take(bytes).map_err(overrun)?;
        if last || !read {
            self.receiving.remove(&stream);
        }
        Ok(())
    }

    fn stop(&mut self, stream: StreamId) {
        let before = self.sending.len();
        self.sending.retain(|body| body.stream != stream);
        if self.sending.len() < before {
            self.link.control(&Frame::Broken(stream));
        }
    }

    /// Says that this end lives, where it said nothing else, and gives up an end that
    /// does not. What is not read for want of room in the inbox counts as heard.
    fn listen(&mut self, context: &mut Context<'_>) -> Result<(), Ending> {
        while self.silence.as_mut().poll(context).is_ready() {
            let next = Instant::now() + SILENCE.to_std();
            self.silence.as_mut().reset(next);
            if !std::mem::take(&mut self.spoke) && self.writing.bytes.is_empty() {
                self.link.control(&Frame::Alive);
            }
            let heard = std::mem::take(&mut self.heard) || !self.reads;
            self.silences = if heard { 0 } else { self.silences + 1 };
            if self.silences > SILENCES_MAX {
                return Err(Ending::Silent);
            }
        }
        Ok(())
    }

    fn write(&mut self, context: &mut Context<'_>) -> Result<(), Ending> {
        loop {
            while !self.writing.bytes.is_empty() {
                let written =
                    Pin::new(&mut self.stream).poll_write(context, &self.writing.bytes)?;
                let Poll::Ready(written) = written else { return Ok(()) };
                if written == 0 {
                    return Err(Ending::HungUp);
                }
                self.writing.bytes.advance(written);
                (self.unflushed, self.spoke) = (true, true);
            }
            self.link.gather(&mut self.writing, context.waker());
            self.sending.extend(self.writing.bodies.drain(..));
            self.cut_pieces(context);
            if self.writing.bytes.is_empty() {
                break;
            }
        }
        if self.unflushed && Pin::new(&mut self.stream).poll_flush(context)?.is_ready() {
            self.unflushed = false;
        }
        Ok(())
    }

    /// One piece of each body in turn, as far as one write goes.
    fn cut_pieces(&mut self, context: &mut Context<'_>) {
        let mut waiting = 0;
        while waiting < self.sending.len() && self.writing.bytes.len() < WRITE_BYTES {
            let Some(mut body) = self.sending.pop_front() else { break };
            let Poll::Ready((frame, last)) = body.poll_frame(context) else {
                waiting += 1;
                self.sending.push_back(body);
                continue;
            };
            frame::put(&mut self.writing.bytes, &frame);
            if !last {
                self.sending.push_back(body);
            }
        }
    }
}

impl<S, R> Drop for Driver<S, R> {
    /// Also where the task is dropped or panics: nobody waits for a connection that
    /// is not there.
    fn drop(&mut self) {
        self.link.end();
        for incoming in std::mem::take(&mut self.receiving).into_values() {
            incoming.break_off();
        }
    }
}
