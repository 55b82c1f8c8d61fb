//! Invoke and InvokeWithResponseStream on the wire: how a caller names the
//! function, the request headers as types, the names of the response headers.
//!
//! Written by hand because every warm call passes here: the parser of names
//! accepts exactly what the model's pattern accepts, without a regular
//! expression, and a property test holds the two together.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderMap;

use crate::encoding::query_decode;
use crate::errors::{ApiError, Exception};
use crate::generated::constraints as c;
use crate::validate::Violations;

pub const INVOCATION_TYPE: &str = "x-amz-invocation-type";
pub const LOG_TYPE: &str = "x-amz-log-type";
pub const CLIENT_CONTEXT: &str = "x-amz-client-context";
pub const TENANT_ID: &str = "x-amz-tenant-id";
pub const DURABLE_EXECUTION_NAME: &str = "x-amz-durable-execution-name";
pub const TRACE_ID: &str = "x-amzn-trace-id";

pub const EXECUTED_VERSION: &str = "x-amz-executed-version";
pub const FUNCTION_ERROR: &str = "x-amz-function-error";
pub const LOG_RESULT: &str = "x-amz-log-result";
pub const DURABLE_EXECUTION_ARN: &str = "x-amz-durable-execution-arn";
/// Names the invocation; on every answer of the API.
pub const REQUEST_ID: &str = "x-amzn-requestid";
/// The exception's name, on every refusal.
pub const ERROR_TYPE: &str = "x-amzn-errortype";

/// The value of `X-Amz-Function-Error`: AWS distinguishes no others.
pub const FUNCTION_ERROR_UNHANDLED: &str = "Unhandled";
/// Content type of InvokeWithResponseStream's answer.
pub const EVENT_STREAM: &str = "application/vnd.amazon.eventstream";
/// Base64 characters of the client context that fit a call (AWS: 3583).
pub const CLIENT_CONTEXT_CHARS_MAX: usize = 3583;
/// Bytes of the log tail that answer `LogType: Tail` (AWS: 4 KB).
pub const LOG_RESULT_BYTES_MAX: usize = 4096;
/// Characters of a function's own name (AWS: 64).
pub const FUNCTION_NAME_CHARS_MAX: usize = 64;
/// Characters of the function's name with ARN and qualifier (model: 256).
const NAMESPACED_NAME_CHARS_MAX: usize = 256;
/// Characters of a qualifier (model: 128).
const QUALIFIER_CHARS_MAX: usize = 128;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum InvocationType {
    #[default]
    RequestResponse,
    Event,
    DryRun,
}

impl InvocationType {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::RequestResponse => "RequestResponse",
            Self::Event => "Event",
            Self::DryRun => "DryRun",
        }
    }

    /// The status of an accepted call.
    pub const fn success(self) -> u16 {
        match self {
            Self::RequestResponse => 200,
            Self::Event => 202,
            Self::DryRun => 204,
        }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum LogType {
    #[default]
    None,
    Tail,
}

/// A function as a caller names it: name, `name:qualifier`,
/// `account:function:name[:qualifier]` or a full ARN, parts as given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FunctionAddress<'a> {
    pub partition: Option<&'a str>,
    pub region: Option<&'a str>,
    pub account: Option<&'a str>,
    pub name: &'a str,
    pub qualifier: Option<&'a str>,
}

impl<'a> FunctionAddress<'a> {
    /// Parses what the model calls `NamespacedFunctionName`. Every part is
    /// optional but the name, in any combination, as in the model's pattern.
    pub fn parse(text: &'a str) -> Option<Self> {
        if text.is_empty() || text.len() > NAMESPACED_NAME_CHARS_MAX {
            return None;
        }
        let mut rest = text;
        let mut partition = None;
        if let Some((arn, after)) = rest.strip_prefix("arn:").and_then(|r| r.split_once(":lambda:"))
        {
            // `arn::lambda:` is allowed by the pattern.
            let tail = arn.strip_prefix("aws").unwrap_or(arn);
            let is_partition = (arn.is_empty() || arn.starts_with("aws"))
                && tail.bytes().all(|b| b.is_ascii_alphabetic() || b == b'-');
            if is_partition {
                (partition, rest) = (Some(arn).filter(|a| !a.is_empty()), after);
            }
        }
        Self::parse_parts(partition, rest)
    }

