//! The owner task of one book and one counter: takes a message, asks the machine,
//! performs its answers. No lock, because nobody else touches the state.

use std::{collections::BTreeMap, sync::Arc};

use decide::{
    admit::{AccountLimits, Ask, Counter, TokenAsk},
    book::{
        Acquire as AcquireInput, Book, Input, Mode, Outcome, Outputs, Routed, StartId, Ticket,
        Whose,
    },
};
use model::{
    Attrs, ClientSize, Denied, FrontendId, FunctionConfig, KeyHash, LeaseId, ManagerId, Now,
    PoolKey, Register, RingVersion, Span, TokensGiven, Trouble, VersionId, WorkerId, limits,
};
use platform::{Call, Clock, Mail, Meters, TaskKind, Tasks, meters::Asked, transport::Reply};
use tokio::sync::mpsc;
use wire::{
    manager::{Acquire, Admit, Admitted, Inspection, ManagerAnswer, ManagerCall, ManagerNote},
    worker::{Listed, StartFailure, Started},
};

use crate::{
    ManagerCaller, ManagerInbox, Settings, WorkerCaller, follow::Fact, meter::Meter,
    registers::Registers, targets::Targets, tenancy::Tenancies, timer::Timer, workers,
};

/// A call waits for an environment no longer than any function may run.
const ACQUIRE_TTL: Span = Span::secs(limits::TIMEOUT_SECS_MAX as u64);

/// What reaches the owner besides its mailbox.
#[derive(Debug)]
pub(crate) enum Event {
    StartEnded {
        start: StartId,
        result: Result<Started, StartFailure>,
    },
    Listed(WorkerId, Listed),
    /// The way to it is broken: what it hosts cannot be used until it is listed anew.
    WorkerLost(WorkerId),
    /// From the home of a function's create bucket; absent: it was not reached.
    Tokens(TokenAsk, Option<TokensGiven>),
    Stored(Fact),
    /// A ring version was published, or was there at the start.
    Ring(RingVersion, Attrs),
    /// Somebody reads the metrics.
    Asked(Asked),
}

/// Who waits for the answer to a ticket.
#[derive(Debug)]
pub(crate) struct Asker {
    pub(crate) reply: Reply<ManagerAnswer>,
    /// What the counter gave to a call that entered.
    pub(crate) admitted: Option<Admitted>,
    pub(crate) hash: KeyHash,
    pub(crate) register: Option<Register>,
}

/// A full queue makes the tasks that report wait; none of them serves a call.
pub(crate) fn events() -> (mpsc::Sender<Event>, mpsc::Receiver<Event>) {
    mpsc::channel(limits::ROLE_QUEUE_MAX)
}

pub(crate) struct Owner {
    pub(crate) clock: Clock,
    pub(crate) tasks: Tasks,
    pub(crate) events: mpsc::Sender<Event>,
    pub(crate) manager: ManagerId,
    pub(crate) workers: BTreeMap<WorkerId, WorkerCaller>,
    pub(crate) peers: BTreeMap<ManagerId, ManagerCaller>,
    pub(crate) tickets: BTreeMap<Ticket, Asker>,
    /// What a pool's next environment is built from.
    pub(crate) configs: BTreeMap<KeyHash, Arc<FunctionConfig>>,
    /// Why starts failed, until their callers are told.
    pub(crate) failures: BTreeMap<StartId, StartFailure>,
    /// Given to callers that were gone already.
    pub(crate) unused: Vec<(Option<LeaseId>, Option<Admitted>)>,
    pub(crate) starts: u64,
    /// Calls that the counter was asked about, one by one.
    counted: u64,
    pub(crate) counter: Counter,
    pub(crate) tenancies: Tenancies,
    pub(crate) targets: Targets,
    pub(crate) book: Book,
    pub(crate) meter: Meter,
    registers: Registers,
    outputs: Outputs,
    ticket: u64,
}

