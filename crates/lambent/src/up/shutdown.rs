//! The end: who asks for it, and how long running calls may hold it up. That no new
//! calls are taken, and that connections close, is the frontend's part.

use std::{io, time::Duration};

use model::limits::TIMEOUT_SECS_DEFAULT;
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::Mutex,
};

use super::roles::Started;

/// Running calls may go on so long after the first signal; then they are cut off.
const CALLS_END_TIMEOUT: Duration = Duration::from_secs(10);
const _: () = assert!(CALLS_END_TIMEOUT.as_secs() > TIMEOUT_SECS_DEFAULT as u64);
const POLL: Duration = Duration::from_millis(20);
/// From the end of the last call until its answer is on the line.
const ANSWERS_LEAVE: Duration = Duration::from_millis(50);

/// SIGINT and SIGTERM.
#[derive(Debug)]
pub(super) struct Signals {
    either: Mutex<(Signal, Signal)>,
}

impl Signals {
    pub(super) fn listen() -> io::Result<Signals> {
        let either = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        Ok(Signals { either: Mutex::new(either) })
    }

    /// The next one.
    pub(super) async fn asked(&self) {
        let mut either = self.either.lock().await;
        let (interrupt, terminate) = &mut *either;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    }
}

/// Until no call runs, the time is over, or a second signal comes.
pub(super) async fn calls_end(started: &Started, signals: &Signals) {
    let ended = async {
        while started.calls() > 0 {
            tokio::time::sleep(POLL).await;
        }
        tokio::time::sleep(ANSWERS_LEAVE).await;
    };
    tokio::select! {
        () = ended => {}
        () = tokio::time::sleep(CALLS_END_TIMEOUT) => {
            tracing::warn!("calls still ran {CALLS_END_TIMEOUT:?} after the end was asked for");
        }
        () = signals.asked() => tracing::warn!("asked again to end: running calls are cut off"),
    }
}
