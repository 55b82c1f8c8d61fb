//! The search of one call for an environment: the provisioned set where the plan
//! has one, then the client's elastic arc, wider where managers ask to try another.
//! It sends nothing; the frontend does, and tells the answers.
//!
//! ```text
//!   provisioned set: every member, Existing ──▶ while it drains, who has its surplus
//!        │ exhausted: spillover
//!        ▼
//!   on-demand arc:   probe within the budget, the last question may create
//!        │ no create token: a few others, Existing ──▶ refused
//!        │ two members ask to try another, or all were silent
//!        └──▶ the set grows (A6) ──▶ its new members … ──▶ every untried one ──▶ refused
//! ```
//! Invariant: no manager is asked twice for the same class of environment.

use alloc::vec::Vec;

use model::{Epoch, FrontendId, KeyHash, Load, ManagerId, Now, Reason, Register, Span};
use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::{
    arcs::{Bounds, ClientSet, Growth, RingArc, gossip},
    book::Mode,
    dice::Dice,
    probe::{self, Budget, Hints, Probe, Step},
    ring::{Few, Ring},
    table::{Lined, Table},
};

/// Members that ask to try another before the set is taken as full.
const THROTTLES_TO_GROW: u32 = 2;
/// Members that are asked for what is idle once the function may not create: those that
/// are known to have some before others.
const LOOKS_MAX: usize = 8;
/// Client sets remembered; above it all are forgotten, and learnt again from answers.
const SETS_MAX: usize = 65_536;

/// What a frontend remembers between its calls. It only steers (I7).
#[derive(Debug)]
pub struct Steering {
    writer: FrontendId,
    hints: Hints,
    /// By the start of their arcs.
    clients: Table<u64, Client, Lined>,
    /// How many of them others were told of, in this round of all.
    told: usize,
    /// Where the members of an arc are listed; kept, so that no call allocates it.
    members: Vec<ManagerId>,
}

#[derive(Clone, Copy, Debug)]
struct Client {
    set: ClientSet,
    /// The ring whose first members from the set's start on these are; 0: of none. Most
    /// sets are no wider, and need no look at the ring.
    ring: u64,
    first: [ManagerId; FIRST],
}

/// First members of its arc that are kept with a client's set.
const FIRST: usize = 4;

impl Steering {
    pub fn new(writer: FrontendId) -> Steering {
        let (hints, clients, members) = (Hints::default(), Table::default(), Vec::new());
        Steering { writer, hints, clients, told: 0, members }
    }

    /// Joins what a manager or another frontend holds of a client's set (A7).
    pub fn learn(&mut self, now: Now, start: u64, register: Register) {
        self.set(now, start).learn(now, register);
    }

    /// What has to travel of a client's set: nothing, while it is the default one.
    pub fn register(&self, start: u64) -> Option<Register> {
        self.clients
            .get(&start)
            .map(|client| client.set)
            .filter(|set| !set.is_default())
            .map(|set| set.register())
    }

    /// What other frontends should hear: registers that changed a short time ago, by
    /// the starts of their arcs (A7). Of many, the next ones in turn.
    pub fn news(&mut self, now: Now) -> Vec<(u64, Register)> {
        let known = self.clients.len().max(1);
        let from = self.told % known;
        let (first, rest) = (self.clients.iter().take(from), self.clients.iter().skip(from));
        let mut looked = 0;
        let mut news = Vec::new();
        for (start, client) in rest.chain(first) {
            if news.len() == gossip::REGISTERS_MAX {
                break;
            }
            looked += 1;
            if client.set.is_news(now) {
                news.push((*start, client.set.register()));
            }
        }
        self.told = from + looked;
        news
    }

    /// The managers that a client is spread over, as a size.
    pub fn size(&self, start: u64) -> u16 {
        self.clients.get(&start).map_or(1, |client| client.set.arc().size)
    }

