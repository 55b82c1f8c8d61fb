//! Leases for one call: concurrency from the account's counter, an environment from
//! a manager of the client's arc: a warm one, or one that is made while the call
//! waits. Where the counter's manager is also the first to be asked, one message
//! does both.

use std::sync::Arc;

use decide::{
    book::Mode,
    search::{Answer, Next, Set},
};
use model::{
    AffinityAsk, Denied, Grant, KeyHash, LeaseId, ManagerId, Now, Reason, RequestId, Span, TenantId,
};
use platform::{
    TaskKind,
    transport::{Pending, Unreachable},
};
use wire::manager::{Acquire, Acquired, Admitted, Found, ManagerAnswer, ManagerCall, ManagerNote};
use wire::worker::StartFailure;

use crate::{
    Gate,
    admit::{self, Slot},
    allowance,
    refusal::Refusal,
    route::{Path, Told},
    view::Callable,
};

/// An environment lease that nothing was started with yet. It goes back when
/// dropped; once the worker has taken the call, it is the worker's to end.
#[derive(Debug)]
pub(crate) struct Lease {
    gate: Arc<Gate>,
    manager: ManagerId,
    grant: Option<Grant>,
    from: Served,
}

/// Which of a version's environments serves a call, until it has ended.
#[derive(Debug)]
pub(crate) struct Served {
    gate: Arc<Gate>,
    manager: ManagerId,
    /// The provisioned pool that it is of.
    set: Option<KeyHash>,
}

