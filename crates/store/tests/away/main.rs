//! What a store of another process does when that process, or the way to it, is away:
//! calls fail in time and say what they know; whoever follows misses nothing.

mod leases;
mod stage;

use std::collections::BTreeMap;

use bytes::Bytes;
use model::Now;
use platform::{Call, Mail, transport};
use stage::{Stage, key, put, revisions};
use store::{
    Followed, Op, Prefix, ReadError, Revision, Store, TransactError, Transaction,
    limits::{ANSWER_TTL, COMMITS_KEPT_MAX, VALUE_BYTES_MAX},
};
use wire::store::StoreCall;

#[tokio::test(start_paused = true)]
async fn without_a_way_everything_fails_in_time_and_nothing_happened() {
    let stage = Stage::new();
    let store = stage.client();
    let read = store.get(key(1).key()).await.unwrap_err();
    assert!(matches!(read, ReadError::Unreachable { .. }), "{read}");
    let list = store.list(&Prefix::all(), None, 1).await.unwrap_err();
    assert!(matches!(list, ReadError::Unreachable { .. }), "{list}");
    let written = store.transact(put(1, 1)).await.unwrap_err();
    assert!(matches!(written, TransactError::Unreachable), "{written}");
    assert!(stage.clock.now() <= Now(0) + ANSWER_TTL + ANSWER_TTL + ANSWER_TTL);
    // The control run: with a way the same store answers.
    stage.open(Store::memory()).await;
    store.transact(put(1, 1)).await.unwrap();
    assert!(store.get(key(1).key()).await.unwrap().is_some());
}

#[tokio::test(start_paused = true)]
async fn a_short_absence_is_waited_for() {
    let stage = Stage::new();
    let store = stage.client();
    let late = async {
        stage.pass(1_000).await;
        stage.open(Store::memory()).await;
    };
    let (written, ()) = tokio::join!(store.transact(put(1, 1)), late);
    assert_eq!(written.unwrap(), Revision(1));
}

#[tokio::test(start_paused = true)]
async fn a_silent_way_is_given_up_in_time() {
    let stage = Stage::new();
    stage.open(Store::memory()).await;
    let store = stage.client();
    store.transact(put(1, 1)).await.unwrap();
    stage.network.silence(stage::PLACE);
    let before = stage.clock.now();
    let written = store.transact(put(1, 2)).await.unwrap_err();
    assert!(matches!(written, TransactError::Uncertain { .. }), "{written}");
    let read = store.get(key(1).key()).await.unwrap_err();
    assert!(matches!(read, ReadError::Unreachable { .. }), "{read}");
    assert!(stage.clock.now() <= before + ANSWER_TTL + ANSWER_TTL);
}

/// A transaction whose answer is lost is not sent again, and not called a failure.
#[tokio::test(start_paused = true)]
async fn a_transaction_under_way_when_the_way_breaks_is_uncertain() {
    let stage = Stage::new();
    let (caller, mut inbox) = transport::in_process("store");
    stage.open_inbox(&caller).await;
    let store = stage.client();
    let break_off = async {
        loop {
            let Some(Mail::Call(Call { message, reply, .. })) = inbox.next().await else {
                panic!("a note")
            };
            match message {
                StoreCall::Transact { .. } => break stage.network.cut(stage::PLACE),
                StoreCall::Changes { .. } => drop(reply),
                other @ (StoreCall::Get { .. }
                | StoreCall::List { .. }
                | StoreCall::Lease { .. }) => panic!("{other:?}"),
            }
        }
        // Nothing but questions for changes comes after it.
        stage.pass(1_000).await;
        while let Some(mail) = inbox.try_next() {
            let Mail::Call(call) = mail else { panic!("a note") };
            assert!(matches!(call.message, StoreCall::Changes { .. }), "{:?}", call.message);
        }
    };
    let (written, ()) = tokio::join!(store.transact(put(1, 1)), break_off);
    let written = written.unwrap_err();
    assert!(matches!(written, TransactError::Uncertain { .. }), "{written}");
}

/// Whatever breaks, and whenever: one listing, then every revision once, in order.
#[tokio::test(start_paused = true)]
async fn whoever_follows_misses_nothing_over_cuts() {
    for seed in 0..40 {
        let stage = Stage::new();
        let authority = Store::memory();
        stage.open(authority.clone()).await;
        let store = stage.client();
        let mut follow = store.follow(Prefix::all());
        assert!(matches!(follow.next().await.unwrap(), Followed::All(all) if all.is_empty()));
        let entropy = platform::Entropy::seeded(seed);
        for step in 0..60 {
            match entropy.u64() % 8 {
                0 => stage.network.cut(stage::PLACE),
                1 => stage.network.silence(stage::PLACE),
                2 => stage.pass(entropy.u64() % 3_000).await,
                3 => drop(store.transact(put(entropy.u64() % 5, step)).await),
                4 => {
                    let gone = Transaction::new().delete(&key(entropy.u64() % 5));
                    authority.transact(gone).await.unwrap();
                }
                _ => drop(authority.transact(put(entropy.u64() % 5, step)).await.unwrap()),
            }
        }
        stage.network.cut(stage::PLACE);
        let last = authority.transact(put(9, 9)).await.unwrap();
        let (seen, copy) = revisions(&mut follow, last).await;
        assert_eq!(seen, (1..=last.0).collect::<Vec<_>>(), "seed {seed}");
        let page = authority.list(&Prefix::all(), None, 100).await.unwrap();
        let there: BTreeMap<_, _> = page.entries.into_iter().map(|e| (e.key, e.value)).collect();
        assert_eq!(copy, there, "seed {seed}");
    }
}

