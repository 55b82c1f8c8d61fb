//! What a call holds of its account's concurrency: a lease from the counter, or one of
//! the slots that this frontend may fill by itself. It is a debt: it goes back however
//! the call ends.

use std::sync::Arc;

use model::{AccountId, ManagerId, RequestId, TenantId};
use wire::manager::{Admit, Admitted, ManagerNote};

use crate::{Gate, view::Callable};

/// Room for one call. Returned when dropped.
#[derive(Debug)]
pub(crate) struct Slot {
    gate: Arc<Gate>,
    held: Held,
}

#[derive(Debug)]
enum Held {
    /// A concurrency lease, and whose counter gave it.
    Counted(ManagerId, Admitted),
    /// Of what this frontend may admit alone.
    Allowed(AccountId),
}

impl Slot {
    pub(crate) fn new(gate: &Arc<Gate>, counter: ManagerId, admitted: Admitted) -> Slot {
        gate.held.take(gate.clock.now(), counter, admitted.lease);
        Slot { gate: Arc::clone(gate), held: Held::Counted(counter, admitted) }
    }

    pub(crate) fn allowed(gate: &Arc<Gate>, account: AccountId) -> Slot {
        Slot { gate: Arc::clone(gate), held: Held::Allowed(account) }
    }

    /// Calls of the version in flight, this one included, where the counter has said.
    pub(crate) fn in_version(&self) -> Option<u32> {
        match &self.held {
            Held::Counted(_, admitted) => Some(admitted.in_version),
            Held::Allowed(_) => None,
        }
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
        match self.held {
            Held::Counted(counter, admitted) => {
                self.gate.held.give_back(counter, admitted.lease);
                let note = ManagerNote::Return { lease: admitted.lease };
                give_back(&self.gate, counter, note);
            }
            Held::Allowed(account) => self.gate.allowances.ended(account),
        }
    }
}

/// A note that must not be lost while its manager lives; nobody waits for it.
pub(crate) fn give_back(gate: &Gate, manager: ManagerId, note: ManagerNote) {
    if let Some(caller) = gate.managers.get(&manager) {
        caller.leave_note(&gate.tasks, note);
    }
}
