//! How many calls of one key are in flight, over all managers: a ring version whose
//! managers would take fewer is not published (A4.5). A manager that does not answer
//! is not counted, so that a fleet with a dead manager can be replaced.

use std::collections::BTreeMap;

use model::{KeyHash, ManagerId};
use platform::Clock;
use wire::manager::{ManagerAnswer, ManagerCall};

use crate::{limits::BUSIEST_TIMEOUT, provisioning::ManagerCaller};

/// Of the key that has the most. Each manager names its busiest keys: what a key has at
/// a manager where very many others have more is left out.
pub(crate) async fn in_flight_max(
    clock: &Clock,
    managers: &BTreeMap<ManagerId, ManagerCaller>,
) -> u64 {
    let until = clock.now() + BUSIEST_TIMEOUT;
    let mut asked = Vec::with_capacity(managers.len());
    for (manager, caller) in managers {
        let sent = tokio::select! {
            sent = caller.send(ManagerCall::Busiest, platform::Body::Empty) => sent.ok(),
            () = clock.sleep_until(until) => None,
        };
        asked.push((*manager, sent));
    }
    let mut calls: BTreeMap<KeyHash, u64> = BTreeMap::new();
    for (manager, sent) in asked {
        let answer = async { sent?.await.ok() };
        let answer = tokio::select! {
            answer = answer => answer,
            () = clock.sleep_until(until) => None,
        };
        let Some((ManagerAnswer::Busiest(keys), _)) = answer else {
            tracing::warn!(%manager, "did not say how many calls its keys have in flight");
            continue;
        };
        for (key, in_flight) in keys {
            *calls.entry(key).or_insert(0) += u64::from(in_flight);
        }
    }
    calls.into_values().max().unwrap_or(0)
}
