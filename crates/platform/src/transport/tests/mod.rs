//! Calls between roles, in one process and over connections: the same play on both
//! stages, then what only a connection can do. Time is virtual.

mod breaks;
mod flow;
mod refused;
mod secured;
mod sockets;

use bytes::Bytes;

use super::*;
use crate::Tasks;

type TestCaller = Caller<String, String, u32>;
type TestInbox = Inbox<String, String, u32>;

const PLACE: &str = "host-3";

/// Two processes on a simulated network; the second serves `worker-3`.
struct Stage {
    network: Simulated,
    near: Exchange,
    far: Exchange,
    peers: Peers,
    inbox: TestInbox,
}

fn start(role: impl Future<Output = ()> + Send + 'static) {
    Tasks::default().spawn(crate::TaskKind::Role, "worker", role);
}

fn address() -> Address {
    Address::Simulated(PLACE.into())
}

async fn stage() -> Stage {
    let tasks = Tasks::default();
    let network = Simulated::new();
    let exchange = || Exchange::new(Network::simulated(&network), tasks.clone());
    let (near, far) = (exchange(), exchange());
    let (caller, inbox) = in_process("worker");
    let peers = far.register("worker-3", &caller, |from| from.starts_with("manager-")).unwrap();
    far.listen(&address()).await.unwrap();
    Stage { network, near, far, peers, inbox }
}

impl Stage {
    fn caller(&self) -> TestCaller {
        self.near.caller("manager-2", "worker", "worker-3", address())
    }
}

/// Answers every call with its own text and body, and counts notes into the answers.
async fn echo(mut inbox: TestInbox) {
    let mut notes = 0;
    while let Some(mail) = inbox.next().await {
        match mail {
            Mail::Note(note) => notes += note,
            Mail::Call(call) if call.message == "notes" => call.reply.send(notes.to_string()),
            Mail::Call(call) => call.reply.send_with(call.message, call.body),
        }
    }
}

fn call_of(mail: Option<Mail<String, String, u32>>) -> Call<String, String> {
    let Some(Mail::Call(call)) = mail else { panic!("{mail:?}") };
    call
}

fn whole(length: usize) -> Bytes {
    (0..length).map(|at| (at % 251) as u8).collect()
}

/// What holds wherever the role is.
async fn play(caller: TestCaller, inbox: TestInbox) {
    let client = async move {
        for length in [0, 1, 64 * 1024, 64 * 1024 + 1, 3_000_000] {
            let sent = whole(length);
            let (answer, body) = caller.call_with("x".into(), sent.clone().into()).await.unwrap();
            assert_eq!((answer.as_str(), body.collect(4_000_000).await.unwrap()), ("x", sent));
        }
        for note in 1..=10 {
            match caller.try_note(note) {
                Ok(()) => {}
                Err(note) => caller.note(note).await.unwrap(),
            }
        }
        assert_eq!(caller.call("notes".into()).await.unwrap(), "55");
        let first = caller.send("first".into(), Body::Empty).await.unwrap();
        let second = caller.send("second".into(), Body::Empty).await.unwrap();
        assert_eq!(second.await.unwrap().0, "second");
        assert_eq!(first.await.unwrap().0, "first");
    };
    tokio::select! {
        () = client => {}
        () = echo(inbox) => panic!("the inbox closed"),
    }
}

#[tokio::test(start_paused = true)]
async fn roles_see_no_difference() {
    let (caller, inbox) = in_process("worker");
    play(caller, inbox).await;
    let stage = stage().await;
    play(stage.caller(), stage.inbox).await;
}

#[tokio::test(start_paused = true)]
async fn an_inbox_closes_with_the_last_way_to_it() {
    let mut stage = stage().await;
    let caller = stage.caller();
    caller.note(1).await.unwrap();
    assert!(matches!(stage.inbox.next().await, Some(Mail::Note(1))));
    // No new connection, and the one there is goes with its caller.
    stage.far.withdraw("worker-3");
    drop(caller);
    assert!(stage.inbox.next().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn what_is_passed_on_is_answered_where_it_came_from() {
    let (inner, inner_inbox) = in_process("worker");
    let (outer, mut outer_inbox) = in_process("worker");
    start(async move {
        while let Some(mail) = outer_inbox.next().await {
            inner.pass_on(mail).await.unwrap();
        }
    });
    play(outer, inner_inbox).await;

    let stage = stage().await;
    let (caller, (outer, mut outer_inbox)) = (stage.caller(), in_process("worker"));
    start(echo(stage.inbox));
    start(async move {
        while let Some(mail) = outer_inbox.next().await {
            caller.pass_on(mail).await.unwrap();
        }
    });
    outer.note(7).await.unwrap();
    assert_eq!(outer.call("notes".into()).await.unwrap(), "7");
    let (_, body) = outer.call_with("x".into(), whole(2_000_000).into()).await.unwrap();
    assert_eq!(body.collect(2_000_000).await.unwrap(), whole(2_000_000));
}

#[tokio::test(start_paused = true)]
async fn a_stopped_role_is_an_error_and_no_hang() {
    let (caller, inbox) = in_process::<(), (), ()>("manager");
    drop(inbox);
    assert_eq!(caller.call(()).await, Err(Unreachable("manager")));
    let (caller, mut inbox) = in_process::<(), (), ()>("manager");
    let dropped = async { drop(inbox.next().await) };
    let (answer, ()) = tokio::join!(caller.call(()), dropped);
    assert_eq!(answer, Err(Unreachable("manager")));

    let mut stage = stage().await;
    let caller = stage.caller();
    let dropped = async { drop(stage.inbox.next().await) };
    let (answer, ()) = tokio::join!(caller.call("x".into()), dropped);
    assert_eq!(answer, Err(Unreachable("worker")));
    drop(stage.inbox);
    assert_eq!(caller.call("x".into()).await, Err(Unreachable("worker")));
}

#[tokio::test(start_paused = true)]
async fn a_role_learns_who_asks() {
    let mut stage = stage().await;
    let caller = stage.caller();
    let ask = caller.call("x".into());
    let serve = async {
        let call = call_of(stage.inbox.next().await);
        assert_eq!(call.reply.peer(), Some("manager-2"));
        call.reply.offer("y".into()).unwrap();
    };
    assert_eq!(tokio::join!(ask, serve).0.unwrap(), "y");
    assert_eq!(stage.peers.now().keys().collect::<Vec<_>>(), ["manager-2"]);
}
