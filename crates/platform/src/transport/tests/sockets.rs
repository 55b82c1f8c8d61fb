//! The same play over sockets of the host, without certificates. Time is real here,
//! and nothing depends on it.

use super::*;

async fn play_at(address: &str) -> Address {
    let exchange = Exchange::new(Network::plain(), Tasks::default());
    let (here, inbox) = in_process("worker");
    exchange.register("worker-3", &here, |_| true).unwrap();
    let address = exchange.listen(&address.parse().unwrap()).await.unwrap();
    let caller = exchange.caller("manager-2", "worker", "worker-3", address.clone());
    play(caller, inbox).await;
    address
}

#[tokio::test]
async fn over_a_unix_socket() {
    let directory = tempfile::tempdir().unwrap();
    let address = format!("unix://{}/socket", directory.path().display());
    play_at(&address).await;
    // Its process ended with the test's exchange; what it left is replaced.
    let exchange = Exchange::new(Network::plain(), Tasks::default());
    assert!(exchange.listen(&address.parse().unwrap()).await.is_err(), "somebody listens");
}

#[tokio::test]
async fn over_loopback_tcp() {
    let address = play_at("tcp://127.0.0.1:0").await;
    assert_ne!(address, "tcp://127.0.0.1:0".parse().unwrap());
}

#[tokio::test]
async fn without_certificates_only_loopback_is_served_and_called() {
    let exchange = Exchange::new(Network::plain(), Tasks::default());
    let open = "tcp://0.0.0.0:0".parse().unwrap();
    let refused = exchange.listen(&open).await.unwrap_err().to_string();
    assert!(refused.contains("without a certificate"), "{refused}");
    let far = "tcp://192.0.2.1:9".parse().unwrap();
    let caller: TestCaller = exchange.caller("manager-2", "worker", "worker-3", far);
    assert_eq!(caller.call("x".into()).await, Err(Unreachable("worker")));
}
