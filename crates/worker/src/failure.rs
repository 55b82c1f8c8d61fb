//! What a caller reads when a function fails without an answer of its own: the
//! error's type and message as AWS words them.

use aws_api::runtime_api::FunctionError;
use bytes::Bytes;
use model::{ErrorClass, RequestId, Span};

/// An error as the caller gets it: class for us, JSON for them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) class: ErrorClass,
    /// `Runtime.ExitError` and the like; what the report line says.
    pub(crate) error_type: String,
    pub(crate) json: Bytes,
}

/// How a runtime process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ended {
    pub(crate) status: EndStatus,
    pub(crate) out_of_memory: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EndStatus {
    Code(i32),
    Signal(i32),
}

impl Failure {
    fn of(class: ErrorClass, error: &FunctionError) -> Failure {
        Failure { class, error_type: error.error_type.clone(), json: error.to_json().into() }
    }

    /// The runtime's own account of it.
    pub(crate) fn reported(class: ErrorClass, error_type: String, json: Bytes) -> Failure {
        Failure { class, error_type, json }
    }

    pub(crate) fn timed_out(request: RequestId, timeout: Span) -> Failure {
        let error = FunctionError::timed_out(&request.to_string(), timeout.as_millis());
        Failure::of(ErrorClass::Timeout, &error)
    }

    pub(crate) fn exited(request: RequestId, ended: Ended) -> Failure {
        let mut error = FunctionError::exited(&request.to_string(), ended.reason().as_deref());
        if ended.out_of_memory {
            error.error_type = "Runtime.OutOfMemory".to_owned();
            return Failure::of(ErrorClass::OutOfMemory, &error);
        }
        Failure::of(ErrorClass::Exit, &error)
    }

    pub(crate) fn response_too_large() -> Failure {
        Failure::of(ErrorClass::ResponseTooLarge, &FunctionError::response_too_large())
    }

    /// The message, for the log.
    pub(crate) fn message(&self) -> String {
        let error: Result<FunctionError, _> = serde_json::from_slice(&self.json);
        error.map(|error| error.error_message).unwrap_or_default()
    }
}

impl Ended {
    /// `None` where a runtime that ended gave none: status zero.
    fn reason(self) -> Option<String> {
        match self.status {
            EndStatus::Code(0) => None,
            EndStatus::Code(code) => Some(format!("exit status {code}")),
            EndStatus::Signal(number) => Some(format!("signal: {}", signal_name(number))),
        }
    }
}

/// As Go prints signals, which is what AWS's messages show.
fn signal_name(number: i32) -> String {
    let name = match number {
        1 => "hangup",
        2 => "interrupt",
        3 => "quit",
        4 => "illegal instruction",
        5 => "trace/breakpoint trap",
        6 => "aborted",
        7 => "bus error",
        8 => "floating point exception",
        9 => "killed",
        11 => "segmentation fault",
        13 => "broken pipe",
        14 => "alarm clock",
        15 => "terminated",
        31 => "bad system call",
        other => return format!("signal {other}"),
    };
    name.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_of_a_process_are_worded_as_documented() {
        let request = RequestId::from_random(0);
        let cases = [
            (EndStatus::Code(0), false, "Runtime.ExitError", "exited without providing a reason"),
            (EndStatus::Code(1), false, "Runtime.ExitError", "exited with error: exit status 1"),
            (EndStatus::Signal(11), false, "Runtime.ExitError", "signal: segmentation fault"),
            (EndStatus::Signal(99), false, "Runtime.ExitError", "signal: signal 99"),
            (EndStatus::Signal(9), true, "Runtime.OutOfMemory", "error: signal: killed"),
        ];
        for (status, out_of_memory, error_type, message) in cases {
            let failure = Failure::exited(request, Ended { status, out_of_memory });
            assert_eq!(failure.error_type, error_type);
            assert!(failure.message().ends_with(message), "{}", failure.message());
            let start = "RequestId: 00000000-0000-4000-8000-000000000000 Error: Runtime ";
            assert!(failure.message().starts_with(start), "{}", failure.message());
        }
    }
}
