//! The control role on a stage: real inbox, real objects in a directory that
//! vanishes, a store in memory. Calls are made as the frontend makes them.
#![allow(dead_code, reason = "each test binary uses its part")]

use std::{
    collections::BTreeMap,
    io::Write as _,
    sync::{Arc, Mutex},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use control::{ManagerCaller, Settings};
use model::{AccountId, KeyHash, ManagerId, Region, RequestId, function::Architecture};
use objects::Objects;
use platform::{Body, Clock, Entropy, Mail, TaskKind, Tasks, tasks::Stop, transport};
use serde_json::{Value, json};
use store::Store;
use wire::{
    control::{ControlAnswer, ControlCall},
    manager::{ManagerAnswer, ManagerCall},
};

pub(crate) const NOW_MS: u64 = 1_795_262_400_000;
pub(crate) const ACCOUNT: &str = "123456789012";
pub(crate) const ROLE: &str = "arn:aws:iam::123456789012:role/lambda";
pub(crate) const ORIGIN: &str = "http://127.0.0.1:4574";

pub(crate) struct Stage {
    pub(crate) store: Store,
    pub(crate) objects: Objects,
    pub(crate) tasks: Tasks,
    pub(crate) busy: Busy,
    caller: transport::Caller<ControlCall, ControlAnswer, ()>,
    entropy: Entropy,
    _directory: tempfile::TempDir,
}

/// What managers 1 to 4 say that their keys have in flight.
#[derive(Clone, Default)]
pub(crate) struct Busy(Arc<Mutex<BTreeMap<u64, Keys>>>);

type Keys = Vec<(KeyHash, u32)>;

impl Busy {
    pub(crate) fn set(&self, manager: u64, key: u128, calls: u32) {
        self.0.lock().unwrap().entry(manager).or_default().push((KeyHash(key), calls));
    }

    fn manager(&self, id: u64, tasks: &Tasks) -> ManagerCaller {
        let (caller, mut inbox) = transport::in_process("manager");
        let busy = self.clone();
        tasks.spawn(TaskKind::Background, "fake manager", async move {
            while let Some(mail) = inbox.next().await {
                let Mail::Call(call) = mail else { panic!("control tells managers nothing") };
                assert!(matches!(call.message, ManagerCall::Busiest));
                let keys = busy.0.lock().unwrap().get(&id).cloned().unwrap_or_default();
                call.reply.send(ManagerAnswer::Busiest(keys));
            }
        });
        caller
    }
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) bytes: Vec<u8>,
}

impl Stage {
    pub(crate) fn new() -> Stage {
        let directory = tempfile::tempdir().unwrap();
        let objects = Objects::open(directory.path()).unwrap();
        Stage::over(Store::memory(), objects, directory, 1)
    }

    /// With metadata on disk: reads and writes of concurrent calls really interleave.
    pub(crate) fn durable() -> Stage {
        let directory = tempfile::tempdir().unwrap();
        let objects = Objects::open(&directory.path().join("objects")).unwrap();
        let store = Store::open(&directory.path().join("store")).unwrap();
        Stage::over(store, objects, directory, 1)
    }

    /// Ends this role and starts another over the same data.
    pub(crate) fn restart(self) -> Stage {
        self.tasks.stop(Stop::Asked);
        Stage::over(self.store, self.objects, self._directory, 2)
    }

    fn over(store: Store, objects: Objects, directory: tempfile::TempDir, seed: u64) -> Stage {
        let (caller, inbox) = transport::in_process("control");
        let tasks = Tasks::default();
        let busy = Busy::default();
        let settings = Settings {
            region: Region::parse("us-east-1").unwrap(),
            architecture: Architecture::X86_64,
            managers: (1..=4).map(|id| (ManagerId(id), busy.manager(id, &tasks))).collect(),
        };
        let clock = Clock::simulated(NOW_MS);
        let entropy = Entropy::seeded(seed);
        control::start(
            settings,
            clock,
            entropy.clone(),
            &tasks,
            store.clone(),
            objects.clone(),
            inbox,
        );
        let entropy = Entropy::seeded(seed + 100);
        Stage { store, objects, tasks, busy, caller, entropy, _directory: directory }
    }

