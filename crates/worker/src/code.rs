//! Unpacked code on this host: a cache by the digest of the zip, filled once per
//! digest however many environments ask at the same time. Losing all of it loses
//! nothing (I21).

use std::{
    collections::HashMap,
    fs, io,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use model::{Digest, function::Code};
use objects::Objects;
use platform::Tasks;
use tokio::sync::OnceCell;
use wire::worker::StartFailure;

/// A directory that is there, or is being made.
type Slot = Arc<OnceCell<PathBuf>>;

pub(crate) struct CodeCache {
    directory: PathBuf,
    objects: Objects,
    tasks: Tasks,
    slots: Mutex<HashMap<Digest, Slot>>,
}

impl CodeCache {
    pub(crate) fn open(directory: PathBuf, objects: Objects, tasks: Tasks) -> io::Result<Self> {
        fs::create_dir_all(&directory)?;
        objects::sweep_partial(&directory)?;
        Ok(CodeCache { directory, objects, tasks, slots: Mutex::default() })
    }

    pub(crate) async fn fetch(&self, code: &Code) -> Result<PathBuf, StartFailure> {
        let slot = {
            let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(slots.entry(code.sha256).or_default())
        };
        slot.get_or_try_init(|| self.unpack(code)).await.cloned()
    }

    async fn unpack(&self, code: &Code) -> Result<PathBuf, StartFailure> {
        let target = self.directory.join(code.sha256.to_string());
        let objects = self.objects.clone();
        let manifest = code.manifest.clone();
        let work = move || -> Result<PathBuf, String> {
            // Unpacking ends in a rename: what is there is whole.
            if !target.exists() {
                let zip = objects.get(&manifest).map_err(|error| error.to_string())?;
                objects::zip::unpack(zip, &target).map_err(|error| error.to_string())?;
            }
            Ok(target)
        };
        let done = self.tasks.blocking("code unpacking", work).await;
        let platform = |message| StartFailure::Platform { message };
        done.map_err(|error| platform(error.to_string()))?.map_err(platform)
    }
}
