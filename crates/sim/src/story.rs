//! Stories: a script of inputs to one book, and everything that the book says to
//! each. The script is a file of `stories/`, what is expected stands beside it.
//!
//! ```text
//! worker N MEMORY_MB              the worker offers so much
//! drain N | lose N                the worker empties | is lost
//! at TIME                         the clock moves there; what is due happens
//! acquire CALL FUNCTION MEMORY_MB [existing] [within TIME] [cap N]
//! cancel CALL                     its caller goes away
//! started N | failed N init|noroom|platform
//! run CALL | idle CALL | gone CALL | release CALL reusable|broken|notstarted
//! retire FUNCTION                 it changed: none of its environments stays
//! ```
//! TIME is a number with `ms` or `s`. `#` begins a comment.

use std::{collections::BTreeMap, fmt::Write, sync::Arc};

use decide::{
    Book,
    book::{
        Acquire, Config, Input, Mode, Outcome, Output, Outputs, Reply, Routed, StartId, Ticket,
        Whose,
    },
};
use model::{
    Capacity, EnvId, Epoch, FunctionName, Grant, KeyHash, Now, Span, Trouble, WorkerId,
    function::Architecture,
};

use crate::world::key_of;

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("story, line {line}: expected {expected}")]
pub struct StoryError {
    pub line: usize,
    pub expected: &'static str,
}

type Parsed<T> = Result<T, &'static str>;

struct Stage {
    book: Book,
    now: Now,
    out: Outputs,
    told: String,
    names: BTreeMap<KeyHash, String>,
    tickets: Vec<String>,
    grants: BTreeMap<String, Grant>,
    starts: BTreeMap<StartId, WorkerId>,
    envs: u64,
}

/// Plays a story; each line of it, and under it what the book said.
pub fn tell(script: &str) -> Result<String, StoryError> {
    let mut stage = Stage {
        book: Book::new(Config::default()),
        now: Now(0),
        out: Outputs::new(),
        told: String::new(),
        names: BTreeMap::new(),
        tickets: Vec::new(),
        grants: BTreeMap::new(),
        starts: BTreeMap::new(),
        envs: 0,
    };
    for (at, text) in script.lines().enumerate() {
        let words: Vec<&str> = text.split('#').next().unwrap_or("").split_whitespace().collect();
        stage.told.push_str(text);
        stage.told.push('\n');
        if !words.is_empty() {
            let input = stage.parse(&words);
            let input = input.map_err(|expected| StoryError { line: at + 1, expected })?;
            stage.play(input);
        }
    }
    Ok(stage.told)
}

impl Stage {
    fn parse(&mut self, words: &[&str]) -> Parsed<Input> {
        Ok(match words {
            ["worker", worker, memory] => Input::WorkerOffers {
                worker: worker_of(worker)?,
                capacity: Capacity {
                    memory_mb: number(memory)?,
                    slots: 1_000,
                    architecture: Architecture::X86_64,
                },
            },
            ["drain", worker] => Input::WorkerDrains { worker: worker_of(worker)? },
            ["lose", worker] => Input::WorkerLost { worker: worker_of(worker)? },
            ["at", time] => {
                self.now = Now(0) + span(time)?;
                Input::Deadline
            }
            ["acquire", call, function, memory, rest @ ..] => {
                Input::Acquire(self.acquire(call, function, memory, rest)?)
            }
            ["cancel", call] => Input::Cancel { ticket: self.ticket(call)? },
            ["started", start] => self.started(StartId(number(start)?))?,
            ["failed", start, why] => {
                let why = match *why {
                    "init" => Trouble::Init,
                    "noroom" => Trouble::NoRoom,
                    "platform" => Trouble::Platform,
                    _ => return Err("init, noroom or platform"),
                };
                Input::StartFailed { start: StartId(number(start)?), why }
            }
            ["run", call] => Input::RunStarted { lease: self.grant(call)?.lease },
            ["idle", call] => {
                let grant = self.grant(call)?;
                Input::Idle { env: grant.env, epoch: grant.epoch }
            }
            ["gone", call] => Input::Gone { env: self.grant(call)?.env },
            ["release", call, outcome] => {
                let outcome = match *outcome {
                    "reusable" => Outcome::Reusable,
                    "broken" => Outcome::Broken,
                    "notstarted" => Outcome::NotStarted,
                    _ => return Err("reusable, broken or notstarted"),
                };
                Input::Released { lease: self.grant(call)?.lease, outcome }
            }
            ["retire", function] => {
                let function = FunctionName::parse(function).map_err(|_| "a function name")?;
                let account = key_of(&function, 128).account;
                Input::Retire(Whose { account, function, version: None, keep: None })
            }
            _ => return Err("a command of the list at the head of story.rs"),
        })
    }

