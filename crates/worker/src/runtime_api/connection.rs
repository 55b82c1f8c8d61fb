//! One connection of a runtime: its socket, what was received and not yet taken, what
//! is answered and not yet sent. All state is here and none in a future, so that
//! whoever polls may stop at any time. It decides nothing about order.
//!
//! Requests are taken one after the other; while a runtime waits for work, what it
//! sends ahead stays where it is. Reading goes on while something is being sent, so
//! that a runtime which sends before it reads is not waited for forever.

use std::{
    io::{self, ErrorKind, IoSlice},
    pin::{Pin, pin},
    task::{Context, Poll, ready},
};

use bytes::{Buf, Bytes, BytesMut};
use tokio::{
    io::{AsyncReadExt, AsyncWrite},
    net::TcpStream,
};

use super::{
    answer::{self, Answer},
    request::{Broken, DROPPED_BYTES_MAX, ReplyForm, Request, RequestReader, Taken},
};
use crate::link::Invocation;

/// Room for a read.
const READ_BYTES: usize = 16 * 1024;
/// Below this the room is made anew.
const READ_BYTES_MIN: usize = 4 * 1024;
/// Received from a runtime that waits for work; the rest stays in its socket.
const READ_AHEAD_BYTES_MAX: usize = 64 * 1024;
/// Payloads up to here are copied behind their head.
const COPIED_BYTES_MAX: usize = 16 * 1024;
/// Answers that a runtime has not read; with more, no further request is taken.
const UNSENT_BYTES_MAX: usize = 64 * 1024;

#[derive(Debug)]
pub(super) struct Connection {
    stream: TcpStream,
    received: BytesMut,
    reader: RequestReader,
    sending: Sending,
    stage: Stage,
    /// How the request that was taken last wants its answer.
    reply: ReplyForm,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Open,
    /// It asked for work.
    Waiting,
    /// Nothing more is taken. What still comes is dropped until the runtime closes
    /// too: closing before would destroy the answer on its way.
    Ending {
        dropped: u64,
        shut: bool,
    },
}

/// Bytes on their way: `first`, then `payload`, then `after`.
#[derive(Debug, Default)]
struct Sending {
    first: BytesMut,
    payload: Bytes,
    /// Only behind a payload.
    after: BytesMut,
}

impl Connection {
    pub(super) fn new(stream: TcpStream) -> Connection {
        Connection {
            stream,
            received: BytesMut::new(),
            reader: RequestReader::default(),
            sending: Sending::default(),
            stage: Stage::Open,
            reply: ReplyForm::default(),
        }
    }

    pub(super) fn is_waiting(&self) -> bool {
        self.stage == Stage::Waiting
    }

    /// The next request that order has a say in, or `None` once the connection is
    /// over. Sends what is unsent.
    pub(super) fn poll_request(&mut self, cx: &mut Context<'_>) -> Poll<Option<Request>> {
        loop {
            if self.poll_send(cx).is_err() {
                return Poll::Ready(None);
            }
            match self.stage {
                Stage::Ending { .. } => return self.poll_ending(cx).map(|()| None),
                Stage::Open if self.sending.answers() > UNSENT_BYTES_MAX => return Poll::Pending,
                Stage::Open => match self.reader.take(&mut self.received) {
                    Ok(Some(Taken { request, reply })) => {
                        self.reply = reply;
                        if let Some(request) = self.answer_alone(request) {
                            return Poll::Ready(Some(request));
                        }
                        continue;
                    }
                    Ok(None) if self.reader.take_continue() => {
                        self.sending.answer_buffer().extend_from_slice(answer::CONTINUE);
                        continue;
                    }
                    Ok(None) => {}
                    Err(broken) => {
                        self.end(broken);
                        continue;
                    }
                },
                Stage::Waiting if self.received.len() >= READ_AHEAD_BYTES_MAX => {
                    return Poll::Pending;
                }
                Stage::Waiting => {}
            }
            let more = matches!(ready!(self.poll_receive(cx)), Ok(count) if count > 0);
            if !more {
                match self.reader.cut_short() {
                    Some(broken) if self.stage == Stage::Open => self.end(broken),
                    Some(_) | None => return Poll::Ready(None),
                }
            }
        }
    }

    /// Answers what is the same at any time; hands on the rest.
    fn answer_alone(&mut self, request: Request) -> Option<Request> {
        let answer = match request {
            Request::Next => {
                self.stage = Stage::Waiting;
                return Some(request);
            }
            Request::Response { .. } | Request::Error { .. } | Request::InitError { .. } => {
                return Some(request);
            }
            Request::Ping => Answer::Pong,
            Request::Unknown => Answer::NotFound,
            Request::Refused(refusal) => Answer::Refused(refusal),
        };
        self.answer(answer);
        None
    }

    /// Queues the answer of the request that was taken last; `poll_request` or
    /// `send_now` send it.
    pub(super) fn answer(&mut self, answer: Answer) {
        answer.write(self.reply, self.sending.answer_buffer());
        self.answered();
    }

