//! One kept connection: write a request that is already bytes, read one answer.
//! Blocking, one thread, no library in between, so that the generator's own cost
//! is two system calls. `load` drives many of them.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use anyhow::{Context, bail};
use rustix::{io::Errno, net::RecvFlags};

use crate::message::{self, Extent};

/// A call that takes longer has hung; the run ends with an error.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);
const READ_BYTES: usize = 256 * 1024;

#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) stream: TcpStream,
    buffer: Vec<u8>,
    filled: usize,
}

#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Connection {
    pub(crate) fn open(address: SocketAddr) -> anyhow::Result<Connection> {
        let stream =
            TcpStream::connect(address).with_context(|| format!("connecting to {address}"))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(ANSWER_TIMEOUT))?;
        Ok(Connection { stream, buffer: vec![0; READ_BYTES], filled: 0 })
    }

    /// One exchange whose answer's status is all that matters.
    pub(crate) fn call(&mut self, request: &[u8]) -> anyhow::Result<u16> {
        let extent = self.exchange(request)?;
        let status = message::status(&self.buffer[..extent.head])?;
        self.consume(extent);
        Ok(status)
    }

    /// One exchange that must succeed; what was said instead is the error.
    pub(crate) fn succeed(&mut self, request: &[u8]) -> anyhow::Result<()> {
        let extent = self.exchange(request)?;
        let status = message::status(&self.buffer[..extent.head])?;
        if status != 200 {
            let said = String::from_utf8_lossy(&self.buffer[..extent.end]);
            bail!("a call was answered with status {status}: {said}");
        }
        self.consume(extent);
        Ok(())
    }

    /// One exchange with the whole answer copied out.
    pub(crate) fn ask(&mut self, request: &[u8]) -> anyhow::Result<Answer> {
        let extent = self.exchange(request)?;
        self.take(extent)
    }

    fn take(&mut self, extent: Extent) -> anyhow::Result<Answer> {
        let answer = Answer {
            status: message::status(&self.buffer[..extent.head])?,
            head: String::from_utf8_lossy(&self.buffer[..extent.head]).into_owned(),
            body: extent.body(&self.buffer[..self.filled])?,
        };
        self.consume(extent);
        Ok(answer)
    }

    fn exchange(&mut self, request: &[u8]) -> anyhow::Result<Extent> {
        self.stream.write_all(request).context("sending a request")?;
        loop {
            if let Some(extent) = message::extent(&self.buffer[..self.filled])? {
                return Ok(extent);
            }
            self.grow();
            let got = self
                .stream
                .read(&mut self.buffer[self.filled..])
                .context("waiting for an answer")?;
            if got == 0 {
                bail!("the server closed a connection instead of answering");
            }
            self.filled += got;
        }
    }

    pub(crate) fn send(&mut self, request: &[u8]) -> anyhow::Result<()> {
        self.stream.write_all(request).context("sending a request")
    }

    /// Reads what is there without waiting: the status, once an answer is whole.
    pub(crate) fn receive(&mut self) -> anyhow::Result<Option<u16>> {
        let Some(extent) = self.receive_extent()? else { return Ok(None) };
        let status = message::status(&self.buffer[..extent.head])?;
        self.consume(extent);
        Ok(Some(status))
    }

    /// The same with the whole answer copied out.
    pub(crate) fn receive_whole(&mut self) -> anyhow::Result<Option<Answer>> {
        let Some(extent) = self.receive_extent()? else { return Ok(None) };
        self.take(extent).map(Some)
    }

    fn receive_extent(&mut self) -> anyhow::Result<Option<Extent>> {
        self.grow();
        match rustix::net::recv(&self.stream, &mut self.buffer[self.filled..], RecvFlags::DONTWAIT)
        {
            Ok((0, _)) => bail!("the server closed a connection instead of answering"),
            Ok((got, _)) => self.filled += got,
            Err(Errno::AGAIN | Errno::INTR) => return Ok(None),
            Err(error) => return Err(error).context("reading an answer"),
        }
        message::extent(&self.buffer[..self.filled])
    }

    fn grow(&mut self) {
        if self.buffer.len() - self.filled < READ_BYTES / 2 {
            self.buffer.resize(self.buffer.len() * 2, 0);
        }
    }

    fn consume(&mut self, extent: Extent) {
        self.buffer.copy_within(extent.end..self.filled, 0);
        self.filled -= extent.end;
    }
}
