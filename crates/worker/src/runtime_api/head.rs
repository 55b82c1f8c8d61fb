//! The head of a request to the Runtime API: from bytes to what it asks for and how
//! its body is framed. What cannot be framed without doubt is malformed, so that no
//! byte of one request is ever taken for another.

use aws_api::runtime_api::{self, Call, Refusal};
use bytes::{Buf, BytesMut};
use httparse::{EMPTY_HEADER, Header, Status};
use model::RequestId;

use super::{
    body::Framing,
    request::{Broken, Request},
};

/// Bytes of a head, or of trailers; a longer one is answered with 431 and its
/// connection closed. AWS's clients put up to 1 MiB into `XRAY_ERROR_CAUSE`.
pub(super) const HEAD_BYTES_MAX: usize = (1024 + 64) * 1024;
/// Header lines of a head, or of trailers; more are answered as a longer head.
pub(super) const HEADERS_MAX: usize = 100;

#[derive(Debug)]
pub(super) struct Head {
    pub(super) asks: Asks,
    pub(super) framing: Framing,
    /// The connection ends with the answer.
    pub(super) last: bool,
    /// The body comes only after `100 Continue`.
    pub(super) expects_continue: bool,
    /// The answer has no body.
    pub(super) head_only: bool,
}

/// What a request wants, as far as its head tells.
#[derive(Debug)]
pub(super) enum Asks {
    /// Its body matters to nobody.
    AtOnce(Request),
    Response {
        id: Option<RequestId>,
        streaming: bool,
    },
    Error {
        id: Option<RequestId>,
        error_type: Option<String>,
    },
    InitError {
        error_type: Option<String>,
    },
}

/// The lines that matter, as they were sent.
#[derive(Default)]
struct Lines<'a> {
    length: Option<&'a [u8]>,
    encoding: Option<&'a [u8]>,
    connection: Option<&'a [u8]>,
    expect: Option<&'a [u8]>,
    mode: Option<&'a [u8]>,
    error_type: Option<&'a [u8]>,
}

/// How far lines were searched for their end: bytes that trickle in are parsed once
/// when they have come, not once each.
#[derive(Debug, Default)]
pub(super) struct Searched(usize);

impl Searched {
    /// Whether lines may end in these bytes, to which only new ones were added.
    pub(super) fn may_end(&mut self, bytes: &[u8]) -> bool {
        let new = bytes.get(self.0.saturating_sub(2)..).unwrap_or(bytes);
        let first = std::mem::replace(&mut self.0, bytes.len()) == 0;
        first
            || new.windows(3).any(|end| end == b"\n\r\n")
            || new.windows(2).any(|end| end == b"\n\n")
    }
}

/// Takes a head off the front, once it is there.
pub(super) fn take(
    received: &mut BytesMut,
    searched: &mut Searched,
) -> Result<Option<Head>, Broken> {
    if received.is_empty() {
        return Ok(None);
    }
    let parsed = if searched.may_end(received) { parse(received)? } else { None };
    match parsed {
        Some((length, _)) if length > HEAD_BYTES_MAX => Err(Broken::HeadTooLong),
        Some((length, head)) => {
            received.advance(length);
            *searched = Searched::default();
            Ok(Some(head))
        }
        None if received.len() > HEAD_BYTES_MAX => Err(Broken::HeadTooLong),
        None => Ok(None),
    }
}

fn parse(bytes: &[u8]) -> Result<Option<(usize, Head)>, Broken> {
    let mut headers = [EMPTY_HEADER; HEADERS_MAX];
    let mut request = httparse::Request::new(&mut headers);
    let length = match request.parse(bytes) {
        Ok(Status::Complete(length)) => length,
        Ok(Status::Partial) => return Ok(None),
        Err(httparse::Error::TooManyHeaders) => return Err(Broken::HeadTooLong),
        Err(_) => return Err(Broken::Malformed),
    };
    let (Some(method), Some(target)) = (request.method, request.path) else {
        return Err(Broken::Malformed);
    };
    let lines = Lines::of(request.headers)?;
    let old = request.version == Some(0);
    let head = Head {
        asks: asks(method, target, &lines)?,
        framing: lines.framing(old)?,
        last: old || lines.connection.is_some_and(|value| has_word(value, b"close")),
        expects_continue: !old && lines.expect.is_some_and(|value| is_word(value, b"100-continue")),
        head_only: method == "HEAD",
    };
    Ok(Some((length, head)))
}

