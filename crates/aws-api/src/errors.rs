//! What a caller sees when a call is refused: one type, one table of exceptions
//! (name, HTTP status, key of the message, blame), and the texts AWS uses.
//!
//! Not here: why something failed inside. The operator's text stays with the
//! code that noticed; a frontend maps to `ApiError` once, at the edge.

use std::borrow::Cow;

use http::StatusCode;

use crate::invoke::InvocationType;
use crate::operation::Operation;

/// Which JSON key carries the text: it differs from shape to shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MessageKey {
    Lower,
    Upper,
}

/// The `Type` member of the body; front-door errors (validation, signatures) have none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blame {
    User,
    Service,
    Unstated,
}

macro_rules! exceptions {
    ($($variant:ident = $name:literal, $status:literal, $key:ident, $blame:ident;)*) => {
        /// Every exception this system can answer with.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Exception { $($variant,)* }

        impl Exception {
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The value of `x-amzn-ErrorType`.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            pub const fn status(self) -> StatusCode {
                let code = match self { $(Self::$variant => $status,)* };
                match StatusCode::from_u16(code) {
                    Ok(status) => status,
                    Err(_) => StatusCode::INTERNAL_SERVER_ERROR,
                }
            }

            pub const fn message_key(self) -> MessageKey {
                match self { $(Self::$variant => MessageKey::$key,)* }
            }

            pub const fn blame(self) -> Blame {
                match self { $(Self::$variant => Blame::$blame,)* }
            }
        }
    };
}

// The one table. The rows of the service model are compared with it in a test.
exceptions! {
    // front door: not in the service model
    Validation = "ValidationException", 400, Lower, Unstated;
    Serialization = "SerializationException", 400, Upper, Unstated;
    UnknownOperation = "UnknownOperationException", 404, Upper, Unstated;
    MissingAuthenticationToken = "MissingAuthenticationTokenException", 403, Lower, Unstated;
    IncompleteSignature = "IncompleteSignatureException", 403, Lower, Unstated;
    InvalidSignature = "InvalidSignatureException", 403, Lower, Unstated;
    UnrecognizedClient = "UnrecognizedClientException", 403, Lower, Unstated;
    ExpiredToken = "ExpiredTokenException", 403, Lower, Unstated;
    AccessDenied = "AccessDeniedException", 403, Upper, Unstated;
    RequestEntityTooLarge = "RequestEntityTooLargeException", 413, Lower, User;
    RequestTimeout = "RequestTimeoutException", 408, Lower, Unstated;
    ServiceUnavailable = "ServiceUnavailableException", 503, Upper, Service;
    // the service model
    InvalidParameterValue = "InvalidParameterValueException", 400, Lower, User;
    InvalidRequestContent = "InvalidRequestContentException", 400, Lower, User;
    CodeStorageExceeded = "CodeStorageExceededException", 400, Lower, User;
    PolicyLengthExceeded = "PolicyLengthExceededException", 400, Lower, User;
    ResourceInUse = "ResourceInUseException", 400, Upper, User;
    ModeNotSupported = "ModeNotSupportedException", 400, Lower, User;
    NoPublishedVersion = "NoPublishedVersionException", 400, Upper, User;
    RecursiveInvocation = "RecursiveInvocationException", 400, Upper, User;
    ServiceQuotaExceeded = "ServiceQuotaExceededException", 402, Upper, User;
    ResourceNotFound = "ResourceNotFoundException", 404, Upper, User;
    ProvisionedConcurrencyConfigNotFound =
        "ProvisionedConcurrencyConfigNotFoundException", 404, Lower, User;
    CodeSigningConfigNotFound = "CodeSigningConfigNotFoundException", 404, Upper, User;
    ResourceConflict = "ResourceConflictException", 409, Lower, User;
    PreconditionFailed = "PreconditionFailedException", 412, Lower, User;
    RequestTooLarge = "RequestTooLargeException", 413, Lower, User;
    UnsupportedMediaType = "UnsupportedMediaTypeException", 415, Lower, User;
    TooManyRequests = "TooManyRequestsException", 429, Lower, User;
    Service = "ServiceException", 500, Upper, Service;
    InvalidRuntime = "InvalidRuntimeException", 502, Upper, Service;
    InvalidZipFile = "InvalidZipFileException", 502, Upper, Service;
    ResourceNotReady = "ResourceNotReadyException", 502, Lower, Service;
}

/// Why a call was throttled: the `Reason` member of the 429 body.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ThrottleReason {
    ConcurrentInvocationLimitExceeded,
    FunctionInvocationRateLimitExceeded,
    ReservedFunctionConcurrentInvocationLimitExceeded,
    ReservedFunctionInvocationRateLimitExceeded,
    CallerRateLimitExceeded,
    ConcurrentSnapshotCreateLimitExceeded,
}

