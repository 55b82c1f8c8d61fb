//! What every group of rows stands on: the platform that runs, the functions,
//! the amounts of a run, and the few steps that all of them take.

use std::path::PathBuf;

use anyhow::{Context, bail};
use platform::Clock;

use crate::{
    args::{Amounts, Args},
    connection::Connection,
    deploy::{Deployer, invoke_path},
    direct::{Client, Direct},
    functions::{Functions, KINDS, Kind},
    load::{Turn, drive},
    running::{Running, health_request},
    sample::Samples,
    sign::Access,
};

/// Where many environments live at once: a host grants no more memory than it
/// has. Together they may still use all of its processors.
pub(crate) const MANY_MEMORY_MB: u32 = 256;
/// Functions of each kind under load: a function's request rate is limited to
/// ten for each unit of concurrency, as on AWS, which one alone would reach.
pub(crate) const LOADED: usize = 4;
/// Gives an environment about one processor, so that no quota is measured.
pub(crate) const MEMORY_MB: u32 = 1_769;
/// What is sent where the payload is not the subject.
pub(crate) const EVENT: &[u8] = br#"{"key1":"value1","key2":"value2","n":[1,2,3]}"#;

pub(crate) struct Ground<'a> {
    pub(crate) args: &'a Args,
    pub(crate) amounts: Amounts,
    pub(crate) clock: &'a Clock,
    pub(crate) running: &'a Running,
    pub(crate) access: &'a Access,
    pub(crate) functions: &'a Functions,
}

impl Ground<'_> {
    pub(crate) fn deployer(&self) -> anyhow::Result<Deployer<'_>> {
        let connection = Connection::open(self.running.address)?;
        Ok(Deployer { clock: self.clock, access: self.access, connection })
    }

    /// The echo functions that warm calls go to, made once.
    pub(crate) fn deploy_echoes(&self) -> anyhow::Result<()> {
        let mut deployer = self.deployer()?;
        for kind in KINDS {
            let zip = self.functions.zip(kind)?;
            deployer.create(&echo(kind), kind, &zip, MEMORY_MB)?;
            for number in 0..LOADED {
                deployer.create(&loaded(kind, number), kind, &zip, MANY_MEMORY_MB)?;
            }
        }
        Ok(())
    }

    pub(crate) fn invoke_request(&self, name: &str, event: &[u8]) -> Vec<u8> {
        self.access.request(self.clock, "POST", &invoke_path(name), &[], event)
    }

    /// An invoke whose answer carries the log's tail with its REPORT line.
    pub(crate) fn tail_request(&self, name: &str, event: &[u8]) -> Vec<u8> {
        let extra = [("x-amz-log-type", "Tail")];
        self.access.request(self.clock, "POST", &invoke_path(name), &extra, event)
    }

    pub(crate) fn health(&self) -> Vec<u8> {
        health_request(self.running.address)
    }

    /// Calls one connection in turn and times each call.
    pub(crate) fn timed(
        &self,
        connection: &mut Connection,
        request: &[u8],
        calls: usize,
    ) -> anyhow::Result<Samples> {
        let mut samples = Samples::default();
        for _ in 0..calls {
            let began = self.clock.now();
            connection.succeed(request)?;
            samples.push(micros(self.clock.now().since(began).as_micros()));
        }
        Ok(samples)
    }

    /// All requests at once, each on a connection of its own; the time until the
    /// last answer.
    pub(crate) fn at_once(&self, requests: &[Vec<u8>]) -> anyhow::Result<f64> {
        let (mut began, mut ended, mut refused) = (None, 0, None);
        drive(self.clock, &[self.running.address], requests.len(), |turn: Turn| {
            let Some(answer) = turn.answer else {
                began.get_or_insert(turn.now_us);
                return requests.get(turn.lane).map(Vec::as_slice);
            };
            ended = turn.now_us;
            if answer.status != 200 {
                refused = Some(answer.status);
            }
            None
        })?;
        refused.map_or(Ok(()), expect_ok)?;
        Ok(micros(ended - began.unwrap_or(ended)))
    }

    /// The runtime client of a kind, outside any sandbox: the copy that the
    /// platform itself unpacked and compiled.
    pub(crate) fn direct(&self, kind: Kind) -> anyhow::Result<Direct> {
        let program = match kind {
            Kind::Python => &self.args.python,
            Kind::Node => &self.args.node,
            Kind::Compiled => bail!("a compiled function has no client of ours"),
        };
        let runtimes = self.runtimes()?;
        let code = self.functions.folder(kind);
        Direct::start(&Client { kind, program, runtimes: &runtimes, code: &code })
    }

    fn runtimes(&self) -> anyhow::Result<PathBuf> {
        let parent = self.running.data.join("runtimes");
        let entries = std::fs::read_dir(&parent)
            .with_context(|| format!("looking for runtime clients in {}", parent.display()))?;
        let mut folders = entries.flatten().map(|entry| entry.path());
        folders
            .find(|path| path.join("python/bootstrap.py").exists())
            .with_context(|| format!("{} holds no runtime clients", parent.display()))
    }
}

/// The function of a kind that one caller calls.
pub(crate) fn echo(kind: Kind) -> String {
    format!("echo-{}", kind.name())
}

/// One of the `LOADED` functions of a kind that many callers share.
pub(crate) fn loaded(kind: Kind, number: usize) -> String {
    format!("loaded-{}-{number}", kind.name())
}

pub(crate) fn expect_ok(status: u16) -> anyhow::Result<()> {
    if status != 200 {
        bail!("a call was answered with status {status}");
    }
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "microseconds of a run are far below 2^52")]
pub(crate) fn micros(us: u64) -> f64 {
    us as f64
}
