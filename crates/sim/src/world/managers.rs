//! Managers: the real book, and a shell that performs what it says, with faults
//! where the plan has them.

use decide::{
    Book,
    book::{self, Output, Outputs},
};
use model::{Capacity, WorkerId};

use super::{frontends::call_and_ask, *};

#[derive(Debug)]
pub(super) struct Manager {
    pub(super) book: Book,
    pub(super) life: u64,
    /// When it will be woken, where that is planned.
    pub(super) wake: Option<Now>,
    register: Option<Register>,
    out: Outputs,
}

impl Manager {
    pub(super) fn new(config: &Config, life: u64) -> Manager {
        let book = Book::new(book::Config {
            idle_ttl: config.idle_ttl,
            // Leases and starts of another life have other numbers.
            first_lease: life << 28,
            create_tokens: config.create_tokens,
            patience: config.patience,
            ..book::Config::default()
        });
        Manager { book, life, wake: None, register: None, out: Outputs::new() }
    }
}

impl World<'_> {
    pub(super) fn at_manager(&mut self, at: usize, input: Input, register: Option<Register>) {
        let manager = &mut self.managers[at];
        manager.register = match (manager.register, register) {
            (Some(held), Some(told)) => Some(held.join(told)),
            (held, told) => held.or(told),
        };
        let mut out = std::mem::take(&mut manager.out);
        manager.book.handle(self.now, input, &mut out);
        for output in out.drain(..) {
            self.perform(at, output);
        }
        self.managers[at].out = out;
        self.plan_wake(at);
    }

    fn perform(&mut self, at: usize, output: Output) {
        match output {
            Output::Reply { ticket, reply } => {
                let (call, ask) = call_and_ask(ticket);
                let register = self.managers[at].register;
                let (when, life) = (self.hop(), self.calls[call].life);
                let word = Word::Reply { ask, manager: at, reply, register };
                self.heap.push(when, Event::ToFrontend { call, life, word });
            }
            Output::Start { start, worker, key } => {
                self.order(at, worker, Order::Start { manager: at, start, key });
            }
            Output::Retire { env, worker, epoch } => {
                self.order(at, worker, Order::Retire { env, epoch });
            }
            // Nobody in this world sets a target.
            Output::Report(_) => {}
            Output::AskTokens { .. } | Output::ReturnTokens { .. } => {
                unreachable!("no home of a bucket is named")
            }
            Output::Tell { .. } | Output::Transfer { .. } => {
                unreachable!("all managers are of one ring version")
            }
            Output::Fact(fact) => {
                self.tally.fact(&fact);
                self.log.line(self.now, format_args!("manager {at} {fact:?}"));
            }
        }
    }

    fn order(&mut self, manager: usize, worker: WorkerId, order: Order) {
        let worker = worker.0 as usize;
        let (at, life) = (self.hop_in_line(true, manager, worker), self.workers[worker].life);
        self.heap.push(at, Event::ToWorker { worker, life, order });
    }

    fn plan_wake(&mut self, at: usize) {
        let manager = &mut self.managers[at];
        let Some((due, _)) = manager.book.deadline() else { return };
        if manager.wake.is_none_or(|planned| due < planned) {
            manager.wake = Some(due);
            let life = manager.life;
            self.heap.push(due.max(self.now), Event::Wake { manager: at, life });
        }
    }

    /// The worker tells every manager what it offers and what it hosts for it.
    pub(super) fn offer(&mut self, worker: usize) {
        for manager in 0..self.managers.len() {
            self.offer_to(worker, manager);
        }
    }

    pub(super) fn offer_to(&mut self, worker: usize, manager: usize) {
        let capacity = Capacity {
            memory_mb: self.config.worker_memory_mb,
            slots: self.config.worker_slots,
            architecture: Architecture::X86_64,
        };
        let id = WorkerId(worker as u64);
        let envs = self.workers[worker].list(manager);
        self.tell_manager(worker, manager, Input::WorkerOffers { worker: id, capacity });
        self.tell_manager(worker, manager, Input::Rebuild { worker: id, envs });
    }

    /// From a worker to a manager, in order.
    pub(super) fn tell_manager(&mut self, worker: usize, manager: usize, input: Input) {
        let at = self.hop_in_line(false, manager, worker);
        let life = self.managers[manager].life;
        self.heap.push(at, Event::ToManager { manager, life, input, register: None });
    }
}
