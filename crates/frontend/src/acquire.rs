//! An environment lease from the manager that owns the key: a warm environment, or
//! one that is made while the call waits.

use std::sync::Arc;

use model::{LeaseId, RequestId, TenantId};
use platform::TaskKind;
use wire::manager::{Acquire, Denied, Grant, ManagerAnswer, ManagerCall, ManagerNote};

use crate::{Gate, refusal::Refusal, view::Callable};

/// An environment lease that nothing was started with yet. It goes back when
/// dropped; once the worker has taken the call, it is the worker's to end.
#[derive(Debug)]
pub(crate) struct Lease {
    gate: Arc<Gate>,
    grant: Option<Grant>,
}

pub(crate) async fn acquire(
    gate: &Arc<Gate>,
    request: RequestId,
    callable: &Callable,
    tenant: Option<&TenantId>,
) -> Result<Lease, Refusal> {
    let (key, hash) = callable.pool(tenant);
    let ask = Acquire { request, key, hash, config: Arc::clone(&callable.config) };
    match gate.manager.call(ManagerCall::Acquire(ask)).await {
        Ok(ManagerAnswer::Granted(grant)) => {
            Ok(Lease { gate: Arc::clone(gate), grant: Some(grant) })
        }
        Ok(ManagerAnswer::Denied(Denied { reason, retry_after })) => {
            Err(Refusal::Throttled { reason, retry_after })
        }
        Ok(ManagerAnswer::StartFailed(failure)) => Err(Refusal::StartFailed(failure)),
        Ok(
            ManagerAnswer::AskAnother
            | ManagerAnswer::Admitted { .. }
            | ManagerAnswer::Inspection(_),
        ) => Err(Refusal::internal("the book answered something else")),
        Err(error) => Err(Refusal::internal(error)),
    }
}

impl Lease {
    /// The grant, for the worker; the debt goes with it.
    pub(crate) fn start(mut self) -> Option<Grant> {
        self.grant.take()
    }

    /// The worker did not take the call: the lease goes back.
    pub(crate) fn refused(gate: &Arc<Gate>, lease: LeaseId) {
        let note = ManagerNote::Unused { lease };
        if let Err(note) = gate.manager.try_note(note) {
            let manager = gate.manager.clone();
            gate.tasks.spawn(TaskKind::Background, "lease return", async move {
                let _ = manager.note(note).await;
            });
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(grant) = self.grant.take() {
            Lease::refused(&self.gate, grant.lease);
        }
    }
}
