//! A platform in one thread and virtual time: frontend, manager and worker as they
//! are, a store in memory, and a client that speaks HTTP over memory streams.

use std::{collections::BTreeMap, future::Future};

use bytes::Bytes;
use decide::ring::Ring;
use http_body_util::{BodyExt, Full};
use hyper::{Request, client::conn::http1};
use hyper_util::rt::TokioIo;
use model::{
    AccountId, Digest, FrontendId, FunctionConfig, FunctionName, FunctionState, ManagerId,
    Manifest, Region, RingVersion, RootId, Runtime, Tenancy, VersionId, WorkerId,
    function::{Architecture, Code, FunctionSettings, LogFormat, Logging, UpdateStatus},
};
use platform::{Clock, Entropy, Tasks, transport::in_process};
use sandbox::{Launcher, fake};
use serde_json::{Value, json};
use store::{Store, Transaction, schema};
use tokio::task::LocalSet;
use wire::{
    manager::{Inspection, ManagerAnswer, ManagerCall},
    worker::{Hosted, Offer, WorkerAnswer, WorkerCall},
};

use crate::{apart::Ways, player::Player};

const WALL_MS: u64 = 1_795_262_461_000;
const OFFER: Offer = Offer { memory_mb: 1 << 20, slots: 1_000, architecture: Architecture::X86_64 };

/// How many of each role there are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fleet {
    pub(crate) frontends: u64,
    pub(crate) managers: u64,
    pub(crate) workers: u64,
}

pub(crate) struct World {
    pub(crate) player: Player,
    pub(crate) ways: Ways,
    frontends: Vec<frontend::Frontend>,
    managers: BTreeMap<ManagerId, frontend::ManagerCaller>,
    /// The first of them.
    pub(crate) worker: frontend::WorkerCaller,
    store: Store,
    objects: objects::Objects,
    entropy: Entropy,
    _data: tempfile::TempDir,
}

pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: http::HeaderMap,
    body: Bytes,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub(crate) fn function_error(&self) -> bool {
        self.headers.contains_key("x-amz-function-error")
    }
}

/// Runs a scene on one thread, with time that moves only when nothing else can.
pub(crate) fn on_paused_clock<T>(scene: impl Future<Output = T>) -> T {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let runtime = builder.enable_all().start_paused(true).build().unwrap();
    LocalSet::new().block_on(&runtime, scene)
}

impl World {
    pub(crate) async fn start(seed: u64) -> World {
        World::sized(seed, Fleet { frontends: 1, managers: 1, workers: 1 }).await
    }

    pub(crate) async fn sized(seed: u64, fleet: Fleet) -> World {
        World::over(seed, fleet, Ways::Here).await
    }

    pub(crate) async fn over(seed: u64, fleet: Fleet, ways: Ways) -> World {
        let data = tempfile::tempdir().unwrap();
        let clock = Clock::simulated(WALL_MS);
        let entropy = Entropy::seeded(seed);
        let tasks = Tasks::default();
        let store = Store::memory();
        let objects = objects::Objects::open(&data.path().join("objects")).unwrap();
        let (control, _) = in_process("control");
        let region = Region::parse("us-east-1").unwrap();
        let player = Player::default();
        let (mut managers, mut manager_inboxes) = (BTreeMap::new(), Vec::new());
        for number in 1..=fleet.managers {
            let (caller, inbox) = in_process("manager");
            let caller = ways.lead("manager", number, caller).await;
            managers.insert(ManagerId(number), caller);
            manager_inboxes.push((ManagerId(number), inbox));
        }
        let mut workers = BTreeMap::new();
        for number in 1..=fleet.workers {
            let (worker, inbox) = in_process("worker");
            let (launcher, guests) = fake::Launcher::new(64);
            tokio::task::spawn_local(player.clone().play(guests));
            let settings = worker::Settings {
                worker: WorkerId(number),
                region: region.clone(),
                data: data.path().join(number.to_string()),
                missing_runtimes: worker::Missing::Nearest,
                offer: OFFER,
            };
            let ground = worker::Ground {
                clock: clock.clone(),
                entropy: entropy.clone(),
                tasks: tasks.clone(),
                launcher: Launcher::Fake(launcher),
                objects: objects.read_only(),
                managers: managers.clone(),
            };
            worker::start(settings, ground, inbox).unwrap();
            workers.insert(WorkerId(number), ways.lead("worker", number, worker).await);
        }
        for (manager, inbox) in manager_inboxes {
            let book = decide::book::Config::default();
            let settings = manager::Settings { manager, book, workers: workers.clone() };
            manager::start(settings, clock.clone(), &tasks, store.clone(), inbox);
        }
        let members: Vec<ManagerId> = managers.keys().copied().collect();
        let frontend = |number| {
            let trust = frontend::Trust::Anybody(account());
            let frontend = FrontendId(number);
            let frontends = (1..=fleet.frontends).map(FrontendId).collect();
            let settings =
                frontend::Settings { frontend, frontends, region: region.clone(), trust };
            let ground = frontend::Ground {
                clock: clock.clone(),
                entropy: entropy.clone(),
                tasks: tasks.clone(),
                store: store.clone(),
                ring: Ring::new(RingVersion(1), &members),
                managers: managers.clone(),
                workers: workers.clone(),
                control: control.clone(),
            };
            frontend::Frontend::start(settings, ground)
        };
        let frontends = (1..=fleet.frontends).map(frontend).collect();
        let worker = workers[&WorkerId(1)].clone();
        World { player, ways, frontends, managers, worker, store, objects, entropy, _data: data }
    }

