//! What the manager needs to know of functions: reserved concurrency and limits
//! for the counter, rules for tenants, and which pool key of a function is still the current one.

use std::collections::BTreeSet;

use model::{AccountId, FunctionConfig, FunctionName, function::FunctionSettings};
use platform::Tasks;
use store::{
    AccountLimits, Follow, Followed, Store, record,
    schema::{self, Place},
};
use tokio::sync::mpsc;

use crate::owner::Event;

/// A fact about a function, as the metadata store says it.
#[derive(Clone, Debug)]
pub(crate) enum Fact {
    /// The head was written: environments of other keys have had their day.
    Head(Box<FunctionConfig>),
    HeadDeleted(AccountId, FunctionName),
    Settings(AccountId, FunctionName, FunctionSettings),
    /// The defaults, where nothing is stored.
    Limits(AccountId, AccountLimits),
}

/// Follows all functions until the store closes.
pub(crate) async fn functions(store: Store, events: mpsc::Sender<Event>, tasks: Tasks) {
    let view = "manager's view of functions";
    forward(store.follow(schema::functions()), events, tasks, view).await;
}

/// Follows the limits of all accounts until the store closes.
pub(crate) async fn accounts(store: Store, events: mpsc::Sender<Event>, tasks: Tasks) {
    let follow = store.follow(schema::accounts().prefix().clone());
    forward(follow, events, tasks, "manager's view of accounts").await;
}

async fn forward(
    mut follow: Follow,
    events: mpsc::Sender<Event>,
    tasks: Tasks,
    view: &'static str,
) {
    let mut known = BTreeSet::new();
    while let Some(followed) = follow.next_or_stop(&tasks, view).await {
        let changes: Vec<_> = match followed {
            Followed::All(all) => {
                let listed: BTreeSet<store::Key> = all.iter().map(|e| e.key.clone()).collect();
                // What went away while nothing could be followed.
                let gone: Vec<_> = known.difference(&listed).cloned().collect();
                let there = all.into_iter().map(|entry| (entry.key, Some(entry.value)));
                gone.into_iter().map(|key| (key, None)).chain(there).collect()
            }
            Followed::Commit(commit) => {
                commit.changes.into_iter().map(|change| (change.key, change.value)).collect()
            }
        };
        for (key, value) in changes {
            match value {
                Some(_) => known.insert(key.clone()),
                None => known.remove(&key),
            };
            let fact = match fact(&key, value.as_deref()) {
                Ok(Some(fact)) => fact,
                Ok(None) => continue,
                Err(error) => {
                    tracing::error!(key = key.as_str(), %error, "a stored record is unreadable");
                    continue;
                }
            };
            if events.send(Event::Stored(fact)).await.is_err() {
                return;
            }
        }
    }
}

fn fact(key: &store::Key, value: Option<&[u8]>) -> Result<Option<Fact>, store::RecordError> {
    Ok(match (Place::of(key), value) {
        (Some(Place::FunctionHead(..)), Some(value)) => {
            Some(Fact::Head(Box::new(record::decode::<FunctionConfig>(value)?)))
        }
        (Some(Place::FunctionHead(account, name)), None) => Some(Fact::HeadDeleted(account, name)),
        (Some(Place::FunctionSettings(account, name)), Some(value)) => {
            Some(Fact::Settings(account, name, record::decode(value)?))
        }
        (Some(Place::FunctionSettings(account, name)), None) => {
            Some(Fact::Settings(account, name, FunctionSettings::default()))
        }
        (Some(Place::AccountLimits(account)), value) => {
            let limits = value.map(record::decode::<AccountLimits>).transpose()?;
            Some(Fact::Limits(account, limits.unwrap_or_default()))
        }
        (
            Some(
                Place::FunctionVersion(..)
                | Place::Installation
                | Place::Credential(_)
                | Place::ProvisionedConfig(..)
                | Place::ProvisionedSet(..)
                | Place::Ring(_)
                | Place::Lease(_),
            )
            | None,
            _,
        ) => None,
    })
}
