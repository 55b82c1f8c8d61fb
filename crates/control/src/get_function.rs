//! GetFunction and GetFunctionConfiguration: one version as it is stored; the first
//! with a link to its code, its tags and its reserved concurrency.

use aws_api::{
    requests::{GetFunctionConfigurationRequest, GetFunctionRequest},
    responses::{Concurrency, GetFunctionResponse},
    structures::FunctionCodeLocation,
};
use model::FunctionConfig;
use store::schema;
use wire::control::ControlAnswer;

use crate::{
    answer,
    failure::Failure,
    link::Linked,
    request::Request,
    role::Control,
    target::Target,
    view::{self, Shown},
};

pub(crate) async fn handle(
    control: &Control,
    request: &Request<'_>,
) -> Result<ControlAnswer, Failure> {
    let given: GetFunctionRequest = request.parse()?;
    let catalogue = &control.catalogue;
    let target =
        request.target(catalogue, given.function_name.as_deref(), given.qualifier.as_deref())?;
    let config = catalogue.version(&target).await?;
    let settings = schema::function_settings(target.account, &target.name);
    let settings = catalogue.store.read(&settings).await?;
    let reserved = settings.and_then(|settings| settings.value.reserved);
    let linked =
        Linked { account: target.account, name: target.name.clone(), version: config.version };
    let location = control.links.make(request.origin, &linked, control.clock.wall_ms());
    let body = GetFunctionResponse {
        code: Some(FunctionCodeLocation {
            repository_type: Some("S3".into()),
            location: Some(location),
            ..FunctionCodeLocation::default()
        }),
        concurrency: reserved
            .map(|reserved| Concurrency { reserved_concurrent_executions: Some(reserved.into()) }),
        tags: (!config.tags.is_empty()).then(|| config.tags.clone()),
        configuration: Some(view::configuration(&catalogue.region, &config, shown(&target))),
        tags_error: None,
    };
    answer::json(request.success(), &body)
}

pub(crate) async fn configuration(
    control: &Control,
    request: &Request<'_>,
) -> Result<ControlAnswer, Failure> {
    let given: GetFunctionConfigurationRequest = request.parse()?;
    let catalogue = &control.catalogue;
    let target =
        request.target(catalogue, given.function_name.as_deref(), given.qualifier.as_deref())?;
    let config: FunctionConfig = catalogue.version(&target).await?;
    let body = view::configuration(&catalogue.region, &config, shown(&target));
    answer::json(request.success(), &body)
}

fn shown(target: &Target) -> Shown {
    if target.qualifier.is_some() { Shown::Qualified } else { Shown::Alone }
}
