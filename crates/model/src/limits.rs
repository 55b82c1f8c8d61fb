//! Every limit that more than one crate knows, with its source. A limit's
//! reaction stands beside it: what is refused, and how.

use crate::time::Span;

// Names (published service model).
pub const FUNCTION_NAME_CHARS_MAX: usize = 64; // longer: ValidationException
pub const TENANT_ID_CHARS_MAX: usize = 256; // longer: InvalidParameterValueException

// Sizes (AWS quotas).
/// Request and response of a synchronous call; above it 413.
pub const PAYLOAD_SYNC_BYTES_MAX: u64 = 6 * 1024 * 1024;
/// What a runtime may answer: AWS allows the sync payload and 100 bytes.
pub const RESPONSE_BYTES_MAX: u64 = PAYLOAD_SYNC_BYTES_MAX + 100;
/// Body of a control request (CreateFunction with its zip); above it 413.
pub const CONTROL_BODY_BYTES_MAX: u64 = 70_167_211;
/// Zip in the request; above it RequestEntityTooLargeException.
pub const ZIP_BYTES_MAX: u64 = 52_428_800;
/// Unzipped code; above it InvalidParameterValueException.
pub const UNZIPPED_BYTES_MAX: u64 = 262_144_000;
/// Entries of one zip; above it InvalidParameterValueException. Ours.
pub const ZIP_ENTRIES_MAX: usize = 100_000;
/// Unpacked code kept on a worker; above it, what no environment uses is removed,
/// least recently used first. Ours.
pub const CODE_CACHE_BYTES_MAX: u64 = 8 * 1024 * 1024 * 1024;
/// Environment variables together; above it InvalidParameterValueException.
pub const ENVIRONMENT_BYTES_MAX: usize = 4 * 1024;
/// Client context, base64; above it 400.
pub const CLIENT_CONTEXT_CHARS_MAX: usize = 3583;
/// Log tail returned with an answer; older bytes are cut.
pub const LOG_TAIL_BYTES: usize = 4 * 1024;
/// One log line kept; the rest of a longer line is cut into further lines.
pub const LOG_LINE_BYTES_MAX: usize = 256 * 1024;
/// Time for the body of one request; above it 408. Ours: no lease is held meanwhile.
pub const BODY_READ_TIMEOUT: Span = Span::secs(300);
/// Open connections of one frontend; further ones wait in the kernel's backlog. Ours.
pub const CONNECTIONS_MAX: usize = 16_384;
/// Read buffer of a connection. It bounds the head of a request, which is refused
/// with 431 somewhere between this and twice of it.
pub const REQUEST_HEAD_BYTES_MAX: usize = 64 * 1024;

// Functions (AWS quotas).
pub const MEMORY_MB_MIN: u32 = 128;
pub const MEMORY_MB_MAX: u32 = 10_240;
pub const MEMORY_MB_DEFAULT: u32 = 128;
/// Memory that brings one whole processor.
pub const MEMORY_MB_PER_CPU: u32 = 1_769;
pub const TIMEOUT_SECS_MAX: u32 = 900;
pub const TIMEOUT_SECS_DEFAULT: u32 = 3;
pub const SCRATCH_MB_MIN: u32 = 512;
pub const SCRATCH_MB_MAX: u32 = 10_240;

// Concurrency (AWS quotas).
pub const ACCOUNT_CONCURRENCY_DEFAULT: u32 = 1_000;
/// Reserving so that fewer stay unreserved is refused (400).
pub const UNRESERVED_CONCURRENCY_MIN: u32 = 100;
/// New environments of a function at once; then `CREATE_TOKENS_PER_SEC`.
pub const CREATE_TOKENS_MAX: u32 = 1_000;
pub const CREATE_TOKENS_PER_SEC: u32 = 100;
/// A manager that has a function's create bucket and does not answer by then is taken
/// as silent; each other one goes by its share of the bucket, and asks again later. Ours.
pub const TOKEN_HOME_SILENT: Span = Span::millis(250);
pub const TOKEN_HOME_AGAIN: Span = Span::secs(1);
/// Requests per second for each unit of concurrency; above it 429.
pub const RPS_PER_CONCURRENCY: u32 = 10;
/// Environments bound to tenants, active and idle: so many for so much of the
/// function's concurrency; above it another tenant's ends, or 429.
pub const TENANT_ENVIRONMENTS_PER_CONCURRENCY: (u32, u32) = (2_500, 1_000);
/// Generic environments that a function may keep ready for new tenants; more are
/// refused (400). Ours.
pub const TENANT_STOCK_MAX: u32 = 100;

// Phases (AWS documentation).
/// Init of an on-demand environment; then it is retried under the function's timeout.
pub const INIT_TIMEOUT: Span = Span::secs(10);
/// Processor share during an init, in thousandths of a CPU, where the function's
/// own is smaller: AWS documents a boost for the phase, and so do we.
pub const INIT_CPU_MILLIS: u32 = 1_000;
/// Processes in one sandbox; above it fork answers EAGAIN.
pub const SANDBOX_PIDS_MAX: u32 = 1_024;

