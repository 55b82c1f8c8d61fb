//! One book on a desk: inputs in, outputs out, at instants that the test chooses. What
//! all desks of this program ask and offer stands here as well.

use std::sync::Arc;

use decide::{
    Book,
    book::{Acquire, Config, Input, Mode, Outcome, Output, Reply, Routed, StartId, Ticket},
};
use model::{
    AccountId, Capacity, EnvId, Epoch, FunctionName, Grant, LeaseId, Load, Now, PoolKey, Reason,
    Span, WorkerId, function::Architecture,
};

pub(crate) const WORKER: WorkerId = WorkerId(1);
pub(crate) const FOREVER: Now = Now(u64::MAX);

pub(crate) fn plain(function: &str) -> PoolKey {
    let account = AccountId::parse("000000000001").unwrap();
    PoolKey::plain(account, FunctionName::parse(function).unwrap())
}

pub(crate) fn key(function: &str, memory_mb: u32) -> Arc<PoolKey> {
    Arc::new(PoolKey { memory_mb, ..plain(function) })
}

/// A call that may have a new environment, and waits for it as long as it takes.
pub(crate) fn asked(ticket: Ticket, key: &Arc<PoolKey>) -> Acquire {
    Acquire {
        ticket,
        hash: key.hash(),
        key: Arc::clone(key),
        mode: Mode::ExistingOrNew,
        deadline: FOREVER,
        client_cap: u32::MAX,
        routed: Routed::default(),
        affinity: None,
    }
}

pub(crate) fn offered(worker: WorkerId, memory_mb: u64) -> Input {
    let architecture = Architecture::X86_64;
    Input::WorkerOffers { worker, capacity: Capacity { memory_mb, slots: 100_000, architecture } }
}

/// A book, a clock, and what came out since the last look.
pub(crate) struct Desk {
    pub(crate) book: Book,
    pub(crate) now: Now,
    pub(crate) out: Vec<Output>,
    tickets: u64,
    envs: u64,
}

/// What a call was answered, once it was.
pub(crate) fn reply_to(out: &[Output], ticket: Ticket) -> Option<Reply> {
    out.iter().find_map(|output| {
        let Output::Reply { ticket: to, reply } = output else { return None };
        (*to == ticket).then_some(*reply)
    })
}

/// Environments that were told to leave.
pub(crate) fn retired(out: &[Output]) -> Vec<EnvId> {
    let env = |output: &Output| {
        let Output::Retire { env, .. } = output else { return None };
        Some(*env)
    };
    out.iter().filter_map(env).collect()
}

impl Desk {
    pub(crate) fn new(memory_mb: u64) -> Desk {
        Desk::with(Config::default(), memory_mb)
    }

    pub(crate) fn with(config: Config, memory_mb: u64) -> Desk {
        let book = Book::new(config);
        let mut desk = Desk { book, now: Now(0), out: Vec::new(), tickets: 0, envs: 0 };
        desk.offer(WORKER, memory_mb);
        desk
    }

    pub(crate) fn offer(&mut self, worker: WorkerId, memory_mb: u64) {
        self.tell(offered(worker, memory_mb));
    }

    pub(crate) fn tell(&mut self, input: Input) {
        self.book.handle(self.now, input, &mut self.out);
    }

    pub(crate) fn at(&mut self, span: Span) -> &mut Desk {
        self.now = Now(0) + span;
        self.tell(Input::Deadline);
        self
    }

    pub(crate) fn ask(
        &mut self,
        key: &Arc<PoolKey>,
        mode: Mode,
        deadline: Now,
        client_cap: u32,
    ) -> Ticket {
        self.tickets += 1;
        let ticket = Ticket(self.tickets);
        self.tell(Input::Acquire(Acquire { mode, deadline, client_cap, ..asked(ticket, key) }));
        ticket
    }

    pub(crate) fn acquire(&mut self, key: &Arc<PoolKey>) -> Ticket {
        self.ask(key, Mode::ExistingOrNew, FOREVER, u32::MAX)
    }

    pub(crate) fn take_out(&mut self) -> Vec<Output> {
        std::mem::take(&mut self.out)
    }

    pub(crate) fn reply(&self, ticket: Ticket) -> Option<Reply> {
        reply_to(&self.out, ticket)
    }

    pub(crate) fn granted(&self, ticket: Ticket) -> Grant {
        match self.reply(ticket) {
            Some(Reply::Grant(grant, _)) => grant,
            other => panic!("{ticket:?} was answered {other:?}"),
        }
    }

    pub(crate) fn refused(&self, ticket: Ticket) -> Reason {
        match self.reply(ticket) {
            Some(Reply::Refused { reason, .. }) => reason,
            other => panic!("{ticket:?} was answered {other:?}"),
        }
    }

    /// Takes the starts that were sent, and answers each with a new environment.
    pub(crate) fn starts(&mut self) -> Vec<(StartId, WorkerId)> {
        let sent = |output: &Output| {
            let Output::Start { start, worker, .. } = output else { return None };
            Some((*start, *worker))
        };
        let found: Vec<_> = self.out.iter().filter_map(sent).collect();
        self.out.retain(|output| !matches!(output, Output::Start { .. }));
        found
    }

    pub(crate) fn retired(&self) -> Vec<EnvId> {
        retired(&self.out)
    }

    pub(crate) fn finish_start(&mut self, start: StartId, worker: WorkerId) -> EnvId {
        self.envs += 1;
        let env = EnvId::new(worker, self.envs);
        self.tell(Input::Started { start, env, epoch: Epoch(1) });
        env
    }

    pub(crate) fn finish_starts(&mut self) {
        for (start, worker) in self.starts() {
            self.finish_start(start, worker);
        }
    }

    /// A call from start to end, cold or warm.
    pub(crate) fn cold_or_warm(&mut self, key: &Arc<PoolKey>) -> Grant {
        let ticket = self.acquire(key);
        self.finish_starts();
        self.granted(ticket)
    }

    pub(crate) fn run(&mut self, grant: Grant) {
        self.tell(Input::RunStarted { lease: grant.lease });
    }

    pub(crate) fn release(&mut self, lease: LeaseId, outcome: Outcome) {
        self.tell(Input::Released { lease, outcome });
    }

    /// `n` environments of the key, idle, made in one burst.
    pub(crate) fn stock(&mut self, key: &Arc<PoolKey>, n: usize) -> Vec<Grant> {
        let tickets: Vec<_> = (0..n).map(|_| self.acquire(key)).collect();
        self.finish_starts();
        let grants: Vec<_> = tickets.iter().map(|ticket| self.granted(*ticket)).collect();
        for grant in &grants {
            self.run(*grant);
            self.release(grant.lease, Outcome::Reusable);
        }
        self.take_out();
        grants
    }

    pub(crate) fn load(&self, key: &PoolKey) -> Load {
        self.book.load(key.hash())
    }
}

pub(crate) fn load(idle: u32, busy: u32, starting: u32, waiting: u32) -> Load {
    Load { idle, busy, starting, waiting }
}
