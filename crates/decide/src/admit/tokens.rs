//! Create tokens of functions whose bucket another manager has, their home: the first
//! of the managers that serve the account (A6). All members of the set create, and one
//! bucket says how fast, so that the sum over them is exact.
//!
//! ```text
//!   wanted ──▶ in line ──▶ one question for all of the line ──▶ so many given
//!                │              │ fewer than wanted: the rest of the line is refused
//!                │              └ no answer: the home is silent for a while
//!                └ home silent: a bucket of our own, of a share of the size and rate
//! ```
//! Invariants: a function has at most one question open; who stands in line leaves it by
//! the answer, or when it is overdue. While the home is silent the others create no
//! more than one bucket among them, on top of what it gave before, and never nothing.

use alloc::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    vec::Vec,
};

use model::{AccountId, FunctionName, ManagerId, Now, Span, TokensGiven, limits};

use super::bucket::Bucket;

/// Functions with a line; above it those with nothing to remember are swept.
const SWEEP_AT: usize = 4_096;

/// Where a start's token came from, and goes back to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Token {
    /// This manager's bucket of the function.
    Own,
    Home(ManagerId),
    /// Our share, while the home was silent.
    Share,
}

/// A function of an account.
pub type Whose = (AccountId, FunctionName);

/// To the home of a function: give so many tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenAsk {
    pub whose: Whose,
    pub want: u32,
    pub seq: u64,
}

/// What became of one that wants a token.
#[derive(Debug)]
pub enum Taken<W> {
    /// It has one, of the share.
    Yes(W),
    No(Span),
    /// It stands in line.
    Waits(Option<(ManagerId, TokenAsk)>),
}

/// What an answer, or its absence, means to the line.
#[derive(Debug)]
pub struct Answered<W> {
    pub home: ManagerId,
    pub served: Vec<(W, Token)>,
    pub refused: Vec<W>,
    pub wait: Span,
    /// Tokens that nobody wants any more.
    pub surplus: u32,
    pub next: Option<TokenAsk>,
}

#[derive(Debug)]
struct Line<W> {
    home: ManagerId,
    waiting: VecDeque<W>,
    asked: Option<(Now, u64)>,
    silent_until: Now,
    share: Bucket,
}

#[derive(Debug)]
pub struct Tokens<W> {
    /// Of this manager's share: size, and tokens per second.
    share: (u64, u64),
    lines: BTreeMap<Whose, Line<W>>,
    overdue: BTreeSet<(Now, Whose)>,
    seq: u64,
    sweep_at: usize,
}

impl<W> Tokens<W> {
    /// `managers`: how many share a bucket while its home is silent.
    pub fn new((size, per_sec): (u32, u32), managers: u32) -> Tokens<W> {
        let part = |whole: u32| u64::from((whole / managers.max(1)).max(whole.min(1)));
        Tokens {
            share: (part(size), part(per_sec)),
            lines: BTreeMap::new(),
            overdue: BTreeSet::new(),
            seq: 0,
            sweep_at: SWEEP_AT,
        }
    }

    /// Where the bucket is; none: here. A line with something in it ends where it began.
    pub fn home_is(&mut self, now: Now, whose: Whose, home: Option<ManagerId>) {
        let Some(home) = home else {
            let idle = |line: &Line<W>| line.asked.is_none() && line.waiting.is_empty();
            if self.lines.get(&whose).is_some_and(idle) {
                self.lines.remove(&whose);
            }
            return;
        };
        let line = self.line(now, home, &whose);
        if line.home != home && line.asked.is_none() {
            (line.home, line.silent_until) = (home, now);
        }
    }

    pub fn home(&self, whose: &Whose) -> Option<ManagerId> {
        self.lines.get(whose).map(|line| line.home)
    }

    fn line(&mut self, now: Now, home: ManagerId, whose: &Whose) -> &mut Line<W> {
        let (size, per_sec) = self.share;
        self.sweep(now);
        self.lines.entry(whose.clone()).or_insert_with(|| Line {
            home,
            waiting: VecDeque::new(),
            asked: None,
            silent_until: now,
            share: Bucket::full(size, per_sec, now),
        })
    }

    pub fn take(&mut self, now: Now, home: ManagerId, whose: Whose, who: W) -> Taken<W> {
        self.home_is(now, whose.clone(), Some(home));
        let line = self.line(now, home, &whose);
        if line.silent_until > now {
            return match line.share.take(now) {
                Ok(()) => Taken::Yes(who),
                Err(wait) => Taken::No(wait),
            };
        }
        line.waiting.push_back(who);
        let to = line.home;
        Taken::Waits(self.ask(now, &whose).map(|ask| (to, ask)))
    }

