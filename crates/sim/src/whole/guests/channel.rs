//! The runtime's end of the framed channel, as far as a fake runtime speaks it: one
//! frame at a time, each read to its end.

use std::{io, os::unix::net::UnixStream as StdUnixStream};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::UnixStream,
};

pub(super) const INVOKE: u8 = 1;
pub(super) const READY: u8 = 16;
pub(super) const RESPONSE: u8 = 17;
pub(super) const INIT_ERROR: u8 = 19;

#[derive(Debug)]
pub(super) struct Frame {
    pub(super) kind: u8,
    pub(super) header: Vec<u8>,
    pub(super) body: Vec<u8>,
}

pub(super) fn connect(channel: StdUnixStream) -> io::Result<UnixStream> {
    channel.set_nonblocking(true)?;
    UnixStream::from_std(channel)
}

pub(super) async fn send(channel: &mut UnixStream, kind: u8, header: &[u8], body: &[u8]) {
    let length = |bytes: &[u8]| u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_le_bytes();
    let mut frame = vec![kind];
    frame.extend(length(header));
    frame.extend(length(body));
    frame.extend_from_slice(header);
    frame.extend_from_slice(body);
    // A worker that has gone away is the end of the play, not a fault of it.
    let _ = channel.write_all(&frame).await;
}

/// `None` once the worker has closed its end.
pub(super) async fn receive(channel: &mut UnixStream) -> Option<Frame> {
    let kind = channel.read_u8().await.ok()?;
    let header = channel.read_u32_le().await.ok()?;
    let body = channel.read_u32_le().await.ok()?;
    let mut bytes = vec![0; (header + body) as usize];
    channel.read_exact(&mut bytes).await.ok()?;
    let body = bytes.split_off(header as usize);
    Some(Frame { kind, header: bytes, body })
}
