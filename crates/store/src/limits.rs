//! Limits of the store, each with its reaction. Those that other crates know too
//! stand in `model::limits`. All are ours.

use model::Span;

/// Bytes of a key; a longer one cannot be built.
pub const KEY_BYTES_MAX: usize = 512;
/// Bytes of a value; a transaction with a longer one is refused. Larger things are
/// objects. Below the 1.5 MiB that an etcd request may have.
pub const VALUE_BYTES_MAX: usize = 512 * 1024;
/// Operations and preconditions of one transaction; one with more is refused.
pub const TRANSACTION_PARTS_MAX: usize = 1_024;
/// Bytes of keys and values of one transaction; a larger one is refused. It travels
/// in one message, and so does the commit that it makes.
pub const TRANSACTION_BYTES_MAX: usize = 1024 * 1024;
/// Entries of one page; a larger `limit` is cut to this.
pub const PAGE_ENTRIES_MAX: usize = 1_000;
/// Bytes of keys and values of one page: the entry that reaches it is its last, so
/// that a page travels in one message.
pub const PAGE_BYTES_MAX: usize = 2 * 1024 * 1024;
/// Transactions waiting for the writer; then callers wait for a place.
pub const WRITE_QUEUE_MAX: usize = 1_024;
/// Transactions made durable by one commit; the rest goes into the next.
pub const GROUP_TRANSACTIONS_MAX: usize = 256;
/// Reads waiting for one reader; then callers wait for a place.
pub const READ_QUEUE_MAX: usize = 1_024;
/// Read-only connections: one may be deep in a long list while the other answers.
pub const READERS: usize = 2;
/// Commits kept for watches that start in the past; an older start has `Lagged`.
pub const COMMITS_KEPT_MAX: usize = 4_096;
/// Bytes of keys and values of those commits; the oldest are given up earlier.
pub const KEPT_BYTES_MAX: usize = 32 * 1024 * 1024;
/// Commits waiting for one watcher; one that is slower is told `Lagged`.
pub const WATCH_QUEUE_MAX: usize = 1_024;
/// Watches open at once; one more ends at once with `TooManyWatches`.
pub const WATCHES_MAX: usize = 1_024;
/// Leases held at once; one more is refused.
pub const LEASES_MAX: usize = 65_536;
/// Attempts to grant a lease against concurrent writers of its record.
pub const GRANT_ATTEMPTS_MAX: usize = 8;

/// Between processes: for one answer, with every attempt to get it. Then reads fail,
/// and a transaction that was sent is uncertain. Longer than the transport needs to
/// connect anew.
pub const ANSWER_TTL: Span = Span::secs(5);
/// Pause before the next attempt; it doubles up to `RETRY_MAX`.
pub const RETRY_MIN: Span = Span::millis(50);
pub const RETRY_MAX: Span = Span::secs(2);
/// A question for changes is answered after so long, also where there are none.
pub const POLL_TTL: Span = Span::secs(10);
/// Calls of other processes that are served at once; further ones wait in the inbox.
pub const CALLS_SERVED_MAX: usize = 256;
/// Questions for changes that wait at once; one more is dropped, and asked again.
pub const POLLS_SERVED_MAX: usize = 4_096;
/// Bytes of keys and values of one answer with changes: the commit that reaches it is
/// its last.
pub const CHANGES_BYTES_MAX: usize = 1024 * 1024;

/// What each key is reckoned to take beside its bytes and those of its value.
pub const PART_BYTES: usize = 32;

// What travels as one message fits into one.
const _: () = {
    let max = wire::frame::MESSAGE_BYTES_MAX;
    let one_entry = KEY_BYTES_MAX + VALUE_BYTES_MAX + PART_BYTES;
    assert!(PAGE_BYTES_MAX + one_entry < max);
    let one_commit = TRANSACTION_BYTES_MAX + (TRANSACTION_PARTS_MAX + 1) * PART_BYTES;
    assert!(CHANGES_BYTES_MAX + one_commit < max);
};
