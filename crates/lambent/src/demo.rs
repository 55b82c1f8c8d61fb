//! `lambent up --demo`: three functions deployed and called through the public API,
//! as any client would, and their times in a table. What is measured is what the
//! caller waits: request on the line to answer read.

use std::{io::IsTerminal, path::Path, time::Duration};

use anyhow::Context;
use bytes::Bytes;
use indicatif::ProgressBar;
use model::limits::MEMORY_MB_PER_CPU;
use platform::Clock;
use serde_json::{Map, Value, json};

use crate::{
    client::{
        Client,
        api::{Configuration, Variables},
    },
    deploy::{
        self,
        pack::{self, Package},
    },
    failure::Failure,
    print,
};

/// Fresh environments per function: each from a changed configuration.
const COLD_CALLS: u32 = 5;
const WARM_CALLS: usize = 200;
const PYTHON: &str = include_str!("../../../examples/python/lambda_function.py");
const NODE: &str = include_str!("../../../examples/node/index.mjs");
const PAYLOAD: &str = r#"{"name":"demo"}"#;

struct Subject {
    name: &'static str,
    what: &'static str,
    package: Package,
}

/// Microseconds, sorted.
#[derive(Debug)]
struct Times(Vec<u64>);

#[derive(Debug)]
struct Measured {
    name: &'static str,
    what: &'static str,
    cold: Times,
    warm: Times,
}

pub(crate) async fn run(
    mut client: Client,
    binary: Option<&Path>,
    json: bool,
) -> anyhow::Result<()> {
    let mut measured = Vec::new();
    for subject in subjects(binary)? {
        let progress = ProgressBar::new_spinner().with_message(format!("calling {}", subject.name));
        progress.enable_steady_tick(Duration::from_millis(100));
        let times = measure(&mut client, subject).await?;
        progress.finish_and_clear();
        measured.push(times);
    }
    if json {
        return print::json(&json!({ "demo": measured.iter().map(as_json).collect::<Vec<_>>() }));
    }
    print::out(text(&measured).as_bytes())?;
    match binary {
        Some(path) if !path.is_file() => print::line(&format!(
            "There is no compiled function at {}: it was left out.",
            path.display()
        ))?,
        None => {
            print::line("No compiled function was named (--demo-binary FILE): it was left out.")?
        }
        Some(_) => {}
    }
    print::line(NEXT)?;
    if std::io::stdout().is_terminal() {
        print::line("Serving on. Ctrl-C ends the platform.")?;
    }
    Ok(())
}

const NEXT: &str = "
Next:
  lambent invoke hello-python --payload '{\"name\":\"you\"}' --tail
  lambent logs hello-node -f
  eval \"$(lambent env)\" && aws lambda list-functions
  lambent deploy DIR            your own; examples/ has the three above";

fn subjects(binary: Option<&Path>) -> anyhow::Result<Vec<Subject>> {
    let file = |name: &str, text: &str| pack::files(&[(name, text.as_bytes())]);
    let mut subjects = vec![
        Subject {
            name: "hello-python",
            what: "Python",
            package: file("lambda_function.py", PYTHON)?,
        },
        Subject { name: "hello-node", what: "Node", package: file("index.mjs", NODE)? },
    ];
    if let Some(path) = binary.filter(|path| path.is_file()) {
        let package = pack::package(path)?;
        subjects.push(Subject { name: "hello-rust", what: "compiled", package });
    }
    Ok(subjects)
}

async fn measure(client: &mut Client, subject: Subject) -> anyhow::Result<Measured> {
    let Subject { name, what, package } = subject;
    let clock = Clock::system();
    deploy::deploy(client, name, &package, configuration(0)).await?;
    let mut cold = vec![call(client, name, &clock).await?];
    for round in 1..COLD_CALLS {
        // A changed configuration is never run by an environment of the old one.
        deploy::reconfigure(client, name, &configuration(round)).await?;
        cold.push(call(client, name, &clock).await?);
    }
    let mut warm = Vec::with_capacity(WARM_CALLS);
    for _ in 0..WARM_CALLS {
        warm.push(call(client, name, &clock).await?);
    }
    Ok(Measured { name, what, cold: Times::of(cold), warm: Times::of(warm) })
}

/// One whole processor, so that the times are those of the code and not of a share.
fn configuration(round: u32) -> Configuration {
    let variables = Map::from_iter([("DEMO_ROUND".to_owned(), Value::from(round.to_string()))]);
    Configuration {
        memory_size: Some(MEMORY_MB_PER_CPU),
        environment: Some(Variables { variables }),
        ..Configuration::default()
    }
}

async fn call(client: &mut Client, name: &str, clock: &Clock) -> anyhow::Result<u64> {
    let before = clock.now();
    let payload = Bytes::from_static(PAYLOAD.as_bytes());
    let invoked = client.invoke(name, None, payload, false).await?;
    let took = clock.now().0 - before.0;
    if let Some(error) = invoked.error {
        let answer = String::from_utf8_lossy(&invoked.payload);
        let todo = format!("lambent logs {name}; lambent doctor");
        return Err(Failure::failed(format!("{name} failed ({error}): {answer}"), todo).into());
    }
    let answer: Value = serde_json::from_slice(&invoked.payload).context("the demo's answer")?;
    anyhow::ensure!(
        answer["message"].as_str().is_some_and(|message| message.starts_with("Hello, demo")),
        "{name} answered something else: {answer}"
    );
    Ok(took)
}

impl Times {
    fn of(mut times: Vec<u64>) -> Times {
        times.sort_unstable();
        Times(times)
    }

    fn min(&self) -> u64 {
        self.0.first().copied().unwrap_or_default()
    }

    fn median(&self) -> u64 {
        self.0.get(self.0.len() / 2).copied().unwrap_or_default()
    }
}

fn text(measured: &[Measured]) -> String {
    let head = ["function", "kind", "cold min", "cold median", "warm min", "warm median"];
    let row = |m: &Measured| {
        let [a, b, c, d] =
            [m.cold.min(), m.cold.median(), m.warm.min(), m.warm.median()].map(milliseconds);
        [m.name.into(), m.what.into(), a, b, c, d]
    };
    let calls =
        format!("\n{COLD_CALLS} cold and {WARM_CALLS} warm calls of each, signed, isolated:\n");
    calls + &print::table(head, measured.iter().map(row))
}

fn as_json(measured: &Measured) -> Value {
    let Measured { name, what, cold, warm } = measured;
    let times = |times: &Times| json!({ "min_us": times.min(), "median_us": times.median() });
    json!({ "function": name, "kind": what, "cold": times(cold), "warm": times(warm) })
}

fn milliseconds(us: u64) -> String {
    format!("{}.{:02} ms", us / 1_000, us % 1_000 / 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_from_sorted_values() {
        let times = Times::of(vec![30, 10, 20, 1_000, 15]);
        assert_eq!((times.min(), times.median()), (10, 20));
        assert_eq!(Times::of(Vec::new()).median(), 0);
        assert_eq!(milliseconds(12_345), "12.34 ms");
        assert_eq!(milliseconds(89), "0.08 ms");
    }

    #[test]
    fn the_examples_are_recognised_as_what_they_are() {
        let subjects = subjects(Some(Path::new("/no/such/binary"))).unwrap();
        let handlers = subjects.iter().map(|subject| {
            deploy::detect::detect(&subject.package.sources, None, None).unwrap().handler
        });
        let handlers: Vec<_> = handlers.collect();
        assert_eq!(handlers, ["lambda_function.lambda_handler", "index.handler"]);
    }
}
