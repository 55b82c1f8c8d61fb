//! boto3 against the running binary, one platform per group of cases. The cases
//! stand in `py/`; their output is the failure's message.

use e2e::{Driver, Platform, static_bootstrap};

fn cases(cases: &str) {
    let platform = Platform::start();
    let bootstrap = static_bootstrap(&platform);
    Driver::python_cases(&platform, cases).with("STATIC_BOOTSTRAP", bootstrap).run();
    platform.stop();
}

#[test]
fn a_function_s_whole_life() {
    cases("test_life");
}

#[test]
fn every_documented_failure_inside_a_call() {
    cases("test_failures");
}

#[test]
fn requests_that_are_refused_before_any_code_runs() {
    cases("test_refusals");
}

#[test]
fn a6_6_reserved_concurrency_under_concurrent_calls() {
    cases("test_concurrency.Concurrency");
}

#[test]
fn a_client_that_hangs_up_does_not_end_its_call() {
    cases("test_concurrency.HangUp");
}

#[test]
fn many_callers_at_once_get_their_own_answers() {
    cases("test_parallel");
}
