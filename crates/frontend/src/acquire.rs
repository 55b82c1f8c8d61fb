//! Leases for one call: concurrency from the account's counter, an environment from
//! a manager of the client's arc: a warm one, or one that is made while the call
//! waits. Where the counter's manager is also the first to be asked, one message
//! does both.

use std::sync::Arc;

use decide::{
    book::Mode,
    route,
    search::{Answer, Next, Set},
};
use model::{
    AffinityAsk, Denied, Grant, KeyHash, LeaseId, ManagerId, Now, Reason, RequestId, TenantId,
};
use platform::{
    TaskKind,
    transport::{Pending, Unreachable},
};
use wire::manager::{Acquire, Acquired, Found, ManagerAnswer, ManagerCall, ManagerNote};
use wire::worker::StartFailure;

use crate::{
    Gate,
    admit::{self, Slot},
    allowance,
    refusal::Refusal,
    route::{Path, Told},
    view::{Callable, Pool},
};

/// An environment lease that nothing was started with yet. It goes back when
/// dropped; once the worker has taken the call, it is the worker's to end.
#[derive(Debug)]
pub(crate) struct Lease(Option<(Grant, Served)>);

/// Which of a version's environments serves a call, until it has ended.
#[derive(Debug)]
pub(crate) struct Served {
    gate: Arc<Gate>,
    /// Whose book it is in.
    pub(crate) manager: ManagerId,
    /// The provisioned pool that it is of.
    set: Option<KeyHash>,
    /// For metrics and bills.
    pub(crate) counts_as: route::Served,
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
    mut slot: Option<Slot>,
) -> Result<Entry, Refusal> {
    let pool = wanted.callable.pool(wanted.tenant);
    let may_allow = allowance::may(gate, wanted);
    if slot.is_none() && may_allow {
        slot = allowance::admit(gate, wanted).await?;
    }
    if slot.is_none() && gate.router.has_set(wanted.callable) {
        // How many calls of the version run decides which environments serve it.
        let (counted, _) = enter(gate, wanted, None).await?.ok_or_else(Refusal::no_manager)?;
        slot = Some(counted);
    }
    let in_version = slot.as_ref().and_then(Slot::in_version);
    let path = gate.router.begin(gate.clock.now(), wanted, pool.1, in_version);
    let mut path = path.ok_or_else(|| Refusal::internal("no ring version serves the function"))?;
    loop {
        let at = gate.clock.now();
        let (manager, set, mode) = match gate.router.next(at, &mut path) {
            Next::Ask { manager, set, mode } => (manager, set, mode),
            Next::Refused(reason) => {
                return Err(Denied { reason, retry_after: path.retry_after() }.into());
            }
        };
        let asked = Asked { manager, set, at };
        let question = question(gate, wanted, &pool, &mut path, &asked, mode);
        tracing::debug!(
            request = %wanted.request,
            function = wanted.callable.config.name.as_str(),
            manager = manager.0,
            ring_v = question.by.0,
            "an environment is asked for"
        );
        let (held, acquired) = match slot.take() {
            Some(held) => (held, None),
            None => match enter(gate, wanted, Some((manager, &question))).await? {
                Some(entered) => entered,
                None if may_allow => (allowance::without_counter(gate, wanted)?, None),
                None => return Err(Refusal::no_manager()),
            },
        };
        let acquired = match acquired {
            Some(acquired) => Some(acquired),
            None => plainly(gate, manager, question).await?,
        };
        match acquired {
            Some(acquired) => {
                if let Some(lease) = conclude(gate, &mut path, asked, acquired)? {
                    return Ok(Entry { slot: held, lease });
                }
            }
            None => silent(gate, &mut path, asked),
        }
        slot = Some(held);
    }
}

/// What a manager is asked for.
fn question(
    gate: &Gate,
    wanted: Wanted<'_>,
    pool: &Pool,
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
            let preds = gate.router.preds(path, asked.manager);
            match gate.router.profiled(path, &pool.0) {
                Some(profiled) => {
                    let hash = profiled.hash();
                    (Arc::new(profiled), hash, preds)
                }
                None => (Arc::clone(&pool.0), pool.1, preds),
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
        home: gate.router.counter(callable.config.account).unwrap_or(asked.manager),
    }
}

/// One question of a search.
#[derive(Clone, Copy)]
struct Asked {
    manager: ManagerId,
    set: Set,
    at: Now,
}

/// The concurrency lease; with the environment in the same message, where the manager
/// that is to be asked for one is the counter's. None where that cannot be reached.
async fn enter(
    gate: &Arc<Gate>,
    wanted: Wanted<'_>,
    next: Option<(ManagerId, &Acquire)>,
) -> Result<Option<(Slot, Option<Acquired>)>, Refusal> {
    let Wanted { request, callable, tenant, affinity: _ } = wanted;
    let account = callable.config.account;
    let counter = gate.router.counter(account);
    let counter = counter.ok_or_else(|| Refusal::internal("the ring has no member"))?;
    let admission = admit::question(gate, request, callable, tenant);
    let call = match next {
        Some((manager, question)) if manager == counter => {
            ManagerCall::Enter(admission, question.clone())
        }
        Some(_) | None => ManagerCall::Admit(admission),
    };
    let Ok(answer) = ask(gate, counter, call).await else { return Ok(None) };
    let (admitted, acquired) = match answer {
        ManagerAnswer::Admitted(admitted) => (admitted, None),
        ManagerAnswer::Entered(admitted, acquired) => (admitted, Some(acquired)),
        ManagerAnswer::Denied(denied) => return Err(denied.into()),
        ManagerAnswer::Acquired(_)
        | ManagerAnswer::Lent(_)
        | ManagerAnswer::InFlight(_)
        | ManagerAnswer::Busiest(_)
        | ManagerAnswer::TokensTaken(_)
        | ManagerAnswer::Inspection(_)
        | ManagerAnswer::Targets(_) => {
            return Err(Refusal::internal("the counter answered something else"));
        }
    };
    gate.router.learn_limit(account, admitted.limit_max);
    Ok(Some((Slot::new(gate, counter, admitted), acquired)))
}

/// The environment alone. None where the manager cannot be reached.
async fn plainly(
    gate: &Arc<Gate>,
    manager: ManagerId,
    question: Acquire,
) -> Result<Option<Acquired>, Refusal> {
    let Ok(answer) = ask(gate, manager, ManagerCall::Acquire(question)).await else {
        return Ok(None);
    };
    let ManagerAnswer::Acquired(acquired) = answer else {
        return Err(Refusal::internal("the book answered something else"));
    };
    Ok(Some(acquired))
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
            let counts_as = gate.router.counts_as(path, asked.set);
            let served = Served { gate: Arc::clone(gate), manager, set, counts_as };
            Ok(Some(Lease(Some((grant, served)))))
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
            // What is idle at other managers is free all the same.
            if reason == Reason::FunctionInvocationRateLimitExceeded && set == Set::OnDemand {
                learn(Answer::Slow(retry_after));
                return Ok(None);
            }
            Err(Denied { reason, retry_after }.into())
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
        | ManagerAnswer::Busiest(_)
        | ManagerAnswer::TokensTaken(_)
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
    pub(crate) fn start(mut self) -> Option<(Grant, Served)> {
        self.0.take()
    }

    /// The worker did not take the call: the lease goes back.
    pub(crate) fn refused(gate: &Gate, manager: ManagerId, lease: LeaseId) {
        admit::give_back(gate, manager, ManagerNote::Unused { lease });
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some((grant, served)) = self.0.take() {
            Lease::refused(&served.gate, served.manager, grant.lease);
        }
    }
}
