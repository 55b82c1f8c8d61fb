//! How many calls run on this host now. Invariant: a call counts from `enter` to
//! the drop of what that gave, however the call ends.

use std::sync::atomic::{AtomicUsize, Ordering};

#[derive(Debug, Default)]
pub(crate) struct Running(AtomicUsize);

/// One running call.
#[derive(Debug)]
pub(crate) struct One<'r> {
    running: &'r Running,
    number: usize,
}

impl Running {
    pub(crate) fn enter(&self) -> One<'_> {
        let number = self.0.fetch_add(1, Ordering::Relaxed) + 1;
        One { running: self, number }
    }

    pub(crate) fn calls(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

impl One<'_> {
    /// Calls that ran when this one began, itself included.
    pub(crate) fn number(&self) -> usize {
        self.number
    }
}

impl Drop for One<'_> {
    fn drop(&mut self) {
        self.running.0.fetch_sub(1, Ordering::Relaxed);
    }
}
