//! What the book decided, done: answers to callers, orders to workers. Nothing
//! here waits, because the owner must not: orders are carried by tasks.

use std::fmt;

use decide::book::{self, Output, StartId};
use model::{Denied, Epoch, KeyHash, Load, ManagerId, PoolKey, WorkerId, handoff::Word};
use platform::TaskKind;
use wire::{
    manager::{Acquired, Found, ManagerAnswer, ManagerNote},
    worker::{Start, StartFailure, Started, WorkerAnswer, WorkerCall, WorkerNote},
};

use crate::{
    WorkerCaller,
    owner::{Asker, Event, Owner},
};

/// Owners of environments begin to count here; each grant adds one.
const FIRST_EPOCH: Epoch = Epoch(1);

impl Owner {
    pub(crate) fn perform(&mut self, output: Output) {
        match output {
            Output::Reply { ticket, reply } => {
                if let Some(asker) = self.tickets.remove(&ticket) {
                    self.answer(asker, reply);
                }
            }
            Output::Start { start, worker, key } => self.start(start, worker, key),
            Output::Retire { env, worker, epoch } => {
                let from = self.manager;
                self.order(worker, WorkerNote::Retire { env, epoch, from });
            }
            Output::Report(report) => self.targets.report(report),
            Output::Tell { to, word } => self.say(to, word),
            Output::Transfer { env, worker, epoch, to } => {
                let from = self.manager;
                self.order(worker, WorkerNote::Transfer { env, epoch, from, to });
            }
            Output::AskTokens { to, ask } => self.ask_tokens(to, ask),
            Output::ReturnTokens { to, whose: (account, function), count } => {
                self.tell_peer(to, ManagerNote::TokensBack { account, function, count });
            }
            Output::Fact(fact) => {
                tracing::trace!(?fact, "book");
                self.meter.count(&fact);
            }
        }
    }

    fn answer(&mut self, asker: Asker, reply: book::Reply) {
        let Asker { reply: way, admitted, hash, register } = asker;
        let (found, load) = self.found(reply, hash);
        let lease = match &found {
            Found::Granted(grant) => Some(grant.lease),
            Found::NoIdle | Found::AskAnother | Found::Denied(_) | Found::StartFailed(_) => None,
        };
        let acquired = Acquired { found, load, register };
        let answer = match admitted {
            Some(admitted) => ManagerAnswer::Entered(admitted, acquired),
            None => ManagerAnswer::Acquired(acquired),
        };
        if way.offer(answer).is_err() && (lease.is_some() || admitted.is_some()) {
            // The caller has gone: the next one need not wait for the leases to end.
            self.unused.push((lease, admitted));
        }
    }

    fn found(&self, reply: book::Reply, hash: KeyHash) -> (Found, Load) {
        match reply {
            book::Reply::Grant(grant, load) => (Found::Granted(grant), load),
            book::Reply::NoIdle(load) => (Found::NoIdle, load),
            book::Reply::Throttle(load) => (Found::AskAnother, load),
            book::Reply::Refused { reason, retry_after } => {
                (Found::Denied(Denied { reason, retry_after }), self.book.load(hash))
            }
            book::Reply::StartFailed { start } => {
                let failure = self.failures.get(&start).cloned();
                let failure = failure.unwrap_or_else(|| failed("the start was lost"));
                (Found::StartFailed(failure), self.book.load(hash))
            }
        }
    }

    fn start(&mut self, start: StartId, worker: WorkerId, key: std::sync::Arc<PoolKey>) {
        self.starts += 1;
        let hash: KeyHash = key.hash();
        let link = self.workers.get(&worker).cloned();
        let config = self.configs.get(&hash).cloned();
        let (events, manager) = (self.events.clone(), self.manager);
        self.tasks.spawn(TaskKind::Background, "environment start", async move {
            let result = match (link, config) {
                (Some(link), Some(config)) => {
                    started(&link, Start { manager, key, config, epoch: FIRST_EPOCH }).await
                }
                (None, _) => Err(failed("the worker is not known any more")),
                (_, None) => Err(failed("the function was deleted meanwhile")),
            };
            let _ = events.send(Event::StartEnded { start, result }).await;
        });
    }

    fn order(&mut self, worker: WorkerId, note: WorkerNote) {
        if let Some(link) = self.workers.get(&worker) {
            link.leave_note(&self.tasks, note);
        }
    }

    /// What a peer cannot be told is lost: the book waits for no answer for long.
    fn say(&mut self, to: ManagerId, word: Word) {
        self.tell_peer(to, ManagerNote::Hear { from: self.manager, word });
    }

    pub(crate) fn tell_peer(&mut self, to: ManagerId, note: ManagerNote) {
        let Some(link) = self.peers.get(&to) else {
            return tracing::warn!(%to, "another manager is not known here");
        };
        link.leave_note(&self.tasks, note);
    }
}

async fn started(worker: &WorkerCaller, order: Start) -> Result<Started, StartFailure> {
    let answer = worker.call(WorkerCall::Start(order)).await.map_err(failed)?;
    if let WorkerAnswer::StartFailed(failure) = answer {
        return Err(failure);
    }
    let WorkerAnswer::Started(started) = answer else {
        return Err(failed("the worker answered something else"));
    };
    Ok(started)
}

fn failed(why: impl fmt::Display) -> StartFailure {
    StartFailure::Platform { message: why.to_string() }
}
