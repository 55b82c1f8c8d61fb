//! What the book decided, done: answers to callers, orders to workers. Nothing
//! here waits, because the owner must not: orders are carried by tasks.

use decide::book::{self, Output, StartId};
use model::{EnvId, Epoch, KeyHash, PoolKey, WorkerId};
use platform::TaskKind;
use wire::{
    manager::{Denied, Grant, ManagerAnswer},
    worker::{Start, StartFailure, WorkerAnswer, WorkerCall, WorkerNote},
};

use crate::owner::{Event, Owner};

/// Owners of environments begin to count here; each grant adds one.
const FIRST_EPOCH: Epoch = Epoch(1);

impl Owner {
    pub(crate) fn perform(&mut self, output: Output) {
        match output {
            Output::Reply { ticket, reply } => {
                let Some(waiting) = self.tickets.remove(&ticket) else { return };
                if let Err(ManagerAnswer::Granted(grant)) = waiting.offer(self.answer(reply)) {
                    // The caller has gone: the next one need not wait for the lease to end.
                    self.unused.push(grant.lease);
                }
            }
            Output::Start { start, worker, key } => self.start(start, worker, key),
            Output::Retire { env, worker, epoch } => self.retire(env, worker, epoch),
            // Nobody sets a target yet.
            Output::Report(report) => tracing::debug!(?report, "book"),
            Output::Fact(fact) => tracing::trace!(?fact, "book"),
        }
    }

    fn answer(&self, reply: book::Reply) -> ManagerAnswer {
        match reply {
            book::Reply::Grant(grant, _) => {
                let book::Grant { env, worker, lease, epoch, warm } = grant;
                ManagerAnswer::Granted(Grant { env, worker, lease, epoch, warm })
            }
            book::Reply::NoIdle(_) | book::Reply::Throttle(_) => ManagerAnswer::AskAnother,
            book::Reply::Refused { reason, retry_after } => match self.failures.values().next() {
                // The start that this call waited for failed just now.
                Some(failure) => ManagerAnswer::StartFailed(failure.clone()),
                None => ManagerAnswer::Denied(Denied { reason, retry_after }),
            },
            book::Reply::InitFailed { start } => {
                let failure = self.failures.get(&start).cloned();
                let unknown = || StartFailure::Platform { message: "the start was lost".into() };
                ManagerAnswer::StartFailed(failure.unwrap_or_else(unknown))
            }
        }
    }

    fn start(&mut self, start: StartId, worker: WorkerId, key: std::sync::Arc<PoolKey>) {
        self.starts += 1;
        let hash: KeyHash = key.hash();
        let link = self.workers.get(&worker).map(|link| link.caller.clone());
        let config = self.configs.get(&hash).cloned();
        let events = self.events.clone();
        self.tasks.spawn(TaskKind::Background, "environment start", async move {
            let failed = |message: &str| Err(StartFailure::Platform { message: message.into() });
            let result = match (link, config) {
                (Some(link), Some(config)) => {
                    let order = Start { key, config, epoch: FIRST_EPOCH };
                    match link.call(WorkerCall::Start(order)).await {
                        Ok(WorkerAnswer::Started(started)) => Ok(started),
                        Ok(WorkerAnswer::StartFailed(failure)) => Err(failure),
                        Ok(
                            WorkerAnswer::Ran(_)
                            | WorkerAnswer::Refused(_)
                            | WorkerAnswer::Logs(_)
                            | WorkerAnswer::LogsUnreadable { .. },
                        ) => failed("the worker answered something else"),
                        Err(error) => failed(&error.to_string()),
                    }
                }
                (None, _) => failed("the worker is not known any more"),
                (_, None) => failed("the function was deleted meanwhile"),
            };
            let _ = events.send(Event::StartEnded { start, result }).await;
        });
    }

    fn retire(&mut self, env: EnvId, worker: WorkerId, epoch: Epoch) {
        let Some(link) = self.workers.get(&worker) else { return };
        let note = WorkerNote::Retire { env, epoch };
        if let Err(note) = link.caller.try_note(note) {
            let caller = link.caller.clone();
            self.tasks.spawn(TaskKind::Background, "environment retirement", async move {
                let _ = caller.note(note).await;
            });
        }
    }
}
