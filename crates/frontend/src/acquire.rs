//! Leases for one call: concurrency from the account's counter, an environment from
//! a manager of the client's arc: a warm one, or one that is made while the call
//! waits. Where the counter's manager is also the first to be asked, one message
//! does both.

use std::sync::Arc;

use decide::{
    book::{Load, Mode},
    search::{Answer, Next},
};
use model::{AffinityAsk, LeaseId, ManagerId, Now, Reason, RequestId, Span, TenantId};
use platform::{
    TaskKind,
    transport::{Pending, Unreachable},
};
use wire::manager::{
    Acquire, Acquired, Admitted, Denied, Found, Grant, ManagerAnswer, ManagerCall, ManagerNote,
};

use crate::{
    Gate,
    admit::{self, Slot},
    refusal::Refusal,
    route::Path,
    view::Callable,
};

/// An environment lease that nothing was started with yet. It goes back when
/// dropped; once the worker has taken the call, it is the worker's to end.
#[derive(Debug)]
pub(crate) struct Lease {
    gate: Arc<Gate>,
    manager: ManagerId,
    grant: Option<Grant>,
}

/// Both leases of a call.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) slot: Slot,
    pub(crate) lease: Lease,
}

/// What a call asks for, the same at every manager.
#[derive(Clone, Copy)]
pub(crate) struct Wanted<'a> {
    pub(crate) request: RequestId,
    pub(crate) callable: &'a Callable,
    pub(crate) tenant: Option<&'a TenantId>,
    pub(crate) affinity: Option<AffinityAsk>,
}

/// `slot`: from an earlier attempt of the same call.
pub(crate) async fn acquire(
    gate: &Arc<Gate>,
    wanted: Wanted<'_>,
    slot: Option<Slot>,
) -> Result<Entry, Refusal> {
    let Wanted { request, callable, tenant, affinity } = wanted;
    let (key, hash) = callable.pool(tenant);
    let limit_max = slot
        .as_ref()
        .map_or(model::limits::ACCOUNT_CONCURRENCY_DEFAULT, |slot| slot.admitted.limit_max);
    let mut path = gate.router.begin(gate.clock.now(), wanted, hash, limit_max);
    let mut slot = slot;
    loop {
        let asked = gate.clock.now();
        let (manager, mode) = match gate.router.next(asked, &mut path) {
            Next::Ask { manager, set: _, mode } => (manager, mode),
            Next::Refused(reason) => {
                return Err(Refusal::Throttled { reason, retry_after: Span::secs(1) });
            }
        };
        let question = Acquire {
            request,
            key: Arc::clone(&key),
            hash,
            config: Arc::clone(&callable.config),
            may_create: mode == Mode::ExistingOrNew,
            client_cap: path.client_cap,
            client: path.client,
            register: gate.router.register(&path),
            affinity,
        };
        let held = match slot.take() {
            Some(held) => held,
            None => match enter(gate, wanted, manager, &question).await? {
                Entered::Admitted(held) => held,
                Entered::Both(held, acquired) => {
                    match conclude(gate, &mut path, manager, asked, acquired)? {
                        Some(lease) => return Ok(Entry { slot: held, lease }),
                        None => {
                            slot = Some(held);
                            continue;
                        }
                    }
                }
            },
        };
        match ask(gate, manager, ManagerCall::Acquire(question)).await {
            Ok(ManagerAnswer::Acquired(acquired)) => {
                if let Some(lease) = conclude(gate, &mut path, manager, asked, acquired)? {
                    return Ok(Entry { slot: held, lease });
                }
            }
            Ok(
                ManagerAnswer::Admitted(_)
                | ManagerAnswer::Denied(_)
                | ManagerAnswer::Entered(..)
                | ManagerAnswer::Inspection(_)
                | ManagerAnswer::Targets(_),
            ) => return Err(Refusal::internal("the book answered something else")),
            Err(Unreachable(_)) => silent(gate, &mut path, manager),
        }
        slot = Some(held);
    }
}

enum Entered {
    Admitted(Slot),
    Both(Slot, Acquired),
}

/// The concurrency lease; with the acquire in the same message, where one manager
/// answers for both.
async fn enter(
    gate: &Arc<Gate>,
    wanted: Wanted<'_>,
    manager: ManagerId,
    question: &Acquire,
) -> Result<Entered, Refusal> {
    let Wanted { request, callable, tenant, affinity: _ } = wanted;
    let counter = gate.router.counter(callable.config.account);
    let counter = counter.ok_or_else(|| Refusal::internal("the ring has no member"))?;
    let admission = admit::question(gate, request, callable, tenant);
    let call = if counter == manager {
        ManagerCall::Enter(admission, question.clone())
    } else {
        ManagerCall::Admit(admission)
    };
    let slot = |admitted: Admitted| Slot::new(gate, counter, admitted);
    match ask(gate, counter, call).await {
        Ok(ManagerAnswer::Admitted(admitted)) => Ok(Entered::Admitted(slot(admitted))),
        Ok(ManagerAnswer::Entered(admitted, acquired)) => {
            Ok(Entered::Both(slot(admitted), acquired))
        }
        Ok(ManagerAnswer::Denied(Denied { reason, retry_after })) => {
            Err(Refusal::Throttled { reason, retry_after })
        }
        Ok(
            ManagerAnswer::Acquired(_) | ManagerAnswer::Inspection(_) | ManagerAnswer::Targets(_),
        ) => Err(Refusal::internal("the counter answered something else")),
        Err(Unreachable(_)) => {
            Err(Refusal::Throttled { reason: Reason::NoManager, retry_after: Span::secs(1) })
        }
    }
}

