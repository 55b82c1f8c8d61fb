//! Functions made and removed through the public API. Creation is never part of
//! what is timed.

use std::time::Duration;

use anyhow::{Context, bail};
use base64::{Engine, engine::general_purpose::STANDARD};
use model::Span;
use platform::Clock;
use serde_json::{Value, json};

use crate::{
    connection::{Answer, Connection},
    functions::Kind,
    sign::Access,
};

const ROLE: &str = "arn:aws:iam::123456789012:role/bench";
/// A new function that is not active by then has failed.
const ACTIVE_TIMEOUT: Span = Span::secs(30);
const LOOK_EVERY: Duration = Duration::from_millis(2);
/// Cold starts under full load take their time.
const TIMEOUT_SECS: u32 = 60;

/// The control side of one platform.
pub(crate) struct Deployer<'a> {
    pub(crate) clock: &'a Clock,
    pub(crate) access: &'a Access,
    pub(crate) connection: Connection,
}

impl Deployer<'_> {
    /// Creates a function and waits until it may be called.
    pub(crate) fn create(
        &mut self,
        name: &str,
        kind: Kind,
        zip: &[u8],
        memory_mb: u32,
    ) -> anyhow::Result<()> {
        let body = json!({
            "FunctionName": name,
            "Runtime": kind.runtime(),
            "Handler": kind.handler(),
            "Role": ROLE,
            "Timeout": TIMEOUT_SECS,
            "MemorySize": memory_mb,
            "Code": { "ZipFile": STANDARD.encode(zip) },
        });
        let mut answer =
            self.ask("POST", "/2015-03-31/functions", body.to_string().as_bytes(), 201)?;
        let deadline = self.clock.now() + ACTIVE_TIMEOUT;
        let path = format!("/2015-03-31/functions/{name}/configuration");
        loop {
            let state: Value = serde_json::from_slice(&answer.body)?;
            match state["State"].as_str() {
                Some("Active") => return Ok(()),
                Some("Pending") if self.clock.now() < deadline => {}
                other => bail!("function {name} is in state {other:?}: {state}"),
            }
            std::thread::sleep(LOOK_EVERY);
            answer = self.ask("GET", &path, b"", 200)?;
        }
    }

    pub(crate) fn delete(&mut self, name: &str) -> anyhow::Result<()> {
        self.ask("DELETE", &function_path(name), b"", 204).map(drop)
    }

    fn ask(
        &mut self,
        method: &str,
        path: &str,
        body: &[u8],
        wanted: u16,
    ) -> anyhow::Result<Answer> {
        let request = self.access.request(self.clock, method, path, &[], body);
        let answer = self.connection.ask(&request).with_context(|| format!("{method} {path}"))?;
        if answer.status != wanted {
            let said = String::from_utf8_lossy(&answer.body);
            bail!(
                "{method} {path} was answered with {} instead of {wanted}: {said}",
                answer.status
            );
        }
        Ok(answer)
    }
}

pub(crate) fn function_path(name: &str) -> String {
    format!("/2015-03-31/functions/{name}")
}

pub(crate) fn invoke_path(name: &str) -> String {
    format!("/2015-03-31/functions/{name}/invocations")
}
