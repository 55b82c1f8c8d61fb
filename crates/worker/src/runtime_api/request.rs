//! Cuts the bytes of one connection into requests. Bytes in, requests out: no
//! sockets, and the same requests however the bytes were split on their way.
//!
//! ```text
//!          decided by the head, or too large
//!   Head ─────────────────────────────────────▶ Rest ──body over──▶ Head
//!     └─body wanted─▶ Body ──taken or too large──▲
//! ```

use aws_api::runtime_api::Refusal;
use bytes::{Buf, Bytes, BytesMut};
use model::{RequestId, limits};

use super::{
    ReportedError, ResponseBody,
    body::{Framing, Piece},
    head::{self, Asks, Head, Searched},
};

/// Bytes of a body that nobody wants, read so that its sender comes to the answer;
/// behind them the connection is closed.
pub(super) const DROPPED_BYTES_MAX: u64 = 64 * 1024 * 1024;
const BODY_BYTES_MAX: u64 = limits::RESPONSE_BYTES_MAX;
/// Bodies up to here are copied out, so that the buffer stays the connection's own.
const COPIED_BYTES_MAX: usize = 4 * 1024;

#[derive(Debug, PartialEq)]
pub(super) enum Request {
    Next,
    Response {
        id: Option<RequestId>,
        body: ResponseBody,
    },
    Error {
        id: Option<RequestId>,
        error: ReportedError,
    },
    InitError {
        error: ReportedError,
    },
    Ping,
    Unknown,
    /// Wrong by itself, whenever it is sent.
    Refused(Refusal),
}

/// A request, and how it wants its answer.
#[derive(Debug, PartialEq)]
pub(super) struct Taken {
    pub(super) request: Request,
    pub(super) reply: ReplyForm,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct ReplyForm {
    /// The connection ends with the answer.
    pub(super) last: bool,
    /// The answer has no body.
    pub(super) head_only: bool,
}

/// Why no further request comes from a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Broken {
    Malformed,
    HeadTooLong,
    /// A body that did not come to its end.
    Truncated,
    /// What follows a request that has its answer is endless or no body.
    Rest,
}

#[derive(Debug, Default)]
pub(super) struct RequestReader {
    stage: Stage,
    /// `100 Continue` is to be sent.
    continue_owed: bool,
}

#[derive(Debug)]
enum Stage {
    Head(Searched),
    Body { asks: Asks, framing: Framing, reply: ReplyForm, gathered: BytesMut },
    Rest { framing: Framing, dropped: u64 },
}

impl Default for Stage {
    fn default() -> Stage {
        Stage::Head(Searched::default())
    }
}

enum Gathered {
    Whole(Bytes, Option<ReportedError>),
    TooLarge,
}

impl RequestReader {
    /// The next request, or `None` until more was received.
    pub(super) fn take(&mut self, received: &mut BytesMut) -> Result<Option<Taken>, Broken> {
        loop {
            match &mut self.stage {
                Stage::Head(searched) => {
                    let Some(head) = head::take(received, searched)? else { return Ok(None) };
                    if let Some(taken) = self.begin(head) {
                        return Ok(Some(taken));
                    }
                }
                Stage::Body { framing, gathered, .. } => {
                    let Some(body) = gather(framing, gathered, received)? else {
                        return Ok(None);
                    };
                    return Ok(self.end_body(body));
                }
                Stage::Rest { framing, dropped } => {
                    if !drop_rest(framing, dropped, received)? {
                        return Ok(None);
                    }
                    self.stage = Stage::default();
                }
            }
        }
    }

    /// Decides by the head what it can.
    fn begin(&mut self, head: Head) -> Option<Taken> {
        let Head { asks, framing, last, expects_continue, head_only } = head;
        let awaits_continue = expects_continue && !framing.is_over();
        let too_large = matches!(framing, Framing::Length(length) if length > BODY_BYTES_MAX);
        let request = match asks {
            Asks::AtOnce(request) => request,
            asks @ (Asks::Response { .. } | Asks::Error { .. } | Asks::InitError { .. })
                if too_large =>
            {
                asks.with(Gathered::TooLarge)
            }
            asks @ (Asks::Response { .. } | Asks::Error { .. } | Asks::InitError { .. }) => {
                self.continue_owed = awaits_continue;
                let reply = ReplyForm { last, head_only };
                self.stage = Stage::Body { asks, framing, reply, gathered: BytesMut::new() };
                return None;
            }
        };
        self.stage = Stage::Rest { framing, dropped: 0 };
        // Whether a body still comes after this answer, nobody could tell.
        let reply = ReplyForm { last: last || awaits_continue, head_only };
        Some(Taken { request, reply })
    }