    /// `[region:][account:][function:]name[:qualifier]`. A part that could be
    /// both prefix and name is a prefix only if a name follows.
    fn parse_parts(partition: Option<&'a str>, text: &'a str) -> Option<Self> {
        let mut parts = [""; 5];
        let mut count = 0;
        for part in text.split(':') {
            *parts.get_mut(count)? = part;
            count += 1;
        }
        // Most prefixes first, as a greedy pattern does.
        for taken in (0..8_u8).rev() {
            let mut rest = &parts[..count];
            let mut take = |bit: u8, is: fn(&str) -> bool| match (taken & bit != 0, rest) {
                (false, _) => Some(None),
                (true, [first, tail @ ..]) if is(first) => {
                    rest = tail;
                    Some(Some(*first))
                }
                (true, _) => None,
            };
            let Some(region) = take(4, is_region) else { continue };
            let Some(account) = take(2, is_account) else { continue };
            if take(1, |part| part == "function").is_none() {
                continue;
            }
            let (name, qualifier) = match rest {
                [name] => (*name, None),
                [name, qualifier] => (*name, Some(*qualifier)),
                _ => continue,
            };
            if is_name(name) && qualifier.is_none_or(is_name_qualifier) {
                return Some(Self { partition, region, account, name, qualifier });
            }
        }
        None
    }
}

fn is_name(text: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    !text.is_empty() && text.bytes().all(allowed)
}

fn is_name_qualifier(text: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
    matches!(text, "$LATEST" | "$LATEST.PUBLISHED")
        || (!text.is_empty() && text.bytes().all(allowed))
}

/// What `?Qualifier=` may hold: the model allows `$` inside, too.
fn is_qualifier(text: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'$');
    text.len() <= QUALIFIER_CHARS_MAX
        && (text == "$LATEST.PUBLISHED" || (!text.is_empty() && text.bytes().all(allowed)))
}

fn is_account(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|b| b.is_ascii_digit())
}

/// `(eusc-)?[a-z]{2}(-gov|-iso[a-z]?)?-[a-z]+-\d`
fn is_region(text: &str) -> bool {
    let lower = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_lowercase());
    let text = text.strip_prefix("eusc-").unwrap_or(text);
    let mut parts = text.split('-');
    let Some(land) = parts.next() else { return false };
    let rest: Vec<&str> = parts.collect();
    let (direction, number) = match rest.as_slice() {
        [direction, number] => (direction, number),
        [special, direction, number]
            if *special == "gov"
                || (special.starts_with("iso") && special.len() <= 4 && lower(special)) =>
        {
            (direction, number)
        }
        _ => return false,
    };
    land.len() == 2
        && lower(land)
        && lower(direction)
        && number.len() == 1
        && number.bytes().all(|b| b.is_ascii_digit())
}

/// An Invoke or InvokeWithResponseStream call without its body.
#[derive(Clone, PartialEq, Eq)]
pub struct InvokeRequest<'a> {
    pub function: FunctionAddress<'a>,
    /// From the name or from `?Qualifier=`, which may not contradict each other.
    pub qualifier: Option<String>,
    pub invocation_type: InvocationType,
    pub log_type: LogType,
    /// As sent: base64 of JSON.
    pub client_context: Option<&'a str>,
    pub tenant_id: Option<&'a str>,
    pub durable_execution_name: Option<&'a str>,
    pub trace_id: Option<&'a str>,
}

impl fmt::Debug for InvokeRequest<'_> {
    /// Without the client context, which is the caller's content.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InvokeRequest")
            .field("function", &self.function)
            .field("qualifier", &self.qualifier)
            .field("invocation_type", &self.invocation_type)
            .field("tenant_id", &self.tenant_id)
            .finish_non_exhaustive()
    }
}

