//! Opening the store's file: the lock on its directory, what kind of file it is,
//! whether it is whole, and the settings of a connection. Not how it is used.

use std::{
    fs::{DirBuilder, File, OpenOptions, TryLockError},
    io::{self, Read},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use rusqlite::{Connection, ErrorCode, OpenFlags};

use crate::txn::Revision;

/// "LMBT": marks the file as ours in SQLite's header.
const APPLICATION_ID: i32 = 0x4c4d_4254;
/// Layout of the tables; a release reads its own and lower ones.
const FORMAT: i32 = 1;
const SQLITE_HEADER: &[u8; 16] = b"SQLite format 3\0";
/// Another connection of this process is only ever busy for one checkpoint.
const BUSY_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(5);

const TABLES: &str = "
CREATE TABLE entries (
    key TEXT PRIMARY KEY NOT NULL,
    value BLOB NOT NULL,
    revision INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE position (
    id INTEGER PRIMARY KEY CHECK (id = 0),
    revision INTEGER NOT NULL
) STRICT;
INSERT INTO position VALUES (0, 0);
";

/// Why the store cannot be opened, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error(
        "{} is in use by another process: stop it, or choose another data directory",
        directory.display()
    )]
    Locked { directory: PathBuf },
    #[error(
        "{} is not a Lambent store: move it away, or choose another data directory",
        path.display()
    )]
    NotAStore { path: PathBuf },
    #[error(
        "{} has format {found}, this release knows {FORMAT}: start the release that wrote it, \
         or a later one",
        path.display()
    )]
    Newer { path: PathBuf, found: i32 },
    #[error("{} is damaged ({detail}): restore it from a backup", path.display())]
    Damaged { path: PathBuf, detail: String },
    #[error("{doing} {}", path.display())]
    Io {
        doing: &'static str,
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("{doing} {}: {detail}", path.display())]
    Engine { doing: &'static str, path: PathBuf, detail: String },
}

pub(super) fn path_in(directory: &Path) -> PathBuf {
    directory.join("metadata.db")
}

/// Makes the directory where it is missing and keeps other processes out of it.
pub(super) fn lock(directory: &Path) -> Result<File, OpenError> {
    let io = |doing| move |source| OpenError::Io { doing, path: directory.to_owned(), source };
    // Only the owner may look inside: credentials are kept here.
    DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(io("creating"))?;
    if let Some(parent) = directory.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        let synced = File::open(parent).and_then(|parent| parent.sync_all());
        synced.map_err(io("syncing the parent of"))?;
    }
    let mut options = OpenOptions::new();
    options.create(true).truncate(false).write(true).mode(0o600);
    let lock = options.open(directory.join("lock")).map_err(io("opening the lock of"))?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => Err(OpenError::Locked { directory: directory.to_owned() }),
        Err(TryLockError::Error(source)) => Err(io("locking")(source)),
    }
}

/// The writer's connection and the revision of the last durable commit.
pub(super) fn open_writable(path: &Path) -> Result<(Connection, Revision), OpenError> {
    refuse_foreign_header(path)?;
    let failed = |doing| move |error| describe(doing, path, &error);
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(path, flags).map_err(failed("opening"))?;
    connection.busy_timeout(BUSY_TIMEOUT).map_err(failed("configuring"))?;
    let fresh = refuse_foreign_tables(&connection, path)?;
    connection.pragma_update(None, "journal_mode", "WAL").map_err(failed("configuring"))?;
    connection.pragma_update(None, "synchronous", "FULL").map_err(failed("configuring"))?;
    if fresh {
        create_tables(&mut connection).map_err(failed("creating the tables of"))?;
    } else {
        refuse_damage(&connection, path)?;
    }
    let revision = read_revision(&connection).map_err(failed("reading the revision of"))?;
    Ok((connection, revision))
}

pub(super) fn open_readable(path: &Path) -> Result<Connection, OpenError> {
    let failed = |doing| move |error| describe(doing, path, &error);
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(failed("opening"))?;
    connection.busy_timeout(BUSY_TIMEOUT).map_err(failed("configuring"))?;
    Ok(connection)
}

pub(super) fn read_revision(connection: &Connection) -> rusqlite::Result<Revision> {
    let mut statement = connection.prepare_cached("SELECT revision FROM position WHERE id = 0")?;
    statement.query_row([], |row| row.get(0))
}

/// Before SQLite touches a file that it would take for an empty or a damaged one.
/// Makes a new file, so that only its owner can read it from the first byte on.
fn refuse_foreign_header(path: &Path) -> Result<(), OpenError> {
    let io = |source| OpenError::Io { doing: "opening", path: path.to_owned(), source };
    let mut options = OpenOptions::new();
    options.create(true).truncate(false).read(true).write(true).mode(0o600);
    let mut start = Vec::new();
    let header_bytes = SQLITE_HEADER.len() as u64;
    options
        .open(path)
        .and_then(|file| file.take(header_bytes).read_to_end(&mut start))
        .map_err(io)?;
    if start.is_empty() || start == SQLITE_HEADER {
        return Ok(());
    }
    Err(OpenError::NotAStore { path: path.to_owned() })
}

