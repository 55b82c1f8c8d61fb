//! Tenants inside one function, by the published Rust SDK and real sandboxes: each
//! call is told its own tenant and no init is told any, and nothing that one tenant
//! left in memory or on disk is there for another.

mod sdk;

use std::{collections::BTreeSet, fs, process::Command};

use aws_sdk_lambda::{
    Client,
    primitives::Blob,
    types::{FunctionCode, Runtime, TenancyConfig, TenantIsolationMode},
};
use e2e::Platform;
use futures_util::StreamExt;
use serde_json::Value;

/// What init can know of a tenant, who calls, and what is to be found where a function
/// can look: files, unwritten disk, its own memory.
const SOURCE: &str = "\
import os, re, uuid
ENV = str(uuid.uuid4())
INIT = [k for k, v in os.environ.items() if 'tenant' in (k + v).lower()]
KEPT = []

def write(text):
    KEPT.append(text * 4096)
    with open('/tmp/kept', 'w') as f:
        f.write(text * 65536)
        f.flush()
        os.fsync(f.fileno())

def look(part):
    # Never written down whole here, so that the search does not find itself.
    mark = re.compile(part[::-1].encode())
    found = [name for name in os.listdir('/tmp') if mark.search(open('/tmp/' + name, 'rb').read())]
    with open('/tmp/fresh', 'w+b') as f:
        os.posix_fallocate(f.fileno(), 0, 8 << 20)
        if mark.search(f.read()):
            found.append('unwritten disk')
    os.unlink('/tmp/fresh')
    if any(mark.search(kept.encode()) for kept in KEPT):
        found.append('memory')
    return found

def handler(event, context):
    if 'write' in event:
        write(event['write'])
    found = look(event['look']) if 'look' in event else []
    return {'env': ENV, 'tenant': context.tenant_id, 'init': INIT, 'found': found}
";
const AT_ONCE: usize = 60;
const MARK: &str = "belongs-to-tenant-a-alone";

fn client(platform: &Platform) -> Client {
    sdk::client(platform.endpoint(), |name| platform.variable(name))
}

async fn create(client: &Client) {
    let apart = TenancyConfig::builder().tenant_isolation_mode(TenantIsolationMode::PerTenant);
    let made = client
        .create_function()
        .function_name("f")
        .runtime(Runtime::from("python3.11"))
        .handler("app.handler")
        .role("arn:aws:iam::123456789012:role/e2e")
        .timeout(60)
        .tenancy_config(apart.build().expect("a mode is given"))
        .code(FunctionCode::builder().zip_file(sdk::package("app.py", SOURCE)).build());
    made.send().await.expect("it is created");
}

async fn invoke(client: &Client, tenant: &str, event: &str) -> Value {
    let call = client.invoke().function_name("f").tenant_id(tenant);
    let answer = call.payload(Blob::new(event)).send().await;
    let answer = answer.unwrap_or_else(|e| panic!("{tenant}: {:?}", e.into_service_error()));
    let payload = answer.payload().expect("an answer has a payload");
    let value: Value = serde_json::from_slice(payload.as_ref()).expect("JSON");
    assert!(answer.function_error().is_none(), "{value}");
    value
}

#[tokio::test]
async fn a9_7_init_knows_no_tenant_and_each_of_a_thousand_calls_its_own() {
    let platform = Platform::start();
    let client = client(&platform);
    create(&client).await;
    let tenants: Vec<String> = (0..20).map(|n| format!("tenant-{n}")).collect();
    let calls = (0..1_000).map(|n| {
        let (client, tenant) = (&client, &tenants[n % 20]);
        async move { (tenant, invoke(client, tenant, "{}").await) }
    });
    // As many at once as small hosts have room for: a tenant waits for no other's.
    let calls = futures_util::stream::iter(calls).buffer_unordered(AT_ONCE);
    let answers: Vec<_> = calls.collect().await;
    let mut seen: BTreeSet<(String, String)> = BTreeSet::new();
    for (tenant, answer) in &answers {
        assert_eq!(answer["tenant"], tenant.as_str());
        assert_eq!(answer["init"], Value::Array(Vec::new()));
        seen.insert((answer["env"].to_string(), (*tenant).clone()));
    }
    let environments: BTreeSet<&String> = seen.iter().map(|(env, _)| env).collect();
    assert_eq!(environments.len(), seen.len(), "an environment served two tenants");
    platform.stop();
}

#[tokio::test]
async fn a9_3_what_a_tenant_left_is_nowhere_for_another() {
    let platform = Platform::start();
    let client = client(&platform);
    create(&client).await;
    let write = format!(r#"{{"write":"{MARK}"}}"#);
    let look = format!(r#"{{"look":"{}"}}"#, MARK.chars().rev().collect::<String>());
    for _ in 0..3 {
        invoke(&client, "a", &write).await;
    }
    // The control: where it is, the same look finds it.
    let own = invoke(&client, "a", &look).await;
    assert_eq!(own["found"], serde_json::json!(["kept", "memory"]));
    assert!(on_a_disk(&platform), "the scratch of A holds what A wrote");
    // Connections that rested while the disk was read may be closed.
    let client = self::client(&platform);
    // A's environment goes, as with every change of the function.
    let change = client.update_function_configuration().function_name("f").timeout(50);
    change.send().await.expect("it is changed");
    let calls = (0..60).map(|_| invoke(&client, "b", &look));
    let answers: Vec<Value> = futures_util::stream::iter(calls).buffered(3).collect().await;
    for answer in &answers {
        assert_eq!(answer["found"], Value::Array(Vec::new()));
        assert_ne!(answer["env"], own["env"]);
    }
    assert!(!on_a_disk(&platform), "no disk in use holds it, B's neither");
    platform.stop();
}

/// Reads every scratch disk of the platform block by block, from outside.
fn on_a_disk(platform: &Platform) -> bool {
    let data = platform.data().display().to_string();
    let loops = fs::read_dir("/sys/block").expect("block devices are listed").flatten();
    let ours = loops.filter(|device| {
        let file = fs::read_to_string(device.path().join("loop/backing_file")).unwrap_or_default();
        file.contains(&data)
    });
    ours.into_iter()
        .any(|device| holds_mark(&format!("/dev/{}", device.file_name().to_string_lossy())))
}

fn holds_mark(device: &str) -> bool {
    let looked = Command::new("grep").args(["-q", "-a", "-F", MARK, device]).status();
    looked.expect("grep runs").success()
}
