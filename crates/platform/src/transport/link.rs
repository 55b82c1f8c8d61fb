//! The shared half of a connection: senders write their frames into one buffer, in
//! the order in which they come, and wake the one task (`driver`) that owns the
//! stream. The lock is held for the writing of one message, never over a wait.

use std::{
    collections::BTreeMap,
    mem,
    sync::{Mutex, MutexGuard, PoisonError},
    task::Waker,
};

use bytes::{Bytes, BytesMut};
use tokio::sync::{Semaphore, SemaphorePermit, oneshot};
use wire::{
    codec::Unencodable,
    frame::{self, Frame, PIECE_BYTES_MAX, StreamId},
};

use super::outgoing::Outgoing;
use crate::{
    body::Body,
    cores,
    limits::{CALLS_IN_FLIGHT_MAX, KEPT_BUFFER_BYTES, LINK_QUEUE_MAX},
};

/// The connection is over, or the message cannot travel.
#[derive(Clone, Copy, Debug)]
pub(super) struct Unsent;

/// An answer as it came: the bytes of the message, and the body beside.
pub(super) type Answered = (Bytes, Body);

#[derive(Debug)]
pub(super) struct Link {
    state: Mutex<State>,
    /// Places of messages that wait to be written.
    queue: Semaphore,
    /// Places of calls without an answer.
    in_flight: Semaphore,
    /// The member at the other end.
    pub(super) peer: String,
    /// Both ends are of one host.
    near: bool,
}

#[derive(Debug, Default)]
struct State {
    out: BytesMut,
    /// Places of the queue that `out` takes.
    queued: usize,
    /// Bodies that have more than their first piece, on their way to the driver.
    bodies: Vec<Outgoing>,
    asked: BTreeMap<StreamId, oneshot::Sender<Answered>>,
    calls: StreamId,
    /// Calls of the other end that were not answered yet.
    served: usize,
    /// Of the driver, while it sleeps.
    waker: Option<Waker>,
    /// Where the other end knows this one's thread to be held.
    told: Option<u16>,
    /// Where the other end said that its own is held.
    heard: Option<u16>,
    over: bool,
    leaving: bool,
}

/// What the driver takes over for writing.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    pub(super) bytes: BytesMut,
    pub(super) bodies: Vec<Outgoing>,
    queued: usize,
}

impl State {
    fn tell(&mut self, held: Option<usize>) {
        let held = held.and_then(|core| u16::try_from(core).ok());
        if self.told != held {
            self.told = held;
            frame::put(&mut self.out, &Frame::At(held));
        }
    }
}

