//! A sandbox without processes, played by its caller: a test takes the other ends from
//! a [`Guest`] and behaves as the runtime would. No clocks, no decisions.

use std::{
    io,
    net::TcpListener,
    os::{fd::OwnedFd, unix::net::UnixStream},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use rustix::pipe::{PipeFlags, pipe_with};
use tokio::sync::{Notify, mpsc};

use crate::{Exit, ExitStatus, LaunchError, Spec};

#[derive(Debug)]
struct State {
    frozen: AtomicBool,
    terminated: AtomicBool,
    memory_peak: AtomicU64,
    exit: Mutex<Option<Exit>>,
    /// Wakes in the order of waiting, which a simulation relies on.
    exited: Notify,
}

/// Launches sandboxes that the owner of the receiver plays.
#[derive(Clone, Debug)]
pub struct Launcher {
    guests: mpsc::Sender<Guest>,
}

impl Launcher {
    /// `waiting_max` launches may wait for the player; further ones wait for room.
    pub fn new(waiting_max: usize) -> (Launcher, mpsc::Receiver<Guest>) {
        let (guests, receiver) = mpsc::channel(waiting_max);
        (Launcher { guests }, receiver)
    }

    pub async fn launch(&self, spec: Spec) -> Result<Running, LaunchError> {
        spec.check()?;
        let (channel, inner_channel) = UnixStream::pair()?;
        let (stdout, inner_stdout) = pipe_with(PipeFlags::CLOEXEC).map_err(io::Error::from)?;
        let (stderr, inner_stderr) = pipe_with(PipeFlags::CLOEXEC).map_err(io::Error::from)?;
        let listener = TcpListener::bind((std::net::Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let state = Arc::new(State {
            frozen: AtomicBool::new(false),
            terminated: AtomicBool::new(false),
            memory_peak: AtomicU64::new(0),
            exit: Mutex::default(),
            exited: Notify::new(),
        });
        let guest = Guest {
            spec,
            runtime_api: listener.local_addr()?,
            channel: inner_channel,
            stdout: inner_stdout,
            stderr: inner_stderr,
            handle: Handle(Arc::clone(&state)),
        };
        self.guests.send(guest).await.map_err(|_| LaunchError::SpawnerGone)?;
        Ok(Running {
            state,
            listener: Some(listener),
            channel: Some(channel),
            stdout: Some(stdout),
            stderr: Some(stderr),
        })
    }
}

/// The inside of a fake sandbox.
#[derive(Debug)]
pub struct Guest {
    pub spec: Spec,
    /// Where the listener that the worker took can be reached.
    pub runtime_api: std::net::SocketAddr,
    pub channel: UnixStream,
    pub stdout: OwnedFd,
    pub stderr: OwnedFd,
    pub handle: Handle,
}

/// What the player sets and sees of the sandbox as a whole.
#[derive(Clone, Debug)]
pub struct Handle(Arc<State>);

impl Handle {
    /// Ends the program; a second end changes nothing.
    pub fn exit(&self, exit: Exit) {
        self.0.end(exit);
    }

    /// Until the worker killed it or it ended by itself.
    pub async fn ended(&self) -> Exit {
        self.0.ended().await
    }

    pub fn is_frozen(&self) -> bool {
        self.0.frozen.load(Ordering::Acquire)
    }

    pub fn is_terminated(&self) -> bool {
        self.0.terminated.load(Ordering::Acquire)
    }

    pub fn set_memory_peak(&self, bytes: u64) {
        self.0.memory_peak.store(bytes, Ordering::Release);
    }
}

impl State {
    fn end(&self, exit: Exit) {
        self.exit.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(exit);
        self.exited.notify_waiters();
    }

    async fn ended(&self) -> Exit {
        loop {
            let exited = self.exited.notified();
            tokio::pin!(exited);
            exited.as_mut().enable();
            let exit = *self.exit.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(exit) = exit {
                return exit;
            }
            exited.await;
        }
    }
}

const KILLED: Exit = Exit { status: ExitStatus::Signal(libc::SIGKILL), out_of_memory: false };

#[derive(Debug)]
pub struct Running {
    state: Arc<State>,
    listener: Option<TcpListener>,
    channel: Option<UnixStream>,
    stdout: Option<OwnedFd>,
    stderr: Option<OwnedFd>,
}

impl Running {
    pub fn take_listener(&mut self) -> Option<TcpListener> {
        self.listener.take()
    }

    pub fn take_channel(&mut self) -> Option<UnixStream> {
        self.channel.take()
    }

    pub fn take_stdout(&mut self) -> Option<OwnedFd> {
        self.stdout.take()
    }

    pub fn take_stderr(&mut self) -> Option<OwnedFd> {
        self.stderr.take()
    }

    pub async fn wait(&self) -> Exit {
        self.state.ended().await
    }

    pub fn memory_peak(&self) -> Option<u64> {
        Some(self.state.memory_peak.load(Ordering::Acquire))
    }

    pub fn reset_memory_peak(&self) -> bool {
        self.state.memory_peak.store(0, Ordering::Release);
        true
    }

    pub fn freeze(&self) {
        self.state.frozen.store(true, Ordering::Release);
    }

    pub fn thaw(&self) {
        self.state.frozen.store(false, Ordering::Release);
    }

    pub fn terminate(&self) {
        self.state.terminated.store(true, Ordering::Release);
    }

    pub fn kill(&self) {
        self.state.end(KILLED);
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.kill();
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use super::*;

    #[test]
    fn a_player_can_be_a_runtime() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (launcher, mut guests) = Launcher::new(1);
            let mut running = launcher.launch(crate::spec::tests::good()).await.unwrap();
            let mut guest = guests.recv().await.unwrap();
            let mut channel = running.take_channel().unwrap();
            guest.channel.write_all(b"ready").unwrap();
            let mut text = [0; 5];
            channel.read_exact(&mut text).unwrap();
            assert_eq!(&text, b"ready");
            running.freeze();
            assert!(guest.handle.is_frozen());
            let exit = Exit { status: ExitStatus::Code(3), out_of_memory: false };
            guest.handle.exit(exit);
            running.kill();
            assert_eq!(running.wait().await, exit, "the first end counts");
            drop(guests);
            let refused = launcher.launch(crate::spec::tests::good()).await.unwrap_err();
            assert!(matches!(refused, LaunchError::SpawnerGone));
        });
    }
}
