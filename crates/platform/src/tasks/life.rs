//! The tasks of one simulated process, so that they can end all at once. Invariant:
//! once the life is over, none of them runs and none begins.

#![allow(clippy::disallowed_methods)] // part of the home of spawn

use std::{
    collections::BTreeMap,
    future::Future,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::task::AbortHandle;

#[derive(Debug, Default)]
pub(super) struct Life(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    over: bool,
    spawned: u64,
    running: BTreeMap<u64, AbortHandle>,
}

impl Life {
    pub(super) fn spawn(self: &Arc<Self>, task: impl Future<Output = ()> + Send + 'static) {
        let mut state = self.state();
        if state.over {
            drop(state);
            return drop(task);
        }
        state.spawned += 1;
        let number = state.spawned;
        drop(state);
        let life = Arc::clone(self);
        // An executor that shuts down drops the task here, which may spawn another.
        let running = tokio::spawn(async move {
            task.await;
            life.state().running.remove(&number);
        });
        let mut state = self.state();
        if state.over {
            drop(state);
            return running.abort();
        }
        if !running.is_finished() {
            state.running.insert(number, running.abort_handle());
        }
    }

    pub(super) fn end(&self) {
        let mut state = self.state();
        state.over = true;
        let running = std::mem::take(&mut state.running);
        drop(state);
        // Dropping a task may spawn another, which finds the life over.
        running.into_values().for_each(|task| task.abort());
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
