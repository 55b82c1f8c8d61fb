//! Calls that want the environment which served their value before (A8), in one book
//! with one worker whose environments remember what was written into them.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use decide::{
    Book, Dice, Fact,
    book::{Acquire, Config, Input, Outcome, Output, Reply, StartId, Ticket},
    fact::RetireWhy,
};
use model::{
    AffinityAnswer, AffinityAsk, Digest, EnvId, Epoch, Grant, Hosted, Now, PoolKey, Reason, Span,
    Trouble, WhenBusy, limits,
};

use crate::desk::{WORKER, asked, offered, plain};

const MIB: u64 = 1 << 20;

fn key() -> Arc<PoolKey> {
    Arc::new(plain("f"))
}

/// `s1`, `s2`, … of one principal.
fn value(number: u8, when_busy: WhenBusy) -> AffinityAsk {
    AffinityAsk { value: Digest([number; 32]), when_busy, ttl: Span::secs(3_600) }
}

const WAIT: WhenBusy = WhenBusy::Wait(Span::secs(2));

struct Desk {
    book: Book,
    now: Now,
    tickets: u64,
    made: u64,
    starts: BTreeSet<StartId>,
    grants: BTreeMap<Ticket, Grant>,
    refusals: BTreeMap<Ticket, Reason>,
    facts: Vec<Fact>,
    /// What calls left in each environment that exists.
    scratch: BTreeMap<EnvId, BTreeSet<u8>>,
    epochs: BTreeMap<EnvId, Epoch>,
}

impl Desk {
    fn new() -> Desk {
        Desk::with(Config::default())
    }

    fn with(config: Config) -> Desk {
        let mut desk = Desk {
            book: Book::new(config),
            now: Now(0),
            tickets: 0,
            made: 0,
            starts: BTreeSet::new(),
            grants: BTreeMap::new(),
            refusals: BTreeMap::new(),
            facts: Vec::new(),
            scratch: BTreeMap::new(),
            epochs: BTreeMap::new(),
        };
        desk.tell(offered(WORKER, 1 << 30));
        desk
    }

    fn tell(&mut self, input: Input) {
        let mut out = Vec::new();
        self.book.handle(self.now, input, &mut out);
        for output in out {
            match output {
                Output::Reply { ticket, reply: Reply::Grant(grant, _) } => {
                    assert!(self.grants.insert(ticket, grant).is_none(), "answered once");
                }
                Output::Reply { ticket, reply: Reply::Refused { reason, .. } } => {
                    assert!(self.refusals.insert(ticket, reason).is_none(), "answered once");
                }
                Output::Start { start, .. } => {
                    self.starts.insert(start);
                }
                Output::Retire { env, .. } => {
                    self.scratch.remove(&env);
                    self.tell(Input::Gone { env });
                }
                Output::Fact(fact) => self.facts.push(fact),
                Output::Reply { .. } | Output::Report(_) => {}
                Output::Tell { .. } | Output::Transfer { .. } => {}
                Output::AskTokens { .. } | Output::ReturnTokens { .. } => {}
            }
        }
    }

    fn ask(&mut self, affinity: Option<AffinityAsk>) -> Ticket {
        self.tickets += 1;
        let ticket = Ticket(self.tickets);
        let deadline = self.now + Span::secs(900);
        self.tell(Input::Acquire(Acquire { deadline, affinity, ..asked(ticket, &key()) }));
        ticket
    }

    fn finish_starts(&mut self) {
        while let Some(start) = self.starts.pop_first() {
            self.made += 1;
            let env = EnvId::new(WORKER, self.made);
            self.scratch.insert(env, BTreeSet::new());
            self.tell(Input::Started { start, env, epoch: Epoch(1) });
        }
    }

    fn begin(&mut self, ticket: Ticket) -> Grant {
        let grant = self.grants[&ticket];
        self.epochs.insert(grant.env, grant.epoch);
        self.tell(Input::RunStarted { lease: grant.lease });
        grant
    }

    fn end(&mut self, env: EnvId) {
        let epoch = self.epochs[&env];
        self.tell(Input::Idle { env, epoch });
    }

