//! The end that calls: one connection to one role of another process, made when it is
//! first wanted and made again whenever it breaks, for as long as a `Caller` exists.
//! One attempt is under way at a time, and nobody waits for more than one.
//!
//! ```text
//! unwanted ─▶ dialling ─▶ connected ─▶ (broken) ─▶ pause ─▶ dialling …
//!                └─▶ failed ─▶ pause, which a call ends ─▶ dialling …
//! ```

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering::Relaxed},
};

use bytes::BytesMut;
use model::Span;
use tokio::{
    sync::Notify,
    time::{sleep, timeout},
};
use wire::frame::Hello;

use super::{
    Address,
    driver::{Driver, Nobody},
    link::Link,
    network::{self, DialError, Network, Stream},
};
use crate::{
    changing::Changing,
    limits::{DIAL_TTL, REDIAL_MAX, REDIAL_MIN},
};

/// Held by the callers; dropping the last one ends the connection once everything that
/// was asked is answered.
#[derive(Debug)]
pub(super) struct Remote {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    line: Changing<Line>,
    wanted: Notify,
    gone: AtomicBool,
}

#[derive(Clone, Debug, Default)]
struct Line {
    link: Option<Arc<Link>>,
    /// Connections made so far.
    made: u64,
    /// Attempts that came to an end.
    attempts: u64,
}

/// What is needed to connect.
#[derive(Debug)]
pub(super) struct Dialler {
    pub(super) network: Network,
    pub(super) address: Address,
    pub(super) hello: Hello,
}

impl Line {
    fn live(&self) -> Option<&Arc<Link>> {
        self.link.as_ref().filter(|link| !link.is_over())
    }
}

impl Remote {
    /// The future keeps the connection and is to be spawned.
    pub(super) fn new(dialler: Dialler) -> (Remote, impl Future<Output = ()> + Send + 'static) {
        let shared = Arc::new(Shared::default());
        (Remote { shared: Arc::clone(&shared) }, keep(shared, dialler))
    }

    pub(super) fn link_now(&self) -> Option<Arc<Link>> {
        let live = self.shared.line.now().live().cloned();
        if live.is_none() {
            self.shared.wanted.notify_one();
        }
        live
    }

    /// Waits for the attempt that is under way, or for a new one.
    pub(super) async fn link(&self) -> Option<Arc<Link>> {
        if let Some(link) = self.link_now() {
            return Some(link);
        }
        let before = self.shared.line.now().attempts;
        let ended = self.shared.line.until(|line| {
            let over = line.live().is_some() || line.attempts > before;
            over.then(|| line.live().cloned())
        });
        // Attempts have a term of their own; this one covers the pause before.
        timeout((DIAL_TTL + REDIAL_MIN + DIAL_TTL).to_std(), ended).await.ok()?
    }

    pub(super) async fn broken(&self) {
        let made = self.shared.line.now().made;
        let broken = |line: &Line| line.live().is_none() || line.made != made;
        self.shared.line.until(|line| broken(line).then_some(())).await;
    }

    pub(super) fn contacts(&self) -> Contacts {
        self.shared.wanted.notify_one();
        Contacts(Known::Line { shared: Arc::clone(&self.shared), told: Contact::Lost })
    }
}

impl Drop for Remote {
    fn drop(&mut self) {
        self.shared.gone.store(true, Relaxed);
        self.shared.wanted.notify_one();
        if let Some(link) = &self.shared.line.now().link {
            link.leave();
        }
    }
}

async fn keep(shared: Arc<Shared>, dialler: Dialler) {
    shared.wanted.notified().await;
    let mut pause = REDIAL_MIN;
    let mut complaint = String::new();
    while !shared.gone.load(Relaxed) {
        match dialler.dial().await {
            Ok((stream, read)) => {
                tracing::info!(to = dialler.hello.to, address = %dialler.address, "connected");
                (pause, complaint) = (REDIAL_MIN, String::new());
                connected(&shared, &dialler, stream, read).await;
            }
            Err(error) => {
                shared.line.change(|line| line.attempts += 1);
                let said = error.to_string();
                if said != complaint {
                    let (to, address) = (&dialler.hello.to, &dialler.address);
                    tracing::warn!(to, %address, %error, "cannot connect");
                    complaint = said;
                }
            }
        }
        // However many ask, attempts keep this distance.
        sleep(REDIAL_MIN.to_std()).await;
        let rest = Span(pause.0 - REDIAL_MIN.0);
        let _ = timeout(rest.to_std(), shared.wanted.notified()).await;
        pause = Span((pause.0 * 2).min(REDIAL_MAX.0));
    }
}

async fn connected(shared: &Shared, dialler: &Dialler, stream: Stream, read: BytesMut) {
    let link = Arc::new(Link::new(dialler.hello.to.clone(), dialler.address.is_near()));
    let driver = Driver::new(stream, read, Arc::clone(&link), Nobody);
    shared.line.change(|line| {
        line.link = Some(Arc::clone(&link));
        line.made += 1;
        line.attempts += 1;
    });
    if shared.gone.load(Relaxed) {
        link.leave();
    }
    let ending = driver.run().await;
    shared.line.change(|line| line.link = None);
    tracing::info!(to = dialler.hello.to, %ending, "a connection is over");
}

impl Dialler {
    async fn dial(&self) -> Result<(Stream, BytesMut), DialError> {
        let dial = async {
            let mut stream = self.network.dial(&self.address, &self.hello.to).await?;
            let read = network::greet(&mut stream, &self.hello).await?;
            Ok((stream, read))
        };
        timeout(DIAL_TTL.to_std(), dial).await.unwrap_or(Err(DialError::TooSlow))
    }
}

/// Whether there is a connection, and which one since the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Contact {
    Connected(u64),
    Lost,
}

/// Tells of each change. A loss and a new connection in quick succession show as the
/// new connection only, by its number.
#[derive(Debug)]
pub struct Contacts(Known);

#[derive(Debug)]
enum Known {
    Always { told: bool },
    Line { shared: Arc<Shared>, told: Contact },
}

impl Contacts {
    pub(super) fn always() -> Contacts {
        Contacts(Known::Always { told: false })
    }

    /// The next change from what was told before; at first there is no connection.
    /// Never returns once nothing can change any more.
    pub async fn next(&mut self) -> Contact {
        match &mut self.0 {
            Known::Always { told } if !*told => {
                *told = true;
                return Contact::Connected(1);
            }
            Known::Always { .. } => {}
            Known::Line { shared, told } => {
                let contact = |line: &Line| match line.live() {
                    Some(_) => Contact::Connected(line.made),
                    None => Contact::Lost,
                };
                let other = |line: &Line| Some(contact(line)).filter(|contact| contact != told);
                *told = shared.line.until(other).await;
                return *told;
            }
        }
        std::future::pending().await
    }
}
