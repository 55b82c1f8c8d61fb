//! The closed loop: many connections, each with one call in flight, driven by
//! one thread over epoll. What is sent next is the caller's choice, so the same
//! loop serves throughput, bursts and creation rates.

use std::{mem::MaybeUninit, net::SocketAddr};

use anyhow::{Context, bail};
use platform::Clock;
use rustix::{
    event::{Timespec, epoll},
    io::Errno,
};

use crate::connection::Connection;

/// Nothing answers for so long: the run ends with an error.
const SILENCE_MAX: Timespec = Timespec { tv_sec: 60, tv_nsec: 0 };
const EVENTS_MAX: usize = 64;

/// What a lane is told before it chooses its next request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Turn {
    pub(crate) lane: usize,
    /// Of the request before, if there was one.
    pub(crate) answer: Option<Timed>,
    pub(crate) now_us: u64,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Timed {
    pub(crate) status: u16,
    pub(crate) took_us: u64,
}

struct Lane {
    connection: Connection,
    sent_us: u64,
}

/// Runs until every lane has been given no further request. Lanes are dealt out over the
/// addresses; connections are open before the first request goes out.
pub(crate) fn drive<'r>(
    clock: &Clock,
    addresses: &[SocketAddr],
    lanes: usize,
    mut next: impl FnMut(Turn) -> Option<&'r [u8]>,
) -> anyhow::Result<()> {
    let poll = epoll::create(epoll::CreateFlags::CLOEXEC).context("making an epoll instance")?;
    let mut open = Vec::with_capacity(lanes);
    for number in 0..lanes {
        let connection = Connection::open(addresses[number % addresses.len()])?;
        let data = epoll::EventData::new_u64(number as u64);
        epoll::add(&poll, &connection.stream, data, epoll::EventFlags::IN)?;
        open.push(Lane { connection, sent_us: 0 });
    }
    let mut busy = 0;
    for (number, lane) in open.iter_mut().enumerate() {
        let now_us = clock.now().0;
        if let Some(request) = next(Turn { lane: number, answer: None, now_us }) {
            lane.sent_us = now_us;
            lane.connection.send(request)?;
            busy += 1;
        }
    }
    let mut space = [MaybeUninit::<epoll::Event>::uninit(); EVENTS_MAX];
    while busy > 0 {
        let (ready, _) = match epoll::wait(&poll, &mut space[..], Some(&SILENCE_MAX)) {
            Ok((ready, rest)) => (ready, rest),
            Err(Errno::INTR) => continue,
            Err(error) => return Err(error).context("waiting for answers"),
        };
        if ready.is_empty() {
            bail!("{busy} calls got no answer in {} s", SILENCE_MAX.tv_sec);
        }
        for event in ready.iter() {
            let number = usize::try_from(event.data.u64())?;
            let lane = open.get_mut(number).context("an event of an unknown connection")?;
            let Some(status) = lane.connection.receive()? else { continue };
            let now_us = clock.now().0;
            let answer = Some(Timed { status, took_us: now_us - lane.sent_us });
            match next(Turn { lane: number, answer, now_us }) {
                Some(request) => {
                    lane.sent_us = clock.now().0;
                    lane.connection.send(request)?;
                }
                None => busy -= 1,
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::{
        io::{Read, Write},
        net::TcpListener,
        process::{Command, Stdio},
    };

    use super::*;

    #[test]
    fn every_lane_gets_its_answers_in_turn() {
        // A server needs a thread of its own; here it is a process.
        let mut server = Command::new("/usr/bin/python3")
            .args(["-S", "-c", SERVER])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut port = [0_u8; 5];
        server.stdout.as_mut().unwrap().read_exact(&mut port).unwrap();
        let port: u16 = std::str::from_utf8(&port).unwrap().parse().unwrap();
        let mut answers = [0_u32; 3];
        let clock = Clock::system();
        drive(&clock, &[([127, 0, 0, 1], port).into()], 3, |turn| {
            if let Some(answer) = turn.answer {
                assert_eq!(answer.status, 200);
                answers[turn.lane] += 1;
            }
            (answers[turn.lane] < 5).then_some(&b"GET / HTTP/1.1\r\n\r\n"[..])
        })
        .unwrap();
        server.kill().unwrap();
        server.wait().unwrap();
        assert_eq!(answers, [5, 5, 5]);
    }

    const SERVER: &str = "
import selectors, socket, sys
pool, door = selectors.DefaultSelector(), socket.create_server(('127.0.0.1', 0))
print('%05d' % door.getsockname()[1], end='', flush=True)
pool.register(door, 1)
while True:
    for key, _ in pool.select():
        if key.fileobj is door:
            pool.register(door.accept()[0], 1)
        elif key.fileobj.recv(4096):
            key.fileobj.sendall(b'HTTP/1.1 200 OK\\r\\nContent-Length: 2\\r\\n\\r\\nok')
        else:
            pool.unregister(key.fileobj)
";

    #[test]
    fn a_closed_connection_is_an_error() {
        let door = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = door.local_addr().unwrap();
        let clock = Clock::system();
        let mut connection = Connection::open(address).unwrap();
        let (mut peer, _) = door.accept().unwrap();
        connection.send(b"x").unwrap();
        peer.read_exact(&mut [0; 1]).unwrap();
        peer.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n").unwrap();
        drop(peer);
        let began = clock.now();
        let broken = loop {
            match connection.receive() {
                Ok(None) => assert!(clock.now().since(began).as_millis() < 10_000),
                other => break other,
            }
        };
        assert!(broken.is_err(), "{broken:?}");
    }
}