    /// A call from start to end: it reads what is there, then writes its own file.
    fn call(&mut self, number: u8, when_busy: WhenBusy) -> (Grant, bool) {
        let ticket = self.ask(Some(value(number, when_busy)));
        self.finish_starts();
        let grant = self.begin(ticket);
        let read = !self.scratch.get_mut(&grant.env).unwrap().insert(number);
        self.end(grant.env);
        (grant, read)
    }

    fn pass(&mut self, span: Span) {
        let until = self.now + span;
        while let Some((at, _)) = self.book.deadline()
            && at <= until
        {
            self.now = at.max(self.now);
            self.tell(Input::Deadline);
        }
        self.now = until;
    }

    fn gone(&mut self, env: EnvId) {
        self.scratch.remove(&env);
        self.tell(Input::Gone { env });
    }

    fn marker(&self, ticket: Ticket) -> Option<AffinityAnswer> {
        self.grants[&ticket].affinity
    }
}

const NEW: Option<AffinityAnswer> = Some(AffinityAnswer::New);
const KEPT: Option<AffinityAnswer> = Some(AffinityAnswer::Kept);

#[test]
fn a8_1_a_value_reads_for_ten_minutes_what_its_first_call_wrote() {
    let mut desk = Desk::new();
    // Others keep other environments warm, and take what is idle.
    for _ in 0..5 {
        desk.ask(None);
    }
    desk.finish_starts();
    for ticket in 1..=5 {
        let env = desk.begin(Ticket(ticket)).env;
        desk.end(env);
    }
    let (first, read) = desk.call(1, WAIT);
    assert_eq!((first.affinity, read), (NEW, false));
    for _ in 0..100 {
        desk.pass(Span::secs(6));
        let other = desk.ask(None);
        let env = desk.begin(other).env;
        desk.end(env);
        let (grant, read) = desk.call(1, WAIT);
        assert_eq!((grant.env, grant.affinity, read), (first.env, KEPT, true));
    }
}

#[test]
fn a8_2_fifty_values_have_one_environment_each_and_read_only_their_own() {
    let (mut desk, mut dice) = (Desk::new(), Dice::new(82));
    let mut homes: BTreeMap<u8, EnvId> = BTreeMap::new();
    let mut asked: Vec<(Ticket, u8)> = Vec::new();
    let mut running: Vec<(Now, EnvId)> = Vec::new();
    let mut wrote: BTreeSet<(EnvId, u8)> = BTreeSet::new();
    for _ in 0..3_000 {
        // Ten calls a second, which run for a fifth of one.
        desk.pass(Span::millis(100));
        let over = |(until, _): &(Now, EnvId)| *until <= desk.now;
        let ended: Vec<_> = running.extract_if(.., |run| over(run)).collect();
        for (_, env) in ended {
            desk.end(env);
        }
        let number = dice.below(50) as u8;
        asked.push((desk.ask(Some(value(number, WhenBusy::Wait(Span::secs(60))))), number));
        desk.finish_starts();
        let granted = |(ticket, _): &(Ticket, u8)| desk.grants.contains_key(ticket);
        let fresh: Vec<_> = asked.extract_if(.., |ask| granted(ask)).collect();
        for (ticket, number) in fresh {
            let grant = desk.begin(ticket);
            running.push((desk.now + Span::millis(200), grant.env));
            assert_eq!(*homes.entry(number).or_insert(grant.env), grant.env, "s{number}");
            let first = wrote.insert((grant.env, number));
            assert_eq!(grant.affinity, if first { NEW } else { KEPT }, "its own file is there");
        }
    }
    assert!(asked.len() < 10, "{} wait", asked.len());
    assert_eq!(homes.len(), 50);
    assert!(desk.refusals.is_empty(), "{:?}", desk.refusals.len());
}

#[test]
fn a8_3_when_the_environment_is_gone_the_next_call_is_told() {
    let mut desk = Desk::new();
    let (first, _) = desk.call(1, WAIT);
    desk.gone(first.env);
    let (second, read) = desk.call(1, WAIT);
    assert_eq!((second.affinity, read), (NEW, false));
    assert_ne!(second.env, first.env);
    for _ in 0..3 {
        assert_eq!(desk.call(1, WAIT).0.affinity, KEPT, "sticky again");
    }
    // One that has been idle for too long is gone as well, and so is one of old code.
    desk.pass(limits::IDLE_TTL);
    assert_eq!(desk.call(1, WAIT).0.affinity, NEW);
    let whose = decide::book::Whose {
        account: key().account,
        function: key().function.clone(),
        version: None,
        keep: None,
    };
    desk.tell(Input::Retire(whose));
    assert_eq!(desk.call(1, WAIT).0.affinity, NEW);
}

