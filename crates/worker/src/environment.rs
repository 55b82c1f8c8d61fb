//! One execution environment: its sandbox, its runtime, and the task that owns
//! both from init to the end.
//!
//! ```text
//!            init done            Run                 answered, ready
//!   Init ───────────────▶ Idle ───────▶ Busy ──────────────────────────▶ Idle
//!     │ init failed        │ Retire,     │ timeout, exit, memory
//!     ▼                    ▼ exit        ▼
//!   Doomed ──Run: told──▶ Gone ◀─────────┘
//! ```
//!
//! An environment never goes back towards generic, and one that failed serves
//! nothing further: the next call gets a new one.

mod exchange;

use std::sync::Arc;

use bytes::Bytes;
use model::{
    Arm, EnvId, Epoch, ErrorClass, ExecutionReport, FunctionConfig, LeaseId, Now, PayloadRef, Span,
    limits,
};
use platform::{
    Body, Call, Clock,
    body::CollectError,
    cores::{self, Nearness},
};
use sandbox::Sandbox;
use tokio::sync::mpsc;
use wire::{
    manager::ManagerNote,
    worker::{Ran, Refusal, Run, WorkerAnswer},
};

use crate::{
    code::CodeInUse,
    failure::{Ended, Failure},
    lines,
    link::{Invocation, Link},
    output::Output,
    start::Host,
    tenure::Tenure,
};

use exchange::{Outcome, TELL_AFTER, Wanted, hold};

/// What the worker's owner task says to an environment.
#[derive(Debug)]
pub(crate) enum Command {
    Run(Box<Run>, Call<(), WorkerAnswer>),
    Retire,
}

/// A runtime that asks for work within this time of its answer counts as free from
/// the answer on.
const PROMPT_MAX: Span = Span::millis(10);

pub(crate) struct Environment {
    pub(crate) env: EnvId,
    pub(crate) epoch: Epoch,
    pub(crate) config: Arc<FunctionConfig>,
    /// What the sandbox shows of the host's copy stays as long as the sandbox.
    pub(crate) _code: CodeInUse,
    pub(crate) sandbox: Sandbox,
    pub(crate) link: Link,
    pub(crate) output: Output,
    pub(crate) clock: Clock,
    pub(crate) host: Arc<Host>,
    pub(crate) tenure: Arc<Tenure>,
    /// Until the first run has reported it.
    pub(crate) init: InitState,
    /// The runtime asked for work soon after its last answer.
    pub(crate) prompt: bool,
    /// The program has ended: nothing more can run.
    pub(crate) gone: bool,
    pub(crate) nearness: Nearness,
    /// Of a run that its manager was not told of: one that ends soon is told by its
    /// end alone.
    pub(crate) untold: Option<LeaseId>,
}

/// How the init went, as far as the first run has not told yet.
#[derive(Debug)]
pub(crate) enum InitState {
    Done {
        took: Span,
    },
    /// The first run tells it and ends the environment.
    Doomed {
        took: Span,
        failure: InitFailure,
    },
    Told,
}

#[derive(Clone, Debug)]
pub(crate) enum InitFailure {
    Reported(Failure),
    Ended(Ended),
    /// Longer than `limits::INIT_TIMEOUT`; it goes on within the first run.
    Slow,
}

impl Environment {
    /// Waits for the runtime to be ready, within the init phase, which `began` with
    /// the launch.
    pub(crate) async fn initialise(&mut self, began: Now) -> Span {
        let outcome = self.watch(Wanted::Init, began + limits::INIT_TIMEOUT).await;
        let took = self.clock.now().since(began);
        let doomed = |failure| InitState::Doomed { took, failure };
        self.init = match outcome {
            Outcome::Answered(_) => InitState::Done { took },
            Outcome::Failed(failure) => doomed(InitFailure::Reported(failure)),
            Outcome::TimedOut => doomed(InitFailure::Slow),
            Outcome::Ended(ended) => doomed(InitFailure::Ended(ended)),
            Outcome::Broken(error) => {
                tracing::warn!(env = %self.env, %error, "a runtime broke the protocol in its init");
                let status = self.kill_and_wait().await;
                doomed(InitFailure::Ended(status))
            }
        };
        self.output.drain();
        self.end_init_boost();
        took
    }

    /// Ends an environment whose init came to nothing, and says what happened. One
    /// whose init is only slow goes on.
    pub(crate) async fn failed_init(&mut self) -> Option<String> {
        let message = match &self.init {
            InitState::Doomed { failure: InitFailure::Reported(failure), .. } => {
                format!("{failure:?}")
            }
            InitState::Doomed { failure: InitFailure::Ended(ended), .. } => format!("{ended:?}"),
            InitState::Doomed { failure: InitFailure::Slow, .. }
            | InitState::Done { .. }
            | InitState::Told => return None,
        };
        self.kill_and_wait().await;
        Some(message)
    }

