//! The head of a call: which function, and how the caller wants it run. Parsed
//! once, before anything is read or taken.

use aws_api::{encoding, errors::ApiError};
use http::{HeaderMap, request::Parts};
use model::{FunctionRef, Qualifier, TenantId, limits};

use crate::refusal::Refusal;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    RequestResponse,
    DryRun,
}

#[derive(Debug)]
pub(crate) struct Head {
    pub(crate) function: FunctionRef,
    pub(crate) qualifier: Option<Qualifier>,
    pub(crate) mode: Mode,
    pub(crate) tail: bool,
    pub(crate) client_context: Option<String>,
    pub(crate) trace_id: Option<String>,
    pub(crate) tenant: Option<TenantId>,
}

impl Head {
    pub(crate) fn parse(parts: &Parts) -> Result<Head, Refusal> {
        let name = parts.uri.path().split('/').nth(3).unwrap_or_default();
        let name =
            encoding::percent_decode(name).ok_or_else(|| malformed("function name", name))?;
        let function =
            FunctionRef::parse(&name).ok_or_else(|| malformed("function name", &name))?;
        let asked = query(parts, "Qualifier")?;
        let asked = asked
            .map(|text| Qualifier::parse(&text).ok_or_else(|| malformed("qualifier", &text)))
            .transpose()?;
        let qualifier = match (&function.qualifier, asked) {
            (Some(named), Some(asked)) if *named != asked => {
                return Err(Refusal::Api(ApiError::qualifier_mismatch()));
            }
            (Some(named), _) => Some(named.clone()),
            (None, asked) => asked,
        };
        let headers = &parts.headers;
        Ok(Head {
            qualifier,
            mode: mode(headers)?,
            tail: tail(headers)?,
            client_context: client_context(headers)?,
            trace_id: text(headers, "x-amzn-trace-id").map(str::to_owned),
            tenant: tenant(headers)?,
            function,
        })
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

fn query(parts: &Parts, name: &str) -> Result<Option<String>, Refusal> {
    let query = parts.uri.query().unwrap_or_default();
    for pair in query.split('&') {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        if key == name && !value.is_empty() {
            let value = encoding::query_decode(value).ok_or_else(|| malformed(name, value))?;
            return Ok(Some(value.into_owned()));
        }
    }
    Ok(None)
}

fn mode(headers: &HeaderMap) -> Result<Mode, Refusal> {
    match text(headers, "x-amz-invocation-type") {
        None | Some("RequestResponse") => Ok(Mode::RequestResponse),
        Some("DryRun") => Ok(Mode::DryRun),
        Some("Event") => Err(Refusal::InvalidParameter {
            message: "Invocation type Event is not offered by this release of Lambent: nothing \
                      was queued. Use RequestResponse."
                .into(),
        }),
        Some(other) => Err(not_in_set("invocationType", other, "RequestResponse, DryRun, Event")),
    }
}

fn tail(headers: &HeaderMap) -> Result<bool, Refusal> {
    match text(headers, "x-amz-log-type") {
        None | Some("None") => Ok(false),
        Some("Tail") => Ok(true),
        Some(other) => Err(not_in_set("logType", other, "None, Tail")),
    }
}

/// JSON text, out of its base64.
fn client_context(headers: &HeaderMap) -> Result<Option<String>, Refusal> {
    use base64::{Engine, engine::general_purpose::STANDARD};
    let Some(encoded) = text(headers, "x-amz-client-context") else { return Ok(None) };
    let invalid = |why: &str| {
        let message = format!("Client context must be a valid Base64-encoded JSON object: {why}");
        Refusal::Api(ApiError::new(aws_api::errors::Exception::InvalidRequestContent, message))
    };
    if encoded.len() > limits::CLIENT_CONTEXT_CHARS_MAX {
        let why = format!("it has more than {} characters", limits::CLIENT_CONTEXT_CHARS_MAX);
        return Err(invalid(&why));
    }
    let decoded = STANDARD.decode(encoded).map_err(|error| invalid(&error.to_string()))?;
    let decoded = String::from_utf8(decoded).map_err(|_| invalid("it is not UTF-8"))?;
    serde_json::from_str::<serde::de::IgnoredAny>(&decoded)
        .map_err(|error| invalid(&error.to_string()))?;
    Ok(Some(decoded))
}

fn tenant(headers: &HeaderMap) -> Result<Option<TenantId>, Refusal> {
    let Some(tenant) = headers.get("x-amz-tenant-id") else { return Ok(None) };
    let parsed = tenant.to_str().ok().and_then(|tenant| TenantId::parse(tenant).ok());
    let invalid = || Refusal::InvalidParameter {
        message: "The tenant ID is 1 to 256 characters of a-z, A-Z, 0-9 and ._:/=+-@ or space."
            .into(),
    };
    parsed.map(Some).ok_or_else(invalid)
}

/// A value outside the model's pattern, in the model's words.
fn malformed(what: &str, value: &str) -> Refusal {
    let member = match what {
        "qualifier" => "qualifier",
        _ => "functionName",
    };
    let pattern = match member {
        "qualifier" => r"\$(LATEST(\.PUBLISHED)?)|[a-zA-Z0-9-_$]+",
        _ => {
            r"(arn:(aws[a-zA-Z-]*)?:lambda:)?([a-z]{2}(-gov)?-[a-z]+-\d{1}:)?(\d{12}:)?(function:)?([a-zA-Z0-9-_\.]+)(:(\$LATEST|[a-zA-Z0-9-_]+))?"
        }
    };
    validation(format!(
        "1 validation error detected: Value '{value}' at '{member}' failed to satisfy constraint: \
         Member must satisfy regular expression pattern: {pattern}"
    ))
}

fn not_in_set(member: &str, value: &str, set: &str) -> Refusal {
    validation(format!(
        "1 validation error detected: Value '{value}' at '{member}' failed to satisfy constraint: \
         Member must satisfy enum value set: [{set}]"
    ))
}

fn validation(message: String) -> Refusal {
    Refusal::Api(ApiError::new(aws_api::errors::Exception::Validation, message))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(path: &str, headers: &[(&str, &str)]) -> Parts {
        let mut request = http::Request::post(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap().into_parts().0
    }

    fn path(name: &str) -> String {
        format!("/2015-03-31/functions/{name}/invocations")
    }

    #[test]
    fn names_and_qualifiers() {
        let arn = "arn%3Aaws%3Alambda%3Aus-east-1%3A123456789012%3Afunction%3Af";
        let cases = [
            (path("f"), Some(None)),
            (path("f%3A7"), Some(Some("7"))),
            (path("f?Qualifier=%24LATEST"), Some(Some("$LATEST"))),
            (path(&format!("{arn}?Qualifier=live")), Some(Some("live"))),
            (path("f%3A7?Qualifier=7"), Some(Some("7"))),
            (path("f%3A7?Qualifier=8"), None),
            (path("f%20g"), None),
        ];
        for (path, wanted) in cases {
            // The query stands behind the whole path.
            let (name, query) = path.split_once('?').unwrap_or((&path, ""));
            let (query, tail) = query.split_once('/').unwrap_or((query, ""));
            let whole =
                if tail.is_empty() { name.to_owned() } else { format!("{name}/{tail}?{query}") };
            let head = Head::parse(&parts(&whole, &[]));
            let got = head.ok().map(|head| head.qualifier.map(|q| q.to_string()));
            assert_eq!(got, wanted.map(|q| q.map(str::to_owned)), "{whole}");
        }
    }

    #[test]
    fn headers_are_typed_or_refused() {
        let head = |name, value| Head::parse(&parts(&path("f"), &[(name, value)]));
        assert_eq!(head("X-Amz-Invocation-Type", "DryRun").unwrap().mode, Mode::DryRun);
        assert!(head("X-Amz-Invocation-Type", "Perhaps").is_err());
        assert!(head("X-Amz-Log-Type", "Tail").unwrap().tail);
        assert!(head("X-Amz-Log-Type", "All").is_err());
        let context = head("X-Amz-Client-Context", "eyJhIjoxfQ==").unwrap().client_context;
        assert_eq!(context.as_deref(), Some(r#"{"a":1}"#));
        assert!(head("X-Amz-Client-Context", "e30=e30=").is_err());
        let long = "A".repeat(limits::CLIENT_CONTEXT_CHARS_MAX + 1);
        assert!(head("X-Amz-Client-Context", &long).is_err());
        assert!(head("X-Amz-Tenant-Id", "blue").unwrap().tenant.is_some());
        assert!(head("X-Amz-Tenant-Id", "bl#e").is_err());
    }
}
