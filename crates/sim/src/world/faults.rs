//! What goes wrong on purpose: processes die and come back, messages are slow,
//! starts fail. When and where, the dice say.

use decide::book::Input;
use model::WorkerId;

use super::*;

/// How often things go wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Faults {
    pub frontend_deaths: u32,
    pub manager_deaths: u32,
    pub worker_deaths: u32,
    /// Messages that take up to 3 s.
    pub slow_per_mille: u64,
    /// Starts that the platform fails.
    pub start_fails_per_mille: u64,
    /// Starts whose user init crashes.
    pub init_fails_per_mille: u64,
}

impl Faults {
    pub const NONE: Faults = Faults {
        frontend_deaths: 0,
        manager_deaths: 0,
        worker_deaths: 0,
        slow_per_mille: 0,
        start_fails_per_mille: 0,
        init_fails_per_mille: 0,
    };

    /// A bit of everything.
    pub const SOME: Faults = Faults {
        frontend_deaths: 2,
        manager_deaths: 2,
        worker_deaths: 2,
        slow_per_mille: 5,
        start_fails_per_mille: 30,
        init_fails_per_mille: 10,
    };
}

/// Until the others notice that a worker is lost, and until it is back.
const NOTICED: Span = Span::secs(1);
const BACK: Span = Span::secs(8);

#[derive(Clone, Copy, Debug)]
pub(super) enum Fault {
    FrontendDies(usize),
    ManagerDies(usize),
    WorkerDies(usize),
    WorkerNoticed(usize),
    WorkerBack(usize),
}

impl World<'_> {
    pub(super) fn plan_faults(&mut self) {
        let Faults { frontend_deaths, manager_deaths, worker_deaths, .. } = self.config.faults;
        let last = self.workload.calls.last().map_or(0, |call| call.at.0) + 1_000_000;
        type Make = fn(usize) -> Fault;
        let kinds: [(u32, usize, Make); 3] = [
            (frontend_deaths, self.frontends.len(), Fault::FrontendDies),
            (manager_deaths, self.managers.len(), Fault::ManagerDies),
            (worker_deaths, self.workers.len(), Fault::WorkerDies),
        ];
        for (times, of, fault) in kinds {
            for _ in 0..times {
                let at = Now(self.dice.below(last));
                let who = self.dice.below(of as u64) as usize;
                self.heap.push(at, Event::Fault(fault(who)));
            }
        }
    }

    pub(super) fn strike(&mut self, fault: Fault) {
        self.log.line(self.now, format_args!("fault {fault:?}"));
        match fault {
            Fault::FrontendDies(at) => self.frontend_dies(at),
            Fault::ManagerDies(at) => self.manager_dies(at),
            Fault::WorkerDies(at) => self.worker_dies(at),
            Fault::WorkerNoticed(at) => {
                for manager in 0..self.managers.len() {
                    let worker = WorkerId(at as u64);
                    self.tell_manager(at, manager, Input::WorkerLost { worker });
                }
            }
            Fault::WorkerBack(at) => {
                self.workers[at].down = false;
                self.offer(at);
            }
        }
    }

    fn frontend_dies(&mut self, at: usize) {
        self.frontends[at] = self.frontends[at].reborn();
        let life = self.frontends[at].life;
        let arrived = |state: &CallState| state.concurrency.is_some() && state.end.is_none();
        for call in 0..self.calls.len() {
            let state = &mut self.calls[call];
            if state.frontend == at && arrived(state) {
                // What is still said to it reaches nobody.
                state.life = life + u64::MAX / 2;
                self.end_call(call, End::Lost);
            }
        }
    }

    /// The book is lost with its process and rebuilt from the workers.
    fn manager_dies(&mut self, at: usize) {
        let life = self.managers[at].life + 1;
        self.managers[at] = Manager::new(self.config, life);
        for call in 0..self.calls.len() {
            if self.calls[call].asked == Some(at) && self.calls[call].end.is_none() {
                let (when, life) = (self.hop(), self.calls[call].life);
                let word = Word::NoAnswer { ask: self.calls[call].asks, manager: at };
                self.heap.push(when, Event::ToFrontend { call, life, word });
            }
        }
        for worker in 0..self.workers.len() {
            if !self.workers[worker].down {
                self.offer_to(worker, at);
            }
        }
    }

    fn worker_dies(&mut self, at: usize) {
        if self.workers[at].down {
            return;
        }
        let (calls, memory) = self.workers[at].die();
        self.tally.memory_freed(memory);
        for call in calls {
            let (when, life) = (self.hop(), self.calls[call].life);
            self.heap.push(when, Event::ToFrontend { call, life, word: Word::Broken });
        }
        self.heap.push(self.now + NOTICED, Event::Fault(Fault::WorkerNoticed(at)));
        self.heap.push(self.now + BACK, Event::Fault(Fault::WorkerBack(at)));
    }
}
