//! Scenes of the whole system: the real roles, each in a process of its own, and what
//! callers, guests and the operator see of them. `sim whole` plays schedules by seed.

mod affinity;
mod allowance;
mod apart;
mod figures;
mod fleet;
mod gossip;
mod limits;
mod reuse;
mod rings;
mod settings;
mod tenants;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use model::Span;
use serde_json::{Value, json};
use sim::whole::{self, Answer, New, World, on_paused_clock};
use wire::worker::{Refusal, Run, WorkerAnswer, WorkerCall};

#[test]
fn a_call_runs_in_a_new_environment_and_the_next_one_in_the_same() {
    on_paused_clock(async {
        let world = World::start(1).await;
        world.create("f", 3, None).await;
        let first = world.invoke("f", json!({"ms": 20})).await;
        let second = world.invoke("f", json!({"ms": 20})).await;
        assert_eq!((first.status, second.status), (200, 200));
        assert_eq!(first.json()["env"], second.json()["env"]);
        assert_eq!(world.inspect().await.starts, 1);
    });
}

#[test]
fn concurrent_calls_never_share_an_environment() {
    on_paused_clock(async {
        let world = World::start(2).await;
        world.create("f", 3, None).await;
        let answers = world.invoke_all("f", vec![json!({"ms": 100}); 50]).await;
        assert!(answers.iter().all(|answer| answer.status == 200));
        let mut envs: Vec<String> = answers.iter().map(|a| a.json()["env"].to_string()).collect();
        envs.sort();
        envs.dedup();
        assert_eq!(envs.len(), 50);
        assert_eq!(world.guests.most_at_once_in_one(), 1);
    });
}

#[test]
fn i2_every_lease_is_started_or_returned() {
    on_paused_clock(async {
        let world = World::start(3).await;
        world.create("f", 3, None).await;
        for _ in 0..5 {
            world.invoke_all("f", vec![json!({"ms": 10}); 20]).await;
        }
        tokio::time::sleep(Duration::from_secs(3)).await;
        let seen = world.inspect().await;
        assert_eq!(seen.leases_granted, 100);
        assert_eq!(seen.leases_granted, seen.leases_started + seen.leases_returned);
        assert_eq!(seen.in_flight, 0);
    });
}

#[test]
fn a6_6_reserved_zero_refuses_every_call_and_touches_no_environment() {
    on_paused_clock(async {
        let world = World::start(4).await;
        world.create("f", 3, Some(0)).await;
        let refused = world.invoke("f", json!({})).await;
        assert_eq!(refused.status, 429);
        let reason = "ReservedFunctionConcurrentInvocationLimitExceeded";
        assert_eq!(refused.json()["Reason"], reason);
        assert!(refused.headers.contains_key("retry-after"));
        assert_eq!(world.inspect().await.starts, 0);
    });
}

#[test]
fn reserved_concurrency_holds_under_concurrency() {
    on_paused_clock(async {
        let world = World::start(5).await;
        world.create("f", 3, Some(7)).await;
        let answers = world.invoke_all("f", vec![json!({"ms": 500}); 40]).await;
        let ran = answers.iter().filter(|answer| answer.status == 200).count();
        let refused = answers.iter().filter(|answer| answer.status == 429).count();
        assert_eq!((ran, refused), (7, 33));
        assert_eq!(world.guests.most_at_once(), 7);
        let again = world.invoke_all("f", vec![json!({"ms": 1}); 7]).await;
        assert!(again.iter().all(|answer| answer.status == 200));
    });
}

#[test]
fn a_timeout_is_told_at_its_second_and_ends_the_environment() {
    on_paused_clock(async {
        let world = World::start(6).await;
        world.create("f", 3, None).await;
        let began = tokio::time::Instant::now();
        let late = world.invoke("f", json!({"ms": 60_000})).await;
        let took = began.elapsed();
        assert_eq!((late.status, late.function_error()), (200, true));
        assert_eq!(late.json()["errorType"], "Sandbox.Timedout");
        let message = late.json()["errorMessage"].as_str().unwrap_or_default().to_owned();
        assert!(message.ends_with("Error: Task timed out after 3.00 seconds"), "{message}");
        let init = Duration::from_millis(whole::INIT_MS);
        assert_eq!((took - init).as_millis(), 3_000);
        let next = world.invoke("f", json!({"ms": 1})).await;
        assert_eq!(next.json()["count"], 1, "a fresh environment");
        assert_eq!(world.inspect().await.starts, 2);
    });
}

