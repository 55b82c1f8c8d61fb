//! A concurrency lease from the account's counter, or the one reason against it.
//! The lease is a debt: it goes back however the call ends.

use std::sync::Arc;

use model::{LeaseId, RequestId, TenantId};
use platform::TaskKind;
use wire::manager::{Admit, Denied, ManagerAnswer, ManagerCall, ManagerNote};

use crate::{Gate, refusal::Refusal, view::Callable};

/// A concurrency lease. Returned when dropped.
#[derive(Debug)]
pub(crate) struct Slot {
    gate: Arc<Gate>,
    lease: LeaseId,
}

pub(crate) async fn admit(
    gate: &Arc<Gate>,
    request: RequestId,
    callable: &Callable,
    tenant: Option<&TenantId>,
) -> Result<Slot, Refusal> {
    let config = &callable.config;
    let ask = Admit {
        request,
        account: config.account,
        function: config.name.clone(),
        version: config.version,
        tenant: tenant.cloned(),
        holder: gate.frontend,
    };
    match gate.manager.call(ManagerCall::Admit(ask)).await {
        Ok(ManagerAnswer::Admitted { lease }) => Ok(Slot { gate: Arc::clone(gate), lease }),
        Ok(ManagerAnswer::Denied(Denied { reason, retry_after })) => {
            Err(Refusal::Throttled { reason, retry_after })
        }
        Ok(
            ManagerAnswer::AskAnother
            | ManagerAnswer::Granted(_)
            | ManagerAnswer::StartFailed(_)
            | ManagerAnswer::Inspection(_),
        ) => Err(Refusal::internal("the counter answered something else")),
        Err(error) => Err(Refusal::internal(error)),
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let note = ManagerNote::Return { lease: self.lease };
        if let Err(note) = self.gate.manager.try_note(note) {
            let manager = self.gate.manager.clone();
            self.gate.tasks.spawn(TaskKind::Background, "lease return", async move {
                let _ = manager.note(note).await;
            });
        }
    }
}
