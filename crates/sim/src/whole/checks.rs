//! What must hold of each answer, and of the whole once everything has come to rest:
//! I2, I4, I7, I8 and I27, from what callers, guests, managers and workers say.

use std::{collections::BTreeSet, time::Duration};

use model::{FrontendId, Hosted, ManagerId};
use serde_json::json;
use tokio::time::sleep;
use wire::manager::Inspection;

use super::{
    Answer, Member, World,
    schedule::{Act, Call, Function, Schedule},
};

/// The words that AWS documents for a throttle.
const REASONS: [&str; 6] = [
    "ConcurrentInvocationLimitExceeded",
    "FunctionInvocationRateLimitExceeded",
    "ReservedFunctionConcurrentInvocationLimitExceeded",
    "ReservedFunctionInvocationRateLimitExceeded",
    "CallerRateLimitExceeded",
    "ConcurrentSnapshotCreateLimitExceeded",
];

/// A call's answer fits what its handler did (I8), and a refusal its reason (I27).
pub(super) fn answer(world: &World, schedule: &Schedule, call: &Call, answer: &Answer) {
    let function = &schedule.functions[call.function];
    let began = world.guests.seen().begun(call.number).map_or(0, |begun| begun.times);
    let verdict = match answer.status {
        200 => served(function, call, answer, began),
        429 => throttled(answer).and_then(|()| unrun(began)),
        503 if schedule.is_calm() && !schedule.is_tight() => Err("there is room".into()),
        503 => unavailable(answer).and_then(|()| unrun(began)),
        500 if schedule.is_calm() => Err("nothing has failed".into()),
        500 => named(answer, "ServiceException"),
        _ => Err("there is no such answer to a call".into()),
    };
    if let Err(what) = verdict {
        let (number, status) = (call.number, answer.status);
        let body = String::from_utf8_lossy(&answer.body);
        world.record.violation(format_args!("call {number}, {status}: {what}: {body}"));
    }
}

/// A call runs what its function was when the call was made, or something newer.
pub(super) fn revision(world: &World, call: &Call, at_least: u64) {
    let number = call.number;
    let Some(ran) = world.guests.seen().begun(number).map(|begun| begun.revision) else { return };
    if ran < at_least {
        let what = format_args!("I3: call {number} ran revision {ran}, not {at_least}");
        world.record.violation(what);
    }
}

fn served(function: &Function, call: &Call, answer: &Answer, began: u32) -> Result<(), String> {
    let json = answer.json();
    if !answer.function_error() {
        let own = json["call"] == call.number && began == 1;
        return if own { Ok(()) } else { Err(format!("I8: began {began} times")) };
    }
    let timeout_ms = u64::from(function.timeout_secs) * 1_000;
    let (error, act) = (json["errorType"].as_str().unwrap_or_default(), call.act);
    let fits = match error {
        "Sandbox.Timedout" => {
            matches!(act, Act::Run { ms } if ms >= timeout_ms) || !function.is_sound()
        }
        "Runtime.ExitError" => act == Act::Exit,
        "Runtime.ImportModuleError" => !function.is_sound(),
        _ => false,
    };
    if fits { Ok(()) } else { Err(format!("{error} after {act:?}")) }
}

fn throttled(answer: &Answer) -> Result<(), String> {
    named(answer, "TooManyRequestsException")?;
    let reason = answer.json()["Reason"].as_str().unwrap_or_default().to_owned();
    if !REASONS.contains(&reason.as_str()) {
        return Err(format!("I27: {reason:?} is no reason"));
    }
    let seconds = answer.header("retry-after").and_then(|text| text.parse::<u32>().ok());
    seconds.map(|_| ()).ok_or_else(|| "I27: nobody knows when to come again".into())
}

fn unavailable(answer: &Answer) -> Result<(), String> {
    named(answer, "ServiceUnavailableException")?;
    let reason = &answer.json()["Reason"];
    if reason.is_null() { Ok(()) } else { Err(format!("I27: capacity is no limit: {reason}")) }
}