    fn end_body(&mut self, body: Gathered) -> Option<Taken> {
        self.continue_owed = false;
        match std::mem::take(&mut self.stage) {
            Stage::Body { asks, framing, reply, .. } => {
                self.stage = Stage::Rest { framing, dropped: 0 };
                Some(Taken { request: asks.with(body), reply })
            }
            Stage::Head(_) | Stage::Rest { .. } => None,
        }
    }

    /// Once for each request that waits for it.
    pub(super) fn take_continue(&mut self) -> bool {
        std::mem::take(&mut self.continue_owed)
    }

    /// Bytes that a body of declared length still lacks: room for them is well spent.
    pub(super) fn lacks(&self, received: usize) -> usize {
        match &self.stage {
            Stage::Body { framing: Framing::Length(left), .. } => {
                usize::try_from(*left).unwrap_or(0).saturating_sub(received)
            }
            Stage::Head(_) | Stage::Body { .. } | Stage::Rest { .. } => 0,
        }
    }

    /// What it means that nothing more will come.
    pub(super) fn cut_short(&self) -> Option<Broken> {
        match &self.stage {
            Stage::Body { .. } => Some(Broken::Truncated),
            Stage::Head(_) | Stage::Rest { .. } => None,
        }
    }
}

/// The body, once it is decided what it is. The framing is left where the body ends,
/// or within it when it is too large.
fn gather(
    framing: &mut Framing,
    gathered: &mut BytesMut,
    received: &mut BytesMut,
) -> Result<Option<Gathered>, Broken> {
    if let Framing::Length(left) = framing {
        let length = usize::try_from(*left).map_err(|_| Broken::Malformed)?;
        if received.len() < length {
            return Ok(None);
        }
        *left = 0;
        return Ok(Some(Gathered::Whole(take_whole(received, length), None)));
    }
    loop {
        match framing.piece(received).map_err(|_| Broken::Truncated)? {
            Piece::Wait => return Ok(None),
            Piece::End(error) => {
                return Ok(Some(Gathered::Whole(std::mem::take(gathered).freeze(), error)));
            }
            Piece::Bytes(count) if (gathered.len() + count) as u64 > BODY_BYTES_MAX => {
                received.advance(count);
                return Ok(Some(Gathered::TooLarge));
            }
            Piece::Bytes(count) => {
                gathered.extend_from_slice(&received[..count]);
                received.advance(count);
            }
        }
    }
}

fn take_whole(received: &mut BytesMut, length: usize) -> Bytes {
    if length <= COPIED_BYTES_MAX {
        let body = Bytes::copy_from_slice(&received[..length]);
        received.advance(length);
        return body;
    }
    let body = received.split_to(length).freeze();
    // The body alone owns its memory; what follows it is little.
    let rest = std::mem::take(received);
    received.extend_from_slice(&rest);
    body
}

/// Whether the body is over.
fn drop_rest(
    framing: &mut Framing,
    dropped: &mut u64,
    received: &mut BytesMut,
) -> Result<bool, Broken> {
    loop {
        match framing.piece(received).map_err(|_| Broken::Rest)? {
            Piece::Wait => return Ok(false),
            Piece::End(_) => return Ok(true),
            Piece::Bytes(count) => {
                received.advance(count);
                *dropped += count as u64;
                if *dropped > DROPPED_BYTES_MAX {
                    return Err(Broken::Rest);
                }
            }
        }
    }
}

impl Asks {
    fn with(self, body: Gathered) -> Request {
        match (self, body) {
            (Asks::AtOnce(request), _) => request,
            (Asks::Response { id, streaming }, Gathered::Whole(body, error)) => {
                let body = match error.filter(|_| streaming) {
                    Some(error) => ResponseBody::Broken(error),
                    None => ResponseBody::Whole(body),
                };
                Request::Response { id, body }
            }
            (Asks::Response { id, .. }, Gathered::TooLarge) => {
                Request::Response { id, body: ResponseBody::TooLarge }
            }
            (Asks::Error { id, error_type }, Gathered::Whole(json, _)) => {
                Request::Error { id, error: ReportedError { error_type, json } }
            }
            (Asks::InitError { error_type }, Gathered::Whole(json, _)) => {
                Request::InitError { error: ReportedError { error_type, json } }
            }
            (Asks::Error { .. } | Asks::InitError { .. }, Gathered::TooLarge) => {
                Request::Refused(Refusal::RequestEntityTooLarge)
            }
        }
    }
}