    fn acquire(
        &mut self,
        call: &str,
        function: &str,
        memory: &str,
        mut rest: &[&str],
    ) -> Parsed<Acquire> {
        let name = FunctionName::parse(function).map_err(|_| "a function name")?;
        let memory_mb = u32::try_from(number(memory)?).map_err(|_| "megabytes")?;
        let key = Arc::new(key_of(&name, memory_mb));
        let hash = key.hash();
        self.names.insert(hash, function.to_string());
        self.tickets.push(call.to_string());
        let mut ask = Acquire {
            ticket: Ticket(self.tickets.len() as u64),
            hash,
            key,
            mode: Mode::ExistingOrNew,
            deadline: Now(u64::MAX),
            client_cap: u32::MAX,
            routed: Routed::default(),
            affinity: None,
        };
        loop {
            rest = match rest {
                [] => return Ok(ask),
                ["existing", rest @ ..] => {
                    ask.mode = Mode::Existing;
                    rest
                }
                ["within", time, rest @ ..] => {
                    ask.deadline = self.now + span(time)?;
                    rest
                }
                ["cap", n, rest @ ..] => {
                    ask.client_cap = u32::try_from(number(n)?).map_err(|_| "a cap")?;
                    rest
                }
                _ => return Err("existing, within TIME or cap N"),
            }
        }
    }

    fn started(&mut self, start: StartId) -> Parsed<Input> {
        let worker = *self.starts.get(&start).ok_or("the number of a start that was sent")?;
        self.envs += 1;
        Ok(Input::Started { start, env: EnvId::new(worker, self.envs), epoch: Epoch(1) })
    }

    fn ticket(&self, call: &str) -> Parsed<Ticket> {
        let at = self.tickets.iter().rposition(|name| name == call).ok_or("the name of a call")?;
        Ok(Ticket(at as u64 + 1))
    }

    fn grant(&self, call: &str) -> Parsed<Grant> {
        self.grants.get(call).copied().ok_or("the name of a call that was granted")
    }

    fn play(&mut self, input: Input) {
        let mut out = std::mem::take(&mut self.out);
        self.book.handle(self.now, input, &mut out);
        for output in out.drain(..) {
            let line = self.describe(&output);
            // Writing to a String cannot fail.
            let _ = writeln!(self.told, "    {line}");
        }
        self.out = out;
        if let Some((at, why)) = self.book.deadline() {
            let _ = writeln!(self.told, "    next: {why:?} at {} ms", at.0 / 1_000);
        }
    }

    fn describe(&mut self, output: &Output) -> String {
        match output {
            Output::Reply { ticket, reply } => {
                let call = self.tickets[ticket.0 as usize - 1].clone();
                if let Reply::Grant(grant, _) = reply {
                    self.grants.insert(call.clone(), *grant);
                }
                format!("answer to {call}: {}", told(*reply))
            }
            Output::Start { start, worker, key } => {
                self.starts.insert(*start, *worker);
                format!("start {} of {} on worker {worker}", start.0, key.function)
            }
            Output::Retire { env, worker, epoch } => {
                format!("retire {} on worker {worker}, epoch {epoch}", short(*env))
            }
            Output::Report(report) => format!("{report:?}"),
            Output::AskTokens { to, ask } => format!("to manager {to} {ask:?}"),
            Output::ReturnTokens { to, whose, count } => {
                format!("to manager {to} {count} tokens of {whose:?}")
            }
            Output::Tell { to, word } => format!("to manager {to} {word:?}"),
            Output::Transfer { env, to, .. } => format!("transfer {env} to manager {to}"),
            Output::Fact(fact) => {
                let mut text = format!("{fact:?}");
                for (hash, name) in &self.names {
                    text = text.replace(&format!("{hash:?}"), name);
                }
                format!("fact {text}")
            }
        }
    }
}

fn told(reply: Reply) -> String {
    match reply {
        Reply::Grant(grant, _) => {
            let how = if grant.warm { "warm" } else { "cold" };
            format!("{} of worker {}, {how}, epoch {}", short(grant.env), grant.worker, grant.epoch)
        }
        Reply::NoIdle(load) => format!("none idle, {load:?}"),
        Reply::Throttle(load) => format!("ask another, {load:?}"),
        Reply::Refused { reason, retry_after } => {
            format!("refused, {}, again after {} us", reason.as_str(), retry_after.0)
        }
        Reply::StartFailed { start } => format!("start {} failed", start.0),
    }
}

fn short(env: EnvId) -> String {
    format!("environment {}/{}", env.worker(), env.0 & 0xff_ffff)
}

fn number(text: &str) -> Parsed<u64> {
    text.parse().map_err(|_| "a whole number")
}

fn worker_of(text: &str) -> Parsed<WorkerId> {
    number(text).map(WorkerId)
}

fn span(text: &str) -> Parsed<Span> {
    let expected = "a time such as 5ms or 3s";
    let parse = |digits: &str| digits.parse::<u64>().map_err(|_| expected);
    match (text.strip_suffix("ms"), text.strip_suffix('s')) {
        (Some(digits), _) => parse(digits).map(Span::millis),
        (None, Some(digits)) => parse(digits).map(Span::secs),
        (None, None) => Err(expected),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_line_is_named() {
        let cases = [
            ("worker 1 1024\nfly", 2, "a command of the list at the head of story.rs"),
            ("at soon", 1, "a time such as 5ms or 3s"),
            ("run a", 1, "the name of a call that was granted"),
            ("started 1", 1, "the number of a start that was sent"),
            ("acquire a f 128 now", 1, "existing, within TIME or cap N"),
        ];
        for (script, line, expected) in cases {
            assert_eq!(tell(script), Err(StoryError { line, expected }), "{script}");
        }
    }
}
