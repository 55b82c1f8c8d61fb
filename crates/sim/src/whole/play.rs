//! Performs a schedule: the load, the faults and what undoes them, then quiet, then the
//! checks, then calls that must succeed because nothing is wrong any more.

use std::{sync::Arc, time::Duration};

use decide::{arcs, ring::Ring};
use futures_util::future::join_all;
use model::{Now, RingVersion, Span};
use platform::{Entropy, transport::Pace};
use serde_json::json;
use tokio::time::{sleep, timeout};

use super::{
    Disk, Member, NoAnswer, World, caught, checks, on_paused_clock,
    schedule::{Act, Burst, Call, Fault, Function, Schedule, What},
    watch::Watch,
    world::{Settings, account},
};

/// What a seed came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    pub seed: u64,
    pub digest: u128,
    pub lines: u64,
    pub calls: u64,
    /// Answered with 200.
    pub served: u64,
    /// Of those that were answered.
    pub longest_ms: u64,
    pub violations: Vec<String>,
    /// Where it was to be kept.
    pub log: Option<String>,
}

/// How much of a run is shown.
#[derive(Clone, Copy, Debug, Default)]
pub struct Show {
    pub keep: bool,
    pub echo: bool,
}

/// The world's last fault is over by then, its effects have ended by their terms: a
/// silent connection is given up after 20 s, leases end after 15 s, handlers after 8 s.
const QUIET: Duration = Duration::from_secs(60);
/// After the calls that come last: frontends give slots back that two heartbeats did not
/// need.
const AFTERWARDS: Duration = Duration::from_secs(20);
/// No call waits longer than this beside its timeout.
const PATIENCE: Duration = Duration::from_secs(60);

/// Plays one seed. `disk` may be used for many.
pub fn play(seed: u64, disk: &Arc<Disk>, show: Show) -> Verdict {
    let schedule = Schedule::draw(seed);
    if show.echo {
        print!("{schedule}");
    }
    let disk = Arc::clone(disk);
    let (verdict, panics) = caught::panics(|| {
        on_paused_clock(async move {
            let world = World::made(settings(&schedule, seed, show), disk).await;
            let mut stage = Stage { world: &world, schedule: &schedule, watch: Watch::default() };
            stage.perform(seed).await
        })
    });
    let lost = || Verdict {
        seed,
        digest: 0,
        lines: 0,
        calls: 0,
        served: 0,
        longest_ms: 0,
        violations: Vec::new(),
        log: None,
    };
    let mut verdict = verdict.unwrap_or_else(lost);
    verdict.violations.extend(panics);
    verdict
}

fn settings(schedule: &Schedule, seed: u64, show: Show) -> Settings {
    let (least, most) = schedule.pace;
    let dice = Entropy::seeded(!seed);
    let defaults = decide::book::Config::default();
    Settings {
        book: decide::book::Config { idle_ttl: schedule.idle_ttl, ..defaults },
        memory_mb: schedule.memory_mb,
        doubles: schedule.doubles,
        pace: Some(Pace { least, most, dice }),
        keep_log: show.keep,
        echo_log: show.echo,
        ..Settings::calm(seed, schedule.fleet)
    }
}

pub(super) struct Stage<'s> {
    pub(super) world: &'s World,
    pub(super) schedule: &'s Schedule,
    pub(super) watch: Watch,
}

/// What became of one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Ended {
    status: u16,
    took_ms: u64,
}

impl Stage<'_> {
    async fn perform(&mut self, seed: u64) -> Verdict {
        let (world, schedule) = (self.world, self.schedule);
        if let Some(concurrency) = schedule.account {
            world.limit(concurrency).await;
        }
        if schedule.rings {
            world.publish_next(u64::MAX, 1).await;
        }
        for function in &schedule.functions {
            add(world, function).await;
        }
        // Managers know their workers by then.
        sleep(Duration::from_secs(1)).await;
        let began = world.clock.now();
        let load = join_all(schedule.bursts.iter().map(|burst| run(world, schedule, burst, began)));
        let faults = join_all(schedule.faults.iter().map(|fault| inflict(world, fault, began)));
        let play = async {
            let ended = tokio::join!(load, faults).0;
            sleep(QUIET).await;
            ended
        };
        let watch = self.watch.go_on(world, schedule, began);
        let ended: Vec<Ended> = tokio::select! {
            biased;
            ended = play => ended.into_iter().flatten().flatten().collect(),
            () = watch => Vec::new(),
        };
        self.watch.look(world, schedule, began).await;
        checks::after_quiet(world).await;
        checks::all_is_served(world, schedule).await;
        sleep(AFTERWARDS).await;
        checks::after_quiet(world).await;
        let record = &world.record;
        Verdict {
            seed,
            digest: record.digest(),
            lines: record.lines(),
            calls: schedule.bursts.iter().map(|burst| burst.calls.len() as u64).sum(),
            served: ended.iter().filter(|ended| ended.status == 200).count() as u64,
            longest_ms: ended.iter().map(|ended| ended.took_ms).max().unwrap_or(0),
            violations: record.violations(),
            log: record.text(),
        }
    }
}

