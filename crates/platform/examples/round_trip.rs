//! Measures a call from one process to another and back, beside the same call within
//! one process: `cargo run --release -p platform --example round_trip`. It asserts
//! nothing; figures are for people.
#![allow(clippy::disallowed_methods, reason = "it measures real time")]

use std::{
    path::Path,
    process::{Child, Command},
    time::{Duration, Instant},
};

use bytes::Bytes;
use platform::{
    Body, Caller, Clock, Inbox, Mail, TaskKind, Tasks,
    authority::{Authority, CERTIFICATE_DAYS, Credentials},
    transport::{Address, Contact, Exchange, Identity, Network, in_process},
};

type Asks = Caller<Vec<u64>, Vec<u64>, ()>;

const CALLS: usize = 20_000;
const AT_ONCE: usize = 64;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("a runtime");
    match arguments.get(1).map(String::as_str) {
        Some("serve") => runtime.block_on(serve(&arguments[2], Path::new(&arguments[3]))),
        _ => runtime.block_on(measure()),
    }
}

async fn answer(mut inbox: Inbox<Vec<u64>, Vec<u64>, ()>) {
    while let Some(mail) = inbox.next().await {
        if let Mail::Call(call) = mail {
            call.reply.send_with(call.message, call.body);
        }
    }
}

fn network(address: &str, keys: &Path, member: &str) -> Network {
    if !address.starts_with("tls") {
        return Network::plain();
    }
    let credentials = Credentials::load(keys, member).expect("credentials");
    Network::secured(Identity::new(&credentials).expect("an identity"))
}

fn parse(address: &str) -> Address {
    address.replace("tls://", "tcp://").parse().expect("an address")
}

async fn serve(address: &str, keys: &Path) {
    let exchange = Exchange::new(network(address, keys, "worker-3"), Tasks::default());
    let (here, inbox) = in_process("worker");
    exchange.register("worker-3", &here, |_| true).expect("a free name");
    exchange.listen(&parse(address)).await.expect("a free address");
    answer(inbox).await;
}

async fn measure() {
    let keys = tempfile::tempdir().expect("a directory");
    let now_ms = Clock::system().wall_ms();
    let authority = Authority::create(keys.path(), now_ms).expect("an authority");
    for member in ["worker-3", "manager-2"] {
        let issued = authority.issue(&[member], now_ms, CERTIFICATE_DAYS).expect("a certificate");
        issued.write(keys.path(), member).expect("files");
    }
    println!(
        "{:<12} {:>9} {:>9} {:>12} {:>14}",
        "", "p50 us", "p99 us", "64 at once/s", "1 MiB echo us"
    );
    let (here, inbox) = in_process("worker");
    Tasks::default().spawn(TaskKind::Role, "worker", answer(inbox));
    // Measured on a task, as roles are.
    report("in process", here).await;
    let unix = format!("unix://{}/socket", keys.path().display());
    for (name, address) in [
        ("unix", unix.as_str()),
        ("tcp", "tcp://127.0.0.1:47911"),
        ("tls", "tls://127.0.0.1:47912"),
    ] {
        let child = Server::start(address, keys.path());
        let network = network(address, keys.path(), "manager-2");
        let exchange = Exchange::new(network, Tasks::default());
        let caller: Asks = exchange.caller("manager-2", "worker", "worker-3", parse(address));
        assert_eq!(caller.contacts().next().await, Contact::Connected(1));
        report(name, caller).await;
        drop(child);
    }
}

async fn report(name: &str, caller: Asks) {
    let (sender, receiver) = tokio::sync::oneshot::channel();
    tokio::spawn(async move {
        one_by_one(&caller, CALLS / 4).await;
        let mut times = one_by_one(&caller, CALLS).await;
        times.sort();
        let busy = at_once(&caller).await;
        let mut large = echo(&caller, 200).await;
        large.sort();
        let _ = sender.send((times, busy, large));
    });
    let (times, busy, large) = receiver.await.expect("measured");
    let us = |times: &[Duration], share: f64| {
        times[(times.len() as f64 * share) as usize].as_nanos() as f64 / 1_000.0
    };
    let (p50, p99, large) = (us(&times, 0.5), us(&times, 0.99), us(&large, 0.5));
    println!("{name:<12} {p50:>9.1} {p99:>9.1} {busy:>12.0} {large:>14.0}");
}

async fn one_by_one(caller: &Asks, calls: usize) -> Vec<Duration> {
    let mut times = Vec::with_capacity(calls);
    for n in 0..calls {
        let began = Instant::now();
        caller.call(vec![n as u64; 16]).await.expect("an answer");
        times.push(began.elapsed());
    }
    times
}

async fn at_once(caller: &Asks) -> f64 {
    let began = Instant::now();
    let mut tasks = Vec::new();
    for _ in 0..AT_ONCE {
        let caller = caller.clone();
        tasks.push(tokio::spawn(async move { one_by_one(&caller, CALLS / 16).await }));
    }
    for task in tasks {
        task.await.expect("a task");
    }
    (AT_ONCE * (CALLS / 16)) as f64 / began.elapsed().as_secs_f64()
}

async fn echo(caller: &Asks, calls: usize) -> Vec<Duration> {
    let sent = Bytes::from(vec![7; 1 << 20]);
    let mut times = Vec::new();
    for _ in 0..calls {
        let began = Instant::now();
        let body = Body::Whole(sent.clone());
        let (_, body) = caller.call_with(Vec::new(), body).await.expect("an answer");
        body.collect(1 << 20).await.expect("a body");
        times.push(began.elapsed());
    }
    times
}

struct Server(Child);

impl Server {
    fn start(address: &str, keys: &Path) -> Server {
        let program = std::env::current_exe().expect("this program");
        let child = Command::new(program).arg("serve").arg(address).arg(keys).spawn();
        Server(child.expect("a process"))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
