//! The manager's view of published ring versions: their settings, which hold for the
//! keys that they decide (A4). Who the members are, it needs not know.

use model::RingRecord;
use platform::Tasks;
use store::{Followed, Store, record, schema};
use tokio::sync::mpsc;

use crate::owner::Event;

/// Follows the store until it closes.
pub(crate) async fn follow(store: Store, events: mpsc::Sender<Event>, tasks: Tasks) {
    let mut follow = store.follow(schema::rings().prefix().clone());
    while let Some(followed) = follow.next_or_stop(&tasks, "manager's view of rings").await {
        let written: Vec<_> = match followed {
            Followed::All(all) => all.into_iter().map(|entry| (entry.key, entry.value)).collect(),
            Followed::Commit(commit) => {
                let written = |change: store::Change| Some((change.key, change.value?));
                commit.changes.into_iter().filter_map(written).collect()
            }
        };
        for (key, value) in written {
            match record::decode::<RingRecord>(&value) {
                Ok(RingRecord { v, attrs, .. }) => {
                    if events.send(Event::Ring(v, attrs)).await.is_err() {
                        return;
                    }
                }
                Err(error) => {
                    tracing::error!(key = key.as_str(), %error, "a ring version is unreadable");
                }
            }
        }
    }
}
