//! Row group *burst*: many functions that never ran, called at the same moment,
//! and how many new environments a second the platform keeps up with. Floors:
//! as many bare interpreters.

use std::process::{Child, Command, Stdio};

use anyhow::{Context, bail};

use crate::{
    functions::Kind,
    ground::{EVENT, Ground, expect_ok, micros},
    load::{Turn, drive},
    report::Row,
    sample::Samples,
};

const GROUP: &str = "burst";
const AT_ONCE: usize = 20;
/// Callers of new functions while the creation rate is measured.
const CREATORS: usize = 4;
/// New functions made for the creation rate, at most: they take disk and time.
const CREATED_MAX: usize = 3_000;
const CREATED_MIN: usize = 50;
/// Every environment of a burst has to fit beside the others.
const MEMORY_MB: u32 = 128;

pub(crate) fn measure(ground: &Ground<'_>) -> anyhow::Result<Vec<Row>> {
    let (mut ours, mut floor) = (Samples::default(), Samples::default());
    let mut deployer = ground.deployer()?;
    let zip = ground.functions.zip(Kind::Python)?;
    for round in 1..=ground.amounts.burst_rounds {
        eprintln!("bench: burst, round {round} of {}", ground.amounts.burst_rounds);
        let names: Vec<String> = (0..AT_ONCE).map(|n| format!("burst-{round}-{n}")).collect();
        for name in &names {
            deployer.create(name, Kind::Python, &zip, MEMORY_MB)?;
        }
        let requests: Vec<Vec<u8>> =
            names.iter().map(|name| ground.invoke_request(name, EVENT)).collect();
        ours.push(ground.at_once(&requests)? / 1e3);
        for name in &names {
            deployer.delete(name)?;
        }
        floor.push(bare_at_once_ms(ground)?);
    }
    let note = format!("{AT_ONCE} python3 -S -c pass at once");
    let measure = format!("{AT_ONCE} new python functions");
    let burst = Row::medians(GROUP, measure, "ms", &ours, Some(&floor), note);
    let last_ms = ours.median().unwrap_or(1_000.0);
    let rate = creation_rate(ground, &zip, last_ms / micros(AT_ONCE as u64))?;
    Ok(vec![burst, rate])
}

fn bare(ground: &Ground<'_>) -> anyhow::Result<Child> {
    let mut command = Command::new(&ground.args.python);
    command.args(["-S", "-c", "pass"]).env_clear().stdin(Stdio::null());
    command.spawn().with_context(|| format!("starting {}", ground.args.python.display()))
}

fn bare_at_once_ms(ground: &Ground<'_>) -> anyhow::Result<f64> {
    let began = ground.clock.now();
    let children = (0..AT_ONCE).map(|_| bare(ground)).collect::<anyhow::Result<Vec<_>>>()?;
    end(children)?;
    Ok(micros(ground.clock.now().since(began).as_micros()) / 1e3)
}

fn end(children: Vec<Child>) -> anyhow::Result<()> {
    for mut child in children {
        let status = child.wait()?;
        if !status.success() {
            bail!("a bare interpreter ended with {status}");
        }
    }
    Ok(())
}

/// First calls of new functions from a few callers, each function deleted by its
/// caller once it has answered, so that the host's memory is no limit.
fn creation_rate(ground: &Ground<'_>, zip: &[u8], each_ms: f64) -> anyhow::Result<Row> {
    let wanted = micros(ground.amounts.creation_us) / 1e3 / each_ms * 1.3;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped below")]
    let wanted = (wanted as usize).clamp(CREATED_MIN, CREATED_MAX);
    eprintln!("bench: burst, creating {wanted} functions for the creation rate");
    let mut deployer = ground.deployer()?;
    let names: Vec<String> = (0..wanted).map(|number| format!("rate-{number}")).collect();
    for name in &names {
        deployer.create(name, Kind::Python, zip, MEMORY_MB)?;
    }
    let delete = |name| {
        let path = crate::deploy::function_path(name);
        ground.access.request(ground.clock, "DELETE", &path, &[], b"")
    };
    let pairs: Vec<[Vec<u8>; 2]> =
        names.iter().map(|name| [ground.invoke_request(name, EVENT), delete(name)]).collect();
    eprintln!("bench: burst, creation rate");
    let sustained = sustain(ground, &pairs)?;
    for name in &names[sustained.used..] {
        deployer.delete(name)?;
    }
    let floor = bare_rate(ground)?;
    let note = format!(
        "{CREATORS} at a time for {:.1} s, {} functions, deleted as they go; python3 -S -c pass likewise",
        sustained.seconds, sustained.answered
    );
    let rate = micros(sustained.answered as u64) / sustained.seconds;
    let row = Row::single(GROUP, "creation rate, python", "new/s", rate, note);
    Ok(Row { floor: Some(floor), ..row })
}

#[derive(Debug, Default)]
struct Sustained {
    used: usize,
    answered: usize,
    seconds: f64,
}

fn sustain(ground: &Ground<'_>, pairs: &[[Vec<u8>; 2]]) -> anyhow::Result<Sustained> {
    let mut sustained = Sustained::default();
    let (mut began, mut ended, mut refused) = (None, 0, None);
    // What each caller has invoked and not yet deleted.
    let mut owed = [None; CREATORS];
    drive(ground.clock, &[ground.running.address], CREATORS, |turn: Turn| {
        let until = *began.get_or_insert(turn.now_us) + ground.amounts.creation_us;
        if let Some(answer) = turn.answer {
            let deleted = answer.status == 204;
            if let Some(number) = owed[turn.lane].take().filter(|_| answer.status == 200) {
                sustained.answered += 1;
                ended = turn.now_us;
                return pairs.get::<usize>(number).map(|[_, delete]| &delete[..]);
            }
            if !deleted {
                refused = Some(answer.status);
                return None;
            }
        }
        let [invoke, _] = pairs.get(sustained.used).filter(|_| turn.now_us < until)?;
        owed[turn.lane] = Some(sustained.used);
        sustained.used += 1;
        Some(&invoke[..])
    })?;
    refused.map_or(Ok(()), expect_ok)?;
    sustained.seconds = micros(ended - began.unwrap_or(0)) / 1e6;
    Ok(sustained)
}

fn bare_rate(ground: &Ground<'_>) -> anyhow::Result<f64> {
    let began = ground.clock.now();
    let until = began + model::Span(ground.amounts.creation_us / 5);
    let mut ended = 0;
    while ground.clock.now() < until {
        end((0..CREATORS).map(|_| bare(ground)).collect::<anyhow::Result<Vec<_>>>()?)?;
        ended += CREATORS as u64;
    }
    Ok(micros(ended) / (micros(ground.clock.now().since(began).as_micros()) / 1e6))
}
