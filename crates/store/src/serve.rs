//! The other side of `remote`: answers processes that have no store of their own from
//! the store that this one has open. A call runs to its end in a task of its own, also
//! where its caller is gone; a question for changes waits for the next commit.

use std::{
    future::Future,
    sync::{Arc, Weak},
};

use platform::{Call, Clock, Inbox, Mail, TaskKind, Tasks, transport::Reply};
use tokio::sync::Semaphore;
use wire::store::{Op, Position, Precondition, Refusal, StoreAnswer, StoreCall, Wish};

use crate::{
    feed::{Feed, Since},
    lease::LeaseName,
    limits::{CALLS_SERVED_MAX, POLL_TTL, POLLS_SERVED_MAX},
    store::Store,
    translate,
};

pub type StoreInbox = Inbox<StoreCall, StoreAnswer, ()>;

/// Serves until the inbox closes or the process stops. The clock is the one by which
/// leases of this process are granted.
pub fn serve(store: Store, clock: Clock, tasks: &Tasks, inbox: StoreInbox) {
    let life = store.feed().life_or(clock.wall_ms());
    store.leases().begin(clock.now());
    let desk = Desk {
        store,
        clock,
        tasks: tasks.clone(),
        life,
        calls: Arc::new(Semaphore::new(CALLS_SERVED_MAX)),
        polls: Arc::new(Semaphore::new(POLLS_SERVED_MAX)),
    };
    tasks.spawn(TaskKind::Role, "store", desk.run(inbox));
}

struct Desk {
    store: Store,
    clock: Clock,
    tasks: Tasks,
    life: u64,
    calls: Arc<Semaphore>,
    polls: Arc<Semaphore>,
}

impl Desk {
    async fn run(self, mut inbox: StoreInbox) {
        loop {
            let mail = tokio::select! {
                mail = inbox.next() => mail,
                _ = self.tasks.stopped() => return,
            };
            match mail {
                None => return,
                Some(Mail::Note(())) => {}
                Some(Mail::Call(call)) => self.take(call).await,
            }
        }
    }

    async fn take(&self, call: Call<StoreCall, StoreAnswer>) {
        let (store, clock) = (self.store.clone(), self.clock.clone());
        match call.message {
            StoreCall::Changes { after } => self.poll(after, call.reply),
            StoreCall::Get { key } => {
                self.answer(call.reply, async move { get(&store, key).await }).await;
            }
            StoreCall::List { prefix, after, limit } => {
                let answering = async move { list(&store, prefix, after, limit).await };
                self.answer(call.reply, answering).await;
            }
            StoreCall::Transact { preconditions, ops } => {
                let answering = async move { transact(&store, preconditions, ops).await };
                self.answer(call.reply, answering).await;
            }
            StoreCall::Lease { name, holder, wish } => {
                let answering = async move { lease(&store, &clock, &name, holder, wish).await };
                self.answer(call.reply, answering).await;
            }
        }
    }

    /// Waits only while too many calls are under way.
    async fn answer<F>(&self, reply: Reply<StoreAnswer>, answering: F)
    where
        F: Future<Output = Result<StoreAnswer, Refusal>> + Send + 'static,
    {
        let Ok(place) = Arc::clone(&self.calls).acquire_owned().await else { return };
        self.tasks.spawn(TaskKind::Background, "call to the store", async move {
            reply.send(answering.await.unwrap_or_else(StoreAnswer::Refused));
            drop(place);
        });
    }

    fn poll(&self, after: Option<Position>, reply: Reply<StoreAnswer>) {
        let Ok(place) = Arc::clone(&self.polls).try_acquire_owned() else {
            return tracing::warn!(limit = POLLS_SERVED_MAX, "too many processes ask for changes");
        };
        let (feed, clock, life) =
            (Arc::downgrade(self.store.feed()), self.clock.clone(), self.life);
        let stopping = self.tasks.clone();
        self.tasks.spawn(TaskKind::Background, "question for changes", async move {
            let answer = tokio::select! {
                answer = changes(&feed, &clock, life, after) => answer,
                _ = stopping.stopped() => None,
            };
            reply.send(answer.unwrap_or(StoreAnswer::Refused(Refusal::Closed)));
            drop(place);
        });
    }
}

/// `None` where the store is closed meanwhile: a question does not keep it open.
async fn changes(
    feed: &Weak<Feed>,
    clock: &Clock,
    life: u64,
    after: Option<Position>,
) -> Option<StoreAnswer> {
    let deadline = clock.now() + POLL_TTL;
    let mut newest = feed.upgrade()?.newest();
    loop {
        newest.borrow_and_update();
        let commits = match feed.upgrade()?.since(life, after) {
            Since::Begin(position) => return Some(StoreAnswer::Begin(position)),
            Since::Commits(commits) => commits,
        };
        let late = clock.now() >= deadline;
        if !commits.is_empty() || late {
            let commits = commits.into_iter().map(Into::into).collect();
            return Some(StoreAnswer::Changed { life, commits });
        }
        tokio::select! {
            changed = newest.changed() => changed.ok()?,
            () = clock.sleep_until(deadline) => {}
        }
    }
}

async fn get(store: &Store, key: String) -> Result<StoreAnswer, Refusal> {
    let found = store.get(&translate::key(key)?).await?;
    Ok(StoreAnswer::Found(found.map(Into::into)))
}

async fn list(
    store: &Store,
    prefix: String,
    after: Option<String>,
    limit: u32,
) -> Result<StoreAnswer, Refusal> {
    let (prefix, after) = (translate::prefix(prefix)?, after.map(translate::key).transpose()?);
    let page = store.list(&prefix, after.as_ref(), limit as usize).await?;
    Ok(StoreAnswer::Listed(page.into()))
}

async fn transact(
    store: &Store,
    preconditions: Vec<Precondition>,
    ops: Vec<Op>,
) -> Result<StoreAnswer, Refusal> {
    let transaction = translate::transaction(preconditions, ops)?;
    let revision = store.transact(transaction).await?.0;
    Ok(StoreAnswer::Committed { revision })
}

/// Time is this process's: the holder's clock is another.
async fn lease(
    store: &Store,
    clock: &Clock,
    name: &str,
    holder: String,
    wish: Wish,
) -> Result<StoreAnswer, Refusal> {
    let unacceptable =
        |error: model::ids::Malformed| Refusal::Unacceptable { detail: error.to_string() };
    let name = LeaseName::parse(name).map_err(unacceptable)?;
    let now = clock.now();
    let answer = match wish {
        Wish::Grant { ttl } => {
            let granted = store.grant_away(&name, &holder, ttl, now).await;
            granted.map(|lease| {
                let (epoch, revision) = (lease.epoch, lease.revision.0);
                StoreAnswer::Granted { epoch, revision }
            })
        }
        Wish::Renew { epoch, ttl } => {
            let renewed = store.renew_away(&name, &holder, epoch, ttl, now).await;
            renewed.map(|ttl| StoreAnswer::Renewed { ttl })
        }
        Wish::Release { epoch } => {
            store.leases().free(&name, epoch);
            Ok(StoreAnswer::Released)
        }
    };
    answer.map_err(|error| translate::lease_refusal(error, clock.now()))
}