impl ThrottleReason {
    pub const ALL: [Self; 6] = [
        Self::ConcurrentInvocationLimitExceeded,
        Self::FunctionInvocationRateLimitExceeded,
        Self::ReservedFunctionConcurrentInvocationLimitExceeded,
        Self::ReservedFunctionInvocationRateLimitExceeded,
        Self::CallerRateLimitExceeded,
        Self::ConcurrentSnapshotCreateLimitExceeded,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ConcurrentInvocationLimitExceeded => "ConcurrentInvocationLimitExceeded",
            Self::FunctionInvocationRateLimitExceeded => "FunctionInvocationRateLimitExceeded",
            Self::ReservedFunctionConcurrentInvocationLimitExceeded => {
                "ReservedFunctionConcurrentInvocationLimitExceeded"
            }
            Self::ReservedFunctionInvocationRateLimitExceeded => {
                "ReservedFunctionInvocationRateLimitExceeded"
            }
            Self::CallerRateLimitExceeded => "CallerRateLimitExceeded",
            Self::ConcurrentSnapshotCreateLimitExceeded => "ConcurrentSnapshotCreateLimitExceeded",
        }
    }
}

/// Facts that only a 429 has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Throttle {
    pub reason: ThrottleReason,
    /// The `Retry-After` header, in whole seconds.
    pub retry_after_s: u32,
}

/// A refusal as the caller sees it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}: {message}", exception.name())]
pub struct ApiError {
    exception: Exception,
    message: Cow<'static, str>,
    throttle: Option<Throttle>,
}

impl ApiError {
    pub fn new(exception: Exception, message: impl Into<Cow<'static, str>>) -> Self {
        Self { exception, message: message.into(), throttle: None }
    }

    pub fn exception(&self) -> Exception {
        self.exception
    }

    pub fn status(&self) -> StatusCode {
        self.exception.status()
    }

    /// The value of `x-amzn-ErrorType`.
    pub fn error_type(&self) -> &'static str {
        self.exception.name()
    }

    pub fn message(&self) -> &str {
        &self.message
    }

    pub fn throttle(&self) -> Option<Throttle> {
        self.throttle
    }

    /// The `Retry-After` header of a throttled call, in seconds.
    pub fn retry_after_s(&self) -> Option<u32> {
        self.throttle.map(|t| t.retry_after_s)
    }

    /// The JSON body, with the message under the key this exception uses.
    pub fn body(&self) -> Vec<u8> {
        let mut fields = serde_json::Map::new();
        match self.exception.blame() {
            Blame::User => fields.insert("Type".into(), "User".into()),
            Blame::Service => fields.insert("Type".into(), "Service".into()),
            Blame::Unstated => None,
        };
        if let Some(throttle) = self.throttle {
            fields.insert("Reason".into(), throttle.reason.as_str().into());
        }
        let key = match self.exception.message_key() {
            MessageKey::Lower => "message",
            MessageKey::Upper => "Message",
        };
        fields.insert(key.into(), self.message.as_ref().into());
        serde_json::Value::Object(fields).to_string().into_bytes()
    }
}

/// The texts AWS uses, so that clients which match on them keep working.
impl ApiError {
    pub fn function_not_found(function_arn: &str) -> Self {
        Self::new(Exception::ResourceNotFound, format!("Function not found: {function_arn}"))
    }

