//! Blocks of concurrency slots between frontends and their counter, over a network
//! that loses, repeats and reorders messages: the limit holds, the error is bounded,
//! and nothing stays lost.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap},
};

use decide::{
    Dice,
    admit::{AccountLimits, Admission, Allowances, Basis, Counter, block_size},
};
use model::{AccountId, BlockAsk, FrontendId, FunctionName, Lent, Now, Reason, Span};
use proptest::prelude::*;

const TTL: Span = Span::secs(15);
const BEAT: Span = Span::secs(1);

fn account() -> AccountId {
    AccountId::parse("000000000001").unwrap()
}

fn function() -> FunctionName {
    FunctionName::parse("f").unwrap()
}

enum Message {
    Ask(usize, BlockAsk),
    Lent(usize, Lent),
}

/// Frontends, a counter and what is on its way between them.
struct Region {
    now: Now,
    limit: u32,
    counter: Counter,
    frontends: Vec<Allowances>,
    /// Calls in flight with the instant of their end.
    calls: Vec<BinaryHeap<Reverse<Now>>>,
    opened: Vec<u32>,
    beats: Vec<Now>,
    dead: Vec<bool>,
    on_way: BTreeMap<(Now, u64), Message>,
    dice: Dice,
    loss_percent: u64,
    sent: u64,
    refused: BTreeMap<Reason, u64>,
}

impl Region {
    fn new(limit: u32, frontends: usize, seed: u64, loss_percent: u64) -> Region {
        let limits = AccountLimits { concurrency: limit, tenant: None };
        let mut dice = Dice::new(seed);
        Region {
            now: Now(1),
            limit,
            counter: Counter::new(limits, TTL),
            frontends: (0..frontends).map(|_| Allowances::new(TTL, 1)).collect(),
            calls: vec![BinaryHeap::new(); frontends],
            opened: vec![0; frontends],
            beats: (0..frontends).map(|_| Now(dice.below(BEAT.0))).collect(),
            dead: vec![false; frontends],
            on_way: BTreeMap::new(),
            dice,
            loss_percent,
            sent: 0,
            refused: BTreeMap::new(),
        }
    }

    fn send(&mut self, make: impl Fn() -> Message) {
        // Lost, or once, or twice; in any order.
        let lost = self.dice.chance(self.loss_percent, 100);
        let twice = self.dice.chance(self.loss_percent, 200);
        let copies = if lost { 0 } else { 1 + u64::from(twice) };
        for _ in 0..copies {
            self.sent += 1;
            let at = self.now + Span::micros(200 + self.dice.below(5_000));
            self.on_way.insert((at, self.sent), make());
        }
    }

    /// Time passes in steps of one millisecond; messages, ends of calls, heartbeats.
    fn pass(&mut self, span: Span) {
        let until = self.now + span;
        while self.now < until {
            self.now += Span::millis(1);
            while let Some(entry) = self.on_way.first_entry()
                && entry.key().0 <= self.now
            {
                match entry.remove() {
                    Message::Ask(at, ask) => {
                        if let Some(lent) = self.counter.lend(self.now, FrontendId(at as u64), ask)
                        {
                            self.send(|| Message::Lent(at, lent));
                        }
                    }
                    Message::Lent(at, lent) if !self.dead[at] => {
                        self.frontends[at].lent(self.now, &lent);
                    }
                    Message::Lent(..) => {}
                }
            }
            for at in 0..self.frontends.len() {
                while self.calls[at].peek().is_some_and(|Reverse(ends)| *ends <= self.now) {
                    self.calls[at].pop();
                    self.frontends[at].ended(account());
                }
                if self.beats[at] <= self.now && !self.dead[at] {
                    self.beats[at] = self.now + BEAT;
                    for ask in self.frontends[at].beat(self.now) {
                        self.send(|| Message::Ask(at, ask));
                    }
                }
            }
            self.counter.expire(self.now);
            self.check();
        }
    }

    fn check(&self) {
        let lent = self.counter.lent(account());
        assert!(lent <= self.limit, "{lent} lent of {}", self.limit);
        let alive = (0..self.frontends.len()).filter(|at| !self.dead[*at]);
        let held: u32 = alive.map(|at| self.frontends[at].held(account()).0).sum();
        assert!(held <= lent, "{held} held, {lent} down for them");
    }

    /// A call arrives; whether it runs.
    fn call(&mut self, at: usize, takes: Span) -> Option<Basis> {
        match self.frontends[at].admit(self.now, account(), &function()) {
            Admission::Yes(basis) => {
                self.calls[at].push(Reverse(self.now + takes));
                self.opened[at] += u32::from(basis == Basis::Open);
                Some(basis)
            }
            Admission::Wait(ask, _) => {
                if let Some(ask) = ask {
                    self.send(|| Message::Ask(at, ask));
                }
                None
            }
            Admission::No(refusal) => {
                *self.refused.entry(refusal.reason).or_insert(0) += 1;
                None
            }
            Admission::Exact => None,
        }
    }

