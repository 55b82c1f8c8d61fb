//! Narrowing the sets of clients whose load has gone down (A6): done by one frontend
//! for each client, its home, and only while every member of the set tells its load.

use std::sync::{Arc, atomic::Ordering};

use futures_util::future::join_all;
use model::{ManagerId, Span};
use wire::manager::{ManagerAnswer, ManagerCall};

use crate::{Gate, route::WideSet};

/// Between two looks at the sets.
const PERIOD: Span = Span::secs(10);

pub(crate) async fn watch(gate: Arc<Gate>) {
    loop {
        tokio::select! {
            biased;
            () = tokio::time::sleep(PERIOD.to_std()) => {}
            _ = gate.tasks.stopped() => return,
        }
        for set in gate.router.wide_sets() {
            shrink(&gate, &set).await;
        }
    }
}

async fn shrink(gate: &Gate, set: &WideSet) {
    let loads = join_all(set.members.iter().map(|manager| load(gate, *manager, set))).await;
    // A member that does not answer may be full.
    let Some(loads) = loads.into_iter().collect::<Option<Vec<u32>>>() else { return };
    if gate.router.shrink(gate.clock.now(), set, &loads) {
        gate.shrinks.fetch_add(1, Ordering::Relaxed);
        tracing::debug!(account = %set.account, size = set.arc.size - 1, "a set shrinks");
    }
}

async fn load(gate: &Gate, manager: ManagerId, set: &WideSet) -> Option<u32> {
    let caller = gate.managers.get(&manager)?;
    let answer = caller.call(ManagerCall::InFlight { account: set.account }).await.ok()?;
    let ManagerAnswer::InFlight(calls) = answer else { return None };
    Some(calls)
}
