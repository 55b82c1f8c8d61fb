//! The engine of a process that has no store of its own: another process has it open,
//! and is asked over the transport. Watches run from a copy of that store's feed,
//! which a task of this engine fills (`fill`).
//!
//! What is asked fails within `ANSWER_TTL`. A read is asked again until then; a
//! transaction only where it certainly did not leave. Watches do not fail: they go on
//! where they stopped once the other process is there again.

use std::sync::Arc;

use model::{Epoch, Now, Span};
use platform::{Caller, Clock, TaskKind, Tasks};
use tokio::sync::oneshot;
use wire::store::{Refusal, StoreAnswer, StoreCall, Wish};

use self::line::{Fault, Line};
use crate::{
    feed::Feed,
    key::{Key, Prefix},
    lease::{Lease, LeaseError, LeaseName},
    page::Page,
    translate,
    txn::{Entry, ReadError, Revision, TransactError, Transaction},
};

mod fill;
mod line;

/// How a process asks the one that has the store open.
pub type StoreCaller = Caller<StoreCall, StoreAnswer, ()>;

#[derive(Debug)]
pub(crate) struct Remote {
    line: Line,
    /// Dropped with the engine; ends the task that fills the feed.
    _open: oneshot::Sender<()>,
}

const SILENT: &str = "the process that has the store open did not answer";
const CONFUSED: &str = "the answer is one to another question";

impl Remote {
    pub(crate) fn new(caller: StoreCaller, clock: Clock, tasks: &Tasks) -> (Remote, Arc<Feed>) {
        let feed = Arc::new(Feed::new(Revision(0)));
        let line = Line::new(caller, clock);
        let (open, closed) = oneshot::channel();
        let filling = fill::run(Arc::downgrade(&feed), line.clone(), closed);
        tasks.spawn(TaskKind::Role, "changes of the store", filling);
        (Remote { line, _open: open }, feed)
    }

    pub(crate) async fn transact(
        &self,
        transaction: Transaction,
    ) -> Result<Revision, TransactError> {
        match self.line.change(translate::transact(transaction)).await {
            Ok(StoreAnswer::Committed { revision }) => Ok(Revision(revision)),
            Ok(_) => Err(uncertain(CONFUSED)),
            Err(fault) => Err(not_committed(fault)),
        }
    }

    pub(crate) async fn get(&self, key: &Key) -> Result<Option<Entry>, ReadError> {
        let call = StoreCall::Get { key: key.as_str().to_owned() };
        let StoreAnswer::Found(found) = self.read(call, key.as_str()).await? else {
            return Err(read_failed(key.as_str(), CONFUSED));
        };
        let found = found.map(Entry::try_from).transpose();
        found.map_err(|error| read_failed(key.as_str(), &error))
    }

    pub(crate) async fn list(
        &self,
        prefix: &Prefix,
        after: Option<&Key>,
        limit: usize,
    ) -> Result<Page, ReadError> {
        let limit = u32::try_from(limit).unwrap_or(u32::MAX);
        let after = after.map(|key| key.as_str().to_owned());
        let call = StoreCall::List { prefix: prefix.as_str().to_owned(), after, limit };
        let StoreAnswer::Listed(page) = self.read(call, prefix.as_str()).await? else {
            return Err(read_failed(prefix.as_str(), CONFUSED));
        };
        Page::try_from(page).map_err(|error| read_failed(prefix.as_str(), &error))
    }

    /// For those who follow: they have no other choice than to wait. Told once in the
    /// log for each time that it lasts.
    pub(crate) async fn list_patiently(
        &self,
        prefix: &Prefix,
        after: Option<&Key>,
        limit: usize,
    ) -> Result<Page, ReadError> {
        let mut pauses = self.line.pauses();
        loop {
            match self.list(prefix, after, limit).await {
                Err(error @ (ReadError::Unreachable { .. } | ReadError::Failed { .. })) => {
                    if pauses.are_new() {
                        tracing::warn!(%error, "waiting for the metadata");
                    }
                    pauses.rest().await;
                }
                answer => return answer,
            }
        }
    }

    async fn read(&self, call: StoreCall, what: &str) -> Result<StoreAnswer, ReadError> {
        self.line.read(call).await.map_err(|fault| match fault {
            Fault::Refused(refusal) => read_failed(what, &words(refusal)),
            Fault::Unsent | Fault::Unanswered => ReadError::Unreachable { what: what.to_owned() },
        })
    }
}

