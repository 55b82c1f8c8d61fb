//! What every engine must do. Each case runs over each engine, so that roles may
//! take one for the other.

mod leases;
mod stage;

use std::future::Future;

use bytes::Bytes;
use model::{AccountId, Epoch, FunctionName, Now, Span, function::FunctionSettings};
use stage::check;
use store::{
    AccountLimits, Commit, Ended, Key, LeaseName, Op, Precondition, Prefix, ReadError, Revision,
    Store, TransactError, Transaction, TypedKey, Unacceptable, limits, schema,
};

fn account(number: u64) -> AccountId {
    AccountId::parse(&format!("{number:012}")).unwrap()
}

fn key(number: u64) -> TypedKey<AccountLimits> {
    schema::account_limits(account(number))
}

fn limit(concurrency: u32) -> AccountLimits {
    AccountLimits { concurrency }
}

fn put(number: u64, concurrency: u32) -> Transaction {
    Transaction::new().put(&key(number), &limit(concurrency)).unwrap()
}

fn name(text: &str) -> LeaseName {
    LeaseName::parse(text).unwrap()
}

#[test]
fn what_is_put_is_found_until_it_is_deleted() {
    check(async |store| {
        assert_eq!(store.read(&key(1)).await.unwrap(), None);
        let first = store.transact(put(1, 7)).await.unwrap();
        let found = store.read(&key(1)).await.unwrap().unwrap();
        assert_eq!((found.value, found.revision), (limit(7), first));
        let second = store.transact(put(1, 8)).await.unwrap();
        assert_eq!(second, Revision(first.0 + 1));
        assert_eq!(store.read(&key(1)).await.unwrap().unwrap().value, limit(8));
        store.transact(Transaction::new().delete(&key(1))).await.unwrap();
        assert_eq!(store.read(&key(1)).await.unwrap(), None);
    });
}

#[test]
fn a_transaction_that_changes_nothing_has_no_revision_of_its_own() {
    check(async |store| {
        let before = store.transact(put(1, 7)).await.unwrap();
        let gone = Transaction::new().delete(&key(2));
        assert_eq!(store.transact(gone).await.unwrap(), before);
        assert_eq!(store.transact(Transaction::new()).await.unwrap(), before);
    });
}

