//! The engines that a case runs over: memory, the embedded one, and another process
//! that has one open, called in this process and over a network. Virtual time, but for
//! the embedded engine, whose threads are not seen by it.

use std::future::Future;

use model::Now;
use platform::{
    Clock, Tasks,
    transport::{self, Address, Exchange, Network, Simulated},
};
use store::{Store, StoreCaller};
use tokio::runtime::{Builder, Runtime};

pub(crate) fn executor(paused: bool) -> Runtime {
    Builder::new_current_thread().enable_all().start_paused(paused).build().unwrap()
}

/// Runs a case over every engine.
pub(crate) fn check<F: Future<Output = ()>>(case: impl Fn(Store) -> F) {
    let directory = tempfile::tempdir().unwrap();
    executor(false).block_on(case(Store::open(directory.path()).unwrap()));
    check_paused(|store, _| case(store));
}

/// As `check`; the clock is the one that all processes of the case go by.
pub(crate) fn check_with_clock<F: Future<Output = ()>>(case: impl Fn(Store, Clock) -> F) {
    let directory = tempfile::tempdir().unwrap();
    // Time that passes while its threads work is no harm here: it has no terms.
    let embedded = async {
        let store = Store::open(directory.path()).unwrap();
        case(store, Clock::simulated(0)).await;
    };
    executor(true).block_on(embedded);
    check_paused(case);
}

fn check_paused<F: Future<Output = ()>>(case: impl Fn(Store, Clock) -> F) {
    let run = |case: std::pin::Pin<&mut dyn Future<Output = ()>>| executor(true).block_on(case);
    run(std::pin::pin!(async { case(Store::memory(), Clock::simulated(0)).await }));
    run(std::pin::pin!(async {
        let (clock, tasks) = (Clock::simulated(0), Tasks::default());
        let served = serve_memory(&clock, &tasks);
        case(ready(Store::remote(served, clock.clone(), &tasks)).await, clock).await;
    }));
    run(std::pin::pin!(async {
        let (clock, tasks) = (Clock::simulated(0), Tasks::default());
        let network = Simulated::new();
        let exchange = || Exchange::new(Network::simulated(&network), tasks.clone());
        let (far, address) = (exchange(), Address::Simulated("host-1".into()));
        far.register("control", &serve_memory(&clock, &tasks), |_| true).unwrap();
        far.listen(&address).await.unwrap();
        let caller = exchange().caller("manager-1", "store", "control", address);
        case(ready(Store::remote(caller, clock.clone(), &tasks)).await, clock.clone()).await;
        assert!(clock.now() < Now(60_000_000), "the case waited for a term");
    }));
}

fn serve_memory(clock: &Clock, tasks: &Tasks) -> StoreCaller {
    let (caller, inbox) = transport::in_process("store");
    store::serve(Store::memory(), clock.clone(), tasks, inbox);
    caller
}

/// Once it is connected, and its feed has begun.
async fn ready(store: Store) -> Store {
    store.list(&store::Prefix::all(), None, 1).await.unwrap();
    store
}
