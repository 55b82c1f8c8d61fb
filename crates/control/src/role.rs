//! The role's task: takes calls from its inbox, each into a task of its own, at most
//! `CALLS_MAX` at once.

use std::{collections::BTreeMap, sync::Arc};

use aws_api::{ApiError, Exception};
use bytes::Bytes;
use model::{FunctionConfig, ManagerId, Region, RequestId, function::Architecture, limits};
use objects::Objects;
use platform::{Body, Call, Clock, Entropy, Inbox, Mail, TaskKind, Tasks, body::CollectError};
use store::Store;
use tokio::sync::Semaphore;
use wire::control::{ControlAnswer, ControlCall};

use crate::{
    answer,
    catalogue::Catalogue,
    code::CodeStore,
    dispatch,
    limits::{BODY_TIMEOUT, CALLS_MAX},
    link::Links,
    provisioning::ManagerCaller,
    rings::Publisher,
    sweep,
};

pub type ControlInbox = Inbox<ControlCall, ControlAnswer, ()>;

/// What an installation answers for.
#[derive(Clone, Debug)]
pub struct Settings {
    pub region: Region,
    /// The only one that functions can be made for.
    pub architecture: Architecture,
    /// Managers that exist, and how they are asked: of others no ring can be made.
    pub managers: BTreeMap<ManagerId, ManagerCaller>,
}

pub(crate) struct Control {
    pub(crate) architecture: Architecture,
    pub(crate) catalogue: Catalogue,
    pub(crate) publisher: Publisher,
    pub(crate) managers: BTreeMap<ManagerId, ManagerCaller>,
    pub(crate) code: CodeStore,
    pub(crate) links: Links,
    pub(crate) clock: Clock,
    pub(crate) entropy: Entropy,
}

pub(crate) type ControlArc = Arc<Control>;

/// What a change brings that was not there before.
#[derive(Clone, Debug)]
pub(crate) struct Fresh {
    pub(crate) now_ms: u64,
    pub(crate) revision_id: String,
}

/// Serves until the inbox closes or the process stops.
pub fn start(
    settings: Settings,
    clock: Clock,
    entropy: Entropy,
    tasks: &Tasks,
    store: Store,
    objects: Objects,
    inbox: ControlInbox,
) {
    let code = CodeStore::new(objects, tasks.clone(), entropy.clone());
    let sweeping = sweep::run(store.clone(), code.clone(), clock.clone(), tasks.clone());
    let control = Arc::new(Control {
        architecture: settings.architecture,
        publisher: Publisher::new(store.clone()),
        managers: settings.managers,
        catalogue: Catalogue { region: settings.region, store },
        code,
        links: Links::new(entropy.bytes()),
        clock,
        entropy,
    });
    tasks.spawn(TaskKind::Background, "sweep of code", sweeping);
    tasks.spawn(TaskKind::Role, "control", serve(control, tasks.clone(), inbox));
}

async fn serve(control: ControlArc, tasks: Tasks, mut inbox: ControlInbox) {
    let places = Arc::new(Semaphore::new(CALLS_MAX));
    loop {
        let Ok(place) = places.clone().acquire_owned().await else { return };
        let mail = tokio::select! {
            mail = inbox.next() => mail,
            _ = tasks.stopped() => return,
        };
        match mail {
            None => return,
            Some(Mail::Note(())) => {}
            Some(Mail::Call(call)) => {
                let control = control.clone();
                tasks.spawn(TaskKind::Background, "control call", async move {
                    serve_call(&control, call).await;
                    drop(place);
                });
            }
        }
    }
}

async fn serve_call(control: &Control, call: Call<ControlCall, ControlAnswer>) {
    let Call { message, body, reply } = call;
    let request = message.request;
    let answer = match receive(control, body).await {
        Ok(body) => dispatch::answer(control, &message, body).await,
        Err(error) => answer::error(&error),
    };
    reply.send(answer::named(answer, request));
}

async fn receive(control: &Control, body: Body) -> Result<Bytes, ApiError> {
    let deadline = control.clock.now() + BODY_TIMEOUT;
    let collected = tokio::select! {
        collected = body.collect(limits::CONTROL_BODY_BYTES_MAX) => collected,
        () = control.clock.sleep_until(deadline) => {
            let text = "The request body did not arrive in time.";
            return Err(ApiError::new(Exception::RequestTimeout, text));
        }
    };
    collected.map_err(|error| match error {
        CollectError::TooLong(limit) => ApiError::request_entity_too_large(limit),
        CollectError::Broken(_) => {
            ApiError::new(Exception::Serialization, "The request body ended too early.")
        }
    })
}

impl Control {
    pub(crate) fn fresh(&self) -> Fresh {
        Fresh {
            now_ms: self.clock.wall_ms(),
            revision_id: RequestId::from_random(self.entropy.u128()).to_string(),
        }
    }
}

impl Fresh {
    /// Marks a change that running environments must not outlive. A revision is never
    /// below the time it was made at: a function that is deleted and made again does
    /// not meet the environments of the old one.
    pub(crate) fn revise(&self, config: &mut FunctionConfig) {
        config.revision = self.now_ms.max(config.revision + 1);
        self.touch(config);
    }

    /// Marks a change that the caller sees and environments do not.
    pub(crate) fn touch(&self, config: &mut FunctionConfig) {
        config.revision_id.clone_from(&self.revision_id);
        config.modified_ms = self.now_ms;
    }
}
