//! Frontends: a call from admission through its search to its end. They hold what
//! steers searches and nothing durable.

use decide::{
    admit::Ask,
    arcs,
    book::{Acquire, Input, Mode, Outcome as LeaseOutcome, Reply, Routed, Ticket},
    search::{Answer, Next, Route, Search, Set, Steering},
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
    steering: Steering,
}

impl Frontend {
    pub(super) fn new(at: usize, fleet: usize) -> Frontend {
        Frontend::born(at as u64, fleet as u64, 0)
    }

    fn born(at: u64, fleet: u64, life: u64) -> Frontend {
        let id = FrontendId(at + life * fleet);
        Frontend { id, life, fleet, steering: Steering::new(id) }
    }

    /// Dead and started anew: another holder, without memory.
    pub(super) fn reborn(&self) -> Frontend {
        Frontend::born(self.id.0 % self.fleet, self.fleet, self.life + 1)
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
    search: Option<Box<Search>>,
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
            search: None,
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

    /// One attempt: a search from its beginning.
    fn acquire(&mut self, call: usize) {
        let (key, start) = (self.keys[self.calls[call].function].0, client());
        let route = Route { key, start, provisioned: None, bounds: self.bounds() };
        let state = &mut self.calls[call];
        state.attempts += 1;
        let steering = &mut self.frontends[state.frontend].steering;
        state.search = Some(Box::new(Search::begin(self.now, route, &self.ring, steering)));
        self.ask_next(call);
    }

    fn ask_next(&mut self, call: usize) {
        let state = &mut self.calls[call];
        let steering = &mut self.frontends[state.frontend].steering;
        let Some(search) = &mut state.search else { return };
        let before = steering.size(client());
        let next = search.next(self.now, &self.ring, steering, &mut self.dice);
        let size = steering.size(client());
        if size != before {
            self.log.line(self.now, format_args!("call {call} widens the set to {size}"));
        }
        match next {
            Next::Ask { manager, set, mode } => {
                assert_eq!(set, Set::OnDemand, "nothing is provisioned here");
                self.ask(call, manager, mode);
            }
            Next::Refused(reason) => self.end_call(call, End::Refused(reason)),
        }
    }

    fn ask(&mut self, call: usize, manager: ManagerId, mode: Mode) {
        let client_cap = self.bounds().cap();
        let at = self.hop();
        let state = &mut self.calls[call];
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
        let register = self.frontends[state.frontend].steering.register(client());
        let life = self.managers[manager].life;
        self.heap.push(at, Event::ToManager { manager, life, input, register });
    }

    pub(super) fn at_frontend(&mut self, call: usize, word: Word) {
        match word {
            // The other of an answer and a broken connection came first.
            Word::Reply { ask, .. } | Word::NoAnswer { ask, .. }
                if self.calls[call].asked.is_none() || self.calls[call].asks != ask => {}
            Word::Reply { manager, reply, register, .. } => {
                let frontend = &mut self.frontends[self.calls[call].frontend];
                if let Some(register) = register {
                    frontend.steering.learn(self.now, client(), register);
                }
                self.calls[call].asked = None;
                self.replied(call, manager, reply);
            }
            Word::NoAnswer { manager, .. } => {
                self.calls[call].asked = None;
                self.answered(call, manager, Answer::Silent);
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
                let took = self.now.since(self.calls[call].asked_at);
                self.answered(call, manager, Answer::Granted { load, warm: grant.warm, took });
                let state = &mut self.calls[call];
                state.search = None;
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
                self.answered(call, manager, Answer::Throttled);
                self.ask_next(call);
            }
            Reply::Refused { reason, .. } => self.end_call(call, End::Refused(reason)),
            Reply::StartFailed { .. } => self.end_call(call, End::Failed),
        }
    }

    fn answered(&mut self, call: usize, manager: usize, answer: Answer) {
        let state = &mut self.calls[call];
        let steering = &mut self.frontends[state.frontend].steering;
        if let Some(search) = &mut state.search {
            search.answered(ManagerId(manager as u64), answer, steering);
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
        let (start, size) = (client(), home.steering.size(client()));
        let mut members = Vec::new();
        self.ring.members(start, size, &mut members);
        let calls = |m: &ManagerId| self.managers[m.0 as usize].book.client_calls(account());
        let loads: Vec<u32> = members.iter().map(calls).collect();
        if home.steering.shrink(self.now, start, &loads, bounds) {
            self.log.line(self.now, format_args!("set shrinks to {}", size - 1));
        }
    }
}

/// Where the arc of the one client starts.
fn client() -> u64 {
    arcs::start_of_account(account())
}
