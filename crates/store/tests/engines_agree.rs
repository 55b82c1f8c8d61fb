//! Property: whatever is asked of the engines, both give the same answers. The
//! memory engine is small enough to be read as the model of the other.

use bytes::Bytes;
use model::AccountId;
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
    let mut seen = Vec::new();
    for transaction in transactions {
        seen.push(format!("{:?}", store.transact(transaction.clone()).await));
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
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let directory = tempfile::tempdir().unwrap();
        let memory = runtime.block_on(seen(Store::memory(), &transactions));
        let sqlite = Store::open(directory.path()).unwrap();
        prop_assert_eq!(memory, runtime.block_on(seen(sqlite, &transactions)));
    }
}
