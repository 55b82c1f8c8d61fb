//! Tenants of one function through all roles: the cap on their environments, stock
//! for new ones, and a limit for each.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use model::{AtCap, Tenancy};
use serde_json::json;

use sim::whole::{Answer, INIT_MS, World, on_paused_clock};

async fn call(world: &World, tenant: u64, ms: u64) -> Answer {
    let tenant = format!("tenant {tenant}");
    let event = json!({ "ms": ms }).to_string();
    world.invoke_with("f", &event, &[("x-amz-tenant-id", &tenant)]).await
}

fn env_of(answer: &Answer) -> String {
    assert_eq!(answer.status, 200);
    answer.json()["env"].to_string()
}

async fn divided(seed: u64, reserved: Option<u32>, tenancy: Tenancy) -> World {
    let world = World::start(seed).await;
    world.create("f", 30, reserved).await;
    world.separate_tenants("f").await;
    world.set_tenancy("f", tenancy).await;
    world
}

/// Environments of nobody and of tenants.
async fn hosted(world: &World) -> (usize, usize) {
    let hosted = world.hosted().await;
    let generic = hosted.iter().filter(|hosted| hosted.key.tenant.is_none()).count();
    (generic, hosted.len() - generic)
}

#[test]
fn a9_2_twenty_tenants_call_fifty_times_each_and_share_nothing() {
    on_paused_clock(async {
        let world = divided(21, None, Tenancy::default()).await;
        let mut owners = BTreeMap::new();
        for round in 0..50 {
            // The order of the tenants differs from round to round.
            let tenants: Vec<u64> = (0..20).map(|at| (at * 7 + round * 3) % 20).collect();
            let answers = tenants.iter().map(|tenant| call(&world, *tenant, 5));
            let answers = futures_util::future::join_all(answers).await;
            for (tenant, answer) in tenants.iter().zip(&answers) {
                assert_eq!(*owners.entry(env_of(answer)).or_insert(*tenant), *tenant);
                assert_eq!(answer.json()["count"], round + 1, "warm within the tenant");
            }
        }
        assert_eq!(owners.len(), 20);
    });
}

#[test]
fn a9_5_the_twenty_sixth_tenant_is_refused_or_another_ones_environment_ends() {
    on_paused_clock(async {
        for at_cap in [AtCap::Refuse, AtCap::Evict] {
            let world = divided(22, Some(10), Tenancy { at_cap, ..Tenancy::default() }).await;
            let mut envs = Vec::new();
            for tenant in 0..25 {
                envs.push(env_of(&call(&world, tenant, 1).await));
            }
            assert_eq!(hosted(&world).await, (0, 25));
            let late = call(&world, 25, 1).await;
            match at_cap {
                AtCap::Refuse => {
                    assert_eq!(late.status, 429);
                    assert_eq!(late.json()["Type"], "User");
                    let reason = late.json()["Reason"].clone();
                    assert_eq!(reason, "FunctionInvocationRateLimitExceeded");
                    assert_eq!(env_of(&call(&world, 0, 1).await), envs[0], "nobody lost any");
                }
                AtCap::Evict => {
                    assert!(!envs.contains(&env_of(&late)));
                    assert_eq!(env_of(&call(&world, 1, 1).await), envs[1]);
                    assert_ne!(env_of(&call(&world, 0, 1).await), envs[0], "the longest idle");
                }
            }
            assert_eq!(hosted(&world).await, (0, 25));
        }
    });
}

#[test]
fn a9_6_with_a_stock_of_five_a_new_tenant_waits_for_no_init() {
    on_paused_clock(async {
        let world = divided(23, None, Tenancy { stock: 5, ..Tenancy::default() }).await;
        let settled = || tokio::time::sleep(Duration::from_millis(10 * INIT_MS));
        settled().await;
        assert_eq!(hosted(&world).await, (5, 0));
        let mut envs = BTreeSet::new();
        for tenant in 0..8 {
            let began = tokio::time::Instant::now();
            envs.insert(env_of(&call(&world, tenant, 1).await));
            let took = began.elapsed();
            assert!(took.as_millis() < u128::from(INIT_MS), "{took:?} has an init in it");
            settled().await;
            assert_eq!(hosted(&world).await, (5, tenant as usize + 1), "refilled");
        }
        assert_eq!(envs.len(), 8);
        assert!(envs.contains(&env_of(&call(&world, 0, 1).await)), "bound from then on");
        // New code: the stock is of it, whoever was bound to the old one is gone.
        world.change("f").await;
        settled().await;
        assert_eq!(hosted(&world).await, (5, 0));
        world.set_tenancy("f", Tenancy::default()).await;
        tokio::time::sleep(Duration::from_secs(120)).await;
        assert_eq!(hosted(&world).await, (0, 0), "what is not wanted any more drains");
    });
}

#[test]
fn one_tenant_can_be_kept_from_taking_all() {
    on_paused_clock(async {
        let limited = Tenancy { tenant_concurrency: Some(2), ..Tenancy::default() };
        let world = divided(24, Some(10), limited).await;
        let calls = (0..4).map(|_| call(&world, 1, 500));
        let (mut answers, other) =
            tokio::join!(futures_util::future::join_all(calls), call(&world, 2, 500));
        assert_eq!(other.status, 200);
        answers.sort_by_key(|answer| answer.status);
        let statuses: Vec<_> = answers.iter().map(|answer| answer.status).collect();
        assert_eq!(statuses, [200, 200, 429, 429]);
    });
}