#[test]
fn a8_4_who_waits_gets_the_same_environment_when_the_first_call_ends() {
    let mut desk = Desk::new();
    let (home, _) = desk.call(1, WAIT);
    let first = desk.ask(Some(value(1, WAIT)));
    let (second, third) = (desk.ask(Some(value(1, WAIT))), desk.ask(Some(value(1, WAIT))));
    desk.begin(first);
    desk.pass(Span::millis(1_900));
    desk.finish_starts();
    assert!(!desk.grants.contains_key(&second), "it waits, though others could be made");
    assert_eq!(desk.book.calls_waiting(), 2);
    desk.end(home.env);
    assert_eq!((desk.grants[&second].env, desk.marker(second)), (home.env, KEPT));
    assert!(!desk.grants.contains_key(&third), "first come, first served");
    desk.begin(second);
    desk.pass(Span::millis(200));
    assert_eq!(desk.refusals[&third], Reason::AffinityBusy, "two seconds are over");
    assert_eq!(desk.book.calls_waiting(), 0);
}

#[test]
fn a8_4_who_overflows_runs_elsewhere_at_once_and_the_value_stays() {
    let mut desk = Desk::new();
    let (home, _) = desk.call(1, WhenBusy::Overflow);
    let first = desk.ask(Some(value(1, WhenBusy::Overflow)));
    desk.begin(first);
    let (other, read) = desk.call(1, WhenBusy::Overflow);
    assert!(other.env != home.env && !read);
    assert_eq!(other.affinity, NEW, "its caller knows that nothing of before is there");
    desk.end(home.env);
    let (third, read) = desk.call(1, WhenBusy::Overflow);
    assert_eq!((third.env, third.affinity, read), (home.env, KEPT, true));
}

#[test]
fn a8_4_who_rejects_is_refused_with_a_reason_of_its_own() {
    let mut desk = Desk::new();
    let (home, _) = desk.call(1, WhenBusy::Reject);
    let first = desk.ask(Some(value(1, WhenBusy::Reject)));
    desk.begin(first);
    let second = desk.ask(Some(value(1, WhenBusy::Reject)));
    assert_eq!(desk.refusals[&second], Reason::AffinityBusy);
    desk.end(home.env);
    assert_eq!(desk.call(1, WhenBusy::Reject).0.affinity, KEPT);
}

#[test]
fn a8_5_what_stores_200_mib_stays_twice_as_long_as_what_stores_nothing() {
    let stays = |bytes: u64| {
        let mut desk = Desk::new();
        let (grant, _) = desk.call(1, WAIT);
        desk.tell(Input::Stores { env: grant.env, bytes });
        let mut seconds = 0;
        while desk.scratch.contains_key(&grant.env) {
            desk.pass(Span::secs(1));
            seconds += 1;
        }
        seconds
    };
    let (empty, full) = (stays(0), stays(200 * MIB));
    assert_eq!(empty, 600);
    assert!(full >= 2 * empty, "{full}");
    assert!(stays(u64::MAX) <= 3_600);
}

#[test]
fn an_account_that_stores_too_much_loses_what_is_cheapest_to_make_again() {
    let config = Config { keep_bytes_max: 300 * MIB, ..Config::default() };
    let mut desk = Desk::with(config);
    let tickets: Vec<Ticket> = (0..3).map(|_| desk.ask(None)).collect();
    desk.finish_starts();
    let envs: Vec<EnvId> = tickets.iter().map(|ticket| desk.begin(*ticket).env).collect();
    for (seconds, env) in [(5, envs[0]), (60, envs[1]), (5, envs[2])] {
        desk.pass(Span::secs(seconds));
        desk.end(env);
    }
    // Runs of 5, 65 and 70 seconds made 100, 100 and 150 MiB.
    for (env, bytes) in [(envs[0], 100), (envs[1], 100), (envs[2], 150)] {
        desk.tell(Input::Stores { env, bytes: bytes * MIB });
    }
    let gone = |fact: &Fact| {
        let Fact::Retired { env, why, .. } = fact else { return None };
        (*why == RetireWhy::KeepBudget).then_some(*env)
    };
    let retired: Vec<EnvId> = desk.facts.iter().filter_map(gone).collect();
    assert_eq!(retired, [envs[0]]);
}

