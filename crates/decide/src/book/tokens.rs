//! Starts and their create tokens: taken here where this manager is the home of the
//! function's bucket, else asked of the home (`admit::tokens`). Invariant: a start
//! without a token is in its function's line, counted in its pool and among its
//! tenant's environments as any other.

use model::{AccountId, FunctionName, ManagerId, Now, PoolKey, Reason, Span, TokensGiven, limits};

use super::{Book, Output, Outputs, StartId, refuse, starts::Start, supply::Refusal};
use crate::admit::{Answered, Taken, Token, TokenWhose};

impl Book {
    /// The home's side: tokens for starts of another manager.
    pub fn give_tokens(
        &mut self,
        now: Now,
        account: AccountId,
        function: &FunctionName,
        want: u32,
    ) -> TokensGiven {
        let mut given = 0;
        while given < want.min(limits::WAITERS_MAX as u32) {
            if let Err(wait) = self.gate.take(now, account, function) {
                return TokensGiven { given, wait };
            }
            given += 1;
        }
        TokensGiven { given, wait: Span::ZERO }
    }

    /// Another manager needed fewer than it was given.
    pub fn take_tokens_back(&mut self, account: AccountId, function: &FunctionName, count: u32) {
        for _ in 0..count.min(self.config.create_tokens.0) {
            self.gate.give_back(account, function);
        }
    }

    /// Who has the bucket of the key's function; none: this manager.
    pub(super) fn learn_home(&mut self, now: Now, key: &PoolKey, home: Option<ManagerId>) {
        self.tokens.home_is(now, (key.account, key.function.clone()), home);
    }

    /// None where the start waits for its token.
    pub(super) fn begin_with_token(
        &mut self,
        now: Now,
        start: Start,
        out: &mut Outputs,
    ) -> Result<Option<StartId>, Refusal> {
        let slow = |wait| (Reason::FunctionInvocationRateLimitExceeded, wait);
        let (hash, key) = (start.hash, alloc::sync::Arc::clone(&start.key));
        let whose = whose(&start);
        let Some(home) = self.tokens.home(&whose) else {
            self.gate.take(now, key.account, &key.function).map_err(slow)?;
            let start = Start { token: Some(Token::Own), ..start };
            return self.place_or_return(now, start, out).map(Some);
        };
        match self.tokens.take(now, home, whose, start) {
            Taken::Yes(start) => {
                let start = Start { token: Some(Token::Share), ..start };
                self.place_or_return(now, start, out).map(Some)
            }
            Taken::No(wait) => Err(slow(wait)),
            Taken::Waits(ask) => {
                if let Some(pool) = self.pools.get_mut(hash) {
                    pool.start_added(now);
                }
                self.tenants.came(hash, &key);
                out.extend(ask.map(|(to, ask)| Output::AskTokens { to, ask }));
                Ok(None)
            }
        }
    }

    /// `given`: None where the home was not reached.
    pub(super) fn tokens_answered(
        &mut self,
        now: Now,
        whose: &TokenWhose,
        seq: u64,
        given: Option<TokensGiven>,
        out: &mut Outputs,
    ) {
        // To a question that was given up: the tokens fill the home's bucket by time.
        let Some(answered) = self.tokens.answered(now, whose, seq, given) else { return };
        let Answered { home, served, refused, wait, surplus, next } = answered;
        if surplus > 0 {
            out.push(Output::ReturnTokens { to: home, whose: whose.clone(), count: surplus });
        }
        out.extend(next.map(|ask| Output::AskTokens { to: home, ask }));
        for (start, token) in served {
            self.token_came(now, Start { token: Some(token), ..start }, out);
        }
        for start in refused {
            self.leave_line(&start);
            let why = (Reason::FunctionInvocationRateLimitExceeded, wait);
            self.lacks_start(now, &start, why, out);
        }
    }

    pub(super) fn tokens_due(&mut self, now: Now, out: &mut Outputs) {
        let due = self.tokens.due().filter(|(at, ..)| *at <= now);
        let Some((whose, seq)) = due.map(|(_, whose, seq)| (whose.clone(), seq)) else { return };
        self.tokens_answered(now, &whose, seq, None, out);
    }

    /// The youngest start of the pool that has no token yet is undone.
    pub(super) fn drop_from_line(&mut self, hash: model::KeyHash) -> bool {
        let Some(key) = self.pools.get(hash).map(|pool| &pool.key) else { return false };
        let whose = (key.account, key.function.clone());
        let Some(start) = self.tokens.leave(&whose, |start| start.hash == hash) else {
            return false;
        };
        self.leave_line(&start);
        true
    }

    /// The start came to nothing, and its token with it.
    pub(super) fn return_token(&mut self, start: &Start, out: &mut Outputs) {
        match start.token {
            None => {}
            Some(Token::Own) => self.gate.give_back(start.key.account, &start.key.function),
            Some(Token::Share) => self.tokens.give_back(&whose(start)),
            Some(Token::Home(to)) => {
                out.push(Output::ReturnTokens { to, whose: whose(start), count: 1 });
            }
        }
    }

    fn token_came(&mut self, now: Now, start: Start, out: &mut Outputs) {
        self.leave_line(&start);
        let wanted = |pool: &super::pools::Pool| pool.queue.len() > pool.starting();
        if !self.pools.get(start.hash).is_some_and(wanted) {
            self.return_token(&start, out);
            return self.pools.close_if_empty(start.hash);
        }
        if let Err(why) = self.place_or_return(now, Start { since: now, ..start.clone() }, out) {
            self.lacks_start(now, &start, why, out);
        }
    }

    fn place_or_return(
        &mut self,
        now: Now,
        start: Start,
        out: &mut Outputs,
    ) -> Result<StartId, Refusal> {
        let placed = self.place_start(now, start.clone(), None, out);
        if placed.is_err() {
            self.return_token(&start, out);
        }
        placed
    }

    fn leave_line(&mut self, start: &Start) {
        if let Some(pool) = self.pools.get_mut(start.hash) {
            pool.start_left(start.since);
        }
        self.tenants.left(start.hash, &start.key);
    }

    /// A start that was waited for cannot be. Without room for it, what the pool has is
    /// the next best; else a call is refused.
    fn lacks_start(&mut self, now: Now, start: &Start, why: Refusal, out: &mut Outputs) {
        let (hash, (reason, retry_after)) = (start.hash, why);
        let Some(pool) = self.pools.get(hash) else { return };
        let own = start.ticket.filter(|ticket| self.waiting.get(*ticket).is_some());
        let short = pool.queue.len() > self.config.hope(pool, now);
        let victim = own.or(pool.queue.back().copied().filter(|_| short));
        let Some(ticket) = victim else {
            self.feed(now, hash, out);
            return self.pools.close_if_empty(hash);
        };
        if reason == Reason::NoCapacity && pool.is_alive() && self.config.patience {
            let until = now + pool.patience(now);
            return self.waiting.set_patience(ticket, Some(until));
        }
        self.end_wait(now, ticket, false, out);
        refuse(ticket, hash, reason, retry_after, out);
        // Another call may have given its start to this one.
        self.feed(now, hash, out);
        self.pools.close_if_empty(hash);
    }
}

fn whose(start: &Start) -> TokenWhose {
    (start.key.account, start.key.function.clone())
}
