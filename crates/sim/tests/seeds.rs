//! Random transitions of one book beside the reference model, and schedules of the
//! whole system: a few hundred seeds, and every seed that ever failed.

use std::sync::Arc;

use sim::{
    fuzz,
    whole::{self, Disk, Show, Verdict},
};

const FAILED_ONCE: &str = include_str!("../seeds.txt");

#[test]
fn books_and_the_model_agree() {
    for seed in 0..300 {
        if let Err(parted) = fuzz::play(seed) {
            panic!("{parted}");
        }
    }
}

#[test]
fn seeds_that_failed_once_stay_right() {
    let lines = FAILED_ONCE.lines().map(str::trim);
    for line in lines.filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let mut words = line.split_whitespace();
        let (what, seed) = (words.next(), words.next().and_then(|seed| seed.parse().ok()));
        match (what, seed) {
            (Some("book"), Some(seed)) => {
                if let Err(parted) = fuzz::play(seed) {
                    panic!("{parted}");
                }
            }
            (Some("world"), Some(seed)) => {
                fuzz::play_world(seed, false);
            }
            (Some("whole"), Some(seed)) => whole_holds(seed),
            (_, _) => panic!("book, world or whole, a seed and a note, not {line:?}"),
        }
    }
}

fn whole_holds(seed: u64) {
    let disk = Arc::new(Disk::new().unwrap());
    let verdict = whole::play(seed, &disk, Show::default());
    assert!(verdict.violations.is_empty(), "whole {seed}: {:#?}", verdict.violations);
}

/// A few of those that `sim whole` plays by the thousand.
#[test]
fn i1_to_i8_and_i27_hold_in_schedules_of_the_whole_system() {
    let seeds = 20_000;
    let sum = whole::play_many(
        1,
        seeds,
        false,
        |seed| seed < seeds + 25,
        |verdict| {
            let Verdict { seed, violations, .. } = verdict;
            assert!(violations.is_empty(), "whole {seed}: {violations:#?}");
        },
    );
    let sum = sum.unwrap();
    assert_eq!(sum.schedules, 25);
    assert!(sum.served > 200, "{sum}");
}

#[test]
fn one_seed_of_the_whole_system_has_the_same_history_twice() {
    let disk = Arc::new(Disk::new().unwrap());
    for seed in [11, 27] {
        let once = || whole::play(seed, &disk, Show { keep: true, echo: false });
        let (first, second) = (once(), once());
        assert_eq!(first.log, second.log);
        assert_eq!(first, second);
        assert!(first.lines > 50, "{} lines", first.lines);
        assert_ne!(whole::play(seed + 1, &disk, Show::default()).digest, first.digest);
    }
}

#[test]
fn worlds_keep_their_invariants() {
    for seed in 0..60 {
        fuzz::play_world(seed, false);
    }
}

#[test]
fn one_seed_says_the_same_twice() {
    assert_eq!(fuzz::play(5), fuzz::play(5));
    assert_ne!(fuzz::play(5), fuzz::play(6));
}