fn named(answer: &Answer, name: &str) -> Result<(), String> {
    let named = answer.header("x-amzn-errortype").unwrap_or_default();
    if named == name { Ok(()) } else { Err(format!("I27: it is called {named:?}")) }
}

fn unrun(began: u32) -> Result<(), String> {
    if began == 0 { Ok(()) } else { Err(format!("I8: refused, and began {began} times")) }
}

/// Everything that was taken is given back, and everybody knows the same. What is on
/// its way while they are asked gets time to arrive.
pub(super) async fn after_quiet(world: &World) {
    let mut wrong = Vec::new();
    for _ in 0..3 {
        wrong = disagreements(world).await;
        if wrong.is_empty() {
            return;
        }
        sleep(Duration::from_millis(700)).await;
    }
    for what in wrong {
        world.record.violation(format_args!("{what}"));
    }
}

async fn disagreements(world: &World) -> Vec<String> {
    let mut wrong: Vec<String> = Vec::new();
    wrong.extend(world.stopped().iter().map(|member| format!("{member} has failed")));
    let running = world.guests.seen().running(|_| true);
    if running > 0 {
        wrong.push(format!("{running} handlers run on"));
    }
    let mut listed = BTreeSet::new();
    for manager in &world.land.managers {
        let mut hosted = Vec::new();
        for worker in &world.land.workers {
            hosted.extend(world.hosted_for(*worker, *manager).await.unwrap_or_default());
        }
        match world.inspect_one(*manager).await {
            Some(seen) => compare(*manager, &seen, &hosted, &mut wrong),
            None => wrong.push(format!("manager {manager} does not answer")),
        }
        listed.extend(hosted.iter().map(|hosted| format!("env-{:x}", hosted.env.0)));
    }
    let alive = world.guests.seen().alive();
    wrong.extend(alive.difference(&listed).map(|env| format!("I7: nobody hosts {env}")));
    wrong
}

fn compare(manager: ManagerId, seen: &Inspection, hosted: &[Hosted], wrong: &mut Vec<String>) {
    let (granted, in_flight) = (seen.leases_granted, seen.in_flight);
    let ended = seen.leases_started + seen.leases_returned;
    if granted != ended {
        wrong.push(format!("I2: manager {manager} granted {granted} leases, {ended} ended"));
    }
    if seen.lent > 0 {
        wrong.push(format!("I4: manager {manager} has lent {} slots", seen.lent));
    }
    if in_flight > 0 {
        wrong.push(format!("I4: manager {manager} counts {in_flight} in flight"));
    }
    let idle = hosted.iter().filter(|hosted| !hosted.busy).count() as u64;
    let (known, hosted) = ((seen.environments, seen.idle), (hosted.len() as u64, idle));
    if known != hosted {
        wrong.push(format!("I7: manager {manager} knows {known:?}, workers host {hosted:?}"));
    }
}

/// Nothing is wrong any more: every function answers through every frontend.
pub(super) async fn all_is_served(world: &World, schedule: &Schedule) {
    for function in &schedule.functions {
        for frontend in 0..schedule.fleet.frontends {
            let member = Member::Frontend(FrontendId(frontend + 1));
            let headers: &[(&str, &str)] =
                if function.tenants.is_some() { &[("x-amz-tenant-id", "tenant 0")] } else { &[] };
            let event = json!({"ms": 1}).to_string();
            let at = usize::try_from(frontend).unwrap_or(0);
            // The slot of the call before is on its way back.
            sleep(Duration::from_millis(200)).await;
            let answered = world.try_invoke(at, &function.name, &event, headers).await;
            let status = answered.as_ref().map_or(0, |answer| answer.status);
            let expected = if function.reserved == Some(0) { 429 } else { 200 };
            // What idles elsewhere may have all the room, for as long as it is kept.
            let full = status == 503 && schedule.is_tight();
            if status != expected && !full {
                let body = answered.map(|answer| answer.json().to_string()).unwrap_or_default();
                let name = &function.name;
                let what = format_args!("{member} answers {status} for {name} at rest: {body}");
                world.record.violation(what);
            }
        }
    }
}
