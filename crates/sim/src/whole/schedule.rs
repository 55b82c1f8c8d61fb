//! What a seed makes happen: a fleet, functions, a load, and faults for as long as the
//! load lasts. Pure data, drawn before anything runs.

use std::fmt;

use decide::Dice;
use model::Span;

use super::{BAD_INIT, Fleet, Member, SLOW_INIT};

#[derive(Clone, Debug)]
pub(super) struct Schedule {
    pub(super) fleet: Fleet,
    /// Of each worker.
    pub(super) memory_mb: u64,
    pub(super) idle_ttl: Span,
    /// Notes out of a thousand that arrive twice.
    pub(super) doubles: u64,
    /// Messages take so long, at least and at most.
    pub(super) pace: (Span, Span),
    /// What the account may have in flight, where that is not the default.
    pub(super) account: Option<u32>,
    /// Ring versions are published, by which the managers are told apart.
    pub(super) rings: bool,
    pub(super) functions: Vec<Function>,
    pub(super) bursts: Vec<Burst>,
    pub(super) faults: Vec<Fault>,
}

#[derive(Clone, Debug)]
pub(super) struct Function {
    pub(super) name: String,
    pub(super) timeout_secs: u32,
    pub(super) memory_mb: u32,
    pub(super) reserved: Option<u32>,
    /// None: its callers name no tenant.
    pub(super) tenants: Option<u64>,
    pub(super) handler: &'static str,
}

/// Calls that are made at the same time.
#[derive(Clone, Debug)]
pub(super) struct Burst {
    pub(super) at_ms: u64,
    pub(super) calls: Vec<Call>,
}

#[derive(Clone, Debug)]
pub(super) struct Call {
    pub(super) number: u64,
    pub(super) function: usize,
    pub(super) frontend: usize,
    pub(super) tenant: Option<u64>,
    pub(super) act: Act,
    /// After which its caller goes away.
    pub(super) patience_ms: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Act {
    Run { ms: u64 },
    Exit,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) at_ms: u64,
    pub(super) for_ms: u64,
    pub(super) what: What,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    Kill {
        member: Member,
        loudly: bool,
    },
    /// Nothing arrives between the two; it does when that is over.
    Part(Member, Member),
    /// The same for one and all others.
    Silence(Member),
    Cut(Member),
    CutBetween(Member, Member),
    /// Only the connections that the first made to the second.
    CutFrom(Member, Member),
    Clock {
        member: Member,
        by_ms: i64,
    },
    /// The function has another revision.
    Change {
        function: usize,
    },
    /// The next ring version has these managers, one bit each, and spreads keys so far.
    Ring {
        members: u64,
        spread: u16,
    },
}

/// The longest that a schedule makes calls and faults.
const LENGTH_MS_MAX: u64 = 30_000;

/// Room of a worker that no load fills.
const ROOMY_MB: u64 = 1 << 20;

impl Schedule {
    pub(super) fn draw(seed: u64) -> Schedule {
        let mut dice = Dice::new(seed);
        let dice = &mut dice;
        let fleet = Fleet {
            frontends: 1 + dice.below(3),
            managers: 1 + dice.below(3),
            workers: 1 + dice.below(3),
        };
        let functions: Vec<Function> =
            (0..1 + dice.below(3)).map(|number| Function::draw(dice, number)).collect();
        let length_ms = 5_000 + dice.below(LENGTH_MS_MAX - 5_000);
        let mut calls = 0;
        let bursts = 3 + dice.below(12);
        let bursts = (0..bursts)
            .map(|_| Burst::draw(dice, length_ms, &functions, fleet, &mut calls))
            .collect();
        let slow = dice.chance(1, 2);
        let rings = fleet.managers > 1 && dice.chance(1, 3);
        let most = Span::millis(if slow { 1 + dice.below(40) } else { 0 });
        Schedule {
            fleet,
            // Room for a few environments, or for all.
            memory_mb: if dice.chance(1, 4) { 600 + dice.below(3_000) } else { ROOMY_MB },
            idle_ttl: Span::secs(if dice.chance(1, 3) { 2 + dice.below(10) } else { 600 }),
            doubles: if dice.chance(1, 3) { 20 + dice.below(200) } else { 0 },
            pace: (Span(most.0 / 4), most),
            account: match dice.below(6) {
                0 => Some(120 + u32::try_from(dice.below(30)).unwrap_or(0)),
                1 => Some(9_000),
                _ => None,
            },
            rings,
            faults: faults(dice, length_ms, fleet, functions.len(), rings),
            functions,
            bursts,
        }
    }

    /// Workers have less room than the load may want.
    pub(super) fn is_tight(&self) -> bool {
        self.memory_mb < ROOMY_MB
    }

    /// Nothing fails: every call has to succeed, and every limit to hold exactly.
    pub(super) fn is_calm(&self) -> bool {
        self.faults.iter().all(|fault| match fault.what {
            What::Change { .. } | What::Clock { .. } | What::Ring { .. } => true,
            What::Kill { .. }
            | What::Part(..)
            | What::Silence(_)
            | What::Cut(_)
            | What::CutBetween(..)
            | What::CutFrom(..) => false,
        })
    }
}

