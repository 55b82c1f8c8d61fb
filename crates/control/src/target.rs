//! Which function a request is about: the name in its path, in any of the API's
//! forms, with the qualifier beside it. Whether it exists is not known here.

use aws_api::{ApiError, Exception, Operation};
use model::{AccountId, FunctionName, FunctionRef, Qualifier, Region, VersionId, arn};

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) account: AccountId,
    pub(crate) name: FunctionName,
    pub(crate) qualifier: Option<Qualifier>,
}

/// Who asks for what, where.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asking<'a> {
    pub(crate) region: &'a Region,
    pub(crate) account: AccountId,
    pub(crate) operation: Operation,
}

impl Target {
    /// `qualifier` is the one beside the name, in the query.
    pub(crate) fn parse(
        asking: Asking<'_>,
        text: &str,
        qualifier: Option<&str>,
    ) -> Result<Target, ApiError> {
        let Asking { region, account, .. } = asking;
        let named = FunctionRef::parse(text).ok_or_else(|| malformed(text))?;
        if let Some(theirs) = named.account.filter(|theirs| *theirs != account) {
            let function = arn::function_arn(region, theirs, &named.name);
            let action = format!("lambda:{}", asking.operation.name());
            let caller = format!("arn:aws:iam::{account}:root");
            return Err(ApiError::access_denied(&caller, &action, &function));
        }
        if let Some(theirs) = named.region.filter(|theirs| theirs != region) {
            return Err(ApiError::resource_not_found(format!(
                "Functions from '{theirs}' are not reachable in this region ('{region}')"
            )));
        }
        let beside = qualifier.map(parse_qualifier).transpose()?;
        let qualifier = match (named.qualifier, beside) {
            (Some(a), Some(b)) if a != b => return Err(ApiError::qualifier_mismatch()),
            (within, beside) => within.or(beside),
        };
        Ok(Target { account, name: named.name, qualifier })
    }

    /// For operations on what a function has once, not per version.
    pub(crate) fn whole_function(self) -> Result<Target, ApiError> {
        if self.qualifier.is_none() {
            return Ok(self);
        }
        Err(ApiError::invalid_parameter(
            "This operation is permitted on Lambda functions only. Aliases and versions do not \
             support this operation. Please specify either a function name or an unqualified \
             function ARN.",
        ))
    }

    /// For operations on `$LATEST` only.
    pub(crate) fn head_only(self) -> Result<Target, ApiError> {
        match self.qualifier {
            None | Some(Qualifier::Version(VersionId::Latest)) => Ok(self),
            Some(Qualifier::Version(VersionId::Published(_)) | Qualifier::Alias(_)) => {
                Err(ApiError::invalid_parameter(
                    "The derived qualifier from the function name does not match the specified \
                     qualifier.",
                ))
            }
        }
    }

    /// With the qualifier, as errors name it.
    pub(crate) fn arn(&self, region: &Region) -> String {
        let function = arn::function_arn(region, self.account, &self.name);
        match &self.qualifier {
            None => function,
            Some(qualifier) => format!("{function}:{qualifier}"),
        }
    }
}

fn parse_qualifier(text: &str) -> Result<Qualifier, ApiError> {
    Qualifier::parse(text).ok_or_else(|| {
        let message = format!(
            "1 validation error detected: Value '{text}' at 'qualifier' failed to satisfy \
             constraint: Member must satisfy regular expression pattern: (|[a-zA-Z0-9$_-]+)"
        );
        ApiError::new(Exception::Validation, message)
    })
}

/// The forms that the model's pattern lets pass and that name no function.
fn malformed(text: &str) -> ApiError {
    let name = text.rsplit(':').next().unwrap_or(text);
    if name.len() > model::limits::FUNCTION_NAME_CHARS_MAX {
        return ApiError::invalid_parameter(format!(
            "1 validation error detected: Value '{text}' at 'functionName' failed to satisfy \
             constraint: Member must have length less than or equal to 64"
        ));
    }
    ApiError::invalid_parameter(format!("'{text}' is not a function name or a function ARN."))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str, qualifier: Option<&str>) -> Result<Target, ApiError> {
        let region = Region::parse("us-east-1").unwrap();
        let account = AccountId::parse("123456789012").unwrap();
        let asking = Asking { region: &region, account, operation: Operation::GetFunction };
        Target::parse(asking, text, qualifier)
    }

    #[test]
    fn every_form_names_the_function() {
        let one = Some(Qualifier::Version(VersionId::Published(1)));
        let cases = [
            ("f", None, None),
            ("f", Some("1"), one.clone()),
            ("f:1", Some("1"), one.clone()),
            ("123456789012:function:f", None, None),
            ("arn:aws:lambda:us-east-1:123456789012:function:f:1", None, one),
        ];
        for (text, beside, wanted) in cases {
            let target = parse(text, beside).unwrap();
            assert_eq!((target.name.as_str(), target.qualifier), ("f", wanted), "{text}");
        }
    }

    #[test]
    fn what_is_not_ours_is_refused_with_awss_words() {
        let long = "a".repeat(65);
        let cases = [
            ("f:1", Some("2"), "InvalidParameterValueException"),
            (long.as_str(), None, "InvalidParameterValueException"),
            ("f", Some("a b"), "ValidationException"),
            ("999999999999:function:f", None, "AccessDeniedException"),
            ("arn:aws:lambda:eu-west-1:123456789012:function:f", None, "ResourceNotFoundException"),
        ];
        for (text, beside, wanted) in cases {
            assert_eq!(parse(text, beside).unwrap_err().error_type(), wanted, "{text}");
        }
    }
}
