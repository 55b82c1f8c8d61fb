//! An installation of several processes on this machine: any number of frontends,
//! managers and workers, and one control, each a process with data of its own, over
//! unix sockets or over TCP with certificates. Processes can be killed and started
//! again one by one.

use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Stdio},
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

use crate::{
    deadline::until,
    platform::{lambent, variables},
};

const END_WITHIN_SECONDS: u64 = 20;

/// How the processes reach each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Between {
    UnixSockets,
    /// TCP on loopback, both ends with certificates of one authority.
    Certificates,
}

/// How many of each; control is one.
#[derive(Clone, Copy, Debug)]
pub struct Fleet {
    pub frontends: usize,
    pub managers: usize,
    pub workers: usize,
}

#[derive(Debug)]
pub struct Installation {
    home: TempDir,
    between: Between,
    processes: BTreeMap<String, Process>,
    variables: Vec<(String, String)>,
}

#[derive(Debug)]
struct Process {
    child: Child,
    endpoint: Option<String>,
    /// Where it shows its metrics.
    metrics: String,
}

impl Installation {
    pub fn start(fleet: Fleet, between: Between) -> Installation {
        let home = tempfile::Builder::new().prefix("lambent-e2e-").tempdir();
        let home = home.expect("a data directory can be made");
        let numbered = |kind: &'static str, count| (1..=count).map(move |n| format!("{kind}-{n}"));
        let names: Vec<String> = std::iter::once("control".to_owned())
            .chain(numbered("manager", fleet.managers))
            .chain(numbered("worker", fleet.workers))
            .chain(numbered("frontend", fleet.frontends))
            .collect();
        write_members(home.path(), &names, between);
        let mut installation =
            Installation { home, between, processes: BTreeMap::new(), variables: Vec::new() };
        for name in &names {
            installation.launch(name);
        }
        installation.variables = variables(&installation.data("frontend-1"));
        installation
    }

    /// What `lambent env` prints of the first frontend: name and value.
    pub fn variable(&self, name: &str) -> &str {
        let found = self.variables.iter().find(|(n, _)| n == name);
        found.map(|(_, value)| value.as_str()).expect("lambent env prints it")
    }

    /// Of the frontends in turn.
    pub fn endpoint(&self, frontend: usize) -> &str {
        let process = &self.processes[&format!("frontend-{frontend}")];
        process.endpoint.as_deref().expect("a frontend has an endpoint")
    }

