//! A frontend's signs of life to the counters: without them its concurrency leases and
//! borrowed slots end by themselves (I4). Each counter has a task of its own, so that
//! one which cannot be reached keeps no other waiting.

use std::{sync::Arc, time::Duration};

use model::{ManagerId, limits};
use wire::manager::ManagerNote;

use crate::{Gate, allowance};

/// Signs of life per lease TTL: two may be lost.
const PER_TTL: u32 = 3;

pub(crate) async fn beat(gate: Arc<Gate>, manager: ManagerId) {
    let Some(caller) = gate.managers.get(&manager) else { return };
    while next(&gate).await {
        let held = gate.held.of(gate.clock.now(), manager);
        // One that cannot be reached counts nothing for us meanwhile.
        let _ = caller.note(ManagerNote::Renew { holder: gate.frontend, held }).await;
    }
}

/// The same for what is borrowed.
pub(crate) async fn beat_allowances(gate: Arc<Gate>) {
    while next(&gate).await {
        allowance::beat(&gate);
    }
}

/// Whether there is another, after its time.
async fn next(gate: &Gate) -> bool {
    let period: Duration = limits::CONCURRENCY_LEASE_TTL.to_std() / PER_TTL;
    tokio::select! {
        biased;
        _ = gate.tasks.stopped() => false,
        () = tokio::time::sleep(period) => true,
    }
}
