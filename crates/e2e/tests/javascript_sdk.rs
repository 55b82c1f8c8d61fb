//! The published JavaScript SDK, on the host's Node.js, at the version of
//! `js/package-lock.json`.

use e2e::{Driver, Platform};

#[test]
fn the_javascript_sdk_creates_invokes_throttles_and_deletes() {
    let platform = Platform::start();
    let said = Driver::node(&platform, "life.mjs").run();
    assert!(said.contains("the JavaScript SDK is content"), "it did not reach its end: {said}");
    platform.stop();
}