fn asks(method: &str, target: &str, lines: &Lines<'_>) -> Result<Asks, Broken> {
    let method = http::Method::from_bytes(method.as_bytes()).map_err(|_| Broken::Malformed)?;
    let absolute: http::Uri;
    let path = if target.starts_with('/') {
        target.split_once('?').map_or(target, |(path, _)| path)
    } else {
        absolute = target.parse().map_err(|_| Broken::Malformed)?;
        absolute.path()
    };
    Ok(match Call::of(&method, path) {
        Some(Call::Next) => Asks::AtOnce(Request::Next),
        Some(Call::Response { request_id }) => match lines.mode {
            Some(mode) if mode != runtime_api::RESPONSE_MODE_STREAMING.as_bytes() => {
                Asks::AtOnce(Request::Refused(Refusal::InvalidFunctionResponseMode))
            }
            mode => Asks::Response { id: RequestId::parse(request_id), streaming: mode.is_some() },
        },
        Some(Call::Error { request_id }) => {
            Asks::Error { id: RequestId::parse(request_id), error_type: lines.error_type() }
        }
        Some(Call::InitError) => Asks::InitError { error_type: lines.error_type() },
        Some(Call::Ping) => Asks::AtOnce(Request::Ping),
        // There are no snapshots to restore from.
        Some(Call::RestoreNext | Call::RestoreError) | None => Asks::AtOnce(Request::Unknown),
    })
}

impl<'a> Lines<'a> {
    fn of(headers: &[Header<'a>]) -> Result<Lines<'a>, Broken> {
        let mut lines = Lines::default();
        for Header { name, value } in headers {
            let is = |known: &str| name.eq_ignore_ascii_case(known);
            let place = if is("content-length") {
                // Twice the same says nothing new; two lengths are two requests.
                if lines.length.is_some_and(|before| before != *value) {
                    return Err(Broken::Malformed);
                }
                &mut lines.length
            } else if is("transfer-encoding") {
                if lines.encoding.is_some() {
                    return Err(Broken::Malformed);
                }
                &mut lines.encoding
            } else if is("connection") {
                &mut lines.connection
            } else if is("expect") {
                &mut lines.expect
            } else if is(runtime_api::RESPONSE_MODE) {
                &mut lines.mode
            } else if is(runtime_api::FUNCTION_ERROR_TYPE) {
                &mut lines.error_type
            } else {
                continue;
            };
            *place = Some(*value);
        }
        Ok(lines)
    }

    fn framing(&self, old: bool) -> Result<Framing, Broken> {
        match (self.encoding, self.length) {
            (None, None) => Ok(Framing::Length(0)),
            (None, Some(length)) => number(length).map(Framing::Length).ok_or(Broken::Malformed),
            (Some(encoding), None) if !old && is_word(encoding, b"chunked") => {
                Ok(Framing::chunked())
            }
            (Some(_), _) => Err(Broken::Malformed),
        }
    }

    fn error_type(&self) -> Option<String> {
        self.error_type.and_then(text)
    }
}

/// Visible ASCII, as a header's value is read as text.
pub(super) fn text(value: &[u8]) -> Option<String> {
    let visible = value.iter().all(|byte| matches!(byte, b'\t' | b' '..=b'~'));
    visible.then(|| String::from_utf8_lossy(value).into_owned())
}

/// Digits only: no sign, no space, no list.
fn number(digits: &[u8]) -> Option<u64> {
    let plain = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    plain.then(|| std::str::from_utf8(digits).ok()?.parse().ok()).flatten()
}

fn is_word(value: &[u8], word: &[u8]) -> bool {
    value.trim_ascii().eq_ignore_ascii_case(word)
}

fn has_word(list: &[u8], word: &[u8]) -> bool {
    list.split(|byte| *byte == b',').any(|value| is_word(value, word))
}
