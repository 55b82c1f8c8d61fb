//! One exchange with a runtime: what it prints is read meanwhile, and its end, its
//! deadline and its last words are watched. Invariant: an exchange comes out one way,
//! whatever happens at once.

use bytes::Bytes;
use model::{Now, Span};
use platform::{
    Clock,
    cores::{self, Change, Nearness},
};
use sandbox::Sandbox;
use wire::manager::ManagerNote;

use super::Environment;
use crate::{
    failure::{EndStatus, Ended, Failure},
    link::{Exchange, Invocation, LinkError},
    output::Output,
};

/// How long words of a process that has ended are waited for.
const LAST_WORDS: Span = Span::millis(50);
/// How long a process that closed its channel may take to end.
const END_GRACE: Span = Span::millis(500);
/// A run is told of once it takes longer; far below `limits::ENV_LEASE_TTL`.
pub(super) const TELL_AFTER: Span = cores::LONG;

/// How one exchange with the runtime came out.
pub(super) enum Outcome {
    Answered(Bytes),
    Failed(Failure),
    TimedOut,
    Ended(Ended),
    Broken(LinkError),
}

pub(super) enum Wanted {
    Init,
    Answer(Invocation),
    Ready,
}

impl Environment {
    /// Drives one exchange while reading output, until it ends one way or another.
    pub(super) async fn watch(&mut self, wanted: Wanted, deadline: Now) -> Outcome {
        let Environment { link, output, sandbox, clock, gone, nearness, untold, .. } = self;
        let tell = |lease| {
            let note = ManagerNote::RunStarted { env: self.env, lease };
            self.host.tell(self.tenure.manager(), note);
        };
        let exchange = async {
            match wanted {
                Wanted::Init => link.init().await,
                Wanted::Answer(invocation) => link.invoke(invocation).await,
                Wanted::Ready => Ok(link.ready().await),
            }
        };
        tokio::pin!(exchange);
        let late = clock.sleep_until(deadline);
        tokio::pin!(late);
        let long = clock.sleep_until(clock.now() + TELL_AFTER);
        tokio::pin!(long);
        let exit = loop {
            tokio::select! {
                biased;
                result = &mut exchange => return match result {
                    Ok(Exchange::Done(body)) => Outcome::Answered(body),
                    Ok(Exchange::Failed(failure)) => Outcome::Failed(failure),
                    Ok(Exchange::FailedLast(failure)) => {
                        *gone = true;
                        Outcome::Failed(failure)
                    }
                    Ok(Exchange::Closed) => {
                        let grace = clock.now() + END_GRACE;
                        Outcome::Ended(end_of(sandbox, clock, output, grace).await)
                    }
                    Err(error) => Outcome::Broken(error),
                },
                () = output.fill() => {}
                exit = sandbox.wait() => {
                    *gone = true;
                    break ended(exit);
                }
                () = &mut long, if nearness.is_held() || untold.is_some() => {
                    let change = nearness.let_go();
                    hold(sandbox, nearness, change);
                    untold.take().into_iter().for_each(tell);
                }
                () = &mut late => return Outcome::TimedOut,
            }
        };
        // What it said last may still be on its way to us.
        let until = clock.now() + LAST_WORDS;
        tokio::select! {
            biased;
            result = &mut exchange => match result {
                Ok(Exchange::Done(body)) => Outcome::Answered(body),
                Ok(Exchange::Failed(failure) | Exchange::FailedLast(failure)) => {
                    Outcome::Failed(failure)
                }
                Ok(Exchange::Closed) | Err(_) => Outcome::Ended(exit),
            },
            () = clock.sleep_until(until) => Outcome::Ended(exit),
        }
    }

    pub(super) async fn kill_and_wait(&mut self) -> Ended {
        self.sandbox.kill();
        ended(self.sandbox.wait().await)
    }
}

/// Where a host does not let its threads be held, nothing is lost but time.
pub(super) fn hold(sandbox: &Sandbox, nearness: &mut Nearness, change: Option<Change>) {
    let cores = match change {
        None => return,
        Some(Change::To(core)) => Ok(cores::only(core)),
        Some(Change::Anywhere) => cores::allowed(),
    };
    match cores.and_then(|cores| sandbox.hold_to_cores(&cores)) {
        Ok(true) => {}
        Ok(false) => nearness.cannot(),
        Err(error) => {
            tracing::debug!(%error, "an environment is not held to a core");
            nearness.cannot();
        }
    }
}

/// The exit of a process whose channel is closed: it is about to end, or is ended.
async fn end_of(sandbox: &mut Sandbox, clock: &Clock, output: &mut Output, grace: Now) -> Ended {
    loop {
        tokio::select! {
            biased;
            exit = sandbox.wait() => return ended(exit),
            () = output.fill() => {}
            () = clock.sleep_until(grace) => {
                sandbox.kill();
                return ended(sandbox.wait().await);
            }
        }
    }
}

fn ended(exit: sandbox::Exit) -> Ended {
    let status = match exit.status {
        sandbox::ExitStatus::Code(code) => EndStatus::Code(code),
        sandbox::ExitStatus::Signal(number) => EndStatus::Signal(number),
    };
    Ended { status, out_of_memory: exit.out_of_memory }
}
