//! Leases, over every engine: time passes for the one who asks and for the process that
//! has the store open alike.

use model::{Epoch, Now, Span};
use platform::Clock;
use store::{LeaseError, TransactError};

use super::{key, limit, name, put, stage::check_with_clock};

/// Waits until then, where it is not past.
async fn at(clock: &Clock, millis: u64) -> Now {
    clock.sleep_until(Now(0) + Span::millis(millis)).await;
    clock.now()
}

#[test]
fn i6_a_lease_is_held_by_one_and_its_epoch_only_grows() {
    check_with_clock(async |store, clock| {
        let (name, ttl) = (name("manager-1"), Span::secs(10));
        let first = store.grant(&name, "a", ttl, clock.now()).await.unwrap();
        assert_eq!(first.epoch, Epoch(1));
        let refused = store.grant(&name, "b", ttl, clock.now()).await;
        assert!(matches!(refused, Err(LeaseError::Held { ref holder, .. }) if holder == "a"));
        let first = store.renew(&first, ttl, at(&clock, 5_000).await).await.unwrap();
        store.grant(&name, "b", ttl, at(&clock, 14_990).await).await.unwrap_err();
        let second = store.grant(&name, "b", ttl, at(&clock, 15_010).await).await.unwrap();
        assert_eq!(second.epoch, Epoch(2));
        let late = store.renew(&first, ttl, clock.now()).await;
        assert!(matches!(late, Err(LeaseError::Lost { epoch: Epoch(1), .. })), "{late:?}");
        store.release(first).await;
        store.grant(&name, "c", ttl, clock.now()).await.unwrap_err();
        store.release(second).await;
        let third = store.grant(&name, "c", ttl, clock.now()).await.unwrap();
        assert_eq!(third.epoch, Epoch(3));
        let again = store.grant(&name, "c", ttl, clock.now()).await.unwrap();
        assert_eq!(again.epoch, Epoch(4));
        store.renew(&third, ttl, clock.now()).await.unwrap_err();
        store.renew(&again, ttl, clock.now()).await.unwrap();
    });
}

#[test]
fn a_lease_that_ran_out_is_lost_also_when_nobody_took_it() {
    check_with_clock(async |store, clock| {
        let ttl = Span::secs(1);
        let lease = store.grant(&name("x"), "a", ttl, clock.now()).await.unwrap();
        let late = store.renew(&lease, ttl, at(&clock, 1_010).await).await;
        assert!(matches!(late, Err(LeaseError::Lost { .. })), "{late:?}");
    });
}

#[test]
fn i6_a_late_holder_is_stopped_by_its_fence() {
    check_with_clock(async |store, clock| {
        let ttl = Span::secs(1);
        let old = store.grant(&name("x"), "a", ttl, clock.now()).await.unwrap();
        store.transact(put(1, 1).require(old.fence())).await.unwrap();
        let new = store.grant(&name("x"), "b", ttl, at(&clock, 2_000).await).await.unwrap();
        let late = store.transact(put(1, 2).require(old.fence())).await;
        assert!(matches!(late, Err(TransactError::Conflict { .. })), "{late:?}");
        store.transact(put(1, 3).require(new.fence())).await.unwrap();
        assert_eq!(store.read(&key(1)).await.unwrap().unwrap().value, limit(3));
    });
}
