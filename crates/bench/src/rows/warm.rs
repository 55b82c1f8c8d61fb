//! Row group *warm*: one caller, one call after the other, into an environment
//! that waits. Floors: the same server answering without a function, and the
//! runtime process called directly; a perfect platform costs their sum.

use std::collections::BTreeMap;

use crate::{
    connection::Connection,
    direct::invoke_frame,
    direct_api::{DirectApi, event_message},
    functions::{KINDS, Kind},
    ground::{EVENT, Ground, echo, micros},
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
    let mut taken: BTreeMap<Lane, Samples> = BTreeMap::new();
    let mut callers = Callers::open(ground)?;
    let (rounds, calls) = (ground.amounts.warm_rounds, ground.amounts.warm_calls);
    // The first round only warms up.
    for round in 0..=rounds {
        eprintln!("bench: warm, round {round} of {rounds}");
        callers.sign(ground);
        for lane in lanes() {
            let samples = callers.call(ground, lane, calls)?;
            if round > 0 {
                taken.entry(lane).or_default().extend(&samples);
            }
        }
    }
    Ok(rows(&taken, &ground.functions.compiled))
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

fn rows(taken: &BTreeMap<Lane, Samples>, compiled: &str) -> Vec<Row> {
    let none = Samples::default();
    let of = |lane: Lane| taken.get(&lane).unwrap_or(&none);
    let health = of(Lane::Health);
    let what = "the same server without a function";
    let mut rows = vec![Row::floor(GROUP, "health", "µs", health, what)];
    for kind in KINDS {
        let name = kind.name();
        let note = match kind {
            Kind::Python | Kind::Node => "our runtime client, unsandboxed, over its channel",
            Kind::Compiled => compiled,
        };
        rows.push(Row::floor(GROUP, format!("{name} direct"), "µs", of(Lane::Direct(name)), note));
    }
    for kind in KINDS {
        let name = kind.name();
        let (ours, direct) = (of(Lane::Ours(name)), of(Lane::Direct(name)));
        let row = |floor, note| Row::medians(GROUP, format!("{name} p50"), "µs", ours, floor, note);
        rows.push(row(Some(health), "a: health"));
        rows.push(row(Some(direct), "b: direct"));
        let both = health.median().zip(direct.median()).map(|(a, b)| a + b);
        rows.push(Row { floor: both, ..row(None, "a + b") });
        let spread = ours.spread();
        let (p50, p99) = (spread.map(|s| s.median), spread.map(|s| s.p99));
        let measure = format!("{name} p99");
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
        let rows = rows(&taken, "c");
        let ratios: Vec<f64> = rows
            .iter()
            .filter(|row| row.measure.starts_with("python p"))
            .filter_map(Row::ratio)
            .collect();
        assert_eq!(ratios, [6.0, 3.0, 2.0, 1.0]);
    }
}
