//! Deletes code that no function names: what an upload left that was not followed by
//! a commit, what an update replaced, what a deletion released. A root is deleted by
//! the second pass that finds it unnamed, so that environments which were starting
//! with it have it by then, also those of workers in other processes.

use std::collections::BTreeSet;

use model::{FunctionConfig, RootId};
use objects::RootError;
use platform::{Clock, Tasks};
use store::{
    Store, record,
    schema::{self, Place},
};

use crate::{
    code::{CodeStore, ROOT_PREFIX},
    failure::Failure,
    limits::{SWEEP_INTERVAL, SWEEP_ROOTS_MAX},
};

pub(crate) async fn run(store: Store, code: CodeStore, clock: Clock, tasks: Tasks) {
    let mut sweep = Sweep { store, code, tasks, suspects: BTreeSet::new() };
    loop {
        sweep.pass_and_report().await;
        let next = clock.now() + SWEEP_INTERVAL;
        tokio::select! {
            () = clock.sleep_until(next) => {}
            _ = sweep.tasks.stopped() => return,
        }
    }
}

pub(crate) struct Sweep {
    pub(crate) store: Store,
    pub(crate) code: CodeStore,
    pub(crate) tasks: Tasks,
    /// Unnamed at the last pass.
    pub(crate) suspects: BTreeSet<RootId>,
}

impl Sweep {
    async fn pass_and_report(&mut self) {
        match self.pass().await {
            Ok(0) => {}
            Ok(deleted) => tracing::info!(deleted, "deleted code that no function names"),
            Err(error) => tracing::warn!(%error, "code that no function names stays"),
        }
    }

    /// Roots deleted.
    pub(crate) async fn pass(&mut self) -> Result<usize, Failure> {
        let objects = self.code.objects.clone();
        let mut unnamed: BTreeSet<RootId> = self
            .tasks
            .blocking("listing of code", move || objects.list_roots())
            .await??
            .into_iter()
            .filter(|root| root.0.starts_with(ROOT_PREFIX))
            .collect();
        // In this order: an upload that is over by now has its record read below.
        let under_way = self.code.uploads().snapshot();
        let named = named(&self.store).await?;
        unnamed.retain(|root| !under_way.contains(root) && !named.contains(root));
        let doomed: Vec<RootId> =
            unnamed.intersection(&self.suspects).take(SWEEP_ROOTS_MAX).cloned().collect();
        let mut deleted = 0;
        for root in &doomed {
            let (objects, root_there) = (self.code.objects.clone(), root.clone());
            let delete = move || objects.delete_root(&root_there);
            match self.tasks.blocking("deletion of code", delete).await? {
                Ok(()) => {
                    deleted += 1;
                    unnamed.remove(root);
                }
                // A worker unpacks it just now: the next pass comes again.
                Err(RootError::InUse { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        self.suspects = unnamed;
        Ok(deleted)
    }
}

/// Roots of every version of every function.
async fn named(store: &Store) -> Result<BTreeSet<RootId>, Failure> {
    let mut named = BTreeSet::new();
    let mut after = None;
    loop {
        let page = store
            .list(&schema::functions(), after.as_ref(), store::limits::PAGE_ENTRIES_MAX)
            .await?;
        for entry in &page.entries {
            match Place::of(&entry.key) {
                Some(Place::FunctionHead(..) | Place::FunctionVersion(..)) => {
                    let config: FunctionConfig = record::decode(&entry.value)?;
                    named.insert(config.code.manifest.root);
                }
                Some(Place::FunctionSettings(..)) => {}
                // A newer release may keep code under keys that this one cannot read.
                None
                | Some(
                    Place::Installation
                    | Place::Credential(_)
                    | Place::AccountLimits(_)
                    | Place::ProvisionedConfig(..)
                    | Place::ProvisionedSet(..)
                    | Place::Ring(_)
                    | Place::Lease(_),
                ) => return Err(Failure::Inconsistent(format!("unknown key {}", entry.key))),
            }
        }
        match page.entries.last() {
            Some(last) if page.more => after = Some(last.key.clone()),
            Some(_) | None => return Ok(named),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use objects::Objects;
    use platform::Entropy;

    use super::*;

    fn archive() -> Vec<u8> {
        let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
        writer.start_file("a", zip::write::SimpleFileOptions::default()).unwrap();
        writer.write_all(b"a").unwrap();
        writer.finish().unwrap().into_inner()
    }

    #[tokio::test]
    async fn code_that_is_read_is_left_for_a_later_pass() {
        let directory = tempfile::tempdir().unwrap();
        let tasks = Tasks::default();
        let objects = Objects::open(directory.path()).unwrap();
        let code = CodeStore::new(objects.clone(), tasks.clone(), Entropy::seeded(1));
        let roots = ["one", "two"].map(|name| RootId(format!("{ROOT_PREFIX}{name}")));
        let manifests = roots.map(|root| {
            objects.create_root(&root).unwrap();
            objects.put(&root, &b"code"[..]).unwrap().manifest
        });
        let mut sweep = Sweep { store: Store::memory(), code, tasks, suspects: BTreeSet::new() };
        assert_eq!(sweep.pass().await.unwrap(), 0);
        let reader = objects.get(&manifests[0]).unwrap();
        assert_eq!(sweep.pass().await.unwrap(), 1);
        assert_eq!(objects.list_roots().unwrap(), [manifests[0].root.clone()]);
        drop(reader);
        assert_eq!(sweep.pass().await.unwrap(), 1);
    }

    #[tokio::test]
    async fn an_upload_under_way_is_not_swept() {
        let directory = tempfile::tempdir().unwrap();
        let tasks = Tasks::default();
        let objects = Objects::open(directory.path()).unwrap();
        let code = CodeStore::new(objects.clone(), tasks.clone(), Entropy::seeded(1));
        let archive = code.inspect(archive().into()).await.unwrap();
        let upload = code.store(archive).await.unwrap();
        let store = Store::memory();
        let mut sweep = Sweep { store, code, tasks, suspects: BTreeSet::new() };
        for _ in 0..3 {
            assert_eq!(sweep.pass().await.unwrap(), 0);
        }
        drop(upload);
        assert_eq!(sweep.pass().await.unwrap(), 0, "it has only become a suspect");
        assert_eq!(sweep.pass().await.unwrap(), 1);
        assert_eq!(objects.list_roots().unwrap(), Vec::new());
    }
}
