//! What a function reaches of the host and of its neighbours, asked from inside a
//! function through the API, each probe with its control outside.

use e2e::{Driver, Platform};

fn cases(cases: &str) {
    let platform = Platform::start();
    Driver::python_cases(&platform, cases).run();
    platform.stop();
}

#[test]
fn host_and_neighbours_are_unreachable_from_inside_a_function() {
    cases("test_isolation.Unreachable");
}

#[test]
fn hogs_are_contained_while_a_neighbour_s_calls_all_succeed() {
    cases("test_isolation.Contained");
}