// Leases and reuse (our defaults).
/// An environment lease not started by then returns to the book (I2).
pub const ENV_LEASE_TTL: Span = Span::secs(2);
/// A concurrency lease not renewed by then is free again (I4).
pub const CONCURRENCY_LEASE_TTL: Span = Span::secs(15);
/// A concurrency lease held for so long is named in its holder's signs of life; one that
/// the counter gave a TTL ago and that is not named is over (I4).
pub const LEASE_TOLD_AFTER: Span = Span::secs(1);
/// Leases named in one sign of life; where there are more, none is, and none is over.
pub const LEASES_TOLD_MAX: usize = 65_536;
/// An environment idle for so long is retired.
pub const IDLE_TTL: Span = Span::secs(600);
/// The same for one that is bound to a tenant: fewer calls can use it.
pub const TENANT_IDLE_TTL: Span = Span::secs(300);
/// The longest that an idle environment is kept for what it stores (A8).
pub const KEEP_MAX: Span = Span::secs(3_600);
/// What each e-fold of stored bytes adds to that time (A8).
pub const KEEP_PER_FOLD: Span = Span::secs(150);
/// Characters of a call's affinity value; above it 400. Ours.
pub const AFFINITY_VALUE_CHARS_MAX: usize = 256;
/// The longest that a value may keep its environment unused; above it 400. Ours.
pub const AFFINITY_TTL_SECS_MAX: u64 = 86_400;
/// Bytes that the environments of one account may store at one manager; above it,
/// idle ones end, the cheapest to rebuild per byte first. Ours.
pub const KEEP_BYTES_MAX: u64 = 16 * 1024 * 1024 * 1024;
/// Values with an environment of their own at one manager; calls of further values
/// run anywhere, and are told so. Ours.
pub const AFFINITY_VALUES_MAX: usize = 1_000_000;
/// Probes of one acquire; the last may create.
pub const PROBES_MAX: u32 = 3;
/// Time for the probes of one acquire.
pub const PROBE_BUDGET: Span = Span::millis(5);
/// What one probe costs, for the stop rule.
pub const PROBE_COST: Span = Span::millis(1);
/// Environments that one manager holds for one provisioned group.
pub const PROVISIONED_PER_MANAGER: u32 = 5;
/// Calls of one client at one manager before it throttles.
pub const CLIENT_CAP_PER_MANAGER: u32 = 10;
/// Attempts of one synchronous request over all causes (I8).
pub const ATTEMPTS_MAX: u32 = 2;

// Provisioned targets (our defaults).
/// A surplus environment idle for so long leaves, and no sooner after its target
/// was lowered: at most `IDLE_TTL`, at least one period of auto scaling.
pub const DRAIN_AFTER: Span = Span::secs(60);
/// Time between two looks for surplus environments.
pub const DRAIN_PERIOD: Span = Span::secs(5);
/// Time between two reports about one target; changes in between wait.
pub const TARGET_REPORT_PERIOD: Span = Span::secs(1);
/// Starts in flight for one target at one manager; further ones wait for these.
pub const PROVISIONED_STARTS_MAX: u32 = 32;
/// Failed user inits in a row after which a target is given up until it is set anew.
pub const PROVISIONED_INIT_FAILURES_MAX: u32 = 3;
/// Wait before a failed start of a target is tried again; doubles up to the maximum.
pub const TARGET_RETRY_MIN: Span = Span::secs(1);
pub const TARGET_RETRY_MAX: Span = Span::secs(60);
/// After a change of the ring nothing is started that handoff may still bring.
pub const HANDOFF_WAIT: Span = Span::secs(10);

// A cell (ours): the size that `sim region` plays, and that is tested (X4). Above it the
// file of members and the publisher of rings refuse.
pub const CELL_FRONTENDS_MAX: usize = 100;
pub const CELL_MANAGERS_MAX: usize = 1_000;
pub const CELL_WORKERS_MAX: usize = 1_000;

// Metrics (ours).
/// Versions of functions with series of their own at one frontend; the calls of further
/// ones are counted together, as those of the function `(others)`.
pub const VERSIONS_METERED_MAX: usize = 1_000;
/// Accounts with series of their own at one manager; further ones are not shown.
pub const ACCOUNTS_METERED_MAX: usize = 100;

// Queues between tasks (ours).
/// Messages waiting at one role; a full queue makes the sender wait.
pub const ROLE_QUEUE_MAX: usize = 4_096;
/// Chunks of a streamed body in flight; a full queue stops the reader.
pub const BODY_QUEUE_MAX: usize = 16;
/// Log lines waiting for the log file; above it lines are dropped and counted.
pub const LOG_QUEUE_MAX: usize = 16_384;
/// Callers that wait for a place in one key's book; above it 429 or 503.
pub const WAITERS_MAX: usize = 10_000;
