//! One reader: answers `get` and `list` on its own read-only connection. What a
//! writer acknowledged before the question is always in the answer.

use bytes::Bytes;
use rusqlite::{Connection, Row};
use tokio::sync::{mpsc, oneshot};

use super::file::read_revision;
use crate::{
    key::{Key, Prefix},
    page::{Filling, Page},
    txn::{Entry, ReadError},
};

#[derive(Debug)]
pub(super) enum Read {
    Get {
        key: Key,
        reply: oneshot::Sender<Result<Option<Entry>, ReadError>>,
    },
    List {
        prefix: Prefix,
        after: Option<Key>,
        limit: usize,
        reply: oneshot::Sender<Result<Page, ReadError>>,
    },
}

pub(super) fn run(mut connection: Connection, mut queue: mpsc::Receiver<Read>) {
    while let Some(read) = queue.blocking_recv() {
        // A caller that has gone needs no answer.
        match read {
            Read::Get { key, reply } => {
                let answer = get(&connection, &key);
                let _ = reply.send(answer.map_err(|error| failed(key.as_str(), &error)));
            }
            Read::List { prefix, after, limit, reply } => {
                let answer = list(&mut connection, &prefix, after.as_ref(), limit);
                let _ = reply.send(answer.map_err(|error| failed(prefix.as_str(), &error)));
            }
        }
    }
}

fn get(connection: &Connection, key: &Key) -> rusqlite::Result<Option<Entry>> {
    let mut statement =
        connection.prepare_cached("SELECT key, value, revision FROM entries WHERE key = ?1")?;
    let mut rows = statement.query([key.as_str()])?;
    rows.next()?.map(entry).transpose()
}

fn list(
    connection: &mut Connection,
    prefix: &Prefix,
    after: Option<&Key>,
    limit: usize,
) -> rusqlite::Result<Page> {
    // One read transaction: the revision and the rows are of the same moment.
    let moment = connection.transaction()?;
    let revision = read_revision(&moment)?;
    let mut statement = moment.prepare_cached(
        "SELECT key, value, revision FROM entries WHERE key >= ?1 AND key > ?2 ORDER BY key",
    )?;
    let mut rows = statement.query([prefix.as_str(), after.map_or("", Key::as_str)])?;
    let mut page = Filling::new(revision, limit);
    while let Some(row) = rows.next()? {
        let entry = entry(row)?;
        if !prefix.holds(&entry.key) || !page.take(entry) {
            break;
        }
    }
    Ok(page.done())
}

fn entry(row: &Row<'_>) -> rusqlite::Result<Entry> {
    let key = Key::stored(row.get(0)?).ok_or(rusqlite::Error::InvalidQuery)?;
    let value = Bytes::from(row.get::<_, Vec<u8>>(1)?);
    Ok(Entry { key, value, revision: row.get(2)? })
}

fn failed(what: &str, error: &rusqlite::Error) -> ReadError {
    ReadError::Failed { what: what.to_owned(), detail: error.to_string() }
}
