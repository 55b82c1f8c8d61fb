//! Which core a thread or an environment is held to: the serving thread to its
//! caller's, an environment to the serving thread's. A short call that is alone on
//! its host is quickest on one core: waking another costs more than the call. Calls
//! that are many, or long, have all cores.
//!
//! ```text
//!   anywhere ──alone, and its calls are short──▶ held to the other's core
//!      ▲                                            │
//!      └── others run, or this call takes long ◀────┘
//! ```

use model::{Now, Span};

/// A call up to here is short.
const SHORT: Span = Span::micros(500);
/// A held call that takes longer is let go.
pub const LONG: Span = Span::millis(2);
/// Between two moves to another core: moving costs as much as a few calls gain.
const HOLD: Span = Span::millis(10);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    To(usize),
    Anywhere,
}

#[derive(Debug, Default)]
pub struct Nearness {
    core: Option<usize>,
    moved: Option<Now>,
    /// How long the last call took.
    last: Option<Span>,
    /// The host does not let threads be held.
    impossible: bool,
}

impl Nearness {
    pub const fn new() -> Nearness {
        Nearness { core: None, moved: None, last: None, impossible: false }
    }

    pub fn is_held(&self) -> bool {
        self.core.is_some()
    }

    /// Before a call: `running` calls on this host with it; the one to be near to is on
    /// core `here`.
    pub fn before(&mut self, now: Now, running: usize, here: usize) -> Option<Change> {
        if running > 1 {
            return self.let_go();
        }
        let short = self.last.is_some_and(|took| took <= SHORT);
        (short && self.moves(now, here)).then(|| self.move_to(now, here))
    }

    fn moves(&self, now: Now, core: usize) -> bool {
        let settled = self.moved.is_none_or(|moved| now.since(moved) >= HOLD);
        settled && !self.impossible && self.core != Some(core)
    }

    fn move_to(&mut self, now: Now, core: usize) -> Change {
        self.core = Some(core);
        self.moved = Some(now);
        Change::To(core)
    }

    /// Another process, which knows its caller, says where it sits itself.
    pub fn told(&mut self, now: Now, core: Option<usize>) -> Option<Change> {
        let Some(core) = core else { return self.let_go() };
        self.moves(now, core).then(|| self.move_to(now, core))
    }

    /// The call takes long, or is one of many.
    pub fn let_go(&mut self) -> Option<Change> {
        self.core.take().map(|_| Change::Anywhere)
    }

    pub fn after(&mut self, took: Span) {
        self.last = Some(took);
    }

    pub fn cannot(&mut self) {
        self.impossible = true;
        self.core = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(micros: u64) -> Now {
        Now(0) + Span::micros(micros)
    }

    fn after_a_short_call() -> Nearness {
        let mut nearness = Nearness::default();
        nearness.after(Span::micros(80));
        nearness
    }

    #[test]
    fn a_short_call_alone_is_held_to_the_server_s_core_and_follows_it_slowly() {
        let mut nearness = after_a_short_call();
        assert_eq!(nearness.before(at(0), 1, 1), Some(Change::To(1)));
        assert_eq!(nearness.before(at(100), 1, 1), None, "it is there");
        assert_eq!(nearness.before(at(200), 1, 0), None, "too soon");
        assert_eq!(nearness.before(at(10_000), 1, 0), Some(Change::To(0)));
    }

    #[test]
    fn one_of_many_and_a_long_one_have_all_cores() {
        let mut nearness = after_a_short_call();
        nearness.before(at(0), 1, 1);
        assert_eq!(nearness.before(at(1), 2, 1), Some(Change::Anywhere));
        assert_eq!(nearness.before(at(2), 3, 1), None, "it has them");
        nearness.before(at(20_000), 1, 1);
        assert_eq!(nearness.let_go(), Some(Change::Anywhere));
        nearness.after(Span::millis(7));
        assert_eq!(nearness.before(at(40_000), 1, 1), None, "its calls are long");
    }

    #[test]
    fn nothing_is_held_before_the_first_call_was_seen_or_where_it_is_impossible() {
        assert_eq!(Nearness::default().before(at(0), 1, 1), None);
        let mut nearness = after_a_short_call();
        nearness.cannot();
        assert_eq!(nearness.before(at(0), 1, 1), None);
    }

    #[test]
    fn what_another_process_says_is_followed_slowly_and_let_go_at_once() {
        let mut nearness = Nearness::new();
        assert_eq!(nearness.told(at(0), Some(1)), Some(Change::To(1)));
        assert_eq!(nearness.told(at(100), Some(1)), None, "it is there");
        assert_eq!(nearness.told(at(200), Some(0)), None, "too soon");
        assert_eq!(nearness.told(at(300), None), Some(Change::Anywhere));
        assert_eq!(nearness.told(at(400), None), None, "it has them");
    }
}
