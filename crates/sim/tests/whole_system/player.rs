//! Plays the runtimes inside fake sandboxes: answers what the event asks for, after
//! the virtual time it asks for, over the real framed channel.

use std::{
    collections::BTreeMap,
    os::{fd::OwnedFd, unix::net::UnixStream as StdUnixStream},
    sync::{Arc, Mutex},
    time::Duration,
};

use sandbox::{
    Exit, ExitStatus, Spec,
    fake::{Guest, Handle},
};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::UnixStream,
    sync::mpsc,
};

pub(crate) const INIT_MS: u64 = 80;
/// Longer than the init phase.
pub(crate) const SLOW_INIT_MS: u64 = 12_000;

// Handlers whose init goes another way.
pub(crate) const SLOW_INIT: &str = "f.slow_init";
pub(crate) const BAD_INIT: &str = "f.bad_init";
pub(crate) const DEAD_INIT: &str = "f.dead_init";

const INVOKE: u8 = 1;
const READY: u8 = 16;
const RESPONSE: u8 = 17;
const INIT_ERROR: u8 = 19;

/// What the player saw of all environments.
#[derive(Clone, Default)]
pub(crate) struct Player(Arc<Mutex<Seen>>);

#[derive(Default)]
struct Seen {
    running: BTreeMap<String, u32>,
    most_in_one: u32,
    most: u32,
}

impl Player {
    /// Calls that ran at the same time in the environment that had most of them.
    pub(crate) fn most_at_once_in_one(&self) -> u32 {
        self.0.lock().unwrap().most_in_one
    }

    pub(crate) fn most_at_once(&self) -> u32 {
        self.0.lock().unwrap().most
    }

    pub(crate) async fn play(self, mut guests: mpsc::Receiver<Guest>) {
        while let Some(guest) = guests.recv().await {
            tokio::task::spawn_local(self.clone().play_one(guest));
        }
    }

    async fn play_one(self, guest: Guest) {
        let Guest { spec, channel, handle, stdout, stderr: _stderr, .. } = guest;
        let mut channel = connect(channel);
        if !init(&spec, &mut channel, &handle).await {
            return;
        }
        let mut count = 0;
        loop {
            let invoke = tokio::select! {
                _ = handle.ended() => return,
                frame = receive(&mut channel) => frame,
            };
            let Some((INVOKE, event)) = invoke else { return };
            count += 1;
            self.begin(&spec.id);
            let ended = self.run(&spec.id, count, &event, &mut channel, (&handle, &stdout)).await;
            self.end(&spec.id);
            if ended {
                return;
            }
        }
    }

    /// Whether the runtime ended.
    async fn run(
        &self,
        env: &str,
        count: u32,
        event: &[u8],
        channel: &mut UnixStream,
        (handle, stdout): (&Handle, &OwnedFd),
    ) -> bool {
        let event: Value = serde_json::from_slice(event).unwrap();
        if let Some(code) = event["exit"].as_i64() {
            let status = ExitStatus::Code(i32::try_from(code).unwrap());
            handle.exit(Exit { status, out_of_memory: false });
            return true;
        }
        let ms = event["ms"].as_u64().unwrap_or(0);
        tokio::select! {
            _ = handle.ended() => return true,
            () = tokio::time::sleep(Duration::from_millis(ms)) => {}
        }
        if let Some(text) = event["print"].as_str() {
            let _ = rustix::io::write(stdout, format!("{text}\n").as_bytes());
        }
        let fill = "x".repeat(usize::try_from(event["bytes"].as_u64().unwrap_or(0)).unwrap());
        let answer = json!({"env": env, "count": count, "fill": fill}).to_string();
        send(channel, RESPONSE, b"{}", answer.as_bytes()).await;
        false
    }

    fn begin(&self, env: &str) {
        let mut seen = self.0.lock().unwrap();
        let running = seen.running.entry(env.to_owned()).or_default();
        *running += 1;
        let in_one = *running;
        seen.most_in_one = seen.most_in_one.max(in_one);
        let all = seen.running.values().sum();
        seen.most = seen.most.max(all);
    }

    fn end(&self, env: &str) {
        let mut seen = self.0.lock().unwrap();
        *seen.running.entry(env.to_owned()).or_default() -= 1;
    }
}

/// Inits as the handler's name says. Whether there will be calls.
async fn init(spec: &Spec, channel: &mut UnixStream, handle: &Handle) -> bool {
    let handler = spec.env.iter().find(|(name, _)| name == "_HANDLER");
    let handler = handler.map_or("", |(_, handler)| handler);
    let took = if handler == SLOW_INIT { SLOW_INIT_MS } else { INIT_MS };
    tokio::select! {
        _ = handle.ended() => return false,
        () = tokio::time::sleep(Duration::from_millis(took)) => {}
    }
    match handler {
        BAD_INIT => {
            let header = br#"{"type":"Runtime.ImportModuleError"}"#;
            let body = br#"{"errorType":"Runtime.ImportModuleError","errorMessage":"no module"}"#;
            send(channel, INIT_ERROR, header, body).await;
            handle.exit(Exit { status: ExitStatus::Code(1), out_of_memory: false });
            false
        }
        DEAD_INIT => {
            handle.exit(Exit { status: ExitStatus::Signal(9), out_of_memory: true });
            false
        }
        _ => {
            send(channel, READY, b"{}", b"").await;
            true
        }
    }
}

fn connect(channel: StdUnixStream) -> UnixStream {
    channel.set_nonblocking(true).unwrap();
    UnixStream::from_std(channel).unwrap()
}

async fn send(channel: &mut UnixStream, kind: u8, header: &[u8], body: &[u8]) {
    let mut frame = vec![kind];
    frame.extend(u32::try_from(header.len()).unwrap().to_le_bytes());
    frame.extend(u32::try_from(body.len()).unwrap().to_le_bytes());
    frame.extend_from_slice(header);
    frame.extend_from_slice(body);
    // A worker that has gone away is the end of the play, not a fault of it.
    let _ = channel.write_all(&frame).await;
}

async fn receive(channel: &mut UnixStream) -> Option<(u8, Vec<u8>)> {
    let kind = channel.read_u8().await.ok()?;
    let header = channel.read_u32_le().await.ok()?;
    let body = channel.read_u32_le().await.ok()?;
    let mut bytes = vec![0; (header + body) as usize];
    channel.read_exact(&mut bytes).await.ok()?;
    Some((kind, bytes.split_off(header as usize)))
}