impl Drop for Served {
    fn drop(&mut self) {
        if let Some(set) = self.set {
            self.gate.router.freed(set, self.manager);
        }
    }
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
    let Wanted { callable, tenant, .. } = wanted;
    let (_, hash) = callable.pool(tenant);
    let mut slot = slot;
    let may_allow = allowance::may(gate, wanted);
    if slot.is_none() && may_allow {
        slot = allowance::admit(gate, wanted).await?;
    }
    if slot.is_none() && gate.router.has_set(callable) {
        // How many calls of the version run decides which environments serve it.
        slot = Some(admit(gate, wanted).await?);
    }
    let in_version = slot.as_ref().and_then(Slot::in_version);
    let path = gate.router.begin(gate.clock.now(), wanted, hash, in_version);
    let mut path = path.ok_or_else(|| Refusal::internal("no ring version serves the function"))?;
    loop {
        let asked = gate.clock.now();
        let (manager, set, mode) = match gate.router.next(asked, &mut path) {
            Next::Ask { manager, set, mode } => (manager, set, mode),
            Next::Refused(reason) => {
                return Err(Refusal::Throttled { reason, retry_after: Span::secs(1) });
            }
        };
        let asked = Asked { manager, set, at: asked };
        let question = question(gate, wanted, &mut path, &asked, mode);
        let held = match slot.take() {
            Some(held) => held,
            None => match enter(gate, wanted, manager, &question).await? {
                Entered::Admitted(held) => held,
                Entered::Unreachable if may_allow => allowance::without_counter(gate, wanted)?,
                Entered::Unreachable => return Err(no_manager()),
                Entered::Both(held, acquired) => {
                    match conclude(gate, &mut path, asked, acquired)? {
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
                if let Some(lease) = conclude(gate, &mut path, asked, acquired)? {
                    return Ok(Entry { slot: held, lease });
                }
            }
            Ok(
                ManagerAnswer::Admitted(_)
                | ManagerAnswer::Denied(_)
                | ManagerAnswer::Entered(..)
                | ManagerAnswer::Lent(_)
                | ManagerAnswer::InFlight(_)
                | ManagerAnswer::Inspection(_)
                | ManagerAnswer::Targets(_),
            ) => return Err(Refusal::internal("the book answered something else")),
            Err(Unreachable(_)) => silent(gate, &mut path, asked),
        }
        slot = Some(held);
    }
}

/// What a manager is asked for.
fn question(
    gate: &Gate,
    wanted: Wanted<'_>,
    path: &mut Path,
    asked: &Asked,
    mode: Mode,
) -> Acquire {
    let Wanted { request, callable, tenant, affinity } = wanted;
    let (key, hash, preds) = match asked.set {
        Set::Provisioned => {
            let (key, hash) = callable.provisioned_pool(tenant);
            (key, hash, Vec::new())
        }
        Set::OnDemand => {
            let (key, hash) = callable.pool(tenant);
            let preds = gate.router.preds(path, asked.manager);
            match gate.router.profiled(path, &key) {
                Some(profiled) => {
                    let hash = profiled.hash();
                    (Arc::new(profiled), hash, preds)
                }
                None => (key, hash, preds),
            }
        }
    };
    Acquire {
        request,
        key,
        hash,
        config: Arc::clone(&callable.config),
        may_create: mode == Mode::ExistingOrNew,
        client_cap: path.client_cap,
        client: path.client,
        register: gate.router.register(path),
        affinity,
        by: path.by,
        preds,
    }
}

/// One question of a search.
#[derive(Clone, Copy)]
struct Asked {
    manager: ManagerId,
    set: Set,
    at: Now,
}

/// The concurrency lease alone.
async fn admit(gate: &Arc<Gate>, wanted: Wanted<'_>) -> Result<Slot, Refusal> {
    let Wanted { request, callable, tenant, affinity: _ } = wanted;
    let counter = counter(gate, callable)?;
    let admission = ManagerCall::Admit(admit::question(gate, request, callable, tenant));
    match admitted(gate, callable, counter, ask(gate, counter, admission).await)? {
        Entered::Admitted(slot) | Entered::Both(slot, _) => Ok(slot),
        Entered::Unreachable => Err(no_manager()),
    }
}

fn counter(gate: &Gate, callable: &Callable) -> Result<ManagerId, Refusal> {
    let counter = gate.router.counter(callable.config.account);
    counter.ok_or_else(|| Refusal::internal("the ring has no member"))
}

enum Entered {
    Admitted(Slot),
    Both(Slot, Acquired),
    /// The counter's manager.
    Unreachable,
}

fn no_manager() -> Refusal {
    Refusal::Throttled { reason: Reason::NoManager, retry_after: Span::secs(1) }
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
    let counter = counter(gate, callable)?;
    let admission = admit::question(gate, request, callable, tenant);
    let call = if counter == manager {
        ManagerCall::Enter(admission, question.clone())
    } else {
        ManagerCall::Admit(admission)
    };
    admitted(gate, callable, counter, ask(gate, counter, call).await)
}

/// What a counter's answer means to the call.
fn admitted(
    gate: &Arc<Gate>,
    callable: &Callable,
    counter: ManagerId,
    answer: Result<ManagerAnswer, Unreachable>,
) -> Result<Entered, Refusal> {
    let slot = |admitted: Admitted| {
        gate.router.learn_limit(callable.config.account, admitted.limit_max);
        Slot::new(gate, counter, admitted)
    };
    match answer {
        Ok(ManagerAnswer::Admitted(admitted)) => Ok(Entered::Admitted(slot(admitted))),
        Ok(ManagerAnswer::Entered(admitted, acquired)) => {
            Ok(Entered::Both(slot(admitted), acquired))
        }
        Ok(ManagerAnswer::Denied(Denied { reason, retry_after })) => {
            Err(Refusal::Throttled { reason, retry_after })
        }
        Ok(
            ManagerAnswer::Acquired(_)
            | ManagerAnswer::Lent(_)
            | ManagerAnswer::InFlight(_)
            | ManagerAnswer::Inspection(_)
            | ManagerAnswer::Targets(_),
        ) => Err(Refusal::internal("the counter answered something else")),
        Err(Unreachable(_)) => Ok(Entered::Unreachable),
    }
}

/// Takes an answer into account: the lease, or `None` where the search goes on.
fn conclude(
    gate: &Arc<Gate>,
    path: &mut Path,
    asked: Asked,
    acquired: Acquired,
) -> Result<Option<Lease>, Refusal> {
    let Asked { manager, set, at } = asked;
    let Acquired { found, load, register } = acquired;
    let now = gate.clock.now();
    let told = Told { set, load: Some(load), register };
    let path_set = path.set;
    let mut learn = |answer| gate.router.answered(now, path, manager, answer, told);
    match found {
        Found::Granted(grant) => {
            learn(Answer::Granted { load, warm: grant.warm, took: now.since(at) });
            let set = path_set.filter(|_| set == Set::Provisioned);
            let from = Served { gate: Arc::clone(gate), manager, set };
            Ok(Some(Lease { gate: Arc::clone(gate), manager, grant: Some(grant), from }))
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
        Found::StartFailed(failure) => {
            let platform = matches!(failure, StartFailure::Platform { .. });
            if platform && set == Set::OnDemand && gate.router.fall_back(path, manager) {
                return Ok(None);
            }
            Err(Refusal::StartFailed(failure))
        }
    }
}

fn silent(gate: &Gate, path: &mut Path, asked: Asked) {
    let told = Told { set: asked.set, load: None, register: None };
    gate.router.answered(gate.clock.now(), path, asked.manager, Answer::Silent, told);
    if asked.set == Set::OnDemand {
        gate.router.fall_back(path, asked.manager);
    }
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
        ManagerAnswer::Denied(_)
        | ManagerAnswer::Lent(_)
        | ManagerAnswer::InFlight(_)
        | ManagerAnswer::Inspection(_)
        | ManagerAnswer::Targets(_) => (None, None),
    };
    if let Some(Acquired { found: Found::Granted(grant), .. }) = acquired {
        Lease::refused(gate, manager, grant.lease);
    }
    drop(admitted.map(|admitted| Slot::new(gate, manager, admitted)));
}

impl Lease {
    /// The grant, for the worker; the debt goes with it.
    pub(crate) fn start(mut self) -> Option<(ManagerId, Grant, Served)> {
        let none = Served { gate: Arc::clone(&self.gate), manager: self.manager, set: None };
        let from = std::mem::replace(&mut self.from, none);
        self.grant.take().map(|grant| (self.manager, grant, from))
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
