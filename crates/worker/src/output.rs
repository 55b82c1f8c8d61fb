//! What a function prints: two pipes read as they fill, cut into lines, kept in
//! the log and in the tail of the invocation that runs.
//!
//! Pipes are read to their end before an answer is given: what a handler printed
//! before it answered belongs to its invocation.

use std::{
    collections::VecDeque,
    io::{self, ErrorKind},
    os::fd::{AsFd, OwnedFd},
};

use bytes::{Bytes, BytesMut};
use model::limits;
use tokio::net::unix::pipe::Receiver;

use crate::logs::LogWriter;

/// Read at once from a pipe.
const READ_BYTES: usize = 4 * 1024;

#[derive(Debug)]
pub(crate) struct Output {
    pipes: [Pipe; 2],
    tail: Tail,
    log: LogWriter,
}

#[derive(Debug)]
struct Pipe {
    /// `None` once the writing end is closed.
    end: Option<Receiver>,
    /// Where reads go; kept, because each call reads.
    buffer: Box<[u8]>,
    partial: BytesMut,
}

impl Output {
    pub(crate) fn new(stdout: OwnedFd, stderr: OwnedFd, log: LogWriter) -> io::Result<Output> {
        let pipes = [Pipe::new(stdout)?, Pipe::new(stderr)?];
        Ok(Output { pipes, tail: Tail::default(), log })
    }

    /// A line of the platform's own.
    pub(crate) fn platform_line(&mut self, line: &str) {
        self.tail.push(line.as_bytes());
        self.log.line(line.as_bytes());
    }

    /// Reads some once there is some, of each pipe that has some. Waits for ever once
    /// both pipes are closed.
    pub(crate) async fn fill(&mut self) {
        let [stdout, stderr] = &self.pipes;
        tokio::select! {
            biased;
            () = stdout.readable() => {}
            () = stderr.readable() => {}
        }
        self.pipes.iter_mut().for_each(|pipe| pipe.read_ready(&mut self.tail, &self.log));
    }

    /// Reads whatever is there, without waiting.
    pub(crate) fn drain(&mut self) {
        for pipe in &mut self.pipes {
            while pipe.read_now(&mut self.tail, &self.log) == Read::Some {}
            pipe.end_line(&mut self.tail, &self.log);
        }
    }

    /// The end of the current invocation's log, as returned to the caller.
    pub(crate) fn tail(&self) -> Bytes {
        self.tail.bytes()
    }

    pub(crate) fn clear_tail(&mut self) {
        self.tail = Tail::default();
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Read {
    Some,
    NothingNow,
    Closed,
}

impl Pipe {
    fn new(fd: OwnedFd) -> io::Result<Pipe> {
        let buffer = vec![0; READ_BYTES].into_boxed_slice();
        Ok(Pipe { end: Some(Receiver::from_owned_fd(fd)?), buffer, partial: BytesMut::new() })
    }

    /// For ever once the pipe is closed.
    async fn readable(&self) {
        match &self.end {
            Some(end) => {
                let _ = end.readable().await;
            }
            None => std::future::pending().await,
        }
    }

    /// After `readable`: takes what the executor knows of, and lets it look again.
    fn read_ready(&mut self, tail: &mut Tail, log: &LogWriter) {
        if let Some(end) = &self.end {
            let read = end.try_read(&mut self.buffer);
            self.take(read, tail, log);
        }
    }

    /// Past the executor, which may not have looked since the function wrote.
    fn read_now(&mut self, tail: &mut Tail, log: &LogWriter) -> Read {
        let Some(end) = &self.end else { return Read::Closed };
        let read = rustix::io::read(end.as_fd(), &mut self.buffer[..]).map_err(io::Error::from);
        self.take(read, tail, log)
    }

    fn take(&mut self, read: io::Result<usize>, tail: &mut Tail, log: &LogWriter) -> Read {
        match read {
            Ok(length) if length > 0 => {
                self.partial.extend_from_slice(&self.buffer[..length]);
                self.cut_lines(tail, log);
                // A pipe gives all it has, up to the buffer's size.
                if length < self.buffer.len() { Read::NothingNow } else { Read::Some }
            }
            Err(error)
                if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) =>
            {
                Read::NothingNow
            }
            Ok(_) | Err(_) => {
                self.end = None;
                Read::Closed
            }
        }
    }

    fn cut_lines(&mut self, tail: &mut Tail, log: &LogWriter) {
        while let Some(at) = self.partial.iter().position(|byte| *byte == b'\n') {
            let line = self.partial.split_to(at + 1);
            let line = &line[..at];
            tail.push(line);
            log.line(line);
        }
        if self.partial.len() > limits::LOG_LINE_BYTES_MAX {
            self.end_line(tail, log);
        }
    }

    /// Text without a line end is a line when the invocation ends.
    fn end_line(&mut self, tail: &mut Tail, log: &LogWriter) {
        if !self.partial.is_empty() {
            let line = self.partial.split();
            tail.push(&line);
            log.line(&line);
        }
    }
}

/// The last bytes of a log.
#[derive(Debug, Default)]
struct Tail {
    bytes: VecDeque<u8>,
}

impl Tail {
    fn push(&mut self, line: &[u8]) {
        let kept = &line[line.len().saturating_sub(limits::LOG_TAIL_BYTES)..];
        self.bytes.extend(kept);
        self.bytes.push_back(b'\n');
        let surplus = self.bytes.len().saturating_sub(limits::LOG_TAIL_BYTES);
        self.bytes.drain(..surplus);
    }

    fn bytes(&self) -> Bytes {
        self.bytes.iter().copied().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tail_is_the_last_four_kibibytes() {
        let mut tail = Tail::default();
        for line in 0..1_000 {
            tail.push(format!("line {line}").as_bytes());
        }
        let bytes = tail.bytes();
        assert_eq!(bytes.len(), limits::LOG_TAIL_BYTES);
        assert!(bytes.ends_with(b"line 998\nline 999\n"));
        tail.push(&vec![b'x'; 3 * limits::LOG_TAIL_BYTES]);
        assert_eq!(tail.bytes().len(), limits::LOG_TAIL_BYTES);
    }

    #[tokio::test]
    async fn all_that_was_printed_before_the_drain_is_in_the_tail() {
        let (read_out, write_out) = rustix::pipe::pipe().unwrap();
        let (read_err, write_err) = rustix::pipe::pipe().unwrap();
        let mut output = Output::new(read_out, read_err, LogWriter::discard()).unwrap();
        rustix::io::write(&write_out, b"one\ntwo").unwrap();
        rustix::io::write(&write_err, b"three\n").unwrap();
        output.drain();
        assert_eq!(&output.tail()[..], b"one\ntwo\nthree\n");
        output.clear_tail();
        drop((write_out, write_err));
        output.drain();
        assert!(output.tail().is_empty());
    }
}