impl Function {
    fn draw(dice: &mut Dice, number: u64) -> Function {
        Function {
            name: format!("f{number}"),
            timeout_secs: u32::try_from(1 + dice.below(8)).unwrap_or(1),
            memory_mb: if dice.chance(1, 3) { 512 } else { 128 },
            reserved: dice.chance(1, 2).then(|| u32::try_from(dice.below(7)).unwrap_or(0)),
            tenants: dice.chance(1, 4).then(|| 1 + dice.below(4)),
            handler: match dice.below(20) {
                0 => BAD_INIT,
                1 => SLOW_INIT,
                _ => "f.handler",
            },
        }
    }

    pub(super) fn is_sound(&self) -> bool {
        self.handler != BAD_INIT && self.handler != SLOW_INIT
    }
}

impl Burst {
    fn draw(
        dice: &mut Dice,
        length_ms: u64,
        functions: &[Function],
        fleet: Fleet,
        calls: &mut u64,
    ) -> Burst {
        let at_ms = dice.below(length_ms);
        let number = 1 + dice.below(8);
        let function = dice.below(functions.len() as u64) as usize;
        let call = |_| {
            *calls += 1;
            Call {
                number: *calls,
                function,
                frontend: dice.below(fleet.frontends) as usize,
                tenant: functions[function].tenants.map(|tenants| dice.below(tenants)),
                act: Act::draw(dice),
                patience_ms: dice.chance(1, 15).then(|| dice.below(2_000)),
            }
        };
        Burst { at_ms, calls: (0..number).map(call).collect() }
    }
}

impl Act {
    fn draw(dice: &mut Dice) -> Act {
        match dice.below(20) {
            0 => Act::Exit,
            1 => Act::Run { ms: dice.below(10_000) },
            2..=4 => Act::Run { ms: dice.below(2_000) },
            _ => Act::Run { ms: dice.below(200) },
        }
    }
}

fn faults(
    dice: &mut Dice,
    length_ms: u64,
    fleet: Fleet,
    functions: usize,
    rings: bool,
) -> Vec<Fault> {
    let members: Vec<Member> = fleet.members().collect();
    let number = if dice.chance(1, 6) { 0 } else { 1 + dice.below(6) };
    let one = |dice: &mut Dice| members[dice.below(members.len() as u64) as usize];
    let fault = |_| {
        let member = one(dice);
        let other = one(dice);
        let kind = dice.below(if rings { 16 } else { 12 });
        let what = match kind {
            0..=2 => What::Kill { member, loudly: dice.chance(2, 3) },
            3 | 4 if other != member => What::Part(member, other),
            5 => What::Silence(member),
            6 => What::Cut(member),
            7 if other != member => What::CutBetween(member, other),
            8 => {
                let most = if dice.chance(1, 2) { 10_000 } else { 3_600_000 };
                let by_ms = i64::try_from(dice.below(2 * most)).unwrap_or(0) - most.cast_signed();
                What::Clock { member, by_ms }
            }
            9 => What::Change { function: dice.below(functions as u64) as usize },
            10 | 11 if other != member => What::CutFrom(member, other),
            12.. => What::Ring {
                members: 1 + dice.below((1 << fleet.managers) - 1),
                spread: 1 + u16::try_from(dice.below(3)).unwrap_or(0),
            },
            _ => What::Cut(member),
        };
        let for_ms = if dice.chance(1, 3) { dice.below(30_000) } else { dice.below(3_000) };
        Fault { at_ms: dice.below(length_ms), for_ms, what }
    };
    (0..number).map(fault).collect()
}

impl What {
    /// Whether slots of the counter and handlers may part company: the counter forgets,
    /// or a frontend cannot know whether what it asked a worker for still runs.
    pub(super) fn unsettles(&self, counter: Member) -> bool {
        let asks = |a: &Member, b: &Member| {
            matches!(a, Member::Frontend(_)) && (matches!(b, Member::Worker(_)) || *b == counter)
        };
        let touches =
            |m: &Member| matches!(m, Member::Frontend(_) | Member::Worker(_)) || *m == counter;
        match self {
            What::Kill { member, .. } => *member == counter,
            What::Part(a, b) | What::CutBetween(a, b) | What::CutFrom(a, b) => {
                asks(a, b) || asks(b, a)
            }
            What::Silence(member) | What::Cut(member) => touches(member),
            // Another manager counts, and knows of nothing that is in flight.
            What::Ring { .. } => true,
            What::Clock { .. } | What::Change { .. } => false,
        }
    }
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Fleet { frontends, managers, workers } = self.fleet;
        writeln!(f, "{frontends} frontends, {managers} managers, {workers} workers")?;
        let (memory, doubles) = (self.memory_mb, self.doubles);
        let (least, most) = self.pace;
        writeln!(f, "{memory} MB each, idle for {} us at most", self.idle_ttl.0)?;
        writeln!(f, "messages take {} to {} us, {doubles} of 1000 notes twice", least.0, most.0)?;
        for function in &self.functions {
            writeln!(f, "{function:?}")?;
        }
        for burst in &self.bursts {
            writeln!(f, "{} ms: {} calls", burst.at_ms, burst.calls.len())?;
        }
        for Fault { at_ms, for_ms, what } in &self.faults {
            writeln!(f, "{at_ms} ms, for {for_ms} ms: {what:?}")?;
        }
        Ok(())
    }
}
