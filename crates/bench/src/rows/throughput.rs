//! Row group *throughput*: closed loop at 1, 16 and 64 callers, the generator on
//! the same cores. Floor: the same server and the same generator without a
//! function.

use anyhow::bail;
use platform::clock::thread_cpu_ns;

use crate::{
    functions::{KINDS, Kind},
    ground::{EVENT, Ground, LOADED, echo, loaded, micros},
    load::{Turn, drive},
    report::Row,
    sample::Samples,
};

const GROUP: &str = "throughput";
const CALLERS: [usize; 3] = [1, 16, 64];
/// Calls of each caller before a round counts: environments exist then, also where
/// those of another kind took their place.
const WARM_UP_CALLS: usize = 5;

/// One lane of the comparison: a kind of function, or none.
#[derive(Debug, Default)]
struct Taken {
    rates: Samples,
    latencies: Samples,
    generator_us: Samples,
    refused: u64,
}

pub(crate) fn measure(ground: &Ground<'_>) -> anyhow::Result<Vec<Row>> {
    let mut rows = Vec::new();
    for callers in CALLERS {
        let mut taken: [Taken; 4] = Default::default();
        for round in 1..=ground.amounts.load_rounds {
            eprintln!(
                "bench: throughput, {callers} callers, round {round} of {}",
                ground.amounts.load_rounds
            );
            for (lane, taken) in lanes().into_iter().zip(&mut taken) {
                let requests = requests(ground, lane, callers);
                warm_up(ground, &requests, callers)?;
                load(ground, &requests, callers, taken)?;
            }
        }
        rows.extend(rows_of(callers, &taken));
    }
    Ok(rows)
}

fn lanes() -> [Option<Kind>; 4] {
    [None, Some(KINDS[0]), Some(KINDS[1]), Some(KINDS[2])]
}

fn requests(ground: &Ground<'_>, lane: Option<Kind>, callers: usize) -> Vec<Vec<u8>> {
    let Some(kind) = lane else { return vec![ground.health()] };
    if callers == 1 {
        return vec![ground.invoke_request(&echo(kind), EVENT)];
    }
    let request = |number| ground.invoke_request(&loaded(kind, number), EVENT);
    (0..LOADED).map(request).collect()
}

fn warm_up(ground: &Ground<'_>, requests: &[Vec<u8>], callers: usize) -> anyhow::Result<()> {
    let (mut left, mut failed) = (vec![WARM_UP_CALLS; callers], None);
    drive(ground.clock, &[ground.running.address], callers, |turn: Turn| {
        if let Some(answer) = turn.answer.filter(|answer| answer.status != 200) {
            failed = Some(answer.status);
        }
        left[turn.lane] = left[turn.lane].checked_sub(1)?;
        Some(&requests[turn.lane % requests.len()][..])
    })?;
    match failed {
        Some(status) => bail!("a call of the warm-up was answered with status {status}"),
        None => Ok(()),
    }
}

fn load(
    ground: &Ground<'_>,
    requests: &[Vec<u8>],
    callers: usize,
    taken: &mut Taken,
) -> anyhow::Result<()> {
    let (mut began, mut ended, mut answered) = (None, 0, 0_u64);
    let cpu = thread_cpu_ns();
    drive(ground.clock, &[ground.running.address], callers, |turn: Turn| {
        let end = *began.get_or_insert(turn.now_us) + ground.amounts.load_us;
        if let Some(answer) = turn.answer {
            ended = turn.now_us;
            match answer.status {
                200 => {
                    answered += 1;
                    taken.latencies.push(micros(answer.took_us));
                }
                _ => taken.refused += 1,
            }
        }
        (turn.now_us < end).then(|| &requests[turn.lane % requests.len()][..])
    })?;
    let spent = (thread_cpu_ns() - cpu) / 1_000;
    let seconds = micros(ended - began.unwrap_or(0)) / 1e6;
    taken.rates.push(micros(answered) / seconds);
    taken.generator_us.push(micros(spent) / micros(answered.max(1)));
    Ok(())
}

fn rows_of(callers: usize, taken: &[Taken; 4]) -> Vec<Row> {
    let [health, ..] = taken;
    let cost = health.generator_us.median().unwrap_or(0.0);
    let note = format!("the generator's own processor time is {cost:.1} µs a call");
    let mut rows =
        vec![Row::floor(GROUP, format!("health c={callers}"), "calls/s", &health.rates, note)];
    rows.push(Row::floor(GROUP, format!("health c={callers}"), "µs", &health.latencies, ""));
    for (lane, taken) in lanes().into_iter().zip(taken).skip(1) {
        let Some(kind) = lane else { continue };
        let measure = format!("{} c={callers}", kind.name());
        let refused = match taken.refused {
            0 => "health".to_owned(),
            refused => format!("health; {refused} calls were refused and are not counted"),
        };
        let rates = Some(&health.rates);
        rows.push(Row::medians(GROUP, &measure, "calls/s", &taken.rates, rates, refused));
        let latencies = Some(&health.latencies);
        rows.push(Row::medians(GROUP, measure, "µs", &taken.latencies, latencies, "health"));
    }
    rows
}
