//! The frontend's watched view of provisioned sets: where each is, as the provisioning
//! controller stored it. A set that is deleted stays until nothing of it is left, so
//! that what drains is still found (A2).

use std::{collections::BTreeSet, sync::Arc};

use decide::{arcs::RingArc, route::SetRecord};
use model::{KeyHash, ProvisionedSet};
use store::{
    Followed, Store, record,
    schema::{self, Place},
};

use crate::Gate;

/// Follows the store until it closes.
pub(crate) async fn follow(gate: Arc<Gate>, store: Store) {
    let mut follow = store.follow(schema::provisioned());
    let view = "frontend's view of provisioned sets";
    while let Some(followed) = follow.next_or_stop(&gate.tasks, view).await {
        match followed {
            Followed::All(all) => {
                let changes = all.iter().map(|entry| (&entry.key, Some(&entry.value[..])));
                let kept: BTreeSet<KeyHash> =
                    changes.filter_map(|(key, value)| apply(&gate, key, value)).collect();
                gate.router.keep_sets(&kept);
                gate.exact.keep_sets(&kept);
            }
            Followed::Commit(commit) => {
                for change in commit.changes {
                    apply(&gate, &change.key, change.value.as_deref());
                }
            }
        }
    }
}

/// The pool that the record is about, where it is one of a set that exists.
fn apply(gate: &Gate, key: &store::Key, value: Option<&[u8]>) -> Option<KeyHash> {
    let Some(Place::ProvisionedSet(account, name, _, hash)) = Place::of(key) else { return None };
    let Some(value) = value else {
        gate.router.forget_set(hash);
        gate.exact.forget_set(hash);
        return None;
    };
    match record::decode::<ProvisionedSet>(value) {
        Ok(set) => {
            gate.exact.learn_set((account, name), hash);
            gate.router.learn_set(hash, set_record(&set));
        }
        Err(error) => tracing::error!(key = key.as_str(), %error, "a record is unreadable"),
    }
    Some(hash)
}

fn set_record(set: &ProvisionedSet) -> SetRecord {
    let ProvisionedSet { epoch, ring, limit, start, size, wide, .. } = *set;
    SetRecord { epoch, ring, limit, arc: RingArc { start, size }, wide }
}
