//! Regions at a size that a test can play: every numbered invariant, the same result
//! twice, and what the acceptance lists ask of many frontends and managers together.

use decide::Dice;
use model::{Now, Reason, Span, limits};
use sim::region::{Arrivals, Config, Distributions, Function, Incident, Population, Summary, play};

fn small() -> Config {
    Config {
        frontends: 10,
        managers: 60,
        workers: 60,
        slots_per_worker: 40,
        managers_per_worker: 6,
        span: Span::secs(60),
        ..Config::default()
    }
}

fn drawn(functions: usize, busy: f64, seed: u64) -> Population {
    Population::draw(&Distributions::rough(), functions, busy, &mut Dice::new(seed))
}

/// One function of account 1 whose calls take so long.
fn function(account: u32, init: Span, run: Span) -> Function {
    Function { account, init, run, memory_mb: 128, rate: 0.0, batch: 1.0 }
}

fn listed(calls: impl Iterator<Item = (u64, u32)>) -> Arrivals {
    let mut calls: Vec<_> =
        calls.map(|(ms, function)| (Now(0) + Span::millis(ms), function)).collect();
    calls.sort();
    Arrivals::Listed(calls)
}

fn served(summary: &Summary) -> u64 {
    summary.warm + summary.cold
}

#[test]
fn a_region_keeps_its_invariants_and_says_the_same_twice() {
    let (config, population) = (small(), drawn(20_000, 700.0, 1));
    let arrivals = Arrivals::Drawn(config.span);
    let one = play(&config, &population, &arrivals, 5);
    assert_eq!(served(&one) + one.refused_sum(), one.calls, "{one}");
    assert!(one.calls > 5_000 && one.probes < 2 * one.calls, "{one}");
    assert_eq!(one.to_string(), play(&config, &population, &arrivals, 5).to_string());
    assert_ne!(one.to_string(), play(&config, &population, &arrivals, 6).to_string());
}

#[test]
fn the_cost_of_a_call_does_not_grow_with_the_members() {
    // The same calls, over 20 and over 400 managers: as many decisions for each.
    let population = drawn(5_000, 300.0, 2);
    let decisions = |managers: usize| {
        let config = Config { managers, workers: managers, concurrency: 200, ..small() };
        let summary = play(&config, &population, &Arrivals::Drawn(config.span), 7);
        summary.decisions * 100 / summary.calls
    };
    let (few, many) = (decisions(20), decisions(400));
    assert!(many <= few + few / 50, "{few} and {many} decisions for a hundred calls");
}

#[test]
fn x2_frontends_come_under_load_and_no_lease_leaks() {
    let population = drawn(5_000, 600.0, 3);
    let second = |n: u64| Now(0) + Span::secs(n);
    let grow =
        (0..10).map(|n| (second(20 + n), Incident::Frontends(3 + 47 * (n as usize + 1) / 10)));
    // Some die with what they were granted; their leases have to return as well.
    let die = (0..20)
        .map(|n| (second(25) + Span::millis(700 * n), Incident::FrontendDies(n as usize % 3)));
    let incidents = grow.chain(die).collect();
    let config = Config { frontends: 3, incidents, ..small() };
    let summary = play(&config, &population, &Arrivals::Drawn(config.span), 11);
    // Also asserted when the region is quiet: granted = started + returned (I2).
    let leases = summary.leases;
    assert_eq!(leases.granted, leases.started + leases.returned);
    assert!(summary.lost_calls > 0 && leases.granted > 5_000, "{summary}");
    // Nobody's lease was open for longer than a message takes, or T_lease.
    assert!(summary.leases_open_max < 100, "{} open at once", summary.leases_open_max);
}

#[test]
fn x3_a_zones_managers_are_lost_and_the_books_are_rebuilt_from_the_workers() {
    let population = drawn(3_000, 600.0, 4);
    let lost = (Now(0) + Span::secs(40), Incident::ZoneLost { zone: 1, of: 3 });
    let config = Config { span: Span::secs(80), incidents: vec![lost], ..small() };
    let arrivals = Arrivals::Drawn(config.span);
    let summary = play(&config, &population, &arrivals, 13);
    let without = Config { incidents: Vec::new(), ..config };
    let control = play(&without, &population, &arrivals, 13);
    let (after, calm) = (summary.warm_permille(43..60), control.warm_permille(43..60));
    assert!(after * 100 >= calm * 95, "{after} warm of 1000, {calm} where no zone is lost");
    assert_eq!(served(&summary) + summary.refused_sum(), summary.calls);
    assert_eq!(summary.refused.get(&Reason::NoManager), None, "{summary}");
}

