//! The bytes that travel beside a message: none, one shared piece, or pieces that
//! arrive in turn through a bounded queue.

use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use model::limits;
use tokio::sync::mpsc;

use crate::transport::Room;

#[derive(Debug, Default)]
pub enum Body {
    #[default]
    Empty,
    Whole(Bytes),
    Stream(Pieces),
}

/// The pieces of a body, in turn.
#[derive(Debug)]
pub struct Pieces {
    receiver: mpsc::Receiver<Result<Bytes, BodyBroken>>,
    /// Where they come over a connection: its sender waits for room.
    room: Option<Room>,
}

impl Pieces {
    pub(crate) fn of_connection(
        receiver: mpsc::Receiver<Result<Bytes, BodyBroken>>,
        room: Room,
    ) -> Pieces {
        Pieces { receiver, room: Some(room) }
    }

    /// `None` at the end of the body.
    pub async fn next(&mut self) -> Option<Result<Bytes, BodyBroken>> {
        std::future::poll_fn(|context| self.poll_next(context)).await
    }

    pub fn poll_next(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, BodyBroken>>> {
        let piece = ready!(self.receiver.poll_recv(context));
        if let Some(room) = &mut self.room {
            match &piece {
                Some(Ok(piece)) => room.taken(piece),
                Some(Err(_)) | None => room.ended(),
            }
        }
        Poll::Ready(piece)
    }
}

/// The sender ended before the body did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the sender stopped in the middle of a body")]
pub struct BodyBroken;

/// A body did not fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CollectError {
    #[error("a body is longer than {0} bytes")]
    TooLong(u64),
    #[error(transparent)]
    Broken(#[from] BodyBroken),
}

impl Body {
    pub fn channel() -> (mpsc::Sender<Result<Bytes, BodyBroken>>, Body) {
        let (sender, receiver) = mpsc::channel(limits::BODY_QUEUE_MAX);
        (sender, Body::Stream(Pieces { receiver, room: None }))
    }

    /// The whole of it, or an error once it is longer than `bytes_max`.
    pub async fn collect(self, bytes_max: u64) -> Result<Bytes, CollectError> {
        let fits = |length: usize| length as u64 <= bytes_max;
        let mut pieces = match self {
            Body::Empty => return Ok(Bytes::new()),
            Body::Whole(bytes) if fits(bytes.len()) => return Ok(bytes),
            Body::Whole(_) => return Err(CollectError::TooLong(bytes_max)),
            Body::Stream(pieces) => pieces,
        };
        let mut whole = BytesMut::new();
        while let Some(piece) = pieces.next().await {
            let piece = piece?;
            if !fits(whole.len() + piece.len()) {
                return Err(CollectError::TooLong(bytes_max));
            }
            whole.extend_from_slice(&piece);
        }
        Ok(whole.freeze())
    }
}

impl From<Bytes> for Body {
    fn from(bytes: Bytes) -> Body {
        if bytes.is_empty() { Body::Empty } else { Body::Whole(bytes) }
    }
}