#[test]
fn an_init_longer_than_its_phase_goes_on_within_the_first_call() {
    on_paused_clock(async {
        let world = World::start(11).await;
        world
            .add(&New { name: "f", timeout_secs: 30, handler: whole::SLOW_INIT, ..New::default() })
            .await;
        let began = tokio::time::Instant::now();
        let answer = world.invoke("f", json!({"ms": 5})).await;
        assert_eq!((answer.status, answer.function_error()), (200, false));
        let took = u64::try_from(began.elapsed().as_millis()).unwrap();
        assert!((whole::SLOW_INIT_MS..whole::SLOW_INIT_MS + 50).contains(&took), "{took} ms");
        assert_eq!(world.invoke("f", json!({"ms": 5})).await.json()["count"], 2);
    });
}

#[test]
fn an_init_longer_than_phase_and_timeout_is_a_timeout_of_the_call() {
    on_paused_clock(async {
        let world = World::start(12).await;
        world
            .add(&New { name: "f", timeout_secs: 1, handler: whole::SLOW_INIT, ..New::default() })
            .await;
        let late = world.invoke("f", json!({})).await;
        assert_eq!(late.json()["errorType"], "Sandbox.Timedout");
    });
}

#[test]
fn failures_of_an_init_are_told_by_the_call_that_waited() {
    on_paused_clock(async {
        let world = World::start(13).await;
        let cases = [
            ("bad", whole::BAD_INIT, "Runtime.ImportModuleError"),
            ("dead", whole::DEAD_INIT, "Runtime.OutOfMemory"),
        ];
        for (name, handler, error_type) in cases {
            world.add(&New { name, timeout_secs: 3, handler, ..New::default() }).await;
            for _ in 0..2 {
                let failed = world.invoke(name, json!({})).await;
                assert_eq!((failed.status, failed.function_error()), (200, true), "{name}");
                assert_eq!(failed.json()["errorType"], error_type);
            }
        }
        assert_eq!(world.inspect().await.starts, 4, "each call had an environment of its own");
    });
}

#[test]
fn a_log_tail_has_the_lines_of_its_own_call() {
    on_paused_clock(async {
        use base64::{Engine, engine::general_purpose::STANDARD};
        let world = World::start(14).await;
        world.create("f", 3, None).await;
        for number in 0..3 {
            let event = json!({"print": format!("line of call {number}")}).to_string();
            let answer = world.invoke_with("f", &event, &[("x-amz-log-type", "Tail")]).await;
            let tail = STANDARD.decode(&answer.headers["x-amz-log-result"]).unwrap();
            let tail = String::from_utf8(tail).unwrap();
            let printed = tail.lines().filter(|line| line.starts_with("line of call"));
            assert_eq!(printed.collect::<Vec<_>>(), [format!("line of call {number}")]);
            assert_eq!(tail.contains("Init Duration"), number == 0, "{tail}");
        }
    });
}

#[test]
fn a_response_over_the_limit_is_an_error_of_the_function() {
    on_paused_clock(async {
        let world = World::start(15).await;
        world.create("f", 3, None).await;
        let limit = model::limits::RESPONSE_BYTES_MAX;
        let fits = world.invoke("f", json!({"bytes": limit - 200})).await;
        assert_eq!((fits.status, fits.function_error()), (200, false));
        let over = world.invoke("f", json!({"bytes": limit})).await;
        assert_eq!(over.json()["errorType"], "Function.ResponseSizeTooLarge");
    });
}

#[test]
fn what_is_refused_touches_nothing() {
    on_paused_clock(async {
        let world = World::start(16).await;
        world.create("f", 3, None).await;
        let kind = |kind| [("x-amz-invocation-type", kind)];
        let cases = [
            ("f", "{not json", &[][..], 400, "InvalidRequestContentException"),
            ("g", "{}", &[], 404, "ResourceNotFoundException"),
            ("f:live", "{}", &[], 404, "ResourceNotFoundException"),
            ("f:1?Qualifier=2", "{}", &[], 400, "InvalidParameterValueException"),
            ("f", "{}", &kind("Event"), 400, "InvalidParameterValueException"),
            ("f", "{}", &kind("Never"), 400, "ValidationException"),
            ("f", "{}", &[("x-amz-tenant-id", "a")], 400, "InvalidParameterValueException"),
            ("f", "{}", &kind("DryRun"), 204, ""),
        ];
        for (name, event, headers, status, error_type) in cases {
            let answer = world.invoke_with(name, event, headers).await;
            assert_eq!(answer.status, status, "{name} {event} {headers:?}");
            let named = answer.headers.get("x-amzn-errortype").map(|name| name.to_str().unwrap());
            assert_eq!(named.unwrap_or_default(), error_type);
        }
        assert_eq!(world.inspect().await.starts, 0);
    });
}

