//! Managers of a region: the real book, and the clients' registers beside it.
//! What it decides is performed at once; messages to workers keep their order.

use decide::{
    Book,
    book::{self, Output, Outputs},
};
use model::{Capacity, WorkerId, function::Architecture};

use super::{frontends::call_and_ask, *};

#[derive(Debug)]
pub(super) struct Manager {
    pub(super) book: Book,
    pub(super) life: u32,
    pub(super) down: bool,
    /// When it will be woken, where that is planned.
    pub(super) wake: Option<Now>,
    pub(super) acquires: u64,
    registers: BTreeMap<u64, Register>,
    out: Outputs,
}

impl Manager {
    pub(super) fn new(config: &Config, life: u32) -> Manager {
        let book = Book::new(book::Config {
            idle_ttl: config.idle_ttl,
            // Leases and starts of another life have other numbers.
            first_lease: u64::from(life) << 28,
            create_tokens: config.create_tokens,
            ..book::Config::default()
        });
        let registers = BTreeMap::new();
        let out = Outputs::new();
        Manager { book, life, down: false, wake: None, acquires: 0, registers, out }
    }

    /// Joins what a caller holds of a client; what is held now.
    fn join(&mut self, told: Told) {
        if let Some((start, register)) = told {
            let held = self.registers.entry(start).or_insert(register);
            *held = held.join(register);
        }
    }
}

impl Region<'_> {
    pub(super) fn at_manager(&mut self, at: u32, life: u32, input: Input, told: Told) {
        let manager = &mut self.managers[at as usize];
        if manager.down || manager.life != life {
            return;
        }
        manager.join(told);
        manager.acquires += u64::from(matches!(input, Input::Acquire(_)));
        // What workers offer and host, they say for no call.
        let of_fleet = matches!(input, Input::WorkerOffers { .. } | Input::Rebuild { .. });
        let mut out = std::mem::take(&mut manager.out);
        manager.book.handle(self.now, input, &mut out);
        self.sum.decisions += u64::from(!of_fleet);
        for output in out.drain(..) {
            self.perform(at, output);
        }
        self.managers[at as usize].out = out;
        self.plan_wake(at);
    }

    fn perform(&mut self, at: u32, output: Output) {
        match output {
            Output::Reply { ticket, reply } => {
                let (call, ask) = call_and_ask(ticket);
                let function = self.calls[call as usize].function;
                let account = self.population.functions[function as usize].account();
                let start = arcs::start_of_account(account);
                let held = self.managers[at as usize].registers.get(&start);
                let told = held.map(|register| (start, *register));
                let when = self.hop();
                self.heap.push(when, Event::Answer { call, ask, manager: at, reply, told });
            }
            Output::Start { start, worker, key } => self.start_env(at, start, worker, key),
            Output::Retire { env, epoch, .. } => self.retire_env(env, epoch),
            // Nobody here sets a target.
            Output::Report(_) => {}
            Output::AskTokens { .. } | Output::ReturnTokens { .. } => {
                unreachable!("no home of a bucket is named")
            }
            Output::Tell { .. } | Output::Transfer { .. } => {
                unreachable!("all managers are of one ring version")
            }
            Output::Fact(fact) => self.sum.fact(&fact),
        }
    }

    fn plan_wake(&mut self, at: u32) {
        let manager = &mut self.managers[at as usize];
        let Some((due, _)) = manager.book.deadline() else { return };
        if manager.wake.is_none_or(|planned| due < planned) {
            manager.wake = Some(due);
            let life = manager.life;
            self.heap.push(due.max(self.now), Event::Wake { manager: at, life });
        }
    }

    /// The workers of a manager tell it their share for it and what they host for it.
    pub(super) fn offer_to(&mut self, at: usize) {
        let (each, among) = (self.config.slots_per_worker, self.config.managers_per_worker);
        let slots = each / among as u32;
        let (workers, managers) = (self.config.workers, self.config.managers);
        for worker in (0..workers).filter(|w| serves(*w, at, managers, among)) {
            let capacity =
                Capacity { memory_mb: 1 << 40, slots, architecture: Architecture::X86_64 };
            let id = WorkerId(worker as u64);
            let envs = self.list(worker, at as u32);
            self.tell_manager(at as u32, Input::WorkerOffers { worker: id, capacity });
            self.tell_manager(at as u32, Input::Rebuild { worker: id, envs });
        }
    }

    /// From a worker to a manager, in order.
    pub(super) fn tell_manager(&mut self, manager: u32, input: Input) {
        let life = self.managers[manager as usize].life;
        let input = Box::new(input);
        self.heap.push(self.now + LINE, Event::ToManager { manager, life, input, told: None });
    }
}

/// Whether a worker divides its slots with this manager as one of `among`.
fn serves(worker: usize, manager: usize, managers: usize, among: usize) -> bool {
    let first = worker * among % managers;
    (manager + managers - first) % managers < among
}
