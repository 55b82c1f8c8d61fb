//! What this frontend admits by itself: calls of large accounts, out of slots that the
//! counter lent it, and of any account while its counter is silent, up to a share of
//! the limit. The choices are `decide::admit`'s; here are the lock and the questions.
//! Not for functions whose calls are counted one by one (`exact.rs`).

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use decide::admit::{Admission, Allowances};
use model::{AccountId, BlockAsk, Now, limits};
use platform::TaskKind;
use tokio::sync::Notify;
use wire::manager::{ManagerAnswer, ManagerCall};

use crate::{Gate, acquire::Wanted, admit::Slot, refusal::Refusal};

#[derive(Debug)]
pub(crate) struct Allowed {
    /// Held for single look-ups, never while waiting.
    allowances: Mutex<Allowances>,
    /// What the store says that accounts may have in flight, where it does.
    limits: Mutex<HashMap<AccountId, u32>>,
    /// Wakes the calls that wait for a counter's answer.
    answered: Notify,
}

impl Allowed {
    pub(crate) fn new(frontends: usize) -> Allowed {
        let fleet = u32::try_from(frontends).unwrap_or(u32::MAX);
        let allowances = Allowances::new(limits::CONCURRENCY_LEASE_TTL, fleet);
        Allowed {
            allowances: Mutex::new(allowances),
            limits: Mutex::default(),
            answered: Notify::new(),
        }
    }

    pub(crate) fn ended(&self, account: AccountId) {
        self.lock().ended(account);
    }

    pub(crate) fn limit(&self, account: AccountId, concurrency: u32) {
        self.limits().insert(account, concurrency);
    }

    /// These, and the default for all others.
    pub(crate) fn limit_only(&self, limits: HashMap<AccountId, u32>) {
        *self.limits() = limits;
    }

    fn unanswered(&self, now: Now, account: AccountId) {
        let limit = self.limits().get(&account).copied();
        let limit = limit.unwrap_or(limits::ACCOUNT_CONCURRENCY_DEFAULT);
        self.lock().unanswered(now, account, limit);
    }

    fn limits(&self) -> MutexGuard<'_, HashMap<AccountId, u32>> {
        self.limits.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self) -> MutexGuard<'_, Allowances> {
        self.allowances.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether the call is one that a frontend may ever admit by itself.
pub(crate) fn may(gate: &Gate, wanted: Wanted<'_>) -> bool {
    !gate.exact.holds(wanted.callable, wanted.tenant)
}

/// None: the counter has to be asked for a concurrency lease.
pub(crate) async fn admit(gate: &Arc<Gate>, wanted: Wanted<'_>) -> Result<Option<Slot>, Refusal> {
    let config = &wanted.callable.config;
    loop {
        // Before the question, so that no answer to it is missed.
        let answered = gate.allowances.answered.notified();
        let now = gate.clock.now();
        let admission = gate.allowances.lock().admit(now, config.account, &config.name);
        match admission {
            Admission::Yes(_) => return Ok(Some(Slot::allowed(gate, config.account))),
            Admission::Exact => return Ok(None),
            Admission::No(denied) => return Err(denied.into()),
            Admission::Wait(ask, until) => {
                if let Some(ask) = ask {
                    put(gate, ask);
                }
                tokio::select! {
                    biased;
                    () = answered => {}
                    () = tokio::time::sleep(left(now, until)) => {}
                }
            }
        }
    }
}

/// The counter cannot be reached: a slot of this frontend's share.
pub(crate) fn without_counter(gate: &Arc<Gate>, wanted: Wanted<'_>) -> Result<Slot, Refusal> {
    let config = &wanted.callable.config;
    let now = gate.clock.now();
    gate.allowances.unanswered(now, config.account);
    let admission = gate.allowances.lock().admit(now, config.account, &config.name);
    match admission {
        Admission::Yes(_) => Ok(Slot::allowed(gate, config.account)),
        Admission::No(denied) => Err(denied.into()),
        // An answer came this moment; the next attempt goes by it.
        Admission::Exact | Admission::Wait(..) => Err(Refusal::no_manager()),
    }
}

/// Renews what is held, returns what is not needed, and finds counters that are back.
pub(crate) fn beat(gate: &Arc<Gate>) {
    let asks = gate.allowances.lock().beat(gate.clock.now());
    for ask in asks {
        put(gate, ask);
    }
}

/// The question goes on without the call that caused it: others wait for its answer.
fn put(gate: &Arc<Gate>, ask: BlockAsk) {
    let Some(counter) = gate.router.counter(ask.account) else { return };
    let Some(caller) = gate.managers.get(&counter).cloned() else { return };
    let gate_then = Arc::clone(gate);
    gate.tasks.spawn(TaskKind::Background, "question for slots", async move {
        let gate = gate_then;
        let answer = caller.call(ManagerCall::Borrow(gate.frontend, ask)).await;
        heard(&gate, ask.account, answer.ok());
        gate.allowances.answered.notify_waiters();
    });
}

fn heard(gate: &Gate, account: AccountId, answer: Option<ManagerAnswer>) {
    let now = gate.clock.now();
    let Some(answer) = answer else { return gate.allowances.unanswered(now, account) };
    let ManagerAnswer::Lent(lent) = answer else {
        return tracing::error!("the counter answered something else");
    };
    // Where there is none, a later question was answered, or will be.
    if let Some(lent) = lent {
        gate.router.learn_limit(account, lent.limit);
        gate.allowances.lock().lent(now, &lent);
    }
}

fn left(now: Now, until: Now) -> Duration {
    until.since(now).to_std()
}
