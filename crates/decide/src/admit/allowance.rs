//! What a frontend admits by itself: calls of a large account, up to the slots that
//! the counter lent it. It is for calls of functions that reserve nothing, have
//! nothing provisioned and separate no tenants; the others are counted one by one.
//!
//! ```text
//!   slot free ──▶ Yes(Lent)       no message; the call's end frees the slot
//!   none free ──▶ Ask, then again ──▶ Yes(Lent) | No(reason)
//!   counter silent ──▶ the slots it has, then up to limit / frontends: Yes(Open) | No
//!   account exact ──▶ Exact       one concurrency lease per call, as ever
//! ```
//! Invariant: calls with `Basis::Lent` never exceed the slots; calls in all never
//! exceed the larger of the slots and, while the counter is silent, the share.
//!
//! A slot brings its part of the rate of each function (ten requests per second);
//! moving a slot brings no requests at once. The burst of one second is shared evenly,
//! however few slots a frontend has. So frontends together stay within a function's
//! rate as they stay within the account's concurrency.

use alloc::{collections::BTreeMap, vec::Vec};

use model::{AccountId, BlockAsk, Denied, FunctionName, Lent, Now, Reason, Span, limits};

use super::{blocks::BLOCK_MIN, bucket::Bucket};
use crate::table::Table;

/// A question that was not answered by then is put again.
const RESEND: Span = Span::millis(100);
/// The counter counts as silent where nothing was answered for so long: many lost
/// messages, not one.
const SILENT: Span = Span::secs(2);
/// After an answer that gave too little, nobody asks again for so long.
const FULL_HOLD: Span = Span::millis(50);
/// Exact calls of an account between two heartbeats that make it ask for blocks.
const BUSY: u32 = BLOCK_MIN;
/// Functions with a rate; above it those at rest are forgotten.
const RATES_MAX: usize = 4_096;

/// On which ground a call was admitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Basis {
    /// It holds a slot that was lent.
    Lent,
    /// The counter is silent: it holds a part of the frontend's share of the limit.
    Open,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    Yes(Basis),
    /// Send the question, where there is one, and ask here again after the answer to
    /// it, or at the instant.
    Wait(Option<BlockAsk>, Now),
    /// Take a concurrency lease from the counter.
    Exact,
    No(Denied),
}

#[derive(Debug)]
struct Allowance {
    slots: u32,
    lent_running: u32,
    open_running: u32,
    /// Most calls at once since the heartbeat before the last.
    peak: u32,
    peak_before: u32,
    /// Calls admitted since the last heartbeat, and when that was.
    entered: u64,
    beaten_at: Now,
    /// None: counted exactly.
    block: Option<u32>,
    limit: u32,
    fleet: u32,
    frontends: u32,
    seq: u64,
    /// When the question that waits for its answer was put first.
    asked_at: Option<Now>,
    /// A call that was to be counted exactly got no answer.
    unanswered: bool,
    full_until: Option<Now>,
    /// Slots are void then, unless a later question is answered.
    void_at: Now,
    /// When the last question was put: an answer renews from there.
    sent_at: Now,
    /// Calls that were counted exactly since the last heartbeat.
    exact: u32,
    rates: Table<FunctionName, Bucket>,
}

/// All accounts of one frontend.
#[derive(Debug)]
pub struct Allowances {
    accounts: BTreeMap<AccountId, Allowance>,
    ttl: Span,
    /// Frontends of the region, whether the counter knows of them or not.
    fleet: u32,
}

impl Default for Allowances {
    fn default() -> Allowances {
        Allowances::new(limits::CONCURRENCY_LEASE_TTL, 1)
    }
}

impl Allowances {
    /// `ttl`: the counter takes blocks back that were not renewed for so long. `fleet`:
    /// frontends that there are; the counter knows only those that borrow.
    pub fn new(ttl: Span, fleet: u32) -> Allowances {
        Allowances { accounts: BTreeMap::new(), ttl, fleet }
    }

    pub fn admit(&mut self, now: Now, account: AccountId, function: &FunctionName) -> Admission {
        let allowance = self.of(now, account);
        allowance.lapse(now);
        if allowance.block.is_none() && !allowance.silent(now) {
            allowance.exact += 1;
            return Admission::Exact;
        }
        allowance.admit(now, account, function)
    }