    /// From here on the function has the processor share that its memory brings.
    fn end_init_boost(&self) {
        let own = self.config.cpu_millis();
        if own < limits::INIT_CPU_MILLIS
            && let Err(error) = self.sandbox.set_cpu(own)
        {
            tracing::debug!(env = %self.env, %error, "the processor share is not in force");
        }
    }

    /// Serves until it is retired or ends. The sandbox is gone when this returns.
    pub(crate) async fn serve(mut self, mut commands: mpsc::Receiver<Command>) {
        loop {
            let command = match self.init {
                // What failed has nothing to watch for: it waits to tell.
                InitState::Doomed { .. } => commands.recv().await,
                InitState::Done { .. } | InitState::Told => self.idle(&mut commands).await,
            };
            let reusable = match command {
                Some(Command::Run(run, call)) => self.run(*run, call).await,
                Some(Command::Retire) | None => false,
            };
            if !reusable {
                break;
            }
        }
        refuse_all(commands);
        self.sandbox.dispose().await;
    }

    /// The next command, or `None` when the runtime ends unasked.
    async fn idle(&mut self, commands: &mut mpsc::Receiver<Command>) -> Option<Command> {
        loop {
            tokio::select! {
                biased;
                command = commands.recv() => return command,
                () = self.output.fill() => {}
                () = self.link.unasked() => return None,
                _ = self.sandbox.wait() => return None,
            }
        }
    }

    /// Runs one invocation and answers it. Says whether another may follow.
    async fn run(&mut self, run: Run, call: Call<(), WorkerAnswer>) -> bool {
        self.epoch = self.epoch.max(run.epoch);
        self.untold = Some(run.lease);
        let Ok(payload) = self.receive(call.body).await else {
            // The frontend went away while it sent: nobody waits for an answer.
            return self.idle_again(false).await;
        };
        self.output.platform_line(&lines::start(run.request, &self.config.version.to_string()));
        let began = self.clock.now();
        let timeout = Span::secs(u64::from(self.config.timeout_secs));
        let host = Arc::clone(&self.host);
        let running = host.running.enter();
        let here = cores::here();
        let change = self.nearness.before(began, running.number(), here);
        hold(&self.sandbox, &mut self.nearness, change);
        let outcome = self.exchange(&run, payload, began + timeout).await;
        drop(running);
        let duration = self.clock.now().since(began);
        self.nearness.after(duration);
        self.output.drain();
        let (result, healthy) = self.settle(&run, outcome, timeout).await;
        let reusable = healthy && !self.gone;
        self.answer(run, result, duration, call.reply, reusable).await
    }

    async fn receive(&mut self, body: Body) -> Result<Bytes, CollectError> {
        let payload = body.collect(limits::PAYLOAD_SYNC_BYTES_MAX);
        tokio::pin!(payload);
        let soon = self.clock.now() + TELL_AFTER;
        tokio::select! {
            biased;
            whole = &mut payload => return whole,
            () = self.clock.sleep_until(soon) => self.tell_of_run(),
        }
        payload.await
    }

    /// Its lease would expire otherwise.
    fn tell_of_run(&mut self) {
        if let Some(lease) = self.untold.take() {
            self.tell(ManagerNote::RunStarted { env: self.env, lease });
        }
    }

    async fn exchange(&mut self, run: &Run, payload: Bytes, deadline: Now) -> Outcome {
        if let InitState::Doomed { failure, .. } = &self.init {
            match failure.clone() {
                InitFailure::Reported(failure) => return Outcome::Failed(failure),
                InitFailure::Ended(ended) => return Outcome::Ended(ended),
                InitFailure::Slow => match self.watch(Wanted::Init, deadline).await {
                    Outcome::Answered(_) => self.init = InitState::Told,
                    other @ (Outcome::Failed(_)
                    | Outcome::TimedOut
                    | Outcome::Ended(_)
                    | Outcome::Broken(_)) => return other,
                },
            }
        }
        let left = deadline.since(self.clock.now());
        let invocation = Invocation {
            request: run.request,
            deadline_ms: self.clock.wall_ms() + left.as_millis(),
            arn: Arc::clone(&run.invoked_arn),
            trace_id: run.trace_id.clone(),
            client_context: run.client_context.clone(),
            tenant: run.tenant.clone(),
            payload,
        };
        self.watch(Wanted::Answer(invocation), deadline).await
    }

