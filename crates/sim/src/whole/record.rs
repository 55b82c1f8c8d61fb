//! What happens in a world, line by line, and what should not have: the log of which
//! two runs of a seed are compared, and the violations that everybody reports.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use platform::Clock;

use crate::log::Log;

/// Shared by all who take part.
#[derive(Clone, Debug)]
pub struct Record {
    clock: Clock,
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    log: Log,
    violations: Vec<String>,
}

/// More than enough to see what is wrong.
const VIOLATIONS_MAX: usize = 20;

impl Record {
    pub(super) fn new(clock: Clock, keep: bool, echo: bool) -> Record {
        let state = State { log: Log::new(keep, echo), violations: Vec::new() };
        Record { clock, state: Arc::new(Mutex::new(state)) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn line(&self, what: fmt::Arguments<'_>) {
        self.state().log.line(self.clock.now(), what);
    }

    /// An invariant does not hold.
    pub(super) fn violation(&self, what: fmt::Arguments<'_>) {
        let now = self.clock.now();
        let mut state = self.state();
        state.log.line(now, format_args!("VIOLATION {what}"));
        if state.violations.len() < VIOLATIONS_MAX {
            state.violations.push(format!("at {} us: {what}", now.0));
        }
    }

    pub fn violations(&self) -> Vec<String> {
        self.state().violations.clone()
    }

    /// The same for the same history.
    pub fn digest(&self) -> u128 {
        self.state().log.digest()
    }

    pub fn lines(&self) -> u64 {
        self.state().log.lines()
    }

    pub fn text(&self) -> Option<String> {
        self.state().log.text().map(str::to_owned)
    }
}