/// Which of the two operations is parsed: the streaming one has no `Event`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    Buffered,
    Streamed,
}

/// Parses an invoke from the decoded function name of the path, the query as on
/// the wire, and the headers.
///
/// # Errors
/// `ValidationException` listing every constraint that does not hold, or
/// `InvalidParameterValueException` for a qualifier that contradicts the name
/// and for a client context that is too long or not base64 of JSON.
pub fn parse<'a>(
    answer: Answer,
    function_name: &'a str,
    query: Option<&str>,
    headers: &'a HeaderMap,
) -> Result<InvokeRequest<'a>, ApiError> {
    let mut violations = Violations::default();
    let function = FunctionAddress::parse(function_name);
    if function.is_none() {
        violations.text("functionName", Some(function_name), &c::NAMESPACED_FUNCTION_NAME);
    }
    let given = query.and_then(query_qualifier);
    if let Some(qualifier) = given.as_deref().filter(|q| !is_qualifier(q)) {
        let text = &c::NUMERIC_LATEST_PUBLISHED_OR_ALIAS_QUALIFIER;
        violations.text("qualifier", Some(qualifier), text);
    }
    let invocation_type = invocation_type(answer, headers, &mut violations);
    let log_type = log_type(headers, &mut violations);
    let tenant_id = text(headers, TENANT_ID);
    violations.text("tenantId", tenant_id, &c::TENANT_ID);
    let durable_execution_name = text(headers, DURABLE_EXECUTION_NAME);
    violations.text("durableExecutionName", durable_execution_name, &c::DURABLE_EXECUTION_NAME);
    violations.into_result()?;
    // `None` has been reported above by the pattern, which it breaks.
    let function = function.ok_or_else(ApiError::unknown_operation)?;

    let client_context = text(headers, CLIENT_CONTEXT);
    if let Some(context) = client_context {
        check_client_context(context)?;
    }
    Ok(InvokeRequest {
        qualifier: agree(function.qualifier, given)?,
        function,
        invocation_type,
        log_type,
        client_context,
        tenant_id,
        durable_execution_name,
        trace_id: text(headers, TRACE_ID),
    })
}

fn query_qualifier(query: &str) -> Option<String> {
    query
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .find(|(key, _)| *key == "Qualifier")
        .and_then(|(_, value)| query_decode(value))
        .map(std::borrow::Cow::into_owned)
}

fn agree(named: Option<&str>, given: Option<String>) -> Result<Option<String>, ApiError> {
    match (named, given) {
        (Some(named), Some(given)) if named != given => Err(ApiError::qualifier_mismatch()),
        (None, given) => Ok(given),
        (Some(named), _) => Ok(Some(named.to_owned())),
    }
}

fn invocation_type(
    answer: Answer,
    headers: &HeaderMap,
    violations: &mut Violations,
) -> InvocationType {
    match (text(headers, INVOCATION_TYPE), answer) {
        (None | Some("RequestResponse"), _) => InvocationType::RequestResponse,
        (Some("DryRun"), _) => InvocationType::DryRun,
        (Some("Event"), Answer::Buffered) => InvocationType::Event,
        (Some(other), answer) => {
            let names = match answer {
                Answer::Buffered => "Event, RequestResponse, DryRun",
                Answer::Streamed => "RequestResponse, DryRun",
            };
            violations.not_in_set("invocationType", other, names);
            InvocationType::RequestResponse
        }
    }
}

fn log_type(headers: &HeaderMap, violations: &mut Violations) -> LogType {
    match text(headers, LOG_TYPE) {
        None | Some("None") => LogType::None,
        Some("Tail") => LogType::Tail,
        Some(other) => {
            violations.not_in_set("logType", other, "None, Tail");
            LogType::None
        }
    }
}