impl Owner {
    pub(crate) fn new(
        settings: Settings,
        clock: Clock,
        tasks: Tasks,
        meters: Meters,
        events: mpsc::Sender<Event>,
    ) -> Owner {
        Owner {
            meter: Meter::new(meters, events.clone()),
            clock,
            tasks,
            events,
            manager: settings.manager,
            workers: settings.workers,
            peers: settings.peers,
            tickets: BTreeMap::new(),
            configs: BTreeMap::new(),
            failures: BTreeMap::new(),
            unused: Vec::new(),
            starts: 0,
            counted: 0,
            counter: Counter::default().counting_from(settings.book.first_lease),
            tenancies: Tenancies::default(),
            targets: Targets::new(settings.book.first_lease),
            book: Book::new(settings.book),
            registers: Registers::default(),
            outputs: Outputs::new(),
            ticket: 0,
        }
    }

    /// Until every caller is gone.
    pub(crate) async fn run(mut self, mut inbox: ManagerInbox, mut events: mpsc::Receiver<Event>) {
        let mut timer = Timer::new(self.clock.clone());
        loop {
            timer.no_later_than(self.deadline());
            tokio::select! {
                biased;
                // Limits and environments that came into being go before calls.
                Some(event) = events.recv() => self.event(event),
                mail = inbox.next() => match mail {
                    Some(Mail::Call(call)) => self.call(call),
                    Some(Mail::Note(note)) => self.note(note),
                    None => return,
                },
                () = timer.fired() => self.due(),
            }
        }
    }

    fn deadline(&self) -> Option<Now> {
        let book = self.book.deadline().map(|(at, _)| at);
        [book, self.counter.deadline()].into_iter().flatten().min()
    }

    fn due(&mut self) {
        let ended = self.counter.expire(self.clock.now());
        if ended > 0 {
            tracing::warn!(ended, "concurrency leases of silent frontends ended");
        }
        self.tell(Input::Deadline);
    }

    /// The book decides; its outputs are performed in order.
    pub(crate) fn tell(&mut self, input: Input) {
        let mut outputs = std::mem::take(&mut self.outputs);
        self.book.handle(self.clock.now(), input, &mut outputs);
        for output in outputs.drain(..) {
            self.perform(output);
        }
        self.outputs = outputs;
        if let Some((lease, admitted)) = self.unused.pop() {
            if let Some(admitted) = admitted {
                self.counter.give_back(admitted.lease);
            }
            if let Some(lease) = lease {
                self.tell(Input::Released { lease, outcome: Outcome::NotStarted });
            }
        }
    }

    fn call(&mut self, call: Call<ManagerCall, ManagerAnswer>) {
        let Call { message, reply, body: _ } = call;
        match message {
            ManagerCall::Admit(admit) => reply.send(match self.admit(&admit) {
                Ok(admitted) => ManagerAnswer::Admitted(admitted),
                Err(denied) => ManagerAnswer::Denied(denied),
            }),
            ManagerCall::Acquire(acquire) => self.acquire(acquire, reply, None),
            ManagerCall::Enter(admit, acquire) => match self.admit(&admit) {
                Ok(admitted) => self.acquire(acquire, reply, Some(admitted)),
                Err(denied) => reply.send(ManagerAnswer::Denied(denied)),
            },
            ManagerCall::Borrow(holder, ask) => {
                let lent = self.counter.lend(self.clock.now(), holder, ask);
                reply.send(ManagerAnswer::Lent(lent));
            }
            ManagerCall::InFlight { account } => {
                reply.send(ManagerAnswer::InFlight(self.book.client_calls(account)));
            }
            ManagerCall::Busiest => reply.send(ManagerAnswer::Busiest(self.book.busiest())),
            ManagerCall::TakeTokens { account, function, want } => {
                reply.send(self.give_tokens(account, &function, want));
            }
            ManagerCall::Inspect => reply.send(ManagerAnswer::Inspection(self.inspect())),
            ManagerCall::Targets => reply.send(ManagerAnswer::Targets(self.targets.take())),
        }
    }

