//! The real binary from the outside, as a person uses it: up, env, deploy, invoke,
//! logs, ls, rm, an orderly end, and a restart on the same data. What AWS's own
//! clients see is tested in `e2e`.

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    path::Path,
    process::{Child, Command, Output, Stdio},
};

use serde_json::Value;

const LAMBENT: &str = env!("CARGO_BIN_EXE_lambent");
const AWS_VARIABLES: [&str; 7] = [
    "AWS_ENDPOINT_URL",
    "AWS_ENDPOINT_URL_LAMBDA",
    "AWS_REGION",
    "AWS_DEFAULT_REGION",
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "LAMBENT_DATA",
];

/// A command that knows nothing of the caller's platform.
fn lambent(arguments: &[&str]) -> Command {
    let mut command = Command::new(LAMBENT);
    command.args(arguments);
    for name in AWS_VARIABLES {
        command.env_remove(name);
    }
    command
}

/// A platform on a free port; killed when a test fails.
struct Up {
    child: Child,
    said: Value,
}

impl Up {
    fn start(data: &Path, more: &[&str]) -> Up {
        let mut command = lambent(&["up", "--json", "--listen", "127.0.0.1:0"]);
        command.args(more).arg("--data").arg(data).stdout(Stdio::piped());
        let mut child = command.spawn().expect("lambent up starts");
        let mut line = String::new();
        let stdout = child.stdout.take().expect("it has a standard output");
        BufReader::new(stdout).read_line(&mut line).expect("it says something");
        let said = serde_json::from_str(&line).unwrap_or_else(|_| panic!("it said {line:?}"));
        Up { child, said }
    }

    fn terminate(&self) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("it lives");
    }

    /// SIGTERM; the exit code.
    fn end(mut self) -> Option<i32> {
        self.terminate();
        self.child.wait().expect("it ends").code()
    }
}

impl Drop for Up {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn run(data: &Path, arguments: &[&str]) -> Output {
    let mut command = lambent(arguments);
    command.env("LAMBENT_DATA", data).output().expect("the command runs")
}

/// Standard output of a command that has to succeed.
fn ok(data: &Path, arguments: &[&str]) -> String {
    let output = run(data, arguments);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {stderr}");
    String::from_utf8(output.stdout).expect("text")
}

fn json(data: &Path, arguments: &[&str]) -> Value {
    serde_json::from_str(&ok(data, arguments)).expect("JSON")
}

fn python(directory: &Path, body: &str) -> String {
    fs::create_dir_all(directory).unwrap();
    let text = format!("def handler(event, context):\n{body}\n");
    fs::write(directory.join("app.py"), text).unwrap();
    directory.to_str().unwrap().to_owned()
}

#[test]
fn a_function_s_life_with_the_commands_for_people() {
    let home = tempfile::tempdir().unwrap();
    let data = home.path().join("data");
    let up = Up::start(&data, &[]);
    let endpoint = up.said["endpoint"].as_str().unwrap().to_owned();

    let address = endpoint.trim_start_matches("http://");
    let doctor = json(&data, &["doctor", "--json", "--listen", address]);
    assert_eq!(doctor["ok"], true, "{doctor}");
    assert_eq!(doctor["isolation"], "full", "{doctor}");

    let env = ok(&data, &["env"]);
    assert!(env.contains(&format!("export AWS_ENDPOINT_URL_LAMBDA='{endpoint}'")), "{env}");
    assert!(json(&data, &["env", "--json"])["AWS_ACCESS_KEY_ID"].as_str().unwrap().len() == 20);

    let code = python(
        &home.path().join("my-hello"),
        "    print('heard', event['n'])\n    if event['n'] == 0: raise ValueError('no zero')\n    return {'n': event['n'] + 1}",
    );
    let deployed = ok(&data, &["deploy", &code, "--timeout", "20"]);
    assert!(deployed.contains("my-hello") && deployed.contains("Created"), "{deployed}");
    assert_eq!(ok(&data, &["invoke", "my-hello", "-p", "{\"n\":41}"]), "{\"n\": 42}\n");

    let page = metrics(up.said["metrics"].as_str().expect("loopback shows its metrics"));
    for line in [
        "lambent_invocations_total{account=\"ACCOUNT\",function=\"my-hello\",qualifier=\"$LATEST\"} 1",
        "lambent_cold_starts_total{account=\"ACCOUNT\",function=\"my-hello\",qualifier=\"$LATEST\"} 1",
        "lambent_environments{state=\"idle\"} 1",
        "lambent_environments_granted_total{warm=\"false\"} 1",
        "lambent_claimed_account_concurrency{account=\"ACCOUNT\"} 0",
        "lambent_broken_invariants_total{invariant=\"I1\"} 0",
    ] {
        let line = line.replace("ACCOUNT", up.said["account"].as_str().unwrap());
        assert!(page.lines().any(|found| found == line), "{line} is not in\n{page}");
    }

    let failed = run(&data, &["invoke", "my-hello", "-p", "{\"n\":0}", "--tail"]);
    assert_eq!(failed.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&failed.stdout).contains("no zero"));
    let said = String::from_utf8_lossy(&failed.stderr);
    assert!(said.contains("heard 0") && said.contains("function error: Unhandled"), "{said}");

