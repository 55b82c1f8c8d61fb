//! Log streams on disk: one file per function, one JSON line per log line. A
//! writer thread takes lines from a bounded queue, so that no call ever waits for
//! a disk; lines that do not fit are dropped and counted in the log itself.
//!
//! A position is a byte count since the function's log began. A file that grows
//! too long becomes the older half; what is older than that is gone.

use std::{
    collections::HashMap,
    fs::{self, File, OpenOptions},
    io::{self, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc,
    },
};

use model::{AccountId, FunctionName, Span, limits};
use platform::Clock;
use serde::Serialize;

/// A half of a function's log; with two halves this much to twice as much is kept.
const HALF_BYTES_MAX: u64 = 32 * 1024 * 1024;

/// How long lines gather before they are written: the most that a reader waits, and
/// the most that is lost when the machine stops. Within it the queue has room for
/// 800,000 lines a second; more are dropped and counted.
const GATHER: Span = Span::millis(20);

#[derive(Clone, Debug)]
pub(crate) struct Logs {
    directory: PathBuf,
    queue: mpsc::SyncSender<Entry>,
    dropped: Arc<AtomicU64>,
    clock: Clock,
}

#[derive(Debug)]
struct Entry {
    file: Arc<Path>,
    json: Vec<u8>,
}

#[derive(Serialize)]
struct LineJson<'a> {
    /// Milliseconds since the epoch.
    t: u64,
    /// Log stream.
    s: &'a str,
    /// Message.
    m: &'a str,
}

impl Logs {
    pub(crate) fn start(directory: PathBuf, clock: Clock) -> io::Result<Logs> {
        fs::create_dir_all(&directory)?;
        let (queue, entries) = mpsc::sync_channel(limits::LOG_QUEUE_MAX);
        std::thread::Builder::new().name("log writer".into()).spawn(move || write_all(&entries))?;
        Ok(Logs { directory, queue, dropped: Arc::default(), clock })
    }

    pub(crate) fn writer(
        &self,
        account: AccountId,
        function: &FunctionName,
        stream: String,
    ) -> LogWriter {
        let file = function_file(&self.directory, account, function).into();
        LogWriter { sink: Some(Sink { logs: self.clone(), file, stream }) }
    }

    /// JSON lines from a position on, and the position after them.
    pub(crate) fn read(
        &self,
        account: AccountId,
        function: &FunctionName,
        after: u64,
        bytes_max: u64,
    ) -> io::Result<(Vec<u8>, u64)> {
        let file = function_file(&self.directory, account, function);
        let (older, newer) = (open_half(&older_half(&file))?, open_half(&file)?);
        let base = read_base(&file)?;
        let older_length = older.as_ref().map_or(0, |(_, length)| *length);
        let first = base.saturating_sub(older_length);
        let from = after.max(first);
        let half = if from < base { older.map(|h| (h, first)) } else { newer.map(|h| (h, base)) };
        let Some(((mut half, length), half_base)) = half else { return Ok((Vec::new(), from)) };
        let offset = (from - half_base).min(length);
        half.seek(SeekFrom::Start(offset))?;
        let mut lines = Vec::new();
        half.take(bytes_max.min(length - offset)).read_to_end(&mut lines)?;
        let whole = lines.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        lines.truncate(whole);
        Ok((lines, half_base + offset + whole as u64))
    }
}

/// Writes the lines of one log stream.
#[derive(Clone, Debug)]
pub(crate) struct LogWriter {
    sink: Option<Sink>,
}

#[derive(Clone, Debug)]
struct Sink {
    logs: Logs,
    file: Arc<Path>,
    stream: String,
}

impl LogWriter {
    #[cfg(test)]
    pub(crate) fn discard() -> LogWriter {
        LogWriter { sink: None }
    }

    pub(crate) fn line(&self, line: &[u8]) {
        let Some(Sink { logs, file, stream }) = &self.sink else { return };
        let missed = logs.dropped.swap(0, Ordering::Relaxed);
        if missed > 0 {
            let note = format!("[lambent] {missed} log lines were dropped: the disk is slower");
            self.enqueue(logs, file, stream, &note, missed);
        }
        self.enqueue(logs, file, stream, &String::from_utf8_lossy(line), 1);
    }

    /// `weight` is how many lines are lost if there is no room.
    fn enqueue(&self, logs: &Logs, file: &Arc<Path>, stream: &str, m: &str, weight: u64) {
        let line = LineJson { t: logs.clock.wall_ms(), s: stream, m };
        let mut json = serde_json::to_vec(&line).unwrap_or_default();
        json.push(b'\n');
        let entry = Entry { file: Arc::clone(file), json };
        if logs.queue.try_send(entry).is_err() {
            logs.dropped.fetch_add(weight, Ordering::Relaxed);
        }
    }
}

/// Until every sender is gone. Everything waiting goes out in few writes: while the
/// writer gathers, a call that logs wakes nobody.
fn write_all(entries: &mpsc::Receiver<Entry>) {
    let mut open: HashMap<Arc<Path>, File> = HashMap::new();
    while let Ok(first) = entries.recv() {
        std::thread::sleep(GATHER.to_std());
        let mut batches: HashMap<Arc<Path>, Vec<u8>> = HashMap::new();
        let waiting = std::iter::once(first).chain(entries.try_iter().take(limits::LOG_QUEUE_MAX));
        for Entry { file, json } in waiting {
            batches.entry(file).or_default().extend_from_slice(&json);
        }
        for (file, batch) in batches {
            if let Err(error) = append(&mut open, &file, &batch) {
                open.remove(&file);
                tracing::warn!(%error, "a function's log could not be written");
            }
        }
        // Functions come and go; their files need not stay open.
        if open.len() > 256 {
            open.clear();
        }
    }
}

