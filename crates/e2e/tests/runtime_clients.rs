//! AWS's own runtime clients, unchanged, inside our environments: Python's as it is
//! published, Rust's as cargo builds it. What they are asked stands in `py/`.

use e2e::{Driver, Platform, rust_function};

fn cases(cases: &str) {
    let platform = Platform::start();
    let function = rust_function(&platform, env!("CARGO_BIN_EXE_e2e-rust-function"));
    Driver::python_cases(&platform, cases).with("RUST_FUNCTION", function).run();
    platform.stop();
}

#[test]
fn published_runtime_clients_answer_a_thousand_calls_and_fail_as_they_should() {
    cases("test_runtime_clients");
}
