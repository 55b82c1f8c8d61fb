//! Provisioned targets of one book, from outside: what is started, kept, retired
//! and reported, at instants that the test chooses. Sets over many books:
//! `provision.rs`.

use std::sync::Arc;

use decide::{
    Book, Fact,
    book::{Acquire, Config, Input, Mode, Outcome, Output, Reply, StartId, Target, Ticket, Whose},
    fact::RetireWhy,
};
use model::{
    Capacity, Class, Effort, EnvId, Epoch, Grant, Hosted, KeyHash, Load, Now, PoolKey, Span,
    TargetReport, Trouble, VersionId, function::Architecture, limits,
};

use crate::desk::{WORKER, asked, offered, plain, reply_to, retired};

fn key(class: Class) -> Arc<PoolKey> {
    Arc::new(PoolKey { version: VersionId::Published(1), class, ..plain("f") })
}

/// A book whose worker answers when the test says so.
struct Desk {
    book: Book,
    now: Now,
    out: Vec<Output>,
    pending: Vec<StartId>,
    envs: u64,
    tickets: u64,
    key: Arc<PoolKey>,
}

impl Desk {
    fn new(memory_mb: u64, config: Config) -> Desk {
        let key = key(Class::Provisioned);
        let book = Book::new(config);
        let mut desk =
            Desk { book, now: Now(0), out: vec![], pending: vec![], envs: 0, tickets: 0, key };
        desk.tell(offered(WORKER, memory_mb));
        desk
    }

    fn roomy() -> Desk {
        Desk::new(1_000_000, Config::default())
    }

    fn tell(&mut self, input: Input) {
        let from = self.out.len();
        self.book.handle(self.now, input, &mut self.out);
        for output in &self.out[from..] {
            if let Output::Start { start, .. } = output {
                self.pending.push(*start);
            }
        }
    }

    fn target(&mut self, share: u32, epoch: u64) {
        let (hash, key, epoch) = (self.hash(), Arc::clone(&self.key), Epoch(epoch));
        self.tell(Input::SetTarget(Target { key, hash, share, epoch }));
    }

    fn hash(&self) -> KeyHash {
        self.key.hash()
    }

    /// Answers the oldest pending start.
    fn finish_one(&mut self) -> EnvId {
        let start = self.pending.remove(0);
        self.envs += 1;
        let env = EnvId::new(WORKER, self.envs);
        self.tell(Input::Started { start, env, epoch: Epoch(1) });
        env
    }

    fn finish_all(&mut self) {
        while !self.pending.is_empty() {
            self.finish_one();
        }
    }

    fn fail_one(&mut self, why: Trouble) {
        let start = self.pending.remove(0);
        self.tell(Input::StartFailed { start, why });
    }

    /// Lets the book's own instants come, one by one, until `secs`.
    fn pass_to(&mut self, secs: u64) {
        let end = Now(0) + Span::secs(secs);
        while let Some((at, _)) = self.book.deadline()
            && at <= end
        {
            self.now = at;
            self.tell(Input::Deadline);
        }
        self.now = end;
    }

    fn ask(&mut self, mode: Mode, client_cap: u32) -> Reply {
        self.tickets += 1;
        let ticket = Ticket(self.tickets);
        self.tell(Input::Acquire(Acquire { mode, client_cap, ..asked(ticket, &self.key) }));
        self.answer(ticket).expect("a call of a provisioned key never waits")
    }

    fn answer(&self, ticket: Ticket) -> Option<Reply> {
        reply_to(&self.out, ticket)
    }

    fn run(&mut self) -> Grant {
        let answer = self.ask(Mode::Existing, u32::MAX);
        let Reply::Grant(grant, _) = answer else { panic!("{answer:?}") };
        self.tell(Input::RunStarted { lease: grant.lease });
        grant
    }

    fn end(&mut self, grant: Grant) {
        self.tell(Input::Released { lease: grant.lease, outcome: Outcome::Reusable });
    }

    fn load(&self) -> (u32, u32, u32) {
        let Load { idle, busy, starting, .. } = self.book.load(self.hash());
        (idle, busy, starting)
    }

    fn reports(&self) -> Vec<TargetReport> {
        let report = |output: &Output| {
            let Output::Report(report) = output else { return None };
            Some(*report)
        };
        self.out.iter().filter_map(report).collect()
    }

    fn retired(&self) -> Vec<RetireWhy> {
        let why = |output: &Output| {
            let Output::Fact(Fact::Retired { why, .. }) = output else { return None };
            Some(*why)
        };
        self.out.iter().filter_map(why).collect()
    }

    /// Tells of each retired environment that it is gone.
    fn bury(&mut self) {
        let gone = retired(&self.out);
        self.out.clear();
        for env in gone {
            self.tell(Input::Gone { env });
        }
    }
}

