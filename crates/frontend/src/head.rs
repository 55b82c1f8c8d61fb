//! The head of a call: which function, and how the caller wants it run. `aws-api`
//! reads it in the public form; here it becomes our words, before anything of the
//! body is read or any right is taken.

use aws_api::{
    ApiError, encoding,
    invoke::{self, InvocationType, LogType},
};
use http::request::Parts;
use model::{AccountId, FunctionName, FunctionRef, Qualifier, Region, TenantId};

use crate::{affinity, refusal::Refusal};

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
    /// JSON text, out of its base64.
    pub(crate) client_context: Option<String>,
    pub(crate) trace_id: Option<String>,
    pub(crate) tenant: Option<TenantId>,
    /// The value of `X-Lambent-Affinity`.
    pub(crate) affinity: Option<String>,
}

impl Head {
    pub(crate) fn parse(parts: &Parts) -> Result<Head, Refusal> {
        let segment = parts.uri.path().split('/').nth(3).unwrap_or_default();
        let name = encoding::percent_decode(segment).unwrap_or(segment.into());
        let query = parts.uri.query();
        let read = invoke::parse(invoke::Answer::Buffered, &name, query, &parts.headers);
        let read = read.map_err(Refusal::Api)?;
        let qualifier = read.qualifier.as_deref().map(|text| {
            // What fits the model's pattern and is neither of ours is some alias.
            Qualifier::parse(text).unwrap_or_else(|| Qualifier::Alias(text.to_owned()))
        });
        let context = read.client_context.map(invoke::decode_client_context).transpose();
        Ok(Head {
            function: function(&read.function)?,
            qualifier,
            mode: mode(read.invocation_type)?,
            tail: read.log_type == LogType::Tail,
            client_context: context.map_err(Refusal::Api)?,
            trace_id: read.trace_id.map(str::to_owned),
            tenant: read.tenant_id.map(tenant).transpose()?,
            affinity: affinity::read(&parts.headers)?,
        })
    }
}

/// A name that the model allows and no function can have is not found by anybody.
fn function(address: &invoke::FunctionAddress<'_>) -> Result<FunctionRef, Refusal> {
    let absent = || Refusal::FunctionNotFound { arn: address.name.to_owned() };
    Ok(FunctionRef {
        account: address.account.and_then(AccountId::parse),
        region: address.region.and_then(|region| Region::parse(region).ok()),
        name: FunctionName::parse(address.name).map_err(|_| absent())?,
        qualifier: None,
    })
}

fn mode(asked: InvocationType) -> Result<Mode, Refusal> {
    match asked {
        InvocationType::RequestResponse => Ok(Mode::RequestResponse),
        InvocationType::DryRun => Ok(Mode::DryRun),
        InvocationType::Event => Err(Refusal::Api(ApiError::invalid_parameter(
            "Invocation type Event is not offered by this release of Lambent: nothing was \
             queued. Use RequestResponse.",
        ))),
    }
}

fn tenant(text: &str) -> Result<TenantId, Refusal> {
    TenantId::parse(text).map_err(|_| Refusal::InvalidParameter {
        message: "The tenant ID is 1 to 256 characters of a-z, A-Z, 0-9 and ._:/=+-@ or space."
            .into(),
    })
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
        let long = "A".repeat(invoke::CLIENT_CONTEXT_CHARS_MAX + 1);
        assert!(head("X-Amz-Client-Context", &long).is_err());
        assert!(head("X-Amz-Tenant-Id", "blue").unwrap().tenant.is_some());
        assert!(head("X-Amz-Tenant-Id", "bl#e").is_err());
    }
}
