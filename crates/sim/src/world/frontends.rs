//! Frontends: a call from admission through routing and probing to its end. They
//! hold hints, sets and nothing durable.

use decide::{
    admit::Ask,
    arcs::{self, ClientSet, Growth},
    book::{Acquire, Input, Mode, Outcome as LeaseOutcome, Reply, Routed, Ticket},
    probe::{Answer, Budget, Hints, Probe, Step},
};
use model::{FrontendId, ManagerId, VersionId, reason::ReasonKind};

use super::*;
use crate::workload::Call;

/// Questions of one call, all attempts together; a ticket names call and question.
const ASKS_MAX: u64 = 1 << 20;

#[derive(Debug)]
pub(super) struct Frontend {
    pub(super) id: FrontendId,
    pub(super) life: u64,
    fleet: u64,
    hints: Hints,
    set: ClientSet,
}

impl Frontend {
    pub(super) fn new(at: usize, fleet: usize) -> Frontend {
        Frontend::born(Now(0), at as u64, fleet as u64, 0)
    }

    fn born(now: Now, at: u64, fleet: u64, life: u64) -> Frontend {
        let id = FrontendId(at + life * fleet);
        let set = ClientSet::new(now, arcs::start_of_account(account()), id);
        Frontend { id, life, fleet, hints: Hints::default(), set }
    }

    /// Dead and started anew: another holder, without memory.
    pub(super) fn reborn(&self, now: Now) -> Frontend {
        Frontend::born(now, self.id.0 % self.fleet, self.fleet, self.life + 1)
    }
}

#[derive(Debug)]
pub(super) struct CallState {
    pub(super) at: Now,
    pub(super) function: usize,
    pub(super) frontend: usize,
    /// The life of its frontend when it arrived.
    pub(super) life: u64,
    pub(super) concurrency: Option<LeaseId>,
    pub(super) end: Option<End>,
    pub(super) probes: u64,
    /// The manager that holds its open ticket.
    pub(super) asked: Option<usize>,
    probe: Option<Probe>,
    tried: Vec<ManagerId>,
    seen: Epoch,
    throttles: u32,
    attempts: u32,
    /// Questions so far; the newest is the one whose answer counts.
    pub(super) asks: u64,
    mode: Mode,
    asked_at: Now,
    warm: bool,
    lease: Option<(usize, LeaseId)>,
}

impl CallState {
    pub(super) fn new(call: &Call, frontend: usize) -> CallState {
        CallState {
            at: call.at,
            function: call.function,
            frontend,
            life: 0,
            concurrency: None,
            end: None,
            probes: 0,
            asked: None,
            probe: None,
            tried: Vec::new(),
            seen: Epoch(0),
            throttles: 0,
            attempts: 0,
            asks: 0,
            mode: Mode::Existing,
            asked_at: call.at,
            warm: false,
            lease: None,
        }
    }
}

pub(super) fn call_and_ask(ticket: Ticket) -> (usize, u64) {
    ((ticket.0 / ASKS_MAX) as usize, ticket.0 % ASKS_MAX)
}

