//! The owner of this host's environments: it makes them, hands calls to them and
//! fences them. It is the source of truth about which exist; it knows no rings.

use std::{collections::BTreeMap, sync::Arc};

use model::{EnvId, Epoch, Hosted, ManagerId, WorkerId, check_invariant, invariant};
use platform::{Call, Mail, TaskKind};
use tokio::sync::mpsc;
use wire::{
    manager::ManagerNote,
    worker::{
        Listed, Refusal, Run, Start, StartFailure, Started, WorkerAnswer, WorkerCall, WorkerNote,
    },
};

use crate::{
    WorkerInbox, binding::Binding, environment::Command, room::Room, start::Host, tenure::Tenure,
};

/// Commands waiting for one environment. Calls come one at a time (I1), so more
/// than a few mean a confused manager: they are refused as busy.
const COMMANDS_MAX: usize = 4;
/// Environments that ended and wait to be struck off; their tasks wait.
const ENDED_MAX: usize = 1_024;

/// Environments that a worker may make per second, on average over its life, before
/// their numbers would meet those of its next life.
const NUMBERS_PER_SECOND_BITS: u32 = 12;

pub(crate) struct Owner {
    worker: WorkerId,
    host: Arc<Host>,
    environments: BTreeMap<EnvId, Entry>,
    room: Room,
    made: u64,
    ended: mpsc::Sender<EnvId>,
}

struct Entry {
    binding: Binding,
    epoch: Epoch,
    tenure: Arc<Tenure>,
    /// It was told to end: nobody else can have it.
    retired: bool,
    commands: mpsc::Sender<Command>,
}

impl Owner {
    /// Until every caller is gone.
    pub(crate) async fn run(worker: WorkerId, room: Room, host: Arc<Host>, mut inbox: WorkerInbox) {
        let (ended, mut gone) = mpsc::channel(ENDED_MAX);
        let environments = BTreeMap::new();
        let made = (host.clock.wall_ms() / 1_000) << NUMBERS_PER_SECOND_BITS;
        let mut owner = Owner { worker, host, environments, room, made, ended };
        loop {
            tokio::select! {
                biased;
                mail = inbox.next() => match mail {
                    Some(Mail::Call(call)) => owner.call(call),
                    Some(Mail::Note(note)) => owner.note(&note),
                    None => return,
                },
                Some(env) = gone.recv() => owner.strike_off(env),
            }
        }
    }

    fn call(&mut self, call: Call<WorkerCall, WorkerAnswer>) {
        let Call { message, body, reply } = call;
        match message {
            WorkerCall::Start(start) => self.start(start, Call { message: (), body, reply }),
            WorkerCall::Run(run) => self.run_in(run, Call { message: (), body, reply }),
            WorkerCall::ReadLogs(read) => {
                let host = Arc::clone(&self.host);
                self.host.tasks.spawn(TaskKind::Background, "log read", async move {
                    reply.send(host.read_logs(read).await);
                });
            }
            WorkerCall::List { manager } => reply.send(WorkerAnswer::Listed(self.list(manager))),
        }
    }

    /// Environments still in their init are told of when that ends.
    fn list(&self, manager: ManagerId) -> Listed {
        let theirs = self.environments.iter().filter(|(_, entry)| {
            entry.tenure.manager() == manager && entry.tenure.is_initialised()
        });
        let hosted = |(env, entry): (&EnvId, &Entry)| Hosted {
            env: *env,
            key: Arc::clone(entry.binding.key()),
            epoch: entry.epoch,
            busy: entry.tenure.is_busy(),
        };
        Listed { capacity: self.room.capacity(), envs: theirs.map(hosted).collect() }
    }

    fn strike_off(&mut self, env: EnvId) {
        if let Some(entry) = self.environments.remove(&env) {
            self.room.release(entry.binding.key().memory_mb);
        }
    }

    fn note(&mut self, note: &WorkerNote) {
        match *note {
            WorkerNote::Retire { env, epoch, from } => self.retire(env, epoch, from),
            WorkerNote::Transfer { env, epoch, from, to } => self.transfer(env, epoch, from, to),
        }
    }

    /// A living environment, where the one that orders owns it. Others hear that it is
    /// gone: for them it is.
    fn of(&mut self, env: EnvId, from: ManagerId) -> Option<&mut Entry> {
        let theirs =
            |entry: &&mut Entry| entry.tenure.manager() == from && !entry.commands.is_closed();
        let entry = self.environments.get_mut(&env).filter(theirs);
        if entry.is_none() {
            self.host.tell(from, ManagerNote::Gone { env });
        }
        entry
    }

