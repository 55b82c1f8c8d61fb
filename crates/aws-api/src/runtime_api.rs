//! The words of the Runtime API (2018-06-01), which a function's runtime speaks
//! inside its environment: paths, header names, error bodies.
//!
//! The server itself lives in `worker`; nothing here listens or waits.

use serde::{Deserialize, Serialize};

/// The prefix of every path.
pub const VERSION: &str = "/2018-06-01";
pub const NEXT_PATH: &str = "/2018-06-01/runtime/invocation/next";
pub const INVOCATION_PREFIX: &str = "/2018-06-01/runtime/invocation/";
pub const INIT_ERROR_PATH: &str = "/2018-06-01/runtime/init/error";
pub const RESTORE_NEXT_PATH: &str = "/2018-06-01/runtime/restore/next";
pub const RESTORE_ERROR_PATH: &str = "/2018-06-01/runtime/restore/error";

pub const REQUEST_ID: &str = "lambda-runtime-aws-request-id";
/// Epoch milliseconds.
pub const DEADLINE_MS: &str = "lambda-runtime-deadline-ms";
pub const INVOKED_FUNCTION_ARN: &str = "lambda-runtime-invoked-function-arn";
pub const TRACE_ID: &str = "lambda-runtime-trace-id";
/// Decoded JSON, not the base64 of the caller's header.
pub const CLIENT_CONTEXT: &str = "lambda-runtime-client-context";
pub const COGNITO_IDENTITY: &str = "lambda-runtime-cognito-identity";
pub const TENANT_ID: &str = "lambda-runtime-aws-tenant-id";
pub const INVOCATION_ID: &str = "lambda-runtime-invocation-id";
pub const FUNCTION_ERROR_TYPE: &str = "lambda-runtime-function-error-type";
/// A trailer of a streamed response that failed midway; base64.
pub const FUNCTION_ERROR_BODY: &str = "lambda-runtime-function-error-body";
pub const XRAY_ERROR_CAUSE: &str = "lambda-runtime-function-xray-error-cause";
pub const RESPONSE_MODE: &str = "lambda-runtime-function-response-mode";
/// The value of `RESPONSE_MODE` for a streamed response.
pub const RESPONSE_MODE_STREAMING: &str = "streaming";

/// The body of an accepted response or error (202).
pub const STATUS_OK_BODY: &str = r#"{"status":"OK"}"#;

/// Payload bytes in either direction of a synchronous call (6 MiB + 100).
pub const PAYLOAD_BYTES_MAX: usize = 6_291_556;

/// A call of the runtime.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call<'a> {
    Next,
    Response { request_id: &'a str },
    Error { request_id: &'a str },
    InitError,
    RestoreNext,
    RestoreError,
    Ping,
}

impl<'a> Call<'a> {
    /// `None`: no such path, or not with this method.
    pub fn of(method: &http::Method, path: &'a str) -> Option<Self> {
        let get = method == http::Method::GET;
        let post = method == http::Method::POST;
        match path {
            NEXT_PATH => get.then_some(Self::Next),
            INIT_ERROR_PATH => post.then_some(Self::InitError),
            RESTORE_NEXT_PATH => get.then_some(Self::RestoreNext),
            RESTORE_ERROR_PATH => post.then_some(Self::RestoreError),
            "/ping" | "/2018-06-01/ping" => get.then_some(Self::Ping),
            other => {
                let (request_id, what) = other.strip_prefix(INVOCATION_PREFIX)?.split_once('/')?;
                match (what, post && !request_id.is_empty()) {
                    ("response", true) => Some(Self::Response { request_id }),
                    ("error", true) => Some(Self::Error { request_id }),
                    _ => None,
                }
            }
        }
    }
}

/// Why the Runtime API refuses a call of the runtime.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Refusal {
    InvalidRequestId,
    InvalidStateTransition,
    InvalidFunctionResponseMode,
    TruncatedHttpRequest,
    RequestEntityTooLarge,
}

impl Refusal {
    pub const fn status(self) -> http::StatusCode {
        match self {
            Self::InvalidRequestId
            | Self::InvalidFunctionResponseMode
            | Self::TruncatedHttpRequest => http::StatusCode::BAD_REQUEST,
            Self::InvalidStateTransition => http::StatusCode::FORBIDDEN,
            Self::RequestEntityTooLarge => http::StatusCode::PAYLOAD_TOO_LARGE,
        }
    }

    pub const fn error_type(self) -> &'static str {
        match self {
            Self::InvalidRequestId => "InvalidRequestID",
            Self::InvalidStateTransition => "InvalidStateTransition",
            Self::InvalidFunctionResponseMode => "InvalidFunctionResponseMode",
            Self::TruncatedHttpRequest => "TruncatedHTTPRequest",
            Self::RequestEntityTooLarge => "RequestEntityTooLarge",
        }
    }

    /// The body of the refusal.
    pub fn body(self) -> FunctionError {
        let message = match self {
            Self::InvalidRequestId => "Invalid request ID".to_owned(),
            Self::InvalidStateTransition => "State transition is not allowed".to_owned(),
            Self::InvalidFunctionResponseMode => "Invalid function response mode".to_owned(),
            Self::TruncatedHttpRequest => "HTTP request detected as truncated".to_owned(),
            Self::RequestEntityTooLarge => too_large(),
        };
        FunctionError::new(self.error_type(), message)
    }
}

fn too_large() -> String {
    format!("Exceeded maximum allowed payload size ({PAYLOAD_BYTES_MAX} bytes).")
}

