//! Row group *warm*: one caller, one call after the other, into an environment
//! that waits. Floors: the same server answering without a function, and the
//! runtime process called directly; a perfect platform costs their sum. All is
//! measured in each placement, since where a process wakes decides the most.

use std::collections::BTreeMap;

use crate::{
    connection::Connection,
    direct::invoke_frame,
    direct_api::{DirectApi, event_message},
    functions::{KINDS, Kind},
    ground::{EVENT, Ground, echo, micros},
    placement::{Cores, PLACEMENTS, Placement},
    report::Row,
    sample::Samples,
};

const GROUP: &str = "warm";

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Lane {
    Health,
    Ours(&'static str),
    Direct(&'static str),
}

pub(crate) fn measure(ground: &Ground<'_>) -> anyhow::Result<Vec<Row>> {
    let mut callers = Callers::open(ground)?;
    // Environments exist before anything is held to a core.
    rounds(ground, &mut callers, 1)?;
    let cores = Cores::given()?;
    let mut rows = Vec::new();
    for placement in PLACEMENTS {
        eprintln!("bench: warm{}", placement.suffix());
        if !cores.place(placement)? {
            eprintln!("bench: this machine has too few cores for it");
            continue;
        }
        let taken = rounds(ground, &mut callers, ground.amounts.warm_rounds)?;
        rows.extend(rows_of(&taken, &ground.functions.compiled, placement));
    }
    Ok(rows)
}

fn rounds(
    ground: &Ground<'_>,
    callers: &mut Callers,
    rounds: usize,
) -> anyhow::Result<BTreeMap<Lane, Samples>> {
    let mut taken: BTreeMap<Lane, Samples> = BTreeMap::new();
    for _ in 0..rounds {
        callers.sign(ground);
        for lane in lanes() {
            let samples = callers.call(ground, lane, ground.amounts.warm_calls)?;
            taken.entry(lane).or_default().extend(&samples);
        }
    }
    Ok(taken)
}

fn lanes() -> impl Iterator<Item = Lane> {
    let pairs = KINDS.into_iter().flat_map(|k| [Lane::Ours(k.name()), Lane::Direct(k.name())]);
    std::iter::once(Lane::Health).chain(pairs)
}

struct Callers {
    connection: Connection,
    health: Vec<u8>,
    requests: BTreeMap<&'static str, Vec<u8>>,
    framed: BTreeMap<&'static str, crate::direct::Direct>,
    api: DirectApi,
}

impl Callers {
    fn open(ground: &Ground<'_>) -> anyhow::Result<Callers> {
        let mut framed = BTreeMap::new();
        for kind in [Kind::Python, Kind::Node] {
            framed.insert(kind.name(), ground.direct(kind)?);
        }
        let bootstrap = ground.functions.folder(Kind::Compiled).join("bootstrap");
        Ok(Callers {
            connection: Connection::open(ground.running.address)?,
            health: ground.health(),
            requests: BTreeMap::new(),
            framed,
            api: DirectApi::start(&bootstrap)?,
        })
    }

    fn sign(&mut self, ground: &Ground<'_>) {
        let request = |kind: Kind| (kind.name(), ground.invoke_request(&echo(kind), EVENT));
        self.requests = KINDS.into_iter().map(request).collect();
    }

    fn call(&mut self, ground: &Ground<'_>, lane: Lane, calls: usize) -> anyhow::Result<Samples> {
        match lane {
            Lane::Health => ground.timed(&mut self.connection, &self.health, calls),
            Lane::Ours(kind) => ground.timed(&mut self.connection, &self.requests[kind], calls),
            Lane::Direct(kind) => match self.framed.get_mut(kind) {
                Some(direct) => direct.timed(ground.clock, &invoke_frame(EVENT)?, calls),
                None => self.call_api(ground, calls),
            },
        }
    }

    fn call_api(&mut self, ground: &Ground<'_>, calls: usize) -> anyhow::Result<Samples> {
        let event = event_message(EVENT);
        let mut samples = Samples::default();
        for _ in 0..calls {
            let began = ground.clock.now();
            let mut took = 0;
            self.api.call(&event, || took = ground.clock.now().since(began).as_micros())?;
            samples.push(micros(took));
        }
        Ok(samples)
    }
}

fn rows_of(taken: &BTreeMap<Lane, Samples>, compiled: &str, placement: Placement) -> Vec<Row> {
    let place = placement.suffix();
    let none = Samples::default();
    let of = |lane: Lane| taken.get(&lane).unwrap_or(&none);
    let health = of(Lane::Health);
    let what = "the same server without a function";
    let mut rows = vec![Row::floor(GROUP, format!("health{place}"), "µs", health, what)];
    for kind in KINDS {
        let name = kind.name();
        let note = match kind {
            Kind::Python | Kind::Node => "our runtime client, unsandboxed, over its channel",
            Kind::Compiled => compiled,
        };
        rows.push(Row::floor(
            GROUP,
            format!("{name} direct{place}"),
            "µs",
            of(Lane::Direct(name)),
            note,
        ));
    }
    for kind in KINDS {
        let name = kind.name();
        let (ours, direct) = (of(Lane::Ours(name)), of(Lane::Direct(name)));
        let row = |floor, note| {
            Row::medians(GROUP, format!("{name} p50{place}"), "µs", ours, floor, note)
        };
        rows.push(row(Some(health), "a: health"));
        rows.push(row(Some(direct), "b: direct"));
        let both = health.median().zip(direct.median()).map(|(a, b)| a + b);
        rows.push(Row { floor: both, ..row(None, "a + b") });
        let spread = ours.spread();
        let (p50, p99) = (spread.map(|s| s.median), spread.map(|s| s.p99));
        let measure = format!("{name} p99{place}");
        rows.push(Row { measure, ours: p99, floor: p50, ..row(None, "its own p50") });
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_stands_over_each_floor_and_their_sum() {
        let sample = |value: f64| -> Samples { [value].into_iter().collect() };
        let taken = BTreeMap::from([
            (Lane::Health, sample(20.0)),
            (Lane::Ours("python"), sample(120.0)),
            (Lane::Direct("python"), sample(40.0)),
        ]);
        let rows = rows_of(&taken, "c", Placement::Free);
        let ratios: Vec<f64> = rows
            .iter()
            .filter(|row| row.measure.starts_with("python p"))
            .filter_map(Row::ratio)
            .collect();
        assert_eq!(ratios, [6.0, 3.0, 2.0, 1.0]);
    }
}
