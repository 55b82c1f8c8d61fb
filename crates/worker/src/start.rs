//! Building an environment: code and interpreter found, sandbox launched, runtime
//! initialised. The steps are sequential; only their start and their result are
//! inputs of a decision.

use std::{path::PathBuf, sync::Arc};

use model::{Class, EnvId, FunctionConfig, ManagerId, Region, Span};
use platform::{Clock, Entropy, Running, Tasks, cores::Nearness};
use sandbox::{Launcher, Scratch};
use tokio::sync::OnceCell;
use wire::{
    manager::ManagerNote,
    worker::{LogLines, ReadLogs, Start, StartFailure, WorkerAnswer},
};

use crate::{
    channel::Channel,
    code::{CodeCache, CodeInUse},
    environment::{Environment, InitState},
    interpreters::{Chosen, Interpreters, Missing},
    lines,
    link::Link,
    logs::Logs,
    managers::Managers,
    output::Output,
    runtime_api::ApiLink,
    runtime_files,
    spec::{self, Places},
    tenure::Tenure,
};

/// What every start on this host shares.
pub(crate) struct Host {
    pub(crate) launcher: Launcher,
    pub(crate) code: CodeCache,
    pub(crate) runtimes: PathBuf,
    pub(crate) interpreters: OnceCell<Interpreters>,
    pub(crate) missing: Missing,
    pub(crate) logs: Logs,
    pub(crate) region: Region,
    pub(crate) clock: Clock,
    pub(crate) entropy: Entropy,
    pub(crate) tasks: Tasks,
    pub(crate) managers: Managers,
    pub(crate) running: Arc<Running>,
}

impl Host {
    /// A manager that cannot be reached asks for the list when it can again.
    pub(crate) async fn note(&self, manager: ManagerId, note: ManagerNote) {
        if let Some(caller) = self.managers.get(manager) {
            let _ = caller.note(note).await;
        }
    }

    /// The same for owners that must not wait.
    pub(crate) fn tell(&self, manager: ManagerId, note: ManagerNote) {
        if let Some(caller) = self.managers.get(manager) {
            caller.leave_note(&self.tasks, note);
        }
    }

    /// A started environment and the length of its init.
    pub(crate) async fn start(
        self: &Arc<Self>,
        env: EnvId,
        start: &Start,
        tenure: Arc<Tenure>,
    ) -> Result<(Environment, Span), StartFailure> {
        let config = &start.config;
        let chosen = self.interpreter(config).await?;
        let code = self.code.fetch(&config.code).await?;
        let places = Places { code: code.path(), runtimes: self.runtimes.clone() };
        let stream = self.log_stream(config);
        let variables = spec::variables(
            config,
            start.key.class,
            self.region.as_str(),
            chosen.as_ref(),
            &stream,
        );
        let spec = spec::sandbox_spec(env, config, &places, chosen.as_ref(), variables);
        let log = self.logs.writer(config.account, &config.name, stream);
        let began = self.clock.now();
        let launched = self.launcher.launch(spec).await;
        let sandbox = launched.map_err(|error| launch_failure(config, &error))?;
        tracing::debug!(%env, timings = ?sandbox.timings(), "launched");
        if let Some(Scratch::Memory(reason)) = sandbox.scratch() {
            tracing::warn!(%env, %reason, "scratch counts as memory of the function");
        }
        let mut environment = self
            .attach(env, start, tenure, code, sandbox, log)
            .map_err(|error| StartFailure::Platform { message: error.to_string() })?;
        let runs = chosen.as_ref().map_or_else(|| config.runtime.name(), |c| c.runs.clone());
        environment.output.platform_line(&lines::init_start(&runs));
        if let Some(warning) = chosen.and_then(|chosen| chosen.warning) {
            environment.output.platform_line(&warning);
        }
        let init = environment.initialise(began).await;
        // Nobody's call is there to tell it.
        if start.key.class == Class::Provisioned
            && let Some(message) = environment.failed_init().await
        {
            return Err(StartFailure::InitFailed { message });
        }
        Ok((environment, init))
    }

