//! Mutual TLS: members are served, everybody else is refused before the first frame.
//! Certificates are judged by the real clock, so time is real here.

use std::{sync::Arc, time::Duration};

use rustls::{
    ClientConfig, RootCertStore,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
};
use tokio::{io::AsyncReadExt, net::TcpStream, time::timeout};
use wire::frame::Hello;

use super::*;
use crate::{
    Clock,
    authority::{Authority, CERTIFICATE_DAYS, Credentials},
    transport::network::{Stream, greet, say},
};

const ONE_YEAR_MS: u64 = 365 * 86_400_000;

fn authority() -> Authority {
    let directory = tempfile::tempdir().unwrap();
    Authority::create(directory.path(), Clock::system().wall_ms()).unwrap();
    Authority::load(directory.path()).unwrap()
}

fn issue(authority: &Authority, members: &[&str]) -> Credentials {
    authority.issue(members, Clock::system().wall_ms(), CERTIFICATE_DAYS).unwrap()
}

fn expired(authority: &Authority, member: &str) -> Credentials {
    let then = Clock::system().wall_ms() - 2 * ONE_YEAR_MS;
    authority.issue(&[member], then, 300).unwrap()
}

fn exchange(credentials: &Credentials) -> Exchange {
    let identity = Identity::new(credentials).unwrap();
    Exchange::new(Network::secured(identity), Tasks::default())
}

/// `worker-3`, serving with these credentials.
async fn serve(credentials: &Credentials) -> (Address, TestInbox, Peers) {
    let exchange = exchange(credentials);
    let (here, inbox) = in_process("worker");
    let peers = exchange.register("worker-3", &here, |from| from != "manager-9").unwrap();
    let address = exchange.listen(&"tcp://127.0.0.1:0".parse().unwrap()).await.unwrap();
    (address, inbox, peers)
}

#[tokio::test]
async fn members_play_as_everywhere() {
    let authority = authority();
    let (address, inbox, _) = serve(&issue(&authority, &["worker-4", "worker-3"])).await;
    let near = exchange(&issue(&authority, &["frontend-1", "manager-2"]));
    play(near.caller("manager-2", "worker", "worker-3", address), inbox).await;
}

/// Calls with the credentials; nothing of it may arrive.
async fn is_refused(server: &Credentials, client: &Credentials, from: &str) {
    let (address, mut inbox, mut peers) = serve(server).await;
    let caller: TestCaller = exchange(client).caller(from, "worker", "worker-3", address);
    assert_eq!(caller.call("x".into()).await, Err(Unreachable("worker")), "{from}");
    assert!(inbox.try_next().is_none() && peers.now().is_empty());
}

#[tokio::test]
async fn strangers_and_the_expired_are_refused_by_either_end() {
    let (authority, other) = (authority(), authority());
    let good = issue(&authority, &["worker-3"]);
    is_refused(&good, &issue(&other, &["manager-2"]), "manager-2").await;
    is_refused(&issue(&other, &["worker-3"]), &issue(&authority, &["manager-2"]), "manager-2")
        .await;
    // Trusts the right authority, and is not of it.
    let mut mixed = issue(&other, &["manager-2"]);
    mixed.authority.clone_from(&good.authority);
    is_refused(&good, &mixed, "manager-2").await;
    is_refused(&good, &expired(&authority, "manager-2"), "manager-2").await;
    is_refused(&expired(&authority, "worker-3"), &issue(&authority, &["manager-2"]), "manager-2")
        .await;
}

#[tokio::test]
async fn a_member_cannot_pass_for_another() {
    let authority = authority();
    let good = issue(&authority, &["worker-3"]);
    is_refused(&good, &issue(&authority, &["manager-2"]), "manager-1").await;
    is_refused(&issue(&authority, &["worker-4"]), &issue(&authority, &["manager-2"]), "manager-2")
        .await;
    // The role's own rule comes after the certificate.
    is_refused(&good, &issue(&authority, &["manager-9"]), "manager-9").await;
    assert!(authority.issue(&["*"], 0, 1).is_err() && authority.issue(&[], 0, 1).is_err());
}

fn hello() -> Hello {
    Hello { from: "manager-2".into(), to: "worker-3".into() }
}

fn socket(address: &Address) -> String {
    address.to_string().trim_start_matches("tcp://").to_owned()
}

/// Whether the server hangs up without a word of ours.
async fn hears_nothing(mut stream: Stream) {
    let _ = say(&mut stream, &hello().to_frame()).await;
    let mut answer = Vec::new();
    let _ = timeout(Duration::from_secs(4), stream.read_to_end(&mut answer)).await.unwrap();
    // An alert of TLS at most.
    assert!(answer.len() < 10, "{answer:?}");
}

#[tokio::test]
async fn without_a_certificate_nothing_is_read() {
    let authority = authority();
    let credentials = issue(&authority, &["worker-3"]);
    let (address, mut inbox, mut peers) = serve(&credentials).await;
    // No TLS at all.
    let plain = TcpStream::connect(socket(&address)).await.unwrap();
    hears_nothing(Box::new(plain)).await;
    // TLS without a certificate.
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(credentials.authority.as_bytes()).unwrap()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from("worker-3.member.lambent.internal").unwrap();
    let stream = TcpStream::connect(socket(&address)).await.unwrap();
    let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
    let mut stream: Stream = Box::new(connector.connect(name, stream).await.unwrap());
    assert!(greet(&mut stream, &hello()).await.is_err());
    assert!(inbox.try_next().is_none() && peers.now().is_empty());
}

#[tokio::test]
async fn a_plain_end_does_not_speak_with_a_secured_one() {
    let authority = authority();
    let (address, mut inbox, _) = serve(&issue(&authority, &["worker-3"])).await;
    let plain = Exchange::new(Network::plain(), Tasks::default());
    let caller: TestCaller = plain.caller("manager-2", "worker", "worker-3", address);
    assert_eq!(caller.call("x".into()).await, Err(Unreachable("worker")));
    assert!(inbox.try_next().is_none());
}