/// Leases: the process that has the store open grants them, by its own clock. Here
/// one counts from when it was asked for, so it ends here before it ends there.
impl Remote {
    pub(crate) async fn grant(
        &self,
        name: &LeaseName,
        holder: &str,
        ttl: Span,
        now: Now,
    ) -> Result<Lease, LeaseError> {
        let holder = holder.to_owned();
        let call = wish(name, &holder, Wish::Grant { ttl });
        match self.line.change(call).await {
            Ok(StoreAnswer::Granted { epoch, revision }) => {
                let (name, revision) = (name.clone(), Revision(revision));
                Ok(Lease { name, holder, epoch, until: now + ttl, revision })
            }
            Ok(_) => Err(name.unwritten(uncertain(CONFUSED))),
            Err(Fault::Refused(Refusal::Held { holder, left })) => {
                Err(LeaseError::Held { name: name.clone(), holder, until: now + left })
            }
            Err(Fault::Refused(Refusal::TooManyLeases)) => Err(LeaseError::TooMany),
            // It ran out while it was granted, before anybody had it.
            Err(Fault::Refused(Refusal::Lost)) => Err(name.lost(Epoch(0))),
            Err(fault) => Err(name.unwritten(not_committed(fault))),
        }
    }

    pub(crate) async fn renew(
        &self,
        lease: &Lease,
        ttl: Span,
        now: Now,
    ) -> Result<Lease, LeaseError> {
        let Lease { name, holder, epoch, .. } = lease;
        if lease.until <= now {
            return Err(lease.lost());
        }
        let call = wish(name, holder, Wish::Renew { epoch: *epoch, ttl });
        // Asked again also where it may have been heard: it does the same twice.
        match self.line.read(call).await {
            Ok(StoreAnswer::Renewed { ttl }) => Ok(Lease { until: now + ttl, ..lease.clone() }),
            Ok(_) => Err(name.unwritten(uncertain(CONFUSED))),
            Err(Fault::Refused(Refusal::Lost)) => Err(lease.lost()),
            Err(fault @ Fault::Refused(_)) => Err(name.unwritten(not_committed(fault))),
            Err(Fault::Unsent | Fault::Unanswered) => {
                Err(LeaseError::Unreachable { name: name.clone() })
            }
        }
    }

    /// Where it is not heard, the lease runs out.
    pub(crate) async fn release(&self, lease: Lease) {
        let Lease { name, holder, epoch, .. } = lease;
        let call = wish(&name, &holder, Wish::Release { epoch });
        if let Err(fault) = self.line.read(call).await {
            tracing::debug!(%name, ?fault, "a lease was not given back: it runs out");
        }
    }
}

fn wish(name: &LeaseName, holder: &str, wish: Wish) -> StoreCall {
    StoreCall::Lease { name: name.to_string(), holder: holder.to_owned(), wish }
}

fn read_failed(what: &str, detail: &(impl ToString + ?Sized)) -> ReadError {
    ReadError::Failed { what: what.to_owned(), detail: detail.to_string() }
}

fn uncertain(detail: &str) -> TransactError {
    TransactError::Uncertain { detail: detail.to_owned() }
}

fn not_committed(fault: Fault) -> TransactError {
    match fault {
        Fault::Unsent => TransactError::Unreachable,
        Fault::Unanswered => uncertain(SILENT),
        Fault::Refused(Refusal::Conflict { key }) => match translate::key(key) {
            Ok(key) => TransactError::Conflict { key },
            Err(error) => TransactError::Failed { detail: error.to_string() },
        },
        Fault::Refused(Refusal::Uncertain { detail }) => TransactError::Uncertain { detail },
        Fault::Refused(refusal) => TransactError::Failed { detail: words(refusal) },
    }
}

fn words(refusal: Refusal) -> String {
    match refusal {
        Refusal::Unacceptable { detail }
        | Refusal::Failed { detail }
        | Refusal::Uncertain { detail } => detail,
        Refusal::Conflict { key } => format!("a conflict on {key}"),
        Refusal::Closed => "the store is being closed".into(),
        Refusal::Held { holder, .. } => format!("{holder} holds the lease"),
        Refusal::Lost => "the lease is lost".into(),
        Refusal::TooManyLeases => "too many leases are held".into(),
    }
}
