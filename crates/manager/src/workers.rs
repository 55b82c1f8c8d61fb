//! What a manager knows of its workers: it asks each for what it offers and hosts,
//! at the start and whenever it cannot be sure any more. The worker is the
//! authority; the book is rebuilt from its list.

use std::time::Duration;

use model::{ManagerId, WorkerId};
use platform::transport::{Contact, Contacts};
use tokio::sync::mpsc;
use wire::worker::{Listed, WorkerAnswer, WorkerCall};

use crate::{WorkerCaller, owner::Event};

/// Between two attempts to reach a worker that does not answer.
const RETRY: Duration = Duration::from_millis(200);

/// Until the manager stops. Each connection begins with a list: what was said over
/// the one before may be lost.
pub(crate) async fn watch(
    manager: ManagerId,
    worker: WorkerId,
    caller: WorkerCaller,
    events: mpsc::Sender<Event>,
) {
    let mut contacts = caller.contacts();
    loop {
        // Asking is what makes a connection.
        while list(manager, &caller).await.is_none() {
            tokio::select! {
                biased;
                () = events.closed() => return,
                () = tokio::time::sleep(RETRY) => {}
            }
        }
        while let Some(Contact::Connected(_)) = next(&mut contacts, &events).await {
            let Some(listed) = list(manager, &caller).await else { continue };
            if events.send(Event::Listed(worker, listed)).await.is_err() {
                return;
            }
        }
        if events.send(Event::WorkerLost(worker)).await.is_err() {
            return;
        }
    }
}

/// `None` where the manager has stopped.
async fn next(contacts: &mut Contacts, events: &mpsc::Sender<Event>) -> Option<Contact> {
    tokio::select! {
        biased;
        () = events.closed() => None,
        contact = contacts.next() => Some(contact),
    }
}

pub(crate) async fn list(manager: ManagerId, caller: &WorkerCaller) -> Option<Listed> {
    let answer = caller.call(WorkerCall::List { manager }).await.ok()?;
    let WorkerAnswer::Listed(listed) = answer else { return None };
    Some(listed)
}