impl Link {
    pub(super) fn new(peer: String, near: bool) -> Link {
        Link {
            state: Mutex::default(),
            queue: Semaphore::new(LINK_QUEUE_MAX),
            in_flight: Semaphore::new(CALLS_IN_FLIGHT_MAX),
            peer,
            near,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for places, then writes the call in one step.
    pub(super) async fn call<F>(
        &self,
        message: F,
        body: Body,
    ) -> Result<oneshot::Receiver<Answered>, Unsent>
    where
        F: FnOnce(&mut BytesMut) -> Result<(), Unencodable>,
    {
        let call = self.in_flight.acquire().await.map_err(|_| Unsent)?;
        let place = self.queue.acquire().await.map_err(|_| Unsent)?;
        let (sender, receiver) = oneshot::channel();
        let (first, mut rest) = Outgoing::open(body);
        self.write(|state| {
            let (stream, before) = (state.calls, state.out.len());
            if self.near {
                state.tell(cores::held());
            }
            frame::put_call(&mut state.out, stream, message, &first, rest.is_some())?;
            state.calls += 1;
            state.bodies.extend(rest.take().map(|rest| rest.of(stream)));
            state.asked.insert(stream, sender);
            self.occupy(state, place, before);
            Ok(())
        })?;
        call.forget();
        Ok(receiver)
    }

    pub(super) async fn note<F>(&self, message: F) -> Result<(), Unsent>
    where
        F: FnOnce(&mut BytesMut) -> Result<(), Unencodable>,
    {
        let place = self.queue.acquire().await.map_err(|_| Unsent)?;
        self.put_note(message, place)
    }

    /// At once or not at all.
    pub(super) fn try_note<F>(&self, message: F) -> Result<(), Unsent>
    where
        F: FnOnce(&mut BytesMut) -> Result<(), Unencodable>,
    {
        let place = self.queue.try_acquire().map_err(|_| Unsent)?;
        self.put_note(message, place)
    }

    fn put_note<F>(&self, message: F, place: SemaphorePermit<'_>) -> Result<(), Unsent>
    where
        F: FnOnce(&mut BytesMut) -> Result<(), Unencodable>,
    {
        self.write(|state| {
            let before = state.out.len();
            frame::put_note(&mut state.out, message)?;
            self.occupy(state, place, before);
            Ok(())
        })
    }

    /// The places of what was written after `before` are free again once it has been
    /// sent.
    fn occupy(&self, state: &mut State, place: SemaphorePermit<'_>, before: usize) {
        place.forget();
        let long = self.queue.forget_permits((state.out.len() - before) / PIECE_BYTES_MAX);
        state.queued += 1 + long;
    }

    /// Not counted in the queue: there is one for each call in flight. False where
    /// nobody can take it any more.
    pub(super) fn answer<F>(&self, stream: StreamId, message: F, body: Body) -> bool
    where
        F: FnOnce(&mut BytesMut) -> Result<(), Unencodable>,
    {
        let (first, mut rest) = Outgoing::open(body);
        let written = self.write(|state| {
            frame::put_answer(&mut state.out, stream, message, &first, rest.is_some())?;
            state.served = state.served.saturating_sub(1);
            state.bodies.extend(rest.take().map(|rest| rest.of(stream)));
            Ok(())
        });
        written.is_ok()
    }

    pub(super) fn no_answer(&self, stream: StreamId) {
        let _ = self.write(|state| {
            frame::put(&mut state.out, &Frame::NoAnswer(stream));
            state.served = state.served.saturating_sub(1);
            Ok(())
        });
    }

    /// A frame about a body or the connection itself; their number is bounded by the
    /// bodies' windows.
    pub(super) fn control(&self, frame: &Frame) {
        let _ = self.write(|state| {
            frame::put(&mut state.out, frame);
            Ok(())
        });
    }

    /// Nothing that has a destructor of ours is dropped under the lock: bodies tell
    /// their own connection, which may be this one.
    fn write<F>(&self, write: F) -> Result<(), Unsent>
    where
        F: FnOnce(&mut State) -> Result<(), Unencodable>,
    {
        let mut state = self.lock();
        if state.over {
            return Err(Unsent);
        }
        let written = write(&mut state);
        let waker = state.waker.take();
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
        written.map_err(|error| {
            tracing::error!(peer = self.peer, %error, "a message cannot be sent");
            Unsent
        })
    }

    /// The answer's reader, once; none where the answer was not asked for.
    pub(super) fn asked(&self, stream: StreamId) -> Option<oneshot::Sender<Answered>> {
        let sender = self.lock().asked.remove(&stream);
        if sender.is_some() {
            self.in_flight.add_permits(1);
        }
        sender
    }

    /// Counts a call of the other end. False where it has too many.
    pub(super) fn serves_one_more(&self) -> bool {
        let mut state = self.lock();
        state.served += 1;
        let served = state.served;
        drop(state);
        if self.near && served > 1 && cores::held().is_some() {
            cores::let_go();
        }
        served <= CALLS_IN_FLIGHT_MAX
    }

    /// The other end's thread is held to a core, or free again. Of another host's
    /// cores nothing is known.
    pub(super) fn hears_of(&self, core: Option<u16>) {
        if self.near {
            self.lock().heard = core;
            cores::told(core.map(usize::from));
        }
    }

    /// Exchanges what has been sent for what is to be sent. Where there is nothing,
    /// the waker is kept until there is.
    pub(super) fn gather(&self, sent: &mut Gathered, waker: &Waker) {
        debug_assert!(sent.bytes.is_empty() && sent.bodies.is_empty());
        if sent.queued > 0 {
            self.queue.add_permits(mem::take(&mut sent.queued));
        }
        if sent.bytes.capacity() > KEPT_BUFFER_BYTES {
            sent.bytes = BytesMut::new();
        }
        let mut state = self.lock();
        sent.bytes.clear();
        mem::swap(&mut state.out, &mut sent.bytes);
        mem::swap(&mut state.bodies, &mut sent.bodies);
        sent.queued = mem::take(&mut state.queued);
        let idle = sent.bytes.is_empty() && sent.bodies.is_empty();
        state.waker = idle.then(|| waker.clone());
    }

    /// Ends once everything under way has come to its end.
    pub(super) fn leave(&self) {
        let _ = self.write(|state| {
            state.leaving = true;
            Ok(())
        });
    }

    /// Nobody will ask any more, and everything that was asked is answered.
    pub(super) fn is_left(&self) -> bool {
        let state = self.lock();
        state.leaving && state.asked.is_empty() && state.out.is_empty()
    }

    pub(super) fn is_over(&self) -> bool {
        self.lock().over
    }

    /// The connection is gone: whoever waits learns it now.
    pub(super) fn end(&self) {
        let mut state = self.lock();
        let gone = mem::take(&mut *state);
        state.over = true;
        drop(state);
        self.queue.close();
        self.in_flight.close();
        if gone.heard.is_some() {
            cores::let_go();
        }
        drop(gone);
    }
}
