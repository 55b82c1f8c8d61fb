//! The AWS CLI, in a shell that knows of the platform only what `lambent env`
//! prints.

use e2e::{Driver, Platform};

#[test]
fn the_aws_cli_creates_invokes_changes_throttles_and_deletes() {
    let platform = Platform::start();
    let said = Driver::shell(&platform, "life.sh").run();
    assert!(said.ends_with("the AWS CLI is content\n"), "it did not reach its end: {said}");
    platform.stop();
}
