//! DeleteFunction: the function with everything it has, or one published version.
//! The code is released with the record and deleted by `sweep`.

use aws_api::{ApiError, requests::DeleteFunctionRequest};
use model::{Qualifier, VersionId};
use wire::control::ControlAnswer;

use crate::{
    answer,
    catalogue::{Amendment, Function},
    failure::Failure,
    request::Request,
    role::Control,
};

pub(crate) async fn handle(
    control: &Control,
    request: &Request<'_>,
) -> Result<ControlAnswer, Failure> {
    let given: DeleteFunctionRequest = request.parse()?;
    let catalogue = &control.catalogue;
    let target =
        request.target(catalogue, given.function_name.as_deref(), given.qualifier.as_deref())?;
    match target.qualifier {
        None => catalogue.delete(&target).await?,
        Some(Qualifier::Version(VersionId::Published(number))) => {
            let forget = |function: &Function| Ok((forget(function, number), ()));
            catalogue.amend(&target, forget).await?;
        }
        Some(Qualifier::Version(VersionId::Latest)) => {
            return Err(ApiError::invalid_parameter(
                "$LATEST version cannot be deleted without deleting the function.",
            )
            .into());
        }
        Some(Qualifier::Alias(_)) => {
            return Err(ApiError::invalid_parameter(
                "Deletion of aliases is not currently supported.",
            )
            .into());
        }
    }
    Ok(answer::no_content())
}

/// A version that is not there is deleted already.
fn forget(function: &Function, number: u64) -> Amendment {
    let mut settings = function.settings.value.clone();
    if !settings.versions.contains(&number) {
        return Amendment::default();
    }
    settings.versions.retain(|version| *version != number);
    Amendment { settings: Some(settings), forget: Some(number), ..Amendment::default() }
}
