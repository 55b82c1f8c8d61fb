//! The first process of a sandbox (pid 1 inside), from its clone to its end: it builds
//! the sandbox around itself, gives up every right, forks the program, reports, reaps.
//!
//! ```text
//! join groups → wait for the gate (uid maps written) → sources → user → root →
//! network → rights → fork ─→ program: exec
//!                          └→ init: Started | Failed, reap, Exited, exit
//! ```
//! The end of pid 1 is the end of all: the kernel kills the rest of the namespace.

use std::{
    ffi::CString,
    fs,
    io::{self, Read, Write},
    net::TcpListener,
    os::fd::{AsFd, AsRawFd, OwnedFd, RawFd},
    sync::atomic::{AtomicI32, Ordering},
};

use rustix::io::Errno;

use crate::{
    landlock, network, packet,
    protocol::{Event, ExitStatus, Failure, Phases, Stage},
    rights,
    root::{self, Sources},
    seccomp::Filter,
    spec::Spec,
    stopwatch::Stopwatch,
};

/// What the child of the spawner works with; all of it is its own copy.
#[derive(Debug)]
pub(crate) struct Job<'a> {
    pub(crate) spec: &'a Spec,
    pub(crate) filter: &'a Filter,
    pub(crate) landlock_abi: u32,
    pub(crate) tasks: Vec<fs::File>,
    /// One byte when the uid maps are written, end of file when the spawner is gone.
    pub(crate) gate: OwnedFd,
    pub(crate) drop_groups: bool,
    /// The mount for `/tmp`; without one it is memory.
    pub(crate) scratch: Option<OwnedFd>,
    pub(crate) spawner: OwnedFd,
    pub(crate) status: OwnedFd,
    pub(crate) channel: OwnedFd,
    pub(crate) stdout: OwnedFd,
    pub(crate) stderr: OwnedFd,
}

const CHANNEL_FD: RawFd = 3;
/// Above every number that the program's own descriptors take.
const FIRST_FREE_FD: RawFd = 64;

/// The program's process, for the signal handler.
static PROGRAM: AtomicI32 = AtomicI32::new(0);

/// Runs the sandbox; never returns.
pub(crate) fn run(job: Job<'_>) -> ! {
    let mut phases = Phases::default();
    let mut watch = Stopwatch::start();
    match prepare(&job, &mut phases, &mut watch) {
        Ok(listener) => start(job, listener, phases, watch),
        Err(failure) => {
            packet::tell(&job.status, &Event::Failed(failure), &[]);
            exit(1)
        }
    }
}

pub(crate) fn exit(code: i32) -> ! {
    // SAFETY: ends the process at once; nothing of the spawner's copy may run on exit.
    unsafe { libc::_exit(code) }
}

fn at<T, E: Into<io::Error>>(stage: Stage, outcome: Result<T, E>) -> Result<T, Failure> {
    outcome.map_err(|error| failure_of(stage, &error.into()))
}

fn failure_of(stage: Stage, error: &io::Error) -> Failure {
    Failure { stage, errno: error.raw_os_error().unwrap_or(libc::EINVAL) }
}

