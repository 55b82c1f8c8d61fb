//! A frontend's sign of life to the counters: without it its concurrency leases and
//! borrowed slots end by themselves (I4).

use std::sync::Arc;

use model::limits;
use wire::manager::ManagerNote;

use crate::{Gate, allowance};

/// Signs of life per lease TTL: two may be lost.
const PER_TTL: u32 = 3;

pub(crate) async fn beat(gate: Arc<Gate>) {
    let period = limits::CONCURRENCY_LEASE_TTL.to_std() / PER_TTL;
    loop {
        tokio::select! {
            biased;
            () = tokio::time::sleep(period) => {}
            _ = gate.tasks.stopped() => return,
        }
        allowance::beat(&gate);
        for manager in gate.managers.values() {
            // One that cannot be reached counts nothing for us meanwhile.
            let _ = manager.note(ManagerNote::Renew { holder: gate.frontend }).await;
        }
    }
}