    /// For the client's home frontend: the calls in flight at every member. Says
    /// whether the last member left (A6).
    pub fn shrink(&mut self, now: Now, start: u64, in_flight: &[u32], bounds: Bounds) -> bool {
        let writer = self.writer;
        let client = self.clients.get_mut(&start);
        client.is_some_and(|client| client.set.shrink(now, in_flight, writer, bounds))
    }

    /// Starts and sizes of the sets that are wider than one manager.
    pub fn wide_sets(&self) -> impl Iterator<Item = RingArc> + '_ {
        self.clients.iter().map(|(_, client)| client.set.arc()).filter(|arc| arc.size > 1)
    }

    fn probe(&mut self, now: Now, key: KeyHash, arc: RingArc, ring: &Ring, tried: &Few) -> Probe {
        self.list(arc, ring);
        self.members.retain(|manager| !tried.as_slice().contains(manager));
        Probe::new(now, key, &self.members, Budget::default())
    }

    /// Lists the members of an arc in `members`.
    fn list(&mut self, arc: RingArc, ring: &Ring) {
        let (members, size) = (&mut self.members, usize::from(arc.size));
        members.clear();
        let Some(client) = self.clients.get_mut(&arc.start).filter(|_| size <= FIRST) else {
            return ring.members(arc.start, arc.size, members);
        };
        if client.ring != ring.identity() {
            ring.members(arc.start, FIRST as u16, members);
            client.first[..members.len()].copy_from_slice(members);
            client.ring = ring.identity();
            members.clear();
        }
        members.extend_from_slice(&client.first[..size.min(ring.len())]);
    }

    fn set(&mut self, now: Now, start: u64) -> &mut ClientSet {
        if self.clients.len() >= SETS_MAX && !self.clients.contains_key(&start) {
            self.clients = Table::default();
        }
        let writer = self.writer;
        let set = || ClientSet::new(now, start, writer);
        let new = || Client { set: set(), ring: 0, first: [ManagerId(0); FIRST] };
        &mut self.clients.get_or_insert(&start, new).set
    }
}

/// The one frontend that shrinks a client's set: by rendezvous, so that a change of the
/// fleet moves few clients.
pub fn home(start: u64, frontends: &[FrontendId]) -> Option<FrontendId> {
    let rank = |id: &&FrontendId| xxh3_64_with_seed(&id.0.to_le_bytes(), start);
    frontends.iter().max_by_key(rank).copied()
}

/// Where a call may be served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    /// The on-demand pool.
    pub key: KeyHash,
    /// Where the client's elastic arc starts.
    pub start: u64,
    /// The provisioned pool and its arc, where the plan is to ask it first.
    pub provisioned: Option<(KeyHash, RingArc)>,
    pub bounds: Bounds,
}

impl Route {
    /// The client's arc: as wide as its set, and not narrower than keys are spread.
    fn arc(&self, now: Now, steering: &mut Steering) -> RingArc {
        let RingArc { start, size } = steering.set(now, self.start).arc();
        RingArc { start, size: self.bounds.width(size) }
    }
}

/// Which of the two pools a question is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Set {
    Provisioned,
    OnDemand,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    Ask { manager: ManagerId, set: Set, mode: Mode },
    Refused(Reason),
}

/// How a manager answered a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    Granted {
        load: Load,
        warm: bool,
        took: Span,
    },
    NoIdle,
    /// "Ask another": it holds its share of the client's calls.
    Throttled,
    /// It has nothing idle, and the function has no create token for so long.
    Slow(Span),
    /// It did not answer in time, or cannot be reached.
    Silent,
}

/// One call's search.
#[derive(Debug)]
pub struct Search {
    route: Route,
    set: Set,
    probe: Probe,
    /// Members of the elastic arc that were asked.
    tried: Few,
    /// The set's epoch that the questions are based on.
    seen: Epoch,
    throttles: u32,
    throttled_ever: bool,
    /// The function creates too fast: until when there is no token, told by a member.
    slow: Option<Span>,
    /// What is idle elsewhere was looked for then.
    looked: bool,
    /// Who has the surplus of a draining set; empty once it is asked.
    surplus: Vec<ManagerId>,
}

