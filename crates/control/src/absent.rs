//! Reads of what neither an account nor a function has in this release, because
//! nothing can make it: answered as AWS answers where there is none, since tools ask
//! for it whenever they look at a function.

use aws_api::ApiError;
use serde_json::{Value, json};
use wire::control::ControlAnswer;

use crate::{answer, failure::Failure, request::Request, role::Control};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// `EventSourceMappings`, `Layers`: lists of the account, by their member.
    OfAccount(&'static str),
    OfFunction(Part),
}

/// What a function can have on AWS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
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
    let body = match kind {
        Kind::OfAccount(member) => json!({ member: [] }),
        Kind::OfFunction(part) => {
            let target = request.named_target(&control.catalogue)?;
            control.catalogue.version(&target).await?;
            without(part)?
        }
    };
    answer::json(request.success(), &body)
}

/// The answer for a function that exists.
fn without(part: Part) -> Result<Value, ApiError> {
    match part {
        Part::Aliases => Ok(json!({ "Aliases": [] })),
        Part::CodeSigning => Ok(json!({})),
        Part::Urls => Ok(json!({ "FunctionUrlConfigs": [] })),
        Part::Policy => {
            Err(ApiError::resource_not_found("The resource you requested does not exist."))
        }
    }
}