fn prepare(
    job: &Job<'_>,
    phases: &mut Phases,
    watch: &mut Stopwatch,
) -> Result<TcpListener, Failure> {
    reset_signals();
    for mut file in &job.tasks {
        at(Stage::Cgroup, file.write_all(b"0"))?;
    }
    let mut go = [0_u8; 1];
    if rustix::io::retry_on_intr(|| rustix::io::read(&job.gate, &mut go)) != Ok(1) {
        exit(1);
    }
    phases.join_us = watch.lap_us();
    let sources = at(Stage::Sources, Sources::open(job.spec))?;
    // SAFETY: numbers only; the group was joined above, so it becomes the root shown.
    if unsafe { libc::unshare(libc::CLONE_NEWCGROUP) } != 0 {
        return at(Stage::Cgroup, Err(io::Error::last_os_error()));
    }
    at(Stage::Identity, rights::become_user(job.drop_groups))?;
    at(Stage::Rights, rights::die_with_parent())?;
    at(Stage::Mounts, root::enter(&sources, job.spec, job.scratch.as_ref()))?;
    drop(sources);
    phases.mounts_us = watch.lap_us();
    at(Stage::Network, rustix::system::sethostname(job.spec.hostname.as_bytes()))?;
    let listener = at(Stage::Network, network::listen())?;
    phases.network_us = watch.lap_us();
    at(Stage::Rights, rights::limit_resources(job.spec.pids_max))?;
    at(Stage::Rights, rights::no_new_privileges())?;
    at(Stage::Rights, rights::hide_memory())?;
    if job.landlock_abi > 0 {
        at(Stage::Landlock, landlock::restrict(job.landlock_abi))?;
    }
    at(Stage::Rights, rights::drop_capabilities())?;
    if spawner_is_gone(&job.spawner) {
        exit(1);
    }
    at(Stage::Seccomp, job.filter.install())?;
    phases.rights_us = watch.lap_us();
    Ok(listener)
}

/// The parent may have ended before its death could be bound to ours.
fn spawner_is_gone(pidfd: &OwnedFd) -> bool {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let mut fds = [PollFd::new(pidfd, PollFlags::IN)];
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    poll(&mut fds, Some(&now)).is_ok_and(|ready| ready > 0)
}

/// The spawner ignores some signals and the Rust runtime another; programs expect none.
fn reset_signals() {
    for signal in 1..=libc::SIGRTMAX() {
        // SAFETY: the default action runs no code of ours; refusals (KILL, STOP) are fine.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
    }
}

fn start(job: Job<'_>, listener: TcpListener, mut phases: Phases, mut watch: Stopwatch) -> ! {
    let failed = |failure| {
        packet::tell(&job.status, &Event::Failed(failure), &[]);
        exit(1)
    };
    let (report, reporter) = match at(Stage::Fork, cloexec_pipe()) {
        Ok(pipe) => pipe,
        Err(failure) => failed(failure),
    };
    // SAFETY: the process has one thread, so the child may do whatever it likes.
    let program = unsafe { libc::fork() };
    if program == 0 {
        exec(&job, &reporter);
    }
    if program < 0 {
        failed(failure_of(Stage::Fork, &io::Error::last_os_error()));
    }
    drop(reporter);
    PROGRAM.store(program, Ordering::Relaxed);
    forward_signals();
    let status = job.status;
    // The program alone holds its channel and outputs, so that their end is its end.
    drop((job.channel, job.stdout, job.stderr, job.gate, job.spawner, job.tasks, job.scratch));
    let mut failure = Vec::new();
    fs::File::from(report).read_to_end(&mut failure).ok();
    if let Ok(failure) = serde_json::from_slice::<Failure>(&failure) {
        packet::tell(&status, &Event::Failed(failure), &[]);
        exit(1);
    }
    phases.exec_us = watch.lap_us();
    packet::tell(&status, &Event::Started(phases), &[listener.as_fd()]);
    drop(listener);
    keep_only(status.as_raw_fd());
    reap(&status)
}

fn cloexec_pipe() -> Result<(OwnedFd, OwnedFd), Errno> {
    rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)
}

/// The copies of the spawner's own descriptors end here.
pub(crate) fn keep_only(keep: RawFd) {
    let keep = keep.unsigned_abs();
    // SAFETY: nothing in this process uses the closed descriptors again.
    unsafe {
        if keep > 0 {
            libc::syscall(libc::SYS_close_range, 0_u32, keep - 1, 0_u32);
        }
        libc::syscall(libc::SYS_close_range, keep + 1, u32::MAX, 0_u32);
    }
}

extern "C" fn forward(signal: libc::c_int) {
    let program = PROGRAM.load(Ordering::Relaxed);
    if program > 0 {
        // SAFETY: `kill` is async-signal-safe and takes numbers only.
        unsafe { libc::kill(program, signal) };
    }
}

fn forward_signals() {
    let handler: extern "C" fn(libc::c_int) = forward;
    // SAFETY: the handler only calls `kill`, which is allowed in handlers.
    unsafe { libc::signal(libc::SIGTERM, handler as *const () as libc::sighandler_t) };
}