#[test]
fn i2_a_slow_upload_holds_no_lease_and_ends() {
    on_paused_clock(async {
        let world = World::start(17).await;
        world.create("f", 3, Some(1)).await;
        let head = "POST /2015-03-31/functions/f/invocations HTTP/1.1\r\nhost: x\r\n";
        let slow = format!("{head}content-length: 10\r\n\r\n{{");
        let upload = world.say(&slow);
        tokio::pin!(upload);
        let began = tokio::time::Instant::now();
        assert!(tokio::time::timeout(Duration::from_secs(5), &mut upload).await.is_err());
        assert_eq!(world.invoke("f", json!({"ms": 1})).await.status, 200, "the slot is free");
        assert!(upload.await.starts_with("HTTP/1.1 408"));
        let limit = model::limits::BODY_READ_TIMEOUT.to_std();
        assert_eq!(began.elapsed().as_secs(), limit.as_secs());
        let large = format!("{head}content-length: 6291457\r\n\r\n");
        assert!(world.say(&large).await.starts_with("HTTP/1.1 413"), "no byte was sent");
    });
}

#[test]
fn a9_2_no_environment_is_seen_by_two_tenants() {
    on_paused_clock(async {
        let world = World::start(18).await;
        world.create("f", 3, None).await;
        world.separate_tenants("f").await;
        assert_eq!(world.invoke("f", json!({})).await.status, 400, "a tenant has to be named");
        let mut seen: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for number in 0..100 {
            let tenant = format!("tenant {}", number % 5);
            let headers = [("x-amz-tenant-id", tenant.as_str())];
            let answer = world.invoke_with("f", "{}", &headers).await.json();
            seen.entry(tenant).or_default().insert(answer["env"].to_string());
        }
        assert!(seen.values().all(|envs| envs.len() == 1), "warm within a tenant: {seen:?}");
        let all: BTreeSet<_> = seen.values().flatten().collect();
        assert_eq!(all.len(), 5, "and apart between tenants");
    });
}

#[test]
fn i5_a_worker_refuses_a_grant_that_is_not_newer() {
    on_paused_clock(async {
        let world = World::start(19).await;
        world.create("f", 3, None).await;
        world.invoke("f", json!({})).await;
        // The only environment of the only worker, granted once: epoch 2.
        let env = world.hosted().await[0].env;
        for (epoch, refusal) in [(1, Refusal::OldEpoch), (2, Refusal::OldEpoch)] {
            let run = run_of(env, epoch);
            let answer = world.worker.call(WorkerCall::Run(Box::new(run))).await.unwrap();
            assert!(matches!(answer, WorkerAnswer::Refused(r) if r == refusal), "{answer:?}");
        }
        let answer = world.worker.call(WorkerCall::Run(Box::new(run_of(env, 3)))).await.unwrap();
        assert!(matches!(answer, WorkerAnswer::Ran(_)), "{answer:?}");
        let nobody = model::EnvId::new(model::WorkerId(1), 99);
        let answer = world.worker.call(WorkerCall::Run(Box::new(run_of(nobody, 3)))).await.unwrap();
        let gone = Refusal::NoSuchEnvironment;
        assert!(matches!(answer, WorkerAnswer::Refused(r) if r == gone), "{answer:?}");
    });
}

#[test]
fn i3_a_worker_runs_nothing_of_another_tenant() {
    on_paused_clock(async {
        let world = World::start(20).await;
        world.create("f", 3, None).await;
        world.separate_tenants("f").await;
        let headers = [("x-amz-tenant-id", "a")];
        let before = world.invoke_with("f", "{}", &headers).await.json();
        let env = world.hosted().await[0].env;
        for (tenant, epoch) in [(Some("b"), 3), (None, 4)] {
            let tenant = tenant.map(|name| model::TenantId::parse(name).unwrap());
            let run = Run { tenant, ..run_of(env, epoch) };
            let answer = world.worker.call(WorkerCall::Run(Box::new(run))).await.unwrap();
            let gone = Refusal::NoSuchEnvironment;
            assert!(matches!(answer, WorkerAnswer::Refused(r) if r == gone), "{answer:?}");
        }
        // What two tenants were told to have is nobody's any more.
        while !world.hosted().await.is_empty() {
            tokio::task::yield_now().await;
        }
        let after = world.invoke_with("f", "{}", &headers).await.json();
        assert_ne!(after["env"], before["env"]);
    });
}

