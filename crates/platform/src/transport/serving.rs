//! The end that serves: mail of another process goes into a role's own inbox, and the
//! role's answers go back. While the inbox is full, nothing more is read.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::BytesMut;
use serde::{Serialize, de::DeserializeOwned};
use tokio::sync::mpsc::{self, error::TrySendError};
use wire::{codec, frame::StreamId};

use super::{
    Call, Decode, Encode, Mail, Reply,
    driver::{Ending, Receiver},
    link::Link,
};
use crate::body::Body;

/// The way back over a connection.
pub(super) struct Answering<A> {
    link: Arc<Link>,
    stream: StreamId,
    encode: Encode<A>,
    open: bool,
}

impl<A> Answering<A> {
    /// The answer, where the connection is gone or cannot carry it.
    pub(super) fn send(mut self, answer: A, body: Body) -> Result<(), A> {
        let write = |out: &mut BytesMut| (self.encode)(&answer, out);
        self.open = !self.link.answer(self.stream, write, body);
        if self.open { Err(answer) } else { Ok(()) }
    }

    pub(super) fn peer(&self) -> &str {
        &self.link.peer
    }
}

impl<A> Drop for Answering<A> {
    fn drop(&mut self) {
        if self.open {
            self.link.no_answer(self.stream);
        }
    }
}

impl<A> fmt::Debug for Answering<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answering").field("stream", &self.stream).finish_non_exhaustive()
    }
}

type Delivery = Pin<Box<dyn Future<Output = ()> + Send>>;

/// One connection's mail to one role.
pub(super) struct ToRole<Q, A, N> {
    role: mpsc::Sender<Mail<Q, A, N>>,
    link: Arc<Link>,
    call: Decode<Q>,
    note: Decode<N>,
    answer: Encode<A>,
    /// Mail that found the inbox full.
    held: Option<Delivery>,
}

impl<Q, A, N> ToRole<Q, A, N>
where
    Q: DeserializeOwned + Send + 'static,
    A: Serialize + Send + 'static,
    N: DeserializeOwned + Send + 'static,
{
    pub(super) fn new(role: mpsc::Sender<Mail<Q, A, N>>, link: Arc<Link>) -> Self {
        let (call, note, answer) = (codec::decode::<Q>, codec::decode::<N>, codec::encode::<A>);
        ToRole { role, link, call, note, answer, held: None }
    }

    /// Where the role has stopped, the mail is dropped, and a call with it: its caller
    /// is told that nobody answers.
    fn deliver(&mut self, mail: Mail<Q, A, N>) {
        debug_assert!(self.held.is_none(), "mail is read only while the inbox has room");
        if let Err(TrySendError::Full(mail)) = self.role.try_send(mail) {
            let role = self.role.clone();
            self.held = Some(Box::pin(async move { drop(role.send(mail).await) }));
        }
    }
}

impl<Q, A, N> Receiver for ToRole<Q, A, N>
where
    Q: DeserializeOwned + Send + 'static,
    A: Serialize + Send + 'static,
    N: DeserializeOwned + Send + 'static,
{
    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if let Some(held) = &mut self.held {
            std::task::ready!(held.as_mut().poll(context));
            self.held = None;
        }
        Poll::Ready(())
    }

    fn call(&mut self, stream: StreamId, message: &[u8], body: Body) -> Result<(), Ending> {
        let message = (self.call)(message)?;
        let link = Arc::clone(&self.link);
        let reply = Reply::there(Answering { link, stream, encode: self.answer, open: true });
        self.deliver(Mail::Call(Call { message, body, reply }));
        Ok(())
    }

    fn note(&mut self, message: &[u8]) -> Result<(), Ending> {
        let note = (self.note)(message)?;
        self.deliver(Mail::Note(note));
        Ok(())
    }
}
