//! ListTags, TagResource and UntagResource: words on a function that have no effect
//! on how it runs, so that its environments stay warm when they change.

use std::collections::BTreeMap;

use aws_api::{
    ApiError,
    requests::{ListTagsRequest, TagResourceRequest, UntagResourceRequest},
    responses::ListTagsResponse,
};
use wire::control::ControlAnswer;

use crate::{
    answer,
    catalogue::{Amendment, Function},
    failure::Failure,
    limits::TAGS_MAX,
    request::Request,
    role::Control,
    target::Target,
};

type Tags = BTreeMap<String, String>;

pub(crate) async fn list(
    control: &Control,
    request: &Request<'_>,
) -> Result<ControlAnswer, Failure> {
    let given: ListTagsRequest = request.parse()?;
    let target = target(control, request, given.resource)?;
    let head = control.catalogue.version(&target).await?;
    answer::json(request.success(), &ListTagsResponse { tags: Some(head.tags) })
}

pub(crate) async fn tag(
    control: &Control,
    request: &Request<'_>,
) -> Result<ControlAnswer, Failure> {
    let given: TagResourceRequest = request.parse()?;
    let target = target(control, request, given.resource)?;
    let added = given.tags.unwrap_or_default();
    if added.is_empty() {
        return Err(ApiError::invalid_parameter(
            "An error occurred and the request cannot be processed.",
        )
        .into());
    }
    change(control, &target, |tags| tags.extend(added.clone())).await
}

pub(crate) async fn untag(
    control: &Control,
    request: &Request<'_>,
) -> Result<ControlAnswer, Failure> {
    let given: UntagResourceRequest = request.parse()?;
    let target = target(control, request, given.resource)?;
    let removed = given.tag_keys.unwrap_or_default();
    change(control, &target, |tags| tags.retain(|key, _| !removed.contains(key))).await
}

async fn change(
    control: &Control,
    target: &Target,
    mut edit: impl FnMut(&mut Tags),
) -> Result<ControlAnswer, Failure> {
    let change = |function: &Function| {
        let mut head = function.head.value.clone();
        edit(&mut head.tags);
        check_count(&head.tags)?;
        Ok((Amendment { head: Some(head), ..Amendment::default() }, ()))
    };
    control.catalogue.amend(target, change).await?;
    Ok(answer::no_content())
}

pub(crate) fn check_count(tags: &Tags) -> Result<(), ApiError> {
    if tags.len() > TAGS_MAX {
        return Err(ApiError::invalid_parameter("Number of tags exceeds resource tag limit."));
    }
    Ok(())
}

/// Of what can have tags, only functions exist yet.
fn target(
    control: &Control,
    request: &Request<'_>,
    resource: Option<String>,
) -> Result<Target, ApiError> {
    let resource = resource.unwrap_or_default();
    if !resource.contains(":function:") {
        return Err(ApiError::resource_not_found(format!("Resource not found: {resource}")));
    }
    let target = request.target(&control.catalogue, Some(&resource), None)?;
    if target.qualifier.is_some() {
        return Err(ApiError::invalid_parameter(
            "Tags on function aliases and versions are not supported. Please specify a function \
             ARN.",
        ));
    }
    Ok(target)
}
