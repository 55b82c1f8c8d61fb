//! The one writer. It takes what waits, up to a group, applies each transaction in
//! order, commits once, tells watchers, and only then answers the callers.
//!
//! A failure before the commit undoes the whole group. A failure of the commit
//! itself leaves open what the disk has; then nothing more is written until the
//! store is opened again and the disk has answered.

use std::sync::Arc;

use bytes::Bytes;
use rusqlite::{Connection, ErrorCode, OptionalExtension, TransactionBehavior, params};
use tokio::sync::{mpsc, oneshot};

use crate::{
    feed::Feed,
    key::Key,
    limits::GROUP_TRANSACTIONS_MAX,
    txn::{self, Revision, Table, TransactError, Transaction, Verdict},
};

#[derive(Debug)]
pub(super) struct Write {
    pub(super) transaction: Transaction,
    pub(super) reply: oneshot::Sender<Result<Revision, TransactError>>,
}

pub(super) struct Writer {
    connection: Connection,
    last: Revision,
    feed: Arc<Feed>,
    queue: mpsc::Receiver<Write>,
    /// Why nothing is written any more.
    halted: Option<String>,
}

enum Failure {
    Undone(rusqlite::Error),
    Uncertain(rusqlite::Error),
}

impl Writer {
    pub(super) fn new(
        connection: Connection,
        last: Revision,
        feed: Arc<Feed>,
        queue: mpsc::Receiver<Write>,
    ) -> Writer {
        Writer { connection, last, feed, queue, halted: None }
    }

    pub(super) fn run(mut self) {
        while let Some(first) = self.queue.blocking_recv() {
            let mut group = vec![first];
            while group.len() < GROUP_TRANSACTIONS_MAX
                && let Ok(next) = self.queue.try_recv()
            {
                group.push(next);
            }
            self.carry_out(group);
        }
    }

    fn carry_out(&mut self, group: Vec<Write>) {
        let (transactions, replies): (Vec<_>, Vec<_>) =
            group.into_iter().map(|write| (write.transaction, write.reply)).unzip();
        let answers = match &self.halted {
            Some(detail) => refuse(replies.len(), || failed(detail)),
            None => match commit(&mut self.connection, self.last, transactions) {
                Ok(verdicts) => verdicts.into_iter().map(|verdict| self.publish(verdict)).collect(),
                Err(Failure::Undone(error)) => refuse(replies.len(), || failed(&error)),
                Err(Failure::Uncertain(error)) => {
                    self.halted = Some(format!("an earlier commit was not confirmed: {error}"));
                    let detail = format!("{error}; restart to continue");
                    refuse(replies.len(), || TransactError::Uncertain { detail: detail.clone() })
                }
            },
        };
        for (reply, answer) in replies.into_iter().zip(answers) {
            // The caller may have gone; what is committed stays.
            let _ = reply.send(answer);
        }
    }

    fn publish(&mut self, verdict: Verdict) -> Result<Revision, TransactError> {
        match verdict {
            Verdict::Conflict { key } => Err(TransactError::Conflict { key }),
            Verdict::Applied { revision, changed } => {
                self.last = revision;
                self.feed.publish(revision, changed);
                Ok(revision)
            }
        }
    }
}

/// All verdicts of a group, durable.
fn commit(
    connection: &mut Connection,
    mut last: Revision,
    group: Vec<Transaction>,
) -> Result<Vec<Verdict>, Failure> {
    let before = last;
    let begun = connection.transaction_with_behavior(TransactionBehavior::Immediate);
    let mut rows = Rows(begun.map_err(Failure::Undone)?);
    let mut verdicts = Vec::with_capacity(group.len());
    for transaction in group {
        let verdict = txn::apply(&mut rows, last, transaction).map_err(Failure::Undone)?;
        if let Verdict::Applied { revision, .. } = &verdict {
            last = *revision;
        }
        verdicts.push(verdict);
    }
    if last == before {
        return Ok(verdicts);
    }
    rows.advance(last).map_err(Failure::Undone)?;
    match rows.0.commit() {
        Ok(()) => Ok(verdicts),
        // No room for the commit record, so there is none.
        Err(error) if error.sqlite_error_code() == Some(ErrorCode::DiskFull) => {
            Err(Failure::Undone(error))
        }
        Err(error) => Err(Failure::Uncertain(error)),
    }
}

fn refuse<T>(count: usize, refusal: impl Fn() -> TransactError) -> Vec<Result<T, TransactError>> {
    (0..count).map(|_| Err(refusal())).collect()
}

fn failed(detail: &impl ToString) -> TransactError {
    TransactError::Failed { detail: detail.to_string() }
}

struct Rows<'c>(rusqlite::Transaction<'c>);

impl Rows<'_> {
    fn advance(&self, revision: Revision) -> rusqlite::Result<()> {
        let mut statement = self.0.prepare_cached("UPDATE position SET revision = ?1")?;
        statement.execute([revision]).map(drop)
    }
}

