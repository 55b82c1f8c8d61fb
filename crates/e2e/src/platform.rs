//! One platform per test: started on a free port over a data directory of its
//! own, stopped with SIGTERM, and held to a clean end: exit code 0, no panic in
//! its log and no secret, no process, control group or mount left.

use std::{
    env, fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

use crate::{deadline::until, leftovers::Owned};

/// Running calls get ten seconds at the end; the rest is the machine's.
const END_WITHIN_SECONDS: u64 = 20;

#[derive(Debug)]
pub struct Platform {
    child: Child,
    home: TempDir,
    variables: Vec<(String, String)>,
    endpoint: String,
}

impl Platform {
    pub fn start() -> Platform {
        let home = tempfile::Builder::new().prefix("lambent-e2e-").tempdir();
        Platform::start_in(home.expect("a data directory can be made"))
    }

    fn start_in(home: TempDir) -> Platform {
        let mut child = launch(home.path());
        let mut line = String::new();
        let stdout = child.stdout.take().expect("its output is piped");
        BufReader::new(stdout).read_line(&mut line).expect("its output can be read");
        let said: Value = serde_json::from_str(&line).unwrap_or_else(|_| {
            panic!("lambent up said {line:?}, log:\n{}", read_log(home.path()));
        });
        let endpoint = said["endpoint"].as_str().expect("it names its endpoint").to_owned();
        assert_eq!(said["isolation"], "full", "the suite needs a host with full isolation");
        let variables = variables(&home.path().join("data"));
        Platform { child, home, variables, endpoint }
    }

    /// What `lambent env` prints: name and value.
    pub fn variables(&self) -> &[(String, String)] {
        &self.variables
    }

    pub fn variable(&self, name: &str) -> &str {
        let found = self.variables.iter().find(|(n, _)| n == name);
        found.map(|(_, value)| value.as_str()).expect("lambent env prints it")
    }

    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    pub fn data(&self) -> PathBuf {
        self.home.path().join("data")
    }

    /// A file of the test's own, next to the data directory.
    pub fn scratch(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    pub fn log(&self) -> String {
        read_log(self.home.path())
    }

    /// SIGTERM, and everything that is owed at an orderly end.
    pub fn stop(mut self) {
        let owned = Owned::of(self.child.id(), &self.data());
        owned.assert_seen();
        self.signal(Signal::TERM);
        let status = until(END_WITHIN_SECONDS, || self.child.try_wait().expect("it can be waited"));
        let log = self.log();
        let code = status.expect("it ends after SIGTERM").code();
        assert_eq!(code, Some(0), "exit code after SIGTERM, log:\n{log}");
        owned.assert_gone();
        assert!(!log.contains("panicked"), "a panic in the platform's log:\n{log}");
        let secret = self.variable("AWS_SECRET_ACCESS_KEY");
        assert!(!log.contains(secret), "the platform's log holds its secret key");
    }

    /// SIGKILL in the middle of whatever it does, and a new one on the same data.
    /// What the killed one left of processes, groups and mounts must be gone then.
    #[must_use]
    pub fn kill_and_restart(mut self) -> Platform {
        let owned = Owned::of(self.child.id(), &self.data());
        owned.assert_seen();
        self.signal(Signal::KILL);
        self.child.wait().expect("it can be waited for");
        let home = std::mem::replace(&mut self.home, TempDir::new().expect("a placeholder"));
        let next = Platform::start_in(home);
        owned.assert_gone();
        next
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("the platform is running");
    }
}

impl Drop for Platform {
    /// After a failed test: nothing of it may disturb the next.
    fn drop(&mut self) {
        if self.child.try_wait().ok().flatten().is_none() {
            self.signal(Signal::TERM);
            if until(END_WITHIN_SECONDS, || self.child.try_wait().ok().flatten()).is_none() {
                let _ = self.child.kill();
            }
            let _ = self.child.wait();
            eprintln!("the platform's log:\n{}", self.log());
        }
    }
}

fn launch(home: &Path) -> Child {
    let log = fs::File::options().create(true).append(true).open(home.join("log"));
    lambent()
        .args(["up", "--json", "--listen", "127.0.0.1:0", "--log", "info", "--data"])
        .arg(home.join("data"))
        .stdout(Stdio::piped())
        .stderr(log.expect("a log can be opened"))
        .spawn()
        .expect("lambent starts")
}

pub(crate) fn variables(data: &Path) -> Vec<(String, String)> {
    let output = lambent().args(["env", "--json", "--data"]).arg(data).output();
    let output = output.expect("lambent env runs");
    assert!(output.status.success(), "lambent env: {}", String::from_utf8_lossy(&output.stderr));
    let said: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let pairs = said.as_object().expect("names and values").iter();
    pairs.map(|(n, v)| (n.clone(), v.as_str().expect("text").to_owned())).collect()
}

pub(crate) fn lambent() -> Command {
    let binary = binary();
    assert!(binary.exists(), "{} is not there: cargo build -p lambent", binary.display());
    let mut command = Command::new(binary);
    for (name, _) in env::vars().filter(|(n, _)| n.starts_with("AWS_") || n.starts_with("LAMBENT_"))
    {
        command.env_remove(name);
    }
    command
}

/// `LAMBENT_E2E_BINARY`, else the one of the same profile as this test.
pub(crate) fn binary() -> PathBuf {
    if let Some(named) = env::var_os("LAMBENT_E2E_BINARY") {
        return named.into();
    }
    let test = env::current_exe().expect("a running test knows its path");
    let profile = test.parent().and_then(Path::parent).expect("tests stand in PROFILE/deps");
    profile.join("lambent")
}

fn read_log(home: &Path) -> String {
    fs::read_to_string(home.join("log")).unwrap_or_default()
}