/// Collects orphans until the program ends, then takes everything along.
fn reap(status: &OwnedFd) -> ! {
    loop {
        let mut raw = 0;
        // SAFETY: `raw` is a valid place for the status.
        let pid = unsafe { libc::waitpid(-1, &raw mut raw, 0) };
        if pid == PROGRAM.load(Ordering::Relaxed) {
            let ended = if libc::WIFSIGNALED(raw) {
                ExitStatus::Signal(libc::WTERMSIG(raw))
            } else {
                ExitStatus::Code(libc::WEXITSTATUS(raw))
            };
            packet::tell(status, &Event::Exited(ended), &[]);
            exit(0);
        }
        if pid == -1 && io::Error::last_os_error().kind() != io::ErrorKind::Interrupted {
            exit(1);
        }
    }
}

/// In the second process: becomes the program or says why not.
fn exec(job: &Job<'_>, reporter: &OwnedFd) -> ! {
    // Its number may be one that the program's own descriptors take.
    let Ok(reporter) = lift(reporter) else { exit(127) };
    let failure = match become_program(job) {
        Ok(never) => match never {},
        Err(failure) => failure,
    };
    let bytes = serde_json::to_vec(&failure).unwrap_or_default();
    rustix::io::write(&reporter, &bytes).ok();
    exit(127)
}

fn lift(fd: &OwnedFd) -> Result<OwnedFd, Errno> {
    rustix::io::fcntl_dupfd_cloexec(fd, FIRST_FREE_FD)
}

fn become_program(job: &Job<'_>) -> Result<std::convert::Infallible, Failure> {
    let arguments = at(Stage::Exec, c_strings(job.spec.argv.iter().cloned()))?;
    let variables = job.spec.env.iter().map(|(name, value)| format!("{name}={value}"));
    let variables = at(Stage::Exec, c_strings(variables))?;
    let pointers = |strings: &[CString]| {
        let mut pointers: Vec<_> = strings.iter().map(|s| s.as_ptr()).collect();
        pointers.push(std::ptr::null());
        pointers
    };
    let (argv, envp) = (pointers(&arguments), pointers(&variables));
    at(Stage::Exec, arrange_fds(job))?;
    at(Stage::Rights, rights::limit_open_files())?;
    at(Stage::WorkingDirectory, rustix::process::chdir(job.spec.cwd.as_str()))?;
    // SAFETY: both arrays end with null and point to strings that live here.
    unsafe { libc::execve(argv[0], argv.as_ptr(), envp.as_ptr()) };
    at(Stage::Exec, Err(io::Error::last_os_error()))
}

fn c_strings(strings: impl Iterator<Item = String>) -> io::Result<Vec<CString>> {
    strings.map(|string| CString::new(string).map_err(io::Error::from)).collect()
}

/// 0 to 2 standard, 3 channel, everything else closed at exec.
fn arrange_fds(job: &Job<'_>) -> io::Result<()> {
    let flags = rustix::fs::OFlags::RDWR | rustix::fs::OFlags::CLOEXEC;
    let null = rustix::fs::open("/dev/null", flags, rustix::fs::Mode::empty())?;
    // Lifted out of the way first: a target number may be one of the sources.
    let sources = [lift(&null)?, lift(&job.stdout)?, lift(&job.stderr)?, lift(&job.channel)?];
    for (source, target) in sources.iter().zip(0..=CHANNEL_FD) {
        // SAFETY: the old owners of 0 to 3 are not used again in this process.
        if unsafe { libc::dup2(source.as_raw_fd(), target) } < 0 {
            return Err(io::Error::last_os_error());
        }
    }
    // SAFETY: only marks descriptors; see above.
    let marked = unsafe {
        libc::syscall(
            libc::SYS_close_range,
            CHANNEL_FD.unsigned_abs() + 1,
            u32::MAX,
            libc::CLOSE_RANGE_CLOEXEC,
        )
    };
    if marked == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
