//! Connections that break, fall silent, come back or never come: every wait has its
//! end, and nothing is sent twice.

use std::time::Duration;

use tokio::time::{Instant, timeout};

use super::*;
use crate::limits::{DIAL_TTL, REDIAL_MAX, SILENCE, SILENCES_MAX};

#[tokio::test(start_paused = true)]
async fn i8_a_call_on_a_broken_connection_fails_and_is_not_sent_again() {
    let mut stage = stage().await;
    let caller = stage.caller();
    let (sender, body) = Body::channel();
    let pending = caller.send("once".into(), body).await.unwrap();
    let call = call_of(stage.inbox.next().await);
    stage.network.cut(PLACE);
    assert_eq!(pending.await.unwrap_err(), Unreachable("worker"));
    // The body breaks at both ends, and an offer comes back.
    sender.closed().await;
    assert!(call.body.collect(10).await.is_err());
    assert_eq!(call.reply.offer("lease".into()), Err("lease".into()));

    start(echo(stage.inbox));
    assert_eq!(caller.call("again".into()).await.unwrap(), "again");
    assert_eq!(caller.call("notes".into()).await.unwrap(), "0");
}

#[tokio::test(start_paused = true)]
async fn every_connection_is_told_anew() {
    let mut stage = stage().await;
    let caller = stage.caller();
    let mut contacts = caller.contacts();
    for number in 1..=3 {
        // Without a call: whoever wants to know contacts wants the connection.
        assert_eq!(contacts.next().await, Contact::Connected(number));
        while stage.peers.now().get("manager-2").is_none_or(|newest| *newest < number) {
            stage.peers.changed().await;
        }
        assert!(timeout(Duration::from_secs(60), caller.broken()).await.is_err());
        stage.network.cut(PLACE);
        caller.broken().await;
        assert_eq!(contacts.next().await, Contact::Lost);
    }
    drop(caller);
    while !stage.peers.now().is_empty() {
        stage.peers.changed().await;
    }
    let mut here = in_process::<(), (), ()>("worker").0.contacts();
    assert_eq!(here.next().await, Contact::Connected(1));
    assert!(timeout(Duration::from_secs(3_600), here.next()).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn without_a_way_calls_fail_in_time_and_succeed_once_there_is_one() {
    let tasks = Tasks::default();
    let network = Simulated::new();
    let exchange = Exchange::new(Network::simulated(&network), tasks);
    let caller: TestCaller = exchange.caller("manager-2", "worker", "worker-3", address());
    let began = Instant::now();
    assert_eq!(caller.try_note(1), Err(1));
    for _ in 0..10 {
        assert_eq!(caller.call("x".into()).await, Err(Unreachable("worker")));
        assert_eq!(caller.note(1).await, Err(Unreachable("worker")));
    }
    assert!(began.elapsed() < DIAL_TTL.to_std(), "refused attempts are quick");

    // Nobody asks for a while; then somebody listens.
    tokio::time::sleep(REDIAL_MAX.to_std() * 5).await;
    let (here, inbox) = in_process("worker");
    exchange.register("worker-3", &here, |_| true).unwrap();
    exchange.listen(&address()).await.unwrap();
    start(echo(inbox));
    let began = Instant::now();
    assert_eq!(caller.call("x".into()).await.unwrap(), "x");
    assert!(began.elapsed() < Duration::from_millis(100), "a call ends the pause");
}

#[tokio::test(start_paused = true)]
async fn a_place_that_never_answers_is_given_up_in_time() {
    let stage = stage().await;
    stage.network.silence(PLACE);
    let began = Instant::now();
    assert_eq!(stage.caller().call("x".into()).await, Err(Unreachable("worker")));
    assert!(began.elapsed() <= DIAL_TTL.to_std() * 2);
}

#[tokio::test(start_paused = true)]
async fn a_silent_connection_is_given_up_and_a_quiet_one_is_not() {
    let mut stage = stage().await;
    let caller = stage.caller();
    let pending = caller.send("long".into(), Body::Empty).await.unwrap();
    let call = call_of(stage.inbox.next().await);
    // Quiet for hours, and still there.
    tokio::time::sleep(Duration::from_secs(20_000)).await;
    call.reply.send("done".into());
    assert_eq!(pending.await.unwrap().0, "done");

    let pending = caller.send("lost".into(), Body::Empty).await.unwrap();
    let call = call_of(stage.inbox.next().await);
    stage.network.silence(PLACE);
    let began = Instant::now();
    assert_eq!(pending.await.unwrap_err(), Unreachable("worker"));
    assert!(began.elapsed() <= SILENCE.to_std() * (SILENCES_MAX + 2));
    // The other end notices by itself too.
    tokio::time::sleep(SILENCE.to_std() * 2).await;
    assert!(call.reply.offer("x".into()).is_err());
}

#[tokio::test(start_paused = true)]
async fn what_was_asked_is_answered_after_the_last_caller_has_gone() {
    let mut stage = stage().await;
    let caller = stage.caller();
    let pending = caller.send("last".into(), whole(2_000_000).into()).await.unwrap();
    drop(caller);
    let call = call_of(stage.inbox.next().await);
    tokio::time::sleep(Duration::from_secs(60)).await;
    call.reply.send_with("kept".into(), call.body);
    let (answer, body) = pending.await.unwrap();
    assert_eq!(
        (answer.as_str(), body.collect(2_000_000).await.unwrap()),
        ("kept", whole(2_000_000))
    );
    while !stage.peers.now().is_empty() {
        stage.peers.changed().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_closed_exchange_is_gone_like_a_process() {
    let mut stage = stage().await;
    let caller = stage.caller();
    let pending = caller.send("x".into(), Body::Empty).await.unwrap();
    let call = call_of(stage.inbox.next().await);
    stage.far.close();
    assert_eq!(pending.await.unwrap_err(), Unreachable("worker"));
    assert_eq!(caller.call("x".into()).await, Err(Unreachable("worker")), "nobody listens");
    assert!(call.reply.offer("x".into()).is_err());

    // Another process takes its place; then the end that calls goes.
    let again = Exchange::new(Network::simulated(&stage.network), Tasks::default());
    let (here, mut inbox) = in_process("worker");
    let mut peers = again.register("worker-3", &here, |_| true).unwrap();
    again.listen(&address()).await.unwrap();
    let pending = caller.send("x".into(), Body::Empty).await.unwrap();
    let call = call_of(inbox.next().await);
    stage.near.close();
    assert_eq!(pending.await.unwrap_err(), Unreachable("worker"));
    assert_eq!(caller.call("x".into()).await, Err(Unreachable("worker")));
    while !peers.now().is_empty() {
        peers.changed().await;
    }
    assert!(call.reply.offer("x".into()).is_err());
}

/// Many callers, bodies and cuts, told as one line of text for each thing that happens.
async fn history() -> Vec<String> {
    let stage = stage().await;
    start(echo(stage.inbox));
    let told = Arc::new(std::sync::Mutex::new(Vec::new()));
    let mut ended = Vec::new();
    for n in 0..20_u64 {
        let caller: TestCaller =
            stage.near.caller(&format!("manager-{n}"), "worker", "worker-3", address());
        let (told, (done, end)) = (Arc::clone(&told), oneshot::channel::<()>());
        ended.push(end);
        start(async move {
            for call in 0..50 {
                tokio::time::sleep(Duration::from_millis(n * call % 7)).await;
                let sent = whole((n * call * 97) as usize);
                let answer = caller.call_with(call.to_string(), sent.into()).await;
                told.lock().unwrap().push(format!("{n} {call} {}", answer.is_ok()));
            }
            drop(done);
        });
    }
    for _ in 0..10 {
        tokio::time::sleep(Duration::from_millis(13)).await;
        stage.network.cut(PLACE);
    }
    for end in ended {
        let _ = end.await;
    }
    let told = told.lock().unwrap();
    told.clone()
}

#[test]
fn the_same_play_has_the_same_history() {
    let play = || {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        builder.enable_all().start_paused(true).build().unwrap().block_on(history())
    };
    let first = play();
    assert!(first.iter().any(|line| line.ends_with("false")), "no cut met a call");
    assert_eq!(first, play());
}
