//! Peers and bytes that are refused: each ends its own connection, and no other one
//! takes notice.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use wire::frame::{self, Frame, Greeting, GreetingError, Hello};

use super::*;
use crate::transport::network::{Stream, hear, say};

/// A connection without an exchange at its near end.
async fn raw(stage: &Stage) -> Stream {
    Network::simulated(&stage.network).dial(&address(), "worker-3").await.unwrap()
}

fn hello(from: &str, to: &str) -> Hello {
    Hello { from: from.into(), to: to.into() }
}

async fn greeting(stream: &mut Stream) -> Result<(), GreetingError> {
    let mut read = BytesMut::new();
    loop {
        match frame::take(&mut read).unwrap() {
            Some(Frame::Greeting(greeting)) => return Greeting::read(&greeting),
            Some(other) => panic!("{other:?}"),
            None => assert_ne!(stream.read_buf(&mut read).await.unwrap(), 0, "hung up"),
        }
    }
}

async fn is_hung_up(mut stream: Stream) {
    let mut rest = Vec::new();
    let _ = stream.read_to_end(&mut rest).await;
}

#[tokio::test(start_paused = true)]
async fn unknown_roles_and_unwanted_members_are_refused_with_a_reason() {
    let stage = stage().await;
    for (from, to, why) in [
        ("manager-2", "worker-4", "worker-4 does not serve here"),
        ("frontend-1", "worker-3", "frontend-1 may not call worker-3"),
    ] {
        let mut stream = raw(&stage).await;
        say(&mut stream, &hello(from, to).to_frame()).await.unwrap();
        assert_eq!(greeting(&mut stream).await, Err(GreetingError::Refused(why.into())));
        is_hung_up(stream).await;
    }
    let caller: TestCaller = stage.near.caller("frontend-1", "worker", "worker-3", address());
    assert_eq!(caller.call("x".into()).await, Err(Unreachable("worker")));
    let (here, _inbox) = in_process::<u8, u8, u8>("worker");
    assert!(stage.far.register("worker-3", &here, |_| true).is_err());
}

#[tokio::test(start_paused = true)]
async fn another_version_is_refused_by_either_end() {
    let stage = stage().await;
    let Frame::Hello(bytes) = hello("manager-2", "worker-3").to_frame() else { panic!() };
    let mut other = bytes.to_vec();
    other[4] += 1;
    let mut stream = raw(&stage).await;
    say(&mut stream, &Frame::Hello(other.into())).await.unwrap();
    let refused = greeting(&mut stream).await.unwrap_err().to_string();
    assert!(refused.contains("version 3 was offered, 2 is spoken here"), "{refused}");

    // The end that calls hears a greeting of another version.
    let mut place = stage.network.listen("old").unwrap();
    let caller: TestCaller =
        stage.near.caller("manager-2", "worker", "worker-9", Address::Simulated("old".into()));
    let serve = async {
        let mut stream: Stream = Box::new(place.accept().await.unwrap());
        hear(&mut stream).await.unwrap();
        let Frame::Greeting(bytes) = Greeting::Welcome.to_frame() else { panic!() };
        let mut other = bytes.to_vec();
        other[4] += 1;
        say(&mut stream, &Frame::Greeting(other.into())).await.unwrap();
    };
    let (answer, ()) = tokio::join!(caller.call("x".into()), serve);
    assert_eq!(answer, Err(Unreachable("worker")));
}

/// Bytes that break the rules, after a good greeting.
async fn bad_bytes(write: impl FnOnce(&mut BytesMut)) {
    let stage = stage().await;
    let good = stage.caller();
    let mut stream = raw(&stage).await;
    say(&mut stream, &hello("manager-7", "worker-3").to_frame()).await.unwrap();
    greeting(&mut stream).await.unwrap();
    let mut bytes = BytesMut::new();
    write(&mut bytes);
    let _ = stream.write_all(&bytes).await;
    let hung_up = std::time::Duration::from_secs(1);
    tokio::time::timeout(hung_up, is_hung_up(stream)).await.expect("it is hung up on");
    start(echo(stage.inbox));
    assert_eq!(good.call("x".into()).await.unwrap(), "x", "others are served on");
}

#[tokio::test(start_paused = true)]
async fn bad_bytes_end_their_own_connection_only() {
    bad_bytes(|out| out.extend_from_slice(b"GET / HTTP/1.1\r\n\r\n")).await;
    bad_bytes(|out| {
        out.extend_from_slice(&u32::MAX.to_le_bytes());
        out.extend_from_slice(&[3]);
    })
    .await;
    let content = |message: &'static [u8]| frame::Content {
        message: Bytes::from_static(message),
        piece: Bytes::new(),
        more: true,
    };
    bad_bytes(|out| frame::put(out, &Frame::Call { stream: 0, content: content(b"\xff") })).await;
    bad_bytes(|out| frame::put(out, &Frame::Answer { stream: 0, content: content(b"x") })).await;
    bad_bytes(|out| frame::put(out, &Frame::Note(Bytes::from_static(b"")))).await;
    bad_bytes(|out| frame::put(out, &hello("a", "b").to_frame())).await;
    // More of a body than the reader has room for.
    bad_bytes(|out| {
        frame::put(out, &Frame::Call { stream: 0, content: content(b"\x01x") });
        for _ in 0..9 {
            let bytes = whole(frame::PIECE_BYTES_MAX);
            frame::put(out, &Frame::Piece { stream: 0, bytes, last: false });
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_says_nothing_is_hung_up_on() {
    let stage = stage().await;
    is_hung_up(raw(&stage).await).await;
    let mut stream = raw(&stage).await;
    stream.write_all(b"L").await.unwrap();
    is_hung_up(stream).await;
}

#[tokio::test(start_paused = true)]
async fn whoever_has_not_greeted_is_hung_up_on_by_the_first_five_bytes() {
    let stage = stage().await;
    for kind in [0, 3, 5, 9, 14, 255] {
        let mut stream = raw(&stage).await;
        stream.write_all(&[64, 0, 0, 0, kind]).await.unwrap();
        let at_once = std::time::Duration::from_millis(10);
        tokio::time::timeout(at_once, is_hung_up(stream)).await.expect("no wait for the rest");
    }
}

#[tokio::test(start_paused = true)]
async fn a_message_that_is_too_long_is_not_sent() {
    let mut stage = stage().await;
    let caller = stage.caller();
    let long = "x".repeat(frame::MESSAGE_BYTES_MAX);
    assert_eq!(caller.call(long.clone()).await, Err(Unreachable("worker")));
    let serve = async {
        call_of(stage.inbox.next().await).reply.send(long);
        call_of(stage.inbox.next().await).reply.send("short".into());
    };
    let ask = async {
        assert_eq!(caller.call("x".into()).await, Err(Unreachable("worker")));
        assert_eq!(caller.call("x".into()).await.unwrap(), "short");
    };
    tokio::join!(serve, ask);
}
