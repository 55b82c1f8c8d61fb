//! The published Rust SDK: create, invoke, fail, throttle under concurrency,
//! delete, with its own types for every error.

mod sdk;

use aws_sdk_lambda::{
    Client,
    error::SdkError,
    operation::invoke::{InvokeError, InvokeOutput},
    primitives::Blob,
    types::{FunctionCode, Runtime, State, ThrottleReason},
};
use e2e::Platform;
use tokio::task::JoinSet;

const SOURCE: &str = "\
import time
def handler(event, context):
    if 'fail' in event: raise KeyError(event['fail'])
    time.sleep(event.get('seconds', 0))
    return {'sum': sum(event.get('numbers', []))}
";
const NAME: &str = "from-rust";

fn client(platform: &Platform) -> Client {
    sdk::client(platform.endpoint(), |name| platform.variable(name))
}

async fn invoke(client: &Client, payload: &str) -> Result<InvokeOutput, SdkError<InvokeError>> {
    client.invoke().function_name(NAME).payload(Blob::new(payload)).send().await
}

fn text(answer: &InvokeOutput) -> &str {
    std::str::from_utf8(answer.payload().expect("an answer has a payload").as_ref()).expect("text")
}

async fn create(client: &Client) {
    let made = client
        .create_function()
        .function_name(NAME)
        .runtime(Runtime::from("python3.11"))
        .handler("app.handler")
        .role("arn:aws:iam::123456789012:role/e2e")
        .memory_size(1024)
        .timeout(20)
        .code(FunctionCode::builder().zip_file(sdk::package("app.py", SOURCE)).build())
        .send()
        .await
        .expect("it is created");
    assert!(matches!(made.state(), Some(State::Pending | State::Active)), "{made:?}");
    let read = client.get_function().function_name(NAME).send().await.expect("it is there");
    let read = read.configuration().expect("with its configuration");
    assert_eq!((read.memory_size(), read.timeout()), (Some(1024), Some(20)));
}

async fn throttle(client: &Client) {
    let put = client.put_function_concurrency().function_name(NAME);
    put.reserved_concurrent_executions(2).send().await.expect("it is reserved");
    let mut calls = JoinSet::new();
    for _ in 0..6 {
        let client = client.clone();
        calls.spawn(async move { invoke(&client, r#"{"seconds":2}"#).await });
    }
    let (mut served, mut refused) = (0, 0);
    while let Some(call) = calls.join_next().await {
        match call.expect("a call ends").map_err(SdkError::into_service_error) {
            Ok(answer) => {
                assert_eq!(text(&answer), r#"{"sum": 0}"#);
                served += 1;
            }
            Err(InvokeError::TooManyRequestsException(refusal)) => {
                let wanted = ThrottleReason::ReservedFunctionConcurrentInvocationLimitExceeded;
                assert_eq!(refusal.reason(), Some(&wanted));
                refused += 1;
            }
            Err(other) => panic!("neither served nor throttled: {other:?}"),
        }
    }
    assert_eq!((served, refused), (2, 4));
}

#[tokio::test]
async fn the_rust_sdk_creates_invokes_throttles_and_deletes() {
    let platform = Platform::start();
    let client = client(&platform);
    create(&client).await;

    let answer = invoke(&client, r#"{"numbers":[1,2,39]}"#).await.expect("it is answered");
    assert_eq!(text(&answer), r#"{"sum": 42}"#);
    assert_eq!((answer.status_code(), answer.executed_version()), (200, Some("$LATEST")));
    let failed = invoke(&client, r#"{"fail":"this"}"#).await.expect("a failure is an answer");
    assert_eq!(failed.function_error(), Some("Unhandled"));
    assert!(text(&failed).contains("KeyError"), "{}", text(&failed));

    throttle(&client).await;
    client.delete_function().function_name(NAME).send().await.expect("it is deleted");
    let gone = invoke(&client, "{}").await.map_err(SdkError::into_service_error);
    assert!(matches!(gone, Err(InvokeError::ResourceNotFoundException(_))), "{gone:?}");
    drop(client);
    tokio::task::spawn_blocking(|| platform.stop()).await.expect("an orderly end");
}
