//! How many calls run now, of a host or of a frontend. Invariant: a call counts from
//! `enter` to the drop of what that gave, however the call ends.

use std::sync::atomic::{AtomicUsize, Ordering};

#[derive(Debug, Default)]
pub struct Running(AtomicUsize);

/// One running call.
#[derive(Debug)]
pub struct One<'r> {
    running: &'r Running,
    number: usize,
}

impl Running {
    pub fn enter(&self) -> One<'_> {
        let number = self.0.fetch_add(1, Ordering::Relaxed) + 1;
        One { running: self, number }
    }

    pub fn calls(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

impl One<'_> {
    /// Calls that ran when this one began, itself included.
    pub fn number(&self) -> usize {
        self.number
    }
}

impl Drop for One<'_> {
    fn drop(&mut self) {
        self.running.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_counts_until_it_is_dropped() {
        let running = Running::default();
        let first = running.enter();
        let second = running.enter();
        assert_eq!((first.number(), second.number(), running.calls()), (1, 2, 2));
        drop(first);
        assert_eq!((running.calls(), running.enter().number()), (1, 2));
        drop(second);
        assert_eq!(running.calls(), 0);
    }
}
