//! Property: whatever is asked of the engines, all give the same answers. The memory
//! engine is small enough to be read as the model of the others.

use bytes::Bytes;
use model::AccountId;
use platform::{Clock, Tasks, transport};
use proptest::{collection::vec, prelude::*};
use store::{Key, Op, Precondition, Prefix, Revision, Store, Transaction, schema};

const KEYS: u64 = 6;

fn key() -> impl Strategy<Value = Key> {
    (0..KEYS).prop_map(|number| {
        let account = AccountId::parse(&format!("{number:012}")).unwrap();
        schema::account_limits(account).into_key()
    })
}

fn precondition() -> impl Strategy<Value = Precondition> {
    prop_oneof![
        key().prop_map(Precondition::Exists),
        key().prop_map(Precondition::Absent),
        (key(), 0..12_u64).prop_map(|(key, at)| Precondition::VersionIs(key, Revision(at))),
    ]
}

fn op() -> impl Strategy<Value = Op> {
    let value = vec(any::<u8>(), 0..8).prop_map(Bytes::from);
    prop_oneof![
        3 => (key(), value).prop_map(|(key, value)| Op::Put(key, value)),
        1 => key().prop_map(Op::Delete),
    ]
}

fn transaction() -> impl Strategy<Value = Transaction> {
    (vec(precondition(), 0..2), vec(op(), 0..4))
        .prop_map(|(preconditions, ops)| Transaction { preconditions, ops })
}

/// Everything that can be seen of a store from outside, step by step.
async fn seen(store: Store, transactions: &[Transaction]) -> Vec<String> {
    let mut watch = store.watch(Prefix::all(), Revision(0));
    let (mut seen, mut newest) = (Vec::new(), Revision(0));
    for transaction in transactions {
        let answer = store.transact(transaction.clone()).await;
        if let Some(revision) = answer.as_ref().ok().filter(|revision| **revision > newest) {
            newest = *revision;
            seen.push(format!("{:?}", watch.next().await));
        }
        seen.push(format!("{answer:?}"));
        let first = store.list(&Prefix::all(), None, 2).await.unwrap();
        let after = first.entries.last().map(|entry| entry.key.clone());
        let rest = store.list(&Prefix::all(), after.as_ref(), 100).await.unwrap();
        for entry in first.entries.iter().chain(&rest.entries) {
            assert_eq!(store.get(&entry.key).await.unwrap().as_ref(), Some(entry));
            seen.push(format!("{entry:?} = {:?}", entry.value));
        }
        seen.push(format!("{:?} {} {:?}", first.revision, first.more, watch.try_next()));
    }
    seen
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..Default::default() })]

    #[test]
    fn engines_agree(transactions in vec(transaction(), 1..16)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let directory = tempfile::tempdir().unwrap();
        let memory = runtime.block_on(seen(Store::memory(), &transactions));
        let sqlite = Store::open(directory.path()).unwrap();
        prop_assert_eq!(&memory, &runtime.block_on(seen(sqlite, &transactions)));
        let remote = runtime.block_on(async {
            let (clock, tasks) = (Clock::system(), Tasks::default());
            let (caller, inbox) = transport::in_process("store");
            store::serve(Store::memory(), clock.clone(), &tasks, inbox);
            let store = Store::remote(caller, clock, &tasks);
            // Its feed begins before the first transaction.
            store.list(&Prefix::all(), None, 1).await.unwrap();
            seen(store, &transactions).await
        });
        prop_assert_eq!(&memory, &remote);
    }
}
