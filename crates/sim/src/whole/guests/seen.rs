//! What environments saw, from inside: who they are, what ran in them and when. It is
//! the ground truth that the platform's own books are compared with.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::whole::Record;

/// Whose an environment is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) function: String,
    pub(crate) revision: u64,
    /// Of its first call that had one.
    pub(crate) tenant: Option<String>,
}

#[derive(Debug)]
struct Env {
    name: String,
    identity: Identity,
    /// Its init is over.
    ready: bool,
    calls: u64,
    running: u32,
}

/// One handler that began.
#[derive(Clone, Debug)]
pub(crate) struct Begun {
    pub(crate) revision: u64,
    pub(crate) times: u32,
}

#[derive(Debug, Default)]
pub(crate) struct Seen {
    envs: BTreeMap<u64, Env>,
    entered: u64,
    /// Names that were ever given.
    names: BTreeSet<String>,
    /// By request.
    requests: BTreeMap<String, Begun>,
    /// By number of the call, of loads that number theirs.
    calls: BTreeMap<u64, Begun>,
    /// Most handlers of a function at once since they were last looked at.
    peaks: BTreeMap<String, u32>,
    pub(crate) most_in_one: u32,
    pub(crate) most: u32,
}

impl Seen {
    pub(super) fn enter(&mut self, record: &Record, name: &str, identity: Identity) -> u64 {
        if !self.names.insert(name.to_owned()) {
            record.violation(format_args!("I1: {name} is the name of a second environment"));
        }
        self.entered += 1;
        let env = Env { name: name.to_owned(), identity, ready: false, calls: 0, running: 0 };
        self.envs.insert(self.entered, env);
        self.entered
    }

    pub(super) fn begin(&mut self, record: &Record, number: u64, header: &Value, event: &Value) {
        let Some(env) = self.envs.get_mut(&number) else { return };
        env.running += 1;
        env.calls += 1;
        let in_one = env.running;
        let text = |name: &str| header[name].as_str().unwrap_or_default();
        let (id, arn) = (text("id"), text("arn"));
        let Identity { function, revision, tenant } = &mut env.identity;
        record.line(format_args!("env {} runs call {} {id}", env.name, event["call"]));
        if arn.split(':').nth(6) != Some(function.as_str()) {
            record.violation(format_args!("I3: {} of {function} runs {arn}", env.name));
        }
        let theirs = header["tenant"].as_str();
        if env.calls > 1 && tenant.as_deref() != theirs {
            record.violation(format_args!("I3: {} of {tenant:?} runs {theirs:?}", env.name));
        }
        *tenant = theirs.map(str::to_owned);
        let (function, revision) = (function.clone(), *revision);
        let begun = |begun: Option<Begun>| {
            let times = begun.map_or(0, |begun| begun.times) + 1;
            Begun { revision, times }
        };
        let again = begun(self.requests.remove(id));
        if again.times > 1 {
            record.violation(format_args!("I8: request {id} began {} times", again.times));
        }
        self.requests.insert(id.to_owned(), again);
        if let Some(call) = event["call"].as_u64() {
            let again = begun(self.calls.remove(&call));
            self.calls.insert(call, again);
        }
        self.most_in_one = self.most_in_one.max(in_one);
        self.most = self.most.max(self.running(|_| true));
        let now = self.running(|identity| identity.function == function);
        let peak = self.peaks.entry(function).or_default();
        *peak = now.max(*peak);
    }

    pub(super) fn ready(&mut self, number: u64) {
        if let Some(env) = self.envs.get_mut(&number) {
            env.ready = true;
        }
    }

    pub(super) fn end(&mut self, number: u64) {
        if let Some(env) = self.envs.get_mut(&number) {
            env.running -= 1;
        }
    }

    pub(super) fn leave(&mut self, number: u64) {
        self.envs.remove(&number);
    }

    /// Handlers that run now.
    pub(crate) fn running(&self, meant: impl Fn(&Identity) -> bool) -> u32 {
        let envs = self.envs.values().filter(|env| meant(&env.identity));
        envs.map(|env| env.running).sum()
    }

    /// Environments that exist now and are past their init, by name.
    pub(crate) fn alive(&self) -> BTreeSet<String> {
        self.envs.values().filter(|env| env.ready).map(|env| env.name.clone()).collect()
    }

    pub(crate) fn begun(&self, call: u64) -> Option<&Begun> {
        self.calls.get(&call)
    }

    /// Most handlers of a function at once since this was last asked.
    pub(crate) fn take_peak(&mut self, function: &str) -> u32 {
        let now = self.running(|identity| identity.function == function);
        self.peaks.insert(function.to_owned(), now).unwrap_or(0)
    }
}
