//! Operations that AWS does not have, under a path of our own:
//! `/lambent/v1/functions/{name}/{part}`. Whoever may read or change a function's
//! configuration may read or change these parts of it.

use aws_api::{ApiError, Operation, encoding::percent_decode};
use http::Method;
use model::{AccountId, Region};

use crate::target::{Asking, Target};

const PATH: &str = "/lambent/v1/functions/";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Extension {
    GetTenancy,
    PutTenancy,
    GetAffinity,
    PutAffinity,
    DeleteAffinity,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Asked<'a> {
    pub(crate) what: Extension,
    /// Percent-encoded: a name or an ARN.
    name: &'a str,
}

/// `None` where the path is not one of ours.
pub(crate) fn of<'a>(method: &Method, path: &'a str) -> Option<Asked<'a>> {
    let (name, part) = path.strip_prefix(PATH)?.split_once('/')?;
    let what = match (method, part) {
        (&Method::GET, "tenancy") => Extension::GetTenancy,
        (&Method::PUT, "tenancy") => Extension::PutTenancy,
        (&Method::GET, "affinity") => Extension::GetAffinity,
        (&Method::PUT, "affinity") => Extension::PutAffinity,
        (&Method::DELETE, "affinity") => Extension::DeleteAffinity,
        _ => return None,
    };
    Some(Asked { what, name })
}

impl Asked<'_> {
    pub(crate) fn target(&self, region: &Region, account: AccountId) -> Result<Target, ApiError> {
        let operation = match self.what {
            Extension::GetTenancy | Extension::GetAffinity => Operation::GetFunctionConfiguration,
            Extension::PutTenancy | Extension::PutAffinity | Extension::DeleteAffinity => {
                Operation::UpdateFunctionConfiguration
            }
        };
        let name = percent_decode(self.name).unwrap_or_default();
        Target::parse(Asking { region, account, operation }, &name, None)?.whole_function()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_own_paths_are_ours() {
        let cases = [
            (Method::GET, "/lambent/v1/functions/f/tenancy", Some(Extension::GetTenancy)),
            (Method::PUT, "/lambent/v1/functions/a%3Ab/tenancy", Some(Extension::PutTenancy)),
            (Method::POST, "/lambent/v1/functions/f/tenancy", None),
            (Method::GET, "/lambent/v1/functions/f/tenancy/x", None),
            (Method::GET, "/lambent/v1/functions/f", None),
            (Method::GET, "/2015-03-31/functions/f/tenancy", None),
        ];
        for (method, path, what) in cases {
            assert_eq!(of(&method, path).map(|asked| asked.what), what, "{method} {path}");
        }
    }
}
