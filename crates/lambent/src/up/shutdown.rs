//! The end: who asks for it, and how long running calls may hold it up. That no new
//! calls are taken, and that connections close, is the frontend's part.

use std::{io, time::Duration};

use model::limits::TIMEOUT_SECS_DEFAULT;
use platform::Caller;
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::Mutex,
};
use wire::manager::{ManagerAnswer, ManagerCall, ManagerNote};

/// Running calls may go on so long after the first signal; then they are cut off.
const CALLS_END_TIMEOUT: Duration = Duration::from_secs(10);
const _: () = assert!(CALLS_END_TIMEOUT.as_secs() > TIMEOUT_SECS_DEFAULT as u64);
const POLL: Duration = Duration::from_millis(20);
/// From the end of the last call until its answer is on the line.
const ANSWERS_LEAVE: Duration = Duration::from_millis(50);

pub(super) type ManagerCaller = Caller<ManagerCall, ManagerAnswer, ManagerNote>;

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
pub(super) async fn calls_end(manager: &ManagerCaller, signals: &Signals) {
    let ended = async {
        while calls_run(manager).await {
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

async fn calls_run(manager: &ManagerCaller) -> bool {
    match manager.call(ManagerCall::Inspect).await {
        Ok(ManagerAnswer::Inspection(inspection)) => inspection.in_flight > 0,
        // No manager that could tell: nothing can be waited for.
        Ok(
            ManagerAnswer::Admitted(_)
            | ManagerAnswer::Denied(_)
            | ManagerAnswer::Acquired(_)
            | ManagerAnswer::Entered(..)
            | ManagerAnswer::Targets(_),
        )
        | Err(_) => false,
    }
}
