//! Prints what one signature check of a typical boto3 Invoke costs, and what
//! finding its operation and parsing its headers costs.
//!
//!     cargo run --release -p aws-api --example verify_cost
#![allow(clippy::disallowed_methods, reason = "a measurement reads the clock")]

use std::hint::black_box;
use std::time::Instant;

use aws_api::invoke;
use aws_api::sigv4::{Credential, RequestParts, Signer, Verifier, claim, sign};
use http::{HeaderMap, HeaderValue, Method};

const ROUNDS: u32 = 200_000;
const NOW_S: u64 = 1_795_263_563;
const PATH: &str = "/2015-03-31/functions/hello-world/invocations";

fn main() {
    let credential =
        Credential { secret: "secret-of-forty-characters", session_token: None, expires_s: None };
    let signer =
        Signer { access_key_id: "AKIDEXAMPLE", credential, region: "us-east-1", service: "lambda" };
    let mut headers = HeaderMap::new();
    for (name, value) in [
        ("host", "127.0.0.1:4574"),
        ("x-amz-invocation-type", "RequestResponse"),
        ("user-agent", "Boto3/1.44.5 md/Botocore#1.44.5 ua/2.1 os/linux#6.18 md/arch#x86_64"),
        ("amz-sdk-invocation-id", "0f8fad5b-d9cb-469f-a165-70867728950e"),
        ("amz-sdk-request", "attempt=1"),
        ("content-length", "2"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    sign(&signer, "POST", PATH, None, &mut headers, b"{}", NOW_S).expect("signed");
    let verifier = Verifier::new("us-east-1", "lambda");

    measure("verify", || {
        let parts = RequestParts { method: "POST", path: PATH, query: None, headers: &headers };
        let claim = claim(&parts).expect("a claim");
        let verified = verifier.verify(&parts, &claim, None, NOW_S, |_| Some(credential));
        black_box(verified.expect("believed").payload);
    });
    measure("route", || {
        black_box(aws_api::route(&Method::POST, black_box(PATH), None).expect("an operation"));
    });
    measure("invoke headers", || {
        let parsed =
            invoke::parse(invoke::Answer::Buffered, black_box("hello-world"), None, &headers);
        black_box(parsed.expect("a call"));
    });
}

fn measure(what: &str, mut work: impl FnMut()) {
    for _ in 0..ROUNDS / 10 {
        work();
    }
    let start = Instant::now();
    for _ in 0..ROUNDS {
        work();
    }
    println!("{what}: {} ns", start.elapsed().as_nanos() / u128::from(ROUNDS));
}