#[test]
fn values_of_different_principals_and_pools_have_nothing_in_common() {
    let mut desk = Desk::new();
    let (one, _) = desk.call(1, WAIT);
    // The digest covers the principal: another one's is another value.
    let (two, read) = desk.call(2, WAIT);
    assert_eq!((two.affinity, read), (NEW, false));
    assert_eq!(desk.call(1, WAIT).0.env, one.env);
}

#[test]
fn parallel_first_calls_of_a_value_make_one_home() {
    let mut desk = Desk::new();
    let first = desk.ask(Some(value(1, WAIT)));
    let second = desk.ask(Some(value(1, WAIT)));
    assert_eq!(desk.starts.len(), 1, "the second waits for the first one's environment");
    desk.finish_starts();
    let home = desk.begin(first).env;
    assert!(!desk.grants.contains_key(&second));
    desk.end(home);
    assert_eq!((desk.grants[&second].env, desk.marker(second)), (home, KEPT));
}

#[test]
fn who_waits_for_an_environment_that_dies_begins_anew() {
    let mut desk = Desk::new();
    let (home, _) = desk.call(1, WAIT);
    let first = desk.ask(Some(value(1, WAIT)));
    desk.begin(first);
    let waiting = [desk.ask(Some(value(1, WAIT))), desk.ask(Some(value(1, WAIT)))];
    desk.gone(home.env);
    desk.finish_starts();
    assert_eq!(desk.marker(waiting[0]), NEW, "and is told");
    assert!(!desk.grants.contains_key(&waiting[1]), "the next one waits for the new one");
    let env = desk.begin(waiting[0]).env;
    desk.end(env);
    assert_eq!((desk.grants[&waiting[1]].env, desk.marker(waiting[1])), (env, KEPT));
    // The same where the first call of a value gets none at all.
    let first = desk.ask(Some(value(2, WAIT)));
    let second = desk.ask(Some(value(2, WAIT)));
    desk.tell(Input::Cancel { ticket: first });
    desk.finish_starts();
    assert_eq!(desk.marker(second), NEW);
}

#[test]
fn an_init_that_fails_frees_the_value_for_the_next() {
    let mut desk = Desk::new();
    desk.ask(Some(value(1, WAIT)));
    let second = desk.ask(Some(value(1, WAIT)));
    let start = desk.starts.pop_first().unwrap();
    desk.tell(Input::StartFailed { start, why: Trouble::Init });
    desk.finish_starts();
    assert_eq!(desk.marker(second), NEW);
}

#[test]
fn a_value_that_is_not_used_is_forgotten() {
    let mut desk = Desk::new();
    let brief = AffinityAsk { ttl: Span::secs(30), ..value(1, WAIT) };
    let ticket = desk.ask(Some(brief));
    desk.finish_starts();
    let home = desk.begin(ticket).env;
    // In use for longer than its ttl: not forgotten.
    desk.pass(Span::secs(100));
    desk.end(home);
    let again = desk.ask(Some(brief));
    assert_eq!((desk.begin(again).env, desk.marker(again)), (home, KEPT));
    desk.end(home);
    desk.pass(Span::secs(31));
    let late = desk.ask(Some(brief));
    assert_eq!(desk.marker(late), NEW, "though the environment is still there");
}

#[test]
fn values_go_with_their_environment_to_another_book() {
    let mut from = Desk::new();
    let (home, _) = from.call(1, WAIT);
    from.pass(Span::secs(10));
    let records = from.book.affinities(from.now, home.env);
    assert_eq!(records.len(), 1);
    let mut to = Desk::new();
    let record = Hosted { env: home.env, key: key(), epoch: Epoch(9), busy: false };
    for record in &records {
        to.tell(Input::Affinity(*record));
    }
    assert_eq!(to.call(1, WAIT).0.affinity, NEW, "not before the environment is there");
    to.tell(Input::Rebuild { worker: WORKER, envs: vec![record] });
    let mut to = Desk::new();
    let record = Hosted { env: home.env, key: key(), epoch: Epoch(9), busy: false };
    to.tell(Input::Rebuild { worker: WORKER, envs: vec![record] });
    for record in &records {
        to.tell(Input::Affinity(*record));
    }
    let ticket = to.ask(Some(value(1, WAIT)));
    assert_eq!((to.grants[&ticket].env, to.marker(ticket)), (home.env, KEPT));
}

