//! The Runtime API over real sockets: what a client may say when, and what it is
//! answered. The client here is bare bytes, so that nothing is done for us.

use std::{future::poll_fn, net::TcpListener, pin::pin, sync::Arc};

use bytes::Bytes;
use model::{ErrorClass, RequestId, TenantId};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::{ApiLink, CONNECTIONS_MAX};
use crate::link::{Exchange, Invocation};

struct Client {
    stream: TcpStream,
    /// Behind the last answer.
    seen: Vec<u8>,
}

struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Client {
    fn new(stream: TcpStream) -> Client {
        Client { stream, seen: Vec::new() }
    }

    async fn ask(&mut self, request: String) -> Answer {
        self.stream.write_all(request.as_bytes()).await.unwrap();
        let seen = &mut self.seen;
        let head = loop {
            if let Some(at) = seen.windows(4).position(|end| end == b"\r\n\r\n") {
                break String::from_utf8_lossy(&seen[..at + 4]).into_owned();
            }
            self.stream.read_buf(seen).await.unwrap();
        };
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        let length: usize = length.map_or(0, |length| length.parse().unwrap());
        while seen.len() < head.len() + length {
            self.stream.read_buf(seen).await.unwrap();
        }
        let answer: Vec<u8> = seen.drain(..head.len() + length).collect();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let body = String::from_utf8_lossy(&answer[head.len()..]).into_owned();
        Answer { status, body, head }
    }

    async fn get(&mut self, path: &str) -> Answer {
        self.ask(format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n")).await
    }

    async fn post(&mut self, path: &str, headers: &str, body: &str) -> Answer {
        let length = body.len();
        let head = format!("POST {path} HTTP/1.1\r\nhost: x\r\ncontent-length: {length}\r\n");
        self.ask(format!("{head}{headers}\r\n{body}")).await
    }
}

async fn pair() -> (ApiLink, Client) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let link = ApiLink::open(listener).unwrap();
    (link, Client::new(TcpStream::connect(address).await.unwrap()))
}

fn invocation(number: u128) -> Invocation {
    Invocation {
        request: RequestId::from_random(number),
        deadline_ms: 1_234,
        arn: Arc::from("arn:aws:lambda:us-east-1:000000000001:function:f"),
        trace_id: Some("Root=1".into()),
        client_context: Some("{}".into()),
        tenant: Some(TenantId::parse("blue").unwrap()),
        payload: Bytes::from_static(b"{\"a\":1}"),
    }
}

/// What the runtime saw and what became of the call. As in an environment, the link is
/// listened to before and behind the call too.
async fn play<T>(
    link: &mut ApiLink,
    call: &Invocation,
    runtime: impl Future<Output = T>,
) -> (T, Exchange) {
    let mut exchange = None;
    let platform = async {
        exchange = Some(link.invoke(call.clone()).await);
        link.unasked().await;
    };
    let seen = tokio::select! {
        seen = runtime => seen,
        () = platform => panic!("a link listens for ever"),
    };
    (seen, exchange.expect("the call has ended"))
}

const NEXT: &str = "/2018-06-01/runtime/invocation/next";

fn path(call: &Invocation, what: &str) -> String {
    format!("/2018-06-01/runtime/invocation/{}/{what}", call.request)
}

