//! Named tasks. Each has a kind, and the kind says what follows when the task
//! panics and when the process is asked to stop. Nothing else may spawn.

#![allow(clippy::disallowed_methods)] // this is the home of spawn

mod life;

use std::{future::Future, panic::AssertUnwindSafe, sync::Arc};

use futures_util::FutureExt;
use tokio::sync::watch;

use self::life::Life;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TaskKind {
    /// A role's owner. Without it the process cannot serve: a panic stops it.
    Role,
    /// Accepts connections. As a role.
    Listener,
    /// One connection. A panic ends that connection only.
    Connection,
    /// One execution environment. A panic ends that environment only.
    Environment,
    /// Work nobody waits for. A panic is logged.
    Background,
}

impl TaskKind {
    const fn stops_process(self) -> bool {
        match self {
            TaskKind::Role | TaskKind::Listener => true,
            TaskKind::Connection | TaskKind::Environment | TaskKind::Background => false,
        }
    }
}

/// Why the process stops.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stop {
    /// Somebody asked for it.
    Asked,
    /// A task without which nothing works has failed.
    Failed { task: &'static str },
}

#[derive(Clone, Debug)]
pub struct Tasks {
    stop: Arc<watch::Sender<Option<Stop>>>,
    /// Of a process that is simulated.
    life: Option<Arc<Life>>,
}

impl Default for Tasks {
    fn default() -> Tasks {
        Tasks { stop: Arc::new(watch::Sender::new(None)), life: None }
    }
}

impl Tasks {
    /// Those of one process among many in a simulation: it can be killed, and blocking
    /// work is done on the spot, so that no other thread has a say in what follows what.
    pub fn simulated() -> Tasks {
        Tasks { life: Some(Arc::default()), ..Tasks::default() }
    }

    /// Ends a simulated process at once: no task runs on, and none begins. What they
    /// held is dropped.
    pub fn kill(&self) {
        debug_assert!(self.life.is_some(), "only a simulated process can be killed");
        if let Some(life) = &self.life {
            life.end();
        }
    }

    pub fn spawn<F>(&self, kind: TaskKind, name: &'static str, future: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.spawn_then(kind, name, future, std::future::ready(()));
    }

    /// As `spawn`, and `after` runs when the task is over, even where it panicked.
    pub fn spawn_then<F, A>(&self, kind: TaskKind, name: &'static str, future: F, after: A)
    where
        F: Future<Output = ()> + Send + 'static,
        A: Future<Output = ()> + Send + 'static,
    {
        let tasks = self.clone();
        let task = async move {
            if AssertUnwindSafe(future).catch_unwind().await.is_err() {
                tracing::error!(task = name, ?kind, "a task panicked");
                if kind.stops_process() {
                    tasks.stop(Stop::Failed { task: name });
                }
            }
            after.await;
        };
        match &self.life {
            None => drop(tokio::spawn(task)),
            Some(life) => life.spawn(task),
        }
    }

    /// Runs blocking work on the pool for it.
    pub async fn blocking<T, F>(&self, name: &'static str, work: F) -> Result<T, WorkPanicked>
    where
        T: Send + 'static,
        F: FnOnce() -> T + Send + 'static,
    {
        if self.life.is_some() {
            return std::panic::catch_unwind(AssertUnwindSafe(work))
                .map_err(|_| WorkPanicked(name));
        }
        tokio::task::spawn_blocking(work).await.map_err(|_| WorkPanicked(name))
    }

    /// The first reason stays.
    pub fn stop(&self, why: Stop) {
        self.stop.send_if_modified(|stop| {
            let first = stop.is_none();
            stop.get_or_insert(why);
            first
        });
    }

    /// Ends when the process is to stop.
    pub async fn stopped(&self) -> Stop {
        let mut stop = self.stop.subscribe();
        let why = stop.wait_for(Option::is_some).await.ok().and_then(|why| why.clone());
        why.unwrap_or(Stop::Asked)
    }
}

/// Blocking work did not come to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} panicked")]
pub struct WorkPanicked(pub &'static str);

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_role_that_panics_stops_the_process_and_a_connection_does_not() {
        let tasks = Tasks::default();
        tasks.spawn(TaskKind::Connection, "connection", async { panic!("one client") });
        tokio::task::yield_now().await;
        assert_eq!(tasks.stopped().now_or_never(), None);
        tasks.spawn(TaskKind::Role, "manager", async { panic!("the book") });
        assert_eq!(tasks.stopped().await, Stop::Failed { task: "manager" });
        tasks.stop(Stop::Asked);
        assert_eq!(tasks.stopped().await, Stop::Failed { task: "manager" });
    }

    #[tokio::test]
    async fn a_killed_process_does_nothing_more() {
        let tasks = Tasks::simulated();
        let alive = Arc::new(());
        let done = tasks.blocking("work", || 7).await;
        assert_eq!(done, Ok(7));
        for waits in [true, false] {
            let (held, tasks) = (Arc::clone(&alive), tasks.clone());
            tasks.clone().spawn(TaskKind::Background, "holder", async move {
                if waits {
                    std::future::pending::<()>().await;
                }
                tasks.spawn(TaskKind::Background, "child", async move {
                    let _held = held;
                    std::future::pending::<()>().await;
                });
            });
        }
        for _ in 0..3 {
            tokio::task::yield_now().await;
        }
        assert_eq!(Arc::strong_count(&alive), 3);
        tasks.kill();
        let held = Arc::clone(&alive);
        tasks.spawn(TaskKind::Role, "late", async move { drop(held) });
        for _ in 0..3 {
            tokio::task::yield_now().await;
        }
        assert_eq!(Arc::strong_count(&alive), 1);
    }
}