    /// A call that was admitted here has ended.
    pub fn ended(&mut self, account: AccountId) {
        let Some(allowance) = self.accounts.get_mut(&account) else { return };
        // Slots come and go while calls run: those without one are the first to leave.
        match allowance.open_running.checked_sub(1) {
            Some(left) => allowance.open_running = left,
            None => allowance.lent_running = allowance.lent_running.saturating_sub(1),
        }
    }

    /// The counter did not answer a call that was to be counted exactly. `limit`: what
    /// the account may have in flight.
    pub fn unanswered(&mut self, now: Now, account: AccountId, limit: u32) {
        let allowance = self.of(now, account);
        allowance.limit = limit;
        allowance.asked_at.get_or_insert(now);
        allowance.unanswered = true;
    }

    /// One heartbeat for everything that is held: renews, asks and gives back.
    pub fn beat(&mut self, now: Now) -> Vec<BlockAsk> {
        let mut asks = Vec::new();
        self.accounts.retain(|account, allowance| {
            allowance.lapse(now);
            asks.extend(allowance.beat(now, *account));
            allowance.is_of_use()
        });
        asks
    }

    /// The counter answered. Answers to earlier questions are void.
    pub fn lent(&mut self, now: Now, lent: &Lent) {
        let ttl = self.ttl;
        if let Some(allowance) = self.accounts.get_mut(&lent.account)
            && allowance.seq == lent.seq
        {
            allowance.answered(now, lent, ttl);
        }
    }

    fn of(&mut self, now: Now, account: AccountId) -> &mut Allowance {
        let fleet = self.fleet;
        self.accounts.entry(account).or_insert_with(|| Allowance::new(now, fleet))
    }

    /// Slots held and calls admitted here, by account.
    pub fn held(&self, account: AccountId) -> (u32, u32) {
        let of = |a: &Allowance| (a.slots, a.running());
        self.accounts.get(&account).map_or((0, 0), of)
    }
}

impl Allowance {
    fn new(now: Now, fleet: u32) -> Allowance {
        Allowance {
            slots: 0,
            lent_running: 0,
            open_running: 0,
            peak: 0,
            peak_before: 0,
            entered: 0,
            beaten_at: now,
            block: None,
            limit: limits::ACCOUNT_CONCURRENCY_DEFAULT,
            fleet,
            frontends: fleet,
            seq: 0,
            asked_at: None,
            unanswered: false,
            full_until: None,
            void_at: now,
            sent_at: now,
            exact: 0,
            rates: Table::default(),
        }
    }

    fn running(&self) -> u32 {
        self.lent_running + self.open_running
    }

    fn silent(&self, now: Now) -> bool {
        self.unanswered || self.asked_at.is_some_and(|at| now.since(at) >= SILENT)
    }

    /// Whether anything is to be remembered.
    fn is_of_use(&self) -> bool {
        let busy = self.slots > 0 || self.running() > 0 || self.exact > 0;
        busy || self.peak > 0 || self.asked_at.is_some()
    }

    /// Slots that were not renewed belong to others by now; their calls run on, and
    /// count against the share.
    fn lapse(&mut self, now: Now) {
        if now >= self.void_at && self.slots > 0 {
            self.slots = 0;
            self.open_running += core::mem::take(&mut self.lent_running);
        }
    }

    fn admit(&mut self, now: Now, account: AccountId, function: &FunctionName) -> Admission {
        let free = self.lent_running < self.slots;
        let slow = if free { self.enter(now, function, Basis::Lent) } else { Ok(()) };
        if free && slow.is_ok() {
            return Admission::Yes(Basis::Lent);
        }
        let full = self.full_until.is_some_and(|until| until > now);
        if !full && !self.silent(now) {
            return self.ask(now, account);
        }
        let open = self.silent(now) && self.running() < self.share();
        if open && self.enter(now, function, Basis::Open).is_ok() {
            return Admission::Yes(Basis::Open);
        }
        Admission::No(match slow {
            Err(retry_after) => {
                Denied { reason: Reason::FunctionInvocationRateLimitExceeded, retry_after }
            }
            Ok(()) => Denied {
                reason: Reason::ConcurrentInvocationLimitExceeded,
                retry_after: Span::secs(1),
            },
        })
    }

