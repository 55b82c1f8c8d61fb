//! What the tests share: a spawner, a specification, the output of a program run inside
//! or outside.

use std::{
    fs::File,
    future::Future,
    io::Read,
    os::{fd::OwnedFd, unix::fs::PermissionsExt},
    path::Path,
    process::Command,
    time::Duration,
};

use sandbox::{Exit, Launcher, Sandbox, ScratchDisk, Spawner, Spec};

pub(crate) const PYTHON: &str = "/usr/bin/python3";

pub(crate) fn run<T>(story: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let limit = Duration::from_secs(60);
    runtime
        .block_on(async { tokio::time::timeout(limit, story).await.expect("story ends in time") })
}

pub(crate) fn spawner() -> Spawner {
    Spawner::start(Path::new(env!("CARGO_BIN_EXE_sandbox-spawner")), &[]).unwrap()
}

/// The spawner of [`spawner`], with scratch on the disk of `directory`.
pub(crate) fn disk_spawner(directory: &Path) -> Spawner {
    let disk = ScratchDisk { directory: directory.into(), usual_bytes: 16 << 20 };
    let program = Path::new(env!("CARGO_BIN_EXE_sandbox-spawner"));
    Spawner::start_with_scratch(program, &[], disk).unwrap()
}

/// A spawner of another user, who may not enter the directory of this build.
pub(crate) fn spawner_of(uid: u32, place: &Path) -> Spawner {
    let program = place.join("sandbox-spawner");
    std::fs::copy(env!("CARGO_BIN_EXE_sandbox-spawner"), &program).unwrap();
    let (user, group) = (format!("--reuid={uid}"), format!("--regid={uid}"));
    let args = [user.as_str(), &group, "--clear-groups", program.to_str().unwrap()];
    let disk = ScratchDisk { directory: place.join("scratch"), usual_bytes: 16 << 20 };
    Spawner::start_with_scratch(Path::new("/usr/bin/setpriv"), &args, disk).unwrap()
}

pub(crate) fn code() -> tempfile::TempDir {
    let code = tempfile::tempdir().unwrap();
    std::fs::set_permissions(code.path(), PermissionsExt::from_mode(0o755)).unwrap();
    code
}

pub(crate) fn spec(id: &str, code: &Path, argv: &[&str]) -> Spec {
    Spec {
        id: id.into(),
        code: code.into(),
        runtime: None,
        opt: None,
        binds: Vec::new(),
        argv: argv.iter().map(|argument| (*argument).to_owned()).collect(),
        env: vec![("PATH".into(), "/usr/bin:/bin".into()), ("LANG".into(), "C.UTF-8".into())],
        cwd: "/var/task".into(),
        memory_bytes: 256 << 20,
        cpu_millis: 2000,
        pids_max: 64,
        scratch_bytes: 16 << 20,
        hostname: "169-254-100-1".into(),
    }
}

pub(crate) async fn launch(spawner: &Spawner, spec: Spec) -> Sandbox {
    Launcher::Process(spawner.clone()).launch(spec).await.unwrap()
}

pub(crate) fn all(output: OwnedFd) -> String {
    let mut text = String::new();
    File::from(output).read_to_string(&mut text).unwrap();
    text
}

/// Standard output, standard error and the end of a program run to its end.
pub(crate) async fn outcome(spawner: &Spawner, spec: Spec) -> (String, String, Exit) {
    let mut sandbox = launch(spawner, spec).await;
    let (stdout, stderr) = (sandbox.take_stdout().unwrap(), sandbox.take_stderr().unwrap());
    let out = tokio::task::spawn_blocking(move || (all(stdout), all(stderr)));
    let exit = sandbox.wait().await;
    let (stdout, stderr) = out.await.unwrap();
    sandbox.dispose().await;
    (stdout, stderr, exit)
}

/// The output of a Python script inside.
pub(crate) fn inside(script: &str) -> String {
    run(async {
        let code = code();
        let spec = spec("inside", code.path(), &[PYTHON, "-I", "-S", "-c", script]);
        let (stdout, stderr, exit) = outcome(&spawner(), spec).await;
        assert_eq!(exit.status, sandbox::ExitStatus::Code(0), "{stderr}");
        stdout.trim().to_owned()
    })
}

/// The same script outside: the control of a test.
pub(crate) fn outside(script: &str) -> String {
    let output = Command::new(PYTHON).args(["-I", "-S", "-c", script]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}