impl Search {
    pub fn begin(now: Now, route: Route, ring: &Ring, steering: &mut Steering) -> Search {
        let tried = Few::EMPTY;
        let (set, probe) = match route.provisioned {
            Some((key, arc)) => {
                let probe = steering.probe(now, key, arc, ring, &tried);
                (Set::Provisioned, probe.existing_only())
            }
            None => {
                let arc = route.arc(now, steering);
                (Set::OnDemand, steering.probe(now, route.key, arc, ring, &tried))
            }
        };
        let seen = steering.set(now, route.start).register().epoch;
        Search {
            route,
            set,
            probe,
            tried,
            seen,
            throttles: 0,
            throttled_ever: false,
            slow: None,
            looked: false,
            surplus: Vec::new(),
        }
    }

    /// `members`: who may have the surplus of a set that drains, beyond its arc, in
    /// the order in which to ask (`route::SetView::surplus`).
    #[must_use]
    pub fn with_surplus(mut self, members: Vec<ManagerId>) -> Search {
        self.surplus = members;
        self
    }

    /// Whether the call left a provisioned set that had nothing for it.
    pub fn spilled(&self) -> bool {
        self.route.provisioned.is_some() && self.set == Set::OnDemand
    }

    /// Where the refusal says when to come again.
    pub fn retry_after(&self) -> Option<Span> {
        self.slow
    }

    pub fn next(
        &mut self,
        now: Now,
        ring: &Ring,
        steering: &mut Steering,
        dice: &mut Dice,
    ) -> Next {
        loop {
            if self.slow.is_some() && !self.looked {
                self.look_for_idle(now, ring, steering);
            }
            if self.throttles < THROTTLES_TO_GROW
                && let Step::Ask { manager, mode } = self.probe.next(now, &mut steering.hints, dice)
            {
                if self.set == Set::OnDemand {
                    self.tried.push(manager);
                }
                return Next::Ask { manager, set: self.set, mode };
            }
            if self.slow.is_some() {
                return Next::Refused(Reason::FunctionInvocationRateLimitExceeded);
            }
            match self.set {
                Set::Provisioned if !self.surplus.is_empty() => self.search_surplus(now),
                Set::Provisioned => self.spill(now, ring, steering),
                Set::OnDemand => {
                    if let Some(reason) = self.widen(now, ring, steering) {
                        return Next::Refused(reason);
                    }
                }
            }
        }
    }

    pub fn answered(&mut self, manager: ManagerId, answer: Answer, steering: &mut Steering) {
        let hints = &mut steering.hints;
        match answer {
            Answer::Granted { load, warm, took } => {
                self.probe.answered(manager, probe::Answer::Granted { load, warm }, hints);
                if !warm {
                    hints.learn_cold(self.route.key, took);
                }
            }
            Answer::NoIdle => self.probe.answered(manager, probe::Answer::NoIdle, hints),
            Answer::Throttled => {
                self.probe.answered(manager, probe::Answer::Unusable, hints);
                self.throttles += 1;
                self.throttled_ever = true;
            }
            Answer::Slow(wait) => {
                self.probe.answered(manager, probe::Answer::NoIdle, hints);
                self.slow.get_or_insert(wait);
            }
            Answer::Silent => self.probe.answered(manager, probe::Answer::Unusable, hints),
        }
    }

    /// Nobody may create: what is idle at other members is free all the same (A6).
    fn look_for_idle(&mut self, now: Now, ring: &Ring, steering: &mut Steering) {
        let arc = self.route.arc(now, steering);
        steering.list(arc, ring);
        let Steering { hints, members, .. } = steering;
        members.retain(|manager| !self.tried.as_slice().contains(manager));
        members.sort_by_key(|manager| !hints.knows_idle(self.route.key, *manager));
        members.truncate(LOOKS_MAX);
        self.probe = Probe::new(now, self.route.key, members, Budget::default()).existing_only();
        (self.looked, self.throttles) = (true, 0);
    }

