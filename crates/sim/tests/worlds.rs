//! Whole runs: determinism, faults under every numbered invariant, and traces. Seeds
//! that failed once are replayed by `seeds`.

use decide::Dice;
use model::Span;
use sim::{
    Config, Faults, Workload,
    optimum::{Init, cold_starts},
    run,
};

fn small(seed: u64) -> Workload {
    Workload::random(&mut Dice::new(seed), 6, 400)
}

fn busy_world() -> Config {
    Config {
        frontends: 3,
        managers: 4,
        workers: 3,
        worker_memory_mb: 8_192,
        concurrency: 60,
        faults: Faults::SOME,
        keep_log: true,
        ..Config::default()
    }
}

#[test]
fn the_same_seed_gives_the_same_bytes() {
    let (config, workload) = (busy_world(), small(1));
    let (one, two) = (run(&config, &workload, 7), run(&config, &workload, 7));
    assert_eq!(one.log, two.log);
    assert_eq!(one.to_string(), two.to_string());
    let other = run(&config, &workload, 8);
    assert_ne!(one.digest, other.digest);
}

#[test]
fn every_call_ends_once_whatever_fails() {
    for seed in 0..40 {
        let config = Config::random(&mut Dice::new(seed));
        let outcome = run(&config, &small(seed), seed);
        let ended = outcome.warm + outcome.cold + outcome.failed + outcome.lost;
        assert_eq!(ended + outcome.refused_sum(), 400, "seed {seed}\n{outcome}");
    }
}

#[test]
fn without_faults_and_limits_everything_is_served() {
    let config = Config { concurrency: 10_000, ..Config::default() };
    let workload = small(3);
    let outcome = run(&config, &workload, 3);
    assert_eq!(outcome.warm + outcome.cold, 400, "{outcome}");
    let own = cold_starts(&workload, Init::Own);
    assert!(outcome.starts <= own + own / 10, "{} starts, {own} in the ideal", outcome.starts);
}

#[test]
fn with_instant_inits_cold_starts_are_the_optimum() {
    let config = Config { concurrency: 10_000, ..Config::default() };
    // Messages take up to 3 ms where the optimum's take nothing.
    let metadata = "h\nf,50,50,64\ng,900,900,64\n";
    let mut trace = String::from("h\n");
    for at in 0..200 {
        trace.push_str(&format!("f,{}\ng,{}\n", at * 60, at * 100));
    }
    let workload = Workload::parse(&trace, metadata).unwrap().with_init(Span::ZERO);
    let outcome = run(&config, &workload, 1);
    assert_eq!(outcome.cold, cold_starts(&workload, Init::Instant) + 1, "{outcome}");
}

#[test]
fn a_real_trace_makes_few_cold_starts() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data/iluvatar-");
    let read = |name| std::fs::read_to_string(format!("{folder}{name}.csv")).ok();
    // The trace is not part of the project; where it is missing there is nothing to play.
    let (Some(trace), Some(metadata)) = (read("trace"), read("metadata")) else { return };
    let workload = Workload::parse(&trace, &metadata).unwrap();
    assert_eq!(cold_starts(&workload, Init::Instant), 62);
    assert_eq!(cold_starts(&workload, Init::Own), 1_046);
    let four_gib = Config { concurrency: 100_000, worker_memory_mb: 4_096, ..Config::default() };
    let outcome = run(&four_gib, &workload, 1);
    assert_eq!(outcome.refused_sum(), 0, "{outcome}");
    assert!(outcome.cold <= 100, "{outcome}");
    let instant = run(&four_gib, &workload.with_init(Span::millis(3)), 1);
    assert_eq!((instant.cold, instant.refused_sum()), (62, 0), "{instant}");
}

#[test]
fn a7_1_many_frontends_grow_one_set_together() {
    // 20 frontends, 55 calls of two seconds within 100 ms, 10 at a manager.
    let metadata = "h\nf,2020,2000,64\n";
    let mut trace = String::from("h\n");
    for call in 0..55 {
        trace.push_str(&format!("f,{}\n", call * 2));
    }
    let workload = Workload::parse(&trace, metadata).unwrap();
    let config = Config {
        frontends: 20,
        managers: 100,
        workers: 4,
        concurrency: 1_000,
        keep_log: true,
        ..Config::default()
    };
    let outcome = run(&config, &workload, 71);
    assert_eq!((outcome.warm + outcome.cold, outcome.refused_sum()), (55, 0), "{outcome}");
    let log = outcome.log.unwrap();
    let granted = |manager: u32| log.contains(&format!("manager {manager} Granted"));
    let members = (0..100).filter(|manager| granted(*manager)).count();
    assert!((6..=7).contains(&members), "{members} managers served it");
}