    pub(crate) async fn call(&self, method: &str, target: &str, body: Value) -> Answer {
        let body = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
        self.call_bytes(method, target, Some(ACCOUNT), body).await
    }

    pub(crate) async fn call_bytes(
        &self,
        method: &str,
        target: &str,
        account: Option<&str>,
        body: Vec<u8>,
    ) -> Answer {
        self.call_body(method, target, account, Body::Whole(body.into())).await
    }

    pub(crate) async fn call_body(
        &self,
        method: &str,
        target: &str,
        account: Option<&str>,
        body: Body,
    ) -> Answer {
        let call = ControlCall {
            request: RequestId::from_random(self.entropy.u128()),
            account: account.map(|text| AccountId::parse(text).unwrap()),
            method: method.into(),
            target: target.into(),
            origin: ORIGIN.into(),
        };
        let request = call.request.to_string();
        let (answer, _) = self.caller.call_with(call, body).await.unwrap();
        let answer =
            Answer { status: answer.status, headers: answer.headers, bytes: answer.body.to_vec() };
        assert_eq!(answer.header("x-amzn-requestid"), Some(request.as_str()));
        answer
    }

    pub(crate) async fn get(&self, target: &str) -> Answer {
        self.call("GET", target, Value::Null).await
    }

    pub(crate) async fn put(&self, target: &str, body: Value) -> Answer {
        self.call("PUT", target, body).await
    }

    pub(crate) async fn post(&self, target: &str, body: Value) -> Answer {
        self.call("POST", target, body).await
    }

    /// Names of the roots that hold code.
    pub(crate) fn roots(&self) -> Vec<String> {
        self.objects.list_roots().unwrap().into_iter().map(|root| root.0).collect()
    }

    pub(crate) async fn delete(&self, target: &str) -> Answer {
        self.call("DELETE", target, Value::Null).await
    }

    pub(crate) async fn create(&self, name: &str) -> Value {
        let answer = self.call("POST", FUNCTIONS, function(name)).await;
        answer.expect(201)
    }
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.bytes).unwrap_or(Value::Null)
    }

    /// The body, where the status is the wanted one.
    #[track_caller]
    pub(crate) fn expect(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", String::from_utf8_lossy(&self.bytes));
        self.json()
    }

    /// The message, where the call was refused with this exception.
    #[track_caller]
    pub(crate) fn refused(&self, status: u16, exception: &str) -> String {
        let body = self.expect(status);
        assert_eq!(self.header("x-amzn-errortype"), Some(exception), "{body}");
        let message = body.get("message").or(body.get("Message"));
        message.and_then(Value::as_str).unwrap_or_default().to_owned()
    }
}

pub(crate) const FUNCTIONS: &str = "/2015-03-31/functions";

pub(crate) fn path(name: &str, rest: &str) -> String {
    format!("{FUNCTIONS}/{name}{rest}")
}

/// A small archive that differs with its content.
pub(crate) fn zip(content: &str) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    writer.start_file("app.py", zip::write::SimpleFileOptions::default()).unwrap();
    writer.write_all(content.as_bytes()).unwrap();
    writer.finish().unwrap().into_inner()
}

pub(crate) fn zip_base64(content: &str) -> String {
    STANDARD.encode(zip(content))
}

/// What a client sends for a small function.
pub(crate) fn function(name: &str) -> Value {
    json!({
        "FunctionName": name, "Role": ROLE, "Runtime": "python3.12", "Handler": "app.handler",
        "Code": { "ZipFile": zip_base64("one") },
    })
}

/// The same with other or more members; null takes one away.
pub(crate) fn function_with(name: &str, members: Value) -> Value {
    let mut body = function(name);
    for (key, value) in members.as_object().unwrap() {
        body[key] = value.clone();
    }
    body
}
