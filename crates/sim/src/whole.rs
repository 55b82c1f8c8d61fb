//! Whole-system mode: the real role crates, each in a process of its own, with their
//! real messages over a simulated network, a store in memory and fake sandboxes, on one
//! thread in virtual time. One seed draws everything; the same seed gives the same
//! history, byte for byte.
//!
//! `World` is the stage, for scenes and for schedules alike: processes that can be
//! killed and started again, lines that break. `schedule` draws what happens, `play`
//! performs it, `checks` judges what guests, callers and roles saw.
//!
//! Not here: real sandboxes, sockets, disks that fail, TLS.

mod call;
mod caught;
mod checks;
mod disk;
mod functions;
mod guests;
mod many;
mod member;
mod play;
mod process;
mod record;
mod rings;
mod schedule;
mod watch;
mod world;

use std::future::Future;

pub use self::{
    call::{Answer, NoAnswer},
    disk::Disk,
    functions::New,
    guests::{BAD_INIT, DEAD_INIT, Guests, INIT_MS, SLOW_INIT, SLOW_INIT_MS},
    many::{Sum, play_many},
    member::Member,
    play::{Show, Verdict, play},
    record::Record,
    world::{Fleet, World},
};

/// Runs a scene on one thread, with time that moves only when nothing else can.
pub fn on_paused_clock<T>(scene: impl Future<Output = T>) -> T {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    #[expect(clippy::expect_used, reason = "without an executor there is no scene")]
    let runtime = builder.enable_all().start_paused(true).build().expect("an executor starts");
    runtime.block_on(scene)
}