    pub fn resource_not_found(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Exception::ResourceNotFound, message)
    }

    pub fn function_exists(function_name: &str) -> Self {
        Self::new(Exception::ResourceConflict, format!("Function already exist: {function_name}"))
    }

    /// Invoke of a function that is not ready; `state` is Pending, Failed, ...
    pub fn function_in_state(state: &str) -> Self {
        Self::new(
            Exception::ResourceConflict,
            format!(
                "The operation cannot be performed at this time. \
                 The function is currently in the following state: {state}"
            ),
        )
    }

    /// A second update while the first is still being applied.
    pub fn update_in_progress(function_arn: &str) -> Self {
        Self::new(
            Exception::ResourceConflict,
            format!(
                "The operation cannot be performed at this time. \
                 An update is in progress for resource: {function_arn}"
            ),
        )
    }

    pub fn revision_mismatch() -> Self {
        Self::new(
            Exception::PreconditionFailed,
            "The Revision Id provided does not match the latest Revision Id. \
             Call the GetFunction/GetAlias API to retrieve the latest Revision Id",
        )
    }

    pub fn invalid_parameter(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Exception::InvalidParameterValue, message)
    }

    pub fn qualifier_mismatch() -> Self {
        Self::invalid_parameter(
            "The derived qualifier from the function name does not match the specified qualifier.",
        )
    }

    /// The payload of an invoke that is not JSON.
    pub fn payload_not_json(detail: &str) -> Self {
        Self::new(
            Exception::InvalidRequestContent,
            format!(
                "Could not parse request body into json: Could not parse payload into json: {detail}"
            ),
        )
    }

    /// A payload above the limit of a synchronous call, found before or while reading it.
    pub fn payload_too_large(len: u64, limit: u64) -> Self {
        Self::payload_too_large_for(InvocationType::RequestResponse, len, limit)
    }

    /// As `payload_too_large`, for any invocation type: each has its own limit.
    pub fn payload_too_large_for(kind: InvocationType, len: u64, limit: u64) -> Self {
        Self::new(
            Exception::RequestTooLarge,
            format!(
                "{len} byte payload is too large for the {} invocation type (limit {limit} bytes)",
                kind.as_str()
            ),
        )
    }

    /// A body above the limit of any control operation.
    pub fn request_entity_too_large(limit: u64) -> Self {
        Self::new(
            Exception::RequestEntityTooLarge,
            format!("Request must be smaller than {limit} bytes for the operation"),
        )
    }

    /// As `request_entity_too_large`, where the operation is known.
    pub fn request_entity_too_large_for(operation: Operation, limit: u64) -> Self {
        let name = operation.name();
        Self::new(
            Exception::RequestEntityTooLarge,
            format!("Request must be smaller than {limit} bytes for the {name} operation"),
        )
    }

    pub fn throttled(reason: ThrottleReason, retry_after_s: u32) -> Self {
        Self {
            exception: Exception::TooManyRequests,
            message: Cow::Borrowed("Rate Exceeded."),
            throttle: Some(Throttle { reason, retry_after_s }),
        }
    }

    /// No operation has this method and path.
    pub fn unknown_operation() -> Self {
        Self::new(Exception::UnknownOperation, "Unknown operation.")
    }

    pub fn access_denied(caller_arn: &str, action: &str, resource: &str) -> Self {
        Self::new(
            Exception::AccessDenied,
            format!(
                "User: {caller_arn} is not authorized to perform: {action} on resource: {resource}"
            ),
        )
    }

    /// A failure of ours. The text says nothing of the inside.
    pub fn service() -> Self {
        Self::new(
            Exception::Service,
            "The service encountered an internal error. Please try again later.",
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(error: &ApiError) -> serde_json::Value {
        serde_json::from_slice(&error.body()).expect("the body is JSON")
    }

    #[test]
    fn not_found_uses_the_upper_case_message_key() {
        let error =
            ApiError::function_not_found("arn:aws:lambda:us-east-1:123456789012:function:x");
        assert_eq!(error.status(), 404);
        assert_eq!(error.error_type(), "ResourceNotFoundException");
        assert_eq!(
            body(&error),
            serde_json::json!({
                "Type": "User",
                "Message": "Function not found: arn:aws:lambda:us-east-1:123456789012:function:x",
            })
        );
    }

    #[test]
    fn a_throttle_says_its_reason_and_when_to_come_back() {
        for reason in ThrottleReason::ALL {
            let error = ApiError::throttled(reason, 7);
            assert_eq!(error.status(), 429);
            assert_eq!(error.retry_after_s(), Some(7));
            assert_eq!(
                body(&error),
                serde_json::json!({
                    "Type": "User", "message": "Rate Exceeded.", "Reason": reason.as_str(),
                })
            );
        }
    }

    #[test]
    fn a_large_body_is_refused_with_its_limit() {
        let event = ApiError::payload_too_large_for(InvocationType::Event, 7, 5);
        assert_eq!(
            event.message(),
            "7 byte payload is too large for the Event invocation type (limit 5 bytes)"
        );
        let create = ApiError::request_entity_too_large_for(Operation::CreateFunction, 5);
        assert_eq!(
            create.message(),
            "Request must be smaller than 5 bytes for the CreateFunction operation"
        );
        assert_eq!((event.status().as_u16(), create.status().as_u16()), (413, 413));
    }

    #[test]
    fn a_validation_error_has_no_type() {
        let error = ApiError::new(Exception::Validation, "1 validation error detected: x");
        assert_eq!(body(&error), serde_json::json!({"message": "1 validation error detected: x"}));
    }

    #[test]
    fn names_and_statuses_are_well_formed_and_unique() {
        let mut names: Vec<_> = Exception::ALL.iter().map(|e| e.name()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), Exception::ALL.len());
        for exception in Exception::ALL {
            assert!(exception.name().ends_with("Exception"), "{exception:?}");
            let is_server = exception.status().is_server_error();
            if exception.blame() != Blame::Unstated {
                assert_eq!(exception.blame() == Blame::Service, is_server, "{exception:?}");
            }
        }
    }

    #[test]
    fn the_table_agrees_with_the_service_model() {
        use crate::generated::errors::MODEL_ERRORS;
        let in_model = |e: &Exception| MODEL_ERRORS.iter().find(|(name, ..)| *name == e.name());
        let shared: Vec<_> =
            Exception::ALL.iter().filter_map(|e| Some((e, in_model(e)?))).collect();
        assert_eq!(shared.len(), Exception::ALL.len() - 12, "rows of the front door");
        for (exception, (name, status, upper, ours)) in shared {
            assert_eq!(exception.status().as_u16(), *status, "{name}");
            assert_eq!(exception.message_key() == MessageKey::Upper, *upper, "{name}");
            assert_eq!(exception.blame() == Blame::Service, *ours, "{name}");
        }
    }
}
