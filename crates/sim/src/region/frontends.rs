//! Frontends of a region: admission, the search, the run, and the call's one end.
//! Nothing of a call is kept after its end.

use decide::{
    admit::Ask,
    book::{Acquire, Mode, Outcome as LeaseOutcome, Routed, Ticket},
    search::{Answer, Next, Route, Search, Set, Steering},
};
use model::{FrontendId, Reason, VersionId, reason::ReasonKind};

use super::*;

/// A call that waits longer for an environment is refused.
const WAIT_MAX: Span = Span::secs(900);
/// A manager that does not answer by then is passed over.
const ANSWER_MAX: Span = Span::millis(2);

#[derive(Debug)]
pub(super) struct Frontend {
    pub(super) id: FrontendId,
    pub(super) steering: Steering,
}

impl Frontend {
    pub(super) fn new(at: usize) -> Frontend {
        let id = FrontendId(at as u64);
        Frontend { id, steering: Steering::new(id) }
    }
}

/// A call in flight.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) function: u32,
    frontend: u32,
    counter: u32,
    attempts: u32,
    /// Questions so far, over all calls that had this place; the newest counts.
    ask: u32,
    asked_at: Now,
    at: Now,
    warm: bool,
    probes: u32,
    search: Option<Box<Search>>,
    concurrency: Option<LeaseId>,
    granted: Option<(u32, LeaseId)>,
    /// Whose answer it waits for.
    asked: Option<u32>,
}

pub(super) fn call_and_ask(ticket: Ticket) -> (u32, u32) {
    ((ticket.0 >> 32) as u32, ticket.0 as u32)
}

