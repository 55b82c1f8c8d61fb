//! Plays the runtimes inside fake sandboxes: answers what the event asks for, after
//! the virtual time it asks for, over the real framed channel. What each environment
//! saw is recorded, and judged on the spot where it can be (I1, I3, I8).

mod channel;
mod seen;

use std::{
    os::fd::OwnedFd,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use platform::{TaskKind, Tasks};
use sandbox::{
    Exit, ExitStatus, Spec,
    fake::{Guest, Handle},
};
use serde_json::{Value, json};
use tokio::{net::UnixStream, sync::mpsc};

use self::{
    channel::{Frame, INIT_ERROR, INVOKE, READY, RESPONSE},
    seen::{Identity, Seen},
};
use super::{Record, functions::REVISION};

pub const INIT_MS: u64 = 80;
/// Longer than the init phase.
pub const SLOW_INIT_MS: u64 = 12_000;

// Handlers whose init goes another way.
pub const SLOW_INIT: &str = "f.slow_init";
pub const BAD_INIT: &str = "f.bad_init";
pub const DEAD_INIT: &str = "f.dead_init";

/// All guests of a world, and what they saw.
#[derive(Clone, Debug)]
pub struct Guests {
    record: Record,
    seen: Arc<Mutex<Seen>>,
}

/// One guest while it lives.
struct Life<'g> {
    guests: &'g Guests,
    number: u64,
    env: String,
}

impl Guests {
    pub(super) fn new(record: Record) -> Guests {
        Guests { record, seen: Arc::default() }
    }

    pub(super) fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Calls that ran at the same time in the environment that had most of them.
    pub fn most_at_once_in_one(&self) -> u32 {
        self.seen().most_in_one
    }

    pub fn most_at_once(&self) -> u32 {
        self.seen().most
    }

    pub(super) async fn play(self, mut guests: mpsc::Receiver<Guest>) {
        while let Some(guest) = guests.recv().await {
            let play = self.clone().play_one(guest);
            Tasks::default().spawn(TaskKind::Environment, "guest", play);
        }
    }

    async fn play_one(self, guest: Guest) {
        let Guest { spec, channel, handle, stdout, .. } = guest;
        let Ok(mut channel) = channel::connect(channel) else { return };
        let life = self.enter(&spec);
        if !init(&spec, &mut channel, &handle).await {
            return;
        }
        self.seen().ready(life.number);
        let mut count = 0;
        loop {
            let invoke = tokio::select! {
                biased;
                _ = handle.ended() => return,
                frame = channel::receive(&mut channel) => frame,
            };
            let Some(frame) = invoke.filter(|frame| frame.kind == INVOKE) else { return };
            count += 1;
            let event: Value = serde_json::from_slice(&frame.body).unwrap_or_default();
            life.begin(&frame, &event);
            let ended = life.run(count, &event, &mut channel, (&handle, &stdout)).await;
            life.end();
            if ended {
                return;
            }
        }
    }

    fn enter(&self, spec: &Spec) -> Life<'_> {
        let variable = |name: &str| {
            let found = spec.env.iter().find(|(known, _)| known == name);
            found.map_or_else(String::new, |(_, value)| value.clone())
        };
        let identity = Identity {
            function: variable("AWS_LAMBDA_FUNCTION_NAME"),
            revision: variable(REVISION).parse().unwrap_or(0),
            tenant: None,
        };
        let env = spec.id.clone();
        self.record.line(format_args!("env {env} begins {}", identity.function));
        let number = self.seen().enter(&self.record, &env, identity);
        Life { guests: self, number, env }
    }
}

impl Life<'_> {
    fn begin(&self, frame: &Frame, event: &Value) {
        let header: Value = serde_json::from_slice(&frame.header).unwrap_or_default();
        let mut seen = self.guests.seen();
        seen.begin(&self.guests.record, self.number, &header, event);
    }

    fn end(&self) {
        self.guests.seen().end(self.number);
        self.guests.record.line(format_args!("env {} ends a call", self.env));
    }

    /// Whether the runtime ended.
    async fn run(
        &self,
        count: u32,
        event: &Value,
        channel: &mut UnixStream,
        (handle, stdout): (&Handle, &OwnedFd),
    ) -> bool {
        if let Some(code) = event["exit"].as_i64() {
            let status = ExitStatus::Code(i32::try_from(code).unwrap_or(1));
            handle.exit(Exit { status, out_of_memory: false });
            return true;
        }
        let ms = event["ms"].as_u64().unwrap_or(0);
        tokio::select! {
            biased;
            _ = handle.ended() => return true,
            () = tokio::time::sleep(Duration::from_millis(ms)) => {}
            frame = channel::receive(channel) => {
                // The other end speaks only to ask for the next call.
                if let Some(frame) = frame {
                    let (env, kind) = (&self.env, frame.kind);
                    let what = format_args!("I1: {env} got frame {kind} while it ran a call");
                    self.guests.record.violation(what);
                }
                return true;
            }
        }
        if let Some(text) = event["print"].as_str() {
            let _ = rustix::io::write(stdout, format!("{text}\n").as_bytes());
        }
        let fill = "x".repeat(usize::try_from(event["bytes"].as_u64().unwrap_or(0)).unwrap_or(0));
        let call = &event["call"];
        let answer = json!({"env": self.env, "count": count, "call": call, "fill": fill});
        channel::send(channel, RESPONSE, b"{}", answer.to_string().as_bytes()).await;
        false
    }
}

impl Drop for Life<'_> {
    fn drop(&mut self) {
        self.guests.seen().leave(self.number);
        self.guests.record.line(format_args!("env {} is over", self.env));
    }
}

/// Inits as the handler's name says. Whether there will be calls.
async fn init(spec: &Spec, channel: &mut UnixStream, handle: &Handle) -> bool {
    let handler = spec.env.iter().find(|(name, _)| name == "_HANDLER");
    let handler = handler.map_or("", |(_, handler)| handler);
    let took = if handler == SLOW_INIT { SLOW_INIT_MS } else { INIT_MS };
    tokio::select! {
        biased;
        _ = handle.ended() => return false,
        () = tokio::time::sleep(Duration::from_millis(took)) => {}
    }
    match handler {
        BAD_INIT => {
            let header = br#"{"type":"Runtime.ImportModuleError"}"#;
            let body = br#"{"errorType":"Runtime.ImportModuleError","errorMessage":"no module"}"#;
            channel::send(channel, INIT_ERROR, header, body).await;
            handle.exit(Exit { status: ExitStatus::Code(1), out_of_memory: false });
            false
        }
        DEAD_INIT => {
            handle.exit(Exit { status: ExitStatus::Signal(9), out_of_memory: true });
            false
        }
        _ => {
            channel::send(channel, READY, b"{}", b"").await;
            true
        }
    }
}