    pub(crate) async fn create(&self, name: &str, timeout_secs: u32, reserved: Option<u32>) {
        self.create_with(name, timeout_secs, reserved, "f.handler").await;
    }

    pub(crate) async fn create_with(
        &self,
        name: &str,
        timeout_secs: u32,
        reserved: Option<u32>,
        handler: &str,
    ) {
        let name = FunctionName::parse(name).unwrap();
        let config =
            FunctionConfig { handler: handler.to_owned(), ..self.config(&name, timeout_secs) };
        let settings = FunctionSettings { reserved, ..FunctionSettings::default() };
        let create = Transaction::new()
            .put(&schema::function_head(account(), &name), &config)
            .unwrap()
            .put(&schema::function_settings(account(), &name), &settings)
            .unwrap();
        self.store.transact(create).await.unwrap();
        self.settle().await;
    }

    /// Makes it a function whose callers name a tenant.
    pub(crate) async fn separate_tenants(&self, name: &str) {
        self.amend(name, |config| config.per_tenant = true).await;
    }

    pub(crate) async fn set_tenancy(&self, name: &str, tenancy: Tenancy) {
        self.set(name, |settings| settings.tenancy = tenancy).await;
    }

    pub(crate) async fn set(&self, name: &str, change: impl FnOnce(&mut FunctionSettings)) {
        let name = FunctionName::parse(name).unwrap();
        let key = schema::function_settings(account(), &name);
        let mut settings = self.store.read(&key).await.unwrap().unwrap().value;
        change(&mut settings);
        let change = Transaction::new().put(&key, &settings).unwrap();
        self.store.transact(change).await.unwrap();
        self.settle().await;
    }

    /// A change of configuration: another revision.
    pub(crate) async fn change(&self, name: &str) {
        self.amend(name, |_| {}).await;
    }

    async fn amend(&self, name: &str, amend: impl FnOnce(&mut FunctionConfig)) {
        let name = FunctionName::parse(name).unwrap();
        let key = schema::function_head(account(), &name);
        let mut config = self.store.read(&key).await.unwrap().unwrap().value;
        config.revision += 1;
        amend(&mut config);
        let change = Transaction::new().put(&key, &config).unwrap();
        self.store.transact(change).await.unwrap();
        self.settle().await;
    }

    /// What follows the store has caught up when time can move on.
    async fn settle(&self) {
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
    }

    fn config(&self, name: &FunctionName, timeout_secs: u32) -> FunctionConfig {
        FunctionConfig {
            account: account(),
            name: name.clone(),
            version: VersionId::Latest,
            revision: 1,
            revision_id: "r".into(),
            description: String::new(),
            runtime: Runtime::Python { minor: 11 },
            handler: "f.handler".into(),
            role: String::new(),
            code: self.code(),
            memory_mb: 128,
            timeout_secs,
            scratch_mb: 512,
            architecture: Architecture::X86_64,
            environment: BTreeMap::new(),
            logging: Logging {
                format: LogFormat::Text,
                application_level: None,
                system_level: None,
                group: format!("/aws/lambda/{name}"),
            },
            tags: BTreeMap::new(),
            state: FunctionState::Active,
            last_update: UpdateStatus::Successful,
            modified_ms: WALL_MS,
            per_tenant: false,
            opaque: BTreeMap::new(),
        }
    }

    /// A small zip, stored as `control` would.
    fn code(&self) -> Code {
        let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
        zip.start_file("f.py", zip::write::SimpleFileOptions::default()).unwrap();
        std::io::Write::write_all(&mut zip, b"def handler(event, context): ...\n").unwrap();
        let bytes = zip.finish().unwrap().into_inner();
        let root = RootId("f".into());
        let manifest: Manifest = match self.objects.create_root(&root) {
            Ok(()) | Err(_) => self.objects.put(&root, &bytes[..]).unwrap().manifest,
        };
        Code { sha256: Digest([1; 32]), size: bytes.len() as u64, manifest }
    }

