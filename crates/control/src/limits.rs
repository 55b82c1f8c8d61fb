//! Limits of the control role, each with its reaction. Those that other crates
//! know too stand in `model::limits`.

use model::Span;

/// Control calls served at once; further ones wait in the inbox. Each may hold a body
/// of `model::limits::CONTROL_BODY_BYTES_MAX` and the archive in it.
pub(crate) const CALLS_MAX: usize = 8;
/// Time for the body of a call to arrive; then 408, so that slow senders do not
/// hold the places of `CALLS_MAX`.
pub(crate) const BODY_TIMEOUT: Span = Span::secs(120);
/// Attempts of one change against concurrent changes of the same records; then 409.
pub(crate) const COMMIT_ATTEMPTS_MAX: usize = 16;
/// Items of one page of a listing (AWS: more may be asked for, 50 are given).
pub(crate) const PAGE_ITEMS_MAX: usize = 50;
/// Published versions of one function, so that a deletion is one transaction; one
/// more is refused (400). Ours.
pub(crate) const VERSIONS_MAX: usize = 1_000;
/// Versions of one function with provisioned concurrency; one more is refused (400).
/// Ours.
pub(crate) const PROVISIONED_CONFIGS_MAX: usize = 16;
/// Between two questions to a manager about its targets: the push of a second.
pub(crate) const TARGETS_PERIOD: Span = Span::secs(1);
/// For all managers to say which keys are busiest; those that do not are not waited for.
pub(crate) const BUSIEST_TIMEOUT: Span = Span::secs(2);
/// Messages waiting at the provisioning controller; a full queue makes those wait who
/// ask managers.
pub(crate) const PROVISIONING_QUEUE_MAX: usize = 1_024;
/// Tags of one function (AWS); more are refused (400).
pub(crate) const TAGS_MAX: usize = 50;
/// A download link is good for so long (AWS: ten minutes); then 403.
pub(crate) const LINK_TTL_SECS: u64 = 600;
/// Between two passes that delete code which no function names. Code is deleted by
/// the second pass that finds it so: environments that were starting have it by then.
pub(crate) const SWEEP_INTERVAL: Span = Span::secs(300);
/// Roots deleted by one pass; the others wait for the next.
pub(crate) const SWEEP_ROOTS_MAX: usize = 1_000;
/// Bytes of code that an account may store (AWS); shown in its settings.
pub(crate) const ACCOUNT_CODE_BYTES_MAX: u64 = 80_530_636_800;

/// Keys that a deletion names: every version, what is provisioned of them, and the two
/// records, with a precondition on each of these.
const DELETION_KEYS_MAX: usize = VERSIONS_MAX + PROVISIONED_CONFIGS_MAX + 4;
const _: () = assert!(DELETION_KEYS_MAX <= store::limits::TRANSACTION_PARTS_MAX);
const _: () = assert!(
    DELETION_KEYS_MAX * store::limits::KEY_BYTES_MAX <= store::limits::TRANSACTION_BYTES_MAX
);
