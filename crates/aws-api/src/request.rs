//! From the parts of an HTTP request to a checked request shape: path and query
//! are bound, the body is parsed, the model's constraints are applied.
//!
//! Invoke does not pass here: its body is opaque (`invoke`).

use serde::de::DeserializeOwned;

use crate::encoding::query_decode;
use crate::errors::{ApiError, Exception};
use crate::operation::PathParams;
use crate::validate::{Check, Violations};

/// What a request consists of besides its body.
#[derive(Clone, Copy, Debug)]
pub struct Source<'a> {
    pub params: &'a PathParams<'a>,
    /// The query as on the wire, without the question mark.
    pub query: Option<&'a str>,
}

impl Source<'_> {
    pub fn param(&self, name: &str) -> Option<String> {
        self.params.get(name).map(str::to_owned)
    }

    /// The first value of a query key, decoded.
    pub fn query(&self, name: &str) -> Option<String> {
        self.pairs(name).next()
    }

    /// Every value of a query key, in order; `None` where there is none.
    pub fn query_all(&self, name: &str) -> Option<Vec<String>> {
        let values: Vec<String> = self.pairs(name).collect();
        (!values.is_empty()).then_some(values)
    }

    /// # Errors
    /// `SerializationException` where the value is no number.
    pub fn query_integer(&self, name: &str) -> Result<Option<i64>, ApiError> {
        let Some(value) = self.query(name) else { return Ok(None) };
        value.parse().map(Some).map_err(|_| {
            ApiError::new(
                Exception::Serialization,
                format!("STRING_VALUE cannot be converted to Integer in '{name}'"),
            )
        })
    }

    fn pairs(&self, name: &str) -> impl Iterator<Item = String> {
        self.query.unwrap_or_default().split('&').filter_map(move |pair| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            let matches = query_decode(key)? == name;
            matches.then(|| query_decode(value)).flatten().map(|v| v.into_owned())
        })
    }
}

/// A request shape of the service model.
pub trait Request: DeserializeOwned + Default + Check {
    const HAS_BODY: bool;

