//! Where the body of a request ends: by its declared length, or chunk by chunk with
//! trailers. It says which bytes belong to the body and keeps none of them.

use aws_api::runtime_api;
use bytes::{Buf, Bytes, BytesMut};
use httparse::{EMPTY_HEADER, Header, Status};

use super::{
    ReportedError,
    head::{HEAD_BYTES_MAX, HEADERS_MAX, Searched, text},
};

/// Bytes of the line before a chunk; a longer one breaks the body.
const CHUNK_LINE_BYTES_MAX: usize = 4 * 1024;

#[derive(Debug)]
pub(super) enum Framing {
    /// So many bytes are still to come.
    Length(u64),
    Chunked(Chunk),
}

#[derive(Debug)]
pub(super) enum Chunk {
    Size,
    Bytes(u64),
    /// The line end behind the bytes.
    Ending,
    Trailers(Searched),
}

pub(super) enum Piece {
    /// Nothing can be said before more has come.
    Wait,
    /// So many bytes at the front are of the body; the caller takes them off.
    Bytes(usize),
    /// The body is over; an error in its trailers, if it has one.
    End(Option<ReportedError>),
}

/// The chunks are not chunks.
#[derive(Debug)]
pub(super) struct BrokenChunk;

impl Framing {
    pub(super) fn chunked() -> Framing {
        Framing::Chunked(Chunk::Size)
    }

    pub(super) fn is_over(&self) -> bool {
        matches!(self, Framing::Length(0))
    }

    /// What stands at the front of what was received.
    pub(super) fn piece(&mut self, received: &mut BytesMut) -> Result<Piece, BrokenChunk> {
        loop {
            match self {
                Framing::Length(0) => return Ok(Piece::End(None)),
                Framing::Length(left) => return Ok(front(left, received)),
                Framing::Chunked(chunk) => {
                    let piece = match chunk {
                        Chunk::Size => size(received)?.map(|size| match size {
                            0 => Chunk::Trailers(Searched::default()),
                            size => Chunk::Bytes(size),
                        }),
                        Chunk::Bytes(0) => Some(Chunk::Ending),
                        Chunk::Bytes(left) => return Ok(front(left, received)),
                        Chunk::Ending => line_end(received)?.then_some(Chunk::Size),
                        Chunk::Trailers(searched) => {
                            let Some(error) = trailers(received, searched)? else {
                                return Ok(Piece::Wait);
                            };
                            *self = Framing::Length(0);
                            return Ok(Piece::End(error));
                        }
                    };
                    match piece {
                        Some(next) => *chunk = next,
                        None => return Ok(Piece::Wait),
                    }
                }
            }
        }
    }
}

fn front(left: &mut u64, received: &BytesMut) -> Piece {
    let here = usize::try_from(*left).map_or(received.len(), |left| left.min(received.len()));
    *left -= here as u64;
    if here == 0 { Piece::Wait } else { Piece::Bytes(here) }
}

fn size(received: &mut BytesMut) -> Result<Option<u64>, BrokenChunk> {
    match httparse::parse_chunk_size(received) {
        Ok(Status::Complete((line, size))) if line <= CHUNK_LINE_BYTES_MAX => {
            received.advance(line);
            Ok(Some(size))
        }
        Ok(Status::Partial) if received.len() <= CHUNK_LINE_BYTES_MAX => Ok(None),
        Ok(Status::Complete(_) | Status::Partial) | Err(_) => Err(BrokenChunk),
    }
}

fn line_end(received: &mut BytesMut) -> Result<bool, BrokenChunk> {
    match received.first_chunk::<2>() {
        None => Ok(false),
        Some(b"\r\n") => {
            received.advance(2);
            Ok(true)
        }
        Some(_) => Err(BrokenChunk),
    }
}

/// `None`: they are not all there. Else the error that they tell.
#[allow(clippy::option_option)] // two questions: whether they ended, whether they tell one
fn trailers(
    received: &mut BytesMut,
    searched: &mut Searched,
) -> Result<Option<Option<ReportedError>>, BrokenChunk> {
    if received.starts_with(b"\r\n") {
        received.advance(2);
        return Ok(Some(None));
    }
    let mut headers = [EMPTY_HEADER; HEADERS_MAX];
    let may_end = received.len() > 1 && searched.may_end(received);
    let parsed = if may_end {
        httparse::parse_headers(received, &mut headers).map_err(|_| BrokenChunk)?
    } else {
        Status::Partial
    };
    match parsed {
        Status::Complete((length, headers)) if length <= HEAD_BYTES_MAX => {
            let error = trailer_error(headers);
            received.advance(length);
            Ok(Some(error))
        }
        Status::Partial if received.len() <= HEAD_BYTES_MAX => Ok(None),
        Status::Complete(_) | Status::Partial => Err(BrokenChunk),
    }
}

/// A streamed response that broke midway says so behind its bytes.
fn trailer_error(trailers: &[Header<'_>]) -> Option<ReportedError> {
    use base64::Engine;
    let value = |name: &str| {
        let mut of_name = trailers.iter().filter(|line| line.name.eq_ignore_ascii_case(name));
        of_name.next().map(|line| line.value)
    };
    let error_type = text(value(runtime_api::FUNCTION_ERROR_TYPE)?);
    let encoded = value(runtime_api::FUNCTION_ERROR_BODY).unwrap_or_default();
    let json = base64::engine::general_purpose::STANDARD.decode(encoded).unwrap_or_default();
    Some(ReportedError { error_type, json: Bytes::from(json) })
}
