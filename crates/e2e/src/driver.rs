//! The programs that play the client: Python with boto3, a shell with the AWS
//! CLI, Node with the JavaScript SDK. Each gets the variables of `lambent env`
//! and nothing else of AWS; its output is the message of a failed test.

use std::{
    env,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use crate::{
    deadline::until,
    platform::{Platform, binary},
};

/// A driver that takes longer hangs.
const END_WITHIN_SECONDS: u64 = 150;

#[derive(Debug)]
pub struct Driver {
    command: Command,
    what: String,
}

impl Driver {
    /// Cases of a module under `py/`: `module`, `module.Class` or one method.
    pub fn python_cases(platform: &Platform, cases: &str) -> Driver {
        let mut driver = Driver::of(platform, &venv().join("bin/python"), cases);
        driver.command.args(["-B", "-m", "unittest", "-v", cases]);
        driver
    }

    pub fn python_script(platform: &Platform, script: &str) -> Driver {
        let mut driver = Driver::of(platform, &venv().join("bin/python"), script);
        driver.command.arg("-B").arg(folder("py").join(script));
        driver
    }

    pub fn shell(platform: &Platform, script: &str) -> Driver {
        let mut driver = Driver::of(platform, Path::new("/bin/sh"), script);
        driver.command.arg("-eu").arg(folder("cli").join(script));
        for (name, _) in platform.variables() {
            driver.command.env_remove(name); // the script evaluates `lambent env` itself
        }
        driver
    }

    pub fn node(platform: &Platform, script: &str) -> Driver {
        let path = folder("js").join(script);
        let modules = folder("js").join("node_modules");
        assert!(modules.is_dir(), "{} is not there: scripts/setup.sh test", modules.display());
        let mut driver = Driver::of(platform, Path::new("node"), script);
        driver.command.arg(path);
        driver
    }

    fn of(platform: &Platform, program: &Path, what: &str) -> Driver {
        let mut command = Command::new(program);
        for (name, _) in env::vars().filter(|(name, _)| name.starts_with("AWS_")) {
            command.env_remove(name);
        }
        let path = env::var("PATH").unwrap_or_default();
        command
            .current_dir(folder("py"))
            .envs(platform.variables().iter().map(|(n, v)| (n, v)))
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .env("AWS_CONFIG_FILE", "/dev/null")
            .env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
            .env("PATH", format!("{}:{path}", venv().join("bin").display()))
            .env("LAMBENT", binary())
            .env("LAMBENT_DATA", platform.data());
        Driver { command, what: what.to_owned() }
    }

    #[must_use]
    pub fn with(mut self, name: &str, value: impl AsRef<std::ffi::OsStr>) -> Driver {
        self.command.env(name, value);
        self
    }

    /// Starts it and lets it run; its output goes nowhere.
    pub fn spawn(mut self) -> Child {
        let quiet = self.command.stdin(Stdio::null()).stdout(Stdio::null());
        quiet.spawn().unwrap_or_else(|e| panic!("starting {}: {e}", self.what))
    }

    /// Runs it to its end; panics with what it said unless it succeeded.
    pub fn run(mut self) -> String {
        let said = tempfile::NamedTempFile::new().expect("a file for its output");
        let both = |file: &tempfile::NamedTempFile| file.reopen().expect("it can be written");
        self.command.stdin(Stdio::null()).stdout(both(&said)).stderr(append(said.path()));
        let mut child =
            self.command.spawn().unwrap_or_else(|e| panic!("starting {}: {e}", self.what));
        let ended = until(END_WITHIN_SECONDS, || child.try_wait().expect("it can be waited for"));
        if ended.is_none() {
            let _ = child.kill();
            let _ = child.wait();
        }
        let output = std::fs::read(said.path()).expect("its output can be read");
        let output = String::from_utf8_lossy(&output).into_owned();
        println!("{output}");
        match ended {
            Some(status) => assert!(status.success(), "{}: {status}\n{output}", self.what),
            None => panic!("{} did not end in {END_WITHIN_SECONDS} s:\n{output}", self.what),
        }
        output
    }
}

fn append(path: &Path) -> std::fs::File {
    std::fs::File::options().append(true).open(path).expect("it can be appended to")
}

/// A folder of this crate's sources.
pub fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

fn venv() -> PathBuf {
    let venv =
        env::var_os("LAMBENT_E2E_VENV").map_or_else(|| folder("../../.cache/venv"), PathBuf::from);
    assert!(venv.is_dir(), "{} is not there: scripts/setup.sh test", venv.display());
    venv
}

/// The function over `lambda_runtime` at `built`, without its debug symbols: with
/// them it would be larger than a deployment package may be.
pub fn rust_function(platform: &Platform, built: &str) -> PathBuf {
    let out = platform.scratch("rust-function");
    make(Command::new("strip").args(["-o"]).arg(&out).arg(built));
    out
}

/// A function in C, linked statically, that speaks the Runtime API by itself.
pub fn static_bootstrap(platform: &Platform) -> PathBuf {
    let out = platform.scratch("static-bootstrap");
    let source = folder("functions").join("bootstrap.c");
    make(
        Command::new("gcc")
            .args(["-O1", "-static", "-Wall", "-Werror", "-o"])
            .arg(&out)
            .arg(source),
    );
    out
}

fn make(command: &mut Command) {
    let output = command.output().unwrap_or_else(|e| panic!("starting {command:?}: {e}"));
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {stderr}");
}
