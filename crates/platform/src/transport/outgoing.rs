//! A body on its way out: pieces of at most 64 KiB, as far ahead of the reader at the
//! other end as that reader has room.

use std::task::{Context, Poll};

use bytes::Bytes;
use wire::frame::{Frame, PIECE_BYTES_MAX, StreamId};

use crate::{
    body::{Body, Pieces},
    limits::{BODY_WINDOW_BYTES, PIECE_COST_MIN},
};

#[derive(Debug)]
pub(super) struct Outgoing {
    pub(super) stream: StreamId,
    /// Cut already, and next to go.
    rest: Bytes,
    /// Where more comes from.
    source: Option<Pieces>,
    room: u32,
}

/// What a piece takes of the window.
pub(super) fn cost(piece: &Bytes) -> u32 {
    let length = u32::try_from(piece.len()).unwrap_or(u32::MAX);
    if length == 0 { 0 } else { length.max(PIECE_COST_MIN) }
}

impl Outgoing {
    /// The piece that goes with the message, and what is to follow.
    pub(super) fn open(body: Body) -> (Bytes, Option<Outgoing>) {
        let (mut rest, source) = match body {
            Body::Empty => return (Bytes::new(), None),
            Body::Whole(bytes) => (bytes, None),
            Body::Stream(pieces) => (Bytes::new(), Some(pieces)),
        };
        let first = rest.split_to(rest.len().min(PIECE_BYTES_MAX));
        let room = BODY_WINDOW_BYTES - cost(&first);
        let more = !rest.is_empty() || source.is_some();
        (first, more.then_some(Outgoing { stream: 0, rest, source, room }))
    }

    pub(super) fn of(self, stream: StreamId) -> Outgoing {
        Outgoing { stream, ..self }
    }

    pub(super) fn has_room_for(&mut self, more: u32) {
        self.room = self.room.saturating_add(more);
    }

    /// The next frame, and whether it is the last of this body.
    pub(super) fn poll_frame(&mut self, context: &mut Context<'_>) -> Poll<(Frame, bool)> {
        let stream = self.stream;
        if self.room < PIECE_COST_MIN {
            return Poll::Pending;
        }
        while self.rest.is_empty() {
            let Some(source) = &mut self.source else { break };
            match std::task::ready!(source.poll_next(context)) {
                Some(Ok(bytes)) => self.rest = bytes,
                Some(Err(_)) => return Poll::Ready((Frame::Broken(stream), true)),
                None => self.source = None,
            }
        }
        let length = self.rest.len().min(PIECE_BYTES_MAX).min(self.room as usize);
        let bytes = self.rest.split_to(length);
        self.room -= cost(&bytes);
        let last = self.rest.is_empty() && self.source.is_none();
        Poll::Ready((Frame::Piece { stream, bytes, last }, last))
    }
}
