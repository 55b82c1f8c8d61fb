//! The embedded engine: one SQLite file in write-ahead mode, in a directory that is
//! locked for this process. One thread writes and commits in groups; a few read.
//!
//! A transaction is acknowledged after its commit was synced (`synchronous=FULL`).
//! Callers wait on channels, never on the disk.

use std::{fs::File, path::Path, sync::Arc, thread::JoinHandle};

use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSql, ToSqlOutput, ValueRef};
use tokio::sync::{mpsc, oneshot};

use self::{reader::Read, writer::Write};
use crate::{
    feed::Feed,
    key::{Key, Prefix},
    limits::{READ_QUEUE_MAX, READERS, WRITE_QUEUE_MAX},
    page::Page,
    txn::{Entry, ReadError, Revision, TransactError, Transaction},
};

pub use self::file::OpenError;

mod file;
mod reader;
mod writer;

/// Channels to the engine's threads. Dropping it finishes what is queued and closes
/// the file.
#[derive(Debug)]
pub(crate) struct Sqlite {
    readers: Vec<Thread<Read>>,
    writer: Thread<Write>,
    /// Held until the threads are gone: fields are dropped in order.
    _lock: File,
}

#[derive(Debug)]
struct Thread<M> {
    /// `None` only while it is dropped.
    queue: Option<mpsc::Sender<M>>,
    thread: Option<JoinHandle<()>>,
}

impl Sqlite {
    pub(crate) fn open(directory: &Path) -> Result<(Sqlite, Arc<Feed>), OpenError> {
        let lock = file::lock(directory)?;
        let path = file::path_in(directory);
        let (connection, revision) = file::open_writable(&path)?;
        let feed = Arc::new(Feed::new(revision));
        let published = feed.clone();
        let writer = Thread::start("store-write", WRITE_QUEUE_MAX, &path, move |queue| {
            writer::Writer::new(connection, revision, published, queue).run();
        })?;
        let mut readers = Vec::with_capacity(READERS);
        for at in 0..READERS {
            let connection = file::open_readable(&path)?;
            let name = format!("store-read-{at}");
            readers.push(Thread::start(&name, READ_QUEUE_MAX, &path, move |queue| {
                reader::run(connection, queue);
            })?);
        }
        Ok((Sqlite { readers, writer, _lock: lock }, feed))
    }

    pub(crate) async fn transact(
        &self,
        transaction: Transaction,
    ) -> Result<Revision, TransactError> {
        let (reply, answer) = oneshot::channel();
        if !self.writer.send(Write { transaction, reply }).await {
            return Err(TransactError::Closed);
        }
        // A writer that died with the transaction in hand may have committed it.
        let died = |_| TransactError::Uncertain { detail: "the writer ended".into() };
        answer.await.map_err(died)?
    }

    pub(crate) async fn get(&self, key: &Key) -> Result<Option<Entry>, ReadError> {
        let key = key.clone();
        self.read(|reply| Read::Get { key, reply }).await
    }

    pub(crate) async fn list(
        &self,
        prefix: &Prefix,
        after: Option<&Key>,
        limit: usize,
    ) -> Result<Page, ReadError> {
        let (prefix, after) = (prefix.clone(), after.cloned());
        self.read(|reply| Read::List { prefix, after, limit, reply }).await
    }

    /// Asks the reader with the shortest queue.
    async fn read<T>(
        &self,
        question: impl FnOnce(oneshot::Sender<Result<T, ReadError>>) -> Read,
    ) -> Result<T, ReadError> {
        let (reply, answer) = oneshot::channel();
        let shortest = self.readers.iter().max_by_key(|reader| reader.room());
        let reader = shortest.ok_or(ReadError::Closed)?;
        if !reader.send(question(reply)).await {
            return Err(ReadError::Closed);
        }
        answer.await.map_err(|_| ReadError::Closed)?
    }
}

impl<M: Send + 'static> Thread<M> {
    fn start(
        name: &str,
        queue_max: usize,
        path: &Path,
        body: impl FnOnce(mpsc::Receiver<M>) + Send + 'static,
    ) -> Result<Thread<M>, OpenError> {
        let (sender, receiver) = mpsc::channel(queue_max);
        let thread = std::thread::Builder::new().name(name.into()).spawn(move || body(receiver));
        let thread = thread.map_err(|source| OpenError::Io {
            doing: "starting a thread for",
            path: path.to_owned(),
            source,
        })?;
        Ok(Thread { queue: Some(sender), thread: Some(thread) })
    }
}

impl<M> Thread<M> {
    /// False where the thread is gone.
    async fn send(&self, message: M) -> bool {
        match &self.queue {
            Some(queue) => queue.send(message).await.is_ok(),
            None => false,
        }
    }

    fn room(&self) -> usize {
        self.queue.as_ref().map_or(0, mpsc::Sender::capacity)
    }
}

impl<M> Drop for Thread<M> {
    fn drop(&mut self) {
        drop(self.queue.take());
        if let Some(thread) = self.thread.take() {
            // A panic in the thread was reported when it happened.
            let _ = thread.join();
        }
    }
}

/// SQLite's integers are signed; a revision is never near the difference.
impl ToSql for Revision {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::from(self.0.cast_signed()))
    }
}

impl FromSql for Revision {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Revision> {
        let number = value.as_i64()?;
        u64::try_from(number).map(Revision).map_err(|_| FromSqlError::OutOfRange(number))
    }
}