    /// What the caller is told, and whether the environment lives on.
    async fn settle(
        &mut self,
        run: &Run,
        outcome: Outcome,
        timeout: Span,
    ) -> (Result<Bytes, Failure>, bool) {
        let doomed = matches!(self.init, InitState::Doomed { .. });
        match outcome {
            Outcome::Answered(body) => (Ok(body), true),
            Outcome::Failed(failure) => (Err(failure), !doomed),
            Outcome::TimedOut => {
                let failure = Failure::timed_out(run.request, timeout);
                self.output.platform_line(&lines::timed_out(run.request, &failure.message()));
                (Err(failure), false)
            }
            Outcome::Ended(ended) => {
                let failure = Failure::exited(run.request, ended);
                self.output.platform_line(&failure.message());
                (Err(failure), false)
            }
            Outcome::Broken(error) => {
                tracing::warn!(env = %self.env, %error, "a runtime broke the protocol");
                let ended = self.kill_and_wait().await;
                (Err(Failure::exited(run.request, ended)), false)
            }
        }
    }

    /// Writes the report, frees the environment, answers: in this order, so that
    /// the caller's next call already finds it idle.
    async fn answer(
        &mut self,
        run: Run,
        result: Result<Bytes, Failure>,
        duration: Span,
        reply: platform::transport::Reply<WorkerAnswer>,
        reusable: bool,
    ) -> bool {
        let init = match std::mem::replace(&mut self.init, InitState::Told) {
            InitState::Done { took } if !run.warm => Some(took),
            InitState::Doomed { took, .. } => Some(took),
            InitState::Done { .. } | InitState::Told => None,
        };
        let report = self.report(&run, &result, duration, init);
        self.output.platform_line(&lines::end(run.request));
        let error_type = result.as_ref().err().map(|failure| failure.error_type.as_str());
        self.output.platform_line(&lines::report(&report, error_type));
        let log_tail = run.tail.then(|| self.output.tail());
        self.output.clear_tail();
        let function_error = result.is_err();
        let body = result.unwrap_or_else(|failure| failure.json);
        let payload = PayloadRef::beside(run.request, body.len() as u64, None);
        let ran = Ran { report, function_error, payload, log_tail };
        let answer = WorkerAnswer::Ran(Box::new(ran));
        let told_early = reusable && self.prompt;
        if told_early {
            self.note_idle();
        }
        reply.send_with(answer, Body::from(body));
        reusable && self.idle_again(told_early).await
    }

    /// Waits until the runtime can take another invocation, and says so unless that
    /// was said already: then a next call waits here, for as short as it is known to
    /// take, and not for a new environment.
    async fn idle_again(&mut self, told_early: bool) -> bool {
        if self.link.answers_when_ready() {
            if !told_early {
                self.note_idle();
            }
            return true;
        }
        let answered = self.clock.now();
        let patience = Span::secs(u64::from(self.config.timeout_secs));
        let patience = if told_early { PROMPT_MAX } else { patience };
        let outcome = self.watch(Wanted::Ready, answered + patience).await;
        self.prompt = match &outcome {
            // Told early, only what came in time is an answer here.
            Outcome::Answered(_) => told_early || self.clock.now().since(answered) <= PROMPT_MAX,
            Outcome::TimedOut | Outcome::Failed(_) | Outcome::Ended(_) | Outcome::Broken(_) => {
                false
            }
        };
        match outcome {
            Outcome::Answered(_) => {
                if !told_early {
                    self.note_idle();
                }
                true
            }
            Outcome::TimedOut => told_early,
            Outcome::Failed(_) | Outcome::Ended(_) | Outcome::Broken(_) => false,
        }
    }

    fn note_idle(&mut self) {
        self.untold = None;
        self.tenure.ended();
        self.tell(ManagerNote::Idle { env: self.env, epoch: self.epoch });
    }

    /// No call waits for a manager that cannot be reached.
    fn tell(&self, note: ManagerNote) {
        self.host.tell(self.tenure.manager(), note);
    }

    fn report(
        &self,
        run: &Run,
        result: &Result<Bytes, Failure>,
        duration: Span,
        init: Option<Span>,
    ) -> ExecutionReport {
        let class = result.as_ref().err().map_or(ErrorClass::None, |f| f.class.clone());
        let used = self.sandbox.memory_peak().unwrap_or(0).div_ceil(1024 * 1024);
        ExecutionReport {
            request: run.request,
            env: self.env,
            class,
            arm: Arm::Old,
            duration,
            billed: lines::billed(duration),
            init,
            memory_mb: self.config.memory_mb,
            // The limit counts what the kernel needs for the process as well.
            memory_used_mb: u32::try_from(used).unwrap_or(u32::MAX).min(self.config.memory_mb),
        }
    }
}

/// Calls that were granted before the end was known: nothing of them has run, and
/// their frontends ask for another environment.
fn refuse_all(mut commands: mpsc::Receiver<Command>) {
    commands.close();
    while let Ok(command) = commands.try_recv() {
        match command {
            Command::Run(_, call) => {
                call.reply.send(WorkerAnswer::Refused(Refusal::NoSuchEnvironment));
            }
            Command::Retire => {}
        }
    }
}
