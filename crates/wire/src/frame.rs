//! What stands on a connection: frames, each with its length in front. A call or an
//! answer carries its message and the first piece of its body; further pieces follow
//! in frames of their own, so that other messages pass between them.
//!
//! ```text
//! length u32 | kind u8 | stream u64 | the kind's own bytes      (little endian)
//! ```

use bytes::{Buf, BufMut, Bytes, BytesMut};
use serde::{Deserialize, Serialize};

use crate::codec::{self, Unencodable};

/// Grows with every change of a frame or of a message. Two versions do not talk.
pub const VERSION: u8 = 2;

/// A longer message is not sent; one that arrives ends the connection.
pub const MESSAGE_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Longer pieces are cut by the sender; one that arrives ends the connection.
pub const PIECE_BYTES_MAX: usize = 64 * 1024;
/// Of either greeting; a longer one ends the connection.
pub const GREETING_BYTES_MAX: usize = 1_024;

const LENGTH_BYTES: usize = 4;
const MAGIC: &[u8; 4] = b"LMBT";

/// Which call of a connection, counted by the end that made the connection.
pub type StreamId = u64;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame {
    /// First of the end that connected.
    Hello(Bytes),
    /// First of the end that serves.
    Greeting(Bytes),
    Call {
        stream: StreamId,
        content: Content,
    },
    Note(Bytes),
    Answer {
        stream: StreamId,
        content: Content,
    },
    /// The role dropped the call.
    NoAnswer(StreamId),
    /// The next piece of a body, from whichever end sends it.
    Piece {
        stream: StreamId,
        bytes: Bytes,
        last: bool,
    },
    /// The body ends here, and is not whole.
    Broken(StreamId),
    /// The reader of a body has room for so many more bytes.
    Room {
        stream: StreamId,
        bytes: u32,
    },
    /// The reader of a body wants no more of it. `Broken` confirms.
    Stop(StreamId),
    /// A sign of life, where there is nothing else to say.
    Alive,
    /// The core that the sender's thread is held to, where both ends are of one host.
    At(Option<u16>),
}

/// A message with the beginning of its body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Content {
    pub message: Bytes,
    pub piece: Bytes,
    /// Further pieces follow.
    pub more: bool,
}

/// Bytes are not frames of this version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    #[error("a frame of kind {kind} has {bytes} bytes")]
    Length { kind: u8, bytes: usize },
    #[error("no frame is of kind {0}")]
    Kind(u8),
}

mod kind {
    pub(super) const HELLO: u8 = 1;
    pub(super) const GREETING: u8 = 2;
    pub(super) const CALL: u8 = 3;
    pub(super) const CALL_MORE: u8 = 4;
    pub(super) const NOTE: u8 = 5;
    pub(super) const ANSWER: u8 = 6;
    pub(super) const ANSWER_MORE: u8 = 7;
    pub(super) const NO_ANSWER: u8 = 8;
    pub(super) const PIECE: u8 = 9;
    pub(super) const LAST_PIECE: u8 = 10;
    pub(super) const BROKEN: u8 = 11;
    pub(super) const ROOM: u8 = 12;
    pub(super) const STOP: u8 = 13;
    pub(super) const ALIVE: u8 = 14;
    pub(super) const AT: u8 = 15;
}

/// Bytes of the kind and the stream: what follows the length in every frame.
const HEAD_BYTES: usize = 1 + 8;

/// The longest and shortest rest that a frame of this kind may have.
fn bounds(kind: u8) -> Result<(usize, usize), Malformed> {
    let content = LENGTH_BYTES + MESSAGE_BYTES_MAX + PIECE_BYTES_MAX;
    Ok(match kind {
        kind::HELLO | kind::GREETING => (0, GREETING_BYTES_MAX),
        kind::CALL | kind::CALL_MORE | kind::ANSWER | kind::ANSWER_MORE => (LENGTH_BYTES, content),
        kind::NOTE => (0, MESSAGE_BYTES_MAX),
        kind::PIECE | kind::LAST_PIECE => (0, PIECE_BYTES_MAX),
        kind::ROOM => (4, 4),
        kind::AT => (0, 2),
        kind::NO_ANSWER | kind::BROKEN | kind::STOP | kind::ALIVE => (0, 0),
        other => return Err(Malformed::Kind(other)),
    })
}

/// Whether what has arrived can become a greeting: nobody who has not greeted makes
/// this end wait for, or keep room for, anything longer.
pub fn may_greet(buffer: &[u8]) -> bool {
    buffer.get(LENGTH_BYTES).is_none_or(|kind| matches!(*kind, kind::HELLO | kind::GREETING))
}