    /// The work that a waiting runtime asked for.
    pub(super) fn event(&mut self, invocation: &Invocation) {
        answer::event_head(invocation, self.reply, self.sending.answer_buffer());
        self.sending.put_payload(&invocation.payload);
        self.answered();
    }

    fn answered(&mut self) {
        self.stage = match self.stage {
            Stage::Open | Stage::Waiting if self.reply.last => ENDING,
            Stage::Open | Stage::Waiting => Stage::Open,
            ending @ Stage::Ending { .. } => ending,
        };
    }

    fn end(&mut self, broken: Broken) {
        self.reply = ReplyForm { last: true, head_only: false };
        match broken {
            Broken::Malformed => self.answer(Answer::Malformed),
            Broken::HeadTooLong => self.answer(Answer::HeadTooLong),
            Broken::Truncated => {
                self.answer(Answer::Refused(aws_api::runtime_api::Refusal::TruncatedHttpRequest));
            }
            // Its request has had its answer.
            Broken::Rest => self.answered(),
        }
    }

    /// Sends what the socket takes at once; `poll_request` sees to the rest, and to
    /// errors.
    pub(super) fn send_now(&mut self) {
        while !self.sending.is_empty() {
            let [first, payload, after] = self.sending.slices();
            let sent = if payload.is_empty() {
                self.stream.try_write(first)
            } else {
                let slices = [first, payload, after].map(IoSlice::new);
                self.stream.try_write_vectored(&slices)
            };
            match sent {
                Ok(count) if count > 0 => self.sending.sent(count),
                Ok(_) | Err(_) => return,
            }
        }
    }

    /// As `send_now`, and called again when the socket takes more.
    fn poll_send(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        while !self.sending.is_empty() {
            let [first, payload, after] = self.sending.slices();
            let stream = Pin::new(&mut self.stream);
            let sent = if payload.is_empty() {
                stream.poll_write(cx, first)
            } else {
                let slices = [first, payload, after].map(IoSlice::new);
                stream.poll_write_vectored(cx, &slices)
            };
            match sent {
                Poll::Ready(Ok(0)) => return Err(ErrorKind::WriteZero.into()),
                Poll::Ready(Ok(count)) => self.sending.sent(count),
                Poll::Ready(Err(error)) => return Err(error),
                Poll::Pending => return Ok(()),
            }
        }
        Ok(())
    }

    fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let lacks = self.reader.lacks(self.received.len());
        if self.received.capacity() - self.received.len() < lacks.max(READ_BYTES_MIN) {
            self.received.reserve(lacks.max(READ_BYTES));
        }
        pin!(self.stream.read_buf(&mut self.received)).poll(cx)
    }

    /// Until the runtime has closed too, or will not.
    fn poll_ending(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            let Stage::Ending { dropped, shut } = &mut self.stage else { return Poll::Ready(()) };
            if self.sending.is_empty() && !*shut {
                *shut = true;
                let _ = ready!(Pin::new(&mut self.stream).poll_shutdown(cx));
            }
            *dropped += self.received.len() as u64;
            if *dropped > DROPPED_BYTES_MAX {
                return Poll::Ready(());
            }
            self.received.clear();
            match ready!(self.poll_receive(cx)) {
                Ok(count) if count > 0 => {}
                Ok(_) | Err(_) => return Poll::Ready(()),
            }
        }
    }
}

const ENDING: Stage = Stage::Ending { dropped: 0, shut: false };

impl Drop for Connection {
    /// An environment that ends still sends its last answer.
    fn drop(&mut self) {
        self.send_now();
    }
}

impl Sending {
    fn is_empty(&self) -> bool {
        self.first.is_empty() && self.payload.is_empty()
    }

    /// Bytes that a runtime caused and does not read; a payload is not its doing.
    fn answers(&self) -> usize {
        self.first.len() + self.after.len()
    }

    fn answer_buffer(&mut self) -> &mut BytesMut {
        if self.payload.is_empty() { &mut self.first } else { &mut self.after }
    }

    fn put_payload(&mut self, payload: &Bytes) {
        if payload.len() <= COPIED_BYTES_MAX || !self.payload.is_empty() {
            self.answer_buffer().extend_from_slice(payload);
        } else {
            self.payload = payload.clone();
        }
    }

    fn slices(&self) -> [&[u8]; 3] {
        [&self.first, &self.payload, &self.after]
    }

    fn sent(&mut self, mut count: usize) {
        let parts: [&mut dyn Buf; 3] = [&mut self.first, &mut self.payload, &mut self.after];
        for part in parts {
            let here = count.min(part.remaining());
            part.advance(here);
            count -= here;
        }
        if self.is_empty() {
            std::mem::swap(&mut self.first, &mut self.after);
        }
        if self.payload.is_empty() {
            self.payload = Bytes::new();
        }
    }
}