    /// Runs a command of the program as an operator of this installation.
    pub fn operate(&self, arguments: &[&str]) {
        let variables = self.variables.iter().map(|(name, value)| (name, value));
        let output = lambent().args(arguments).envs(variables).output();
        let output = output.expect("lambent runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    /// What a process shows of a metric, summed over its series; `labels` as they are
    /// written in one, such as `function="f"`. None where there is no such series.
    pub fn metric(&self, process: &str, name: &str, labels: &str) -> Option<f64> {
        let page = read_page(&self.processes[process].metrics);
        let value = |line: &str| {
            let (series, value) = line.rsplit_once(' ')?;
            let of = series.strip_prefix(name)?;
            let named = of.is_empty() || of.starts_with('{');
            (named && of.contains(labels)).then(|| value.parse::<f64>().expect("a number"))
        };
        page.lines().filter_map(value).reduce(|sum, value| sum + value)
    }

    pub fn log(&self, name: &str) -> String {
        fs::read_to_string(self.home.path().join(name).join("log")).unwrap_or_default()
    }

    /// SIGKILL; what it hosted must not outlive it.
    pub fn kill(&mut self, name: &str) {
        let mut process = self.processes.remove(name).expect("it runs");
        signal(&process.child, Signal::KILL);
        process.child.wait().expect("it can be waited for");
    }

    /// Starts it, for the first time or again.
    pub fn launch(&mut self, name: &str) {
        let home = self.home.path();
        let own = home.join(name);
        fs::create_dir_all(&own).expect("a directory can be made");
        let log = fs::File::options().create(true).append(true).open(own.join("log"));
        let mut command = lambent();
        command
            .args(["up", "--json", "--listen", "127.0.0.1:0", "--log", "info", "--roles", name])
            .arg("--members")
            .arg(home.join("members.toml"))
            .arg("--data")
            .arg(own.join("data"))
            .arg("--objects")
            .arg(format!("file:{}", home.join("objects").display()))
            // Several workers share this machine.
            .args(["--memory-mb", "4096", "--metrics", "127.0.0.1:0"]);
        if self.between == Between::Certificates {
            command.arg("--certificates").arg(home.join("certificates"));
        }
        let spawned = command.stdout(Stdio::piped()).stderr(log.expect("a log can be opened"));
        let mut child = spawned.spawn().expect("lambent starts");
        let mut line = String::new();
        let stdout = child.stdout.take().expect("its output is piped");
        BufReader::new(stdout).read_line(&mut line).expect("its output can be read");
        let said: Value = serde_json::from_str(&line)
            .unwrap_or_else(|_| panic!("{name} said {line:?}, log:\n{}", self.log(name)));
        let endpoint = said["endpoint"].as_str().map(ToOwned::to_owned);
        let metrics = said["metrics"].as_str().expect("it shows its metrics").to_owned();
        self.processes.insert(name.to_owned(), Process { child, endpoint, metrics });
    }

    /// SIGTERM to all, frontends first, and a clean end of each.
    pub fn stop(mut self) {
        for kind in ["frontend", "manager", "worker", "control"] {
            let names: Vec<String> =
                self.processes.keys().filter(|name| name.starts_with(kind)).cloned().collect();
            for name in &names {
                signal(&self.processes[name].child, Signal::TERM);
            }
            for name in names {
                let mut process = self.processes.remove(&name).expect("it runs");
                let ended = until(END_WITHIN_SECONDS, || {
                    process.child.try_wait().expect("it can be waited for")
                });
                let log = self.log(&name);
                let code = ended.expect("it ends after SIGTERM").code();
                assert_eq!(code, Some(0), "exit code of {name}, log:\n{log}");
                assert!(!log.contains("panicked"), "a panic in the log of {name}:\n{log}");
                let secret = self.variable("AWS_SECRET_ACCESS_KEY");
                assert!(!log.contains(secret), "the log of {name} holds the secret key");
            }
        }
    }

    fn data(&self, name: &str) -> PathBuf {
        self.home.path().join(name).join("data")
    }
}

impl Drop for Installation {
    /// After a failed test: nothing of it may disturb the next.
    fn drop(&mut self) {
        let left = std::mem::take(&mut self.processes);
        for (name, mut process) in left {
            signal(&process.child, Signal::TERM);
            let ended = until(END_WITHIN_SECONDS, || process.child.try_wait().ok().flatten());
            if ended.is_none() {
                let _ = process.child.kill();
            }
            let _ = process.child.wait();
            eprintln!("the log of {name}:\n{}", self.log(&name));
        }
    }
}

fn write_members(home: &Path, names: &[String], between: Between) {
    // Held until all are chosen, so that they differ.
    let ports: Vec<TcpListener> = names
        .iter()
        .map(|_| TcpListener::bind("127.0.0.1:0").expect("loopback has free ports"))
        .collect();
    let address = |name: &String, port: &TcpListener| match between {
        Between::UnixSockets => format!("unix://{}", home.join(format!("{name}.sock")).display()),
        Between::Certificates => {
            format!("tcp://{}", port.local_addr().expect("it is bound"))
        }
    };
    let lines: Vec<String> = names
        .iter()
        .zip(&ports)
        .map(|(name, port)| format!("{name} = \"{}\"", address(name, port)))
        .collect();
    let file = format!("[members]\n{}\n", lines.join("\n"));
    fs::write(home.join("members.toml"), file).expect("a file can be written");
    if between == Between::Certificates {
        let authority = home.join("authority");
        run(&["create", &authority.display().to_string()]);
        for name in names {
            let to = home.join("certificates").display().to_string();
            run(&["issue", &authority.display().to_string(), "--roles", name, "--to", &to]);
        }
    }
}

/// `GET` of an address of this host.
fn read_page(url: &str) -> String {
    let (address, path) =
        url.strip_prefix("http://").and_then(|rest| rest.split_once('/')).expect("a URL");
    let mut stream = TcpStream::connect(address).expect("the page can be reached");
    let request = format!("GET /{path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).expect("it can be asked");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("it answers");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    body.to_owned()
}

fn run(arguments: &[&str]) {
    let output = lambent().args(["admin", "authority"]).args(arguments).output();
    let output = output.expect("lambent admin runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

fn signal(child: &Child, signal: Signal) {
    let _ = kill_process(Pid::from_child(child), signal);
}