impl Table for Rows<'_> {
    type Error = rusqlite::Error;

    fn revision_of(&self, key: &Key) -> rusqlite::Result<Option<Revision>> {
        let mut statement = self.0.prepare_cached("SELECT revision FROM entries WHERE key = ?1")?;
        statement.query_row([key.as_str()], |row| row.get(0)).optional()
    }

    fn put(&mut self, key: &Key, value: &Bytes, revision: Revision) -> rusqlite::Result<()> {
        let mut statement = self.0.prepare_cached(
            "INSERT INTO entries (key, value, revision) VALUES (?1, ?2, ?3) \
             ON CONFLICT (key) DO UPDATE SET value = excluded.value, revision = excluded.revision",
        )?;
        statement.execute(params![key.as_str(), &value[..], revision]).map(drop)
    }

    fn delete(&mut self, key: &Key) -> rusqlite::Result<()> {
        let mut statement = self.0.prepare_cached("DELETE FROM entries WHERE key = ?1")?;
        statement.execute([key.as_str()]).map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{schema, settings::AccountLimits, sqlite::file};

    fn put(value_bytes: usize) -> Transaction {
        let key = schema::account_limits(model::AccountId::parse("000000000001").unwrap());
        let op = txn::Op::Put(key.into_key(), Bytes::from(vec![b' '; value_bytes]));
        Transaction { preconditions: Vec::new(), ops: vec![op] }
    }

    fn writer(directory: &std::path::Path) -> Writer {
        let (connection, last) = file::open_writable(&file::path_in(directory)).unwrap();
        let (_, queue) = mpsc::channel(1);
        Writer::new(connection, last, Arc::new(Feed::new(last)), queue)
    }

    /// Carries a group out and returns its answers.
    fn answers(
        writer: &mut Writer,
        group: Vec<Transaction>,
    ) -> Vec<Result<Revision, TransactError>> {
        let (mut writes, mut answers) = (Vec::new(), Vec::new());
        for transaction in group {
            let (reply, answer) = oneshot::channel();
            writes.push(Write { transaction, reply });
            answers.push(answer);
        }
        writer.carry_out(writes);
        answers.into_iter().map(|mut answer| answer.try_recv().unwrap()).collect()
    }

    #[test]
    fn a_group_is_one_commit_with_a_revision_for_each() {
        let directory = tempfile::tempdir().unwrap();
        let mut writer = writer(directory.path());
        let key = schema::account_limits(model::AccountId::parse("000000000001").unwrap());
        let refused = Transaction::new().require_absent(&key);
        let refused = refused.put(&key, &AccountLimits { concurrency: 1 }).unwrap();
        let found = answers(&mut writer, vec![put(1), refused, put(2)]);
        assert!(matches!(found[0], Ok(Revision(1))), "{found:?}");
        assert!(matches!(found[1], Err(TransactError::Conflict { .. })), "{found:?}");
        assert!(matches!(found[2], Ok(Revision(2))), "{found:?}");
        assert_eq!(file::read_revision(&writer.connection), Ok(Revision(2)));
    }

    #[test]
    fn a_full_disk_undoes_the_group_and_lets_the_next_one_in() {
        let directory = tempfile::tempdir().unwrap();
        let mut writer = writer(directory.path());
        writer.connection.pragma_update(None, "max_page_count", 8).unwrap();
        let found = answers(&mut writer, vec![put(1), put(100_000)]);
        for answer in found {
            let error = answer.unwrap_err();
            assert!(matches!(&error, TransactError::Failed { detail } if detail.contains("full")));
        }
        assert!(matches!(answers(&mut writer, vec![put(1)])[..], [Ok(Revision(1))]));
    }

    #[test]
    fn a_commit_that_is_not_confirmed_halts_the_writer() {
        let directory = tempfile::tempdir().unwrap();
        let mut writer = writer(directory.path());
        // A constraint that is only checked by the commit.
        let fail_at_commit = "PRAGMA foreign_keys = ON;
            CREATE TABLE parents (id INTEGER PRIMARY KEY);
            CREATE TABLE children (id INTEGER REFERENCES parents DEFERRABLE INITIALLY DEFERRED);
            CREATE TRIGGER fail AFTER INSERT ON entries BEGIN INSERT INTO children VALUES (7); END;";
        writer.connection.execute_batch(fail_at_commit).unwrap();
        let found = answers(&mut writer, vec![put(1)]);
        assert!(matches!(found[..], [Err(TransactError::Uncertain { .. })]), "{found:?}");
        writer.connection.execute_batch("DROP TRIGGER fail").unwrap();
        let found = answers(&mut writer, vec![put(1)]);
        assert!(matches!(found[..], [Err(TransactError::Failed { .. })]), "{found:?}");
        assert_eq!(file::read_revision(&writer.connection), Ok(Revision(0)));
    }
}
