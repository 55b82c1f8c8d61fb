//! The network of a sandbox: its loopback up and the Runtime API's listener on it.
//! There is nothing else, so connecting anywhere answers `ENETUNREACH` at once.

use std::{
    io,
    net::{Ipv4Addr, TcpListener},
    os::fd::AsRawFd,
};

use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};

/// Where programs inside find the Runtime API.
pub(crate) const RUNTIME_API: (Ipv4Addr, u16) = (Ipv4Addr::LOCALHOST, 9001);

pub(crate) fn listen() -> io::Result<TcpListener> {
    loopback_up()?;
    let listener = TcpListener::bind(RUNTIME_API)?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

fn loopback_up() -> io::Result<()> {
    let socket = socket_with(AddressFamily::INET, SocketType::DGRAM, SocketFlags::CLOEXEC, None)?;
    // SAFETY: all-zero bytes are a valid `ifreq`.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(b"lo") {
        *to = *from as libc::c_char;
    }
    request.ifr_ifru.ifru_flags = (libc::IFF_UP | libc::IFF_RUNNING) as libc::c_short;
    // SAFETY: SIOCSIFFLAGS reads one `ifreq`, which lives during the call.
    let done = unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS, &raw const request) };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
