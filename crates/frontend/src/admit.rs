//! A concurrency lease from the account's counter, or the one reason against it.
//! The lease is a debt: it goes back however the call ends.

use std::sync::Arc;

use model::{ManagerId, RequestId, TenantId};
use platform::TaskKind;
use wire::manager::{Admit, Admitted, ManagerNote};

use crate::{Gate, view::Callable};

/// A concurrency lease. Returned when dropped.
#[derive(Debug)]
pub(crate) struct Slot {
    gate: Arc<Gate>,
    /// Whose counter gave it.
    counter: ManagerId,
    pub(crate) admitted: Admitted,
}

impl Slot {
    pub(crate) fn new(gate: &Arc<Gate>, counter: ManagerId, admitted: Admitted) -> Slot {
        Slot { gate: Arc::clone(gate), counter, admitted }
    }
}

/// What the counter is asked for a call.
pub(crate) fn question(
    gate: &Gate,
    request: RequestId,
    callable: &Callable,
    tenant: Option<&TenantId>,
) -> Admit {
    let config = &callable.config;
    Admit {
        request,
        account: config.account,
        function: config.name.clone(),
        version: config.version,
        tenant: tenant.cloned(),
        holder: gate.frontend,
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let note = ManagerNote::Return { lease: self.admitted.lease };
        give_back(&self.gate, self.counter, note, "lease return");
    }
}

/// A note that must not be lost while its manager lives; nobody waits for it.
pub(crate) fn give_back(
    gate: &Arc<Gate>,
    manager: ManagerId,
    note: ManagerNote,
    task: &'static str,
) {
    let Some(caller) = gate.managers.get(&manager) else { return };
    if let Err(note) = caller.try_note(note) {
        let caller = caller.clone();
        gate.tasks.spawn(TaskKind::Background, task, async move {
            let _ = caller.note(note).await;
        });
    }
}