async fn add(world: &World, function: &Function) {
    let new = super::New {
        name: &function.name,
        timeout_secs: function.timeout_secs,
        memory_mb: function.memory_mb,
        reserved: function.reserved,
        handler: function.handler,
        per_tenant: function.tenants.is_some(),
    };
    world.add(&new).await;
}

async fn run(world: &World, schedule: &Schedule, burst: &Burst, began: Now) -> Vec<Option<Ended>> {
    world.clock.sleep_until(began + Span::millis(burst.at_ms)).await;
    join_all(burst.calls.iter().map(|call| make(world, schedule, call))).await
}

/// None: nobody was there to answer, or to hear it.
async fn make(world: &World, schedule: &Schedule, call: &Call) -> Option<Ended> {
    let function = &schedule.functions[call.function];
    let Call { number, tenant, .. } = call;
    let event = match call.act {
        Act::Exit => json!({"call": number, "exit": 1}),
        Act::Run { ms } => json!({"call": number, "ms": ms}),
    };
    let tenant = tenant.map(|tenant| format!("tenant {tenant}"));
    let headers: Vec<(&str, &str)> =
        tenant.iter().map(|tenant| ("x-amz-tenant-id", tenant.as_str())).collect();
    let revision = world.revision(&function.name);
    let began = world.clock.now();
    let event = event.to_string();
    let answer = world.try_invoke(call.frontend, &function.name, &event, &headers);
    let bound = Duration::from_secs(u64::from(function.timeout_secs)) + PATIENCE;
    let patience = call.patience_ms.map_or(bound, Duration::from_millis);
    let answered = timeout(patience, answer).await;
    let took_ms = world.clock.now().since(began).as_millis();
    match answered {
        Ok(Ok(answer)) => {
            world.record.line(format_args!("call {number}: {} in {took_ms} ms", answer.status));
            checks::answer(world, schedule, call, &answer);
            checks::revision(world, call, revision);
            Some(Ended { status: answer.status, took_ms })
        }
        Ok(Err(NoAnswer)) => {
            world.record.line(format_args!("call {number}: nobody answers"));
            if schedule.is_calm() {
                world.record.violation(format_args!("call {number}: nobody answers"));
            }
            None
        }
        Err(_) => {
            world.record.line(format_args!("call {number}: given up"));
            if call.patience_ms.is_none() {
                world.record.violation(format_args!("call {number} hangs after {took_ms} ms"));
            }
            None
        }
    }
}

async fn inflict(world: &World, fault: &Fault, began: Now) {
    let begins = began + Span::millis(fault.at_ms);
    world.clock.sleep_until(begins).await;
    world.record.line(format_args!("fault: {:?} for {} ms", fault.what, fault.for_ms));
    let network = &world.land.network;
    let over = world.clock.sleep_until(begins + Span::millis(fault.for_ms));
    let name = |member: Member| member.to_string();
    match fault.what {
        What::Kill { member, loudly } => {
            world.kill(member, loudly);
            over.await;
            world.revive(member).await;
        }
        What::Part(one, other) => {
            network.part(&name(one), &name(other));
            over.await;
            network.join(&name(one), &name(other));
        }
        What::Silence(member) => {
            network.silence(&name(member));
            over.await;
            network.hear(&name(member));
        }
        What::Cut(member) => world.cut(member),
        What::CutBetween(one, other) => network.cut_between(&name(one), &name(other)),
        What::CutFrom(one, other) => network.cut_from(&name(one), &name(other)),
        What::Clock { member, by_ms } => world.step_clock(member, by_ms),
        What::Change { function } => {
            world.change(&format!("f{function}")).await;
        }
        What::Ring { members, spread } => world.publish_next(members, spread).await,
    }
    world.record.line(format_args!("fault is over: {:?}", fault.what));
}

/// The member whose counter holds the limits.
pub(super) fn counter(world: &World) -> Option<Member> {
    let ring = Ring::new(RingVersion(1), &world.land.managers);
    ring.owner(arcs::start_of_account(account())).map(Member::Manager)
}
