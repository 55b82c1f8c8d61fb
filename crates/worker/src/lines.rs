//! Platform lines of a log stream, as AWS writes them: `INIT_START`, `START`,
//! `END`, `REPORT`, and the line of a timeout.

use std::fmt::Write;

use model::{ErrorClass, ExecutionReport, RequestId, Span};

pub(crate) fn init_start(runtime: &str) -> String {
    format!("INIT_START Runtime Version: {runtime}")
}

pub(crate) fn start(request: RequestId, version: &str) -> String {
    format!("START RequestId: {request} Version: {version}")
}

/// The request, and what of the error's message comes after its prefix.
pub(crate) fn timed_out(request: RequestId, message: &str) -> String {
    let (_, text) = message.split_once(" Error: ").unwrap_or(("", message));
    format!("{request} {text}")
}

pub(crate) fn end(request: RequestId) -> String {
    format!("END RequestId: {request}")
}

pub(crate) fn report(report: &ExecutionReport, error_type: Option<&str>) -> String {
    let ExecutionReport { request, memory_mb, memory_used_mb, .. } = report;
    let mut line = format!(
        "REPORT RequestId: {request}\tDuration: {} ms\tBilled Duration: {} ms\t\
         Memory Size: {memory_mb} MB\tMax Memory Used: {memory_used_mb} MB\t",
        hundredths(report.duration),
        report.billed.as_millis(),
    );
    if let Some(init) = report.init {
        let _ = write!(line, "Init Duration: {} ms\t", hundredths(init));
    }
    match (&report.class, error_type) {
        (ErrorClass::None | ErrorClass::Handler, _) => {}
        (ErrorClass::Timeout, _) => line.push_str("Status: timeout\t"),
        (_, error_type) => {
            let _ = write!(line, "Status: error\tError Type: {}\t", error_type.unwrap_or("-"));
        }
    }
    line
}

/// Milliseconds with two decimals.
fn hundredths(span: Span) -> String {
    let micros = span.as_micros();
    format!("{}.{:02}", micros / 1_000, micros % 1_000 / 10)
}

/// Time is billed by the millisecond, begun ones in full.
pub(crate) fn billed(duration: Span) -> Span {
    Span::millis(duration.as_micros().div_ceil(1_000))
}

#[cfg(test)]
mod tests {
    use model::{Arm, EnvId};

    use super::*;

    #[test]
    fn a_timeout_is_told_in_one_line() {
        let request = RequestId::from_random(0);
        let message = format!("RequestId: {request} Error: Task timed out after 3.00 seconds");
        let line = timed_out(request, &message);
        assert_eq!(line, format!("{request} Task timed out after 3.00 seconds"));
    }

    #[test]
    fn report_lines_are_as_documented() {
        let request = RequestId::from_random(0);
        let mut run = ExecutionReport {
            request,
            env: EnvId(1),
            class: ErrorClass::None,
            arm: Arm::Old,
            duration: Span::micros(1_234),
            billed: billed(Span::micros(1_234)),
            init: Some(Span::micros(90_018)),
            memory_mb: 128,
            memory_used_mb: 33,
        };
        assert_eq!(
            report(&run, None),
            "REPORT RequestId: 00000000-0000-4000-8000-000000000000\tDuration: 1.23 ms\t\
             Billed Duration: 2 ms\tMemory Size: 128 MB\tMax Memory Used: 33 MB\t\
             Init Duration: 90.01 ms\t"
        );
        run.init = None;
        run.class = ErrorClass::Exit;
        assert!(
            report(&run, Some("Runtime.ExitError"))
                .ends_with("Status: error\tError Type: Runtime.ExitError\t")
        );
    }
}
