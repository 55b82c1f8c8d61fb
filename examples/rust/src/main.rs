//! Greets. Build and deploy:
//!   cargo build --release
//!   lambent deploy target/release/bootstrap --name hello-rust

use std::sync::atomic::{AtomicU64, Ordering};

use lambda_runtime::{Error, LambdaEvent, service_fn};
use serde_json::{Value, json};

static CALLS: AtomicU64 = AtomicU64::new(0);

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    lambda_runtime::run(service_fn(hello)).await
}

async fn hello(event: LambdaEvent<Value>) -> Result<Value, Error> {
    let calls = CALLS.fetch_add(1, Ordering::Relaxed) + 1;
    println!("call {calls} of this environment");
    let name = event.payload["name"].as_str().unwrap_or("world");
    Ok(json!({
        "message": format!("Hello, {name}, from Rust"),
        "calls_of_this_environment": calls,
        "request": event.context.request_id,
    }))
}
