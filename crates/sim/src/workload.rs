//! What is played: functions with their times and memory, and calls at instants.
//! Read from the two files of a trace, or made from dice for tests.

use std::collections::BTreeMap;

use decide::Dice;
use model::{FunctionName, Now, Span};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Function {
    pub name: FunctionName,
    pub init: Span,
    pub run: Span,
    pub memory_mb: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Call {
    pub at: Now,
    /// Index into the functions.
    pub function: usize,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Workload {
    pub functions: Vec<Function>,
    /// In the order of their instants.
    pub calls: Vec<Call>,
}

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum TraceError {
    #[error("reading {file}, line {line}: expected {expected}")]
    Malformed { file: &'static str, line: usize, expected: &'static str },
    #[error("reading trace, line {line}: function {name:?} is not in the metadata")]
    Unknown { line: usize, name: String },
}

impl Workload {
    /// `trace`: `func_name,invoke_time_ms`; `metadata`: `func_name,cold_dur_ms,
    /// warm_dur_ms,mem_mb,…`. Init is what a cold call takes more than a warm one.
    pub fn parse(trace: &str, metadata: &str) -> Result<Workload, TraceError> {
        let functions = parse_functions(metadata)?;
        let index: BTreeMap<&str, usize> =
            functions.iter().enumerate().map(|(at, f)| (f.name.as_str(), at)).collect();
        let mut calls = Vec::new();
        for (at, text) in rows(trace) {
            let bad = |expected| TraceError::Malformed { file: "trace", line: at, expected };
            let (name, time) = text.split_once(',').ok_or(bad("func_name,invoke_time_ms"))?;
            let ms: u64 = time.trim().parse().map_err(|_| bad("a time in whole milliseconds"))?;
            let unknown = || TraceError::Unknown { line: at, name: name.to_string() };
            let function = *index.get(name).ok_or_else(unknown)?;
            calls.push(Call { at: Now(0) + Span::millis(ms), function });
        }
        calls.sort_by_key(|call| call.at);
        Ok(Workload { functions, calls })
    }

    /// A small random workload: a few functions, bursts and pauses.
    pub fn random(dice: &mut Dice, functions: usize, calls: usize) -> Workload {
        let made = (0..functions).map(|n| {
            let run_max = if dice.chance(1, 4) { 3_000_000 } else { 50_000 };
            Function {
                name: name_of(n),
                init: Span::micros(500 + dice.below(400_000)),
                run: Span::micros(200 + dice.below(run_max)),
                memory_mb: 128 << dice.below(4),
            }
        });
        let functions: Vec<Function> = made.collect();
        let mut at = Now(0);
        let mut list = Vec::with_capacity(calls);
        while list.len() < calls {
            at += Span::micros(dice.below(400_000));
            let function = dice.below(functions.len() as u64) as usize;
            let burst = if dice.chance(1, 5) { 1 + dice.below(30) } else { 1 };
            for _ in 0..burst.min((calls - list.len()) as u64) {
                list.push(Call { at, function });
            }
        }
        Workload { functions, calls: list }
    }

    /// The same calls with no init at all.
    #[must_use]
    pub fn with_init(mut self, init: Span) -> Workload {
        for function in &mut self.functions {
            function.init = init;
        }
        self
    }
}

fn name_of(n: usize) -> FunctionName {
    let text = format!("f{n}");
    FunctionName::parse(&text).unwrap_or_else(|_| unreachable!("{text} is a function name"))
}

fn rows(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let lines = text.lines().enumerate().skip(1);
    lines.map(|(at, line)| (at + 1, line.trim())).filter(|(_, line)| !line.is_empty())
}

fn parse_functions(metadata: &str) -> Result<Vec<Function>, TraceError> {
    let parse = |(at, text): (usize, &str)| {
        let bad = |expected| TraceError::Malformed { file: "metadata", line: at, expected };
        let mut fields = text.split(',').map(str::trim);
        let name = fields.next().and_then(|name| FunctionName::parse(name).ok());
        let name = name.ok_or(bad("a function name"))?;
        let mut number = |what| -> Result<u64, TraceError> {
            fields.next().and_then(|text| text.parse().ok()).ok_or(bad(what))
        };
        let (cold, warm) = (number("cold_dur_ms")?, number("warm_dur_ms")?);
        let memory = number("mem_mb")?;
        let memory_mb = u32::try_from(memory.max(1)).map_err(|_| bad("mem_mb below 2^32"))?;
        let (init, run) = (Span::millis(cold.saturating_sub(warm)), Span::millis(warm));
        Ok(Function { name, init, run, memory_mb })
    };
    rows(metadata).map(parse).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const METADATA: &str = "func_name,cold_dur_ms,warm_dur_ms,mem_mb,mean_iat\nf,100,30,64,1.5\n";

    #[test]
    fn a_trace_is_read_and_sorted() {
        let trace = "func_name,invoke_time_ms\nf,20\nf,5\n";
        let workload = Workload::parse(trace, METADATA).unwrap();
        assert_eq!(workload.functions[0].init, Span::millis(70));
        assert_eq!(workload.functions[0].run, Span::millis(30));
        let instants: Vec<_> = workload.calls.iter().map(|call| call.at.0).collect();
        assert_eq!(instants, [5_000, 20_000]);
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line() {
        let cases = [
            ("h\nf\n", METADATA, "reading trace, line 2: expected func_name,invoke_time_ms"),
            ("h\nf,x\n", METADATA, "reading trace, line 2: expected a time in whole milliseconds"),
            (
                "h\n\ng,1\n",
                METADATA,
                "reading trace, line 3: function \"g\" is not in the metadata",
            ),
            ("h\n", "h\nf,1\n", "reading metadata, line 2: expected warm_dur_ms"),
        ];
        for (trace, metadata, message) in cases {
            let error = Workload::parse(trace, metadata).unwrap_err();
            assert_eq!(error.to_string(), message);
        }
    }
}
