//! Row group *rings*: an installation of three frontends, six managers and three workers
//! under a steady load over all frontends, while `lambent admin rings deploy` first adds a
//! manager and then replaces all of them, and the old ones end. What it costs callers: failed
//! calls, cold starts, latency. Expected beside it: which share of the keys has to move.

use std::process::{Child, Command, Stdio};

use anyhow::{Context, bail};
use serde_json::Value;

use crate::{
    connection::Connection,
    deploy::{Deployer, invoke_path},
    fleet::Fleet,
    functions::Kind,
    ground::{EVENT, Ground, MANY_MEMORY_MB, micros},
    load::{Turn, drive},
    report::Row,
    sample::Samples,
};

const GROUP: &str = "rings";
const FRONTENDS: usize = 3;
const MANAGERS: u64 = 6;
const WORKERS: usize = 3;
/// Callers, dealt out over the frontends.
const CALLERS: usize = 12;
/// Each caller calls one after the other.
const FUNCTIONS: usize = 8;
/// Before the first phase, so that every environment exists.
const WARM_UP_US: u64 = 4_000_000;
/// What of a phase stands in a row of its own as well.
const FIRST_US: u64 = 1_000_000;
/// Ring versions after the first of all six managers: who serves from then on.
const OLD: &str = "1,2,3";
const ONE_MORE: &str = "1,2,3,4";
const NEW: &str = "5,6";

/// What happens at the beginning of a phase.
#[derive(Clone, Copy, Debug)]
enum Begin {
    Nothing,
    Deploy(&'static str),
    /// The managers that no version names any more.
    EndOld,
}

const PHASES: [(&str, Begin); 5] = [
    ("before", Begin::Nothing),
    ("a manager added to three", Begin::Deploy(ONE_MORE)),
    ("all four replaced", Begin::Deploy(NEW)),
    ("after", Begin::Nothing),
    ("the old ones ended", Begin::EndOld),
];

/// What a phase came to.
#[derive(Debug, Default)]
struct Phase {
    latencies: Samples,
    /// Those answered in the first second.
    first: Samples,
    failed: u64,
    counts: Counts,
}

/// The platform's own counts, over all processes that run.
#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    cold: f64,
    made: f64,
    handed_over: f64,
    environments: f64,
}

pub(crate) fn measure(ground: &Ground<'_>) -> anyhow::Result<Vec<Row>> {
    let mut fleet = Fleet::start(ground, &processes(), &[])?;
    let access = fleet.publics[0].access()?;
    let connection = Connection::open(fleet.publics[0].address)?;
    let mut deployer = Deployer { clock: ground.clock, access: &access, connection };
    let zip = ground.functions.zip(Kind::Python)?;
    for function in 0..FUNCTIONS {
        deployer.create(&name(function), Kind::Python, &zip, MANY_MEMORY_MB)?;
    }
    let first = deploy(ground, &fleet, OLD)?.wait()?;
    if !first.success() {
        bail!("the first ring was not deployed: {first}");
    }
    let path = |function| invoke_path(&name(function));
    let request = |function| access.request(ground.clock, "POST", &path(function), &[], EVENT);
    let requests: Vec<Vec<u8>> = (0..FUNCTIONS).map(request).collect();
    eprintln!("bench: rings, warming up");
    phase(ground, &mut fleet, &requests, Begin::Nothing, WARM_UP_US)?;
    let mut rows = Vec::new();
    for (what, begin) in PHASES {
        eprintln!("bench: rings, {what}");
        let before = rings(ground, &access, &fleet)?;
        let seen = phase(ground, &mut fleet, &requests, begin, ground.amounts.ring_us)?;
        rows.extend(rows_of(what, &seen));
        if let Begin::Deploy(managers) = begin {
            let after = rings(ground, &access, &fleet)?;
            rows.push(moved(what, managers, &before, &after));
        }
    }
    fleet.stop()?;
    Ok(rows)
}

fn processes() -> Vec<String> {
    let mut all = vec!["control,frontend-1".to_owned()];
    all.extend((2..=FRONTENDS).map(|n| format!("frontend-{n}")));
    all.extend((1..=MANAGERS).map(|n| format!("manager-{n}")));
    all.extend((1..=WORKERS).map(|n| format!("worker-{n}")));
    all
}

fn name(function: usize) -> String {
    format!("rings-{function}")
}

/// As an operator does it; the load goes on meanwhile.
fn deploy(ground: &Ground<'_>, fleet: &Fleet, managers: &str) -> anyhow::Result<Child> {
    let mut command = Command::new(&ground.args.lambent);
    command.args(["admin", "rings", "deploy", "--share", "100", "--managers", managers]);
    command.arg("--data").arg(&fleet.publics[0].data).stdout(Stdio::null());
    command.spawn().context("starting lambent admin rings deploy")
}

