//! The Runtime API over real sockets: what a client may say when, and what it is
//! answered. The client here is bare bytes, so that nothing is done for us.

use std::{net::TcpListener, sync::Arc};

use bytes::Bytes;
use model::{ErrorClass, RequestId, TenantId};
use platform::Tasks;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::ApiLink;
use crate::link::{Exchange, Invocation};

struct Client {
    stream: TcpStream,
}

struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Client {
    async fn ask(&mut self, request: String) -> Answer {
        self.stream.write_all(request.as_bytes()).await.unwrap();
        let mut seen = Vec::new();
        let head = loop {
            self.stream.read_buf(&mut seen).await.unwrap();
            let text = String::from_utf8_lossy(&seen);
            if let Some(at) = text.find("\r\n\r\n") {
                break text[..at + 4].to_owned();
            }
        };
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        let length: usize = length.map_or(0, |length| length.parse().unwrap());
        while seen.len() < head.len() + length {
            self.stream.read_buf(&mut seen).await.unwrap();
        }
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Answer { status, body: String::from_utf8_lossy(&seen[head.len()..]).into_owned(), head }
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
    let link = ApiLink::open(&Tasks::default(), listener).unwrap();
    (link, Client { stream: TcpStream::connect(address).await.unwrap() })
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
    let platform = async {
        assert_eq!(link.init().await, Exchange::Done(Bytes::new()));
        link.invoke(call.clone()).await
    };
    let ((event, answer), exchange) = tokio::join!(runtime, platform);
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
        let (status, exchange) = tokio::join!(runtime, link.invoke(call.clone()));
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
    let (statuses, exchange) = tokio::join!(runtime, link.invoke(call.clone()));
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
    let (answer, exchange) = tokio::join!(runtime, link.invoke(call.clone()));
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
    let (status, exchange) = tokio::join!(runtime, link.invoke(call.clone()));
    let Exchange::Failed(failure) = exchange else { panic!("{exchange:?}") };
    assert_eq!((status, failure.error_type.as_str()), (202, "Runtime.Broken"));
    assert_eq!(&failure.json[..], b"{}");
}
