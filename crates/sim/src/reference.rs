//! The reference model: what a book must say, kept in plain lists and found by
//! looking at all of them. Small and slow on purpose. It is shown every input with
//! the outputs that the real book gave, judges each of them, and then compares
//! counts and looks for what should have been said and was not.

use decide::{
    Book, Fact,
    book::{Input, Mode, Outcome, Output, Reply, StartId, Ticket},
    fact::RetireWhy,
};
use model::{EnvId, Epoch, KeyHash, LeaseId, Load, Now, Span, Trouble};

/// What the model found wrong.
pub(crate) type Verdict = Result<(), String>;

macro_rules! require {
    ($holds:expr, $($what:tt)+) => {
        if !$holds {
            return Err(format!($($what)+));
        }
    };
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Doing {
    /// Just made, or its lease just ended: the book has to place it in this step.
    Settling,
    /// The second number orders environments that fell idle in the same instant.
    Idle(Now, u64),
    Granted(Now),
    Running,
    Leaving,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Env {
    pub(crate) env: EnvId,
    pub(crate) key: KeyHash,
    pub(crate) memory_mb: u32,
    pub(crate) epoch: Epoch,
    pub(crate) lease: Option<LeaseId>,
    pub(crate) doing: Doing,
    unwanted: bool,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Waiter {
    pub(crate) ticket: Ticket,
    key: KeyHash,
    deadline: Now,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Start {
    pub(crate) start: StartId,
    pub(crate) key: KeyHash,
    pub(crate) memory_mb: u32,
    /// None while it awaits room.
    pub(crate) sent: bool,
    unwanted: bool,
}

#[derive(Debug)]
pub(crate) struct Rules {
    pub(crate) idle_ttl: Span,
    pub(crate) lease_ttl: Span,
    pub(crate) memory_mb: u64,
    pub(crate) patience: bool,
}

#[derive(Debug)]
pub(crate) struct Reference {
    rules: Rules,
    pub(crate) envs: Vec<Env>,
    pub(crate) waiters: Vec<Waiter>,
    pub(crate) starts: Vec<Start>,
    granted: u64,
    started: u64,
    returned: u64,
    order: u64,
    /// The start that failed in this step: another attempt inherits what it was for.
    failed: Option<Start>,
}

impl Reference {
    pub(crate) fn new(rules: Rules) -> Reference {
        let (envs, waiters, starts) = (Vec::new(), Vec::new(), Vec::new());
        Reference {
            rules,
            envs,
            waiters,
            starts,
            granted: 0,
            started: 0,
            returned: 0,
            order: 0,
            failed: None,
        }
    }

    /// One step of the book, judged.
    pub(crate) fn judge(
        &mut self,
        now: Now,
        input: &Input,
        outputs: &[Output],
        book: &Book,
    ) -> Verdict {
        self.failed = None;
        self.begin(input);
        let told =
            outputs.iter().any(|output| matches!(output, Output::Fact(Fact::Waiting { .. })));
        if let Input::Acquire(ask) = input {
            let answered = outputs.iter().any(
                |output| matches!(output, Output::Reply { ticket, .. } if *ticket == ask.ticket),
            );
            require!(told != answered, "{:?} was answered and waits, or neither", ask.ticket);
            require!(!told || ask.mode == Mode::ExistingOrNew, "{:?} waits", ask.ticket);
            if told {
                let (ticket, key, deadline) = (ask.ticket, ask.hash, ask.deadline);
                self.waiters.push(Waiter { ticket, key, deadline });
            }
        }
        for output in outputs {
            match output {
                Output::Fact(fact) => self.fact(now, fact)?,
                Output::Reply { ticket, reply } => self.reply(now, input, *ticket, *reply)?,
                Output::Start { start, .. } => {
                    require!(self.starts.iter().any(|s| s.start == *start && s.sent), "{start:?}?");
                }
                Output::Retire { env, epoch, .. } => self.retire_order(*env, *epoch)?,
                Output::Report(report) => return Err(format!("{report:?} of no target")),
                Output::AskTokens { .. } | Output::ReturnTokens { .. } => {
                    unreachable!("no home of a bucket is named")
                }
                Output::Tell { .. } | Output::Transfer { .. } => {
                    return Err(format!("{output:?} without predecessors"));
                }
            }
        }
        self.look_around(now, input)?;
        self.compare(book)
    }

    /// What the input itself changes, whatever the book says.
    fn begin(&mut self, input: &Input) {
        match input {
            Input::Started { start, env, epoch } => {
                let known = self.starts.iter().position(|s| s.start == *start && s.sent);
                if let Some(made) = known.map(|at| self.starts.remove(at)) {
                    self.envs.push(Env {
                        env: *env,
                        key: made.key,
                        memory_mb: made.memory_mb,
                        epoch: *epoch,
                        lease: None,
                        doing: Doing::Settling,
                        unwanted: made.unwanted,
                    });
                }
            }
            Input::RunStarted { lease } => self.run_started(*lease),
            Input::Released { lease, outcome } => self.released(*lease, *outcome),
            Input::Idle { env, epoch } => {
                if let Some(at) = self.at(*env).filter(|at| self.envs[*at].epoch <= *epoch) {
                    self.envs[at].epoch = *epoch;
                    self.end(at, true);
                }
            }
            Input::Gone { env } => {
                if let Some(at) = self.at(*env) {
                    self.end(at, self.envs[at].doing == Doing::Running);
                    self.envs.remove(at);
                }
            }
            Input::Retire(whose) => {
                // The fuzzer's keys are all of one function.
                let keep = whose.keep;
                for env in &mut self.envs {
                    env.unwanted |= Some(env.key) != keep;
                }
                for start in &mut self.starts {
                    start.unwanted |= Some(start.key) != keep;
                }
            }
            Input::Acquire(_) | Input::Cancel { .. } | Input::StartFailed { .. } => {}
            Input::WorkerOffers { .. } | Input::WorkerDrains { .. } | Input::Deadline => {}
            Input::WorkerLost { .. } | Input::Rebuild { .. } => {}
            Input::SetTarget(_)
            | Input::TenantRules(_)
            | Input::Stores { .. }
            | Input::Affinity(_) => {}
            // The fuzzer knows one manager only.
            Input::Ring { .. } | Input::Hear { .. } | Input::Owned(_) => {}
            Input::Transferred { .. } | Input::TransferRefused { .. } | Input::Tokens { .. } => {}
        }
    }

    fn run_started(&mut self, lease: LeaseId) {
        let Some(env) = self.envs.iter_mut().find(|env| env.lease == Some(lease)) else { return };
        match env.doing {
            Doing::Granted(_) => self.started += 1,
            Doing::Idle(..) => {
                self.returned -= 1;
                self.started += 1;
            }
            Doing::Running | Doing::Leaving | Doing::Settling => return,
        }
        env.doing = Doing::Running;
    }

    fn released(&mut self, lease: LeaseId, outcome: Outcome) {
        let Some(at) = self.envs.iter().position(|env| env.lease == Some(lease)) else { return };
        match (self.envs[at].doing, outcome) {
            (Doing::Running, Outcome::NotStarted) => {}
            (Doing::Granted(_) | Doing::Running, Outcome::Reusable | Outcome::Broken) => {
                self.end(at, true);
            }
            (Doing::Granted(_), Outcome::NotStarted) => self.end(at, false),
            (Doing::Idle(..), Outcome::Broken) => {
                self.envs[at].lease = None;
                self.envs[at].doing = Doing::Settling;
            }
            (Doing::Idle(..), Outcome::Reusable | Outcome::NotStarted) => {}
            (Doing::Leaving | Doing::Settling, _) => {}
        }
    }

    /// Ends an open lease, if there is one.
    fn end(&mut self, at: usize, ran: bool) {
        let env = &mut self.envs[at];
        match env.doing {
            Doing::Granted(_) if ran => self.started += 1,
            Doing::Granted(_) => self.returned += 1,
            Doing::Running => {}
            Doing::Idle(..) | Doing::Leaving | Doing::Settling => return,
        }
        env.lease = None;
        env.doing = Doing::Settling;
    }

    fn fact(&mut self, now: Now, fact: &Fact) -> Verdict {
        match *fact {
            Fact::StartBegan { start, key, memory_mb, .. } => {
                let known = self.starts.iter().find(|s| s.start == start).or(self.heir_of(key));
                let unwanted = known.is_some_and(|start| start.unwanted);
                self.starts.retain(|s| s.start != start);
                self.starts.push(Start { start, key, memory_mb, sent: true, unwanted });
            }
            Fact::StartAwaitsRoom { start, key } => {
                let unwanted = self.heir_of(key).is_some_and(|start| start.unwanted);
                self.starts.push(Start { start, key, memory_mb: 0, sent: false, unwanted });
            }
            Fact::StartFailed { start, .. } | Fact::StartDropped { start, .. } => {
                let at = self.starts.iter().position(|s| s.start == start);
                self.failed = at.map(|at| self.starts.remove(at));
            }
            Fact::LeaseReturned { env, expired: true, .. } => self.expired(now, env)?,
            Fact::Shelved { env, .. } => {
                let at = self.at(env).ok_or(format!("{env} was shelved from nowhere"))?;
                let free = self.envs[at].doing == Doing::Settling;
                require!(free, "{env} was shelved while {:?}", self.envs[at].doing);
                self.order += 1;
                self.envs[at].doing = Doing::Idle(now, self.order);
            }
            Fact::Retired { env, why, .. } => self.retired(now, env, why)?,
            Fact::WaitEnded { ticket, .. } => self.waiters.retain(|w| w.ticket != ticket),
            Fact::Granted { .. } | Fact::Missed { .. } | Fact::Waiting { .. } => {}
            Fact::Throttled { .. } | Fact::Refused { .. } | Fact::StartEnded { .. } => {}
            Fact::RunBegan { .. } | Fact::RunEnded { .. } | Fact::Gone { .. } => {}
            Fact::LeaseReturned { .. } | Fact::Adopted { .. } | Fact::Stale { .. } => {}
            Fact::TargetSet { .. } | Fact::TargetForgotten { .. } => {}
            // The fuzzer's keys have no tenants.
            Fact::Bound { env, .. } => return Err(format!("{env} was bound")),
            Fact::HandoffAsked { .. } | Fact::HandoffEnded { .. } | Fact::HandedOver { .. } => {}
        }
        Ok(())
    }

    fn heir_of(&self, key: KeyHash) -> Option<&Start> {
        self.failed.as_ref().filter(|failed| failed.key == key)
    }

    fn expired(&mut self, now: Now, env: EnvId) -> Verdict {
        let at = self.at(env).ok_or(format!("{env} expired and is not there"))?;
        let lease = self.envs[at].lease;
        let Doing::Granted(since) = self.envs[at].doing else {
            return Err(format!("{env} expired while {:?}", self.envs[at].doing));
        };
        require!(since + self.rules.lease_ttl <= now, "{env} expired early");
        self.end(at, false);
        // A late start may still be told.
        self.envs[at].lease = lease;
        Ok(())
    }

    fn retired(&mut self, now: Now, env: EnvId, why: RetireWhy) -> Verdict {
        let at = self.at(env).ok_or(format!("{env} retired and is not there"))?;
        let doing = self.envs[at].doing;
        let oldest = self.idle().min_by_key(|(since, ..)| *since);
        let fits = match (why, doing) {
            (RetireWhy::IdleTtl, Doing::Idle(since, _)) => since + self.rules.idle_ttl <= now,
            (RetireWhy::Evicted, Doing::Idle(since, order)) => {
                oldest.is_some_and(|(least, _)| least == (since, order))
            }
            (RetireWhy::Drained, Doing::Idle(..) | Doing::Settling) => self.envs[at].unwanted,
            (RetireWhy::Broken, Doing::Settling) => true,
            (_, _) => false,
        };
        require!(fits, "{env} retired as {why:?} while {doing:?}");
        self.envs[at].doing = Doing::Leaving;
        Ok(())
    }

    fn retire_order(&mut self, env: EnvId, epoch: Epoch) -> Verdict {
        // One that the book never took in may be ordered to leave, too.
        let Some(at) = self.at(env) else { return Ok(()) };
        require!(epoch > self.envs[at].epoch, "I6: {env} leaves with an old epoch");
        self.envs[at].epoch = epoch;
        Ok(())
    }

    fn reply(&mut self, now: Now, input: &Input, ticket: Ticket, reply: Reply) -> Verdict {
        let asked = if let Input::Acquire(ask) = input { Some(ask) } else { None };
        let asked = asked.filter(|ask| ask.ticket == ticket);
        let waited = self.waiters.iter().position(|w| w.ticket == ticket);
        match reply {
            Reply::Grant(grant, _) => {
                let at = self.at(grant.env).ok_or(format!("{ticket:?} got a ghost"))?;
                let Env { key, doing, epoch, .. } = self.envs[at];
                if let Some(ask) = asked {
                    require!(ask.hash == key, "I3: {ticket:?} got another key's environment");
                    let best = self.idle().filter(|(_, k)| *k == key).map(|(s, _)| s).max();
                    let is_best = matches!(doing, Doing::Idle(s, o) if Some((s, o)) == best);
                    require!(is_best, "{ticket:?} got {doing:?}, the newest is {best:?}");
                } else {
                    let first = self.waiters.iter().position(|w| w.key == key);
                    require!(
                        first.is_some() && first == waited,
                        "{ticket:?} was served out of turn"
                    );
                    require!(doing == Doing::Settling, "I1: {ticket:?} got one that was {doing:?}");
                    self.waiters.remove(first.unwrap_or(0));
                }
                require!(grant.epoch == epoch.next(), "I6: {:?} after {epoch:?}", grant.epoch);
                self.granted += 1;
                let env = &mut self.envs[at];
                env.doing = Doing::Granted(now);
                env.lease = Some(grant.lease);
                env.epoch = grant.epoch;
            }
            Reply::NoIdle(_) => {
                let ask = asked.ok_or(format!("{ticket:?} was told NoIdle late"))?;
                let none = self.idle().all(|(_, key)| key != ask.hash);
                require!(ask.mode == Mode::Existing && none, "{ticket:?} was told NoIdle");
            }
            Reply::Refused { .. } | Reply::StartFailed { .. } => {
                // `WaitEnded` took it off the list already.
                require!(waited.is_none(), "{ticket:?} was refused and still waits");
            }
            Reply::Throttle(_) => return Err(format!("{ticket:?} was throttled without a cap")),
        }
        Ok(())
    }

    /// What should have been said in this step.
    fn look_around(&mut self, now: Now, input: &Input) -> Verdict {
        if let Some(env) = self.envs.iter().find(|env| env.doing == Doing::Settling) {
            return Err(format!("{} was left between two states", env.env));
        }
        for (_, key) in self.idle() {
            let waits = self.waiters.iter().any(|waiter| waiter.key == key);
            require!(!waits, "a call waits beside an idle environment");
        }
        let used: u64 = self.memory();
        require!(used <= self.rules.memory_mb, "{used} MB are promised");
        if matches!(input, Input::Deadline) {
            let late = self.waiters.iter().find(|waiter| waiter.deadline <= now);
            require!(late.is_none(), "{late:?} waits after its deadline");
            let (idle, lease) = (self.rules.idle_ttl, self.rules.lease_ttl);
            let overdue = self.envs.iter().find(|env| match env.doing {
                Doing::Idle(since, _) => since + idle <= now,
                Doing::Granted(since) => since + lease <= now,
                Doing::Running | Doing::Leaving | Doing::Settling => false,
            });
            require!(overdue.is_none(), "{overdue:?} is overdue");
        }
        if !self.rules.patience {
            for waiter in &self.waiters {
                let waiting = self.waiters.iter().filter(|w| w.key == waiter.key).count();
                let starting = self.starts.iter().filter(|s| s.key == waiter.key).count();
                require!(starting >= waiting, "{waiting} calls wait for {starting} starts");
            }
        }
        Ok(())
    }

    fn compare(&self, book: &Book) -> Verdict {
        let counts = book.lease_counts();
        let mine = (self.granted, self.started, self.returned);
        let theirs = (counts.granted, counts.started, counts.returned);
        require!(mine == theirs, "I2: leases {theirs:?} are {mine:?}");
        require!(book.environments() == self.envs.len(), "{} environments", self.envs.len());
        require!(book.calls_waiting() == self.waiters.len(), "{} calls wait", self.waiters.len());
        for (key, theirs) in book.pools() {
            let mine = self.load(key.hash());
            require!(mine == theirs, "load of {} is {mine:?}, not {theirs:?}", key.function);
        }
        Ok(())
    }

    fn load(&self, key: KeyHash) -> Load {
        let count = |held: fn(&Doing) -> bool| {
            self.envs.iter().filter(|env| env.key == key && held(&env.doing)).count() as u32
        };
        Load {
            idle: count(|doing| matches!(doing, Doing::Idle(..))),
            busy: count(|doing| matches!(doing, Doing::Granted(_) | Doing::Running)),
            starting: self.starts.iter().filter(|s| s.key == key).count() as u32,
            waiting: self.waiters.iter().filter(|w| w.key == key).count() as u32,
        }
    }

    fn memory(&self) -> u64 {
        let envs = self.envs.iter().map(|env| u64::from(env.memory_mb));
        let starts = self.starts.iter().filter(|s| s.sent).map(|s| u64::from(s.memory_mb));
        envs.chain(starts).sum()
    }

    fn idle(&self) -> impl Iterator<Item = ((Now, u64), KeyHash)> + '_ {
        self.envs.iter().filter_map(|env| match env.doing {
            Doing::Idle(since, order) => Some(((since, order), env.key)),
            Doing::Granted(_) | Doing::Running | Doing::Leaving | Doing::Settling => None,
        })
    }

    fn at(&self, env: EnvId) -> Option<usize> {
        self.envs.iter().position(|known| known.env == env)
    }
}

/// A start that the platform fails is not the end of its call.
pub(crate) const FAILURES: [Trouble; 3] = [Trouble::Init, Trouble::NoRoom, Trouble::Platform];