#[tokio::test(start_paused = true)]
async fn who_was_away_for_longer_than_commits_are_kept_is_told_everything_anew() {
    let stage = Stage::new();
    let authority = Store::memory();
    stage.open(authority.clone()).await;
    let store = stage.client();
    let mut follow = store.follow(Prefix::all());
    follow.next().await.unwrap();
    authority.transact(put(1, 1)).await.unwrap();
    assert!(matches!(follow.next().await.unwrap(), Followed::Commit(_)));
    stage.network.silence(stage::PLACE);
    for count in 0..=COMMITS_KEPT_MAX as u32 + 1 {
        authority.transact(put(2, count)).await.unwrap();
    }
    stage.network.cut(stage::PLACE);
    let Followed::All(all) = follow.next().await.unwrap() else { panic!("a commit") };
    assert_eq!(all.len(), 2);
    let last = authority.transact(put(3, 3)).await.unwrap();
    let (seen, _) = revisions(&mut follow, last).await;
    assert_eq!(seen, [last.0]);
}

#[tokio::test(start_paused = true)]
async fn much_that_was_missed_comes_in_messages_that_fit() {
    let stage = Stage::new();
    let authority = Store::memory();
    stage.open(authority.clone()).await;
    let store = stage.client();
    let mut follow = store.follow(Prefix::all());
    follow.next().await.unwrap();
    stage.network.silence(stage::PLACE);
    let mut last = Revision(0);
    for _ in 0..20 {
        let large = Bytes::from(vec![b'x'; VALUE_BYTES_MAX]);
        let op = Op::Put(key(1).into_key(), large);
        let transaction = Transaction { preconditions: Vec::new(), ops: vec![op] };
        last = authority.transact(transaction).await.unwrap();
    }
    stage.network.cut(stage::PLACE);
    let (seen, _) = revisions(&mut follow, last).await;
    assert_eq!(seen, (1..=20).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn whoever_follows_waits_for_the_other_process_to_start() {
    let stage = Stage::new();
    let store = stage.client();
    let mut follow = store.follow(Prefix::all());
    let start = async {
        stage.pass(120_000).await;
        let authority = Store::memory();
        authority.transact(put(1, 1)).await.unwrap();
        stage.open(authority).await;
    };
    let (followed, ()) = tokio::join!(follow.next(), start);
    assert!(matches!(followed.unwrap(), Followed::All(all) if all.len() == 1));
}

/// The other process ends and starts again on the same file; time is real here.
#[tokio::test]
async fn a_restart_of_the_other_process_is_no_gap() {
    let directory = tempfile::tempdir().unwrap();
    let stage = Stage::new();
    let store = stage.client();
    let mut follow = store.follow(Prefix::all());
    let mut expected = 1;
    for life in 0..3 {
        let authority = Store::open(directory.path()).unwrap();
        // Before anybody can reach it.
        authority.transact(put(1, life)).await.unwrap();
        let serving = stage.open(authority).await;
        if life == 0 {
            expected = stage::begin(&store, &mut follow).await.0 + 1;
        }
        let last = store.transact(put(2, life)).await.unwrap();
        let (seen, _) = revisions(&mut follow, last).await;
        assert_eq!(seen, (expected..=last.0).collect::<Vec<_>>(), "life {life}");
        expected = last.0 + 1;
        stage.close(serving, directory.path()).await;
    }
}

/// A backup is put back while others go on: what they know is of a history that is
/// gone, also where the revisions overlap.
#[tokio::test(start_paused = true)]
async fn another_history_is_told_anew() {
    let stage = Stage::new();
    let authority = Store::memory();
    let serving = stage.open(authority.clone()).await;
    let store = stage.client();
    for count in 0..5 {
        authority.transact(put(1, count)).await.unwrap();
    }
    let mut follow = store.follow(Prefix::all());
    follow.next().await.unwrap();
    authority.transact(put(1, 9)).await.unwrap();
    follow.next().await.unwrap();
    stage.end(serving).await;
    let other = Store::memory();
    for count in 0..7 {
        other.transact(put(2, count)).await.unwrap();
    }
    stage.open(other).await;
    let Followed::All(all) = follow.next().await.unwrap() else { panic!("a commit") };
    let keys: Vec<_> = all.into_iter().map(|entry| entry.key).collect();
    assert_eq!(keys, [key(2).into_key()]);
}
