//! How a caller names a function: name, name with qualifier, partial ARN, or full
//! ARN. Parsed once at the edge; inside, a `FunctionRef` cannot be malformed.

use alloc::string::{String, ToString};
use core::fmt;

use serde::{Deserialize, Serialize};

use crate::ids::{AccountId, FunctionName, Region, VersionId};

/// What a caller wrote after the function's name.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Qualifier {
    Version(VersionId),
    Alias(String),
}

impl Qualifier {
    /// `$LATEST`, a number, or an alias of `[a-zA-Z0-9-_]{1,128}` that is no number.
    pub fn parse(text: &str) -> Option<Qualifier> {
        if text == "$LATEST" {
            return Some(Qualifier::Version(VersionId::Latest));
        }
        if text.is_empty() || text.len() > 128 {
            return None;
        }
        if text.bytes().all(|b| b.is_ascii_digit()) {
            return text.parse().ok().map(|n| Qualifier::Version(VersionId::Published(n)));
        }
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
        text.bytes().all(allowed).then(|| Qualifier::Alias(text.to_string()))
    }
}

impl fmt::Display for Qualifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Qualifier::Version(version) => version.fmt(f),
            Qualifier::Alias(alias) => f.write_str(alias),
        }
    }
}

/// A function as a caller named it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FunctionRef {
    pub account: Option<AccountId>,
    pub region: Option<Region>,
    pub name: FunctionName,
    pub qualifier: Option<Qualifier>,
}

impl FunctionRef {
    /// `name`, `name:q`, `123456789012:function:name[:q]`,
    /// `arn:aws:lambda:region:123456789012:function:name[:q]`.
    pub fn parse(text: &str) -> Option<FunctionRef> {
        let mut parts = text.split(':').peekable();
        let mut region = None;
        if parts.peek() == Some(&"arn") {
            parts.next();
            let partition = parts.next()?;
            if !partition.starts_with("aws") || parts.next()? != "lambda" {
                return None;
            }
            region = Some(Region::parse(parts.next()?).ok()?);
        }
        let rest: [Option<&str>; 5] = core::array::from_fn(|_| parts.next());
        let (account, name, qualifier) = match (region.is_some(), rest) {
            (_, [Some(account), Some("function"), Some(name), qualifier, None]) => {
                (Some(AccountId::parse(account)?), name, qualifier)
            }
            (false, [Some(name), qualifier, None, None, None]) => (None, name, qualifier),
            _ => return None,
        };
        let qualifier = match qualifier {
            None => None,
            Some(text) => Some(Qualifier::parse(text)?),
        };
        Some(FunctionRef { account, region, name: FunctionName::parse(name).ok()?, qualifier })
    }
}

/// The full ARN of a function in an account, without a qualifier.
pub fn function_arn(region: &Region, account: AccountId, name: &FunctionName) -> String {
    alloc::format!("arn:aws:lambda:{region}:{account}:function:{name}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_documented_form_parses() {
        let cases = [
            ("f", None, None, None),
            ("f:1", None, None, Some("1")),
            ("f:$LATEST", None, None, Some("$LATEST")),
            ("123456789012:function:f", Some("123456789012"), None, None),
            ("123456789012:function:f:live", Some("123456789012"), None, Some("live")),
            (
                "arn:aws:lambda:us-east-1:123456789012:function:f:7",
                Some("123456789012"),
                Some("us-east-1"),
                Some("7"),
            ),
        ];
        for (text, account, region, qualifier) in cases {
            let parsed = FunctionRef::parse(text).unwrap_or_else(|| panic!("{text}"));
            assert_eq!(parsed.name.as_str(), "f");
            assert_eq!(parsed.account.map(|a| a.to_string()).as_deref(), account, "{text}");
            assert_eq!(parsed.region.map(|r| r.to_string()).as_deref(), region, "{text}");
            assert_eq!(parsed.qualifier.map(|q| q.to_string()).as_deref(), qualifier, "{text}");
        }
    }

    #[test]
    fn what_is_no_function_is_refused() {
        let cases = [
            "",
            "f g",
            "f:",
            "f:a:b",
            "arn:aws:s3:us-east-1:123456789012:function:f",
            "arn:aws:lambda:us-east-1:12:function:f",
            "arn:aws:lambda:us-east-1:123456789012:layer:f",
            "arn:aws:lambda:us-east-1:f",
            "123456789012:function:f:q:r",
        ];
        for text in cases {
            assert_eq!(FunctionRef::parse(text), None, "{text}");
        }
    }
}
