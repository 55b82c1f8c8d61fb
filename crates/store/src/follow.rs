//! Following a prefix: everything that is there, then every commit, and everything
//! again where the watch fell behind. What roles keep their watched caches by.

use platform::{Tasks, tasks::Stop};

use crate::{
    key::Prefix,
    store::Store,
    txn::{Entry, ReadError},
    watch::{Commit, Ended, Watch},
};

/// Entries of one page of the first listing.
const PAGE_ENTRIES: usize = 1_000;

/// One step of the followed state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Followed {
    /// All that is there. What a cache holds beyond it is gone.
    All(Vec<Entry>),
    Commit(Commit),
}

#[derive(Debug, thiserror::Error)]
pub enum FollowError {
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error("the prefix cannot be followed: {0}")]
    Ended(#[from] Ended),
}

#[derive(Debug)]
pub struct Follow {
    store: Store,
    prefix: Prefix,
    watch: Option<Watch>,
}

impl Store {
    pub fn follow(&self, prefix: Prefix) -> Follow {
        Follow { store: self.clone(), prefix, watch: None }
    }
}

impl Follow {
    pub async fn next(&mut self) -> Result<Followed, FollowError> {
        loop {
            let Some(watch) = &mut self.watch else {
                return self.list_all().await.map(Followed::All);
            };
            match watch.next().await {
                Ok(commit) => return Ok(Followed::Commit(commit)),
                Err(Ended::Lagged) => self.watch = None,
                Err(ended @ (Ended::TooManyWatches | Ended::Closed)) => return Err(ended.into()),
            }
        }
    }

    /// As `next`, for a view without which its process cannot serve: where the store can
    /// no longer be followed, the process is stopped, and there is no next.
    pub async fn next_or_stop(&mut self, tasks: &Tasks, view: &'static str) -> Option<Followed> {
        match self.next().await {
            Ok(followed) => Some(followed),
            Err(error) => {
                tracing::error!(%error, view, "the store can no longer be followed");
                tasks.stop(Stop::Failed { task: view });
                None
            }
        }
    }

    /// Pages may differ in revision; the watch begins at the first one's, so that
    /// what changed meanwhile is told again.
    async fn list_all(&mut self) -> Result<Vec<Entry>, FollowError> {
        let mut page = self.store.list_patiently(&self.prefix, None, PAGE_ENTRIES).await?;
        let began = page.revision;
        let mut all = Vec::new();
        loop {
            all.append(&mut page.entries);
            let Some(last) = all.last().filter(|_| page.more) else { break };
            let after = last.key.clone();
            page = self.store.list_patiently(&self.prefix, Some(&after), PAGE_ENTRIES).await?;
        }
        self.watch = Some(self.store.watch(self.prefix.clone(), began));
        Ok(all)
    }
}

#[cfg(test)]
mod tests {
    use model::{AccountId, FunctionName, function::FunctionSettings};

    use super::*;
    use crate::{schema, txn::Transaction};

    async fn put(store: &Store, name: &str, published: u64) {
        let account = AccountId::parse("000000000001").unwrap();
        let name = FunctionName::parse(name).unwrap();
        let settings = FunctionSettings { published, ..FunctionSettings::default() };
        let put = Transaction::new().put(&schema::function_settings(account, &name), &settings);
        store.transact(put.unwrap()).await.unwrap();
    }

    #[tokio::test]
    async fn all_first_then_each_commit() {
        let store = Store::memory();
        put(&store, "a", 1).await;
        let mut follow = store.follow(schema::functions());
        let Followed::All(all) = follow.next().await.unwrap() else { panic!("a commit") };
        assert_eq!(all.len(), 1);
        put(&store, "b", 1).await;
        let Followed::Commit(commit) = follow.next().await.unwrap() else { panic!("all again") };
        assert!(commit.changes[0].key.as_str().ends_with("/b"));
    }
}
