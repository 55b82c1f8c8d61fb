//! The framed channel to our own runtime clients: one socket pair per environment,
//! one frame per direction and invocation. The protocol is described in
//! `runtimes/README.md`; AWS's clients speak HTTP instead (`runtime_api`).

use std::{io, os::unix::net::UnixStream as StdUnixStream};

use bytes::{Buf, Bytes, BytesMut};
use model::limits;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::UnixStream,
};

/// Kind, header length, body length.
const PREFIX_BYTES: usize = 9;
/// A header is a small JSON object; a larger one is a broken client.
const HEADER_BYTES_MAX: usize = 64 * 1024;
/// Up to here header and body are copied into one write.
const ONE_WRITE_BYTES_MAX: usize = 64 * 1024;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FrameKind {
    Invoke,
    Ready,
    Response,
    Error,
    InitError,
    StreamStart,
    StreamChunk,
    StreamEnd,
}

impl FrameKind {
    const ALL: [(u8, FrameKind); 8] = [
        (1, FrameKind::Invoke),
        (16, FrameKind::Ready),
        (17, FrameKind::Response),
        (18, FrameKind::Error),
        (19, FrameKind::InitError),
        (20, FrameKind::StreamStart),
        (21, FrameKind::StreamChunk),
        (22, FrameKind::StreamEnd),
    ];

    fn code(self) -> u8 {
        Self::ALL.iter().find(|(_, kind)| *kind == self).map_or(0, |(code, _)| *code)
    }

    fn of(code: u8) -> Option<FrameKind> {
        Self::ALL.iter().find(|(known, _)| *known == code).map(|(_, kind)| *kind)
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) kind: FrameKind,
    pub(crate) header: Bytes,
    pub(crate) body: Bytes,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum ChannelError {
    #[error("the channel to the runtime broke: {0}")]
    Io(#[from] io::Error),
    #[error("the runtime sent a frame of unknown kind {0}")]
    UnknownKind(u8),
    #[error("the runtime sent a frame of {0} bytes, more than is allowed")]
    TooLong(usize),
}

#[derive(Debug)]
pub(crate) struct Channel {
    stream: UnixStream,
    received: BytesMut,
}

impl Channel {
    pub(crate) fn new(stream: StdUnixStream) -> io::Result<Channel> {
        stream.set_nonblocking(true)?;
        let stream = UnixStream::from_std(stream)?;
        Ok(Channel { stream, received: BytesMut::with_capacity(16 * 1024) })
    }

    pub(crate) async fn send(
        &mut self,
        kind: FrameKind,
        header: &[u8],
        body: &[u8],
    ) -> Result<(), ChannelError> {
        let together = body.len() <= ONE_WRITE_BYTES_MAX;
        let copied = if together { body } else { &[] };
        let mut frame = Vec::with_capacity(PREFIX_BYTES + header.len() + copied.len());
        frame.push(kind.code());
        frame.extend_from_slice(&length_of(header)?.to_le_bytes());
        frame.extend_from_slice(&length_of(body)?.to_le_bytes());
        frame.extend_from_slice(header);
        frame.extend_from_slice(copied);
        self.stream.write_all(&frame).await?;
        if !together {
            self.stream.write_all(body).await?;
        }
        Ok(())
    }

    /// The next frame, or `None` once the runtime has closed its end. Safe to
    /// cancel: what was read stays for the next call.
    pub(crate) async fn receive(&mut self) -> Result<Option<Frame>, ChannelError> {
        loop {
            if let Some(frame) = self.parse()? {
                return Ok(Some(frame));
            }
            if self.stream.read_buf(&mut self.received).await? == 0 {
                return Ok(None);
            }
        }
    }

    fn parse(&mut self) -> Result<Option<Frame>, ChannelError> {
        let Some(prefix) = self.received.first_chunk::<PREFIX_BYTES>() else {
            return Ok(None);
        };
        let [code, h0, h1, h2, h3, b0, b1, b2, b3] = *prefix;
        let kind = FrameKind::of(code).ok_or(ChannelError::UnknownKind(code))?;
        let header_length = u32::from_le_bytes([h0, h1, h2, h3]) as usize;
        let body_length = u32::from_le_bytes([b0, b1, b2, b3]) as usize;
        let body_bytes_max = limits::RESPONSE_BYTES_MAX as usize + HEADER_BYTES_MAX;
        if header_length > HEADER_BYTES_MAX || body_length > body_bytes_max {
            return Err(ChannelError::TooLong(header_length.max(body_length)));
        }
        let whole = PREFIX_BYTES + header_length + body_length;
        if self.received.len() < whole {
            self.received.reserve(whole - self.received.len());
            return Ok(None);
        }
        let mut frame = self.received.split_to(whole).freeze();
        frame.advance(PREFIX_BYTES);
        let header = frame.split_to(header_length);
        Ok(Some(Frame { kind, header, body: frame }))
    }
}

fn length_of(bytes: &[u8]) -> Result<u32, ChannelError> {
    u32::try_from(bytes.len()).map_err(|_| ChannelError::TooLong(bytes.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair() -> (Channel, Channel) {
        let (a, b) = StdUnixStream::pair().unwrap();
        (Channel::new(a).unwrap(), Channel::new(b).unwrap())
    }

    #[tokio::test]
    async fn frames_of_every_size_arrive_whole() {
        let (mut here, mut there) = pair();
        for size in [0, 1, 9, 16 * 1024, ONE_WRITE_BYTES_MAX, ONE_WRITE_BYTES_MAX + 1, 6 << 20] {
            let body = vec![b'x'; size];
            let send = here.send(FrameKind::Response, b"{\"id\":1}", &body);
            let (sent, got) = tokio::join!(send, there.receive());
            sent.unwrap();
            let frame = got.unwrap().unwrap();
            assert_eq!((frame.kind, frame.body.len()), (FrameKind::Response, size));
            assert_eq!(&frame.header[..], b"{\"id\":1}");
        }
    }

    #[tokio::test]
    async fn a_closed_end_is_none_and_garbage_is_an_error() {
        let (here, mut there) = pair();
        drop(here);
        assert!(there.receive().await.unwrap().is_none());

        let (mut here, mut there) = pair();
        here.stream.write_all(&[99; PREFIX_BYTES]).await.unwrap();
        assert!(matches!(there.receive().await, Err(ChannelError::UnknownKind(99))));

        let (mut here, mut there) = pair();
        here.stream.write_all(&[17, 0, 0, 0, 0, 255, 255, 255, 255]).await.unwrap();
        assert!(matches!(there.receive().await, Err(ChannelError::TooLong(_))));
    }
}
