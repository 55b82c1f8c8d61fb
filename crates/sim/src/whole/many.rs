//! Many schedules, on several threads: each takes the next seed when it is done with
//! one. Threads share nothing but the count; a seed's history is its own.

use std::{
    fmt, io,
    sync::{Arc, Mutex, PoisonError},
};

use super::{Disk, Show, Verdict, play};

/// What came of all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sum {
    pub schedules: u64,
    pub calls: u64,
    pub served: u64,
    pub longest_ms: u64,
    /// Their seeds, in the order of their ends.
    pub failed: Vec<u64>,
}

/// From a seed on, as long as there are to be more; each verdict is told as it comes.
pub fn play_many(
    jobs: usize,
    from: u64,
    echo: bool,
    more: impl Fn(u64) -> bool + Sync,
    tell: impl Fn(&Verdict) + Sync,
) -> io::Result<Sum> {
    let (next, sum) = (Mutex::new(from), Mutex::new(Sum::default()));
    let take = || {
        let mut next = next.lock().unwrap_or_else(PoisonError::into_inner);
        let seed = *next;
        *next += 1;
        more(seed).then_some(seed)
    };
    let work = || -> io::Result<()> {
        let disk = Arc::new(Disk::new()?);
        while let Some(seed) = take() {
            let verdict = play(seed, &disk, Show { keep: false, echo });
            tell(&verdict);
            sum.lock().unwrap_or_else(PoisonError::into_inner).add(&verdict);
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..jobs).map(|_| scope.spawn(work)).collect();
        let panicked = |_| io::Error::other("a thread that plays has panicked");
        workers.into_iter().try_for_each(|worker| worker.join().map_err(panicked)?)
    })?;
    Ok(sum.into_inner().unwrap_or_else(PoisonError::into_inner))
}

impl Sum {
    fn add(&mut self, verdict: &Verdict) {
        self.schedules += 1;
        self.calls += verdict.calls;
        self.served += verdict.served;
        self.longest_ms = self.longest_ms.max(verdict.longest_ms);
        if !verdict.violations.is_empty() {
            self.failed.push(verdict.seed);
        }
    }
}

impl fmt::Display for Sum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Sum { schedules, calls, served, longest_ms, failed: _ } = self;
        write!(f, "{schedules} schedules, {calls} calls, {served} of them served, ")?;
        write!(f, "the longest took {longest_ms} ms")
    }
}
