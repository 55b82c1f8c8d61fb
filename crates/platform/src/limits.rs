//! Bounds of the transport between processes and of what a process says about itself,
//! each with its reaction. All are ours; limits that more than one crate knows stand in
//! `model::limits`.

use model::Span;

/// Messages of one connection that wait to be written; each 64 KiB of a long one
/// count as one more. Above it senders wait, and `try_note` gives the note back.
pub const LINK_QUEUE_MAX: usize = 4_096;
/// Calls of one connection without an answer. Above it senders wait; a peer that
/// sends more is hung up on.
pub const CALLS_IN_FLIGHT_MAX: usize = 16_384;
/// How far a body may be ahead of its reader. Above it the sender waits; a peer that
/// sends more is hung up on. One connection holds at most this for each call.
pub const BODY_WINDOW_BYTES: u32 = 512 * 1024;
/// What a piece counts for at least in that window, so that tiny ones are bounded too.
pub const PIECE_COST_MIN: u32 = 1_024;
/// Pieces of bodies written before messages are looked after again.
pub const WRITE_BYTES: usize = 128 * 1024;
/// Room for one read.
pub const READ_BYTES: usize = 32 * 1024;
/// A write buffer that grew beyond this is given back when it is empty.
pub const KEPT_BUFFER_BYTES: usize = 1024 * 1024;

/// One attempt to connect: name, socket, TLS and greeting. Then it has failed, and
/// calls that waited for it get `Unreachable`.
pub const DIAL_TTL: Span = Span::secs(2);
/// For the other end to prove who it is and to say what it wants; then it is hung up on.
pub const GREETING_TTL: Span = Span::secs(5);
/// Pause after a failed attempt; it doubles up to `REDIAL_MAX`.
pub const REDIAL_MIN: Span = Span::millis(20);
/// A call that is made meanwhile ends the pause.
pub const REDIAL_MAX: Span = Span::secs(2);
/// An end that has nothing to say for so long gives a sign of life.
pub const SILENCE: Span = Span::secs(5);
/// After more silences than these in a row the connection is broken.
pub const SILENCES_MAX: u32 = 2;
/// Connections served at once; further ones are hung up on.
pub const CONNECTIONS_MAX: usize = 4_096;

/// Upper ends of the buckets of a histogram of milliseconds.
pub const HISTOGRAM_BUCKETS_MS: [f64; 13] =
    [1.0, 2.0, 5.0, 10.0, 25.0, 50.0, 100.0, 250.0, 500.0, 1_000.0, 5_000.0, 30_000.0, 900_000.0];
/// How long the page of metrics waits for the roles' values; then it shows older ones.
pub const SAMPLE_TTL: Span = Span::millis(500);
/// Time between two gatherings of what histograms were given.
pub const UPKEEP_PERIOD: Span = Span::secs(5);
