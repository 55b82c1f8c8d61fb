//! Properties over small models: what must hold for every sequence, found by
//! proptest and shrunk to the shortest one.

use std::collections::BTreeMap;

use decide::{
    Dice,
    admit::{AccountLimits, Ask, Bucket, Counter},
    arcs,
    book::Mode,
    place::{Need, Place},
    probe::{Answer, Budget, Hints, Probe, Step},
    ring::Ring,
};
use model::{
    AccountId, Capacity, Epoch, FrontendId, FunctionName, KeyHash, LeaseId, ManagerId, Now, Reason,
    Register, RingVersion, Span, VersionId, WorkerId, function::Architecture,
};
use proptest::prelude::*;

fn register() -> impl Strategy<Value = Register> {
    (0..4_u64, 0..3_u64, 1..9_u16).prop_map(|(epoch, writer, size)| Register {
        epoch: Epoch(epoch),
        writer: FrontendId(writer),
        size,
    })
}

fn account() -> AccountId {
    AccountId::parse("000000000001").unwrap()
}

proptest! {
    #[test]
    fn registers_join_in_any_order(a in register(), b in register(), c in register()) {
        prop_assert_eq!(a.join(b), b.join(a));
        prop_assert_eq!(a.join(b).join(c), a.join(b.join(c)));
        prop_assert_eq!(a.join(a), a);
        prop_assert!(a.join(b).epoch >= a.epoch);
    }

    #[test]
    fn a_bucket_never_gives_more_than_its_size_and_rate(
        size in 1..20_u64,
        per_sec in 0..50_u64,
        steps in prop::collection::vec((0..300_000_u64, any::<bool>()), 1..200),
    ) {
        let (mut now, mut bucket) = (Now(0), Bucket::full(size, per_sec, Now(0)));
        let mut taken = Vec::new();
        for (pass, give_back) in steps {
            now += Span::micros(pass);
            match bucket.take(now) {
                Ok(()) if give_back => bucket.give_back(),
                Ok(()) => taken.push(now),
                Err(wait) => prop_assert!(
                    wait == Span(u64::MAX) || bucket.peek(now + wait).is_ok(),
                    "waiting {:?} is not enough", wait
                ),
            }
        }
        // Over every window: at most the size and what came in meanwhile.
        for (at, first) in taken.iter().enumerate() {
            for (more, last) in taken[at..].iter().enumerate() {
                let came = last.since(*first).as_micros() * per_sec / 1_000_000;
                prop_assert!(more as u64 <= size + came);
            }
        }
    }

    #[test]
    fn workers_are_never_promised_twice(
        sizes in prop::collection::vec((100..2_000_u64, 1..20_u32), 1..6),
        asks in prop::collection::vec((any::<u64>(), 1..400_u32, any::<bool>()), 1..120),
    ) {
        let architecture = Architecture::X86_64;
        let mut place = Place::new();
        for (at, (memory_mb, slots)) in sizes.iter().enumerate() {
            let capacity = Capacity { memory_mb: *memory_mb, slots: *slots, architecture };
            place.offer(WorkerId(at as u64), capacity);
        }
        let mut held: Vec<(WorkerId, u32)> = Vec::new();
        for (key, memory_mb, leave) in asks {
            if leave && let Some((worker, memory_mb)) = held.pop() {
                place.release(worker, memory_mb, false);
            }
            let key = KeyHash(u128::from(key));
            let chosen = place.choose(Need { key, memory_mb, architecture }, None);
            let mut used: BTreeMap<WorkerId, (u64, u32)> = BTreeMap::new();
            for (worker, memory_mb) in &held {
                let of = used.entry(*worker).or_default();
                *of = (of.0 + u64::from(*memory_mb), of.1 + 1);
            }
            let fits = |at: usize| {
                let (memory, slots) = used.get(&WorkerId(at as u64)).copied().unwrap_or_default();
                memory + u64::from(memory_mb) <= sizes[at].0 && slots < sizes[at].1
            };
            match chosen {
                Ok(worker) => {
                    prop_assert!(fits(worker.0 as usize));
                    place.reserve(worker, memory_mb);
                    held.push((worker, memory_mb));
                }
                Err(_) => prop_assert!((0..sizes.len()).all(|at| !fits(at)), "there was room"),
            }
        }
    }

    #[test]
    fn the_counter_counts_what_is_held(
        steps in prop::collection::vec((0..4_u8, 0..3_usize, 0..3_u64), 1..300),
    ) {
        let names = ["f", "g", "h"].map(|name| FunctionName::parse(name).unwrap());
        let limits = AccountLimits { concurrency: 120, tenant: None };
        let mut counter = Counter::new(limits, Span::secs(15));
        counter.reserve(Now(0), account(), &names[2], Some(5)).unwrap();
        let mut held: Vec<(LeaseId, usize, u64)> = Vec::new();
        let (mut now, mut alive_until) = (Now(0), [Now(0); 3]);
        for (what, function, holder) in steps {
            let ask = Ask {
                account: account(),
                function: &names[function],
                version: VersionId::Latest,
                tenant: None,
                holder: FrontendId(holder),
            };
            match what {
                0 | 1 => match counter.take(now, &ask) {
                    Ok(admitted) => {
                        alive_until[holder as usize] = now + Span::secs(15);
                        held.push((admitted.lease, function, holder));
                    }
                    Err(refusal) => {
                        // I27: the reason is the one of the limit that is exhausted.
                        let mine = held.iter().filter(|(_, f, _)| *f == function).count();
                        let full = Reason::ReservedFunctionConcurrentInvocationLimitExceeded;
                        prop_assert_eq!((refusal.reason, function, mine), (full, 2, 5));
                    }
                },
                2 => if let Some((lease, ..)) = held.pop() {
                    prop_assert!(counter.give_back(lease));
                    prop_assert!(!counter.give_back(lease));
                },
                _ => {
                    now += Span::secs(7);
                    counter.renew(now, FrontendId(holder));
                    alive_until[holder as usize] = now + Span::secs(15);
                    let ended = counter.expire(now);
                    let before = held.len();
                    held.retain(|(_, _, holder)| alive_until[*holder as usize] > now);
                    prop_assert_eq!(before - held.len(), ended);
                }
            }
            for (at, name) in names.iter().enumerate() {
                let mine = held.iter().filter(|(_, function, _)| *function == at).count();
                prop_assert_eq!(counter.in_flight(account(), name) as usize, mine);
            }
            let unreserved = held.iter().filter(|(_, function, _)| *function < 2).count();
            let claimed = counter.claimed(account());
            prop_assert_eq!(claimed.unreserved_in_flight as usize, unreserved);
            prop_assert_eq!(claimed.reserved, 5);
        }
    }

    #[test]
    fn a_probe_asks_each_candidate_at_most_once_and_creates_once(
        seed in any::<u64>(),
        fleet in 1..12_u64,
        probes in 1..6_u32,
        silent in any::<u16>(),
    ) {
        let candidates: Vec<ManagerId> = (0..fleet).map(ManagerId).collect();
        let (mut dice, mut hints) = (Dice::new(seed), Hints::default());
        let budget = Budget { probes, ..Budget::default() };
        let mut probe = Probe::new(Now(0), KeyHash(1), &candidates, budget);
        let mut asked = Vec::new();
        let mut existing = 0;
        while let Step::Ask { manager, mode } = probe.next(Now(0), &mut hints, &mut dice) {
            prop_assert!(!asked.contains(&manager));
            asked.push(manager);
            if (silent >> manager.0) & 1 == 1 {
                probe.answered(manager, Answer::Unusable, &mut hints);
            } else if mode == Mode::Existing {
                existing += 1;
                probe.answered(manager, Answer::NoIdle, &mut hints);
            } else {
                break;
            }
        }
        prop_assert!(existing < probes);
    }

    #[test]
    fn every_arc_member_gets_its_share(limit in 1..3_000_u32, managers in 1..60_usize) {
        let arc = arcs::provisioned(9, limit, managers);
        let shares: Vec<u32> = (0..arc.size).map(|at| arcs::share(limit, arc.size, at)).collect();
        prop_assert_eq!(shares.iter().sum::<u32>(), limit);
        let (least, most) = (shares.iter().min().unwrap(), shares.iter().max().unwrap());
        prop_assert!(most - least <= 1);
        let members: Vec<ManagerId> = (0..managers as u64).map(ManagerId).collect();
        let mut into = Vec::new();
        Ring::new(RingVersion(1), &members).members(arc.start, arc.size, &mut into);
        prop_assert_eq!(into.len(), usize::from(arc.size));
    }
}
