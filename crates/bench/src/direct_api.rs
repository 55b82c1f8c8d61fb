//! The second floor of a warm call into a compiled function: the least Runtime
//! API server that its client accepts, on loopback, in this process. A call is
//! the time from the event's bytes leaving to the response's bytes being read.

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
};

use anyhow::{Context, bail};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
};

use crate::{direct::variables, functions::Kind, message};

const SILENCE_MAX: Timespec = Timespec { tv_sec: 30, tv_nsec: 0 };
const ACCEPTED: &[u8] = b"HTTP/1.1 202 Accepted\r\nContent-Type: application/json\r\nContent-Length: 15\r\n\r\n{\"status\":\"OK\"}";

/// A client may use several connections; each is read where it is ready.
#[derive(Debug)]
pub(crate) struct DirectApi {
    child: Child,
    door: TcpListener,
    open: Vec<Peer>,
    /// The connection on which the client waits for its next event.
    waiting: usize,
}

#[derive(Debug)]
struct Peer {
    stream: TcpStream,
    received: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asked {
    Next,
    Response,
}

impl DirectApi {
    pub(crate) fn start(bootstrap: &Path) -> anyhow::Result<DirectApi> {
        let door = TcpListener::bind("127.0.0.1:0")?;
        let code = bootstrap.parent().context("a bootstrap without a folder")?;
        let mut command = Command::new(bootstrap);
        command.env_clear().envs(variables(Kind::Compiled, code));
        command.env("AWS_LAMBDA_RUNTIME_API", door.local_addr()?.to_string());
        command.current_dir(code).stdin(Stdio::null()).stdout(Stdio::null());
        let child = command.spawn().with_context(|| format!("starting {}", bootstrap.display()))?;
        let mut api = DirectApi { child, door, open: Vec::new(), waiting: 0 };
        match api.request()? {
            (at, Asked::Next) => api.waiting = at,
            (_, Asked::Response) => bail!("the compiled function answered before it was asked"),
        }
        Ok(api)
    }

    /// One exchange of an event made by `event_message`. `answered` is called the
    /// moment the response is here, before the client is let go on.
    pub(crate) fn call(&mut self, event: &[u8], answered: impl FnOnce()) -> anyhow::Result<()> {
        let waiting = self.waiting;
        self.open[waiting].stream.write_all(event)?;
        let (at, asked) = self.request()?;
        if asked != Asked::Response {
            bail!("the compiled function asked twice for an event");
        }
        answered();
        self.open[at].stream.write_all(ACCEPTED)?;
        match self.request()? {
            (at, Asked::Next) => self.waiting = at,
            (_, Asked::Response) => bail!("the compiled function answered twice"),
        }
        Ok(())
    }

    /// The next whole request of any connection.
    fn request(&mut self) -> anyhow::Result<(usize, Asked)> {
        loop {
            let mut watched: Vec<PollFd<'_>> =
                self.open.iter().map(|peer| PollFd::new(&peer.stream, PollFlags::IN)).collect();
            watched.push(PollFd::new(&self.door, PollFlags::IN));
            match poll(&mut watched, Some(&SILENCE_MAX)) {
                Ok(0) => bail!("the compiled function is silent"),
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => return Err(error).context("waiting for the compiled function"),
            }
            let ready: Vec<bool> = watched.iter().map(|fd| !fd.revents().is_empty()).collect();
            if ready.last() == Some(&true) {
                let (stream, _) = self.door.accept()?;
                stream.set_nodelay(true)?;
                self.open.push(Peer { stream, received: Vec::new() });
            }
            for at in ready.iter().take(ready.len() - 1).enumerate().filter(|(_, r)| **r) {
                if let Some(asked) = self.open[at.0].read()? {
                    return Ok((at.0, asked));
                }
            }
        }
    }
}

impl Peer {
    fn read(&mut self) -> anyhow::Result<Option<Asked>> {
        let mut block = [0; 16 * 1024];
        let got = self.stream.read(&mut block)?;
        if got == 0 {
            bail!("the compiled function closed its connection");
        }
        self.received.extend_from_slice(&block[..got]);
        let Some(extent) = message::extent(&self.received)? else { return Ok(None) };
        let asked = if self.received.starts_with(b"GET ") { Asked::Next } else { Asked::Response };
        self.received.drain(..extent.end);
        Ok(Some(asked))
    }
}

impl Drop for DirectApi {
    fn drop(&mut self) {
        // It may have ended by itself; both are asked to be sure.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) fn event_message(event: &[u8]) -> Vec<u8> {
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\
         Lambda-Runtime-Aws-Request-Id: 8a1b2c3d-0000-4000-8000-1234567890ab\r\n\
         Lambda-Runtime-Deadline-Ms: 4102444800000\r\n\
         Lambda-Runtime-Invoked-Function-Arn: arn:aws:lambda:us-east-1:123456789012:function:echo\r\n\
         Lambda-Runtime-Trace-Id: Root=1-5759e988-bd862e3fe1be46a994272793\r\n\
         Content-Length: {}\r\n\r\n",
        event.len()
    );
    let mut message = head.into_bytes();
    message.extend_from_slice(event);
    message
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::{args::Args, functions::Functions};

    #[test]
    fn the_compiled_echo_is_served() {
        let directory = tempfile::tempdir().unwrap();
        let args = Args::try_parse_from(["bench"]).unwrap();
        let functions = Functions::prepare(directory.path(), &args).unwrap();
        let bootstrap = functions.folder(Kind::Compiled).join("bootstrap");
        let mut api = DirectApi::start(&bootstrap).unwrap();
        let event = event_message(b"{\"a\":1}");
        let mut answers = 0;
        for _ in 0..3 {
            api.call(&event, || answers += 1).unwrap();
        }
        assert_eq!(answers, 3);
    }
}
