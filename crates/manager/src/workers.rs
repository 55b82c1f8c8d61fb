//! What a manager knows of its workers: it asks each for what it offers and hosts,
//! at the start and whenever it cannot be sure any more. The worker is the
//! authority; the book is rebuilt from its list.

use std::time::Duration;

use decide::{book::EnvRecord, place::Capacity};
use model::{ManagerId, WorkerId};
use tokio::sync::mpsc;
use wire::worker::{Hosted, Listed, Offer, WorkerAnswer, WorkerCall};

use crate::{WorkerCaller, owner::Event};

/// Between two attempts to reach a worker that does not answer.
const RETRY: Duration = Duration::from_millis(200);

/// Until the manager stops.
pub(crate) async fn watch(
    manager: ManagerId,
    worker: WorkerId,
    caller: WorkerCaller,
    events: mpsc::Sender<Event>,
) {
    loop {
        let event = match caller.call(WorkerCall::List { manager }).await {
            Ok(WorkerAnswer::Listed(listed)) => Event::Listed(worker, listed),
            Ok(
                WorkerAnswer::Started(_)
                | WorkerAnswer::StartFailed(_)
                | WorkerAnswer::Ran(_)
                | WorkerAnswer::Refused(_)
                | WorkerAnswer::Logs(_)
                | WorkerAnswer::LogsUnreadable { .. },
            )
            | Err(_) => {
                tokio::select! {
                    biased;
                    () = events.closed() => return,
                    () = tokio::time::sleep(RETRY) => continue,
                }
            }
        };
        if events.send(event).await.is_err() {
            return;
        }
        tokio::select! {
            biased;
            () = events.closed() => return,
            () = caller.broken() => {}
        }
        if events.send(Event::WorkerLost(worker)).await.is_err() {
            return;
        }
    }
}

pub(crate) fn capacity(offer: Offer) -> Capacity {
    let Offer { memory_mb, slots, architecture } = offer;
    Capacity { memory_mb, slots, architecture }
}

pub(crate) fn records(listed: Listed) -> Vec<EnvRecord> {
    let record = |hosted: Hosted| {
        let Hosted { env, key, epoch, busy } = hosted;
        EnvRecord { env, key, epoch, busy }
    };
    listed.envs.into_iter().map(record).collect()
}
