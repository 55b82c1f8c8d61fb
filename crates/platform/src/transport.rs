//! Calls between roles. A role owns an `Inbox`; others hold `Caller`s. Where both ends
//! are in one process, a call moves pointers; elsewhere it goes over a connection
//! (`Exchange`), with the messages of `wire` as they are. Roles see no difference but
//! `Unreachable`.
//!
//! What one sender sends arrives in the order in which it was sent, calls and notes
//! alike, until a connection breaks: what was under way then is lost, and never sent
//! again by the transport (I8). A role never waits for a body in the loop that empties
//! its inbox: the body's pieces may be behind further mail.

mod address;
mod driver;
mod exchange;
mod incoming;
mod link;
mod network;
mod outgoing;
mod remote;
mod serving;
mod simulated;
#[cfg(test)]
mod tests;
mod tls;

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::{Bytes, BytesMut};
use model::limits;
use serde::{Serialize, de::DeserializeOwned};
use tokio::sync::{mpsc, oneshot};
use wire::codec::{self, Undecodable, Unencodable};

pub(crate) use self::incoming::Room;
pub use self::{
    address::{Address, BadAddress},
    exchange::{Exchange, NameTaken, Peers},
    network::{ListenFailed, Network, Simulated},
    remote::{Contact, Contacts},
    simulated::Pace,
    tls::{BadCredentials, Identity},
};
use self::{remote::Remote, serving::Answering};
use crate::{
    body::Body,
    tasks::{TaskKind, Tasks},
};

/// What arrives at a role: a call that wants an answer, or a note that does not.
#[derive(Debug)]
pub enum Mail<Q, A, N> {
    Call(Call<Q, A>),
    Note(N),
}

/// A message with the bytes beside it and the way back.
#[derive(Debug)]
pub struct Call<Q, A> {
    pub message: Q,
    pub body: Body,
    pub reply: Reply<A>,
}

/// The way back to the caller. Dropping it tells the caller that nobody answers.
#[derive(Debug)]
pub struct Reply<A>(Back<A>);

#[derive(Debug)]
enum Back<A> {
    Here(oneshot::Sender<(A, Body)>),
    There(Answering<A>),
}

impl<A> Reply<A> {
    fn there(answering: Answering<A>) -> Reply<A> {
        Reply(Back::There(answering))
    }

    /// A caller that has gone away is no error: its answer has no reader.
    pub fn send(self, answer: A) {
        self.send_with(answer, Body::Empty);
    }

    pub fn send_with(self, answer: A, body: Body) {
        match self.0 {
            Back::Here(sender) => drop(sender.send((answer, body))),
            Back::There(answering) => drop(answering.send(answer, body)),
        }
    }

    /// For answers that give something: back it comes where nobody takes it. Over a
    /// connection that cannot be known while it stands: what it loses is found again
    /// by the term of the lease.
    pub fn offer(self, answer: A) -> Result<(), A> {
        match self.0 {
            Back::Here(sender) => sender.send((answer, Body::Empty)).map_err(|(answer, _)| answer),
            Back::There(answering) => answering.send(answer, Body::Empty),
        }
    }

    /// The member that asks, where it is in another process.
    pub fn peer(&self) -> Option<&str> {
        match &self.0 {
            Back::Here(_) => None,
            Back::There(answering) => Some(answering.peer()),
        }
    }
}

/// The role at the other end has stopped, or there is no way to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the {0} does not answer")]
pub struct Unreachable(pub &'static str);

/// An answer that is on its way.
#[derive(Debug)]
pub struct Pending<A> {
    role: &'static str,
    answer: Awaited<A>,
}

#[derive(Debug)]
enum Awaited<A> {
    Here(oneshot::Receiver<(A, Body)>),
    There { answer: oneshot::Receiver<(Bytes, Body)>, decode: Decode<A> },
}

impl<A> Future for Pending<A> {
    type Output = Result<(A, Body), Unreachable>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let role = self.role;
        match &mut self.answer {
            Awaited::Here(answer) => Pin::new(answer).poll(context).map_err(|_| Unreachable(role)),
            Awaited::There { answer, decode } => {
                let answered = ready!(Pin::new(answer).poll(context));
                let (message, body) = answered.map_err(|_| Unreachable(role))?;
                let answer = decode(&message).map_err(|error| {
                    tracing::error!(role, %error, "an answer cannot be read");
                    Unreachable(role)
                })?;
                Poll::Ready(Ok((answer, body)))
            }
        }
    }
}

type Encode<T> = fn(&T, &mut BytesMut) -> Result<(), Unencodable>;
type Decode<T> = fn(&[u8]) -> Result<T, Undecodable>;

/// How the end that asks writes and reads a role's messages.
#[derive(Debug)]
struct Tongue<Q, A, N> {
    call: Encode<Q>,
    note: Encode<N>,
    answer: Decode<A>,
}

impl<Q: Serialize, A: DeserializeOwned, N: Serialize> Tongue<Q, A, N> {
    const NEW: Self =
        Tongue { call: codec::encode::<Q>, note: codec::encode::<N>, answer: codec::decode::<A> };
}

impl<Q, A, N> Copy for Tongue<Q, A, N> {}

impl<Q, A, N> Clone for Tongue<Q, A, N> {
    fn clone(&self) -> Self {
        *self
    }
}

#[derive(Debug)]
pub struct Caller<Q, A, N> {
    role: &'static str,
    way: Way<Q, A, N>,
}

#[derive(Debug)]
enum Way<Q, A, N> {
    Here(mpsc::Sender<Mail<Q, A, N>>),
    There(Arc<Remote>, Tongue<Q, A, N>),
}

