//! The invocation itself: the payload goes straight to the worker that holds the
//! environment; the manager never sees it. A call whose caller goes away runs to
//! its end all the same, and keeps its place in the limits until then.

use std::sync::Arc;

use bytes::Bytes;
use model::{AffinityAnswer, Grant, LeaseId, ManagerId, PayloadRef, limits};
use platform::{Body, TaskKind, transport::Pending};
use wire::worker::{Ran, Refusal as WorkerRefusal, Run, WorkerAnswer, WorkerCall};

use crate::{
    Gate, acquire,
    acquire::{Entry, Lease, Served, Wanted},
    admit::Slot,
    invoke::Invocation,
    meter::Executing,
    refusal::Refusal,
    view::Callable,
};

/// A call on its way at a worker. Dropped before its end, it is waited for by a
/// task of its own, so that the slot stays taken as long as the handler runs.
struct InFlight {
    gate: Arc<Gate>,
    pending: Option<Pending<WorkerAnswer>>,
    held: Option<Held>,
}

/// What a call has until it ends.
struct Held {
    slot: Slot,
    _served: Served,
    executing: Executing,
}

/// How a call ended, whatever its handler said.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) ran: Ran,
    pub(crate) body: Bytes,
    /// Where the call has a value: whether it met the environment that it knows.
    pub(crate) affinity: Option<AffinityAnswer>,
}

/// Runs the call in a warm or new environment. Only a call that no handler has
/// seen is tried again (I8).
pub(crate) async fn run(
    gate: &Arc<Gate>,
    callable: &Callable,
    invocation: &Invocation,
) -> Result<Outcome, Refusal> {
    let Invocation { request, tenant, affinity, .. } = invocation;
    let (request, tenant, affinity) = (*request, tenant.as_ref(), *affinity);
    let wanted = Wanted { request, callable, tenant, affinity };
    let mut slot = None;
    for _ in 0..limits::ATTEMPTS_MAX {
        let entry = acquire::acquire(gate, wanted, slot).await?;
        let Entry { slot: taken, lease } = entry;
        let Some((grant, served)) = lease.start() else { break };
        let Grant { lease, affinity, .. } = grant;
        let manager = served.manager;
        let body = Body::from(invocation.payload.clone());
        let sent = send(gate, invocation, grant, body).await;
        let Ok(pending) = sent else {
            Lease::refused(gate, manager, lease);
            slot = Some(taken);
            continue;
        };
        let executing = Executing::begin(gate.meter.of(callable), served.counts_as);
        let held = Some(Held { slot: taken, _served: served, executing });
        let flight = InFlight { gate: Arc::clone(gate), pending: Some(pending), held };
        match flight.answer(gate, manager, lease).await? {
            Landed::Ran(ran, body) => return Ok(Outcome { ran: *ran, body, affinity }),
            Landed::NotStarted(returned) => slot = Some(returned),
        }
    }
    Err(Refusal::internal("no environment took the call"))
}

enum Landed {
    Ran(Box<Ran>, Bytes),
    /// The environment was gone, busy or another's: nothing has run.
    NotStarted(Slot),
}

async fn send(
    gate: &Gate,
    invocation: &Invocation,
    grant: Grant,
    body: Body,
) -> Result<Pending<WorkerAnswer>, Refusal> {
    let unknown = || Refusal::internal("the worker is not known");
    let worker = gate.workers.get(&grant.worker).ok_or_else(unknown)?;
    let length = invocation.payload.len() as u64;
    let run = Run {
        env: grant.env,
        lease: grant.lease,
        epoch: grant.epoch,
        request: invocation.request,
        payload: PayloadRef::beside(invocation.request, length, invocation.digest),
        invoked_arn: Arc::clone(&invocation.invoked_arn),
        trace_id: invocation.trace_id.clone(),
        client_context: invocation.client_context.clone(),
        tenant: invocation.tenant.clone(),
        tail: invocation.tail,
        warm: grant.warm,
    };
    worker.send(WorkerCall::Run(Box::new(run)), body).await.map_err(Refusal::internal)
}

impl InFlight {
    async fn answer(
        mut self,
        gate: &Arc<Gate>,
        manager: ManagerId,
        lease: LeaseId,
    ) -> Result<Landed, Refusal> {
        let lost = || Refusal::internal("the call was lost");
        let pending = self.pending.as_mut().ok_or_else(lost)?;
        let answered = pending.await;
        self.pending = None;
        let (answer, body) = answered.map_err(Refusal::internal)?;
        if let WorkerAnswer::Refused(refusal) = answer {
            match refusal {
                WorkerRefusal::OldEpoch
                | WorkerRefusal::NoSuchEnvironment
                | WorkerRefusal::Busy => Lease::refused(gate, manager, lease),
            }
            let Held { slot, .. } = self.held.take().ok_or_else(lost)?;
            return Ok(Landed::NotStarted(slot));
        }
        let WorkerAnswer::Ran(ran) = answer else {
            return Err(Refusal::internal("the worker answered something else"));
        };
        if let Some(held) = &self.held {
            held.executing.ran(&ran);
        }
        let body = body.collect(limits::RESPONSE_BYTES_MAX).await;
        Ok(Landed::Ran(ran, body.map_err(Refusal::internal)?))
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        let (Some(pending), Some(held)) = (self.pending.take(), self.held.take()) else { return };
        self.gate.tasks.spawn(TaskKind::Background, "abandoned call", async move {
            if let Ok((WorkerAnswer::Ran(ran), _)) = pending.await {
                held.executing.ran(&ran);
            }
            drop(held);
        });
    }
}