/// A hundred at once, then five at once for long: the client's set grows and shrinks.
fn up_and_down(config: &Config, seed: u64) -> Summary {
    let population =
        Population { functions: vec![function(1, Span::millis(50), Span::millis(900))] };
    let burst = (0..100).map(|n| (n, 0));
    let steady = (3..400).flat_map(|second| (0..5).map(move |n| (second * 1_000 + n, 0)));
    let config = Config { span: Span::secs(400), ..config.clone() };
    play(&config, &population, &listed(burst.chain(steady)), seed)
}

#[test]
fn a6_7_a_set_shrinks_back_and_the_steady_five_stay_warm() {
    let summary = up_and_down(&small(), 23);
    assert!(summary.shrinks >= 5, "{} shrinks", summary.shrinks);
    assert_eq!(summary.widest_last, 1, "the set is one manager again");
    let cold_later = summary.cold_after(5);
    assert!(cold_later <= 5, "{cold_later} cold starts of the steady five");
}

/// Its control run is that of the real roles (`whole_system/gossip.rs`): by the end
/// answers alone bring the same.
#[test]
fn a7_4_one_frontend_shrinks_and_all_agree() {
    let summary = up_and_down(&small(), 24);
    assert_eq!(summary.shrunk_by.len(), 1, "{:?}", summary.shrunk_by);
    assert_eq!((summary.widest_last, summary.narrower_last), (1, 0));
}

#[test]
fn a7_1_twenty_frontends_share_one_set_without_a_refusal() {
    for seed in 0..10 {
        let summary = one_client(seed, 0);
        assert_eq!((served(&summary), summary.refused_sum()), (55, 0), "{summary}");
        let used = summary.managers_used;
        assert!((6..=7).contains(&used), "seed {seed}: {used} managers");
    }
}

#[test]
fn a7_5_lost_gossip_refuses_nobody() {
    for seed in 0..10 {
        for loss_percent in [50, 100] {
            let summary = one_client(seed, loss_percent);
            assert_eq!((served(&summary), summary.refused_sum()), (55, 0), "{summary}");
        }
    }
}

/// 55 calls of one client at once over 20 frontends, 10 at a manager.
fn one_client(seed: u64, gossip_loss_percent: u64) -> Summary {
    let population = Population { functions: vec![function(1, Span::millis(20), Span::secs(20))] };
    let calls = listed((0..55).map(|n| (n, 0)));
    let config = Config { frontends: 20, managers: 100, workers: 100, ..small() };
    let config = Config { managers_per_worker: 10, concurrency: 1_000, ..config };
    play(&Config { gossip_loss_percent, ..config }, &population, &calls, seed)
}

#[test]
fn a7_6_gossip_of_a_hundred_frontends_is_small() {
    // 10,000 clients; a hundred of them grow within the ten seconds that are news.
    let function = |n| function(n, Span::millis(20), Span::millis(500));
    let population = Population { functions: (0..10_000).map(function).collect() };
    let bursts = (0..60).flat_map(|second| (0..10).map(move |n| (second, second as u32 * 10 + n)));
    let calls =
        bursts.flat_map(|(second, client)| (0..30).map(move |n| (second * 1_000 + n, client)));
    let config = Config { frontends: 100, managers: 100, workers: 100, ..small() };
    let config = Config { managers_per_worker: 10, ..config };
    let summary = play(&config, &population, &listed(calls), 37);
    let (frontends, seconds) = (100, 70);
    let each = summary.gossip_bytes / frontends / seconds;
    assert!(each > 500, "{each} bytes a second: something was told");
    assert!(each < 50_000, "{each} bytes a second of each frontend");
}

/// The largest cell that the file of members and the ring publisher take.
#[test]
fn x4_a_cell_of_the_largest_size_serves_and_owes_nothing() {
    let config = Config { span: Span::secs(20), ..Config::default() };
    assert_eq!(config.managers, limits::CELL_MANAGERS_MAX);
    let population = drawn(20_000, 2_000.0, 4);
    // Ends with assertions of I1 to I5, I7 and I27, and that the books agree.
    let summary = play(&config, &population, &Arrivals::Drawn(config.span), 5);
    assert!(summary.calls > 1_000 && summary.lost_calls == 0, "{summary}");
}