#[tokio::test]
async fn an_invocation_goes_out_with_its_headers_and_comes_back() {
    let (mut link, mut client) = pair().await;
    let call = invocation(1);
    let runtime = async {
        let event = client.get(NEXT).await;
        let answer = client.post(&path(&call, "response"), "", "\"done\"").await;
        (event, answer)
    };
    let ((event, answer), exchange) = play(&mut link, &call, runtime).await;
    assert_eq!(exchange, Exchange::Done(Bytes::from_static(b"\"done\"")));
    assert_eq!((event.status, event.body.as_str()), (200, "{\"a\":1}"));
    for header in [
        &format!("lambda-runtime-aws-request-id: {}", call.request),
        "lambda-runtime-deadline-ms: 1234",
        "lambda-runtime-invoked-function-arn: arn:aws:lambda:us-east-1:000000000001:function:f",
        "lambda-runtime-trace-id: Root=1",
        "lambda-runtime-client-context: {}",
        "lambda-runtime-aws-tenant-id: blue",
    ] {
        assert!(event.head.contains(header), "{header}\n{}", event.head);
    }
    assert_eq!((answer.status, answer.body.as_str()), (202, r#"{"status":"OK"}"#));
}

#[tokio::test]
async fn errors_keep_documented_types_only() {
    let cases = [
        ("lambda-runtime-function-error-type: Runtime.MyError\r\n", "Runtime.MyError"),
        ("lambda-runtime-function-error-type: my error\r\n", "Runtime.Unknown"),
        ("lambda-runtime-function-error-type: Function.x\r\n", "Function.Unknown"),
        ("", "Runtime.Unknown"),
    ];
    for (header, wanted) in cases {
        let (mut link, mut client) = pair().await;
        let call = invocation(2);
        let runtime = async {
            client.get(NEXT).await;
            client.post(&path(&call, "error"), header, "{\"e\":1}").await.status
        };
        let (status, exchange) = play(&mut link, &call, runtime).await;
        let Exchange::Failed(failure) = exchange else { panic!("{exchange:?}") };
        assert_eq!((status, failure.error_type.as_str()), (202, wanted));
        assert_eq!((failure.class, &failure.json[..]), (ErrorClass::Handler, &b"{\"e\":1}"[..]));
    }
}

#[tokio::test]
async fn what_is_said_at_the_wrong_time_is_refused_and_harms_nothing() {
    let (mut link, mut client) = pair().await;
    let call = invocation(3);
    let other = invocation(4);
    let runtime = async {
        client.get(NEXT).await;
        let wrong = client.post(&path(&other, "response"), "", "1").await;
        let init = client.post("/2018-06-01/runtime/init/error", "", "{}").await;
        let mode = "lambda-runtime-function-response-mode: sideways\r\n";
        let mode = client.post(&path(&call, "response"), mode, "1").await;
        let nowhere = client.get("/2018-06-01/runtime/elsewhere").await;
        let right = client.post(&path(&call, "response"), "", "1").await;
        [wrong, init, mode, nowhere, right].map(|answer| answer.status)
    };
    let (statuses, exchange) = play(&mut link, &call, runtime).await;
    assert_eq!(statuses, [400, 403, 400, 404, 202]);
    assert_eq!(exchange, Exchange::Done(Bytes::from_static(b"1")));
}

#[tokio::test]
async fn a_response_over_the_limit_is_413_there_and_an_error_here() {
    let (mut link, mut client) = pair().await;
    let call = invocation(5);
    let body = "x".repeat(usize::try_from(model::limits::RESPONSE_BYTES_MAX).unwrap() + 1);
    let runtime = async {
        client.get(NEXT).await;
        client.post(&path(&call, "response"), "", &body).await
    };
    let (answer, exchange) = play(&mut link, &call, runtime).await;
    assert_eq!(answer.status, 413);
    assert!(answer.body.contains("RequestEntityTooLarge"), "{}", answer.body);
    let Exchange::Failed(failure) = exchange else { panic!("{exchange:?}") };
    assert_eq!(failure.error_type, "Function.ResponseSizeTooLarge");
}

#[tokio::test]
async fn an_init_error_ends_the_init() {
    let (mut link, mut client) = pair().await;
    let header = "lambda-runtime-function-error-type: Runtime.NoSuchThing\r\n";
    let runtime = client.post("/2018-06-01/runtime/init/error", header, "{}");
    let (answer, exchange) = tokio::join!(runtime, link.init());
    let Exchange::Failed(failure) = exchange else { panic!("{exchange:?}") };
    assert_eq!((answer.status, failure.class), (202, ErrorClass::Init));
    assert_eq!(failure.error_type, "Runtime.NoSuchThing");
}

#[tokio::test]
async fn a_streamed_error_in_the_trailers_is_an_error() {
    let (mut link, mut client) = pair().await;
    let call = invocation(6);
    let runtime = async {
        client.get(NEXT).await;
        let path = path(&call, "response");
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\
             lambda-runtime-function-response-mode: streaming\r\n\
             trailer: lambda-runtime-function-error-type\r\n\r\n"
        );
        let trailers = "lambda-runtime-function-error-type: Runtime.Broken\r\n\
                        lambda-runtime-function-error-body: e30=\r\n\r\n";
        client.ask(format!("{head}4\r\nhalf\r\n0\r\n{trailers}")).await.status
    };
    let (status, exchange) = play(&mut link, &call, runtime).await;
    let Exchange::Failed(failure) = exchange else { panic!("{exchange:?}") };
    assert_eq!((status, failure.error_type.as_str()), (202, "Runtime.Broken"));
    assert_eq!(&failure.json[..], b"{}");
}

#[tokio::test]
async fn a_large_event_does_not_keep_the_link_from_hearing() {
    let (mut link, mut client) = pair().await;
    let large = vec![b'x'; 6 * 1024 * 1024];
    let call = Invocation { payload: Bytes::from(large), ..invocation(7) };
    let runtime = async {
        // Before it reads the event, it sends an answer that no socket buffer holds.
        let next = format!("GET {NEXT} HTTP/1.1\r\nhost: x\r\n\r\n");
        let body = "y".repeat(6 * 1024 * 1024);
        let path = path(&call, "response");
        let length = body.len();
        let head = format!("POST {path} HTTP/1.1\r\nhost: x\r\ncontent-length: {length}\r\n\r\n");
        client.stream.write_all(next.as_bytes()).await.unwrap();
        client.stream.read_buf(&mut client.seen).await.unwrap();
        client.stream.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
        let event = client.ask(String::new()).await;
        (event.body.len(), client.seen.len())
    };
    let ((event, behind), exchange) = play(&mut link, &call, runtime).await;
    assert_eq!(event, 6 * 1024 * 1024);
    assert!(behind <= "HTTP/1.1 202 Accepted".len() * 10, "an answer and no more");
    assert!(matches!(exchange, Exchange::Done(body) if body.len() == 6 * 1024 * 1024));
}

#[tokio::test]
async fn a_wait_that_is_given_up_at_any_time_loses_nothing() {
    let (mut link, mut client) = pair().await;
    let call = invocation(8);
    let path = path(&call, "response");
    let text = format!("POST {path} HTTP/1.1\r\ncontent-length: 6\r\n\r\n\"done\"");
    let runtime = async {
        client.get(NEXT).await;
        for byte in text.as_bytes() {
            client.stream.write_all(&[*byte]).await.unwrap();
            tokio::task::yield_now().await;
        }
        client.ask(String::new()).await.status
    };
    let mut exchange = None;
    let platform = async {
        assert_eq!(link.init().await, Exchange::Done(Bytes::new()));
        link.connections[0].connection.event(&call);
        // A wait anew for each poll.
        let answer = poll_fn(|cx| pin!(link.await_answer(call.request)).poll(cx));
        exchange = Some(answer.await);
        link.unasked().await;
    };
    let status = tokio::select! {
        status = runtime => status,
        () = platform => panic!("a link listens for ever"),
    };
    let done = Exchange::Done(Bytes::from_static(b"\"done\""));
    assert_eq!((status, exchange), (202, Some(done)));
}

#[tokio::test]
async fn each_connection_is_told_what_was_wrong_and_closed() {
    let head = "POST /2018-06-01/runtime/init/error HTTP/1.1\r\n";
    let long = format!("GET /ping HTTP/1.1\r\nx: {}\r\n\r\n", "y".repeat(2 * 1024 * 1024));
    for (request, status, closes) in [
        ("GET nothing\r\n\r\n".to_owned(), 400, true),
        (format!("{head}content-length: x\r\n\r\n"), 400, true),
        (format!("{head}transfer-encoding: chunked\r\n\r\nno chunk\r\n"), 400, true),
        (long, 431, true),
        ("GET /ping HTTP/1.0\r\n\r\n".to_owned(), 200, true),
        ("GET /ping HTTP/1.1\r\nconnection: close\r\n\r\n".to_owned(), 200, true),
        ("GET /ping HTTP/1.1\r\n\r\n".to_owned(), 200, false),
    ] {
        let (mut link, mut client) = pair().await;
        let runtime = async {
            let answer = client.ask(request).await;
            let closed = answer.head.contains("connection: close");
            if closed {
                assert_eq!(client.stream.read_buf(&mut client.seen).await.unwrap(), 0);
            }
            (answer.status, closed)
        };
        let seen = tokio::select! {
            seen = runtime => seen,
            () = link.unasked() => panic!("a link listens for ever"),
        };
        assert_eq!(seen, (status, closes));
    }
}

#[tokio::test]
async fn a_body_cut_short_is_told_and_harms_nothing() {
    let (mut link, mut client) = pair().await;
    let call = invocation(9);
    let address = link.listener.local_addr().unwrap();
    let runtime = async {
        client.get(NEXT).await;
        let mut other = Client::new(TcpStream::connect(address).await.unwrap());
        let head =
            format!("POST {} HTTP/1.1\r\ncontent-length: 9\r\n\r\nx", path(&call, "response"));
        other.stream.write_all(head.as_bytes()).await.unwrap();
        other.stream.shutdown().await.unwrap();
        let cut = other.ask(String::new()).await;
        let whole = client.post(&path(&call, "response"), "", "1").await.status;
        (cut.status, cut.body.contains("TruncatedHTTPRequest"), whole)
    };
    let (seen, exchange) = play(&mut link, &call, runtime).await;
    assert_eq!((seen, exchange), ((400, true, 202), Exchange::Done(Bytes::from_static(b"1"))));
}

#[tokio::test]
async fn a_runtime_that_gave_up_waiting_is_not_given_work() {
    let (mut link, mut client) = pair().await;
    let call = invocation(10);
    let address = link.listener.local_addr().unwrap();
    let next = format!("GET {NEXT} HTTP/1.1\r\n\r\n");
    client.stream.write_all(next.as_bytes()).await.unwrap();
    assert_eq!(link.init().await, Exchange::Done(Bytes::new()));
    drop(client);
    while !link.connections.is_empty() {
        tokio::select! {
            biased;
            () = link.unasked() => panic!("a link listens for ever"),
            () = tokio::task::yield_now() => {}
        }
    }
    let mut second = Client::new(TcpStream::connect(address).await.unwrap());
    let runtime = async {
        second.get(NEXT).await;
        second.post(&path(&call, "response"), "", "1").await.status
    };
    let (status, exchange) = play(&mut link, &call, runtime).await;
    assert_eq!((status, exchange), (202, Exchange::Done(Bytes::from_static(b"1"))));
}

#[tokio::test]
async fn connections_are_bounded_and_the_silent_one_goes() {
    let (mut link, mut first) = pair().await;
    let address = link.listener.local_addr().unwrap();
    let runtime = async {
        first.stream.write_all(format!("GET {NEXT} HTTP/1.1\r\n\r\n").as_bytes()).await.unwrap();
        let mut others = Vec::new();
        for _ in 0..CONNECTIONS_MAX {
            let mut other = Client::new(TcpStream::connect(address).await.unwrap());
            assert_eq!(other.get("/ping").await.status, 200);
            others.push(other);
        }
        // The first waits for work; so the second one made room for the last.
        others.swap_remove(0).stream.read(&mut [0]).await.unwrap()
    };
    let read = tokio::select! {
        read = runtime => read,
        () = link.unasked() => panic!("a link listens for ever"),
    };
    assert_eq!((read, link.connections.len()), (0, CONNECTIONS_MAX));
    assert!(link.connections.iter().any(|known| known.connection.is_waiting()));
}