/// Any history: a call is answered at most once, a marker says `kept` only for the
/// environment that the value had, and nothing is left over when all calls are done.
#[test]
fn i25_no_history_calls_an_environment_kept_that_is_another() {
    let mut kept = 0;
    for seed in 0..300 {
        let (mut desk, mut dice) = (Desk::new(), Dice::new(seed));
        let mut homes: BTreeMap<u8, EnvId> = BTreeMap::new();
        let mut seen: BTreeSet<Ticket> = BTreeSet::new();
        let mut asked: BTreeMap<Ticket, u8> = BTreeMap::new();
        let mut running: Vec<EnvId> = Vec::new();
        for _ in 0..300 {
            match dice.below(12) {
                0..=4 => {
                    let number = dice.below(6) as u8;
                    let policies = [WAIT, WhenBusy::Overflow, WhenBusy::Reject];
                    let when_busy = policies[dice.below(3) as usize];
                    let ask = dice.chance(5, 6).then(|| value(number, when_busy));
                    let ticket = desk.ask(ask);
                    if ask.is_some() {
                        asked.insert(ticket, number);
                    }
                }
                5 | 6 => desk.finish_starts(),
                7 | 8 if !running.is_empty() => {
                    let env = running.swap_remove(dice.below(running.len() as u64) as usize);
                    desk.end(env);
                }
                9 if !running.is_empty() && dice.chance(1, 2) => {
                    let env = running.swap_remove(dice.below(running.len() as u64) as usize);
                    desk.gone(env);
                }
                10 => {
                    let ticket = Ticket(1 + dice.below(desk.tickets.max(1)));
                    if !desk.grants.contains_key(&ticket) {
                        desk.tell(Input::Cancel { ticket });
                    }
                }
                _ => desk.pass(Span::millis(dice.below(1_500))),
            }
            let fresh: Vec<Ticket> = desk.grants.keys().copied().collect();
            for ticket in fresh.into_iter().filter(|ticket| seen.insert(*ticket)) {
                let grant = desk.begin(ticket);
                running.push(grant.env);
                let number = asked.get(&ticket).copied();
                let scratch = desk.scratch.get_mut(&grant.env).unwrap();
                match (number, grant.affinity) {
                    (Some(number), Some(AffinityAnswer::Kept)) => {
                        assert!(scratch.contains(&number), "seed {seed}: s{number} is not there");
                        let home = *homes.entry(number).or_insert(grant.env);
                        assert_eq!(home, grant.env, "seed {seed}: moved and nobody was told");
                        kept += 1;
                    }
                    (Some(number), Some(AffinityAnswer::New)) => {
                        scratch.insert(number);
                        homes.remove(&number);
                    }
                    (None, None) => {}
                    (asked, marker) => panic!("seed {seed}: {asked:?} was told {marker:?}"),
                }
            }
        }
        while let Some(env) = running.pop() {
            desk.end(env);
            desk.finish_starts();
            let fresh: Vec<Ticket> = desk.grants.keys().copied().collect();
            for ticket in fresh.into_iter().filter(|ticket| seen.insert(*ticket)) {
                running.push(desk.begin(ticket).env);
            }
        }
        desk.finish_starts();
        let fresh: Vec<Ticket> =
            desk.grants.keys().copied().filter(|t| !seen.contains(t)).collect();
        for ticket in fresh {
            let lease = desk.grants[&ticket].lease;
            desk.tell(Input::Released { lease, outcome: Outcome::NotStarted });
        }
        desk.pass(Span::secs(7_200));
        assert_eq!(desk.book.calls_waiting(), 0, "seed {seed}");
        assert_eq!(desk.book.environments(), 0, "seed {seed}");
        assert_eq!(desk.book.client_calls(key().account), 0, "seed {seed}");
    }
    assert!(kept > 1_000, "{kept}");
}
