//! Row group *trace*: a trace's calls at its own speed against an installation of one
//! frontend, one manager and eight workers. A function of the trace is one that sleeps for
//! as long as the trace says; its init is what starting it really takes. Written down for
//! `sim trace --real`, which computes the optimum and the controls over the same calls with
//! the inits that were measured here.

use std::{collections::BTreeMap, fs, io::Cursor, io::Write as _, path::Path};

use anyhow::{Context, bail};
use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::json;
use zip::{ZipWriter, write::SimpleFileOptions};

use crate::{
    connection::Connection,
    deploy::{Deployer, invoke_path},
    fleet::Fleet,
    functions::Kind,
    ground::{Ground, micros},
    message,
    replay::{Came, Due, replay},
    report::Row,
    sample::Samples,
};

const GROUP: &str = "trace";
const WORKERS: usize = 8;
/// Each: half of what the simulator gives them is enough here.
const WORKER_MB: &str = "4096";
/// AWS's least; the trace's own figure above it.
const MEMORY_MB_MIN: u32 = 128;
/// The platform's own view of its memory is read so often.
const LOOK_US: u64 = 500_000;

struct Function {
    name: String,
    run_ms: u64,
    memory_mb: u32,
}

#[derive(Debug, Default)]
struct Seen {
    refused: u64,
    late: Samples,
    /// Of each function: response over its run time.
    slowdowns: BTreeMap<usize, Vec<f64>>,
    /// Of each function: what its cold calls took beyond its run time, in ms.
    colds: BTreeMap<usize, Samples>,
    cold: u64,
    /// Megabyte-seconds that environments held.
    memory: f64,
    looked: Option<(u64, f64)>,
}

pub(crate) fn measure(ground: &Ground<'_>) -> anyhow::Result<Vec<Row>> {
    let (Some(trace), Some(metadata)) = (&ground.args.trace, &ground.args.metadata) else {
        bail!("--trace and --metadata are missing");
    };
    let functions = functions(metadata)?;
    let calls = calls(trace, &functions, ground.amounts.trace_us)?;
    let options = ["--memory-mb", WORKER_MB];
    let fleet = Fleet::start(ground, &processes(), &options)?;
    let [running] = &fleet.publics[..] else { bail!("one process answers the public") };
    let access = running.access()?;
    let connection = Connection::open(running.address)?;
    let mut deployer = Deployer { clock: ground.clock, access: &access, connection };
    for function in &functions {
        deployer.create(&function.name, Kind::Python, &sleeper(function)?, function.memory_mb)?;
    }
    let request = |function: &Function| {
        let tail = [("x-amz-log-type", "Tail")];
        access.request(ground.clock, "POST", &invoke_path(&function.name), &tail, b"{}")
    };
    let requests: Vec<Vec<u8>> = functions.iter().map(request).collect();
    let due =
        |(due_us, function): &(u64, usize)| Due { due_us: *due_us, request: &requests[*function] };
    let due: Vec<Due<'_>> = calls.iter().map(due).collect();
    let seconds = calls.last().map_or(0, |(at, _)| at / 1_000_000);
    eprintln!("bench: trace, {} calls in {seconds} s", calls.len());
    let seen = std::cell::RefCell::new(Seen::default());
    replay(
        ground.clock,
        running.address,
        &due,
        LOOK_US,
        |came| seen.borrow_mut().came(&functions, calls[came.number].1, &came),
        |now_us| {
            let memory = fleet.sum("manager", "lambent_environment_memory_mb", "")?;
            seen.borrow_mut().looked(now_us, memory);
            Ok(())
        },
    )?;
    let seen = seen.into_inner();
    let counted = fleet.sum("frontend", "lambent_cold_starts_total", "")?;
    write(&ground.args.trace_out, trace, &functions, &calls, &seen)?;
    fleet.stop()?;
    Ok(rows_of(&functions, &seen, calls.len(), counted))
}

impl Seen {
    fn came(&mut self, functions: &[Function], function: usize, came: &Came) {
        self.late.push(micros(came.late_us));
        if came.answer.status != 200 {
            self.refused += 1;
            return;
        }
        let (took_ms, run_ms) = (micros(came.took_us) / 1e3, micros(functions[function].run_ms));
        self.slowdowns.entry(function).or_default().push(took_ms / run_ms);
        if is_cold(&came.answer.head) {
            self.cold += 1;
            self.colds.entry(function).or_default().push(took_ms - run_ms);
        }
    }

    /// Between two looks memory is taken for what the first one saw.
    fn looked(&mut self, now_us: u64, memory_mb: f64) {
        if let Some((then, before)) = self.looked.replace((now_us, memory_mb)) {
            self.memory += before * micros(now_us - then) / 1e6;
        }
    }

    /// The function whose 99th percentile is the largest, with it.
    fn worst(&self) -> Option<(usize, f64)> {
        let p99 = |values: &Vec<f64>| {
            let samples: Samples = values.iter().copied().collect();
            samples.spread().map(|spread| spread.p99)
        };
        let all = self.slowdowns.iter().filter_map(|(at, values)| Some((*at, p99(values)?)));
        all.max_by(|a, b| a.1.total_cmp(&b.1))
    }
}

/// As the platform says it: an init is in the report of the call that waited for it.
fn is_cold(head: &str) -> bool {
    let tail = message::header(head, "x-amz-log-result").unwrap_or("");
    let tail = STANDARD.decode(tail).unwrap_or_default();
    String::from_utf8_lossy(&tail).contains("Init Duration: ")
}

fn processes() -> Vec<String> {
    let mut all = vec!["control,frontend-1".to_owned(), "manager-1".to_owned()];
    all.extend((1..=WORKERS).map(|n| format!("worker-{n}")));
    all
}