    fn retire(&mut self, env: EnvId, epoch: Epoch, from: ManagerId) {
        let Some(entry) = self.of(env, from) else { return };
        if epoch >= entry.epoch {
            entry.retired |= entry.commands.try_send(Command::Retire).is_ok();
        } else if !entry.tenure.is_busy() {
            // Its manager counts from further back, and has to know before it is
            // obeyed (I5).
            let note = ManagerNote::Idle { env, epoch: entry.epoch };
            self.host.tell(from, note);
        }
    }

    /// The change of owner (A3): the word of this host decides who it is (I5).
    fn transfer(&mut self, env: EnvId, epoch: Epoch, from: ManagerId, to: ManagerId) {
        let Some(entry) = self.of(env, from) else { return };
        if entry.tenure.is_busy() || entry.retired || epoch < entry.epoch {
            let refused = ManagerNote::TransferRefused { env, epoch: entry.epoch };
            return self.host.tell(from, refused);
        }
        let epoch = epoch.next();
        entry.epoch = epoch;
        entry.tenure.pass_to(to);
        let key = Arc::clone(entry.binding.key());
        self.host.tell(from, ManagerNote::Transferred { env, epoch, to });
        self.host.tell(to, ManagerNote::Owned(Hosted { env, key, epoch, busy: false }));
    }

    fn start(&mut self, start: Start, call: Call<(), WorkerAnswer>) {
        if !self.room.take(start.key.memory_mb) {
            return call.reply.send(WorkerAnswer::StartFailed(StartFailure::NoRoom));
        }
        self.made += 1;
        let env = EnvId::new(self.worker, self.made);
        let (commands, queue) = mpsc::channel(COMMANDS_MAX);
        let tenure = Arc::new(Tenure::new(start.manager));
        let entry = Entry {
            binding: Binding::new(Arc::clone(&start.key)),
            epoch: start.epoch,
            tenure: Arc::clone(&tenure),
            retired: false,
            commands,
        };
        let replaced = self.environments.insert(env, entry);
        check_invariant!(invariant::I1, replaced.is_none(), "environment {env} made twice");
        let host = Arc::clone(&self.host);
        let ended = self.ended.clone();
        let owner = Arc::clone(&tenure);
        let life = async move {
            match host.start(env, &start, Arc::clone(&owner)).await {
                Ok((environment, init)) => {
                    owner.initialised();
                    let epoch = start.epoch;
                    let started = WorkerAnswer::Started(Started { env, epoch, init });
                    if call.reply.offer(started).is_err() {
                        // Its manager was away: it asks for the list when it hears this.
                        let idle = ManagerNote::Idle { env, epoch };
                        environment.host.note(owner.manager(), idle).await;
                    }
                    environment.serve(queue).await;
                }
                Err(failure) => call.reply.send(WorkerAnswer::StartFailed(failure)),
            }
        };
        let host = Arc::clone(&self.host);
        let end = async move {
            let _ = ended.send(env).await;
            host.note(tenure.manager(), ManagerNote::Gone { env }).await;
        };
        self.host.tasks.spawn_then(TaskKind::Environment, "environment", life, end);
    }

    fn run_in(&mut self, run: Box<Run>, call: Call<(), WorkerAnswer>) {
        let Some(entry) = self.environments.get_mut(&run.env) else {
            return call.reply.send(WorkerAnswer::Refused(Refusal::NoSuchEnvironment));
        };
        // Each grant has an epoch of its own: an equal one is a repeated message.
        if run.epoch <= entry.epoch {
            return call.reply.send(WorkerAnswer::Refused(Refusal::OldEpoch));
        }
        entry.epoch = run.epoch;
        if !entry.binding.admit(run.tenant.as_ref()) {
            // Its manager took it for another's, as after losing its book: with the
            // environment ends what it believes (I3).
            tracing::warn!(env = %run.env, "a call of another tenant was refused");
            entry.retired = true;
            let _ = entry.commands.try_send(Command::Retire);
            return call.reply.send(WorkerAnswer::Refused(Refusal::NoSuchEnvironment));
        }
        entry.tenure.began();
        let refuse = |command, refusal| {
            if let Command::Run(_, call) = command {
                call.reply.send(WorkerAnswer::Refused(refusal));
            }
        };
        match entry.commands.try_send(Command::Run(run, call)) {
            Ok(()) => {}
            Err(mpsc::error::TrySendError::Full(command)) => refuse(command, Refusal::Busy),
            Err(mpsc::error::TrySendError::Closed(command)) => {
                refuse(command, Refusal::NoSuchEnvironment);
            }
        }
    }
}