impl Region<'_> {
    pub(super) fn plan_arrival(&mut self) {
        if let Some((at, function)) = self.arrivals.next(self.now) {
            self.heap.push(at, Event::Arrive);
            self.sum.next_function = function;
        }
    }

    /// Whether the answer is to the call's newest question.
    pub(super) fn waits(&self, call: u32, ask: u32) -> bool {
        let call = &self.calls[call as usize];
        call.ask == ask && call.concurrency.is_some()
    }

    pub(super) fn arrive(&mut self) {
        let function = self.sum.next_function;
        self.plan_arrival();
        let frontend = self.dice.below(self.frontends.len() as u64) as u32;
        let account = self.population.functions[function as usize].account();
        let start = self.start_of(account);
        let counter = self.ring.owner(start).map_or(0, |manager| manager.0 as u32);
        let (_, key) = self.key(function);
        let ask = Ask {
            account,
            function: &key.function,
            version: VersionId::Latest,
            tenant: None,
            holder: self.frontends[frontend as usize].id,
        };
        self.sum.arrived();
        self.sum.decisions += 1;
        match self.counters[counter as usize].take(self.now, &ask) {
            Ok(admitted) => {
                let lease = Some(admitted.lease);
                let call = self.open(function, frontend, counter, lease);
                self.begin(call);
            }
            Err(refusal) => {
                let kind = refusal.reason.kind();
                assert_eq!(kind, ReasonKind::Limit, "I27 broken: a counter knows no capacity");
                self.sum.refused(self.now, refusal.reason);
            }
        }
    }

    fn open(
        &mut self,
        function: u32,
        frontend: u32,
        counter: u32,
        concurrency: Option<LeaseId>,
    ) -> u32 {
        let at = self.free.pop();
        let ask = at.map_or(0, |at| self.calls[at as usize].ask + 1);
        let call = Call {
            function,
            frontend,
            counter,
            attempts: 0,
            ask,
            asked_at: self.now,
            at: self.now,
            warm: false,
            probes: 0,
            search: None,
            concurrency,
            granted: None,
            asked: None,
        };
        match at {
            Some(at) => {
                self.calls[at as usize] = call;
                at
            }
            None => {
                self.calls.push(call);
                (self.calls.len() - 1) as u32
            }
        }
    }

    fn begin(&mut self, at: u32) {
        let function = self.calls[at as usize].function;
        let (hash, key) = self.key(function);
        let start = arcs::start_of_account(key.account);
        let route = Route { key: hash, start, provisioned: None, bounds: self.bounds() };
        let call = &mut self.calls[at as usize];
        call.attempts += 1;
        let steering = &mut self.frontends[call.frontend as usize].steering;
        self.sum.decisions += 1;
        call.search = Some(Box::new(Search::begin(self.now, route, &self.ring, steering)));
        self.ask_next(at);
    }

    fn ask_next(&mut self, at: u32) {
        let call = &mut self.calls[at as usize];
        let Some(search) = &mut call.search else { return };
        let steering = &mut self.frontends[call.frontend as usize].steering;
        self.sum.decisions += 1;
        match search.next(self.now, &self.ring, steering, &mut self.dice) {
            Next::Ask { manager, set, mode } => {
                assert_eq!(set, Set::OnDemand, "nothing is provisioned here");
                self.ask(at, manager, mode);
            }
            Next::Refused(reason) => self.end(at, Err(reason)),
        }
    }

    fn ask(&mut self, at: u32, manager: ManagerId, mode: Mode) {
        let function = self.calls[at as usize].function;
        let (hash, key) = self.key(function);
        let start = arcs::start_of_account(key.account);
        let (when, now, cap) = (self.hop(), self.now, self.bounds().cap());
        let call = &mut self.calls[at as usize];
        call.ask = call.ask.wrapping_add(1);
        call.probes += 1;
        call.asked_at = now;
        let input = Input::Acquire(Acquire {
            ticket: Ticket(u64::from(at) << 32 | u64::from(call.ask)),
            hash,
            key,
            mode,
            deadline: now + WAIT_MAX,
            client_cap: cap,
            routed: Routed::default(),
            affinity: None,
        });
        let told = self.frontends[call.frontend as usize].steering.register(start);
        let (told, ask) = (told.map(|register| (start, register)), call.ask);
        let id = manager.0 as u32;
        call.asked = Some(id);
        let manager = &self.managers[id as usize];
        if manager.down {
            let event = Event::Silent { call: at, ask, manager: id };
            return self.heap.push(now + ANSWER_MAX, event);
        }
        let (life, input) = (manager.life, Box::new(input));
        self.heap.push(when, Event::ToManager { manager: id, life, input, told });
    }

    pub(super) fn answered(&mut self, at: u32, manager: u32, reply: Reply, told: Told) {
        let call = &mut self.calls[at as usize];
        let steering = &mut self.frontends[call.frontend as usize].steering;
        call.asked = None;
        if let Some((start, register)) = told {
            steering.learn(self.now, start, register);
        }
        let took = self.now.since(call.asked_at);
        let answer = match reply {
            Reply::Grant(grant, load) => {
                call.warm = grant.warm;
                call.granted = Some((manager, grant.lease));
                Answer::Granted { load, warm: grant.warm, took }
            }
            Reply::NoIdle(_) => Answer::NoIdle,
            Reply::Throttle(_) => Answer::Throttled,
            Reply::Refused { reason, .. } => return self.end(at, Err(reason)),
            Reply::StartFailed { .. } => unreachable!("no start of this region fails"),
        };
        self.sum.decisions += 1;
        if let Some(search) = &mut call.search {
            search.answered(ManagerId(u64::from(manager)), answer, steering);
        }
        if let Reply::Grant(grant, _) = reply {
            call.search = None;
            let (call, ask) = (at, call.ask);
            let when = self.hop();
            return self.heap.push(when, Event::Run { call, ask, grant });
        }
        self.ask_next(at);
    }

    /// The manager and the question that a call waits for.
    pub(super) fn asked(&self, call: u32) -> Option<(u32, u32)> {
        let call = &self.calls[call as usize];
        call.concurrency?;
        Some((call.asked?, call.ask))
    }

    pub(super) fn silent(&mut self, at: u32, manager: u32) {
        let call = &mut self.calls[at as usize];
        if call.asked != Some(manager) {
            return;
        }
        let steering = &mut self.frontends[call.frontend as usize].steering;
        if let Some(search) = &mut call.search {
            search.answered(ManagerId(u64::from(manager)), Answer::Silent, steering);
        }
        self.ask_next(at);
    }

    /// Nothing ran: the lease goes back, and the call has another attempt (I8).
    pub(super) fn run_refused(&mut self, at: u32) {
        if let Some((manager, lease)) = self.calls[at as usize].granted.take() {
            let input = Input::Released { lease, outcome: LeaseOutcome::NotStarted };
            let life = self.managers[manager as usize].life;
            let when = self.hop();
            let input = Box::new(input);
            self.heap.push(when, Event::ToManager { manager, life, input, told: None });
        }
        if self.calls[at as usize].attempts < limits::ATTEMPTS_MAX {
            self.begin(at);
        } else {
            self.end(at, Err(Reason::NoCapacity));
        }
    }

    pub(super) fn served(&mut self, at: u32) {
        let warm = self.calls[at as usize].warm;
        self.end(at, Ok(warm));
    }

    /// The one end of a call (I27): served warm or cold, or one reason.
    fn end(&mut self, at: u32, end: Result<bool, Reason>) {
        let call = &mut self.calls[at as usize];
        call.search = None;
        let Some(lease) = call.concurrency.take() else {
            panic!("I27 broken: call {at} ended twice")
        };
        let (counter, probes, since) = (call.counter, call.probes, call.at);
        let run = self.population.functions[call.function as usize].run;
        self.sum.decisions += 1;
        assert!(self.counters[counter as usize].give_back(lease), "I4 broken: {lease} had ended");
        self.free.push(at);
        self.sum.environments_last = self.envs.len();
        let wait = Span(self.now.since(since).as_micros().saturating_sub(run.as_micros()));
        match end {
            Ok(warm) => self.sum.served(self.now, warm, probes, wait),
            Err(reason) => self.sum.refused(self.now, reason),
        }
    }

    /// One round: each frontend tells a few others of the sets that changed (A7).
    pub(super) fn gossip(&mut self) {
        let fleet: Vec<FrontendId> = (0..self.frontends.len() as u64).map(FrontendId).collect();
        let mut peers = Vec::new();
        for at in 0..self.frontends.len() {
            let news: Arc<[_]> = self.frontends[at].steering.news(self.now).into();
            if news.is_empty() {
                continue;
            }
            peers.clear();
            gossip::peers(fleet[at], &fleet, &mut self.dice, &mut peers);
            self.sum.gossip_bytes += gossip::bytes(news.len(), peers.len());
            for peer in &peers {
                let lost = self.dice.chance(self.config.gossip_loss_percent, 100);
                let (when, news) = (self.hop(), Arc::clone(&news));
                if !lost {
                    self.heap.push(when, Event::Heard { frontend: peer.0 as u32, news });
                }
            }
        }
        self.heap.push(self.now + gossip::EVERY, Event::Gossip);
    }

    pub(super) fn heard(&mut self, frontend: u32, news: &[(u64, Register)]) {
        let steering = &mut self.frontends[frontend as usize].steering;
        for (start, register) in news {
            steering.learn(self.now, *start, *register);
        }
    }

    /// A frontend died: nobody hears what is said to its calls, and their leases end by
    /// themselves.
    pub(super) fn lose_calls(&mut self, frontend: usize) {
        for at in 0..self.calls.len() as u32 {
            let call = &mut self.calls[at as usize];
            if call.frontend as usize == frontend && call.concurrency.take().is_some() {
                call.search = None;
                self.free.push(at);
                self.sum.call_lost();
            }
        }
    }

    /// Each client's home frontend looks at the loads of its members (A6, A7).
    pub(super) fn shrink_sets(&mut self) {
        let (bounds, homes) = (self.bounds(), self.frontends.len() as u64);
        for at in 0..self.frontends.len() {
            let arcs: Vec<_> = self.frontends[at].steering.wide_sets().collect();
            for arc in arcs.into_iter().filter(|arc| arc.start % homes == at as u64) {
                let Some(account) = self.starts.get(&arc.start).copied() else { continue };
                let mut members = Vec::new();
                self.ring.members(arc.start, arc.size, &mut members);
                let calls = |m: &ManagerId| self.managers[m.0 as usize].book.client_calls(account);
                let loads: Vec<u32> = members.iter().map(calls).collect();
                let steering = &mut self.frontends[at].steering;
                let shrunk = steering.shrink(self.now, arc.start, &loads, bounds);
                if shrunk {
                    self.sum.shrinks += 1;
                    self.sum.shrunk_by.insert(at);
                }
            }
        }
    }
}
