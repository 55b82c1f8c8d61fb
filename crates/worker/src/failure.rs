//! What a caller reads when a function fails without an answer of its own: the
//! error's type and message as AWS words them.

use bytes::Bytes;
use model::{ErrorClass, RequestId, Span};
use serde::Serialize;

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

#[derive(Serialize)]
struct ErrorJson<'a> {
    #[serde(rename = "errorType")]
    error_type: &'a str,
    #[serde(rename = "errorMessage")]
    message: &'a str,
}

impl Failure {
    fn new(class: ErrorClass, error_type: &str, message: &str) -> Failure {
        let json = serde_json::to_vec(&ErrorJson { error_type, message }).unwrap_or_default();
        Failure { class, error_type: error_type.to_owned(), json: json.into() }
    }

    /// The runtime's own account of it.
    pub(crate) fn reported(class: ErrorClass, error_type: String, json: Bytes) -> Failure {
        Failure { class, error_type, json }
    }

    pub(crate) fn timed_out(request: RequestId, timeout: Span) -> Failure {
        let text = timed_out_text(timeout);
        let message = format!("RequestId: {request} Error: {text}");
        Failure::new(ErrorClass::Timeout, "Sandbox.Timedout", &message)
    }

    pub(crate) fn exited(request: RequestId, ended: Ended) -> Failure {
        let how = ended.describe();
        let message = format!("RequestId: {request} Error: {how}");
        if ended.out_of_memory {
            Failure::new(ErrorClass::OutOfMemory, "Runtime.OutOfMemory", &message)
        } else {
            Failure::new(ErrorClass::Exit, "Runtime.ExitError", &message)
        }
    }

    pub(crate) fn response_too_large() -> Failure {
        let message = format!(
            "Response payload size exceeded maximum allowed payload size ({} bytes).",
            model::limits::RESPONSE_BYTES_MAX
        );
        Failure::new(ErrorClass::ResponseTooLarge, "Function.ResponseSizeTooLarge", &message)
    }
}

impl Ended {
    pub(crate) fn describe(self) -> String {
        match self.status {
            EndStatus::Code(0) => "Runtime exited without providing a reason".to_owned(),
            EndStatus::Code(code) => format!("Runtime exited with error: exit status {code}"),
            EndStatus::Signal(number) => {
                format!("Runtime exited with error: signal: {}", signal_name(number))
            }
        }
    }
}

pub(crate) fn timed_out_text(timeout: Span) -> String {
    let millis = timeout.as_millis();
    format!("Task timed out after {}.{:02} seconds", millis / 1_000, millis % 1_000 / 10)
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

    fn text(failure: &Failure) -> String {
        String::from_utf8(failure.json.to_vec()).unwrap()
    }

    #[test]
    fn messages_are_worded_as_documented() {
        let request = RequestId::from_random(0);
        let exit = |status, out_of_memory| {
            text(&Failure::exited(request, Ended { status, out_of_memory }))
        };
        let id = "00000000-0000-4000-8000-000000000000";
        let cases = [
            (
                text(&Failure::timed_out(request, Span::millis(3_000))),
                format!(
                    r#"{{"errorType":"Sandbox.Timedout","errorMessage":"RequestId: {id} Error: Task timed out after 3.00 seconds"}}"#
                ),
            ),
            (
                exit(EndStatus::Code(1), false),
                format!(
                    r#"{{"errorType":"Runtime.ExitError","errorMessage":"RequestId: {id} Error: Runtime exited with error: exit status 1"}}"#
                ),
            ),
            (
                exit(EndStatus::Code(0), false),
                format!(
                    r#"{{"errorType":"Runtime.ExitError","errorMessage":"RequestId: {id} Error: Runtime exited without providing a reason"}}"#
                ),
            ),
            (
                exit(EndStatus::Signal(9), true),
                format!(
                    r#"{{"errorType":"Runtime.OutOfMemory","errorMessage":"RequestId: {id} Error: Runtime exited with error: signal: killed"}}"#
                ),
            ),
        ];
        for (got, wanted) in cases {
            assert_eq!(got, wanted);
        }
    }
}
