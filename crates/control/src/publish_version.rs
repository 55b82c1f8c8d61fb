//! PublishVersion: `$LATEST` frozen under the next number, unless it is what the
//! newest version was made of.

use aws_api::{ApiError, requests::PublishVersionRequest};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use model::{FunctionConfig, VersionId, function::FunctionSettings};
use wire::control::ControlAnswer;

use crate::{
    answer,
    catalogue::{Amendment, Function},
    failure::Failure,
    limits::VERSIONS_MAX,
    request::Request,
    role::{Control, Fresh},
    settings,
    view::{self, Shown},
};

pub(crate) async fn handle(
    control: &Control,
    request: &Request<'_>,
) -> Result<ControlAnswer, Failure> {
    let given: PublishVersionRequest = request.parse()?;
    if given.publish_to.is_some() {
        return Err(settings::not_supported("PublishTo").into());
    }
    let catalogue = &control.catalogue;
    let target = request.target(catalogue, given.function_name.as_deref(), None)?.head_only()?;
    let change = |function: &Function| {
        let head = &function.head.value;
        check_revision(given.revision_id.as_deref(), head)?;
        check_digest(given.code_sha256.as_deref(), head)?;
        let mut amendment = Amendment::default();
        let description = given.description.as_deref();
        let version = publish(function, head, description, &control.fresh(), &mut amendment)?;
        Ok((amendment, version))
    };
    let version = catalogue.amend(&target, change).await?;
    let body = view::configuration(&catalogue.region, &version, Shown::Alone);
    answer::json(request.success(), &body)
}

/// The version that `head` is published as: the newest one where it is the same.
pub(crate) fn publish(
    function: &Function,
    head: &FunctionConfig,
    description: Option<&str>,
    fresh: &Fresh,
    amendment: &mut Amendment,
) -> Result<FunctionConfig, ApiError> {
    if let Some(newest) = function.newest.as_ref().filter(|v| v.revision == head.revision) {
        return Ok(newest.clone());
    }
    let mut settings = function.settings.value.clone();
    let version = next(head, &mut settings, description, fresh)?;
    amendment.settings = Some(settings);
    amendment.publish = Some(version.clone());
    Ok(version)
}

/// Takes the next number.
pub(crate) fn next(
    head: &FunctionConfig,
    settings: &mut FunctionSettings,
    description: Option<&str>,
    fresh: &Fresh,
) -> Result<FunctionConfig, ApiError> {
    if settings.versions.len() >= VERSIONS_MAX {
        return Err(ApiError::invalid_parameter(format!(
            "The function has {VERSIONS_MAX} published versions, which is the limit of this \
             installation. Delete versions that are no longer used."
        )));
    }
    settings.published += 1;
    settings.versions.push(settings.published);
    Ok(FunctionConfig {
        version: VersionId::Published(settings.published),
        description: description.unwrap_or(&head.description).to_owned(),
        revision_id: fresh.revision_id.clone(),
        ..head.clone()
    })
}

pub(crate) fn check_revision(given: Option<&str>, head: &FunctionConfig) -> Result<(), ApiError> {
    match given {
        Some(given) if given != head.revision_id => Err(ApiError::revision_mismatch()),
        Some(_) | None => Ok(()),
    }
}

fn check_digest(given: Option<&str>, head: &FunctionConfig) -> Result<(), ApiError> {
    let ours = STANDARD.encode(head.code.sha256.0);
    match given.filter(|given| !given.is_empty()) {
        Some(given) if given != ours => Err(ApiError::invalid_parameter(format!(
            "CodeSHA256 ({given}) is different from current CodeSHA256 in $LATEST ({ours}). \
             Please try again with the CodeSHA256 in $LATEST."
        ))),
        Some(_) | None => Ok(()),
    }
}