fn append(open: &mut HashMap<Arc<Path>, File>, path: &Arc<Path>, batch: &[u8]) -> io::Result<()> {
    let file = match open.entry(Arc::clone(path)) {
        std::collections::hash_map::Entry::Occupied(file) => file.into_mut(),
        std::collections::hash_map::Entry::Vacant(slot) => {
            if let Some(directory) = path.parent() {
                fs::create_dir_all(directory)?;
            }
            slot.insert(OpenOptions::new().create(true).append(true).open(path)?)
        }
    };
    file.write_all(batch)?;
    let length = file.metadata()?.len();
    if length > HALF_BYTES_MAX {
        let base = read_base(path)? + length;
        fs::rename(path, older_half(path))?;
        fs::write(base_file(path), base.to_string())?;
        open.remove(path);
    }
    Ok(())
}

fn function_file(directory: &Path, account: AccountId, function: &FunctionName) -> PathBuf {
    directory.join(account.to_string()).join(format!("{function}.jsonl"))
}

fn older_half(file: &Path) -> PathBuf {
    file.with_extension("older.jsonl")
}

fn base_file(file: &Path) -> PathBuf {
    file.with_extension("base")
}

fn open_half(path: &Path) -> io::Result<Option<(File, u64)>> {
    match File::open(path) {
        Ok(file) => {
            let length = file.metadata()?.len();
            Ok(Some((file, length)))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Position at which the newer half begins.
fn read_base(path: &Path) -> io::Result<u64> {
    match fs::read_to_string(base_file(path)) {
        Ok(text) => text.trim().parse().map_err(io::Error::other),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account() -> AccountId {
        AccountId::parse("000000000001").unwrap()
    }

    fn name() -> FunctionName {
        FunctionName::parse("f").unwrap()
    }

    /// Reads on until `lines` lines are there; the writer gathers before it writes.
    fn read_lines(logs: &Logs, lines: usize) -> (Vec<String>, u64) {
        let (mut seen, mut at) = (Vec::new(), 0);
        while seen.len() < lines {
            let (bytes, next) = logs.read(account(), &name(), at, 1_024).unwrap();
            seen.extend(String::from_utf8(bytes).unwrap().lines().map(str::to_owned));
            at = next;
            std::thread::yield_now();
        }
        (seen, at)
    }

    #[tokio::test]
    async fn lines_are_read_back_in_order_and_from_any_position() {
        let directory = tempfile::tempdir().unwrap();
        let logs = Logs::start(directory.path().to_owned(), Clock::simulated(77)).unwrap();
        let writer = logs.writer(account(), &name(), "s".into());
        for number in 0..100 {
            writer.line(format!("line {number}").as_bytes());
        }
        let (seen, at) = read_lines(&logs, 100);
        assert!(seen[0].ends_with(r#","s":"s","m":"line 0"}"#), "{}", seen[0]);
        assert!(seen[99].ends_with(r#""m":"line 99"}"#));
        assert_eq!(logs.read(account(), &name(), at, 1_024).unwrap(), (Vec::new(), at));
        let second = seen[0].len() as u64 + 1;
        let (bytes, _) = logs.read(account(), &name(), second, 1_024).unwrap();
        assert!(String::from_utf8(bytes).unwrap().contains("line 1\""));
    }

    #[tokio::test]
    async fn what_is_not_text_is_shown_as_well_as_can_be() {
        let directory = tempfile::tempdir().unwrap();
        let logs = Logs::start(directory.path().to_owned(), Clock::simulated(0)).unwrap();
        logs.writer(account(), &name(), "s".into()).line(b"a\xffb");
        let (seen, _) = read_lines(&logs, 1);
        assert!(seen[0].contains("a\u{fffd}b"), "{}", seen[0]);
    }

    #[test]
    fn a_log_that_grows_too_long_keeps_its_newer_halves_and_its_positions() {
        let directory = tempfile::tempdir().unwrap();
        let path: Arc<Path> = function_file(directory.path(), account(), &name()).into();
        let mut open = HashMap::new();
        let line = [vec![b'x'; 1024 * 1024 - 1], vec![b'\n']].concat();
        let per_half = HALF_BYTES_MAX / line.len() as u64 + 1;
        for _ in 0..2 * per_half + 1 {
            append(&mut open, &path, &line).unwrap();
        }
        assert_eq!(read_base(&path).unwrap(), 2 * per_half * line.len() as u64);
        assert!(fs::metadata(&*path).unwrap().len() <= HALF_BYTES_MAX);
        assert!(fs::metadata(older_half(&path)).unwrap().len() > HALF_BYTES_MAX);
    }

    #[tokio::test]
    async fn a_function_without_a_log_has_an_empty_one() {
        let directory = tempfile::tempdir().unwrap();
        let logs = Logs::start(directory.path().to_owned(), Clock::simulated(0)).unwrap();
        assert_eq!(logs.read(account(), &name(), 0, 10).unwrap(), (Vec::new(), 0));
    }
}