/// Takes the first frame off the buffer, without copying it. `Ok(None)` asks for more
/// bytes; a frame that is too long is refused before its bytes are waited for.
pub fn take(buffer: &mut BytesMut) -> Result<Option<Frame>, Malformed> {
    let Some((head, rest)) = buffer.split_first_chunk::<{ LENGTH_BYTES + 1 }>() else {
        return Ok(None);
    };
    let [a, b, c, d, kind] = *head;
    let length = u32::from_le_bytes([a, b, c, d]) as usize;
    let (shortest, longest) = bounds(kind)?;
    let own = length.checked_sub(HEAD_BYTES).filter(|own| (shortest..=longest).contains(own));
    let Some(own) = own else { return Err(Malformed::Length { kind, bytes: length }) };
    if rest.len() + 1 < length {
        // One allocation for the rest instead of several while it grows.
        buffer.reserve(LENGTH_BYTES + length - buffer.len());
        return Ok(None);
    }
    let mut frame = buffer.split_to(LENGTH_BYTES + length).freeze();
    frame.advance(LENGTH_BYTES + 1);
    let stream = frame.get_u64_le();
    debug_assert_eq!(frame.len(), own);
    parse(kind, stream, frame).map(Some)
}

fn parse(kind: u8, stream: StreamId, mut own: Bytes) -> Result<Frame, Malformed> {
    Ok(match kind {
        kind::HELLO => Frame::Hello(own),
        kind::GREETING => Frame::Greeting(own),
        kind::CALL | kind::CALL_MORE => {
            Frame::Call { stream, content: content(kind, kind == kind::CALL_MORE, own)? }
        }
        kind::NOTE => Frame::Note(own),
        kind::ANSWER | kind::ANSWER_MORE => {
            Frame::Answer { stream, content: content(kind, kind == kind::ANSWER_MORE, own)? }
        }
        kind::NO_ANSWER => Frame::NoAnswer(stream),
        kind::PIECE | kind::LAST_PIECE => {
            Frame::Piece { stream, bytes: own, last: kind == kind::LAST_PIECE }
        }
        kind::BROKEN => Frame::Broken(stream),
        kind::ROOM => Frame::Room { stream, bytes: own.get_u32_le() },
        kind::STOP => Frame::Stop(stream),
        kind::ALIVE => Frame::Alive,
        kind::AT => match own.len() {
            0 => Frame::At(None),
            2 => Frame::At(Some(own.get_u16_le())),
            other => return Err(Malformed::Length { kind, bytes: other }),
        },
        other => return Err(Malformed::Kind(other)),
    })
}

fn content(kind: u8, more: bool, mut own: Bytes) -> Result<Content, Malformed> {
    let length = own.get_u32_le() as usize;
    let piece = own.len().checked_sub(length);
    if length > MESSAGE_BYTES_MAX || piece.is_none_or(|piece| piece > PIECE_BYTES_MAX) {
        return Err(Malformed::Length { kind, bytes: length });
    }
    let message = own.split_to(length);
    Ok(Content { message, piece: own, more })
}

/// Appends a call. `message` writes the message itself; nothing is left behind where
/// it fails.
pub fn put_call<F>(
    out: &mut BytesMut,
    stream: StreamId,
    message: F,
    piece: &[u8],
    more: bool,
) -> Result<(), Unencodable>
where
    F: FnOnce(&mut BytesMut) -> Result<(), Unencodable>,
{
    put_content(out, if more { kind::CALL_MORE } else { kind::CALL }, stream, message, piece)
}

/// As `put_call`.
pub fn put_answer<F>(
    out: &mut BytesMut,
    stream: StreamId,
    message: F,
    piece: &[u8],
    more: bool,
) -> Result<(), Unencodable>
where
    F: FnOnce(&mut BytesMut) -> Result<(), Unencodable>,
{
    put_content(out, if more { kind::ANSWER_MORE } else { kind::ANSWER }, stream, message, piece)
}

fn put_content<F>(
    out: &mut BytesMut,
    kind: u8,
    stream: StreamId,
    message: F,
    piece: &[u8],
) -> Result<(), Unencodable>
where
    F: FnOnce(&mut BytesMut) -> Result<(), Unencodable>,
{
    let start = begin(out, kind, stream);
    out.put_u32_le(0);
    let written = put_message(out, message, start)?;
    let at = start + LENGTH_BYTES + HEAD_BYTES;
    out[at..at + LENGTH_BYTES].copy_from_slice(&(written as u32).to_le_bytes());
    out.extend_from_slice(piece);
    finish(out, start);
    Ok(())
}

/// Appends a note. Nothing is left behind where `message` fails.
pub fn put_note<F>(out: &mut BytesMut, message: F) -> Result<(), Unencodable>
where
    F: FnOnce(&mut BytesMut) -> Result<(), Unencodable>,
{
    let start = begin(out, kind::NOTE, 0);
    put_message(out, message, start)?;
    finish(out, start);
    Ok(())
}

/// How many bytes the message has. What began at `start` is cut off where it fails.
fn put_message<F>(out: &mut BytesMut, message: F, start: usize) -> Result<usize, Unencodable>
where
    F: FnOnce(&mut BytesMut) -> Result<(), Unencodable>,
{
    let before = out.len();
    let written = message(out).and_then(|()| {
        let bytes = out.len() - before;
        let max = MESSAGE_BYTES_MAX;
        if bytes > max { Err(Unencodable::TooLong { bytes, max }) } else { Ok(bytes) }
    });
    if written.is_err() {
        out.truncate(start);
    }
    written
}