    fn running(&self) -> u32 {
        self.calls.iter().map(|calls| calls.len() as u32).sum()
    }

    /// Enough exact calls that the frontends ask for blocks, and the answers.
    fn wake(&mut self) {
        for at in 0..self.frontends.len() {
            for _ in 0..10 {
                self.call(at, Span::millis(1));
            }
        }
        self.pass(Span::secs(3));
    }

    fn offer(&mut self, each: usize, takes: Span) {
        for at in (0..self.frontends.len()).filter(|at| !self.dead[*at]).collect::<Vec<_>>() {
            for _ in 0..each {
                self.call(at, takes);
            }
        }
    }
}

#[test]
fn blocks_keep_the_error_below_one_percent() {
    for limit in [0, 100, 1_000, 5_000, 10_000, 100_000, 1_000_000] {
        for frontends in [0, 1, 3, 10, 100, 1_000] {
            match block_size(limit, frontends) {
                Some(block) => {
                    assert!((8..=64).contains(&block));
                    assert!(u64::from(block) * u64::from(frontends) * 100 < u64::from(limit));
                }
                None => assert!(limit <= 8 * 100 * frontends.max(1)),
            }
        }
    }
    assert_eq!(block_size(1_000, 1), Some(9));
    assert_eq!(block_size(1_000, 2), None, "small accounts are counted exactly");
}

#[test]
fn a_small_account_stays_exact() {
    let mut region = Region::new(1_000, 4, 1, 0);
    region.wake();
    assert_eq!(region.frontends[0].admit(region.now, account(), &function()), Admission::Exact);
    assert_eq!(region.counter.lent(account()), 0);
}

#[test]
fn most_calls_of_a_large_account_need_no_message() {
    let mut region = Region::new(100_000, 10, 2, 0);
    region.wake();
    region.sent = 0;
    let mut admitted = 0_u64;
    for _ in 0..5_000 {
        for at in 0..10 {
            admitted += u64::from(region.call(at, Span::millis(20)).is_some());
        }
        region.pass(Span::millis(2));
    }
    assert!(admitted > 45_000, "{admitted} of 50,000");
    assert!(region.sent * 100 < admitted, "{} messages for {admitted} calls", region.sent);
    region.pass(Span::secs(5));
    assert_eq!(region.counter.lent(account()), 0, "idle frontends return their blocks");
}

#[test]
fn a_flood_reaches_the_limit_and_stays_within_it() {
    let mut region = Region::new(10_000, 10, 3, 0);
    region.wake();
    for _ in 0..600 {
        region.offer(100, Span::secs(60));
        region.pass(Span::millis(20));
        assert!(region.running() <= 10_000);
    }
    let least = 10_000 - 10 * block_size(10_000, 10).unwrap();
    assert!(region.running() >= least, "{} run", region.running());
    let reasons: Vec<_> = region.refused.keys().copied().collect();
    assert_eq!(reasons, [Reason::ConcurrentInvocationLimitExceeded]);
}

#[test]
fn a1_7_the_blocks_of_a_dead_frontend_return_after_the_ttl() {
    let mut region = Region::new(100_000, 4, 4, 0);
    region.wake();
    for _ in 0..20 {
        region.offer(50, Span::secs(600));
        region.pass(Span::millis(50));
    }
    let dead_held = region.frontends[0].held(account()).0;
    assert!(dead_held >= 500);
    let before = region.counter.lent(account());
    region.dead[0] = true;
    region.pass(Span::secs(13));
    assert_eq!(region.counter.lent(account()), before);
    region.pass(Span::secs(3));
    assert_eq!(region.counter.lent(account()), before - dead_held);
}

#[test]
fn without_the_counter_a_frontend_runs_its_share_and_no_more() {
    let mut region = Region::new(10_000, 5, 5, 0);
    region.wake();
    for _ in 0..20 {
        region.offer(20, Span::secs(300));
        region.pass(Span::millis(200));
    }
    region.loss_percent = 100;
    for _ in 0..2_000 {
        region.offer(5, Span::secs(300));
        region.pass(Span::millis(20));
    }
    let share = 10_000 / 5;
    assert!(region.opened.iter().all(|opened| *opened > 0), "fails open: {:?}", region.opened);
    assert!(region.calls.iter().all(|calls| calls.len() == share), "{}", region.running());
    // Reached again, it counts again what runs.
    region.loss_percent = 0;
    region.pass(Span::secs(5));
    assert_eq!(region.counter.lent(account()), 10_000);
}