    fn search_surplus(&mut self, now: Now) {
        let members = core::mem::take(&mut self.surplus);
        if let Some((key, _)) = self.route.provisioned {
            let probe = Probe::new(now, key, &members, Budget::default());
            self.probe = probe.existing_only().in_order();
        }
    }

    fn spill(&mut self, now: Now, ring: &Ring, steering: &mut Steering) {
        let arc = self.route.arc(now, steering);
        self.set = Set::OnDemand;
        self.throttles = 0;
        self.probe = steering.probe(now, self.route.key, arc, ring, &self.tried);
    }

    /// The arc was throttled or exhausted: more members, or every untried one, or
    /// the refusal.
    fn widen(&mut self, now: Now, ring: &Ring, steering: &mut Steering) -> Option<Reason> {
        if let Some(newest) = self.untried_newest(now, ring, steering) {
            let probe = Probe::new(now, self.route.key, &[newest], Budget::default());
            self.probe = probe.surely_cold();
            self.seen = steering.set(now, self.route.start).register().epoch;
            self.throttles = THROTTLES_TO_GROW - 1;
            return None;
        }
        let writer = steering.writer;
        let set = steering.set(now, self.route.start);
        let growth = set.throttled(now, self.seen, writer, self.route.bounds);
        self.seen = set.register().epoch;
        let size = match growth {
            Growth::Grew(size) | Growth::AlreadyGrown(size) => size,
            Growth::AtLimit => u16::MAX,
        };
        let arc = RingArc { start: self.route.start, size };
        let probe = steering.probe(now, self.route.key, arc, ring, &self.tried);
        if steering.members.is_empty() {
            return (growth == Growth::AtLimit).then_some(if self.throttled_ever {
                Reason::ConcurrentInvocationLimitExceeded
            } else {
                Reason::NoManager
            });
        }
        // One throttle was told already: the next member that throttles grows the set.
        self.throttles = self.throttles.min(THROTTLES_TO_GROW - 1);
        self.probe = probe.surely_cold();
        None
    }

    /// The member that joined the set last, where it was not asked: the others fill
    /// before it does, so that only its throttle shows that the set is full.
    fn untried_newest(&self, now: Now, ring: &Ring, steering: &mut Steering) -> Option<ManagerId> {
        let arc = self.route.arc(now, steering);
        steering.list(arc, ring);
        let newest = steering.members.last().copied()?;
        (self.throttles > 0 && !self.tried.as_slice().contains(&newest)).then_some(newest)
    }
}

#[cfg(test)]
mod tests {
    use model::RingVersion;

    use super::*;
    use crate::arcs;

    const KEY: KeyHash = KeyHash(1);
    const PROVISIONED: KeyHash = KeyHash(2);

    struct Frontend {
        ring: Ring,
        steering: Steering,
        dice: Dice,
    }

    impl Frontend {
        fn new(managers: u64) -> Frontend {
            let members: Vec<ManagerId> = (0..managers).map(ManagerId).collect();
            Frontend {
                ring: Ring::new(RingVersion(1), &members),
                steering: Steering::new(FrontendId(1)),
                dice: Dice::new(1),
            }
        }

        /// Plays a search against managers that answer by `answer`; who was asked.
        fn play(
            &mut self,
            route: Route,
            answer: impl FnMut(ManagerId, Set, Mode) -> Answer,
        ) -> (Vec<(ManagerId, Set, Mode)>, Option<Reason>) {
            self.play_draining(route, Vec::new(), answer)
        }