/// The payload a caller gets when its function failed, and the body of errors a
/// runtime reports. Members that a runtime adds are not read here: its bytes are
/// passed on as they are.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct FunctionError {
    pub error_message: String,
    pub error_type: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub stack_trace: Vec<serde_json::Value>,
}

impl FunctionError {
    pub fn new(error_type: impl Into<String>, error_message: impl Into<String>) -> Self {
        Self {
            error_type: error_type.into(),
            error_message: error_message.into(),
            ..Self::default()
        }
    }

    pub fn timed_out(request_id: &str, timeout_ms: u64) -> Self {
        let (s, hundredths) = (timeout_ms / 1000, timeout_ms % 1000 / 10);
        let message = format!(
            "RequestId: {request_id} Error: Task timed out after {s}.{hundredths:02} seconds"
        );
        Self::new("Sandbox.Timedout", message)
    }

    /// The runtime's process ended; `reason` as in `exit status 1`, if known.
    pub fn exited(request_id: &str, reason: Option<&str>) -> Self {
        let how = match reason {
            Some(reason) => format!("Runtime exited with error: {reason}"),
            None => "Runtime exited without providing a reason".to_owned(),
        };
        Self::new("Runtime.ExitError", format!("RequestId: {request_id} Error: {how}"))
    }

    pub fn response_too_large() -> Self {
        let message = format!(
            "Response payload size exceeded maximum allowed payload size ({PAYLOAD_BYTES_MAX} bytes)."
        );
        Self::new("Function.ResponseSizeTooLarge", message)
    }

    pub fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("strings and JSON values have a JSON form")
    }
}

/// The error type a runtime reported, if it has the form AWS keeps:
/// `(Runtime|Function)\.[A-Z][a-zA-Z]+`; otherwise `Runtime.Unknown` or
/// `Function.Unknown`.
pub fn reported_error_type(header: Option<&str>) -> &str {
    let Some(text) = header else { return "Runtime.Unknown" };
    let (kind, name) = text.split_once('.').unwrap_or((text, ""));
    let fits = name.len() >= 2
        && name.starts_with(|c: char| c.is_ascii_uppercase())
        && name.bytes().all(|b| b.is_ascii_alphabetic());
    match (kind, fits) {
        ("Runtime" | "Function", true) => text,
        ("Function", false) => "Function.Unknown",
        _ => "Runtime.Unknown",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_told_apart_by_method_and_path() {
        let (get, post) = (http::Method::GET, http::Method::POST);
        let response = "/2018-06-01/runtime/invocation/r-1/response";
        for (method, path, expected) in [
            (&get, NEXT_PATH, Some(Call::Next)),
            (&post, NEXT_PATH, None),
            (&post, response, Some(Call::Response { request_id: "r-1" })),
            (&get, response, None),
            (
                &post,
                "/2018-06-01/runtime/invocation/r-1/error",
                Some(Call::Error { request_id: "r-1" }),
            ),
            (&post, "/2018-06-01/runtime/invocation//error", None),
            (&post, "/2018-06-01/runtime/invocation/r-1/x", None),
            (&post, INIT_ERROR_PATH, Some(Call::InitError)),
            (&get, "/ping", Some(Call::Ping)),
            (&get, "/", None),
        ] {
            assert_eq!(Call::of(method, path), expected, "{method} {path}");
        }
    }

    #[test]
    fn failures_have_the_text_callers_know() {
        for (error, json) in [
            (
                FunctionError::timed_out("r", 3000),
                r#"{"errorType":"Sandbox.Timedout","errorMessage":"RequestId: r Error: Task timed out after 3.00 seconds"}"#,
            ),
            (
                FunctionError::exited("r", Some("exit status 1")),
                r#"{"errorType":"Runtime.ExitError","errorMessage":"RequestId: r Error: Runtime exited with error: exit status 1"}"#,
            ),
            (
                FunctionError::exited("r", None),
                r#"{"errorType":"Runtime.ExitError","errorMessage":"RequestId: r Error: Runtime exited without providing a reason"}"#,
            ),
            (
                FunctionError::response_too_large(),
                r#"{"errorType":"Function.ResponseSizeTooLarge","errorMessage":"Response payload size exceeded maximum allowed payload size (6291556 bytes)."}"#,
            ),
        ] {
            let given: serde_json::Value = serde_json::from_slice(&error.to_json()).expect("JSON");
            let expected: serde_json::Value = serde_json::from_str(json).expect("JSON");
            assert_eq!(given, expected);
        }
        assert_eq!(Refusal::RequestEntityTooLarge.status(), 413);
        let body = Refusal::RequestEntityTooLarge.body();
        assert_eq!(body.error_message, "Exceeded maximum allowed payload size (6291556 bytes).");
    }

    #[test]
    fn what_a_runtime_reports_is_read() {
        let json = r#"{"errorMessage":"no","errorType":"KeyError","requestId":"","stackTrace":["a"],"x":1}"#;
        let error: FunctionError = serde_json::from_str(json).expect("an error body");
        assert_eq!((&*error.error_type, error.stack_trace.len()), ("KeyError", 1));
        for (header, expected) in [
            (Some("Runtime.ImportModuleError"), "Runtime.ImportModuleError"),
            (Some("Function.Bad"), "Function.Bad"),
            (Some("Function.bad"), "Function.Unknown"),
            (Some("Whatever"), "Runtime.Unknown"),
            (Some("Runtime.A1"), "Runtime.Unknown"),
            (None, "Runtime.Unknown"),
        ] {
            assert_eq!(reported_error_type(header), expected);
        }
    }
}
