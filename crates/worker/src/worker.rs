//! The owner of this host's environments: it makes them, hands calls to them and
//! fences them. It is the source of truth about which exist; it knows no rings.

use std::{collections::BTreeMap, sync::Arc};

use model::{EnvId, Epoch, WorkerId, check_invariant, invariant};
use platform::{Call, Mail, TaskKind};
use tokio::sync::mpsc;
use wire::{
    manager::ManagerNote,
    worker::{Refusal, Run, Start, Started, WorkerAnswer, WorkerCall, WorkerNote},
};

use crate::{WorkerInbox, environment::Command, start::Host};

/// Commands waiting for one environment. Calls come one at a time (I1), so more
/// than a few mean a confused manager: they are refused as busy.
const COMMANDS_MAX: usize = 4;
/// Environments that ended and wait to be struck off; their tasks wait.
const ENDED_MAX: usize = 1_024;

pub(crate) struct Owner {
    worker: WorkerId,
    host: Arc<Host>,
    environments: BTreeMap<EnvId, Entry>,
    made: u64,
    ended: mpsc::Sender<EnvId>,
}

struct Entry {
    epoch: Epoch,
    commands: mpsc::Sender<Command>,
}

impl Owner {
    /// Until every caller is gone.
    pub(crate) async fn run(worker: WorkerId, host: Arc<Host>, mut inbox: WorkerInbox) {
        let (ended, mut gone) = mpsc::channel(ENDED_MAX);
        let environments = BTreeMap::new();
        let mut owner = Owner { worker, host, environments, made: 0, ended };
        loop {
            tokio::select! {
                biased;
                mail = inbox.next() => match mail {
                    Some(Mail::Call(call)) => owner.call(call),
                    Some(Mail::Note(note)) => owner.note(&note),
                    None => return,
                },
                Some(env) = gone.recv() => {
                    owner.environments.remove(&env);
                }
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
        }
    }

    fn note(&mut self, note: &WorkerNote) {
        let WorkerNote::Retire { env, epoch } = note;
        // An environment that a newer owner holds is not the sender's to end (I5).
        let entry = self.environments.get(env).filter(|entry| *epoch >= entry.epoch);
        if let Some(entry) = entry {
            let _ = entry.commands.try_send(Command::Retire);
        }
    }

    fn start(&mut self, start: Start, call: Call<(), WorkerAnswer>) {
        self.made += 1;
        let env = EnvId::new(self.worker, self.made);
        let (commands, queue) = mpsc::channel(COMMANDS_MAX);
        let entry = Entry { epoch: start.epoch, commands };
        let replaced = self.environments.insert(env, entry);
        check_invariant!(invariant::I1, replaced.is_none(), "environment {env} made twice");
        let host = Arc::clone(&self.host);
        let ended = self.ended.clone();
        let manager = self.host.manager.clone();
        let life = async move {
            match host.start(env, &start).await {
                Ok((environment, init)) => {
                    call.reply.send(WorkerAnswer::Started(Started {
                        env,
                        epoch: start.epoch,
                        init,
                    }));
                    environment.serve(queue).await;
                }
                Err(failure) => call.reply.send(WorkerAnswer::StartFailed(failure)),
            }
        };
        let end = async move {
            let _ = ended.send(env).await;
            let _ = manager.note(ManagerNote::Gone { env }).await;
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
