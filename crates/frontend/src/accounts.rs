//! The frontend's watched view of accounts' limits: what it goes by while their
//! counters are silent.

use std::sync::Arc;

use model::AccountId;
use store::{
    AccountLimits, Followed, Store, record,
    schema::{self, Place},
};

use crate::Gate;

/// Follows the store until it closes.
pub(crate) async fn follow(gate: Arc<Gate>, store: Store) {
    let mut follow = store.follow(schema::accounts().prefix().clone());
    while let Some(followed) = follow.next_or_stop(&gate.tasks, "frontend's view of accounts").await
    {
        match followed {
            Followed::All(all) => {
                let limits = all.iter().filter_map(|entry| limit(&entry.key, Some(&entry.value)));
                gate.allowances.limit_only(limits.collect());
            }
            Followed::Commit(commit) => {
                for change in commit.changes {
                    if let Some((account, limit)) = limit(&change.key, change.value.as_deref()) {
                        gate.allowances.limit(account, limit);
                    }
                }
            }
        }
    }
}

fn limit(key: &store::Key, value: Option<&[u8]>) -> Option<(AccountId, u32)> {
    let Some(Place::AccountLimits(account)) = Place::of(key) else { return None };
    match value.map(record::decode::<AccountLimits>).transpose() {
        Ok(limits) => Some((account, limits.unwrap_or_default().concurrency)),
        Err(error) => {
            tracing::error!(key = key.as_str(), %error, "a record is unreadable");
            None
        }
    }
}