/// Appends a frame that carries no message.
pub fn put(out: &mut BytesMut, frame: &Frame) {
    let content = |message: &Bytes| {
        let message = message.clone();
        move |out: &mut BytesMut| -> Result<(), Unencodable> {
            out.extend_from_slice(&message);
            Ok(())
        }
    };
    let (kind, stream, own): (u8, StreamId, &[u8]) = match frame {
        Frame::Hello(own) => (kind::HELLO, 0, own),
        Frame::Greeting(own) => (kind::GREETING, 0, own),
        Frame::Note(own) => (kind::NOTE, 0, own),
        Frame::Call { stream, content: c } => {
            let put = put_call(out, *stream, content(&c.message), &c.piece, c.more);
            return debug_assert_eq!(put, Ok(()));
        }
        Frame::Answer { stream, content: c } => {
            let put = put_answer(out, *stream, content(&c.message), &c.piece, c.more);
            return debug_assert_eq!(put, Ok(()));
        }
        Frame::NoAnswer(stream) => (kind::NO_ANSWER, *stream, &[]),
        Frame::Piece { stream, bytes, last } => {
            (if *last { kind::LAST_PIECE } else { kind::PIECE }, *stream, bytes)
        }
        Frame::Broken(stream) => (kind::BROKEN, *stream, &[]),
        Frame::Room { stream, bytes } => (kind::ROOM, *stream, &bytes.to_le_bytes()),
        Frame::Stop(stream) => (kind::STOP, *stream, &[]),
        Frame::Alive => (kind::ALIVE, 0, &[]),
        Frame::At(None) => (kind::AT, 0, &[]),
        Frame::At(Some(core)) => (kind::AT, 0, &core.to_le_bytes()),
    };
    let start = begin(out, kind, stream);
    out.extend_from_slice(own);
    finish(out, start);
}

fn begin(out: &mut BytesMut, kind: u8, stream: StreamId) -> usize {
    let start = out.len();
    out.put_u32_le(0);
    out.put_u8(kind);
    out.put_u64_le(stream);
    start
}

fn finish(out: &mut BytesMut, start: usize) {
    let length = (out.len() - start - LENGTH_BYTES) as u32;
    out[start..start + LENGTH_BYTES].copy_from_slice(&length.to_le_bytes());
}

/// Who connects, and to which role of the process at the other end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// `worker-3`
    pub to: String,
    /// `manager-2`
    pub from: String,
}

/// How the serving end takes a hello.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Greeting {
    Welcome,
    Refused { reason: String },
}

/// Why an end hangs up before the first message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GreetingError {
    #[error("the other end does not speak the language of Lambent's roles")]
    NotLambent,
    #[error("the other end speaks version {theirs} between roles, this one {VERSION}")]
    Version { theirs: u8 },
    #[error("a greeting cannot be read: {0}")]
    Unreadable(#[from] codec::Undecodable),
    #[error("refused by the other end: {0}")]
    Refused(String),
}

/// Names are cut rather than left out: a greeting always fits.
const NAME_BYTES_MAX: usize = 256;

impl Hello {
    pub fn to_frame(&self) -> Frame {
        let cut = |name: &str| cut(name).to_owned();
        Frame::Hello(greet(&Hello { to: cut(&self.to), from: cut(&self.from) }))
    }

    pub fn read(bytes: &[u8]) -> Result<Hello, GreetingError> {
        Ok(codec::decode(versioned(bytes)?)?)
    }
}

impl Greeting {
    pub fn to_frame(&self) -> Frame {
        Frame::Greeting(greet(&match self {
            Greeting::Welcome => Greeting::Welcome,
            Greeting::Refused { reason } => Greeting::Refused { reason: cut(reason).to_owned() },
        }))
    }

    /// Welcome, or why not.
    pub fn read(bytes: &[u8]) -> Result<(), GreetingError> {
        match codec::decode(versioned(bytes)?)? {
            Greeting::Welcome => Ok(()),
            Greeting::Refused { reason } => Err(GreetingError::Refused(reason)),
        }
    }
}

fn cut(text: &str) -> &str {
    let end = (0..=NAME_BYTES_MAX.min(text.len())).rev().find(|at| text.is_char_boundary(*at));
    &text[..end.unwrap_or(0)]
}

fn greet<T: Serialize>(greeting: &T) -> Bytes {
    let mut bytes = BytesMut::from(&MAGIC[..]);
    bytes.put_u8(VERSION);
    let encoded = codec::encode(greeting, &mut bytes);
    debug_assert_eq!(encoded, Ok(()), "strings and enums have bytes");
    bytes.freeze()
}

/// Magic and version stay where they are in every version to come.
fn versioned(bytes: &[u8]) -> Result<&[u8], GreetingError> {
    let rest = bytes.strip_prefix(MAGIC).ok_or(GreetingError::NotLambent)?;
    match rest.split_first() {
        Some((&VERSION, rest)) => Ok(rest),
        Some((&theirs, _)) => Err(GreetingError::Version { theirs }),
        None => Err(GreetingError::NotLambent),
    }
}