    /// `given`: None where the home cannot be reached. None where the question is not
    /// the open one: what was given goes back.
    pub fn answered(
        &mut self,
        now: Now,
        whose: &Whose,
        seq: u64,
        given: Option<TokensGiven>,
    ) -> Option<Answered<W>> {
        let line = self.lines.get_mut(whose)?;
        let (at, _) = line.asked.filter(|(_, open)| *open == seq)?;
        line.asked = None;
        self.overdue.remove(&(at + limits::TOKEN_HOME_SILENT, whose.clone()));
        let mut answered = line.take_in(now, given);
        answered.next = self.ask(now, whose);
        Some(answered)
    }

    /// When a question is taken as unanswered.
    pub fn due(&self) -> Option<(Now, &Whose, u64)> {
        let (at, whose) = self.overdue.first()?;
        let (_, seq) = self.lines.get(whose)?.asked?;
        Some((*at, whose, seq))
    }

    /// The last in line of those meant leaves it.
    pub fn leave(&mut self, whose: &Whose, meant: impl Fn(&W) -> bool) -> Option<W> {
        let line = self.lines.get_mut(whose)?;
        let at = line.waiting.iter().rposition(meant)?;
        line.waiting.remove(at)
    }

    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut W> {
        self.lines.values_mut().flat_map(|line| line.waiting.iter_mut())
    }

    /// A token of the share was taken for nothing.
    pub fn give_back(&mut self, whose: &Whose) {
        if let Some(line) = self.lines.get_mut(whose) {
            line.share.give_back();
        }
    }

    fn ask(&mut self, now: Now, whose: &Whose) -> Option<TokenAsk> {
        let line = self.lines.get_mut(whose)?;
        let want = u32::try_from(line.waiting.len()).unwrap_or(u32::MAX);
        if line.asked.is_some() || want == 0 {
            return None;
        }
        self.seq += 1;
        line.asked = Some((now, self.seq));
        self.overdue.insert((now + limits::TOKEN_HOME_SILENT, whose.clone()));
        Some(TokenAsk { whose: whose.clone(), want, seq: self.seq })
    }

    /// A line with nothing in it, whose share is full, is the same as none.
    fn sweep(&mut self, now: Now) {
        if self.lines.len() < self.sweep_at {
            return;
        }
        self.lines.retain(|_, line| {
            let open = line.asked.is_some() || !line.waiting.is_empty();
            open || line.silent_until > now || !line.share.is_full(now)
        });
        self.sweep_at = SWEEP_AT.max(self.lines.len() * 2);
    }
}