#[test]
fn all_preconditions_hold_or_nothing_happens() {
    check(async |store| {
        let revision = store.transact(put(1, 1)).await.unwrap();
        let late = Revision(revision.0 + 1);
        let refused = [
            (put(2, 2).require_absent(&key(1)), 1),
            (put(2, 2).require_exists(&key(2)), 2),
            (put(2, 2).require_version(&key(1), late), 1),
            (put(2, 2).require_version(&key(3), revision), 3),
            (put(2, 2).require_exists(&key(1)).require_exists(&key(9)), 9),
        ];
        for (transaction, at) in refused {
            match store.transact(transaction).await {
                Err(TransactError::Conflict { key: found }) => assert_eq!(&found, key(at).key()),
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(store.read(&key(2)).await.unwrap(), None);
        let granted = put(2, 2)
            .require_exists(&key(1))
            .require_absent(&key(2))
            .require_version(&key(1), revision);
        assert_eq!(store.transact(granted).await.unwrap(), late);
    });
}

#[test]
fn of_writers_that_read_the_same_one_wins() {
    check(async |store| {
        let revision = store.transact(put(1, 0)).await.unwrap();
        let mut racers = tokio::task::JoinSet::new();
        let local = tokio::task::LocalSet::new();
        local
            .run_until(async {
                for racer in 0..16 {
                    let transaction = put(1, racer).require_version(&key(1), revision);
                    let store = store.clone();
                    racers.spawn_local(async move { store.transact(transaction).await.is_ok() });
                }
                let won = racers.join_all().await.into_iter().filter(|won| *won).count();
                assert_eq!(won, 1);
            })
            .await;
    });
}

#[test]
fn what_no_engine_takes_is_refused() {
    check(async |store| {
        let twice = put(1, 1).put(&key(1), &limit(2)).unwrap();
        let refusal = store.transact(twice).await.unwrap_err();
        assert!(
            matches!(refusal, TransactError::Unacceptable(Unacceptable::TwoOps { .. })),
            "{refusal:?}"
        );
        let large = Bytes::from(vec![0; limits::VALUE_BYTES_MAX + 1]);
        let large =
            Transaction { preconditions: Vec::new(), ops: vec![Op::Put(key(1).into_key(), large)] };
        let refusal = store.transact(large).await.unwrap_err();
        assert!(
            matches!(refusal, TransactError::Unacceptable(Unacceptable::ValueTooLarge { .. })),
            "{refusal:?}"
        );
        let condition = Precondition::Absent(key(1).into_key());
        let many = vec![condition; limits::TRANSACTION_PARTS_MAX + 1];
        let refusal =
            store.transact(Transaction { preconditions: many, ops: Vec::new() }).await.unwrap_err();
        assert!(
            matches!(refusal, TransactError::Unacceptable(Unacceptable::TooManyParts { .. })),
            "{refusal:?}"
        );
        let mut heavy = put_bytes(1, limits::VALUE_BYTES_MAX);
        for number in 2..=3 {
            heavy.ops.extend(put_bytes(number, limits::VALUE_BYTES_MAX).ops);
        }
        let refusal = store.transact(heavy).await.unwrap_err();
        assert!(
            matches!(refusal, TransactError::Unacceptable(Unacceptable::TooLarge { .. })),
            "{refusal:?}"
        );
        assert_eq!(store.read(&key(1)).await.unwrap(), None);
    });
}

#[test]
fn a_record_that_cannot_be_read_names_its_key() {
    check(async |store| {
        let foreign = Op::Put(key(1).into_key(), Bytes::from_static(b"9 {}"));
        let transaction = Transaction { preconditions: Vec::new(), ops: vec![foreign] };
        store.transact(transaction).await.unwrap();
        match store.read(&key(1)).await {
            Err(ReadError::Record { key: found, source }) => {
                assert_eq!(&found, key(1).key());
                assert!(source.to_string().contains("format 9"), "{source}");
            }
            other => panic!("{other:?}"),
        }
    });
}

#[test]
fn pages_follow_one_another_in_order() {
    check(async |store| {
        let names: Vec<_> = (0..25).map(|n| format!("f{n:02}")).collect();
        for name in &names {
            let key = schema::function_settings(account(1), &FunctionName::parse(name).unwrap());
            let transaction = Transaction::new().put(&key, &FunctionSettings::default());
            store.transact(transaction.unwrap()).await.unwrap();
        }
        // Neighbours on both sides that are not of the account.
        for other in [account(0), account(2)] {
            let key = schema::function_settings(other, &FunctionName::parse("x").unwrap());
            let transaction = Transaction::new().put(&key, &FunctionSettings::default());
            store.transact(transaction.unwrap()).await.unwrap();
        }
        let prefix = schema::functions_settings(account(1));
        let (mut after, mut sizes, mut found) = (None, Vec::new(), Vec::new());
        loop {
            let page = store.read_page(&prefix, after.as_ref(), 10).await.unwrap();
            assert_eq!(page.revision, Revision(27));
            sizes.push(page.found.len());
            found.extend(page.found.into_iter().map(|(key, _)| key));
            match page.next {
                Some(next) => after = Some(next),
                None => break,
            }
        }
        let expected = names.iter().map(|name| FunctionName::parse(name).unwrap());
        let expected: Vec<Key> =
            expected.map(|name| schema::function_settings(account(1), &name).into_key()).collect();
        assert_eq!(found, expected);
        assert_eq!(sizes, [10, 10, 5]);
        let whole = store.read_page(&prefix, None, 25).await.unwrap();
        assert_eq!((whole.found.len(), whole.next), (25, None));
    });
}

fn put_bytes(number: u64, bytes: usize) -> Transaction {
    let op = Op::Put(key(number).into_key(), Bytes::from(vec![b'x'; bytes]));
    Transaction { preconditions: Vec::new(), ops: vec![op] }
}

#[test]
fn pages_are_bounded_in_bytes_and_many_are_read_as_one_list() {
    check(async |store| {
        let count = (limits::PAGE_BYTES_MAX / limits::VALUE_BYTES_MAX) as u64 + 2;
        for number in 0..count {
            store.transact(put_bytes(number, limits::VALUE_BYTES_MAX)).await.unwrap();
        }
        let prefix = schema::accounts();
        let first = store.list(prefix.prefix(), None, 100).await.unwrap();
        assert_eq!((first.entries.len() as u64, first.more), (count - 2, true));
        let after = first.entries.last().map(|entry| &entry.key);
        let rest = store.list(prefix.prefix(), after, 100).await.unwrap();
        assert_eq!((rest.entries.len(), rest.more), (2, false));
        for number in 0..count {
            let padded = format!("1 {{\"concurrency\":7}}{}", " ".repeat(400_000));
            let op = Op::Put(key(number).into_key(), Bytes::from(padded));
            let transaction = Transaction { preconditions: Vec::new(), ops: vec![op] };
            store.transact(transaction).await.unwrap();
        }
        for (wanted, there) in [(count - 1, count - 1), (count + 9, count)] {
            let found = store.read_first(&prefix, None, wanted as usize).await.unwrap();
            let keys: Vec<_> = found.into_iter().map(|(key, _)| key).collect();
            assert_eq!(keys, (0..there).map(|n| key(n).into_key()).collect::<Vec<_>>());
        }
    });
}

#[test]
fn a_watch_sees_each_commit_under_its_prefix_whole_and_in_order() {
    check(async |store| {
        let from = store.transact(put(1, 1)).await.unwrap();
        let before = store.transact(put(2, 2)).await.unwrap();
        let mut watch = store.watch(schema::accounts().prefix().clone(), from);
        let lease = store.grant(&name("not-watched"), "me", Span::secs(1), Now(0)).await.unwrap();
        let both = put(3, 3).delete(&key(1)).require(lease.fence());
        let after = store.transact(both).await.unwrap();
        store.transact(put(4, 4).require_exists(&key(1))).await.unwrap_err();
        let summary = |commit: Commit| {
            let changes = commit.changes.into_iter();
            (commit.revision, changes.map(|c| (c.key, c.value.is_some())).collect::<Vec<_>>())
        };
        let expected = (before, vec![(key(2).into_key(), true)]);
        assert_eq!(summary(watch.next().await.unwrap()), expected);
        let expected = (after, vec![(key(3).into_key(), true), (key(1).into_key(), false)]);
        assert_eq!(summary(watch.next().await.unwrap()), expected);
        assert_eq!(watch.try_next(), Ok(None));
        drop(store);
        assert_eq!(watch.next().await, Err(Ended::Closed));
    });
}

#[test]
fn a_slow_watch_is_told_that_it_lagged_after_what_it_can_have() {
    check(async |store| {
        let mut watch = store.watch(Prefix::all(), Revision(0));
        for n in 0..=limits::WATCH_QUEUE_MAX as u32 {
            store.transact(put(1, n)).await.unwrap();
        }
        // Until all of it has come to this process.
        let mut last = store.watch(Prefix::all(), Revision(limits::WATCH_QUEUE_MAX as u64));
        last.next().await.unwrap();
        for n in 0..limits::WATCH_QUEUE_MAX as u64 {
            assert_eq!(watch.next().await.unwrap().revision, Revision(n + 1));
        }
        assert_eq!(watch.try_next(), Err(Ended::Lagged));
        assert_eq!(watch.next().await, Err(Ended::Lagged));
    });
}

#[test]
fn a_watch_from_before_what_is_kept_is_told_to_list() {
    let runtime = stage::executor(false);
    runtime.block_on(async {
        let store = Store::memory();
        for n in 0..=limits::COMMITS_KEPT_MAX as u32 {
            store.transact(put(1, n)).await.unwrap();
        }
        let mut old = store.watch(Prefix::all(), Revision(0));
        assert_eq!(old.next().await, Err(Ended::Lagged));
        let mut oldest_kept = store.watch(Prefix::all(), Revision(1));
        assert_eq!(oldest_kept.next().await.unwrap().revision, Revision(2));
    });
}

#[test]
fn watches_have_a_limit_and_a_dropped_one_makes_room() {
    check(async |store| {
        let watch = || store.watch(Prefix::all(), Revision(0));
        let mut open: Vec<_> = (0..limits::WATCHES_MAX).map(|_| watch()).collect();
        assert_eq!(watch().next().await, Err(Ended::TooManyWatches));
        open.pop();
        assert_eq!(watch().try_next(), Ok(None));
    });
}

#[test]
fn a_caller_that_goes_away_does_not_undo_its_transaction() {
    check(async |store| {
        let mut gone = Box::pin(store.transact(put(1, 1)));
        // Polled once, so that it is on its way, and dropped.
        std::future::poll_fn(|context| {
            let _ = gone.as_mut().poll(context);
            std::task::Poll::Ready(())
        })
        .await;
        drop(gone);
        assert_eq!(store.transact(put(2, 2)).await.unwrap(), Revision(2));
        assert_eq!(store.read(&key(1)).await.unwrap().unwrap().value, limit(1));
    });
}

#[test]
fn i6_epochs_and_revisions_survive_a_restart() {
    let runtime = stage::executor(false);
    let directory = tempfile::tempdir().unwrap();
    for life in 1..=3 {
        runtime.block_on(async {
            let store = Store::open(directory.path()).unwrap();
            let lease = store.grant(&name("x"), "a", Span::secs(60), Now(0)).await.unwrap();
            assert_eq!((lease.epoch, lease.revision), (Epoch(life), Revision(life * 2 - 1)));
            store.transact(put(1, 1)).await.unwrap();
            let mut watch = store.watch(Prefix::all(), Revision(life * 2 - 2));
            assert_eq!(watch.next().await.unwrap().revision, lease.revision);
            let mut before = store.watch(Prefix::all(), Revision(0));
            let ended = if life == 1 { Ok(lease.revision) } else { Err(Ended::Lagged) };
            assert_eq!(before.next().await.map(|commit| commit.revision), ended);
        });
    }
}