impl World<'_> {
    pub(super) fn arrive(&mut self, call: usize) {
        self.tally.arrive();
        let state = &mut self.calls[call];
        let frontend = &self.frontends[state.frontend];
        state.life = frontend.life;
        let ask = Ask {
            account: account(),
            function: &self.workload.functions[state.function].name,
            version: VersionId::Latest,
            tenant: None,
            holder: frontend.id,
        };
        match self.counter.take(self.now, &ask) {
            Ok(admitted) => {
                state.concurrency = Some(admitted.lease);
                self.acquire(call);
            }
            Err(refusal) => {
                let kind = refusal.reason.kind();
                assert_eq!(kind, ReasonKind::Limit, "I27 broken: a counter knows no capacity");
                self.end_call(call, End::Refused(refusal.reason));
            }
        }
    }

    /// One attempt: probe the client's set from its beginning.
    fn acquire(&mut self, call: usize) {
        let state = &mut self.calls[call];
        let set = &self.frontends[state.frontend].set;
        state.attempts += 1;
        state.throttles = 0;
        state.seen = set.register().epoch;
        state.tried.clear();
        let mut candidates = Vec::new();
        self.ring.members(set.arc().start, set.arc().size, &mut candidates);
        let key = self.keys[state.function].0;
        state.probe = Some(Probe::new(self.now, key, &candidates, Budget::default()));
        self.ask_next(call);
    }

    fn ask_next(&mut self, call: usize) {
        let state = &mut self.calls[call];
        let frontend = &self.frontends[state.frontend];
        let Some(probe) = &mut state.probe else { return };
        match probe.next(self.now, &frontend.hints, &mut self.dice) {
            Step::Ask { manager, mode } => self.ask(call, manager, mode),
            Step::Exhausted => self.widen(call),
        }
    }

    fn ask(&mut self, call: usize, manager: ManagerId, mode: Mode) {
        let client_cap = self.bounds().cap();
        let at = self.hop();
        let state = &mut self.calls[call];
        state.tried.push(manager);
        state.asks += 1;
        state.probes += 1;
        state.mode = mode;
        state.asked_at = self.now;
        let manager = manager.0 as usize;
        state.asked = Some(manager);
        let (hash, key) = self.keys[state.function].clone();
        let ticket = Ticket(call as u64 * ASKS_MAX + state.asks);
        let deadline = self.now + self.config.wait_max;
        let (routed, affinity) = (Routed::default(), None);
        let ask = Acquire { ticket, hash, key, mode, deadline, client_cap, routed, affinity };
        let input = Input::Acquire(ask);
        let set = &self.frontends[state.frontend].set;
        let register = (!set.is_default()).then(|| set.register());
        let life = self.managers[manager].life;
        self.heap.push(at, Event::ToManager { manager, life, input, register });
    }

    /// The set was throttled or exhausted: more members, or every untried one, or
    /// the refusal.
    fn widen(&mut self, call: usize) {
        let bounds = self.bounds();
        let state = &mut self.calls[call];
        let frontend = &mut self.frontends[state.frontend];
        let growth = frontend.set.throttled(self.now, state.seen, frontend.id, bounds);
        state.seen = frontend.set.register().epoch;
        let size = match growth {
            Growth::Grew(size) | Growth::AlreadyGrown(size) => size,
            Growth::AtLimit => u16::MAX,
        };
        self.log.line(self.now, format_args!("call {call} widens: {growth:?}"));
        let mut candidates = Vec::new();
        self.ring.members(frontend.set.arc().start, size, &mut candidates);
        candidates.retain(|manager| !state.tried.contains(manager));
        match (growth, candidates.is_empty()) {
            (Growth::AtLimit, true) => {
                let reason = match state.throttles {
                    0 => model::Reason::NoManager,
                    _ => model::Reason::ConcurrentInvocationLimitExceeded,
                };
                self.end_call(call, End::Refused(reason));
            }
            (Growth::Grew(_) | Growth::AlreadyGrown(_), true) => self.widen(call),
            (_, false) => {
                let key = self.keys[state.function].0;
                let probe = Probe::new(self.now, key, &candidates, Budget::default());
                state.throttles = state.throttles.min(1);
                state.probe = Some(probe.surely_cold());
                self.ask_next(call);
            }
        }
    }

    pub(super) fn at_frontend(&mut self, call: usize, word: Word) {
        match word {
            // The other of an answer and a broken connection came first.
            Word::Reply { ask, .. } | Word::NoAnswer { ask, .. }
                if self.calls[call].asked.is_none() || self.calls[call].asks != ask => {}
            Word::Reply { manager, reply, register, .. } => {
                let frontend = &mut self.frontends[self.calls[call].frontend];
                if let Some(register) = register {
                    frontend.set.learn(self.now, register);
                }
                self.calls[call].asked = None;
                self.replied(call, manager, reply);
            }
            Word::NoAnswer { manager, .. } => {
                self.calls[call].asked = None;
                self.answered(call, manager, Answer::Unusable);
                self.ask_next(call);
            }
            Word::RunRefused => self.run_refused(call),
            Word::Ran => {
                let end = if self.calls[call].warm { End::Warm } else { End::Cold };
                self.end_call(call, end);
            }
            Word::Broken => self.end_call(call, End::Failed),
        }
    }

    fn replied(&mut self, call: usize, manager: usize, reply: Reply) {
        match reply {
            Reply::Grant(grant, load) => {
                let answer = Answer::Granted { load, warm: grant.warm };
                self.answered(call, manager, answer);
                let state = &mut self.calls[call];
                let hints = &mut self.frontends[state.frontend].hints;
                if !grant.warm {
                    hints.learn_cold(self.keys[state.function].0, self.now.since(state.asked_at));
                }
                state.warm = grant.warm;
                state.lease = Some((manager, grant.lease));
                self.send_run(call, manager, &grant);
            }
            Reply::NoIdle(_) => {
                assert_eq!(self.calls[call].mode, Mode::Existing, "NoIdle answers Existing only");
                self.answered(call, manager, Answer::NoIdle);
                self.ask_next(call);
            }
            Reply::Throttle(_) => {
                self.answered(call, manager, Answer::Unusable);
                let state = &mut self.calls[call];
                state.throttles += 1;
                if state.throttles >= 2 { self.widen(call) } else { self.ask_next(call) }
            }
            Reply::Refused { reason, .. } => self.end_call(call, End::Refused(reason)),
            Reply::StartFailed { .. } => self.end_call(call, End::Failed),
        }
    }

    fn answered(&mut self, call: usize, manager: usize, answer: Answer) {
        let state = &mut self.calls[call];
        let hints = &mut self.frontends[state.frontend].hints;
        if let Some(probe) = &mut state.probe {
            probe.answered(ManagerId(manager as u64), answer, hints);
        }
    }

    /// Nothing ran: the lease goes back, and the call has another attempt (I8).
    fn run_refused(&mut self, call: usize) {
        if let Some((manager, lease)) = self.calls[call].lease.take() {
            let input = Input::Released { lease, outcome: LeaseOutcome::NotStarted };
            let (at, life) = (self.hop(), self.managers[manager].life);
            self.heap.push(at, Event::ToManager { manager, life, input, register: None });
        }
        if self.calls[call].attempts < limits::ATTEMPTS_MAX {
            self.acquire(call);
        } else {
            self.end_call(call, End::Failed);
        }
    }

    /// The first frontend is the home of the one client.
    pub(super) fn shrink_sets(&mut self) {
        let bounds = self.bounds();
        let Some(home) = self.frontends.first_mut() else { return };
        let mut members = Vec::new();
        self.ring.members(home.set.arc().start, home.set.arc().size, &mut members);
        let calls = |m: &ManagerId| self.managers[m.0 as usize].book.client_calls(account());
        let loads: Vec<u32> = members.iter().map(calls).collect();
        if home.set.shrink(self.now, &loads, home.id, bounds) {
            let size = home.set.arc().size;
            self.log.line(self.now, format_args!("set shrinks to {size}"));
        }
    }
}
