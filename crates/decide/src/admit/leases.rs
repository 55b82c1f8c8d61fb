//! Concurrency leases: each dies with its holder (I4). A holder renews all of its
//! leases with one heartbeat. Invariant: a lease is in the slab exactly while its
//! call is counted.

use alloc::{collections::BTreeSet, vec::Vec};

use model::{AccountId, FrontendId, FunctionName, LeaseId, Now, Span, TenantId, VersionId};

use crate::table::Table;

const SEAT_BITS: u32 = 24;

/// What a lease gives back when it ends.
#[derive(Clone, Debug)]
pub(super) struct Held {
    pub(super) account: AccountId,
    pub(super) function: FunctionName,
    pub(super) version: VersionId,
    pub(super) tenant: Option<TenantId>,
    pub(super) holder: FrontendId,
    pub(super) since: Now,
}

#[derive(Debug)]
pub(super) struct Leases {
    seats: Vec<Option<(LeaseId, Held)>>,
    free: Vec<usize>,
    grants: u64,
    /// When each holder's leases end unless it renews them, and how many they are.
    holders: Table<FrontendId, (Now, u32)>,
    /// No holder's time ends before it; a look-up of every call, so it is kept.
    not_before: Option<Now>,
    ttl: Span,
}

impl Leases {
    pub(super) fn new(ttl: Span) -> Leases {
        Leases {
            seats: Vec::new(),
            free: Vec::new(),
            grants: 0,
            holders: Table::default(),
            not_before: None,
            ttl,
        }
    }

    /// Numbers of leases go on from here: none is given that others may still know.
    pub(super) fn count_from(&mut self, first: u64) {
        self.grants = first & (u64::MAX >> SEAT_BITS);
    }

    /// Taking a lease is a sign of life of its holder.
    pub(super) fn take(&mut self, now: Now, held: Held) -> LeaseId {
        *self.lives(now, held.holder) += 1;
        let seat = self.free.pop().unwrap_or_else(|| {
            self.seats.push(None);
            self.seats.len() - 1
        });
        self.grants = (self.grants + 1) & (u64::MAX >> SEAT_BITS);
        let lease = LeaseId((self.grants << SEAT_BITS) | seat as u64);
        self.seats[seat] = Some((lease, held));
        lease
    }

    pub(super) fn give_back(&mut self, lease: LeaseId) -> Option<Held> {
        let seat = (lease.0 & ((1 << SEAT_BITS) - 1)) as usize;
        let slot = self.seats.get_mut(seat)?;
        let (_, held) = slot.take_if(|(known, _)| *known == lease)?;
        self.free.push(seat);
        if let Some((_, count)) = self.holders.get_mut(&held.holder) {
            // A holder without a lease stays for its time: the next call finds it there.
            *count -= 1;
        }
        Some(held)
    }

    pub(super) fn renew(&mut self, now: Now, holder: FrontendId) {
        self.lives(now, holder);
    }

    /// A sign of life; how many leases the holder has.
    fn lives(&mut self, now: Now, holder: FrontendId) -> &mut u32 {
        let ends = now + self.ttl;
        self.not_before = Some(self.not_before.map_or(ends, |before| before.min(ends)));
        let (until, count) = self.holders.get_or_insert(&holder, || (ends, 0));
        *until = ends;
        count
    }

    /// When `expire` is worth asking; renewals since may have made it early.
    pub(super) fn next_expiry(&self) -> Option<Now> {
        self.not_before.filter(|_| self.holders.len() > 0)
    }

    /// The leases of holders that gave no sign of life, taken out.
    pub(super) fn expire(&mut self, now: Now) -> Vec<Held> {
        let dead: Vec<LeaseId> =
            if self.holders.iter().any(|(_, (ends, count))| *ends <= now && *count > 0) {
                self.of_silent(now).collect()
            } else {
                Vec::new()
            };
        let held = dead.into_iter().filter_map(|lease| self.give_back(lease)).collect();
        let silent = self.holders.iter().filter(|(_, (ends, _))| *ends <= now);
        let silent: Vec<FrontendId> = silent.map(|(holder, _)| *holder).collect();
        for holder in silent {
            self.holders.remove(&holder);
        }
        self.not_before = self.holders.iter().map(|(_, (ends, _))| *ends).min();
        held
    }

    /// A holder says which of its leases it still holds, of those that it has had for
    /// some time: others that were taken as long ago are over, and the word of that was
    /// lost, with a connection or with the holder's life before this one.
    pub(super) fn reconcile(
        &mut self,
        now: Now,
        holder: FrontendId,
        held: &BTreeSet<LeaseId>,
    ) -> Vec<Held> {
        let long_ago = |since: Now| now.since(since) >= self.ttl;
        let over = |lease: &LeaseId, h: &Held| {
            h.holder == holder && long_ago(h.since) && !held.contains(lease)
        };
        let seats = self.seats.iter().flatten();
        let over: Vec<LeaseId> =
            seats.filter(|(lease, h)| over(lease, h)).map(|(lease, _)| *lease).collect();
        over.into_iter().filter_map(|lease| self.give_back(lease)).collect()
    }

    fn of_silent(&self, now: Now) -> impl Iterator<Item = LeaseId> + '_ {
        let silent = move |held: &Held| self.holders.get(&held.holder).is_none_or(|h| h.0 <= now);
        self.seats.iter().flatten().filter(move |(_, held)| silent(held)).map(|(lease, _)| *lease)
    }

    pub(super) fn len(&self) -> usize {
        self.seats.len() - self.free.len()
    }
}
