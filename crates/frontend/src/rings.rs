//! The frontend's watched view of published ring versions (A3). What is configured
//! holds until the store has one; none ever leaves, as newer ones push the oldest out.

use std::sync::Arc;

use model::RingRecord;
use store::{Followed, Store, record, schema};

use crate::Gate;

/// Follows the store until it closes.
pub(crate) async fn follow(gate: Arc<Gate>, store: Store) {
    let mut follow = store.follow(schema::rings().prefix().clone());
    while let Some(followed) = follow.next_or_stop(&gate.tasks, "frontend's view of rings").await {
        match followed {
            Followed::All(all) => {
                let records = all.iter().filter_map(|entry| read(&entry.key, &entry.value));
                gate.router.learn_rings(records.collect());
            }
            Followed::Commit(commit) => {
                for change in &commit.changes {
                    let Some(value) = &change.value else { continue };
                    if let Some(record) = read(&change.key, value) {
                        tracing::info!(ring_v = record.v.0, "a ring version was published");
                        gate.router.learn_ring(record);
                    }
                }
            }
        }
    }
}

fn read(key: &store::Key, value: &[u8]) -> Option<RingRecord> {
    let read = record::decode(value);
    if let Err(error) = &read {
        tracing::error!(key = key.as_str(), %error, "a ring version is unreadable");
    }
    read.ok()
}
