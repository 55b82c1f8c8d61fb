//! SIGKILL in the middle of creates, updates and deletes: what was acknowledged is
//! there afterwards, functions answer, and of the killed platform nothing is left on
//! the host. Each round dies at another point of the stream.

use std::fs;

use e2e::{Driver, Platform, until};

/// Acknowledged changes after which a round's platform is killed.
const KILL_AFTER: [usize; 8] = [1, 2, 5, 9, 16, 30, 55, 90];

#[test]
fn a_killed_platform_loses_no_acknowledged_change_and_leaves_nothing_behind() {
    let mut platform = Platform::start();
    for (round, enough) in KILL_AFTER.into_iter().enumerate() {
        let journal = platform.scratch(&format!("journal-{round}"));
        let acknowledged = || {
            let text = fs::read_to_string(&journal).unwrap_or_default();
            text.lines().filter(|line| line.ends_with("\"acknowledged\": true}")).count()
        };
        let driver =
            |driver: Driver| driver.with("JOURNAL", &journal).with("SEED", format!("round{round}"));
        let mut changes = driver(Driver::python_script(&platform, "crash_changes.py")).spawn();
        let reached = until(60, || (acknowledged() >= enough).then_some(()));
        assert!(reached.is_some(), "round {round}: {} of {enough} changes", acknowledged());
        platform = platform.kill_and_restart();
        let ended = until(60, || changes.try_wait().expect("the driver can be waited for"));
        assert!(ended.is_some(), "round {round}: the driver saw no end of the platform");
        driver(Driver::python_cases(&platform, "test_crash")).run();
    }
    platform.stop();
}
