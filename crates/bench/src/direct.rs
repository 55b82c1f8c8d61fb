//! The second floor of a warm call: our own runtime clients, spoken to directly
//! over a socket pair in the protocol of `runtimes/README.md`. No sandbox, no
//! platform, no second wake-up.

use std::{
    io::{Read, Write},
    os::{fd::AsRawFd, unix::net::UnixStream},
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use anyhow::{Context, bail};
use platform::Clock;
use rustix::io::{FdFlags, fcntl_setfd};

use crate::{functions::Kind, ground::micros, sample::Samples};

const INVOKE: u8 = 1;
const READY: u8 = 16;
const RESPONSE: u8 = 17;
const PREFIX_BYTES: usize = 9;
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

#[derive(Debug)]
pub(crate) struct Direct {
    child: Child,
    channel: UnixStream,
    received: Vec<u8>,
}

/// What a runtime client is started with.
#[derive(Debug)]
pub(crate) struct Client<'a> {
    pub(crate) kind: Kind,
    pub(crate) program: &'a Path,
    /// The folder that holds the clients of all languages.
    pub(crate) runtimes: &'a Path,
    pub(crate) code: &'a Path,
}

impl Direct {
    pub(crate) fn start(client: &Client<'_>) -> anyhow::Result<Direct> {
        let (ours, theirs) = UnixStream::pair()?;
        ours.set_read_timeout(Some(ANSWER_TIMEOUT))?;
        fcntl_setfd(&theirs, FdFlags::empty()).context("handing over the channel")?;
        let mut command = Command::new(client.program);
        match client.kind {
            Kind::Python => command.arg("-S").arg(client.runtimes.join("python/bootstrap.py")),
            Kind::Node => command.arg(client.runtimes.join("node/bootstrap.cjs")),
            Kind::Compiled => bail!("compiled functions speak the Runtime API"),
        };
        command.env_clear().envs(variables(client.kind, client.code));
        command.env("LAMBENT_CHANNEL_FD", theirs.as_raw_fd().to_string());
        command.current_dir(client.code).stdin(Stdio::null()).stdout(Stdio::null());
        let child = command.spawn().with_context(|| {
            format!("starting the {} client with {}", client.kind.name(), client.program.display())
        })?;
        drop(theirs);
        let mut direct = Direct { child, channel: ours, received: vec![0; 64 * 1024] };
        match direct.receive()? {
            READY => Ok(direct),
            other => bail!("the {} client began with frame {other}", client.kind.name()),
        }
    }

    /// One exchange of a frame made by `invoke_frame`.
    pub(crate) fn call(&mut self, frame: &[u8]) -> anyhow::Result<()> {
        self.channel.write_all(frame)?;
        match self.receive()? {
            RESPONSE => Ok(()),
            other => bail!("an echo was answered with frame {other}"),
        }
    }

    /// Calls it in turn and times each call, in microseconds.
    pub(crate) fn timed(
        &mut self,
        clock: &Clock,
        frame: &[u8],
        calls: usize,
    ) -> anyhow::Result<Samples> {
        let mut samples = Samples::default();
        for _ in 0..calls {
            let began = clock.now();
            self.call(frame)?;
            samples.push(micros(clock.now().since(began).as_micros()));
        }
        Ok(samples)
    }

    /// The kind of the next frame, all of it read.
    fn receive(&mut self) -> anyhow::Result<u8> {
        let mut filled = 0;
        loop {
            if filled == self.received.len() {
                self.received.resize(filled * 2, 0);
            }
            let got = self.channel.read(&mut self.received[filled..])?;
            if got == 0 {
                bail!("a runtime client closed its channel");
            }
            filled += got;
            if filled >= PREFIX_BYTES {
                let part = |from: usize| {
                    let bytes: [u8; 4] = std::array::from_fn(|at| self.received[from + at]);
                    u32::from_le_bytes(bytes) as usize
                };
                if filled >= PREFIX_BYTES + part(1) + part(5) {
                    return Ok(self.received[0]);
                }
            }
        }
    }
}

impl Drop for Direct {
    fn drop(&mut self) {
        // It may have ended by itself; both are asked to be sure.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) fn invoke_frame(event: &[u8]) -> anyhow::Result<Vec<u8>> {
    let header = serde_json::json!({
        "id": "8a1b2c3d-0000-4000-8000-1234567890ab",
        "deadline_ms": 4_102_444_800_000_u64,
        "arn": "arn:aws:lambda:us-east-1:123456789012:function:echo",
    });
    let header = header.to_string();
    let mut frame = vec![INVOKE];
    frame.extend_from_slice(&u32::try_from(header.len())?.to_le_bytes());
    frame.extend_from_slice(&u32::try_from(event.len())?.to_le_bytes());
    frame.extend_from_slice(header.as_bytes());
    frame.extend_from_slice(event);
    Ok(frame)
}

/// What a runtime finds in its environment, as far as an echo needs it.
pub(crate) fn variables(kind: Kind, code: &Path) -> Vec<(&'static str, String)> {
    let code = code.display().to_string();
    vec![
        ("PATH", "/usr/local/bin:/usr/bin:/bin".into()),
        ("LANG", "en_US.UTF-8".into()),
        ("TZ", ":UTC".into()),
        ("AWS_REGION", "us-east-1".into()),
        ("AWS_LAMBDA_FUNCTION_NAME", "echo".into()),
        ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST".into()),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128".into()),
        ("AWS_LAMBDA_LOG_GROUP_NAME", "/aws/lambda/echo".into()),
        ("AWS_LAMBDA_LOG_STREAM_NAME", "bench".into()),
        ("_HANDLER", kind.handler().into()),
        ("LAMBDA_TASK_ROOT", code),
    ]
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    #[test]
    fn a_python_echo_answers_over_its_channel() {
        let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
        let client = Client {
            kind: Kind::Python,
            program: Path::new("/usr/bin/python3"),
            runtimes: &root.join("../../runtimes"),
            code: &root.join("functions"),
        };
        let mut direct = Direct::start(&client).unwrap();
        let frame = invoke_frame(b"{\"a\":1}").unwrap();
        for _ in 0..3 {
            direct.call(&frame).unwrap();
        }
        let body = &direct.received[..512];
        assert!(body.windows(8).any(|part| part.starts_with(b"{\"a\"")), "{body:?}");
    }
}