/// Takes an answer into account: the lease, or `None` where the search goes on.
fn conclude(
    gate: &Arc<Gate>,
    path: &mut Path,
    manager: ManagerId,
    asked: Now,
    acquired: Acquired,
) -> Result<Option<Lease>, Refusal> {
    let Acquired { found, load, register } = acquired;
    let now = gate.clock.now();
    let mut learn = |answer| gate.router.answered(now, path, manager, answer, register);
    match found {
        Found::Granted(grant) => {
            let wire::manager::Load { idle, busy, starting, waiting } = load;
            let load = Load { idle, busy, starting, waiting };
            learn(Answer::Granted { load, warm: grant.warm, took: now.since(asked) });
            Ok(Some(Lease { gate: Arc::clone(gate), manager, grant: Some(grant) }))
        }
        Found::NoIdle => {
            learn(Answer::NoIdle);
            Ok(None)
        }
        Found::AskAnother => {
            learn(Answer::Throttled);
            Ok(None)
        }
        Found::Denied(Denied { reason, retry_after }) => {
            Err(Refusal::Throttled { reason, retry_after })
        }
        Found::StartFailed(failure) => Err(Refusal::StartFailed(failure)),
    }
}

fn silent(gate: &Gate, path: &mut Path, manager: ManagerId) {
    gate.router.answered(gate.clock.now(), path, manager, Answer::Silent, None);
}

/// One question. What is given to a caller that went away meanwhile goes back.
async fn ask(
    gate: &Arc<Gate>,
    manager: ManagerId,
    call: ManagerCall,
) -> Result<ManagerAnswer, Unreachable> {
    let caller = gate.managers.get(&manager).ok_or(Unreachable("manager"))?;
    let pending = caller.send(call, platform::Body::Empty).await?;
    let mut question = Question { gate: Arc::clone(gate), manager, pending: Some(pending) };
    let Some(pending) = question.pending.as_mut() else { return Err(Unreachable("manager")) };
    let answered = pending.await;
    question.pending = None;
    answered.map(|(answer, _)| answer)
}

/// A question on its way. Dropped before its answer, it is waited for by a task of
/// its own, which gives back what the answer gives.
struct Question {
    gate: Arc<Gate>,
    manager: ManagerId,
    pending: Option<Pending<ManagerAnswer>>,
}

impl Drop for Question {
    fn drop(&mut self) {
        let Some(pending) = self.pending.take() else { return };
        let (gate, manager) = (Arc::clone(&self.gate), self.manager);
        self.gate.tasks.spawn(TaskKind::Background, "abandoned question", async move {
            if let Ok((answer, _)) = pending.await {
                return_all(&gate, manager, answer);
            }
        });
    }
}

fn return_all(gate: &Arc<Gate>, manager: ManagerId, answer: ManagerAnswer) {
    let (admitted, acquired) = match answer {
        ManagerAnswer::Admitted(admitted) => (Some(admitted), None),
        ManagerAnswer::Acquired(acquired) => (None, Some(acquired)),
        ManagerAnswer::Entered(admitted, acquired) => (Some(admitted), Some(acquired)),
        ManagerAnswer::Denied(_) | ManagerAnswer::Inspection(_) | ManagerAnswer::Targets(_) => {
            (None, None)
        }
    };
    if let Some(Acquired { found: Found::Granted(grant), .. }) = acquired {
        Lease::refused(gate, manager, grant.lease);
    }
    drop(admitted.map(|admitted| Slot::new(gate, manager, admitted)));
}

impl Lease {
    /// The grant, for the worker; the debt goes with it.
    pub(crate) fn start(mut self) -> Option<(ManagerId, Grant)> {
        self.grant.take().map(|grant| (self.manager, grant))
    }

    /// The worker did not take the call: the lease goes back.
    pub(crate) fn refused(gate: &Arc<Gate>, manager: ManagerId, lease: LeaseId) {
        admit::give_back(gate, manager, ManagerNote::Unused { lease }, "lease return");
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(grant) = self.grant.take() {
            Lease::refused(&self.gate, self.manager, grant.lease);
        }
    }
}
