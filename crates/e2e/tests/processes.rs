//! An installation of many processes, seen by the published Rust SDK: three
//! frontends, three managers, three workers and control, real sandboxes, and
//! processes that are killed and come back.

mod sdk;

use std::{collections::BTreeSet, time::Duration};

use aws_sdk_lambda::{
    Client,
    operation::invoke::InvokeOutput,
    primitives::Blob,
    types::{FunctionCode, LogType, ProvisionedConcurrencyStatusEnum, Runtime},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use e2e::installation::{Between, Fleet, Installation};
use serde_json::Value;

/// Tells its environment apart and counts its calls.
const SOURCE: &str = "\
import os, time, uuid
ENV, CALLS = str(uuid.uuid4()), 0
TYPE = os.environ['AWS_LAMBDA_INITIALIZATION_TYPE']
def handler(event, context):
    global CALLS
    CALLS += 1
    time.sleep(event.get('seconds', 0))
    return {'env': ENV, 'calls': CALLS, 'type': TYPE}
";
const THREE: Fleet = Fleet { frontends: 3, managers: 3, workers: 3 };

fn client(installation: &Installation, frontend: usize) -> Client {
    sdk::client(installation.endpoint(frontend), |name| installation.variable(name))
}

async fn create(client: &Client, name: &str) {
    let made = client
        .create_function()
        .function_name(name)
        .runtime(Runtime::from("python3.11"))
        .handler("app.handler")
        .role("arn:aws:iam::123456789012:role/e2e")
        .timeout(20)
        .code(FunctionCode::builder().zip_file(sdk::package("app.py", SOURCE)).build());
    made.send().await.expect("it is created");
}

async fn invoke(client: &Client, name: &str, event: &str) -> Result<Value, String> {
    let call = client.invoke().function_name(name).payload(Blob::new(event));
    let answer = call.send().await.map_err(|error| format!("{:?}", error.into_service_error()))?;
    if let Some(failed) = answer.function_error() {
        return Err(failed.to_owned());
    }
    let payload = answer.payload().expect("an answer has a payload");
    serde_json::from_slice(payload.as_ref()).map_err(|error| error.to_string())
}

/// Another frontend's view may be a moment behind.
async fn known_everywhere(clients: &[Client], name: &str) {
    for client in clients {
        in_the_end(client, name).await;
    }
}

/// Processes find each other within moments; nobody has to wait for longer.
async fn in_the_end(client: &Client, name: &str) -> Value {
    let mut last = Err(String::new());
    for _ in 0..200 {
        last = invoke(client, name, "{}").await;
        if last.is_ok() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    last.expect("calls are served in the end")
}

fn environments(answers: &[Value]) -> BTreeSet<String> {
    answers.iter().map(|answer| answer["env"].to_string()).collect()
}

async fn serves_from_every_frontend(between: Between) {
    let installation = Installation::start(THREE, between);
    let clients: Vec<Client> = (1..=3).map(|n| client(&installation, n)).collect();
    create(&clients[0], "f").await;
    known_everywhere(&clients, "f").await;
    let mut answers = Vec::new();
    for call in 0..30 {
        answers.push(invoke(&clients[call % 3], "f", "{}").await.expect("it is served"));
    }
    assert_eq!(environments(&answers).len(), 1, "every frontend finds the warm environment");
    let many = (0..12).map(|n| invoke(&clients[n % 3], "f", r#"{"seconds":1}"#));
    let many = futures_util::future::join_all(many).await;
    let many: Vec<Value> = many.into_iter().map(|answer| answer.expect("it is served")).collect();
    // On a busy machine a call may be served sooner by another's environment.
    assert!(environments(&many).len() > 1, "calls at once are spread over environments");
    installation.stop();
}

#[tokio::test]
async fn three_of_each_serve_one_function_over_unix_sockets() {
    serves_from_every_frontend(Between::UnixSockets).await;
}

#[tokio::test]
async fn three_of_each_serve_one_function_with_certificates() {
    serves_from_every_frontend(Between::Certificates).await;
}

#[tokio::test]
async fn reserved_concurrency_is_exact_over_three_frontends() {
    let installation = Installation::start(THREE, Between::UnixSockets);
    let clients: Vec<Client> = (1..=3).map(|n| client(&installation, n)).collect();
    create(&clients[0], "f").await;
    known_everywhere(&clients, "f").await;
    let put = clients[0].put_function_concurrency().function_name("f");
    put.reserved_concurrent_executions(4).send().await.expect("it is reserved");
    // The counter follows the store: it may be a moment behind.
    let mut served = 0;
    for _ in 0..10 {
        let many = (0..15).map(|n| invoke(&clients[n % 3], "f", r#"{"seconds":1}"#));
        let many = futures_util::future::join_all(many).await;
        served = many.iter().filter(|answer| answer.is_ok()).count();
        if served <= 4 {
            break;
        }
    }
    assert_eq!(served, 4);
    installation.stop();
}

/// A manager's book is rebuilt from its workers: environments outlive it.
#[tokio::test]
async fn a_killed_manager_comes_back_to_its_warm_environments() {
    let one = Fleet { frontends: 1, managers: 1, workers: 2 };
    let mut installation = Installation::start(one, Between::UnixSockets);
    let client = client(&installation, 1);
    create(&client, "f").await;
    known_everywhere(std::slice::from_ref(&client), "f").await;
    let before = invoke(&client, "f", "{}").await.expect("it is served");
    installation.kill("manager-1");
    assert!(invoke(&client, "f", "{}").await.is_err(), "nobody has an environment for it");
    installation.launch("manager-1");
    let after = in_the_end(&client, "f").await;
    assert_eq!(after["env"], before["env"], "and in the environment of before");
    installation.stop();
}

/// One of the three counts the account's calls: without it they are admitted all the same.
#[tokio::test]
async fn calls_go_on_without_any_one_of_three_managers() {
    let mut installation = Installation::start(THREE, Between::UnixSockets);
    let clients: Vec<Client> = (1..=3).map(|n| client(&installation, n)).collect();
    create(&clients[0], "f").await;
    known_everywhere(&clients, "f").await;
    for manager in 1..=3 {
        installation.kill(&format!("manager-{manager}"));
        for client in &clients {
            in_the_end(client, "f").await;
        }
        for call in 0..9 {
            let answer = invoke(&clients[call % 3], "f", "{}").await;
            assert!(answer.is_ok(), "without manager {manager}: {answer:?}");
        }
        installation.launch(&format!("manager-{manager}"));
    }
    installation.stop();
}

#[tokio::test]
async fn a_killed_worker_costs_its_environments_and_no_more() {
    let mut installation = Installation::start(THREE, Between::UnixSockets);
    let client = client(&installation, 1);
    create(&client, "f").await;
    known_everywhere(std::slice::from_ref(&client), "f").await;
    for worker in 1..=3 {
        installation.kill(&format!("worker-{worker}"));
        in_the_end(&client, "f").await;
        installation.launch(&format!("worker-{worker}"));
    }
    installation.stop();
}

/// What a user sees of provisioned concurrency: all calls up to the paid number are
/// warm, the next one is served all the same, and the set outlives a manager.
#[tokio::test]
async fn a1_2_paid_calls_are_warm_and_the_next_one_spills() {
    let mut installation = Installation::start(THREE, Between::UnixSockets);
    let clients: Vec<Client> = (1..=3).map(|n| client(&installation, n)).collect();
    create(&clients[0], "f").await;
    known_everywhere(&clients, "f").await;
    let published = clients[0].publish_version().function_name("f").send().await;
    let version = published.expect("it is published").version().expect("a number").to_owned();
    let put = clients[0].put_provisioned_concurrency_config().function_name("f");
    let put = put.qualifier(&version).provisioned_concurrent_executions(10).send().await;
    put.expect("it is accepted");
    ready(&clients[0], &version, 10).await;

    let calls = (0..10).map(|n| called(&clients[n % 3], &version));
    let answers = futures_util::future::join_all(calls).await;
    let types: Vec<&str> = answers.iter().map(|(answer, _)| type_of(answer)).collect();
    assert_eq!(types, ["provisioned-concurrency"; 10]);
    assert_eq!(
        answers.iter().map(|(a, _)| a["env"].to_string()).collect::<BTreeSet<_>>().len(),
        10
    );
    for (_, log) in &answers {
        assert!(log.contains("REPORT") && !log.contains("Init Duration"), "{log}");
    }
    let calls = (0..11).map(|n| called(&clients[n % 3], &version));
    let answers = futures_util::future::join_all(calls).await;
    let on_demand = answers.iter().filter(|(answer, _)| type_of(answer) == "on-demand").count();
    assert_eq!(on_demand, 1, "the eleventh spills");
    let of_version = format!("function=\"f\",qualifier=\"{version}\"");
    let counted = |metric: &str| -> f64 {
        let of = |n| installation.metric(&format!("frontend-{n}"), metric, &of_version);
        (1..=3).filter_map(of).sum()
    };
    let figures = [
        ("lambent_invocations_total", 21.0),
        ("lambent_provisioned_concurrency_invocations_total", 20.0),
        ("lambent_provisioned_concurrency_spillover_invocations_total", 1.0),
        ("lambent_cold_starts_total", 1.0),
        ("lambent_concurrent_executions", 0.0),
        ("lambent_errors_total", 0.0),
        ("lambent_throttles_total", 0.0),
    ];
    for (metric, figure) in figures {
        assert_eq!(counted(metric), figure, "{metric}");
    }
    let of_set = |metric| installation.metric("control", metric, &of_version);
    assert_eq!(of_set("lambent_provisioned_concurrency_available"), Some(10.0));

    // A1.6 with real processes: the set is whole again after a manager died.
    installation.kill("manager-2");
    installation.launch("manager-2");
    ready(&clients[0], &version, 10).await;
    let calls = (0..10).map(|n| called(&clients[n % 3], &version));
    let answers = futures_util::future::join_all(calls).await;
    let types: Vec<&str> = answers.iter().map(|(answer, _)| type_of(answer)).collect();
    assert_eq!(types, ["provisioned-concurrency"; 10]);
    installation.stop();
}

/// Managers 4 to 6 take the place of 1 to 3, which then are killed: what was warm is
/// the new ones'.
#[tokio::test]
async fn a3_1_a_replaced_fleet_serves_warm_functions_warm() {
    let six = Fleet { frontends: 1, managers: 6, workers: 2 };
    let mut installation = Installation::start(six, Between::UnixSockets);
    let client = client(&installation, 1);
    deploy(&installation, "1,2,3", 2).await;
    let names: Vec<String> = (0..10).map(|number| format!("f{number}")).collect();
    let mut before = Vec::new();
    for name in &names {
        create(&client, name).await;
        before.push(in_the_end(&client, name).await["env"].clone());
    }
    deploy(&installation, "4,5,6", 3).await;
    let mut after = Vec::new();
    for name in &names {
        after.push(invoke(&client, name, "{}").await.expect("it is served")["env"].clone());
    }
    assert_eq!(after, before, "no cold start");
    for manager in 1..=3 {
        installation.kill(&format!("manager-{manager}"));
    }
    for (name, env) in names.iter().zip(&before) {
        let served = invoke(&client, name, "{}").await.expect("nobody misses the old ones");
        assert_eq!(&served["env"], env);
    }
    installation.stop();
}

/// Publishes a ring of these managers for all keys, until the frontend has heard.
async fn deploy(installation: &Installation, managers: &str, version: u64) {
    let deploy = ["admin", "rings", "deploy", "--managers", managers, "--share", "100"];
    installation.operate(&deploy);
    // The log may be coloured.
    let heard = |line: &str| {
        let ends = line.trim_end().ends_with(&version.to_string());
        line.contains("a ring version was published") && ends
    };
    for _ in 0..200 {
        if installation.log("frontend-1").lines().any(heard) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("the frontend has not heard: {}", installation.log("frontend-1"));
}

fn type_of(answer: &Value) -> &str {
    answer["type"].as_str().expect("it says how it was initialised")
}

/// Until the set is ready and whole.
async fn ready(client: &Client, version: &str, paid: i32) {
    let mut last = None;
    for _ in 0..600 {
        let get = client.get_provisioned_concurrency_config().function_name("f");
        let set = get.qualifier(version).send().await.expect("it is there");
        let whole = set.available_provisioned_concurrent_executions() == Some(paid);
        if whole && set.status() == Some(&ProvisionedConcurrencyStatusEnum::Ready) {
            return;
        }
        last = Some(set);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("it is not ready: {last:?}");
}

/// A call of one second and the end of its log.
async fn called(client: &Client, version: &str) -> (Value, String) {
    let call = client.invoke().function_name("f").qualifier(version).log_type(LogType::Tail);
    let call = call.payload(Blob::new(r#"{"seconds":1}"#)).send().await;
    let answer: InvokeOutput = call.expect("it is served");
    let payload = answer.payload().expect("an answer has a payload");
    let log = STANDARD.decode(answer.log_result().expect("its log")).expect("base64");
    let value = serde_json::from_slice(payload.as_ref()).expect("JSON");
    (value, String::from_utf8_lossy(&log).into_owned())
}
