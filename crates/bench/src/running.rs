//! The platform under measurement as a child process: started on a free port
//! with a data directory of its own, stopped by its process id.

use std::{
    fs::File,
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use anyhow::{Context, bail};
use model::Span;
use platform::Clock;
use rustix::process::{Pid, Signal, kill_process};

use crate::{connection::Connection, sign::Access};

/// A platform that does not answer by then has failed to start.
const START_TIMEOUT: Span = Span::secs(30);
/// A platform that is told to stop and does not is killed then.
const STOP_TIMEOUT: Span = Span::secs(20);
/// Between two looks at a port that refuses.
const LOOK_EVERY: Duration = Duration::from_micros(200);

pub(crate) const HEALTH_PATH: &str = "/lambent/v1/health";

/// What is started, and how.
#[derive(Clone, Debug)]
pub(crate) struct Program {
    pub(crate) path: PathBuf,
    pub(crate) options: Vec<String>,
}

#[derive(Debug)]
pub(crate) struct Running {
    child: Child,
    pub(crate) address: SocketAddr,
    pub(crate) data: PathBuf,
    /// From before the process was made to its first answer.
    pub(crate) start_us: u64,
    clock: Clock,
}

impl Running {
    pub(crate) fn start(clock: &Clock, program: &Program, data: &Path) -> anyhow::Result<Running> {
        // The port is free again before the platform asks for it.
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let said = File::create(data.join("bench-said.log"))?;
        let mut command = Command::new(&program.path);
        command.arg("up").arg("--data").arg(data.join("data"));
        command.args(["--listen", &address.to_string()]).args(&program.options);
        command.stdin(Stdio::null()).stdout(said.try_clone()?).stderr(said);
        let began = clock.now();
        let child =
            command.spawn().with_context(|| format!("starting {} up", program.path.display()))?;
        let data = data.join("data");
        let mut running = Running { child, address, data, start_us: 0, clock: clock.clone() };
        running.wait_for_answer(began + START_TIMEOUT)?;
        running.start_us = clock.now().since(began).as_micros();
        Ok(running)
    }

    fn wait_for_answer(&mut self, deadline: model::Now) -> anyhow::Result<()> {
        let request = health_request(self.address);
        loop {
            let mut asked = Connection::open(self.address);
            if let Ok(connection) = &mut asked
                && connection.call(&request).is_ok_and(|status| status == 200)
            {
                return Ok(());
            }
            if let Some(status) = self.child.try_wait()? {
                bail!("the platform ended with {status} instead of answering:\n{}", self.said());
            }
            if self.clock.now() > deadline {
                bail!("the platform does not answer within {START_TIMEOUT:?}:\n{}", self.said());
            }
            std::thread::sleep(LOOK_EVERY);
        }
    }

    fn said(&self) -> String {
        let path = self.data.with_file_name("bench-said.log");
        std::fs::read_to_string(path).unwrap_or_default()
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn access(&self) -> anyhow::Result<Access> {
        Access::read(&self.data)
    }

    /// Asks it to stop and waits for its end.
    pub(crate) fn stop(mut self) -> anyhow::Result<()> {
        let status = self.end()?;
        if !status.success() {
            bail!("the platform ended with {status} when it was asked to stop:\n{}", self.said());
        }
        Ok(())
    }

    fn end(&mut self) -> anyhow::Result<std::process::ExitStatus> {
        if let Some(status) = self.child.try_wait()? {
            return Ok(status);
        }
        if let Some(pid) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) {
            kill_process(pid, Signal::TERM).context("stopping the platform")?;
        }
        let deadline = self.clock.now() + STOP_TIMEOUT;
        while self.clock.now() < deadline {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        self.child.kill()?;
        self.child.wait().context("waiting for the platform's end")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Err(error) = self.end() {
            eprintln!("bench: the platform (process {}) may still run: {error}", self.child.id());
        }
    }
}

pub(crate) fn health_request(address: SocketAddr) -> Vec<u8> {
    format!("GET {HEALTH_PATH} HTTP/1.1\r\nhost: {address}\r\n\r\n").into_bytes()
}