pub(crate) fn run_of(env: model::EnvId, epoch: u64) -> Run {
    let request = model::RequestId::from_random(u128::from(epoch));
    Run {
        env,
        lease: model::LeaseId(u64::MAX),
        epoch: model::Epoch(epoch),
        request,
        payload: model::PayloadRef::empty(request),
        invoked_arn: "arn".into(),
        trace_id: None,
        client_context: None,
        tenant: None,
        tail: false,
        warm: false,
    }
}

#[test]
fn a_runtime_that_dies_is_told_and_replaced() {
    on_paused_clock(async {
        let world = World::start(7).await;
        world.create("f", 3, None).await;
        let died = world.invoke("f", json!({"exit": 7})).await;
        assert_eq!(died.json()["errorType"], "Runtime.ExitError");
        let message = died.json()["errorMessage"].to_string();
        assert!(message.contains("Runtime exited with error: exit status 7"), "{message}");
        assert_eq!(world.invoke("f", json!({"ms": 1})).await.status, 200);
    });
}

#[test]
fn i4_a_caller_that_goes_away_keeps_its_slot_until_the_handler_ends() {
    on_paused_clock(async {
        let world = World::start(8).await;
        world.create("f", 30, Some(1)).await;
        let abandoned = world.invoke("f", json!({"ms": 10_000}));
        assert!(tokio::time::timeout(Duration::from_secs(1), abandoned).await.is_err());
        assert_eq!(world.invoke("f", json!({"ms": 1})).await.status, 429);
        tokio::time::sleep(Duration::from_secs(10)).await;
        let after = world.invoke("f", json!({"ms": 1})).await;
        assert_eq!((after.status, &after.json()["count"]), (200, &json!(2)));
    });
}

#[test]
fn a_changed_function_runs_in_new_environments_only() {
    on_paused_clock(async {
        let world = World::start(9).await;
        world.create("f", 3, None).await;
        let old = world.invoke("f", json!({"ms": 1})).await;
        world.change("f").await;
        let new = world.invoke("f", json!({"ms": 1})).await;
        assert_ne!(old.json()["env"], new.json()["env"]);
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(world.inspect().await.environments, 1, "the old one is retired");
    });
}

#[test]
fn idle_environments_are_retired_after_their_time() {
    on_paused_clock(async {
        let world = World::start(10).await;
        world.create("f", 3, None).await;
        world.invoke("f", json!({"ms": 1})).await;
        let ttl = model::limits::IDLE_TTL;
        tokio::time::sleep((ttl + Span::secs(1)).to_std()).await;
        assert_eq!(world.inspect().await.environments, 0);
    });
}

/// A mixed load by seed: the history is the same, byte for byte, twice.
#[test]
fn same_seed_same_history_and_another_seed_another() {
    let history = |seed| {
        on_paused_clock(async move {
            let world = World::start(seed).await;
            world.create("f", 3, Some(20)).await;
            world.create("g", 3, None).await;
            let mut history = String::new();
            for _ in 0..20 {
                let calls = world.draw_calls(30);
                let answers = world.invoke_all("f", calls).await;
                history.push_str(&describe(&answers));
                let answers = world.invoke_all("g", world.draw_calls(5)).await;
                history.push_str(&describe(&answers));
            }
            let seen = world.inspect().await;
            format!("{history}{seen:?} {}", world.guests.most_at_once_in_one())
        })
    };
    let first = history(42);
    assert_eq!(first, history(42));
    assert_ne!(first, history(43));
    assert!(first.ends_with(" 1"), "I1: one call at a time in one environment");
}

fn describe(answers: &[Answer]) -> String {
    let line = |answer: &Answer| {
        let mut json = answer.json();
        if let Some(Value::String(_)) = json.get("errorMessage") {
            json["errorMessage"] = Value::Null;
        }
        format!("{} {json}\n", answer.status)
    };
    answers.iter().map(line).collect()
}