    async fn interpreter(&self, config: &FunctionConfig) -> Result<Option<Chosen>, StartFailure> {
        let found = self.interpreters().await?;
        found
            .choose(config.runtime, self.missing)
            .map_err(|error| StartFailure::InvalidRuntime { message: error.to_string() })
    }

    pub(crate) async fn interpreters(&self) -> Result<&Interpreters, StartFailure> {
        let find = || {
            let runtimes = self.runtimes.clone();
            self.tasks.blocking("interpreter search", move || {
                let found = Interpreters::find();
                found.pythons().for_each(|python| runtime_files::compile(&runtimes, python));
                found
            })
        };
        let found = self.interpreters.get_or_try_init(find).await;
        found.map_err(|error| StartFailure::Platform { message: error.to_string() })
    }

    pub(crate) async fn read_logs(&self, read: ReadLogs) -> WorkerAnswer {
        let logs = self.logs.clone();
        let ReadLogs { account, function, after, bytes_max } = read;
        let work = move || logs.read(account, &function, after, bytes_max);
        match self.tasks.blocking("log read", work).await {
            Ok(Ok((lines, next))) => WorkerAnswer::Logs(LogLines { lines: lines.into(), next }),
            Ok(Err(error)) => WorkerAnswer::LogsUnreadable { message: error.to_string() },
            Err(error) => WorkerAnswer::LogsUnreadable { message: error.to_string() },
        }
    }

    fn attach(
        self: &Arc<Self>,
        env: EnvId,
        start: &Start,
        tenure: Arc<Tenure>,
        code: CodeInUse,
        mut sandbox: sandbox::Sandbox,
        log: crate::logs::LogWriter,
    ) -> std::io::Result<Environment> {
        let missing = |what| std::io::Error::other(format!("the sandbox has no {what}"));
        let stdout = sandbox.take_stdout().ok_or_else(|| missing("standard output"))?;
        let stderr = sandbox.take_stderr().ok_or_else(|| missing("standard error"))?;
        let link = if start.config.runtime.is_provided() {
            let listener = sandbox.take_listener().ok_or_else(|| missing("listener"))?;
            Link::Api(ApiLink::open(listener)?)
        } else {
            // Nobody asks for work there.
            drop(sandbox.take_listener());
            let channel = sandbox.take_channel().ok_or_else(|| missing("channel"))?;
            Link::Framed(Channel::new(channel)?)
        };
        Ok(Environment {
            env,
            epoch: start.epoch,
            config: Arc::clone(&start.config),
            _code: code,
            sandbox,
            link,
            output: Output::new(stdout, stderr, log)?,
            clock: self.clock.clone(),
            host: Arc::clone(self),
            tenure,
            init: InitState::Told,
            prompt: true,
            gone: false,
            nearness: Nearness::default(),
            untold: None,
        })
    }

    /// `2026/11/21/[$LATEST]<32 hex digits>`
    fn log_stream(&self, config: &FunctionConfig) -> String {
        let date = model::Civil::of_epoch_ms(self.clock.wall_ms());
        let model::Civil { year, month, day, .. } = date;
        let version = config.version;
        format!("{year}/{month:02}/{day:02}/[{version}]{:032x}", self.entropy.u128())
    }
}

/// A program that cannot be executed is the user's; the rest is ours.
fn launch_failure(config: &FunctionConfig, error: &sandbox::LaunchError) -> StartFailure {
    let no_program = matches!(error, sandbox::LaunchError::Exec { .. });
    if no_program && config.runtime.is_provided() {
        let message = "Couldn't find valid bootstrap(s): [/var/task/bootstrap /opt/bootstrap]";
        return StartFailure::InvalidEntryPoint { message: message.into() };
    }
    StartFailure::Platform { message: error.to_string() }
}
