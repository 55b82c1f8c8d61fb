//! Blocks of slots: for a large account, the counter lends concurrency to frontends
//! by the block, so that most calls are admitted without a message. This is the
//! counter's side; the frontend's is `allowance`.
//!
//! ```text
//!   frontend ── BlockAsk { seq, held, want } ──▶ counter      whole state, not changes
//!   frontend ◀── Lent { seq, slots, .. } ──────  counter
//! ```
//! Both say whole states under a number that grows, so that lost, repeated and late
//! messages do no harm. Invariant: what a frontend may believe it holds is never more
//! than what the counter has down for it, since the counter notes before it tells and
//! the frontend lowers before it tells.
//!
//! Slots that are lent but unused are the error: frontends x block, below one percent
//! of the limit. An account for which no block is small enough is counted exactly.

use alloc::{collections::BTreeMap, vec::Vec};

use model::{AccountId, BlockAsk, FrontendId, Lent, Now, Span};

use super::counter::Counter;

/// The smallest and the largest block.
pub const BLOCK_MIN: u32 = 8;
pub const BLOCK_MAX: u32 = 64;
/// Frontends x block stays below this part of the limit.
const ERROR_PARTS: u32 = 100;

/// Slots that one frontend borrows at a time; None: the account is counted exactly.
pub fn block_size(limit: u32, frontends: u32) -> Option<u32> {
    let largest = limit.saturating_sub(1) / ERROR_PARTS.saturating_mul(frontends.max(1));
    (largest >= BLOCK_MIN).then(|| largest.min(BLOCK_MAX))
}

#[derive(Clone, Copy, Debug)]
struct Loan {
    seq: u64,
    slots: u32,
}

#[derive(Debug)]
struct Borrower {
    ends: Now,
    loans: BTreeMap<AccountId, Loan>,
}

/// What is lent, to whom, and until when. A borrower's loans die with it (I4).
#[derive(Debug)]
pub(super) struct Loans {
    borrowers: BTreeMap<FrontendId, Borrower>,
    /// Until when an account counts as pressed.
    pressed: BTreeMap<AccountId, Now>,
    ttl: Span,
}

impl Loans {
    /// How long an account counts as pressed after somebody got too little.
    const PRESSED: Span = Span::secs(2);

    pub(super) fn new(ttl: Span) -> Loans {
        Loans { borrowers: BTreeMap::new(), pressed: BTreeMap::new(), ttl }
    }

    pub(super) fn next_expiry(&self) -> Option<Now> {
        self.borrowers.values().map(|borrower| borrower.ends).min()
    }

    fn loan(&mut self, now: Now, holder: FrontendId, account: AccountId) -> &mut Loan {
        let ends = now + self.ttl;
        let made = Borrower { ends, loans: BTreeMap::new() };
        let borrower = self.borrowers.entry(holder).or_insert(made);
        borrower.ends = ends;
        borrower.loans.entry(account).or_insert(Loan { seq: 0, slots: 0 })
    }

    /// Slots of borrowers that gave no sign of life, taken back.
    fn expire(&mut self, now: Now) -> Vec<(AccountId, u32)> {
        self.pressed.retain(|_, until| *until > now);
        let mut back = Vec::new();
        self.borrowers.retain(|_, borrower| {
            let alive = borrower.ends > now;
            if !alive {
                back.extend(borrower.loans.iter().map(|(account, loan)| (*account, loan.slots)));
            }
            alive
        });
        back
    }
}

impl Counter {
    /// Answers one question about an account; also a sign of life of the holder.
    /// None where a later question was answered before.
    pub fn lend(&mut self, now: Now, holder: FrontendId, ask: BlockAsk) -> Option<Lent> {
        let loan = self.loans.loan(now, holder, ask.account);
        if ask.seq <= loan.seq {
            return None;
        }
        // What is held is at most what was lent; less of it is a return.
        let (before, held) = (loan.slots, ask.held.min(loan.slots));
        let frontends = u32::try_from(self.loans.borrowers.len()).unwrap_or(u32::MAX);
        let account = self.account(ask.account);
        let limit = account.limit();
        let block = block_size(limit, frontends);
        account.lent_changed(before, held);
        let given = account.room().min(if block.is_some() { ask.want } else { 0 });
        account.lent_changed(0, given);
        if block.is_some() && given < ask.want {
            self.loans.pressed.insert(ask.account, now + Loans::PRESSED);
        }
        let pressed = self.loans.pressed.get(&ask.account).is_some_and(|until| *until > now);
        let slots = held + given;
        *self.loans.loan(now, holder, ask.account) = Loan { seq: ask.seq, slots };
        let BlockAsk { account, seq, .. } = ask;
        Some(Lent { account, seq, slots, block, pressed, limit, frontends })
    }

    /// Slots that are lent to frontends, used or not.
    pub fn lent(&self, account: AccountId) -> u32 {
        let loans = self.loans.borrowers.values().filter_map(|b| b.loans.get(&account));
        loans.map(|loan| loan.slots).sum()
    }

    /// The same, of all accounts.
    pub fn lent_slots(&self) -> u64 {
        let loans = self.loans.borrowers.values().flat_map(|borrower| borrower.loans.values());
        loans.map(|loan| u64::from(loan.slots)).sum()
    }

    pub(super) fn expire_loans(&mut self, now: Now) -> usize {
        let back = self.loans.expire(now);
        for (account, slots) in &back {
            self.account(*account).lent_changed(*slots, 0);
        }
        back.iter().filter(|(_, slots)| *slots > 0).count()
    }
}
