//! Routers that decide nothing of note, as a control: each call goes to a worker by
//! chance or to the one with the fewest calls, where an idle environment of its
//! function serves it or a new one is made; each is kept for a fixed time. Messages
//! cost nothing here, so that what ours loses on the way is counted against ours.

use std::collections::BTreeMap;

use decide::Dice;
use model::{Now, Span};

use crate::{outcome::percentile, workload::Workload};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Router {
    Random,
    LeastLoaded,
}

/// What a policy came to on a workload.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Came {
    pub cold: u64,
    pub refused: u64,
    pub memory_mb_secs: u64,
    /// The largest 99th percentile of response over run time that any function has.
    pub worst_p99_permille: u64,
}

struct Env {
    function: usize,
    free_at: Now,
    made_at: Now,
}

#[derive(Default)]
struct Worker {
    envs: Vec<Env>,
    mb_micros: u128,
}

impl Worker {
    fn running(&self, now: Now) -> usize {
        self.envs.iter().filter(|env| env.free_at > now).count()
    }

    /// Ends what nobody used for the whole time; counts what memory it took.
    fn expire(&mut self, workload: &Workload, now: Now, keep: Span) {
        let mut at = 0;
        while at < self.envs.len() {
            let until = self.envs[at].free_at + keep;
            if until <= now { self.end(workload, at, until) } else { at += 1 }
        }
    }

    fn end(&mut self, workload: &Workload, at: usize, until: Now) {
        let env = self.envs.swap_remove(at);
        let memory = u128::from(workload.functions[env.function].memory_mb);
        self.mb_micros += memory * u128::from(until.since(env.made_at).as_micros());
    }

    fn used_mb(&self, workload: &Workload) -> u64 {
        self.envs.iter().map(|env| u64::from(workload.functions[env.function].memory_mb)).sum()
    }

    /// Makes room by ending what is idle longest; whether there is room now.
    fn make_room(&mut self, workload: &Workload, now: Now, need: u64, limit_mb: u64) -> bool {
        while self.used_mb(workload) + need > limit_mb {
            let idle = self.envs.iter().enumerate().filter(|(_, env)| env.free_at <= now);
            let Some((oldest, _)) = idle.min_by_key(|(_, env)| env.free_at) else { return false };
            self.end(workload, oldest, now);
        }
        true
    }
}

/// Plays a workload over workers of so much memory, with a fixed keep-alive.
pub fn play(
    workload: &Workload,
    router: Router,
    workers: usize,
    worker_mb: u64,
    keep: Span,
    seed: u64,
) -> Came {
    let mut dice = Dice::new(seed);
    let mut fleet: Vec<Worker> = std::iter::repeat_with(Worker::default).take(workers).collect();
    let mut slowdowns: BTreeMap<usize, Vec<u64>> = BTreeMap::new();
    let (mut came, mut last) = (Came::default(), Now(0));
    for call in &workload.calls {
        let now = call.at;
        fleet.iter_mut().for_each(|worker| worker.expire(workload, now, keep));
        let chosen = match router {
            Router::Random => dice.below(workers as u64) as usize,
            Router::LeastLoaded => {
                (0..workers).min_by_key(|at| fleet[*at].running(now)).unwrap_or(0)
            }
        };
        let (worker, function) = (&mut fleet[chosen], &workload.functions[call.function]);
        let idle = |env: &&mut Env| env.function == call.function && env.free_at <= now;
        let took = if let Some(env) = worker.envs.iter_mut().find(idle) {
            env.free_at = now + function.run;
            function.run
        } else if worker.make_room(workload, now, u64::from(function.memory_mb), worker_mb) {
            came.cold += 1;
            let took = function.init + function.run;
            let (function, free_at) = (call.function, now + took);
            worker.envs.push(Env { function, free_at, made_at: now });
            took
        } else {
            came.refused += 1;
            continue;
        };
        last = last.max(now + took);
        let slowdown = took.as_micros() * 1_000 / function.run.as_micros().max(1);
        slowdowns.entry(call.function).or_default().push(slowdown);
    }
    for worker in &mut fleet {
        while let Some(env) = worker.envs.last() {
            let until = (env.free_at + keep).0.min(last.0);
            worker.end(workload, worker.envs.len() - 1, Now(until));
        }
    }
    let micros: u128 = fleet.iter().map(|worker| worker.mb_micros).sum();
    came.memory_mb_secs = u64::try_from(micros / 1_000_000).unwrap_or(u64::MAX);
    came.worst_p99_permille = worst_p99(slowdowns.into_values());
    came
}

/// The largest 99th percentile.
pub(crate) fn worst_p99(of_functions: impl Iterator<Item = Vec<u64>>) -> u64 {
    let p99 = |mut values: Vec<u64>| {
        values.sort_unstable();
        percentile(&values, 99)
    };
    of_functions.map(p99).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const METADATA: &str = "h\nf,30000,10000,100\n";

    fn came(trace: &str, workers: usize, worker_mb: u64) -> Came {
        let workload = Workload::parse(trace, METADATA).unwrap();
        play(&workload, Router::LeastLoaded, workers, worker_mb, Span::secs(600), 1)
    }

    #[test]
    fn what_is_kept_serves_and_what_is_not_is_made_again() {
        // 20 s of init: ready at 20 s, free at 30 s; warm at 40 s; kept until 650 s.
        let warm = came("h\nf,0\nf,40000\n", 1, 1_000);
        assert_eq!((warm.cold, warm.refused, warm.worst_p99_permille), (1, 0, 3_000));
        assert_eq!(warm.memory_mb_secs, 100 * 50);
        assert_eq!(came("h\nf,0\nf,700000\n", 1, 1_000).cold, 2);
        assert_eq!(came("h\nf,0\nf,1000\n", 1, 100).refused, 1);
        assert_eq!(came("h\nf,0\nf,1000\n", 2, 100).cold, 2);
    }
}