    fn admit(&mut self, admit: &Admit) -> Result<Admitted, Denied> {
        let ask = Ask {
            account: admit.account,
            function: &admit.function,
            version: admit.version,
            tenant: admit.tenant.as_ref(),
            holder: admit.holder,
        };
        self.counted += 1;
        let admitted = self.counter.take(self.clock.now(), &ask)?;
        let decide::admit::Admitted { lease, in_version, limit_max, .. } = admitted;
        Ok(Admitted { lease, in_version, limit_max })
    }

    fn acquire(
        &mut self,
        acquire: Acquire,
        reply: Reply<ManagerAnswer>,
        admitted: Option<Admitted>,
    ) {
        let Acquire {
            request,
            key,
            hash,
            config,
            may_create,
            client_cap,
            client,
            register,
            affinity,
            by,
            preds,
            home,
        } = acquire;
        tracing::debug!(%request, ring_v = by.0, preds = preds.len(), may_create, "acquire");
        self.ticket += 1;
        let ticket = Ticket(self.ticket);
        let register = self.registers.meet(client, register);
        self.tickets.insert(ticket, Asker { reply, admitted, hash, register });
        self.configs.entry(hash).or_insert(config);
        let deadline = self.clock.now() + ACQUIRE_TTL;
        let mode = if may_create { Mode::ExistingOrNew } else { Mode::Existing };
        let home = Some(home).filter(|home| *home != self.manager);
        let routed = Routed { by, preds: preds.into_iter().collect(), home };
        let ask = AcquireInput { ticket, hash, key, mode, deadline, client_cap, routed, affinity };
        self.tell(Input::Acquire(ask));
    }

    fn note(&mut self, note: ManagerNote) {
        match note {
            ManagerNote::Return { lease } => {
                self.counter.give_back(lease);
            }
            ManagerNote::Renew { holder, held } => self.renew(holder, held),
            ManagerNote::Unused { lease } => {
                self.tell(Input::Released { lease, outcome: Outcome::NotStarted });
            }
            ManagerNote::RunStarted { lease, .. } => self.tell(Input::RunStarted { lease }),
            ManagerNote::Idle { env, epoch } if self.book.knows(env) => {
                self.tell(Input::Idle { env, epoch });
            }
            // Made while its worker and this manager could not talk.
            ManagerNote::Idle { env, .. } => self.list(env.worker()),
            ManagerNote::Gone { env } => self.tell(Input::Gone { env }),
            ManagerNote::Back { worker } => self.list(worker),
            ManagerNote::TokensBack { account, function, count } => {
                self.book.take_tokens_back(account, &function, count);
            }
            ManagerNote::Size(ClientSize { start, register, .. }) => {
                self.registers.meet(start, Some(register));
            }
            ManagerNote::SetTarget(order) => self.set_target(*order),
            ManagerNote::Provision { account, function, version, charge } => {
                self.counter.provision(self.clock.now(), account, &function, version, charge);
            }
            ManagerNote::Hear { from, word } => self.tell(Input::Hear { from, word }),
            ManagerNote::Owned(hosted) => self.tell(Input::Owned(hosted)),
            ManagerNote::Transferred { env, epoch, to } => {
                self.tell(Input::Transferred { env, epoch, to });
            }
            ManagerNote::TransferRefused { env, epoch } => {
                self.tell(Input::TransferRefused { env, epoch });
            }
        }
    }

    fn event(&mut self, event: Event) {
        match event {
            Event::StartEnded { start, result } => self.start_ended(start, result),
            Event::Listed(worker, Listed { capacity, envs }) => {
                self.tell(Input::WorkerOffers { worker, capacity });
                self.tell(Input::Rebuild { worker, envs });
            }
            Event::WorkerLost(worker) => {
                tracing::warn!(%worker, "the way to a worker is broken");
                self.tell(Input::WorkerLost { worker });
            }
            Event::Tokens(TokenAsk { whose, seq, .. }, given) => {
                self.tell(Input::Tokens { whose, seq, given });
            }
            Event::Stored(fact) => self.stored(fact),
            Event::Ring(v, attrs) => self.tell(Input::Ring { v, attrs }),
            Event::Asked(asked) => self.meter.sample(&self.book, &self.counter, asked),
        }
    }

