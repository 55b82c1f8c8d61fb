//! Where the thread that serves runs. It is held near to a lone caller, or let go, by
//! `nearness`; other processes of this host that it calls meanwhile are told, so that
//! the whole way of a lone call is on one core.

use std::{
    io,
    sync::{Mutex, MutexGuard, PoisonError},
};

use model::{Now, Span};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use tokio::time::Instant;

use super::{
    nearness::{Change, Nearness},
    only,
};

/// Executors of this project have one thread that serves; their other threads only
/// wait for disks.
static SEAT: Mutex<Seat> = Mutex::new(Seat::new());

#[derive(Debug)]
struct Seat {
    nearness: Nearness,
    /// What the thread could use before it was first held.
    given: Option<CpuSet>,
    held: Option<usize>,
    /// Where the seat's own time begins.
    origin: Option<Instant>,
}

fn seat() -> MutexGuard<'static, Seat> {
    SEAT.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The cores that this process may use, also while its thread is held to one.
pub fn allowed() -> io::Result<CpuSet> {
    seat().allowed()
}

/// The core that the serving thread is held to.
pub fn held() -> Option<usize> {
    seat().held
}

/// A call came from a core; `running` run now, with it.
pub fn called(running: usize, core: usize) {
    let mut seat = seat();
    let now = seat.now();
    let change = seat.nearness.before(now, running, core);
    seat.obey(change);
}

/// How long the last call took.
pub fn answered(took: Span) {
    seat().nearness.after(took);
}

/// What another process of this host says of its own serving thread.
pub fn told(core: Option<usize>) {
    let mut seat = seat();
    let now = seat.now();
    let change = seat.nearness.told(now, core);
    seat.obey(change);
}

/// Calls are many.
pub fn let_go() {
    let mut seat = seat();
    let change = seat.nearness.let_go();
    seat.obey(change);
}

/// For a thread that begins: what starts it may be held to a core, and a thread
/// inherits that.
pub fn begin_free() {
    let given = seat().given;
    if let Some(given) = given
        && let Err(error) = sched_setaffinity(None, &given)
    {
        tracing::debug!(%error, "a new thread stays on its maker's core");
    }
}

impl Seat {
    const fn new() -> Seat {
        Seat { nearness: Nearness::new(), given: None, held: None, origin: None }
    }

    fn now(&mut self) -> Now {
        let elapsed = self.origin.get_or_insert_with(Instant::now).elapsed().as_micros();
        Now(u64::try_from(elapsed).unwrap_or(u64::MAX))
    }

    fn obey(&mut self, change: Option<Change>) {
        let core = match change {
            None => return,
            Some(Change::To(core)) => Some(core),
            Some(Change::Anywhere) => None,
        };
        if let Err(error) = self.sit(core) {
            tracing::debug!(%error, "the serving thread is not held to a core");
            self.nearness.cannot();
        }
    }

    fn allowed(&self) -> io::Result<CpuSet> {
        let now = sched_getaffinity(None)?;
        match (self.held, self.given) {
            (Some(held), Some(given)) if now == only(held) => Ok(given),
            _ => Ok(now),
        }
    }

    fn sit(&mut self, core: Option<usize>) -> io::Result<bool> {
        let allowed = self.allowed()?;
        self.given = Some(allowed);
        self.held = core.filter(|core| allowed.is_set(*core));
        let cores = self.held.map_or(allowed, only);
        sched_setaffinity(None, &cores)?;
        Ok(self.held == core)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_held_thread_knows_its_cores_and_gets_them_back() {
        let given = sched_getaffinity(None).unwrap();
        let core = (0..CpuSet::MAX_CPU).find(|core| given.is_set(*core)).unwrap();
        let mut seat = Seat::new();
        assert!(seat.sit(Some(core)).unwrap());
        assert_eq!(sched_getaffinity(None).unwrap(), only(core));
        assert_eq!(seat.allowed().unwrap(), given);
        assert!(seat.sit(None).unwrap());
        assert_eq!(sched_getaffinity(None).unwrap(), given);
    }

    #[test]
    fn a_core_that_was_not_given_is_not_taken() {
        let given = sched_getaffinity(None).unwrap();
        let core = (0..CpuSet::MAX_CPU).find(|core| !given.is_set(*core)).unwrap();
        let mut seat = Seat::new();
        assert!(!seat.sit(Some(core)).unwrap());
        assert_eq!(sched_getaffinity(None).unwrap(), given);
    }

    #[test]
    fn cores_that_were_set_from_outside_stay() {
        let given = sched_getaffinity(None).unwrap();
        let mut cores = (0..CpuSet::MAX_CPU).filter(|core| given.is_set(*core));
        let (Some(first), Some(second)) = (cores.next(), cores.next()) else { return };
        let mut seat = Seat::new();
        assert!(seat.sit(Some(first)).unwrap());
        sched_setaffinity(None, &only(second)).unwrap();
        assert!(seat.sit(None).unwrap());
        assert_eq!(sched_getaffinity(None).unwrap(), only(second));
    }
}