/// True for a file without tables: new, or its creation was cut short.
fn refuse_foreign_tables(connection: &Connection, path: &Path) -> Result<bool, OpenError> {
    let failed = |error| describe("reading the header of", path, &error);
    let number = |sql: &str| connection.query_row(sql, [], |row| row.get::<_, i32>(0));
    let application = number("PRAGMA application_id").map_err(failed)?;
    let format = number("PRAGMA user_version").map_err(failed)?;
    let tables = number("SELECT count(*) FROM sqlite_schema").map_err(failed)?;
    if application == 0 && format == 0 && tables == 0 {
        return Ok(true);
    }
    if application != APPLICATION_ID {
        return Err(OpenError::NotAStore { path: path.to_owned() });
    }
    if format > FORMAT {
        return Err(OpenError::Newer { path: path.to_owned(), found: format });
    }
    Ok(false)
}

fn create_tables(connection: &mut Connection) -> rusqlite::Result<()> {
    let transaction = connection.transaction()?;
    transaction.execute_batch(TABLES)?;
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    transaction.pragma_update(None, "user_version", FORMAT)?;
    transaction.commit()
}

/// Reads every page: the file holds metadata only and is small.
fn refuse_damage(connection: &Connection, path: &Path) -> Result<(), OpenError> {
    let check = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get::<_, String>(0));
    match check {
        Ok(answer) if answer == "ok" => Ok(()),
        Ok(detail) => Err(OpenError::Damaged { path: path.to_owned(), detail }),
        Err(error) => Err(describe("checking", path, &error)),
    }
}

fn describe(doing: &'static str, path: &Path, error: &rusqlite::Error) -> OpenError {
    let (path, detail) = (path.to_owned(), error.to_string());
    match error.sqlite_error_code() {
        Some(ErrorCode::NotADatabase) => OpenError::NotAStore { path },
        Some(ErrorCode::DatabaseCorrupt) => OpenError::Damaged { path, detail },
        Some(_) | None => OpenError::Engine { doing, path, detail },
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::store::Store;

    fn opened(directory: &Path) -> OpenError {
        Store::open(directory).expect_err("must be refused")
    }

    #[test]
    fn a_second_opener_is_told_that_the_directory_is_in_use() {
        let directory = tempfile::tempdir().unwrap();
        let first = Store::open(directory.path()).unwrap();
        let error = opened(directory.path());
        assert!(matches!(error, OpenError::Locked { .. }), "{error}");
        assert!(error.to_string().contains("choose another data directory"), "{error}");
        drop(first);
        Store::open(directory.path()).unwrap();
    }

    #[test]
    fn a_file_of_something_else_is_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        let path = path_in(directory.path());
        fs::write(&path, "a shopping list, longer than a header").unwrap();
        assert!(matches!(opened(directory.path()), OpenError::NotAStore { .. }));
        fs::remove_file(&path).unwrap();
        let foreign = Connection::open(&path).unwrap();
        foreign.execute_batch("CREATE TABLE songs (title TEXT)").unwrap();
        drop(foreign);
        assert!(matches!(opened(directory.path()), OpenError::NotAStore { .. }));
        let foreign = Connection::open(&path).unwrap();
        foreign.execute_batch("SELECT title FROM songs").unwrap();
    }

    #[test]
    fn a_newer_file_asks_for_a_newer_release() {
        let directory = tempfile::tempdir().unwrap();
        drop(Store::open(directory.path()).unwrap());
        let connection = Connection::open(path_in(directory.path())).unwrap();
        connection.pragma_update(None, "user_version", FORMAT + 1).unwrap();
        drop(connection);
        let error = opened(directory.path());
        assert!(matches!(error, OpenError::Newer { found, .. } if found == FORMAT + 1), "{error}");
    }

    #[test]
    fn a_damaged_page_is_found_at_the_start() {
        let directory = tempfile::tempdir().unwrap();
        drop(Store::open(directory.path()).unwrap());
        let path = path_in(directory.path());
        let mut bytes = fs::read(&path).unwrap();
        assert!(bytes.len() > 2 * 4096, "the tables have pages of their own");
        bytes[4096..2 * 4096].fill(0xa5);
        fs::write(&path, bytes).unwrap();
        let error = opened(directory.path());
        assert!(matches!(error, OpenError::Damaged { .. }), "{error}");
        assert!(error.to_string().contains("restore it from a backup"), "{error}");
    }

    #[test]
    fn a_creation_that_was_cut_short_is_completed() {
        let directory = tempfile::tempdir().unwrap();
        let connection = Connection::open(path_in(directory.path())).unwrap();
        connection.pragma_update(None, "journal_mode", "WAL").unwrap();
        drop(connection);
        Store::open(directory.path()).unwrap();
    }

    #[test]
    fn only_the_owner_can_read_the_file() {
        use std::os::unix::fs::PermissionsExt;
        let directory = tempfile::tempdir().unwrap();
        let inside = directory.path().join("new");
        let _store = Store::open(&inside).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&inside), 0o700);
        assert_eq!(mode(&path_in(&inside)), 0o600);
        assert_eq!(mode(&inside.join("metadata.db-wal")), 0o600);
    }
}