/// Closed loop for so long, with what happens at its beginning.
fn phase(
    ground: &Ground<'_>,
    fleet: &mut Fleet,
    requests: &[Vec<u8>],
    begin: Begin,
    length_us: u64,
) -> anyhow::Result<Phase> {
    if let Begin::EndOld = begin {
        for manager in ONE_MORE.split(',') {
            fleet.end(&format!("manager-{manager}"));
        }
    }
    let before = counts(fleet)?;
    let mut phase = Phase::default();
    let mut operator = match begin {
        Begin::Nothing | Begin::EndOld => None,
        Begin::Deploy(managers) => Some(deploy(ground, fleet, managers)?),
    };
    let began = ground.clock.now().0;
    let end = began + length_us;
    let mut calls = [0_usize; CALLERS];
    drive(ground.clock, &fleet.addresses(), CALLERS, |turn: Turn| {
        if let Some(answer) = turn.answer {
            match answer.status {
                200 => {
                    phase.latencies.push(micros(answer.took_us));
                    if turn.now_us < began + FIRST_US {
                        phase.first.push(micros(answer.took_us));
                    }
                }
                _ => phase.failed += 1,
            }
        }
        calls[turn.lane] += 1;
        let next = (turn.lane + calls[turn.lane]) % requests.len();
        (turn.now_us < end).then(|| &requests[next][..])
    })?;
    if let Some(operator) = &mut operator {
        let status = operator.wait()?;
        if !status.success() {
            bail!("lambent admin rings deploy ended with {status}");
        }
    }
    let after = counts(fleet)?;
    phase.counts = Counts {
        cold: after.cold - before.cold,
        made: after.made - before.made,
        handed_over: after.handed_over - before.handed_over,
        environments: before.environments,
    };
    Ok(phase)
}

fn counts(fleet: &Fleet) -> anyhow::Result<Counts> {
    Ok(Counts {
        cold: fleet.sum("frontend", "lambent_cold_starts_total", "")?,
        made: fleet.sum("manager", "lambent_environment_starts_total", "")?,
        handed_over: fleet.sum("manager", "lambent_environments_handed_over_total", "")?,
        environments: fleet.sum("manager", "lambent_environments", "")?,
    })
}

fn rows_of(what: &str, phase: &Phase) -> Vec<Row> {
    let Phase { latencies, first, failed, counts } = phase;
    let Counts { cold, made, handed_over, environments } = *counts;
    let calls = latencies.spread().map_or(0, |spread| spread.runs);
    let note = format!("{CALLERS} callers over {FRONTENDS} frontends, {FUNCTIONS} functions");
    let of = |measure: &str| format!("{what}: {measure}");
    let figure =
        |measure: &str, value: f64, note: String| Row::single(GROUP, of(measure), "", value, note);
    vec![
        Row::medians(GROUP, of("call"), "µs", latencies, None, note),
        Row::medians(GROUP, of("call, first second"), "µs", first, None, ""),
        figure("failed calls", micros(*failed), format!("of {calls}")),
        figure("cold starts", cold, "as the frontends count them".to_owned()),
        figure("environments made", made, "those that no call waited for included".to_owned()),
        figure("environments handed over", handed_over, format!("of {environments}")),
    ]
}

/// The newest version's owners of equal parts of the ring.
fn rings(
    ground: &Ground<'_>,
    access: &crate::sign::Access,
    fleet: &Fleet,
) -> anyhow::Result<Vec<u64>> {
    let request = access.request(ground.clock, "GET", "/admin/rings", &[], b"");
    let answer = Connection::open(fleet.publics[0].address)?.ask(&request)?;
    let shown: Value = serde_json::from_slice(&answer.body)?;
    let parts = shown["versions"][0]["parts"].as_array().context("no ring is shown")?;
    Ok(parts.iter().filter_map(Value::as_u64).collect())
}

/// Parts of the ring that changed their owner, beside what they have to be: all that the
/// new managers own.
fn moved(what: &str, managers: &str, before: &[u64], after: &[u64]) -> Row {
    let changed = before.iter().zip(after).filter(|(before, after)| before != after).count();
    let share = micros(changed as u64) / micros(before.len().max(1) as u64);
    let members = managers.split(',').count() as u64;
    let expected = if managers == NEW { 1.0 } else { 1.0 / micros(members) };
    let note = "the least that has to move, for managers of equal weight".to_owned();
    let row = Row::single(GROUP, format!("{what}: share of keys moved"), "", share, note);
    Row { floor: Some(expected), ..row }
}