    python(&home.path().join("my-hello"), "    return 'changed'");
    assert!(ok(&data, &["deploy", &code]).contains("Updated"));
    let changed = json(&data, &["invoke", "my-hello", "--json", "--tail"]);
    assert_eq!(changed["payload"], "changed");
    assert!(changed["log"].as_str().unwrap().contains("REPORT RequestId: "));

    let listed = json(&data, &["ls", "--json"]);
    assert_eq!(listed[0]["FunctionName"], "my-hello");
    assert_eq!(listed[0]["Timeout"], 20, "an update of code keeps the settings");

    logs_arrive(&data, "my-hello", "heard 41");
    assert_eq!(ok(&data, &["rm", "my-hello"]), "deleted my-hello\n");
    let gone = run(&data, &["invoke", "my-hello"]);
    assert_eq!(gone.status.code(), Some(4));
    assert!(String::from_utf8_lossy(&gone.stderr).contains("ResourceNotFoundException"));
    assert_eq!(up.end(), Some(0));
}

/// `GET` of the page, with its head.
fn metrics(url: &str) -> String {
    let (address, path) = url.strip_prefix("http://").unwrap().split_once('/').unwrap();
    let mut stream = TcpStream::connect(address).expect("it can be reached");
    let head = format!("GET /{path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).unwrap();
    let mut page = String::new();
    stream.read_to_string(&mut page).unwrap();
    page
}

/// Log lines are written by a thread of their own: followed until they are there.
fn logs_arrive(data: &Path, name: &str, wanted: &str) {
    let mut follow = lambent(&["logs", name, "-f"]);
    let mut child =
        follow.env("LAMBENT_DATA", data).stdout(Stdio::piped()).spawn().expect("logs runs");
    let lines = BufReader::new(child.stdout.take().expect("it has a standard output")).lines();
    let found = lines.map_while(Result::ok).any(|line| line.contains(wanted));
    child.kill().expect("it follows until it is ended");
    child.wait().expect("it ends");
    assert!(found, "the log has no line with {wanted:?}");
}

#[test]
fn a_restart_keeps_functions_and_credentials() {
    let home = tempfile::tempdir().unwrap();
    let data = home.path().join("data");
    let code = python(&home.path().join("kept"), "    return 'still here'");
    let up = Up::start(&data, &[]);
    ok(&data, &["deploy", &code]);
    let key = json(&data, &["env", "--json"])["AWS_ACCESS_KEY_ID"].clone();
    assert_eq!(up.end(), Some(0));

    let unreachable = run(&data, &["ls"]);
    assert_eq!(unreachable.status.code(), Some(3));
    assert!(String::from_utf8_lossy(&unreachable.stderr).contains("lambent up"));

    let up = Up::start(&data, &[]);
    assert_eq!(json(&data, &["env", "--json"])["AWS_ACCESS_KEY_ID"], key);
    assert_eq!(ok(&data, &["invoke", "kept"]), "\"still here\"\n");
    assert_eq!(up.end(), Some(0));
}

#[test]
fn a_running_call_is_answered_before_the_end() {
    let home = tempfile::tempdir().unwrap();
    let data = home.path().join("data");
    let body =
        "    print('begun', flush=True)\n    import time; time.sleep(0.7)\n    return 'finished'";
    let code = python(&home.path().join("slow"), body);
    let up = Up::start(&data, &[]);
    ok(&data, &["deploy", &code, "--timeout", "10"]);
    let mut invoke = lambent(&["invoke", "slow"]);
    let call = invoke.env("LAMBENT_DATA", &data).stdout(Stdio::piped()).spawn().unwrap();
    logs_arrive(&data, "slow", "begun");
    assert_eq!(up.end(), Some(0));
    let answer = call.wait_with_output().unwrap();
    assert_eq!(String::from_utf8_lossy(&answer.stdout), "\"finished\"\n");
}

/// The call would run for a minute; the test ends only if it is cut off.
#[test]
fn a_second_signal_cuts_running_calls_off() {
    let home = tempfile::tempdir().unwrap();
    let data = home.path().join("data");
    let body = "    print('begun', flush=True)\n    import time; time.sleep(60)";
    let code = python(&home.path().join("slow"), body);
    let mut up = Up::start(&data, &["--log", "warn"]);
    ok(&data, &["deploy", &code, "--timeout", "90"]);
    let mut invoke = lambent(&["invoke", "slow"]);
    let call = invoke.env("LAMBENT_DATA", &data).stderr(Stdio::piped()).spawn().unwrap();
    logs_arrive(&data, "slow", "begun");
    up.terminate();
    // The listener is gone once the first signal has been seen.
    while run(&data, &["ls"]).status.code() != Some(3) {}
    assert!(up.child.try_wait().unwrap().is_none(), "it waits for the running call");
    up.terminate();
    assert_eq!(up.child.wait().unwrap().code(), Some(0));
    assert_eq!(call.wait_with_output().unwrap().status.code(), Some(3));
}

#[test]
fn wrong_credentials_are_refused_unless_any_are_accepted() {
    let home = tempfile::tempdir().unwrap();
    let data = home.path().join("data");
    let listed = |up: &Up| {
        let mut ls = lambent(&["ls"]);
        ls.env("AWS_ENDPOINT_URL_LAMBDA", up.said["endpoint"].as_str().unwrap());
        ls.env("AWS_REGION", "us-east-1").env("AWS_ACCESS_KEY_ID", "AKIAAAAAAAAAAAAAAAAA");
        ls.env("AWS_SECRET_ACCESS_KEY", "wrong").output().unwrap().status.code()
    };
    let up = Up::start(&data, &[]);
    assert_eq!(listed(&up), Some(4));
    assert_eq!(up.end(), Some(0));
    let up = Up::start(&data, &["--auth", "any"]);
    assert_eq!(listed(&up), Some(0));
    assert_eq!(up.end(), Some(0));
}

#[test]
fn a_version_that_the_host_lacks_runs_on_another_or_is_refused_as_asked() {
    let data = tempfile::tempdir().unwrap();
    let code = tempfile::tempdir().unwrap();
    let code = python(code.path(), "    return 'ran'");
    // Older than what a supported Debian has under /usr.
    let deploy = ["deploy", &code, "--name", "old", "--runtime", "python3.8"];
    let up = Up::start(data.path(), &["--runtimes", "nearest"]);
    ok(data.path(), &deploy);
    assert!(ok(data.path(), &["invoke", "old"]).contains("ran"));
    logs_arrive(data.path(), "old", "python3.8 is not on this host");
    assert_eq!(up.end(), Some(0));
    let up = Up::start(data.path(), &["--runtimes", "strict"]);
    let refused = run(data.path(), &["invoke", "old"]);
    let told = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(told.contains("InvalidRuntimeException"), "{told}");
    assert!(!refused.status.success());
    assert_eq!(up.end(), Some(0));
}

#[test]
fn starts_that_cannot_work_say_what_to_do() {
    let home = tempfile::tempdir().unwrap();
    let data = home.path().join("data");
    let up = Up::start(&data, &[]);
    let address = up.said["endpoint"].as_str().unwrap().trim_start_matches("http://").to_owned();
    let other = home.path().join("other");
    let refused = |arguments: &[&str], data: &Path, exit, word: &str| {
        let output = run(data, &[&["up"], arguments].concat());
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(exit), "{arguments:?}: {stderr}");
        assert!(stderr.contains(word), "{arguments:?}: {stderr}");
    };
    refused(&["--listen", &address], &other, 1, "--listen");
    refused(&["--listen", "127.0.0.1:0"], &data, 1, "--data");
    refused(&["--store", "etcd://host"], &other, 2, "sqlite:DIR");
    refused(&["--listen", "0.0.0.0:0", "--auth", "any"], &other, 2, "--auth any");
    assert_eq!(up.end(), Some(0));
}
