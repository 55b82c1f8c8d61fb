//! A process that has a store open and serves it at a place of a simulated network, and
//! processes that ask it.

use std::{collections::BTreeMap, path::Path};

use bytes::Bytes;
use model::{AccountId, Now, Span};
use platform::{
    Clock, Tasks,
    tasks::Stop,
    transport::{self, Address, Exchange, Network, Simulated},
};
use store::{
    AccountLimits, Follow, Followed, Key, Revision, Store, StoreCaller, Transaction, TypedKey,
    schema,
};

pub(crate) const PLACE: &str = "host-1";

pub(crate) struct Stage {
    pub(crate) clock: Clock,
    pub(crate) network: Simulated,
    tasks: Tasks,
    far: Exchange,
}

/// One life of the process that has the store open.
pub(crate) struct Serving(Tasks);

pub(crate) fn key(number: u64) -> TypedKey<AccountLimits> {
    schema::account_limits(AccountId::parse(&format!("{number:012}")).unwrap())
}

pub(crate) fn put(number: u64, concurrency: u32) -> Transaction {
    Transaction::new().put(&key(number), &AccountLimits { concurrency }).unwrap()
}

/// Writes and follows until a commit is seen: from then on the copy of the feed runs.
pub(crate) async fn begin(store: &Store, follow: &mut Follow) -> Revision {
    loop {
        let written = store.transact(put(7, 7)).await.unwrap();
        loop {
            match follow.next().await.unwrap() {
                Followed::Commit(commit) if commit.revision == written => return written,
                Followed::Commit(_) => {}
                Followed::All(all) if all.iter().any(|entry| entry.revision == written) => break,
                Followed::All(_) => {}
            }
        }
    }
}

/// What is followed until a revision: each revision, and the state that it makes.
pub(crate) async fn revisions(
    follow: &mut Follow,
    until: Revision,
) -> (Vec<u64>, BTreeMap<Key, Bytes>) {
    let (mut seen, mut copy) = (Vec::new(), BTreeMap::new());
    while seen.last() != Some(&until.0) {
        match follow.next().await.unwrap() {
            Followed::All(_) => panic!("all again after {seen:?}"),
            Followed::Commit(commit) => {
                seen.push(commit.revision.0);
                for change in commit.changes {
                    match change.value {
                        Some(value) => drop(copy.insert(change.key, value)),
                        None => drop(copy.remove(&change.key)),
                    }
                }
            }
        }
    }
    (seen, copy)
}

impl Stage {
    pub(crate) fn new() -> Stage {
        let tasks = Tasks::default();
        let network = Simulated::new();
        let far = Exchange::new(Network::simulated(&network), tasks.clone());
        Stage { clock: Clock::simulated(1_000), network, tasks, far }
    }

    pub(crate) async fn pass(&self, millis: u64) {
        let until: Now = self.clock.now() + Span::millis(millis);
        self.clock.sleep_until(until).await;
    }

    /// Serves a store at the place, as a process that has just started.
    pub(crate) async fn open(&self, store: Store) -> Serving {
        // No two lives begin in the same millisecond.
        self.pass(2).await;
        let tasks = Tasks::default();
        let (caller, inbox) = transport::in_process("store");
        store::serve(store, self.clock.clone(), &tasks, inbox);
        self.open_inbox(&caller).await;
        Serving(tasks)
    }

    pub(crate) async fn open_inbox(&self, caller: &StoreCaller) {
        self.far.withdraw("control");
        self.far.register("control", caller, |_| true).unwrap();
        // The place stays where a process ended; only the first one makes it.
        let _ = self.far.listen(&Address::Simulated(PLACE.into())).await;
    }

    /// The process ends, and its connections with it.
    pub(crate) async fn end(&self, serving: Serving) {
        self.far.withdraw("control");
        serving.0.stop(Stop::Asked);
        self.network.cut(PLACE);
        self.pass(1).await;
    }

    /// As `end`, until its file can be opened again.
    pub(crate) async fn close(&self, serving: Serving, directory: &Path) {
        self.end(serving).await;
        for _ in 0..1_000 {
            if Store::open(directory).is_ok() {
                return;
            }
            tokio::task::yield_now().await;
        }
        panic!("a question keeps the store open");
    }

    /// A store of another process.
    pub(crate) fn client(&self) -> Store {
        let near = Exchange::new(Network::simulated(&self.network), self.tasks.clone());
        let address = Address::Simulated(PLACE.into());
        let caller = near.caller("manager-1", "store", "control", address);
        Store::remote(caller, self.clock.clone(), &self.tasks)
    }
}
