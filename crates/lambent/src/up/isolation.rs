//! What this host can isolate, said at the start. Nothing weakens silently.

use sandbox::{Launcher, MissingLimit};

/// What the user is told of it.
#[derive(Clone, Debug)]
pub(super) struct Isolation {
    pub(super) strength: &'static str,
    pub(super) warnings: Vec<String>,
}

pub(super) fn of(launcher: &Launcher) -> Isolation {
    let warning = |missing: &MissingLimit| {
        let (name, consequence) = (missing.limit.name(), missing.limit.consequence());
        format!("no {name} ({}): {consequence}", missing.reason)
    };
    let warnings: Vec<_> = launcher.missing_limits().iter().map(warning).collect();
    let strength = if warnings.is_empty() { "full" } else { "reduced: lambent doctor says more" };
    Isolation { strength, warnings }
}
