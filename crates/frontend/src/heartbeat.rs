//! A frontend's sign of life to the counter: without it its concurrency leases
//! end by themselves (I4).

use std::sync::Arc;

use model::limits;
use wire::manager::ManagerNote;

use crate::Gate;

/// Signs of life per lease TTL: two may be lost.
const PER_TTL: u32 = 3;

pub(crate) async fn beat(gate: Arc<Gate>) {
    let period = limits::CONCURRENCY_LEASE_TTL.to_std() / PER_TTL;
    loop {
        tokio::time::sleep(period).await;
        if gate.manager.note(ManagerNote::Renew { holder: gate.frontend }).await.is_err() {
            return;
        }
    }
}