/// Sleeping, as many calls run at once and the host has few processors.
fn sleeper(function: &Function) -> anyhow::Result<Vec<u8>> {
    let seconds = micros(function.run_ms) / 1e3;
    let source = format!(
        "import time\n\ndef handler(event, context):\n    time.sleep({seconds})\n    return None\n"
    );
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    zip.start_file("echo.py", SimpleFileOptions::default())?;
    zip.write_all(source.as_bytes())?;
    Ok(zip.finish()?.into_inner())
}

fn rows(path: &Path) -> anyhow::Result<Vec<Vec<String>>> {
    let text = fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
    let fields = |line: &str| line.split(',').map(|field| field.trim().to_owned()).collect();
    Ok(text.lines().skip(1).filter(|line| !line.trim().is_empty()).map(fields).collect())
}

/// `func_name,cold_dur_ms,warm_dur_ms,mem_mb,…`
fn functions(path: &Path) -> anyhow::Result<Vec<Function>> {
    let parse = |fields: Vec<String>| {
        let [name, _, run_ms, memory_mb, ..] = &fields[..] else {
            bail!("{}: a line has too few fields", path.display());
        };
        let memory_mb = memory_mb.parse::<u32>()?.max(MEMORY_MB_MIN);
        Ok(Function { name: name.clone(), run_ms: run_ms.parse()?, memory_mb })
    };
    rows(path)?.into_iter().map(parse).collect()
}

/// Microseconds since the beginning, and the function.
fn calls(path: &Path, functions: &[Function], window_us: u64) -> anyhow::Result<Vec<(u64, usize)>> {
    let mut calls = Vec::new();
    for fields in rows(path)? {
        let [name, at_ms] = &fields[..] else {
            bail!("{}: a line has not two fields", path.display());
        };
        let at = functions.iter().position(|function| function.name == *name);
        let at = at.with_context(|| format!("the metadata has no function {name}"))?;
        calls.push((at_ms.parse::<u64>()? * 1_000, at));
    }
    calls.sort_unstable();
    calls.retain(|(at, _)| *at < window_us);
    Ok(calls)
}

/// Two files beside each other: the metadata with what was measured, and the figures.
fn write(
    out: &Path,
    trace: &Path,
    functions: &[Function],
    calls: &[(u64, usize)],
    seen: &Seen,
) -> anyhow::Result<()> {
    let mut metadata = String::from("func_name,cold_dur_ms,warm_dur_ms,mem_mb\n");
    for (at, Function { name, run_ms, memory_mb }) in functions.iter().enumerate() {
        let init_ms = seen.colds.get(&at).and_then(Samples::median).unwrap_or(0.0).round();
        let cold_ms = micros(*run_ms) + init_ms;
        metadata.push_str(&format!("{name},{cold_ms},{run_ms},{memory_mb}\n"));
    }
    let figures = json!({
        "trace": trace.display().to_string(),
        "calls": calls.len(),
        "window_ms": calls.last().map_or(0, |(at, _)| at / 1_000 + 1),
        "cold": seen.cold,
        "refused": seen.refused,
        "memory_mb_secs": seen.memory.round(),
        "worst_p99": seen.worst().map(|(_, p99)| p99),
    });
    fs::create_dir_all(out)?;
    fs::write(out.join("metadata.csv"), metadata)?;
    fs::write(out.join("real.json"), format!("{figures:#}\n"))?;
    eprintln!("bench: trace, sim trace --real reads {}", out.display());
    Ok(())
}

fn rows_of(functions: &[Function], seen: &Seen, calls: usize, counted: f64) -> Vec<Row> {
    let single =
        |measure: &str, unit, value, note: String| Row::single(GROUP, measure, unit, value, note);
    let inits: Samples = seen.colds.values().filter_map(Samples::median).collect();
    let late = seen.late.spread().map_or(0.0, |spread| spread.p99);
    let mut rows = vec![
        single("calls", "", micros(calls as u64), format!("the generator's p99 is {late} µs late")),
        single("cold starts", "", micros(seen.cold), format!("the frontend counts {counted}")),
        single("refused", "", micros(seen.refused), String::new()),
        single(
            "memory of environments",
            "MB s",
            seen.memory,
            format!("as the manager shows it, every {} ms", LOOK_US / 1_000),
        ),
        Row::medians(GROUP, "what a cold call waits", "ms", &inits, None, "functions' medians"),
    ];
    if let Some((at, p99)) = seen.worst() {
        let Function { name, run_ms, .. } = &functions[at];
        let note = format!("{name}, which runs {run_ms} ms");
        rows.push(single("worst function's p99, response over run time", "", p99, note));
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_what_was_seen_until_the_next_look() {
        let mut seen = Seen::default();
        seen.looked(0, 100.0);
        seen.looked(2_000_000, 300.0);
        seen.looked(3_000_000, 0.0);
        assert_eq!(seen.memory, 500.0);
    }

    #[test]
    fn traces_are_read_in_order_and_cut_to_the_window() {
        let home = tempfile::tempdir().unwrap();
        let (trace, metadata) = (home.path().join("t.csv"), home.path().join("m.csv"));
        fs::write(&trace, "func_name,invoke_time_ms\ng,70\nf,5\ng,90\n").unwrap();
        fs::write(&metadata, "h\nf,900,20,64,1.5\ng,50,40,359,2.5\n").unwrap();
        let functions = functions(&metadata).unwrap();
        assert_eq!((functions[0].memory_mb, functions[1].memory_mb), (128, 359));
        let calls = calls(&trace, &functions, 80_000).unwrap();
        assert_eq!(calls, [(5_000, 0), (70_000, 1)]);
    }
}