impl<W> Line<W> {
    fn take_in(&mut self, now: Now, given: Option<TokensGiven>) -> Answered<W> {
        let mut answered = Answered {
            home: self.home,
            served: Vec::new(),
            refused: Vec::new(),
            wait: Span::ZERO,
            surplus: 0,
            next: None,
        };
        let Some(TokensGiven { given, wait }) = given else {
            self.silent_until = now + limits::TOKEN_HOME_AGAIN;
            while !self.waiting.is_empty() {
                if let Err(wait) = self.share.take(now) {
                    answered.wait = wait;
                    answered.refused = self.waiting.drain(..).collect();
                    break;
                }
                answered.served.extend(self.waiting.pop_front().map(|who| (who, Token::Share)));
            }
            return answered;
        };
        let served = self.waiting.len().min(given as usize);
        let token = Token::Home(self.home);
        answered.served.extend(self.waiting.drain(..served).map(|who| (who, token)));
        answered.surplus = given - served as u32;
        if wait > Span::ZERO {
            // The bucket is empty: who came meanwhile would hear the same.
            (answered.wait, answered.refused) = (wait, self.waiting.drain(..).collect());
        }
        answered
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOME: ManagerId = ManagerId(1);

    fn whose() -> Whose {
        (AccountId::parse("000000000001").unwrap(), FunctionName::parse("f").unwrap())
    }

    fn tokens() -> Tokens<u32> {
        Tokens::new((1_000, 100), 4)
    }

    fn asked(taken: Taken<u32>) -> Option<TokenAsk> {
        match taken {
            Taken::Waits(ask) => ask.map(|(to, ask)| {
                assert_eq!(to, HOME);
                ask
            }),
            other @ (Taken::Yes(_) | Taken::No(_)) => panic!("{other:?}"),
        }
    }

    #[test]
    fn one_question_is_for_all_that_came_before_its_answer() {
        let mut tokens = tokens();
        let first = asked(tokens.take(Now(0), HOME, whose(), 1)).unwrap();
        assert_eq!(first.want, 1);
        for who in 2..=5 {
            assert_eq!(asked(tokens.take(Now(0), HOME, whose(), who)), None);
        }
        let given = TokensGiven { given: 1, wait: Span::ZERO };
        let answered = tokens.answered(Now(1), &whose(), first.seq, Some(given)).unwrap();
        assert_eq!(answered.served, [(1, Token::Home(HOME))]);
        let next = answered.next.unwrap();
        assert_eq!(next.want, 4);
        // The same answer twice gives nothing twice.
        assert!(tokens.answered(Now(1), &whose(), first.seq, Some(given)).is_none());
        // Two left the line meanwhile; of three tokens one is too many.
        assert_eq!(tokens.leave(&whose(), |who| *who == 3), Some(3));
        assert_eq!(tokens.leave(&whose(), |_| true), Some(5));
        let given = TokensGiven { given: 3, wait: Span::millis(10) };
        let answered = tokens.answered(Now(2), &whose(), next.seq, Some(given)).unwrap();
        assert_eq!(answered.served.len(), 2);
        assert_eq!((answered.surplus, answered.next), (1, None));
    }

    #[test]
    fn an_empty_bucket_refuses_the_line() {
        let mut tokens = tokens();
        let first = asked(tokens.take(Now(0), HOME, whose(), 1)).unwrap();
        tokens.take(Now(0), HOME, whose(), 2);
        let given = TokensGiven { given: 0, wait: Span::millis(7) };
        let answered = tokens.answered(Now(1), &whose(), first.seq, Some(given)).unwrap();
        assert_eq!((answered.refused, answered.wait), (Vec::from([1, 2]), Span::millis(7)));
        assert_eq!(tokens.due(), None);
    }

    #[test]
    fn a_silent_home_leaves_a_share_and_is_asked_again() {
        let mut tokens = tokens();
        let first = asked(tokens.take(Now(0), HOME, whose(), 0)).unwrap();
        for who in 1..400 {
            tokens.take(Now(0), HOME, whose(), who);
        }
        let (at, _, seq) = tokens.due().unwrap();
        assert_eq!((at, seq), (Now(0) + limits::TOKEN_HOME_SILENT, first.seq));
        let answered = tokens.answered(at, &whose(), seq, None).unwrap();
        assert_eq!((answered.served.len(), answered.refused.len()), (250, 150));
        assert!(answered.served.iter().all(|(_, token)| *token == Token::Share));
        assert!(matches!(tokens.take(at, HOME, whose(), 0), Taken::No(_)));
        let later = at + Span::millis(500);
        let few = (0..50).filter(|_| matches!(tokens.take(later, HOME, whose(), 0), Taken::Yes(_)));
        assert_eq!(few.count(), 12, "a quarter of the rate");
        let again = at + limits::TOKEN_HOME_AGAIN;
        assert!(asked(tokens.take(again, HOME, whose(), 0)).is_some());
        // Another home is not silent because the one before was.
        let mut moved = Tokens::new((1_000, 100), 4);
        let first = asked(moved.take(Now(0), HOME, whose(), 1)).unwrap();
        moved.answered(Now(0), &whose(), first.seq, None).unwrap();
        let other = moved.take(Now(1), ManagerId(2), whose(), 2);
        assert!(matches!(other, Taken::Waits(Some((ManagerId(2), _)))), "{other:?}");
    }

    #[test]
    fn a_share_is_never_nothing_unless_the_whole_is() {
        let one: Tokens<u32> = Tokens::new((3, 1), 10);
        assert_eq!(one.share, (1, 1));
        let none: Tokens<u32> = Tokens::new((0, 0), 10);
        assert_eq!(none.share, (0, 0));
    }

    #[test]
    fn lines_with_nothing_to_remember_are_forgotten() {
        let mut tokens = tokens();
        for at in 0..=SWEEP_AT {
            let name = FunctionName::parse(&alloc::format!("f{at}")).unwrap();
            let whose = (whose().0, name);
            let ask = asked(tokens.take(Now(0), HOME, whose.clone(), 1)).unwrap();
            let given = TokensGiven { given: 1, wait: Span::ZERO };
            tokens.answered(Now(0), &whose, ask.seq, Some(given)).unwrap();
        }
        assert!(tokens.lines.len() < 5, "{} lines kept", tokens.lines.len());
    }
}
