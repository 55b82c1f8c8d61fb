//! Open loop: requests go out at given instants, whatever came of those before, each on a
//! connection that is free then. One thread over epoll; what an answer took is counted
//! from the instant at which its request was due, so that a late generator is seen.

use std::{mem::MaybeUninit, net::SocketAddr};

use anyhow::Context;
use platform::Clock;
use rustix::{
    event::{Timespec, epoll},
    io::Errno,
};

use crate::connection::{Answer, Connection};

const EVENTS_MAX: usize = 64;
/// A connection that was not used for so long is not used again: servers close those.
const FREE_US_MAX: u64 = 15_000_000;

/// One request of many; `due_us` since the beginning, not falling.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Due<'r> {
    pub(crate) due_us: u64,
    pub(crate) request: &'r [u8],
}

/// What came of one of them.
#[derive(Clone, Debug)]
pub(crate) struct Came {
    /// Of the requests.
    pub(crate) number: usize,
    pub(crate) answer: Answer,
    pub(crate) took_us: u64,
    /// How late it was sent.
    pub(crate) late_us: u64,
}

struct Lane {
    /// None where it was closed.
    connection: Option<Connection>,
    carries: Option<Carried>,
    free_since_us: u64,
}

#[derive(Clone, Copy)]
struct Carried {
    number: usize,
    due_us: u64,
    late_us: u64,
}

/// Sends all and waits for all. `each` gets every answer as it comes; `every` is called
/// at least so often, with the time since the beginning.
pub(crate) fn replay(
    clock: &Clock,
    address: SocketAddr,
    calls: &[Due<'_>],
    every_us: u64,
    mut each: impl FnMut(Came),
    mut every: impl FnMut(u64) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let poll = epoll::create(epoll::CreateFlags::CLOEXEC).context("making an epoll instance")?;
    let (mut lanes, mut free): (Vec<Lane>, Vec<usize>) = (Vec::new(), Vec::new());
    let began = clock.now().0;
    let (mut next, mut open, mut looked_us) = (0, 0, 0);
    let mut space = [MaybeUninit::<epoll::Event>::uninit(); EVENTS_MAX];
    while next < calls.len() || open > 0 {
        let now_us = clock.now().0 - began;
        while let Some(call) = calls.get(next).filter(|call| call.due_us <= now_us) {
            let fresh = |at: &usize| lanes[*at].free_since_us + FREE_US_MAX > now_us;
            let at = match free.pop().filter(fresh) {
                Some(at) => at,
                None => add(&poll, &mut lanes, address)?,
            };
            let late_us = clock.now().0 - began - call.due_us;
            let lane = &mut lanes[at];
            lane.carries = Some(Carried { number: next, due_us: call.due_us, late_us });
            let connection = lane.connection.as_mut().context("a free connection is closed")?;
            connection.send(call.request)?;
            (next, open) = (next + 1, open + 1);
        }
        if now_us >= looked_us {
            every(now_us)?;
            looked_us = now_us + every_us;
        }
        let due = calls.get(next).map_or(u64::MAX, |call| call.due_us);
        let wait = due.min(looked_us).saturating_sub(clock.now().0 - began);
        let wait = Timespec { tv_sec: (wait / 1_000_000).cast_signed(), tv_nsec: nanos(wait) };
        let ready = match epoll::wait(&poll, &mut space[..], Some(&wait)) {
            Ok((ready, _)) => ready,
            Err(Errno::INTR) => continue,
            Err(error) => return Err(error).context("waiting for answers"),
        };
        for event in ready.iter() {
            let at = usize::try_from(event.data.u64())?;
            let lane = lanes.get_mut(at).context("an event of an unknown connection")?;
            let Some(Carried { number, due_us, late_us }) = lane.carries else {
                // Closed by the other end, as nobody used it.
                lane.connection = None;
                free.retain(|free| *free != at);
                continue;
            };
            let connection = lane.connection.as_mut().context("a closed connection answers")?;
            let Some(answer) = connection.receive_whole()? else { continue };
            lane.carries = None;
            lane.free_since_us = clock.now().0 - began;
            let took_us = clock.now().0 - began - due_us;
            each(Came { number, answer, took_us, late_us });
            free.push(at);
            open -= 1;
        }
    }
    every(clock.now().0 - began)
}

fn nanos(us: u64) -> i64 {
    (us % 1_000_000 * 1_000).cast_signed()
}

fn add(
    poll: &impl std::os::fd::AsFd,
    lanes: &mut Vec<Lane>,
    address: SocketAddr,
) -> anyhow::Result<usize> {
    let connection = Connection::open(address)?;
    let at = lanes.len();
    let data = epoll::EventData::new_u64(at as u64);
    epoll::add(poll, &connection.stream, data, epoll::EventFlags::IN)?;
    lanes.push(Lane { connection: Some(connection), carries: None, free_since_us: 0 });
    Ok(at)
}
