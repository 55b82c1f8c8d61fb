//! Leases of holders in several processes: one authority grants them, also over its
//! restart.

use model::{Epoch, Now, Span};
use store::{LeaseError, LeaseName, Store};

use crate::stage::{self, Stage};

const TTL: Span = Span::secs(10);

fn name() -> LeaseName {
    LeaseName::parse("ring").unwrap()
}

#[tokio::test(start_paused = true)]
async fn i6_of_holders_in_several_processes_one_holds() {
    let stage = Stage::new();
    let authority = Store::memory();
    stage.open(authority.clone()).await;
    let (one, two) = (stage.client(), stage.client());
    let now = || stage.clock.now();
    let first = one.grant(&name(), "one", TTL, now()).await.unwrap();
    for store in [&two, &authority] {
        let refused = store.grant(&name(), "two", TTL, now()).await.unwrap_err();
        assert!(matches!(&refused, LeaseError::Held { holder, .. } if holder == "one"));
    }
    one.release(first).await;
    let second = two.grant(&name(), "two", TTL, now()).await.unwrap();
    assert_eq!(second.epoch, Epoch(2));
    one.grant(&name(), "one", TTL, now()).await.unwrap_err();
    // Whoever cannot renew counts on it no longer than the others wait.
    stage.network.silence(stage::PLACE);
    let late = two.renew(&second, TTL, now()).await.unwrap_err();
    assert!(matches!(late, LeaseError::Unreachable { .. }), "{late}");
    stage.network.cut(stage::PLACE);
    stage.clock.sleep_until(Now(second.until.0 - 500_000)).await;
    let held = one.grant(&name(), "one", TTL, now()).await.unwrap_err();
    assert!(matches!(held, LeaseError::Held { .. }), "{held}");
    stage.pass(1_000).await;
    assert_eq!(one.grant(&name(), "one", TTL, now()).await.unwrap().epoch, Epoch(3));
}

/// Time is real here: the embedded store has threads.
#[tokio::test]
async fn i6_a_holder_in_another_process_outlives_the_one_that_granted() {
    let directory = tempfile::tempdir().unwrap();
    let stage = Stage::new();
    let (one, two) = (stage.client(), stage.client());
    let now = || stage.clock.now();
    let hour = Span::secs(3_600);
    let serving = stage.open(Store::open(directory.path()).unwrap()).await;
    let lease = one.grant(&name(), "one", hour, now()).await.unwrap();
    stage.close(serving, directory.path()).await;

    let serving = stage.open(Store::open(directory.path()).unwrap()).await;
    let refused = two.grant(&name(), "two", TTL, now()).await.unwrap_err();
    assert!(matches!(&refused, LeaseError::Held { holder, .. } if holder == "one"), "{refused}");
    let foreign = store::Lease { holder: "two".into(), ..lease.clone() };
    two.renew(&foreign, TTL, now()).await.unwrap_err();
    let longer = Span::secs(7_200);
    let lease = one.renew(&lease, longer, now()).await.unwrap();
    assert!(lease.until <= now() + hour, "a renewal is no longer than the claim");
    two.grant(&name(), "two", TTL, now()).await.unwrap_err();
    one.release(lease.clone()).await;
    let taken = two.grant(&name(), "two", hour, now()).await.unwrap();
    assert_eq!(taken.epoch, Epoch(2));
    let late = one.renew(&lease, hour, now()).await.unwrap_err();
    assert!(matches!(late, LeaseError::Lost { .. }), "{late}");
    stage.close(serving, directory.path()).await;

    // A holder that comes back itself need not wait, nor be believed its old epoch.
    let authority = Store::open(directory.path()).unwrap();
    stage.open(authority).await;
    let again = two.grant(&name(), "two", hour, now()).await.unwrap();
    assert_eq!(again.epoch, Epoch(3));
    two.renew(&taken, hour, now()).await.unwrap_err();
}
