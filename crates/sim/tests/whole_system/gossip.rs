//! How the size of a client's set travels between frontends (A7): with managers' answers,
//! and by gossip, which is sooner.

use std::time::Duration;

use model::FrontendId;
use serde_json::json;
use sim::whole::{Answer, Fleet, Member, World, on_paused_clock};

/// Each manager holds a hundred calls of the account.
const TEN: Fleet = Fleet { frontends: 3, managers: 10, workers: 3 };

async fn calls(world: &World, frontends: &[usize], calls: usize, ms: u64) -> Vec<Answer> {
    let event = json!({ "ms": ms }).to_string();
    let at = |call: usize| frontends[call % frontends.len()];
    let calls = (0..calls).map(|call| world.invoke_at(at(call), "f", &event, &[]));
    futures_util::future::join_all(calls).await
}

fn served(answers: &[Answer]) -> usize {
    answers.iter().filter(|answer| answer.status == 200).count()
}

fn sizes(world: &World) -> Vec<u16> {
    world.widths().into_iter().map(|(size, _)| size).collect()
}

async fn wide(seed: u64, frontends: &[usize]) -> World {
    let world = World::sized(seed, TEN).await;
    world.create("f", 30, None).await;
    assert_eq!(served(&calls(&world, frontends, 250, 2_000).await), 250);
    world
}

#[test]
fn a7_1_twenty_frontends_grow_one_set_without_a_refusal() {
    on_paused_clock(async {
        let fleet = Fleet { frontends: 20, managers: 100, workers: 3 };
        let world = World::sized(81, fleet).await;
        world.create("f", 30, None).await;
        let all: Vec<usize> = (0..20).collect();
        let began = tokio::time::Instant::now();
        let burst = calls(&world, &all, 55, 20_000);
        let grown = async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            world.guests.most_at_once()
        };
        let (answers, running) = futures_util::future::join(burst, grown).await;
        assert_eq!((served(&answers), running), (55, 55), "within a second");
        assert!(began.elapsed() < Duration::from_secs(22));
        let holders = world.holders().await;
        assert!((6..=7).contains(&holders), "{holders} managers");
        assert!(sizes(&world).iter().all(|size| (6..=7).contains(size)), "{:?}", sizes(&world));
    });
}

#[test]
fn a7_2_an_empty_frontend_learns_the_size_with_its_first_answer() {
    on_paused_clock(async {
        let world = wide(82, &[0, 1, 2]).await;
        world.lose_gossip(1_000);
        tokio::time::sleep(Duration::from_secs(1)).await;
        let third = Member::Frontend(FrontendId(3));
        world.kill(third, true);
        world.revive(third).await;
        let before = sizes(&world);
        assert!(before[0] == 3 && before[2] == 1, "{before:?}");
        let starts = world.inspect().await.starts;
        assert_eq!(served(&calls(&world, &[2], 1, 10).await), 1);
        assert_eq!(sizes(&world)[2], before[0]);
        for frontend in [2, 0] {
            for _ in 0..5 {
                assert_eq!(served(&calls(&world, &[frontend], 2, 10).await), 2);
            }
        }
        assert_eq!(world.inspect().await.starts, starts, "every call was warm");
    });
}

#[test]
fn a7_3_without_gossip_sizes_meet_within_two_seconds() {
    on_paused_clock(async {
        let world = World::sized(83, TEN).await;
        world.create("f", 30, None).await;
        world.lose_gossip(1_000);
        let burst = calls(&world, &[0], 250, 4_000);
        let steady = async {
            // The burst is on its way; then a hundred calls a second, for two seconds.
            tokio::time::sleep(Duration::from_millis(500)).await;
            let alone = sizes(&world);
            for _ in 0..20 {
                assert_eq!(served(&calls(&world, &[1, 2], 10, 10).await), 10);
                tokio::time::sleep(Duration::from_millis(90)).await;
            }
            (alone, sizes(&world))
        };
        let (answers, (alone, together)) = futures_util::future::join(burst, steady).await;
        assert_eq!(served(&answers), 250);
        assert!(alone[0] >= 3 && alone[1..] == [1, 1], "{alone:?}");
        assert!(together.iter().all(|size| *size == alone[0]), "{together:?}");
    });
}

/// A burst, then five calls a second through one frontend: the sizes after each second.
async fn up_and_down(seed: u64, lost: u64) -> (World, Vec<Vec<u16>>) {
    let world = wide(seed, &[0, 1, 2]).await;
    world.lose_gossip(lost);
    let mut seen = Vec::new();
    for _ in 0..180 {
        assert_eq!(served(&calls(&world, &[0], 5, 100).await), 5);
        tokio::time::sleep(Duration::from_millis(900)).await;
        seen.push(sizes(&world));
    }
    (world, seen)
}

fn longest_disagreement(seen: &[Vec<u16>]) -> usize {
    let differ = seen.iter().map(|sizes| sizes.iter().any(|size| *size != sizes[0]));
    let mut longest = 0;
    differ.fold(0, |run, differ| {
        let run = if differ { run + 1 } else { 0 };
        longest = longest.max(run);
        run
    });
    longest
}

#[test]
fn a7_4_one_frontend_shrinks_and_all_agree_within_two_seconds() {
    on_paused_clock(async {
        let (world, seen) = up_and_down(84, 0).await;
        let shrank: Vec<usize> = world.widths().into_iter().map(|(_, shrinks)| shrinks).collect();
        assert_eq!(shrank.iter().filter(|shrinks| **shrinks > 0).count(), 1, "{shrank:?}");
        assert_eq!(seen.last().unwrap(), &[1, 1, 1]);
        assert!(longest_disagreement(&seen) <= 2, "{seen:?}");
    });
    // The control run: without gossip, who is not called does not hear of it.
    on_paused_clock(async {
        let (_world, seen) = up_and_down(84, 1_000).await;
        assert!(longest_disagreement(&seen) > 10, "{seen:?}");
    });
}

#[test]
fn a7_5_with_half_of_the_gossip_lost_nobody_below_the_limit_is_refused() {
    for seed in 85..88 {
        on_paused_clock(async {
            let world = World::sized(seed, TEN).await;
            world.limit(100).await;
            world.create("f", 30, None).await;
            world.lose_gossip(500);
            for _ in 0..5 {
                let answers = calls(&world, &[0, 1, 2], 100, 1_000).await;
                assert_eq!(served(&answers), 100, "seed {seed}");
                tokio::time::sleep(Duration::from_secs(20)).await;
            }
        });
    }
}
