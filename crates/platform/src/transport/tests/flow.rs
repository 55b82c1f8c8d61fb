//! Order, and that nobody waits for another's bytes: small messages pass large bodies,
//! and no queue grows beyond its bound.

use super::*;

#[tokio::test(start_paused = true)]
async fn calls_and_notes_arrive_in_the_order_of_sending() {
    let mut stage = stage().await;
    let caller = stage.caller();
    let send = async {
        let mut answers = Vec::new();
        for n in 0..3_000_u32 {
            match n % 3 {
                0 => answers.push(caller.send(n.to_string(), whole(100).into()).await.unwrap()),
                1 => caller.note(n).await.unwrap(),
                _ => assert_eq!(caller.try_note(n), Ok(())),
            }
        }
        for answer in answers {
            answer.await.unwrap();
        }
    };
    let receive = async {
        for n in 0..3_000_u32 {
            match stage.inbox.next().await.unwrap() {
                Mail::Note(note) => assert_eq!(note, n),
                Mail::Call(call) => {
                    assert_eq!(call.message, n.to_string());
                    call.reply.send(String::new());
                }
            }
        }
    };
    tokio::join!(send, receive);
}

#[tokio::test(start_paused = true)]
async fn small_calls_pass_bodies_that_nobody_reads() {
    let mut stage = stage().await;
    let caller = stage.caller();
    let there = caller.send("upload".into(), whole(6_000_000).into()).await.unwrap();
    let upload = call_of(stage.inbox.next().await);
    let back = caller.send("download".into(), Body::Empty).await.unwrap();
    let download = call_of(stage.inbox.next().await);
    download.reply.send_with("here".into(), whole(6_000_000).into());
    let (_, unread) = back.await.unwrap();

    let small = async {
        for n in 0..100 {
            assert_eq!(caller.call(n.to_string()).await.unwrap(), n.to_string());
        }
    };
    let serve = async {
        for _ in 0..100 {
            let call = call_of(stage.inbox.next().await);
            call.reply.send(call.message);
        }
    };
    tokio::join!(small, serve);

    let (up, down) = tokio::join!(upload.body.collect(6_000_000), unread.collect(6_000_000));
    assert_eq!(up.unwrap(), whole(6_000_000));
    assert_eq!(down.unwrap(), whole(6_000_000));
    upload.reply.send("read".into());
    assert_eq!(there.await.unwrap().0, "read");
}

#[tokio::test(start_paused = true)]
async fn a_body_is_ahead_of_its_reader_by_its_window_only() {
    for (piece, most) in [(16 * 1024, 60), (1, 600)] {
        let mut stage = stage().await;
        let caller = stage.caller();
        let (sender, body) = Body::channel();
        let _pending = caller.send("x".into(), body).await.unwrap();
        let call = call_of(stage.inbox.next().await);
        let mut sent = 0;
        let patience = std::time::Duration::from_secs(1);
        while let Ok(Ok(())) = tokio::time::timeout(patience, sender.send(Ok(whole(piece)))).await {
            sent += 1;
        }
        assert!((10..most).contains(&sent), "{sent} pieces of {piece}");
        // Reading makes room; going away stops the sender.
        let Body::Stream(mut pieces) = call.body else { panic!() };
        let mut read = 0;
        while read < sent * piece {
            read += pieces.next().await.unwrap().unwrap().len();
        }
        sender.send(Ok(whole(piece))).await.unwrap();
        drop(pieces);
        sender.closed().await;
    }
}

#[tokio::test(start_paused = true)]
async fn answers_come_in_the_order_of_answering() {
    let mut stage = stage().await;
    let caller = stage.caller();
    let first = caller.send("1".into(), Body::Empty).await.unwrap();
    let second = caller.send("2".into(), Body::Empty).await.unwrap();
    let slow = call_of(stage.inbox.next().await);
    let fast = call_of(stage.inbox.next().await);
    fast.reply.send(fast.message);
    assert_eq!(second.await.unwrap().0, "2");
    // A caller that has gone away disturbs nobody.
    drop(first);
    slow.reply.send_with(slow.message, whole(1_000_000).into());
    let last = caller.send("3".into(), Body::Empty).await.unwrap();
    let call = call_of(stage.inbox.next().await);
    call.reply.send(call.message);
    assert_eq!(last.await.unwrap().0, "3");
}

#[tokio::test(start_paused = true)]
async fn a_full_inbox_makes_senders_wait_and_loses_nothing() {
    let mut stage = stage().await;
    let caller = stage.caller();
    let patience = std::time::Duration::from_secs(1);
    let mut sent = 0;
    while let Ok(noted) = tokio::time::timeout(patience, caller.note(sent)).await {
        noted.unwrap();
        sent += 1;
    }
    assert_eq!(caller.try_note(sent), Err(sent));
    assert!(sent as usize > limits::ROLE_QUEUE_MAX, "{sent}");
    assert!((sent as usize) < 100_000, "{sent}");
    // However long it takes: a connection that waits for room is not silent.
    tokio::time::sleep(std::time::Duration::from_secs(300)).await;
    assert_eq!(caller.try_note(sent), Err(sent));
    for n in 0..sent {
        assert!(matches!(stage.inbox.next().await, Some(Mail::Note(note)) if note == n));
    }
    caller.note(sent).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_note_that_is_left_arrives_once_there_is_room() {
    let (caller, mut inbox) = in_process::<(), (), u32>("worker");
    let last = limits::ROLE_QUEUE_MAX as u32;
    for n in 0..last {
        caller.try_note(n).unwrap();
    }
    caller.leave_note(&Tasks::default(), last);
    for n in 0..=last {
        assert!(matches!(inbox.next().await, Some(Mail::Note(note)) if note == n));
    }
}
