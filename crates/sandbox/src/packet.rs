//! One message with descriptors over a `SOCK_SEQPACKET` socket: what the worker, the
//! spawner and the first process of a sandbox tell each other. Framing only; the
//! meaning is in [`crate::protocol`].

use std::{
    io::{IoSlice, IoSliceMut},
    mem::MaybeUninit,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

use rustix::{
    io::Errno,
    net::{
        AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
        SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recvmsg, sendmsg, socketpair,
    },
};
use serde::{Serialize, de::DeserializeOwned};

use crate::limits::{PACKET_BYTES_MAX, PACKET_FDS_MAX};

#[derive(Debug, thiserror::Error)]
pub(crate) enum PacketError {
    #[error("packet of {0} bytes is larger than {PACKET_BYTES_MAX}")]
    TooLarge(usize),
    #[error("socket of the spawner: {0}")]
    Socket(#[from] Errno),
    #[error("unreadable packet: {0}")]
    Form(#[from] serde_json::Error),
}

pub(crate) fn pair() -> Result<(OwnedFd, OwnedFd), Errno> {
    socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
}

pub(crate) fn send(
    socket: BorrowedFd<'_>,
    message: &impl Serialize,
    fds: &[BorrowedFd<'_>],
    flags: SendFlags,
) -> Result<(), PacketError> {
    let bytes = serde_json::to_vec(message)?;
    if bytes.len() > PACKET_BYTES_MAX {
        return Err(PacketError::TooLarge(bytes.len()));
    }
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(PACKET_FDS_MAX))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !fds.is_empty() {
        let fits = control.push(SendAncillaryMessage::ScmRights(fds));
        assert!(fits, "at most {PACKET_FDS_MAX} descriptors in one packet");
    }
    let flags = flags | SendFlags::NOSIGNAL;
    rustix::io::retry_on_intr(|| sendmsg(socket, &[IoSlice::new(&bytes)], &mut control, flags))?;
    Ok(())
}

/// `None` when the other end is gone.
pub(crate) fn receive<M: DeserializeOwned>(
    socket: BorrowedFd<'_>,
    flags: RecvFlags,
) -> Result<Option<(M, Vec<OwnedFd>)>, PacketError> {
    let mut bytes = vec![0_u8; PACKET_BYTES_MAX];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(PACKET_FDS_MAX))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let flags = flags | RecvFlags::CMSG_CLOEXEC;
    let got = rustix::io::retry_on_intr(|| {
        recvmsg(socket, &mut [IoSliceMut::new(&mut bytes)], &mut control, flags)
    });
    let got = match got {
        Ok(got) => got.bytes,
        Err(Errno::CONNRESET) => 0,
        Err(error) => return Err(error.into()),
    };
    if got == 0 {
        return Ok(None);
    }
    let mut fds = Vec::new();
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(received) = message {
            fds.extend(received);
        }
    }
    Ok(Some((serde_json::from_slice(&bytes[..got])?, fds)))
}

/// Sends from places that cannot wait for room nor act on a reader that is gone.
pub(crate) fn tell(socket: &impl AsFd, message: &impl Serialize, fds: &[BorrowedFd<'_>]) -> bool {
    send(socket.as_fd(), message, fds, SendFlags::empty()).is_ok()
}