    /// What this frontend may run while nobody counts: never without a limit.
    fn share(&self) -> u32 {
        (self.limit / self.frontends.max(self.fleet).max(1)).max(1)
    }

    /// Takes a token of the function's rate; else how long until there is one.
    fn enter(&mut self, now: Now, function: &FunctionName, basis: Basis) -> Result<(), Span> {
        let slots = match basis {
            Basis::Lent => self.slots,
            Basis::Open => self.slots.max(self.share()),
        };
        let of = |slots: u32| u64::from(slots) * u64::from(limits::RPS_PER_CONCURRENCY);
        let (per_sec, burst) = (of(slots), of(self.share()));
        let rate = self.rates.get_or_insert(function, || Bucket::full(burst, per_sec, now));
        rate.resize(burst, per_sec, now);
        rate.take(now)?;
        match basis {
            Basis::Lent => self.lent_running += 1,
            Basis::Open => self.open_running += 1,
        }
        self.peak = self.peak.max(self.running());
        self.entered += 1;
        Ok(())
    }

    /// One question at a time: the others wait for the same answer.
    fn ask(&mut self, now: Now, account: AccountId) -> Admission {
        let again = self.sent_at + RESEND;
        if self.asked_at.is_some() && now < again {
            return Admission::Wait(None, again);
        }
        let ask = self.question(now, account, self.block.unwrap_or(BLOCK_MIN));
        Admission::Wait(Some(ask), now + RESEND)
    }

    fn question(&mut self, now: Now, account: AccountId, want: u32) -> BlockAsk {
        self.seq += 1;
        self.sent_at = now;
        self.asked_at.get_or_insert(now);
        BlockAsk { account, seq: self.seq, held: self.slots, want }
    }

    fn beat(&mut self, now: Now, account: AccountId) -> Option<BlockAsk> {
        self.forget_rates(now);
        let busy = core::mem::take(&mut self.exact) >= BUSY;
        if self.block.is_none() && self.slots == 0 {
            // Whether the account is large enough, only the counter knows.
            return (busy || self.asked_at.is_some())
                .then(|| self.question(now, account, if busy { BLOCK_MIN } else { 0 }));
        }
        self.peak = self.peak.max(self.slots_for_rate(now));
        let needed = self.peak.max(self.peak_before).max(self.lent_running);
        (self.peak_before, self.peak) = (self.peak, self.running());
        let block = self.block.unwrap_or(1);
        // Lowered before the counter is told.
        self.slots = self.slots.min(needed.div_ceil(block) * block);
        Some(self.question(now, account, self.open_running))
    }

    /// Slots whose part of the rate was used since the last heartbeat.
    fn slots_for_rate(&mut self, now: Now) -> u32 {
        let micros = now.since(core::mem::replace(&mut self.beaten_at, now)).as_micros();
        let calls = core::mem::take(&mut self.entered).saturating_mul(1_000_000);
        let of_slot = micros.saturating_mul(u64::from(limits::RPS_PER_CONCURRENCY));
        u32::try_from(calls.div_ceil(of_slot.max(1))).unwrap_or(u32::MAX)
    }

    fn answered(&mut self, now: Now, lent: &Lent, ttl: Span) {
        let grew = lent.slots > self.slots;
        self.asked_at = None;
        self.unanswered = false;
        self.void_at = self.sent_at + ttl;
        self.slots = lent.slots;
        self.block = lent.block;
        (self.limit, self.frontends) = (lent.limit, lent.frontends);
        self.full_until = (lent.pressed && !grew).then(|| now + FULL_HOLD);
        // A call beyond the share becomes an ordinary one as soon as there are slots.
        let moved = self.open_running.min(self.slots.saturating_sub(self.lent_running));
        self.open_running -= moved;
        self.lent_running += moved;
        if lent.pressed {
            // The next heartbeat returns what is not used.
            (self.peak_before, self.peak) = (0, self.running());
        }
    }

    fn forget_rates(&mut self, now: Now) {
        if self.rates.len() <= RATES_MAX {
            return;
        }
        let rest = self.rates.iter().filter(|(_, bucket)| bucket.is_full(now));
        let rest: Vec<FunctionName> = rest.map(|(name, _)| name.clone()).collect();
        for name in &rest {
            self.rates.remove(name);
        }
    }
}