#[test]
fn without_an_answer_an_exact_account_fails_open_to_its_share_as_well() {
    let mut allowances = Allowances::new(TTL, 4);
    let admit = |allowances: &mut Allowances| allowances.admit(Now(1), account(), &function());
    assert_eq!(admit(&mut allowances), Admission::Exact);
    allowances.unanswered(Now(1), account(), 2_000);
    let admitted = (0..5_000).filter(|_| admit(&mut allowances) == Admission::Yes(Basis::Open));
    assert_eq!(admitted.count(), 500, "one of four frontends, though the counter told nothing");
}

#[test]
fn requests_a_second_stay_within_ten_for_each_unit() {
    let mut region = Region::new(10_000, 10, 6, 0);
    region.wake();
    let (mut seconds, mut refused) = (Vec::new(), 0);
    for _ in 0..4 {
        let mut admitted = 0_u64;
        for _ in 0..500 {
            for at in 0..10 {
                for _ in 0..30 {
                    admitted += u64::from(region.call(at, Span::millis(1)).is_some());
                }
            }
            region.pass(Span::millis(2));
        }
        refused = region.refused.values().sum();
        seconds.push(admitted);
    }
    // 150,000 are offered each second, 100,000 may run; buckets begin full.
    assert!(seconds.iter().sum::<u64>() <= 5 * 100_000, "{seconds:?}");
    assert!(seconds[3] <= 101_000, "{seconds:?}");
    assert!(seconds[3] >= 90_000, "{seconds:?}, refused {refused}");
}

#[test]
fn a_burst_within_the_account_s_rate_waits_for_no_slot() {
    let mut region = Region::new(1_000, 1, 6, 0);
    region.wake();
    let (mut offered, mut admitted) = (0_u64, 0);
    for _ in 0..100 {
        // Fifty short calls in four milliseconds, then none: 2,800 a second of 10,000.
        for _ in 0..50 {
            offered += 1;
            admitted += u64::from(region.call(0, Span::micros(80)).is_some());
            if offered % 12 == 0 {
                region.pass(Span::millis(1));
            }
        }
        region.pass(Span::millis(14));
    }
    assert_eq!(region.refused, BTreeMap::new());
    assert!(admitted * 100 >= offered * 98, "{admitted} of {offered} at once");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// Whatever is lost, repeated or late: what runs is at most the limit, and what
    /// frontends that heard nothing for long run by their share.
    #[test]
    fn the_limit_holds_over_a_lossy_network(
        seed in any::<u64>(),
        frontends in 2..8_usize,
        loss in 0..60_u64,
        limit in 8_000..40_000_u32,
    ) {
        let mut region = Region::new(limit, frontends, seed, loss);
        region.wake();
        for _ in 0..250 {
            let (at, burst) = (region.dice.below(frontends as u64) as usize, region.dice.below(900));
            for _ in 0..burst {
                let takes = Span::millis(1 + region.dice.below(4_000));
                region.call(at, takes);
            }
            let pause = Span::millis(1 + region.dice.below(60));
            region.pass(pause);
            let open = region.opened.iter().filter(|opened| **opened > 0).count() as u32;
            let share = limit / frontends as u32;
            prop_assert!(
                region.running() <= limit + open * share,
                "{} run of {}, {} failed open", region.running(), limit, open
            );
        }
    }
}

/// After a quiet time a frontend has few slots left; a burst brings more within the
/// same instant, and with them the rate that they allow.
#[test]
fn a_burst_after_a_quiet_time_is_not_held_to_the_rate_of_few_slots() {
    let now = Now(1);
    let limits = AccountLimits { concurrency: 10_000, tenant: None };
    let mut counter = Counter::new(limits, TTL);
    let mut frontend = Allowances::new(TTL, 1);
    let holder = FrontendId(1);
    for _ in 0..200 {
        assert_eq!(frontend.admit(now, account(), &function()), Admission::Exact);
    }
    let beat = |frontend: &mut Allowances, counter: &mut Counter, now: Now| {
        for ask in frontend.beat(now) {
            let lent = counter.lend(now, holder, ask).unwrap();
            frontend.lent(now, &lent);
        }
    };
    beat(&mut frontend, &mut counter, now);
    let later = now + BEAT;
    let mut admitted = 0;
    for _ in 0..2_000 {
        match frontend.admit(later, account(), &function()) {
            Admission::Yes(_) => admitted += 1,
            Admission::Wait(Some(ask), _) => {
                let lent = counter.lend(later, holder, ask).unwrap();
                frontend.lent(later, &lent);
            }
            other @ (Admission::Wait(None, _) | Admission::Exact | Admission::No(_)) => {
                panic!("{other:?} after {admitted}")
            }
        }
    }
    assert!(admitted > 1_900, "{admitted}");
}
