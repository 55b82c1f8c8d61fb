//! A function over AWS's published Rust runtime client, unchanged. Not a test: the
//! end-to-end suite deploys it. It echoes, counts its calls, fails or panics when
//! asked to.

use std::sync::atomic::{AtomicU64, Ordering};

use lambda_runtime::{Error, LambdaEvent, service_fn};
use serde_json::{Value, json};

static CALLS: AtomicU64 = AtomicU64::new(0);

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    lambda_runtime::run(service_fn(answer)).await
}

async fn answer(event: LambdaEvent<Value>) -> Result<Value, Error> {
    let calls = CALLS.fetch_add(1, Ordering::Relaxed) + 1;
    if let Some(reason) = event.payload["fail"].as_str() {
        return Err(reason.into());
    }
    if event.payload["panic"] == true {
        panic!("asked to panic");
    }
    Ok(json!({
        "event": event.payload,
        "calls": calls,
        "stream": event.context.env_config.log_stream,
        "request": event.context.request_id,
        "arn": event.context.invoked_function_arn,
        "memory": event.context.env_config.memory,
    }))
}