        fn play_draining(
            &mut self,
            route: Route,
            surplus: Vec<ManagerId>,
            mut answer: impl FnMut(ManagerId, Set, Mode) -> Answer,
        ) -> (Vec<(ManagerId, Set, Mode)>, Option<Reason>) {
            let now = Now(0);
            let search = Search::begin(now, route, &self.ring, &mut self.steering);
            let mut search = search.with_surplus(surplus);
            let mut asked = Vec::new();
            loop {
                match search.next(now, &self.ring, &mut self.steering, &mut self.dice) {
                    Next::Ask { manager, set, mode } => {
                        assert!(!asked.iter().any(|(m, s, _)| (*m, *s) == (manager, set)));
                        asked.push((manager, set, mode));
                        let answer = answer(manager, set, mode);
                        search.answered(manager, answer, &mut self.steering);
                        if matches!(answer, Answer::Granted { .. }) {
                            return (asked, None);
                        }
                    }
                    Next::Refused(reason) => return (asked, Some(reason)),
                }
            }
        }
    }

    fn route(limit_max: u32, managers: usize) -> Route {
        let bounds = Bounds::of(limit_max, managers);
        Route { key: KEY, start: 7, provisioned: None, bounds }
    }

    const GRANTED: Answer = Answer::Granted {
        load: Load { idle: 0, busy: 1, starting: 0, waiting: 0 },
        warm: true,
        took: Span::ZERO,
    };

    #[test]
    fn every_client_has_one_home_and_keeps_it_where_another_frontend_leaves() {
        let frontends: Vec<FrontendId> = (1..=5).map(FrontendId).collect();
        let fewer = &frontends[..4];
        let mut moved = 0;
        for start in 0..1_000 {
            let before = home(start, &frontends);
            let after = home(start, fewer);
            assert!(before == after || before == Some(FrontendId(5)));
            moved += u32::from(before != after);
        }
        assert!((150..250).contains(&moved), "{moved} of 1,000 clients of one in five");
        assert_eq!(home(1, &[]), None);
    }

    #[test]
    fn a4_1_calls_of_a_client_meet_as_many_managers_as_the_version_spreads_keys() {
        let mut frontend = Frontend::new(20);
        let spread = |spread| {
            let bounds = Bounds { spread, ..Bounds::of(1_000, 20) };
            Route { bounds, ..route(1_000, 20) }
        };
        let mut met = |route: Route| {
            let mut met = alloc::collections::BTreeSet::new();
            for _ in 0..200 {
                frontend.steering.hints = Hints::default();
                let (asked, _) = frontend.play(route, |_, _, _| GRANTED);
                met.extend(asked.iter().map(|(manager, ..)| *manager));
            }
            met
        };
        let (one, two, four) = (met(spread(1)), met(spread(2)), met(spread(4)));
        assert_eq!([one.len(), two.len(), four.len()], [1, 2, 4]);
        assert!(one.is_subset(&two) && two.is_subset(&four));
        // Four of them throttle: the set grows to five, whoever is asked first.
        let (asked, refused) = frontend.play(spread(4), |manager, _, _| {
            if four.contains(&manager) { Answer::Throttled } else { GRANTED }
        });
        let served = asked.last().map(|(manager, ..)| *manager);
        assert!(refused.is_none() && served.is_some_and(|manager| !four.contains(&manager)));
        assert_eq!(frontend.steering.size(7), 5);
    }

    #[test]
    fn a6_5_who_may_not_create_looks_for_what_is_idle_elsewhere() {
        let mut frontend = Frontend::new(20);
        frontend.steering.learn(Now(0), 7, register(5, 12));
        let slow = Answer::Slow(Span::millis(30));
        let (asked, refused) = frontend.play(route(1_000, 20), |_, _, mode| match mode {
            Mode::Existing => Answer::NoIdle,
            Mode::ExistingOrNew => slow,
        });
        assert_eq!(refused, Some(Reason::FunctionInvocationRateLimitExceeded));
        assert_eq!(asked.len(), 3 + LOOKS_MAX, "the probes, and a bounded look");
        assert!(asked[3..].iter().all(|(.., mode)| *mode == Mode::Existing));
        // The third of those that are looked at has one.
        let mut looks = 0;
        let (asked, refused) = frontend.play(route(1_000, 20), |_, _, mode| {
            if looks > 0 {
                looks += 1;
            }
            match mode {
                Mode::ExistingOrNew => {
                    looks = 1;
                    slow
                }
                Mode::Existing if looks == 4 => GRANTED,
                Mode::Existing => Answer::NoIdle,
            }
        });
        assert_eq!((asked.len(), refused), (6, None));
    }