#[test]
fn a_target_is_filled_with_bounded_starts_and_without_create_tokens() {
    let config = Config { provisioned_starts: 4, create_tokens: (0, 0), ..Config::default() };
    let mut desk = Desk::new(1_000_000, config);
    desk.target(10, 1);
    assert_eq!(desk.load(), (0, 0, 4));
    desk.finish_one();
    assert_eq!(desk.load(), (1, 0, 4));
    desk.finish_all();
    assert_eq!(desk.load(), (10, 0, 0));
    desk.pass_to(5);
    let last = *desk.reports().last().unwrap();
    assert_eq!((last.epoch, last.share, last.envs, last.idle), (Epoch(1), 10, 10, 10));
    assert_eq!(last.effort, Effort::Going);
}

#[test]
fn calls_take_the_newest_and_start_nothing() {
    let mut desk = Desk::roomy();
    desk.target(2, 1);
    let older = desk.finish_one();
    let newer = desk.finish_one();
    // What the account has elsewhere at this manager is not in the way (A1.4).
    assert!(matches!(desk.ask(Mode::Existing, 0), Reply::Grant(grant, _) if grant.env == newer));
    assert_eq!(desk.book.client_calls(desk.key.account), 0);
    assert_eq!(desk.run().env, older);
    for mode in [Mode::Existing, Mode::ExistingOrNew] {
        assert!(matches!(desk.ask(mode, u32::MAX), Reply::NoIdle(_)), "{mode:?}");
    }
    assert!(desk.pending.is_empty());
}

#[test]
fn neither_time_nor_need_of_room_takes_what_is_provisioned() {
    let mut desk = Desk::new(4 * 128, Config::default());
    desk.target(3, 1);
    desk.finish_all();
    desk.pass_to(10_000);
    assert_eq!(desk.load(), (3, 0, 0));
    // There is room for one more: on-demand ones make it for each other.
    let provisioned = std::mem::replace(&mut desk.key, key(Class::OnDemand));
    for revision in 1..=3 {
        desk.key = Arc::new(PoolKey { revision, ..(*desk.key).clone() });
        let ticket = Ticket(900 + revision);
        desk.tell(Input::Acquire(asked(ticket, &desk.key)));
        assert_eq!(desk.retired().len(), usize::from(revision > 1));
        desk.bury();
        desk.finish_all();
        let grant = desk.answer(ticket).expect("it was made");
        let Reply::Grant(grant, _) = grant else { panic!("{grant:?}") };
        desk.end(grant);
    }
    desk.key = provisioned;
    assert_eq!(desk.load(), (3, 0, 0));
}

#[test]
fn i6_a_lower_epoch_is_ignored_and_told_what_is_in_force() {
    let mut desk = Desk::roomy();
    desk.target(2, 5);
    desk.finish_all();
    desk.pass_to(3);
    desk.out.clear();
    desk.target(9, 4);
    assert!(desk.pending.is_empty());
    let [told] = desk.reports()[..] else { panic!("{:?}", desk.reports()) };
    assert_eq!((told.epoch, told.share), (Epoch(5), 2));
    desk.target(3, 6);
    assert_eq!(desk.pending.len(), 1);
}

#[test]
fn a_killed_environment_is_replaced() {
    let mut desk = Desk::roomy();
    desk.target(2, 1);
    let victim = desk.finish_one();
    desk.finish_all();
    desk.tell(Input::Gone { env: victim });
    assert_eq!(desk.load(), (1, 0, 1));
    desk.finish_all();
    let grant = desk.run();
    desk.tell(Input::Released { lease: grant.lease, outcome: Outcome::Broken });
    assert_eq!(desk.load(), (1, 0, 1));
}

#[test]
fn the_platforms_failures_are_retried_later_and_later() {
    let mut desk = Desk::roomy();
    desk.target(1, 1);
    let mut tried = vec![0];
    for second in 1..=200 {
        if !desk.pending.is_empty() {
            desk.fail_one(Trouble::Platform);
        }
        desk.pass_to(second);
        if !desk.pending.is_empty() {
            tried.push(second);
        }
    }
    assert_eq!(tried, [0, 1, 3, 7, 15, 31, 63, 123, 183]);
    let last = *desk.reports().last().unwrap();
    assert_eq!(last.effort, Effort::Retrying(Trouble::Platform));
    desk.pass_to(250);
    desk.finish_all();
    desk.pass_to(255);
    let last = *desk.reports().last().unwrap();
    assert_eq!((last.envs, last.effort), (1, Effort::Going));
}