impl<Q, A, N> Clone for Caller<Q, A, N> {
    fn clone(&self) -> Self {
        let way = match &self.way {
            Way::Here(sender) => Way::Here(sender.clone()),
            Way::There(remote, tongue) => Way::There(Arc::clone(remote), *tongue),
        };
        Caller { role: self.role, way }
    }
}

impl<Q, A, N> Caller<Q, A, N> {
    pub async fn call(&self, message: Q) -> Result<A, Unreachable> {
        self.call_with(message, Body::Empty).await.map(|(answer, _)| answer)
    }

    pub async fn call_with(&self, message: Q, body: Body) -> Result<(A, Body), Unreachable> {
        self.send(message, body).await?.await
    }

    /// Hands the call over; the answer is waited for apart from that. To another
    /// process it waits for one attempt to connect, where there is no connection.
    pub async fn send(&self, message: Q, body: Body) -> Result<Pending<A>, Unreachable> {
        let unreachable = Unreachable(self.role);
        let answer = match &self.way {
            Way::Here(sender) => {
                let (reply, answer) = oneshot::channel();
                let call = Call { message, body, reply: Reply(Back::Here(reply)) };
                sender.send(Mail::Call(call)).await.map_err(|_| unreachable)?;
                Awaited::Here(answer)
            }
            Way::There(remote, tongue) => {
                let link = remote.link().await.ok_or(unreachable)?;
                let write = |out: &mut BytesMut| (tongue.call)(&message, out);
                let answer = link.call(write, body).await.map_err(|_| unreachable)?;
                Awaited::There { answer, decode: tongue.answer }
            }
        };
        Ok(Pending { role: self.role, answer })
    }

    /// Waits only while the other end's queue is full, or as `send` for a connection.
    /// Over a connection, what was accepted may still be lost with it.
    pub async fn note(&self, note: N) -> Result<(), Unreachable> {
        let unreachable = Unreachable(self.role);
        match &self.way {
            Way::Here(sender) => sender.send(Mail::Note(note)).await.map_err(|_| unreachable),
            Way::There(remote, tongue) => {
                let link = remote.link().await.ok_or(unreachable)?;
                let write = |out: &mut BytesMut| (tongue.note)(&note, out);
                link.note(write).await.map_err(|_| unreachable)
            }
        }
    }

    /// Hands on what arrived for a role of this kind, with its way back. A role in
    /// another process is asked, and its answer handed back, before this returns.
    pub async fn pass_on(&self, mail: Mail<Q, A, N>) -> Result<(), Unreachable> {
        match (&self.way, mail) {
            (Way::Here(sender), mail) => {
                sender.send(mail).await.map_err(|_| Unreachable(self.role))
            }
            (Way::There(..), Mail::Note(note)) => self.note(note).await,
            (Way::There(..), Mail::Call(Call { message, body, reply })) => {
                let (answer, body) = self.call_with(message, body).await?;
                reply.send_with(answer, body);
                Ok(())
            }
        }
    }

    /// Until the other end is gone, or the connection that leads there now; at once
    /// where there is none. Whoever must not miss one that came and went uses
    /// `contacts`.
    pub async fn broken(&self) {
        match &self.way {
            Way::Here(sender) => sender.closed().await,
            Way::There(remote, _) => remote.broken().await,
        }
    }

    /// For owners that must not wait, such as destructors: the note, if the
    /// queue is full or gone, or there is no connection just now.
    pub fn try_note(&self, note: N) -> Result<(), N> {
        match &self.way {
            Way::Here(sender) => {
                sender.try_send(Mail::Note(note)).map_err(|refused| match refused.into_inner() {
                    Mail::Note(note) => note,
                    Mail::Call(_) => unreachable!("a note was sent"),
                })
            }
            Way::There(remote, tongue) => {
                let Some(link) = remote.link_now() else { return Err(note) };
                link.try_note(|out| (tongue.note)(&note, out)).map_err(|_| note)
            }
        }
    }

    /// For owners that must not wait, and have nobody to tell: the note goes at once, or
    /// a task carries it as `note` would. It is lost where the role cannot be reached.
    pub fn leave_note(&self, tasks: &Tasks, note: N)
    where
        Q: Send + 'static,
        A: Send + 'static,
        N: Send + Sync + 'static,
    {
        if let Err(note) = self.try_note(note) {
            let caller = self.clone();
            tasks.spawn(TaskKind::Background, "note on its way", async move {
                let _ = caller.note(note).await;
            });
        }
    }

    /// When there is a connection to the role, anew each time: what was said before
    /// may be lost, and whoever builds on it asks again. Asks for a connection. A role
    /// in this process is connected from the start.
    pub fn contacts(&self) -> Contacts {
        match &self.way {
            Way::Here(_) => Contacts::always(),
            Way::There(remote, _) => remote.contacts(),
        }
    }
}

#[derive(Debug)]
pub struct Inbox<Q, A, N> {
    receiver: mpsc::Receiver<Mail<Q, A, N>>,
}

impl<Q, A, N> Inbox<Q, A, N> {
    /// `None` once every caller is gone.
    pub async fn next(&mut self) -> Option<Mail<Q, A, N>> {
        self.receiver.recv().await
    }

    pub fn try_next(&mut self) -> Option<Mail<Q, A, N>> {
        self.receiver.try_recv().ok()
    }
}

/// A role's two ends, named for errors.
pub fn in_process<Q, A, N>(role: &'static str) -> (Caller<Q, A, N>, Inbox<Q, A, N>) {
    let (sender, receiver) = mpsc::channel(limits::ROLE_QUEUE_MAX);
    (Caller { role, way: Way::Here(sender) }, Inbox { receiver })
}
