//! Reads of what no function has in this release, because nothing can make it:
//! answered as AWS answers for a function without it, since tools ask for it whenever
//! they look at a function.

use aws_api::ApiError;
use serde_json::json;
use wire::control::ControlAnswer;

use crate::{answer, failure::Failure, request::Request, role::Control};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Aliases,
    CodeSigning,
    Policy,
    Urls,
}

pub(crate) async fn handle(
    control: &Control,
    request: &Request<'_>,
    kind: Kind,
) -> Result<ControlAnswer, Failure> {
    let target = request.named_target(&control.catalogue)?;
    control.catalogue.version(&target).await?;
    let body = match kind {
        Kind::Aliases => json!({ "Aliases": [] }),
        Kind::CodeSigning => json!({}),
        Kind::Urls => json!({ "FunctionUrlConfigs": [] }),
        Kind::Policy => {
            let text = "The resource you requested does not exist.";
            return Err(ApiError::resource_not_found(text).into());
        }
    };
    answer::json(request.success(), &body)
}