#[test]
fn a_user_init_that_fails_is_given_up_and_told_until_the_target_is_set_anew() {
    let mut desk = Desk::roomy();
    desk.target(1, 1);
    let mut failures = 0;
    for second in 1..=500 {
        if !desk.pending.is_empty() {
            desk.fail_one(Trouble::Init);
            failures += 1;
        }
        desk.pass_to(second);
    }
    assert_eq!(failures, limits::PROVISIONED_INIT_FAILURES_MAX);
    let last = *desk.reports().last().unwrap();
    assert_eq!((last.failed, last.effort), (failures, Effort::GivenUp));
    desk.target(1, 1);
    assert!(desk.pending.is_empty(), "the same epoch changes nothing");
    desk.target(1, 2);
    assert_eq!(desk.pending.len(), 1);
}

#[test]
fn a_full_fleet_is_asked_again_and_told() {
    let mut desk = Desk::new(3 * 128, Config::default());
    desk.target(5, 1);
    desk.finish_all();
    desk.pass_to(20);
    assert_eq!(desk.load(), (3, 0, 0));
    let last = *desk.reports().last().unwrap();
    assert_eq!((last.envs, last.effort), (3, Effort::Retrying(Trouble::NoRoom)));
    let capacity = Capacity { memory_mb: 1_024, slots: 10, architecture: Architecture::X86_64 };
    desk.tell(Input::WorkerOffers { worker: WORKER, capacity });
    desk.pass_to(120);
    desk.finish_all();
    assert_eq!(desk.load(), (5, 0, 0));
}

#[test]
fn a_surplus_leaves_when_it_was_idle_for_long_enough_and_the_target_is_forgotten() {
    let mut desk = Desk::roomy();
    desk.target(4, 1);
    desk.finish_all();
    desk.pass_to(1_000);
    desk.out.clear();
    desk.target(1, 2);
    desk.pass_to(1_059);
    assert_eq!((desk.load(), desk.retired()), ((4, 0, 0), vec![]));
    let busy = desk.run();
    desk.pass_to(1_066);
    assert_eq!(desk.retired(), [RetireWhy::Surplus; 3], "three idle ones; one is busy");
    desk.bury();
    desk.end(busy);
    desk.target(0, 3);
    desk.pass_to(1_200);
    assert_eq!(desk.retired(), [RetireWhy::Surplus]);
    let last = *desk.reports().last().unwrap();
    assert_eq!((last.epoch, last.share, last.envs), (Epoch(3), 0, 0));
    desk.bury();
    desk.pass_to(1_202);
    assert_eq!(desk.book.deadline(), None, "nothing is left to look at");
}

#[test]
fn raising_again_begins_with_the_survivors() {
    let mut desk = Desk::roomy();
    desk.target(4, 1);
    desk.finish_all();
    desk.target(1, 2);
    desk.pass_to(30);
    desk.target(6, 3);
    assert_eq!(desk.load(), (4, 0, 2));
}

#[test]
fn found_environments_wait_for_the_controller() {
    let mut desk = Desk::roomy();
    let record = |n| Hosted {
        env: EnvId::new(WORKER, n),
        key: key(Class::Provisioned),
        epoch: Epoch(7),
        busy: false,
    };
    desk.tell(Input::Rebuild { worker: WORKER, envs: vec![record(1), record(2), record(3)] });
    assert_eq!(desk.reports().last().map(|r| (r.epoch, r.envs)), Some((Epoch(0), 3)));
    desk.pass_to(30);
    desk.target(2, 9);
    desk.pass_to(59);
    assert_eq!(desk.load(), (3, 0, 0));
    desk.pass_to(70);
    assert_eq!(desk.retired(), [RetireWhy::Surplus]);
}

#[test]
fn a_deleted_function_is_not_made_again_whatever_the_controller_believes() {
    let mut desk = Desk::roomy();
    desk.target(3, 1);
    desk.finish_one();
    let whose = Whose {
        account: desk.key.account,
        function: desk.key.function.clone(),
        version: None,
        keep: None,
    };
    desk.tell(Input::Retire(whose));
    desk.finish_all();
    desk.bury();
    desk.target(3, 1);
    desk.pass_to(100);
    assert!(desk.pending.is_empty());
    assert_eq!(desk.book.environments(), 0);
}

#[test]
fn reports_are_at_most_one_each_second_and_only_on_change() {
    let mut desk = Desk::roomy();
    desk.target(1, 1);
    desk.finish_all();
    desk.pass_to(10);
    desk.out.clear();
    let mut held = None;
    for step in 0..70 {
        desk.now = Now(0) + Span::secs(10) + Span::millis(300 * step);
        desk.tell(Input::Deadline);
        held = match held.take() {
            Some(grant) if step % 7 >= 3 => {
                desk.end(grant);
                None
            }
            None if step % 7 < 3 => Some(desk.run()),
            same => same,
        };
    }
    assert!((5..=21).contains(&desk.reports().len()), "{}", desk.reports().len());
    desk.pass_to(40);
    desk.out.clear();
    desk.pass_to(1_000);
    assert_eq!(desk.reports(), []);
}