    pub(crate) async fn invoke(&self, name: &str, event: Value) -> Answer {
        self.invoke_with(name, &event.to_string(), &[]).await
    }

    pub(crate) async fn invoke_with(
        &self,
        name: &str,
        event: &str,
        headers: &[(&str, &str)],
    ) -> Answer {
        self.invoke_at(0, name, event, headers).await
    }

    /// Through one frontend of several.
    pub(crate) async fn invoke_at(
        &self,
        frontend: usize,
        name: &str,
        event: &str,
        headers: &[(&str, &str)],
    ) -> Answer {
        let (client, server) = tokio::io::duplex(64 * 1024);
        self.frontends[frontend].serve(server);
        let (mut sender, connection) = http1::handshake(TokioIo::new(client)).await.unwrap();
        let driver = tokio::task::spawn_local(connection);
        let mut request = Request::post(target(name));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::new(Bytes::from(event.to_owned()))).unwrap();
        // Dropped with this future: a caller that gives up closes its connection.
        let _close = AbortOnDrop(driver);
        let answer = sender.send_request(request).await.unwrap();
        let (parts, body) = answer.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Answer { status: parts.status.as_u16(), headers: parts.headers, body }
    }

    /// Bytes as they are, and the first line of what is answered.
    pub(crate) async fn say(&self, bytes: &str) -> String {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let (mut client, server) = tokio::io::duplex(64 * 1024);
        self.frontends[0].serve(server);
        client.write_all(bytes.as_bytes()).await.unwrap();
        let mut answer = vec![0; 1_024];
        let length = client.read(&mut answer).await.unwrap();
        let answer = String::from_utf8_lossy(&answer[..length]).into_owned();
        answer.lines().next().unwrap_or_default().to_owned()
    }

    /// All at once; answers in the order of the events.
    pub(crate) async fn invoke_all(&self, name: &str, events: Vec<Value>) -> Vec<Answer> {
        let calls = events.into_iter().map(|event| self.invoke(name, event));
        futures_util::future::join_all(calls).await
    }

    /// Calls of a load by the world's seed: mostly short, some late, some fatal.
    pub(crate) fn draw_calls(&self, number: usize) -> Vec<Value> {
        let draw = || match self.entropy.u64() % 20 {
            0 => json!({"exit": 1}),
            1 => json!({"ms": 5_000}),
            _ => json!({"ms": self.entropy.u64() % 200}),
        };
        (0..number).map(|_| draw()).collect()
    }

    /// What the first worker hosts for the first manager.
    pub(crate) async fn hosted(&self) -> Vec<Hosted> {
        self.settle().await;
        let list = WorkerCall::List { manager: ManagerId(1) };
        let answer = self.worker.call(list).await.unwrap();
        let WorkerAnswer::Listed(listed) = answer else { panic!("{answer:?}") };
        listed.envs
    }

    /// Managers that hold environments.
    pub(crate) async fn holders(&self) -> usize {
        self.settle().await;
        let mut holders = 0;
        for manager in self.managers.values() {
            holders += usize::from(inspect(manager).await.environments > 0);
        }
        holders
    }

    pub(crate) async fn inspect(&self) -> Inspection {
        self.settle().await;
        let mut sum = Inspection::default();
        for manager in self.managers.values() {
            let inspection = inspect(manager).await;
            sum.in_flight += inspection.in_flight;
            sum.environments += inspection.environments;
            sum.idle += inspection.idle;
            sum.leases_granted += inspection.leases_granted;
            sum.leases_started += inspection.leases_started;
            sum.leases_returned += inspection.leases_returned;
            sum.starts += inspection.starts;
        }
        sum
    }
}

async fn inspect(manager: &frontend::ManagerCaller) -> Inspection {
    let answer = manager.call(ManagerCall::Inspect).await.unwrap();
    let ManagerAnswer::Inspection(inspection) = answer else { panic!("{answer:?}") };
    inspection
}

struct AbortOnDrop<T>(tokio::task::JoinHandle<T>);

impl<T> Drop for AbortOnDrop<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

fn account() -> AccountId {
    AccountId::parse("000000000001").unwrap()
}

/// The path of a call; a query after the name goes to the end.
fn target(name: &str) -> String {
    let (name, query) = name.split_once('?').unwrap_or((name, ""));
    format!("/2015-03-31/functions/{name}/invocations?{query}")
}