    fn register(epoch: u64, size: u16) -> Register {
        Register { epoch: Epoch(epoch), writer: FrontendId(9), size }
    }

    #[test]
    fn a_ring_of_one_is_asked_once_and_may_create() {
        let (asked, refused) = Frontend::new(1).play(route(1_000, 1), |_, _, _| GRANTED);
        assert_eq!(asked, [(ManagerId(0), Set::OnDemand, Mode::ExistingOrNew)]);
        assert_eq!(refused, None);
    }

    #[test]
    fn a_call_that_finds_no_provisioned_environment_spills() {
        let arc = arcs::provisioned(99, 10, 20);
        let with = Route { provisioned: Some((PROVISIONED, arc)), ..route(1_000, 20) };
        let (asked, _) = Frontend::new(20).play(with, |_, set, _| match set {
            Set::Provisioned => Answer::NoIdle,
            Set::OnDemand => GRANTED,
        });
        let sets: Vec<Set> = asked.iter().map(|(_, set, _)| *set).collect();
        assert_eq!(sets, [Set::Provisioned, Set::Provisioned, Set::OnDemand]);
        assert!(asked[..2].iter().all(|(_, _, mode)| *mode == Mode::Existing));
        assert_eq!(asked[2].2, Mode::ExistingOrNew);
    }

    #[test]
    fn a2_1_the_surplus_of_a_draining_set_is_asked_after_its_arc() {
        let arc = arcs::provisioned(99, 10, 20);
        let with = Route { provisioned: Some((PROVISIONED, arc)), ..route(1_000, 20) };
        let mut frontend = Frontend::new(20);
        let mut members = Vec::new();
        frontend.ring.members(99, 20, &mut members);
        let surplus = members.split_off(2);
        let mut left = 10;
        let (asked, _) = frontend.play_draining(with, surplus.clone(), |_, _, _| {
            left -= 1;
            if left == 0 { GRANTED } else { Answer::NoIdle }
        });
        assert!(
            asked
                .iter()
                .all(|(_, set, mode)| { (*set, *mode) == (Set::Provisioned, Mode::Existing) })
        );
        let asked: Vec<ManagerId> = asked.iter().map(|(manager, ..)| *manager).collect();
        assert!(asked[..2].iter().all(|manager| members.contains(manager)));
        assert_eq!(asked[2..], surplus[..8]);
    }

    #[test]
    fn a6_1_a_throttled_call_is_served_by_the_next_member() {
        let mut frontend = Frontend::new(20);
        let mut full = None;
        let (asked, refused) = frontend.play(route(200, 20), |manager, _, _| {
            if *full.get_or_insert(manager) == manager { Answer::Throttled } else { GRANTED }
        });
        assert_eq!((asked.len(), refused), (2, None));
        assert_eq!(frontend.steering.size(7), 2);
    }

    #[test]
    fn every_member_is_asked_before_a_call_is_refused() {
        let (asked, refused) = Frontend::new(5).play(route(50, 5), |_, _, _| Answer::Throttled);
        assert_eq!(asked.len(), 5);
        assert_eq!(refused, Some(Reason::ConcurrentInvocationLimitExceeded));
        let (asked, refused) = Frontend::new(5).play(route(50, 5), |_, _, _| Answer::Silent);
        assert_eq!(asked.len(), 5);
        assert_eq!(refused, Some(Reason::NoManager));
    }

    #[test]
    fn a5_7_a_silent_manager_is_skipped_and_the_call_succeeds() {
        let mut first = None;
        let (asked, refused) = Frontend::new(3).play(route(1_000, 3), |manager, _, _| {
            if *first.get_or_insert(manager) == manager { Answer::Silent } else { GRANTED }
        });
        assert_eq!((asked.len(), refused), (2, None));
    }
}
