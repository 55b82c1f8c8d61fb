//! Calls that wait for an environment. Invariant: a ticket is in `tickets`, in
//! `deadlines` and in its pool's queue, or in none of the three; it is in `hopes`
//! exactly while it has a `patient_until`.

use alloc::collections::{BTreeMap, BTreeSet};

use model::{KeyHash, Now};

use super::message::{Mode, Ticket};

#[derive(Clone, Copy, Debug)]
pub(super) struct Waiter {
    pub(super) key: KeyHash,
    pub(super) since: Now,
    pub(super) deadline: Now,
    /// When it has hoped long enough for others' environments; None where a start
    /// was begun for it.
    pub(super) patient_until: Option<Now>,
    /// While it waits for predecessors: what it wants when they have nothing.
    pub(super) asking: Option<Mode>,
}

#[derive(Debug, Default)]
pub(super) struct Waiting {
    tickets: BTreeMap<Ticket, Waiter>,
    deadlines: BTreeSet<(Now, Ticket)>,
    hopes: BTreeSet<(Now, Ticket)>,
}

impl Waiting {
    pub(super) fn add(&mut self, ticket: Ticket, waiter: Waiter) {
        self.deadlines.insert((waiter.deadline, ticket));
        self.hopes.extend(waiter.patient_until.map(|until| (until, ticket)));
        self.tickets.insert(ticket, waiter);
    }

    pub(super) fn remove(&mut self, ticket: Ticket) -> Option<Waiter> {
        let waiter = self.tickets.remove(&ticket)?;
        self.deadlines.remove(&(waiter.deadline, ticket));
        if let Some(until) = waiter.patient_until {
            self.hopes.remove(&(until, ticket));
        }
        Some(waiter)
    }

    pub(super) fn set_patience(&mut self, ticket: Ticket, until: Option<Now>) {
        let Some(waiter) = self.tickets.get_mut(&ticket) else { return };
        if let Some(before) = core::mem::replace(&mut waiter.patient_until, until) {
            self.hopes.remove(&(before, ticket));
        }
        self.hopes.extend(until.map(|until| (until, ticket)));
    }

    /// The predecessors have nothing for it; None where it did not wait for them.
    pub(super) fn asked_in_vain(&mut self, ticket: Ticket) -> Option<Mode> {
        self.tickets.get_mut(&ticket)?.asking.take()
    }

    pub(super) fn next_impatient(&self) -> Option<(Now, Ticket)> {
        self.hopes.first().copied()
    }

    pub(super) fn get(&self, ticket: Ticket) -> Option<&Waiter> {
        self.tickets.get(&ticket)
    }

    pub(super) fn next_deadline(&self) -> Option<(Now, Ticket)> {
        self.deadlines.first().copied()
    }

    pub(super) fn len(&self) -> usize {
        self.tickets.len()
    }
}