    /// Takes over what travels in the path and the query.
    ///
    /// # Errors
    /// `SerializationException` where a value has the wrong form.
    fn bind(&mut self, source: &Source<'_>) -> Result<(), ApiError>;
}

/// Parses and checks a request.
///
/// # Errors
/// `SerializationException` where the body is not the JSON expected,
/// `ValidationException` where a constraint of the model does not hold.
pub fn parse<R: Request>(source: &Source<'_>, body: &[u8]) -> Result<R, ApiError> {
    let mut request = if R::HAS_BODY && !body.is_empty() {
        serde_json::from_slice(body).map_err(|error| unreadable(&error))?
    } else {
        R::default()
    };
    request.bind(source)?;
    let mut violations = Violations::default();
    request.check(&mut violations);
    violations.into_result()?;
    Ok(request)
}

/// Says where and of what kind the fault is, never what the body held: it may
/// hold secrets.
fn unreadable(error: &serde_json::Error) -> ApiError {
    let what = match error.classify() {
        serde_json::error::Category::Data => "A value has an unexpected type",
        serde_json::error::Category::Eof => "Unexpected end of input",
        serde_json::error::Category::Syntax | serde_json::error::Category::Io => {
            "Unexpected character"
        }
    };
    let (line, column) = (error.line(), error.column());
    ApiError::new(
        Exception::Serialization,
        format!(
            "Could not parse request body into json: {what} at [line: {line}, column: {column}]"
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generated::enums::{Architecture, Runtime};
    use crate::generated::requests::{
        CreateFunctionRequest, GetFunctionRequest, ListFunctionsRequest, UntagResourceRequest,
    };
    use crate::operation::route;

    const ROLE: &str = "arn:aws:iam::123456789012:role/r";

    fn create(json: serde_json::Value) -> Result<CreateFunctionRequest, ApiError> {
        let source = Source { params: &PathParams::default(), query: None };
        parse(&source, json.to_string().as_bytes())
    }

    fn refusal(json: serde_json::Value) -> String {
        let error = create(json).expect_err("refused");
        assert_eq!(error.error_type(), "ValidationException");
        error.message().to_owned()
    }

    #[test]
    fn a_function_is_created_from_what_boto3_sends() {
        let request = create(serde_json::json!({
            "FunctionName": "f", "Role": ROLE, "Runtime": "python3.12", "Handler": "a.b",
            "Code": {"ZipFile": "UEsDBA=="}, "Timeout": 3, "Architectures": ["arm64"],
            "Environment": {"Variables": {"KEY": "secret"}}, "NewMember": {"x": 1},
            "Description": null,
        }))
        .expect("accepted");
        assert_eq!(request.runtime, Some(Runtime::Python3_12));
        assert_eq!(request.architectures, Some(vec![Architecture::Arm64]));
        assert_eq!(
            request.code.as_ref().and_then(|c| c.zip_file.clone()).expect("zip").0,
            b"PK\x03\x04"
        );
        assert!(!format!("{request:?}").contains("secret"));
        assert_eq!(request.description, None);
    }

    #[test]
    fn one_violation_has_the_text_of_the_service() {
        let good = || serde_json::json!({"FunctionName": "f", "Role": ROLE, "Code": {}});
        let with = |key: &str, value: serde_json::Value| {
            let mut json = good();
            json[key] = value;
            json
        };
        for (json, expected) in [
            (
                with("Timeout", 5401.into()),
                "Value '5401' at 'timeout' failed to satisfy constraint: \
                 Member must have value less than or equal to 5400",
            ),
            (
                with("Handler", "a b".into()),
                "Value 'a b' at 'handler' failed to satisfy constraint: \
                 Member must satisfy regular expression pattern: [^\\s]+",
            ),
            (
                with("PackageType", "Tar".into()),
                "Value 'Tar' at 'packageType' failed to satisfy constraint: \
                 Member must satisfy enum value set: [Zip, Image]",
            ),
            (
                with("EphemeralStorage", serde_json::json!({"Size": 1})),
                "Value '1' at 'ephemeralStorage.size' failed to satisfy constraint: \
                 Member must have value greater than or equal to 512",
            ),
            (
                with("EphemeralStorage", serde_json::json!({})),
                "Value null at 'ephemeralStorage.size' failed to satisfy constraint: \
                 Member must not be null",
            ),
            (
                with("Architectures", serde_json::json!(["x86_64", "arm64"])),
                "Value '[x86_64, arm64]' at 'architectures' failed to satisfy constraint: \
                 Member must have length less than or equal to 1",
            ),
            (
                with("Architectures", serde_json::json!(["mips"])),
                "Value '[mips]' at 'architectures' failed to satisfy constraint: \
                 Member must satisfy constraint: \
                 [Member must satisfy enum value set: [x86_64, arm64], Member must not be null]",
            ),
            (
                with("Environment", serde_json::json!({"Variables": {"1secret": "v"}})),
                "Value at 'environment.variables' failed to satisfy constraint: \
                 Map keys must satisfy constraint: \
                 [Member must satisfy regular expression pattern: [a-zA-Z]([a-zA-Z0-9_])+]",
            ),
            (
                with(
                    "FileSystemConfigs",
                    serde_json::json!([{"Arn": "x", "LocalMountPath": "/mnt/a"}]),
                ),
                "Value 'x' at 'fileSystemConfigs.1.member.arn' failed to satisfy constraint: \
                 Member must satisfy regular expression pattern: \
                 arn:aws[a-zA-Z-]*:elasticfilesystem:(eusc-)?[a-z]{2}((-gov)|(-iso([a-z]?)))?-[a-z]+-\\d{1}:\\d{12}:access-point/fsap-[a-f0-9]{17}$|^arn:aws[-a-z]*:s3files:[0-9a-z-:]+:file-system/fs-[0-9a-f]{17,40}/access-point/fsap-[0-9a-f]{17,40}",
            ),
        ] {
            assert_eq!(refusal(json), format!("1 validation error detected: {expected}"));
        }
    }

    #[test]
    fn several_violations_are_counted_and_joined() {
        let message = refusal(serde_json::json!({"FunctionName": "", "Code": {}}));
        let (count, rest) = message.split_once(": ").expect("a count");
        assert_eq!(count, "3 validation errors detected");
        assert!(rest.contains(
            "Value null at 'role' failed to satisfy constraint: Member must not be null"
        ));
        assert!(rest.contains(
            "Value '' at 'functionName' failed to satisfy constraint: \
             Member must have length greater than or equal to 1"
        ));
        assert_eq!(rest.matches("; Value ").count(), 2);
    }

    #[test]
    fn path_and_query_are_bound() {
        let get = http::Method::GET;
        let path =
            "/2015-03-31/functions/arn%3Aaws%3Alambda%3Aus-east-1%3A123456789012%3Afunction%3Af";
        let matched = route(&get, path, None).expect("matched");
        let source = Source { params: &matched.params, query: Some("Qualifier=%24LATEST") };
        let request: GetFunctionRequest = parse(&source, b"").expect("accepted");
        assert_eq!(
            request.function_name.as_deref(),
            Some("arn:aws:lambda:us-east-1:123456789012:function:f")
        );
        assert_eq!(request.qualifier.as_deref(), Some("$LATEST"));

        let none = PathParams::default();
        let source = Source { params: &none, query: Some("MaxItems=50&Marker=a%2Bb") };
        let request: ListFunctionsRequest = parse(&source, b"").expect("accepted");
        assert_eq!((request.max_items, request.marker.as_deref()), (Some(50), Some("a+b")));
        for (query, name) in
            [("MaxItems=x", "SerializationException"), ("MaxItems=0", "ValidationException")]
        {
            let source = Source { params: &none, query: Some(query) };
            let error = parse::<ListFunctionsRequest>(&source, b"").expect_err("refused");
            assert_eq!(error.error_type(), name);
        }
    }

    #[test]
    fn a_list_in_the_query_keeps_its_order() {
        let path = "/2017-03-31/tags/arn%3Aaws%3Alambda%3Aus-east-1%3A123456789012%3Afunction%3Af";
        let matched = route(&http::Method::DELETE, path, None).expect("matched");
        let source = Source { params: &matched.params, query: Some("tagKeys=b&tagKeys=a+c") };
        let request: UntagResourceRequest = parse(&source, b"").expect("accepted");
        assert_eq!(request.tag_keys, Some(vec!["b".to_owned(), "a c".to_owned()]));
        let source = Source { params: &matched.params, query: None };
        let error = parse::<UntagResourceRequest>(&source, b"").expect_err("refused");
        assert!(error.message().contains("Value null at 'tagKeys'"));
    }

    #[test]
    fn a_broken_body_is_refused_without_quoting_it() {
        let source = Source { params: &PathParams::default(), query: None };
        for body in ["{\"FunctionName\": secret", "{\"Timeout\": \"secret\"}", "["] {
            let error = parse::<CreateFunctionRequest>(&source, body.as_bytes()).expect_err(body);
            assert_eq!(error.error_type(), "SerializationException");
            assert!(!error.message().contains("secret"), "{error}");
        }
    }
}