fn check_client_context(context: &str) -> Result<(), ApiError> {
    if context.len() > CLIENT_CONTEXT_CHARS_MAX {
        return Err(ApiError::invalid_parameter(format!(
            "Client context must be no more than {CLIENT_CONTEXT_CHARS_MAX} characters in base64."
        )));
    }
    decode_client_context(context).map(drop)
}

/// The JSON text of a client context: what the runtime is given.
///
/// # Errors
/// `InvalidRequestContentException` where it is not base64 of JSON.
pub fn decode_client_context(context: &str) -> Result<String, ApiError> {
    STANDARD
        .decode(context)
        .ok()
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .filter(|json| serde_json::from_str::<&serde_json::value::RawValue>(json).is_ok())
        .ok_or_else(|| {
            ApiError::new(
                Exception::InvalidRequestContent,
                "Client context must be a valid Base64-encoded JSON object.",
            )
        })
}

/// The value of `X-Amz-Log-Result`: the last 4 KB of the log, in base64.
pub fn encode_log_result(log: &[u8]) -> String {
    STANDARD.encode(&log[log.len().saturating_sub(LOG_RESULT_BYTES_MAX)..])
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(k, v)| (k.parse().expect("name"), v.parse().expect("value"))).collect()
    }

    #[test]
    fn names_are_taken_apart() {
        let arn = "arn:aws:lambda:us-east-1:123456789012:function:f";
        for (text, account, name, qualifier) in [
            ("f", None, "f", None),
            ("f:1", None, "f", Some("1")),
            ("function:f", None, "f", None),
            ("function", None, "function", None),
            ("f:$LATEST", None, "f", Some("$LATEST")),
            ("123456789012:function:f", Some("123456789012"), "f", None),
            ("123456789012:f:live", Some("123456789012"), "f", Some("live")),
            ("123456789012", None, "123456789012", None),
            (arn, Some("123456789012"), "f", None),
            (&format!("{arn}:live"), Some("123456789012"), "f", Some("live")),
        ] {
            let address = FunctionAddress::parse(text).expect(text);
            assert_eq!(
                (address.account, address.name, address.qualifier),
                (account, name, qualifier)
            );
        }
        let address = FunctionAddress::parse(arn).expect("an ARN");
        assert_eq!((address.partition, address.region), (Some("aws"), Some("us-east-1")));
        for text in ["", "f:", ":f", "a b", "f:1:2", "arn:aws:s3:::b", "f:$LATEST.X", "f:a.b"] {
            assert_eq!(FunctionAddress::parse(text), None, "{text}");
        }
    }

    #[test]
    fn what_boto3_sends_is_understood() {
        let context = "eyJjdXN0b20iOnt9fQ==";
        let sent = headers(&[
            ("X-Amz-Invocation-Type", "Event"),
            ("X-Amz-Log-Type", "Tail"),
            ("X-Amz-Client-Context", context),
            ("X-Amz-Tenant-Id", "blue"),
            ("X-Amzn-Trace-Id", "Root=1"),
        ]);
        let request = parse(Answer::Buffered, "f", Some("Qualifier=%24LATEST"), &sent).expect("ok");
        assert_eq!(request.qualifier.as_deref(), Some("$LATEST"));
        assert_eq!(request.invocation_type, InvocationType::Event);
        assert_eq!(request.log_type, LogType::Tail);
        assert_eq!(request.client_context, Some(context));
        assert_eq!(decode_client_context(context).expect("JSON"), "{\"custom\":{}}");
        assert_eq!((request.tenant_id, request.trace_id), (Some("blue"), Some("Root=1")));

        let none = HeaderMap::new();
        let request = parse(Answer::Buffered, "f:1", Some("Qualifier=1"), &none).expect("ok");
        assert_eq!(request.qualifier.as_deref(), Some("1"));
        assert_eq!(request.invocation_type.success(), 200);
    }

    #[test]
    fn what_is_wrong_is_refused_in_the_words_of_the_service() {
        let refusal = |answer, name: &str, query: Option<&str>, sent: &HeaderMap| {
            let error = parse(answer, name, query, sent).expect_err("refused");
            (error.error_type(), error.message().to_owned())
        };
        let none = HeaderMap::new();
        let buffered = Answer::Buffered;
        let (name, text) = refusal(buffered, "f:1", Some("Qualifier=2"), &none);
        assert_eq!(name, "InvalidParameterValueException");
        assert!(text.starts_with("The derived qualifier from the function name does not match"));

        let (name, text) = refusal(buffered, "a b", Some("Qualifier=a.b"), &none);
        assert_eq!(name, "ValidationException");
        assert!(text.starts_with(
            "2 validation errors detected: Value 'a b' at 'functionName' failed to satisfy \
             constraint: Member must satisfy regular expression pattern: (arn:(aws"
        ));
        assert!(text.contains("; Value 'a.b' at 'qualifier' failed"), "{text}");

        let event = headers(&[(INVOCATION_TYPE, "Event"), (LOG_TYPE, "All")]);
        assert_eq!(
            refusal(Answer::Streamed, "f", None, &event).1,
            "2 validation errors detected: Value 'Event' at 'invocationType' failed to satisfy \
             constraint: Member must satisfy enum value set: [RequestResponse, DryRun]; \
             Value 'All' at 'logType' failed to satisfy constraint: \
             Member must satisfy enum value set: [None, Tail]"
        );
        let tenant = headers(&[(TENANT_ID, "a!")]);
        assert!(refusal(buffered, "f", None, &tenant).1.contains("at 'tenantId'"));

        let long = "e30=".repeat(900);
        let (name, _) = refusal(buffered, "f", None, &headers(&[(CLIENT_CONTEXT, &long)]));
        assert_eq!(name, "InvalidParameterValueException");
        for context in ["!", "e30", "eyI="] {
            let (name, _) = refusal(buffered, "f", None, &headers(&[(CLIENT_CONTEXT, context)]));
            assert_eq!(name, "InvalidRequestContentException", "{context}");
        }
    }

    #[test]
    fn the_log_tail_is_the_end_of_the_log() {
        let mut log = vec![b'a'; 10];
        log.extend(vec![b'b'; LOG_RESULT_BYTES_MAX]);
        let tail = STANDARD.decode(encode_log_result(&log)).expect("base64");
        assert_eq!(tail, vec![b'b'; LOG_RESULT_BYTES_MAX]);
        assert_eq!(encode_log_result(b"x"), "eA==");
    }

    fn part() -> impl Strategy<Value = String> {
        prop_oneof![
            Just("arn".to_owned()),
            Just("aws".to_owned()),
            Just(String::new()),
            Just("aws-us-gov".to_owned()),
            Just("lambda".to_owned()),
            Just("us-east-1".to_owned()),
            Just("us-gov-west-1".to_owned()),
            Just("us-isob-east-1".to_owned()),
            Just("eusc-de-east-1".to_owned()),
            Just("123456789012".to_owned()),
            Just("function".to_owned()),
            Just("$LATEST".to_owned()),
            Just("$LATEST.PUBLISHED".to_owned()),
            "[a-z.$_ -]{0,5}",
        ]
    }

    proptest! {
        #[test]
        fn the_parser_accepts_what_the_pattern_accepts(
            parts in proptest::collection::vec(part(), 1..9)
        ) {
            let text = parts.join(":");
            let parsed = FunctionAddress::parse(&text).is_some();
            prop_assert_eq!(parsed, c::NAMESPACED_FUNCTION_NAME.holds(&text), "{}", text);
        }

        #[test]
        fn the_qualifier_check_agrees_with_the_pattern(text in "[a$L.T-]{0,4}|\\$LATEST(\\.PUBLISHED)?") {
            let pattern = &c::NUMERIC_LATEST_PUBLISHED_OR_ALIAS_QUALIFIER;
            prop_assert_eq!(is_qualifier(&text), pattern.holds(&text), "{}", text);
        }
    }
}
