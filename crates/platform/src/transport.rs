//! Calls between roles. A role owns an `Inbox`; others hold `Caller`s. Here both
//! ends are in one process and a call moves pointers; the messages are those of
//! `wire`, so that a connection can take the channel's place.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use model::limits;
use tokio::sync::{mpsc, oneshot};

use crate::body::Body;

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
pub struct Reply<A>(oneshot::Sender<(A, Body)>);

impl<A> Reply<A> {
    /// A caller that has gone away is no error: its answer has no reader.
    pub fn send(self, answer: A) {
        self.send_with(answer, Body::Empty);
    }

    pub fn send_with(self, answer: A, body: Body) {
        let _ = self.0.send((answer, body));
    }

    /// For answers that give something: back it comes where nobody takes it.
    pub fn offer(self, answer: A) -> Result<(), A> {
        self.0.send((answer, Body::Empty)).map_err(|(answer, _)| answer)
    }
}

/// The role at the other end has stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the {0} does not answer")]
pub struct Unreachable(pub &'static str);

/// An answer that is on its way.
#[derive(Debug)]
pub struct Pending<A> {
    role: &'static str,
    answer: oneshot::Receiver<(A, Body)>,
}

impl<A> Future for Pending<A> {
    type Output = Result<(A, Body), Unreachable>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let role = self.role;
        Pin::new(&mut self.answer).poll(context).map_err(|_| Unreachable(role))
    }
}

#[derive(Debug)]
pub struct Caller<Q, A, N> {
    role: &'static str,
    sender: mpsc::Sender<Mail<Q, A, N>>,
}

impl<Q, A, N> Clone for Caller<Q, A, N> {
    fn clone(&self) -> Self {
        Caller { role: self.role, sender: self.sender.clone() }
    }
}

impl<Q, A, N> Caller<Q, A, N> {
    pub async fn call(&self, message: Q) -> Result<A, Unreachable> {
        self.call_with(message, Body::Empty).await.map(|(answer, _)| answer)
    }

    pub async fn call_with(&self, message: Q, body: Body) -> Result<(A, Body), Unreachable> {
        self.send(message, body).await?.await
    }

    /// Hands the call over; the answer is waited for apart from that.
    pub async fn send(&self, message: Q, body: Body) -> Result<Pending<A>, Unreachable> {
        let (reply, answer) = oneshot::channel();
        let call = Call { message, body, reply: Reply(reply) };
        self.sender.send(Mail::Call(call)).await.map_err(|_| Unreachable(self.role))?;
        Ok(Pending { role: self.role, answer })
    }

    /// Waits only while the other end's queue is full.
    pub async fn note(&self, note: N) -> Result<(), Unreachable> {
        self.sender.send(Mail::Note(note)).await.map_err(|_| Unreachable(self.role))
    }

    /// Until the other end is gone. A role in the same process lives as long as it.
    pub async fn broken(&self) {
        self.sender.closed().await;
    }

    /// For owners that must not wait, such as destructors: the note, if the
    /// queue is full or gone.
    pub fn try_note(&self, note: N) -> Result<(), N> {
        self.sender.try_send(Mail::Note(note)).map_err(|refused| match refused.into_inner() {
            Mail::Note(note) => note,
            Mail::Call(_) => unreachable!("a note was sent"),
        })
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
    (Caller { role, sender }, Inbox { receiver })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_answer_comes_back_with_its_body() {
        let (caller, mut inbox) = in_process::<u32, u32, ()>("doubler");
        let server = async {
            while let Some(Mail::Call(call)) = inbox.next().await {
                call.reply.send_with(call.message * 2, call.body);
            }
        };
        let client = async move {
            let (answer, body) = caller.call_with(21, Body::Whole("x".into())).await.unwrap();
            (answer, body.collect(1).await.unwrap())
        };
        let ((), (answer, body)) = tokio::join!(server, client);
        assert_eq!((answer, &body[..]), (42, &b"x"[..]));
    }

    #[tokio::test]
    async fn a_stopped_role_is_an_error_and_no_hang() {
        let (caller, inbox) = in_process::<(), (), ()>("manager");
        drop(inbox);
        assert_eq!(caller.call(()).await, Err(Unreachable("manager")));
        let (caller, mut inbox) = in_process::<(), (), ()>("manager");
        let dropped = async { drop(inbox.next().await) };
        let (answer, ()) = tokio::join!(caller.call(()), dropped);
        assert_eq!(answer, Err(Unreachable("manager")));
    }
}
