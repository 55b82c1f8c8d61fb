//! `Store`: the handle that roles hold. Checks what no engine would accept, hands
//! the rest to the engine, and reads records as their types.

use std::{path::Path, sync::Arc};

use platform::{Clock, Tasks};

use crate::{
    feed::Feed,
    key::{Key, Prefix, TypedKey, TypedPrefix},
    lease::Held,
    limits::PAGE_ENTRIES_MAX,
    memory::Memory,
    page::Page,
    record::{self, Value},
    remote::{Remote, StoreCaller},
    sqlite::{OpenError, Sqlite},
    txn::{Entry, ReadError, Revision, TransactError, Transaction},
    watch::Watch,
};

/// Cheap to clone; the engine is closed when the last clone is dropped.
#[derive(Clone, Debug)]
pub struct Store(Arc<Parts>);

#[derive(Debug)]
struct Parts {
    engine: Engine,
    feed: Arc<Feed>,
    leases: Held,
}

#[derive(Debug)]
enum Engine {
    Sqlite(Sqlite),
    Memory(Memory),
    Remote(Remote),
}

/// A record as its type, with the revision that last changed it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found<T> {
    pub value: T,
    pub revision: Revision,
}

/// A consistent part of a typed listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundPage<T> {
    pub found: Vec<(Key, Found<T>)>,
    /// The store's revision that the page shows; a watch from here misses nothing.
    pub revision: Revision,
    /// Where the next page begins, if there is one.
    pub next: Option<Key>,
}

impl Store {
    /// The embedded engine in a directory that only this process may use; it is made
    /// where it is missing. Blocks: opening checks the file.
    pub fn open(directory: &Path) -> Result<Store, OpenError> {
        let (sqlite, feed) = Sqlite::open(directory)?;
        Ok(Store::over(Engine::Sqlite(sqlite), feed))
    }

    /// An empty store that ends with the process.
    pub fn memory() -> Store {
        let feed = Arc::new(Feed::new(Revision(0)));
        Store::over(Engine::Memory(Memory::new(feed.clone())), feed)
    }

    /// The store that another process has open. Reads and transactions fail where it
    /// does not answer for `ANSWER_TTL`; watches wait for it and miss nothing. Here a
    /// commit reaches watches a little after it is acknowledged.
    pub fn remote(caller: StoreCaller, clock: Clock, tasks: &Tasks) -> Store {
        let (remote, feed) = Remote::new(caller, clock, tasks);
        Store::over(Engine::Remote(remote), feed)
    }

    fn over(engine: Engine, feed: Arc<Feed>) -> Store {
        Store(Arc::new(Parts { engine, feed, leases: Held::default() }))
    }

    /// Returns after the transaction is durable, with the store's revision then.
    /// Dropping the future does not undo it.
    pub async fn transact(&self, transaction: Transaction) -> Result<Revision, TransactError> {
        transaction.check()?;
        match &self.0.engine {
            Engine::Sqlite(sqlite) => sqlite.transact(transaction).await,
            Engine::Memory(memory) => memory.transact(transaction),
            Engine::Remote(remote) => remote.transact(transaction).await,
        }
    }

    /// Sees every transaction that was acknowledged before the call.
    pub async fn get(&self, key: &Key) -> Result<Option<Entry>, ReadError> {
        match &self.0.engine {
            Engine::Sqlite(sqlite) => sqlite.get(key).await,
            Engine::Memory(memory) => Ok(memory.get(key)),
            Engine::Remote(remote) => remote.get(key).await,
        }
    }

    /// Keys under a prefix in order, those after `after`, at most `limit` (and at most
    /// `PAGE_ENTRIES_MAX` with `PAGE_BYTES_MAX`). One page is consistent; two pages may
    /// differ in revision.
    pub async fn list(
        &self,
        prefix: &Prefix,
        after: Option<&Key>,
        limit: usize,
    ) -> Result<Page, ReadError> {
        let limit = limit.min(PAGE_ENTRIES_MAX);
        match &self.0.engine {
            Engine::Sqlite(sqlite) => sqlite.list(prefix, after, limit).await,
            Engine::Memory(memory) => Ok(memory.list(prefix, after, limit)),
            Engine::Remote(remote) => remote.list(prefix, after, limit).await,
        }
    }

    /// Commits under a prefix after `from`, usually the revision of a listing.
    pub fn watch(&self, prefix: Prefix, from: Revision) -> Watch {
        self.0.feed.watch(prefix, from)
    }

    /// `get` as the key's type.
    pub async fn read<T: Value>(&self, key: &TypedKey<T>) -> Result<Option<Found<T>>, ReadError> {
        let entry = self.get(key.key()).await?;
        Ok(entry.map(found).transpose()?.map(|(_, found)| found))
    }

    /// `list` as the prefix's type.
    pub async fn read_page<T: Value>(
        &self,
        prefix: &TypedPrefix<T>,
        after: Option<&Key>,
        limit: usize,
    ) -> Result<FoundPage<T>, ReadError> {
        let page = self.list(prefix.prefix(), after, limit).await?;
        let last = page.entries.last().filter(|_| page.more);
        let next = last.map(|entry| entry.key.clone());
        let found = page.entries.into_iter().map(found).collect::<Result<_, _>>()?;
        Ok(FoundPage { found, revision: page.revision, next })
    }

    /// The first `count` after `after`, in as many pages as it takes; fewer only where
    /// there are no more.
    pub async fn read_first<T: Value>(
        &self,
        prefix: &TypedPrefix<T>,
        mut after: Option<Key>,
        count: usize,
    ) -> Result<Vec<(Key, Found<T>)>, ReadError> {
        let mut found = Vec::new();
        while found.len() < count {
            let page = self.read_page(prefix, after.as_ref(), count - found.len()).await?;
            found.extend(page.found);
            let Some(next) = page.next else { break };
            after = Some(next);
        }
        Ok(found)
    }

    /// `list` for those who cannot go on without it: where another process has the
    /// store open, until that one answers.
    pub(crate) async fn list_patiently(
        &self,
        prefix: &Prefix,
        after: Option<&Key>,
        limit: usize,
    ) -> Result<Page, ReadError> {
        match self.remote_engine() {
            Some(remote) => remote.list_patiently(prefix, after, limit).await,
            None => self.list(prefix, after, limit).await,
        }
    }

    pub(crate) fn remote_engine(&self) -> Option<&Remote> {
        match &self.0.engine {
            Engine::Remote(remote) => Some(remote),
            Engine::Sqlite(_) | Engine::Memory(_) => None,
        }
    }

    pub(crate) fn feed(&self) -> &Arc<Feed> {
        &self.0.feed
    }

    pub(crate) fn leases(&self) -> &Held {
        &self.0.leases
    }
}

fn found<T: Value>(entry: Entry) -> Result<(Key, Found<T>), ReadError> {
    match record::decode(&entry.value) {
        Ok(value) => Ok((entry.key, Found { value, revision: entry.revision })),
        Err(source) => Err(ReadError::Record { key: entry.key, source }),
    }
}