    fn renew(&mut self, holder: FrontendId, held: Option<Vec<LeaseId>>) {
        let now = self.clock.now();
        self.counter.renew(now, holder);
        let Some(held) = held else { return };
        let ended = self.counter.reconcile(now, holder, &held.into_iter().collect());
        if ended > 0 {
            tracing::warn!(%holder, ended, "concurrency leases ended that their holder lost");
        }
    }

    /// Asks a worker for its list, beside the watch that does it at each connection.
    fn list(&self, worker: WorkerId) {
        let Some(caller) = self.workers.get(&worker).cloned() else { return };
        let (events, manager) = (self.events.clone(), self.manager);
        self.tasks.spawn(TaskKind::Background, "list of a worker", async move {
            if let Some(listed) = workers::list(manager, &caller).await {
                let _ = events.send(Event::Listed(worker, listed)).await;
            }
        });
    }

    fn start_ended(&mut self, start: StartId, result: Result<Started, StartFailure>) {
        match result {
            Ok(Started { env, epoch, .. }) => self.tell(Input::Started { start, env, epoch }),
            Err(failure) => {
                let why = match failure {
                    StartFailure::Platform { ref message } => {
                        tracing::warn!(message, "an environment could not be built");
                        Trouble::Platform
                    }
                    StartFailure::NoRoom => Trouble::NoRoom,
                    StartFailure::InvalidRuntime { .. }
                    | StartFailure::InitFailed { .. }
                    | StartFailure::InvalidEntryPoint { .. } => Trouble::Init,
                };
                self.failures.insert(start, failure);
                self.tell(Input::StartFailed { start, why });
                self.failures.remove(&start);
            }
        }
    }

    fn stored(&mut self, fact: Fact) {
        match fact {
            Fact::Head(config) => {
                let keep = PoolKey::of(&config).hash();
                self.forget_configs(|hash, known| {
                    let same = known.account == config.account && known.name == config.name;
                    hash != keep && same && known.version == VersionId::Latest
                });
                self.tell(Input::Retire(Whose {
                    account: config.account,
                    function: config.name.clone(),
                    version: Some(VersionId::Latest),
                    keep: Some(keep),
                }));
                self.tenancy_of_head(config);
            }
            Fact::HeadDeleted(account, function) => {
                self.counter.forget_function(account, &function);
                self.forget_configs(|_, known| known.account == account && known.name == function);
                self.forget_tenancy(account, &function);
                self.tell(Input::Retire(Whose { account, function, version: None, keep: None }));
            }
            Fact::Limits(account, store::AccountLimits { concurrency }) => {
                let limits = AccountLimits { concurrency, ..AccountLimits::default() };
                self.counter.set_limits(self.clock.now(), account, limits);
            }
            Fact::Settings(account, function, settings) => {
                let now = self.clock.now();
                let reserved = settings.reserved;
                self.tenancy_of_settings(account, &function, &settings);
                if let Err(error) = self.counter.reserve(now, account, &function, reserved) {
                    // `control` refuses these; a stored one is an operator's edit.
                    tracing::error!(%function, %error, "a reservation is not in force");
                }
            }
        }
    }

    /// Old configurations go, but not from under calls that wait for them: who
    /// resolved the function before it changed is served as it was.
    fn forget_configs(&mut self, old: impl Fn(KeyHash, &FunctionConfig) -> bool) {
        let Owner { configs, book, .. } = self;
        configs.retain(|hash, known| {
            let load = book.load(*hash);
            load.waiting > 0 || load.starting > 0 || !old(*hash, known)
        });
    }

    fn inspect(&self) -> Inspection {
        let counts = self.book.lease_counts();
        let idle = self.book.pools().map(|(_, load)| u64::from(load.idle)).sum();
        Inspection {
            in_flight: self.counter.leases() as u64,
            counted: self.counted,
            lent: self.counter.lent_slots(),
            environments: self.book.environments() as u64,
            idle,
            leases_granted: counts.granted,
            leases_started: counts.started,
            leases_returned: counts.returned,
            starts: self.starts,
        }
    }
}
