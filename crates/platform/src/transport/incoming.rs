//! A body on its way in: its pieces wait for their reader within a window, and taking
//! them makes room for more.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering::Relaxed},
};

use bytes::Bytes;
use tokio::sync::mpsc;
use wire::frame::{Content, Frame, StreamId};

use super::{link::Link, outgoing::cost};
use crate::{
    body::{Body, BodyBroken, Pieces},
    limits::{BODY_WINDOW_BYTES, PIECE_COST_MIN},
};

/// Pieces that fit into the window, and the word that there are no more.
const PIECES_MAX: usize = (BODY_WINDOW_BYTES / PIECE_COST_MIN) as usize + 1;

#[derive(Debug)]
pub(super) struct Incoming {
    pieces: mpsc::Sender<Result<Bytes, BodyBroken>>,
    room: Arc<AtomicU32>,
}

/// The other end sent more than there was room for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Overrun;

impl Incoming {
    /// The body that came with a message, and where its further pieces go.
    pub(super) fn open(
        link: &Arc<Link>,
        stream: StreamId,
        content: &Content,
    ) -> (Body, Option<Incoming>) {
        let piece = content.piece.clone();
        if !content.more {
            return (Body::from(piece), None);
        }
        let (sender, receiver) = mpsc::channel(PIECES_MAX);
        let room = Arc::new(AtomicU32::new(BODY_WINDOW_BYTES));
        let incoming = Incoming { pieces: sender, room: Arc::clone(&room) };
        let taken = incoming.take(piece);
        debug_assert!(taken.is_ok(), "the window is larger than a piece");
        let room = Room { link: Arc::clone(link), stream, room, owed: 0, wanted: true };
        (Body::Stream(Pieces::of_connection(receiver, room)), Some(incoming))
    }

    /// False once the reader has gone.
    pub(super) fn take(&self, piece: Bytes) -> Result<bool, Overrun> {
        let cost = cost(&piece);
        self.room.fetch_update(Relaxed, Relaxed, |r| r.checked_sub(cost)).map_err(|_| Overrun)?;
        if piece.is_empty() {
            return Ok(!self.pieces.is_closed());
        }
        match self.pieces.try_send(Ok(piece)) {
            Ok(()) => Ok(true),
            Err(mpsc::error::TrySendError::Closed(_)) => Ok(false),
            Err(mpsc::error::TrySendError::Full(_)) => Err(Overrun),
        }
    }

    pub(super) fn break_off(self) {
        let _ = self.pieces.try_send(Err(BodyBroken));
    }
}

/// The reader's side of the window. Dropping it before the end tells the sender to
/// stop.
#[derive(Debug)]
pub(crate) struct Room {
    link: Arc<Link>,
    stream: StreamId,
    /// As `Incoming` sees it; it grows before the other end hears of it.
    room: Arc<AtomicU32>,
    owed: u32,
    wanted: bool,
}

impl Room {
    pub(crate) fn taken(&mut self, piece: &Bytes) {
        self.owed += cost(piece);
        if self.owed >= BODY_WINDOW_BYTES / 2 {
            let bytes = std::mem::take(&mut self.owed);
            self.room.fetch_add(bytes, Relaxed);
            self.link.control(&Frame::Room { stream: self.stream, bytes });
        }
    }

    pub(crate) fn ended(&mut self) {
        self.wanted = false;
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        if self.wanted {
            self.link.control(&Frame::Stop(self.stream));
        }
    }
}
