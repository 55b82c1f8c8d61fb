//! One question after another to the process that has the store open: each within a
//! term, asked again after a pause where that is safe. Knows whether a question that
//! got no answer was sent.

use model::{Now, Span};
use platform::{Body, Clock};
use wire::store::{Position, Refusal, StoreAnswer, StoreCall};

use super::StoreCaller;
use crate::limits::{ANSWER_TTL, POLL_TTL, RETRY_MAX, RETRY_MIN};

#[derive(Clone, Debug)]
pub(super) struct Line {
    caller: StoreCaller,
    clock: Clock,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// It was not sent, or sent back unheard: nothing came of it.
    Unsent,
    /// What came of it is not known.
    Unanswered,
    Refused(Refusal),
}

impl Line {
    pub(super) fn new(caller: StoreCaller, clock: Clock) -> Line {
        Line { caller, clock }
    }

    pub(super) fn pauses(&self) -> Pauses {
        Pauses { clock: self.clock.clone(), next: RETRY_MIN, taken: false }
    }

    /// For what does the same twice.
    pub(super) async fn read(&self, call: StoreCall) -> Result<StoreAnswer, Fault> {
        self.ask(call, |fault| match fault {
            Fault::Unsent | Fault::Unanswered => true,
            Fault::Refused(_) => false,
        })
        .await
    }

    pub(super) async fn change(&self, call: StoreCall) -> Result<StoreAnswer, Fault> {
        self.ask(call, |fault| match fault {
            Fault::Unsent => true,
            Fault::Unanswered | Fault::Refused(_) => false,
        })
        .await
    }

    /// Once: whoever polls comes again anyway.
    pub(super) async fn changes(&self, after: Option<Position>) -> Result<StoreAnswer, Fault> {
        let deadline = self.clock.now() + POLL_TTL + ANSWER_TTL;
        self.attempt(StoreCall::Changes { after }, deadline).await
    }

    async fn ask(&self, call: StoreCall, again: fn(&Fault) -> bool) -> Result<StoreAnswer, Fault> {
        let deadline = self.clock.now() + ANSWER_TTL;
        let mut pauses = self.pauses();
        loop {
            let fault = match self.attempt(call.clone(), deadline).await {
                Ok(answer) => return Ok(answer),
                Err(fault) => fault,
            };
            if !again(&fault) || pauses.end() >= deadline {
                return Err(fault);
            }
            pauses.rest().await;
        }
    }

    async fn attempt(&self, call: StoreCall, deadline: Now) -> Result<StoreAnswer, Fault> {
        let sent = tokio::select! {
            sent = self.caller.send(call, Body::Empty) => sent,
            () = self.clock.sleep_until(deadline) => return Err(Fault::Unsent),
        };
        let pending = sent.map_err(|_| Fault::Unsent)?;
        let answered = tokio::select! {
            answered = pending => answered,
            () = self.clock.sleep_until(deadline) => return Err(Fault::Unanswered),
        };
        match answered.map_err(|_| Fault::Unanswered)? {
            (StoreAnswer::Refused(Refusal::Closed), _) => Err(Fault::Unsent),
            (StoreAnswer::Refused(refusal), _) => Err(Fault::Refused(refusal)),
            (answer, _) => Ok(answer),
        }
    }
}

/// Growing distances between attempts.
#[derive(Debug)]
pub(super) struct Pauses {
    clock: Clock,
    next: Span,
    taken: bool,
}

impl Pauses {
    /// None was taken since the last success.
    pub(super) fn are_new(&self) -> bool {
        !self.taken
    }

    fn end(&self) -> Now {
        self.clock.now() + self.next
    }

    pub(super) async fn rest(&mut self) {
        let end = self.end();
        self.next = Span((self.next.0 * 2).min(RETRY_MAX.0));
        self.taken = true;
        self.clock.sleep_until(end).await;
    }
}
