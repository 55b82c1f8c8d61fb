//! Calls that wait for an environment. Invariant: a ticket is in `tickets`, in
//! `deadlines` and in its pool's queue, or in none of the three.

use alloc::collections::{BTreeMap, BTreeSet};

use model::{KeyHash, Now};

use super::message::Ticket;

#[derive(Clone, Copy, Debug)]
pub(super) struct Waiter {
    pub(super) key: KeyHash,
    pub(super) since: Now,
    pub(super) deadline: Now,
}

#[derive(Debug, Default)]
pub(super) struct Waiting {
    tickets: BTreeMap<Ticket, Waiter>,
    deadlines: BTreeSet<(Now, Ticket)>,
}

impl Waiting {
    pub(super) fn add(&mut self, ticket: Ticket, waiter: Waiter) {
        self.deadlines.insert((waiter.deadline, ticket));
        self.tickets.insert(ticket, waiter);
    }

    pub(super) fn remove(&mut self, ticket: Ticket) -> Option<Waiter> {
        let waiter = self.tickets.remove(&ticket)?;
        self.deadlines.remove(&(waiter.deadline, ticket));
        Some(waiter)
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
