//! From a call to its answer: a download link is opened, anything else is an
//! operation of the API. The list of operations that this release offers is here.

use aws_api::{ApiError, Exception, Operation, operation, request::Source};
use bytes::Bytes;
use model::{AccountId, VersionId};
use wire::control::{ControlAnswer, ControlCall};

use crate::{
    absent::{self, Kind, Part},
    admin, affinity, answer, create_function, delete_function,
    extension::{self, Asked, Extension},
    failure::Failure,
    function_concurrency, get_account_settings, get_function, link, list_functions,
    list_versions_by_function, provisioned_concurrency, publish_version,
    request::Request,
    role::Control,
    tags,
    target::Target,
    tenancy, update_function_code, update_function_configuration,
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Served {
    CreateFunction,
    GetFunction,
    GetFunctionConfiguration,
    ListFunctions,
    UpdateFunctionCode,
    UpdateFunctionConfiguration,
    DeleteFunction,
    GetAccountSettings,
    PutFunctionConcurrency,
    GetFunctionConcurrency,
    DeleteFunctionConcurrency,
    PutProvisionedConcurrencyConfig,
    GetProvisionedConcurrencyConfig,
    ListProvisionedConcurrencyConfigs,
    DeleteProvisionedConcurrencyConfig,
    PublishVersion,
    ListVersionsByFunction,
    ListTags,
    TagResource,
    UntagResource,
    Absent(Kind),
}

const SERVED: &[(Operation, Served)] = &[
    (Operation::CreateFunction, Served::CreateFunction),
    (Operation::GetFunction, Served::GetFunction),
    (Operation::GetFunctionConfiguration, Served::GetFunctionConfiguration),
    (Operation::ListFunctions, Served::ListFunctions),
    (Operation::UpdateFunctionCode, Served::UpdateFunctionCode),
    (Operation::UpdateFunctionConfiguration, Served::UpdateFunctionConfiguration),
    (Operation::DeleteFunction, Served::DeleteFunction),
    (Operation::GetAccountSettings, Served::GetAccountSettings),
    (Operation::PutFunctionConcurrency, Served::PutFunctionConcurrency),
    (Operation::GetFunctionConcurrency, Served::GetFunctionConcurrency),
    (Operation::DeleteFunctionConcurrency, Served::DeleteFunctionConcurrency),
    (Operation::PutProvisionedConcurrencyConfig, Served::PutProvisionedConcurrencyConfig),
    (Operation::GetProvisionedConcurrencyConfig, Served::GetProvisionedConcurrencyConfig),
    (Operation::ListProvisionedConcurrencyConfigs, Served::ListProvisionedConcurrencyConfigs),
    (Operation::DeleteProvisionedConcurrencyConfig, Served::DeleteProvisionedConcurrencyConfig),
    (Operation::PublishVersion, Served::PublishVersion),
    (Operation::ListVersionsByFunction, Served::ListVersionsByFunction),
    (Operation::ListTags, Served::ListTags),
    (Operation::TagResource, Served::TagResource),
    (Operation::UntagResource, Served::UntagResource),
    (Operation::GetFunctionCodeSigningConfig, absent(Part::CodeSigning)),
    (Operation::GetPolicy, absent(Part::Policy)),
    (Operation::ListAliases, absent(Part::Aliases)),
    (Operation::ListFunctionUrlConfigs, absent(Part::Urls)),
    (Operation::ListEventSourceMappings, Served::Absent(Kind::OfAccount("EventSourceMappings"))),
    (Operation::ListLayers, Served::Absent(Kind::OfAccount("Layers"))),
];

const fn absent(part: Part) -> Served {
    Served::Absent(Kind::OfFunction(part))
}

pub(crate) async fn answer(control: &Control, call: &ControlCall, body: Bytes) -> ControlAnswer {
    let answered = if call.target.starts_with(link::PATH) {
        download(control, call).await
    } else {
        operate(control, call, body).await
    };
    answered.unwrap_or_else(|failure| answer::error(&failure.into_api_error(call.request)))
}

async fn operate(
    control: &Control,
    call: &ControlCall,
    body: Bytes,
) -> Result<ControlAnswer, Failure> {
    let method = http::Method::from_bytes(call.method.as_bytes())
        .map_err(|_| ApiError::unknown_operation())?;
    let (path, query) = match call.target.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (call.target.as_str(), None),
    };
    if let Some(asked) = admin::of(&method, path) {
        caller(call)?;
        return admin::handle(control, asked, &body).await;
    }
    if let Some(asked) = extension::of(&method, path) {
        return extend(control, call, &asked, body).await;
    }
    let matched = operation::route(&method, path, query)?;
    let operation = matched.operation;
    let served = SERVED.iter().find(|(offered, _)| *offered == operation);
    let Some((_, served)) = served else { return Err(not_offered(operation).into()) };
    let account = caller(call)?;
    let source = Source { params: &matched.params, query };
    let request = Request { operation, account, origin: &call.origin, source, body };
    perform(control, *served, &request).await
}

fn caller(call: &ControlCall) -> Result<AccountId, ApiError> {
    let missing = Exception::MissingAuthenticationToken;
    call.account.ok_or_else(|| ApiError::new(missing, "Missing Authentication Token"))
}

/// An operation of ours, which AWS does not have.
async fn extend(
    control: &Control,
    call: &ControlCall,
    asked: &Asked<'_>,
    body: Bytes,
) -> Result<ControlAnswer, Failure> {
    let target = asked.target(&control.catalogue.region, caller(call)?)?;
    match asked.what {
        Extension::GetTenancy => tenancy::get(control, &target).await,
        Extension::PutTenancy => tenancy::put(control, &target, &body).await,
        Extension::GetAffinity => affinity::get(control, &target).await,
        Extension::PutAffinity => affinity::put(control, &target, &body).await,
        Extension::DeleteAffinity => affinity::delete(control, &target).await,
    }
}

async fn perform(
    control: &Control,
    served: Served,
    request: &Request<'_>,
) -> Result<ControlAnswer, Failure> {
    match served {
        Served::CreateFunction => create_function::handle(control, request).await,
        Served::GetFunction => get_function::handle(control, request).await,
        Served::GetFunctionConfiguration => get_function::configuration(control, request).await,
        Served::ListFunctions => list_functions::handle(control, request).await,
        Served::UpdateFunctionCode => update_function_code::handle(control, request).await,
        Served::UpdateFunctionConfiguration => {
            update_function_configuration::handle(control, request).await
        }
        Served::DeleteFunction => delete_function::handle(control, request).await,
        Served::GetAccountSettings => get_account_settings::handle(control, request).await,
        Served::PutFunctionConcurrency => function_concurrency::put(control, request).await,
        Served::GetFunctionConcurrency => function_concurrency::get(control, request).await,
        Served::DeleteFunctionConcurrency => function_concurrency::delete(control, request).await,
        Served::PutProvisionedConcurrencyConfig => {
            provisioned_concurrency::put(control, request).await
        }
        Served::GetProvisionedConcurrencyConfig => {
            provisioned_concurrency::get(control, request).await
        }
        Served::ListProvisionedConcurrencyConfigs => {
            provisioned_concurrency::list(control, request).await
        }
        Served::DeleteProvisionedConcurrencyConfig => {
            provisioned_concurrency::delete(control, request).await
        }
        Served::PublishVersion => publish_version::handle(control, request).await,
        Served::ListVersionsByFunction => list_versions_by_function::handle(control, request).await,
        Served::ListTags => tags::list(control, request).await,
        Served::TagResource => tags::tag(control, request).await,
        Served::UntagResource => tags::untag(control, request).await,
        Served::Absent(kind) => absent::handle(control, request, kind).await,
    }
}

/// An operation of the API that this release does not have. Not an error that clients
/// try again on, and not one that says a resource is missing.
fn not_offered(operation: Operation) -> ApiError {
    let name = operation.name();
    let text = format!("The operation {name} is not offered by this release of Lambent.");
    ApiError::new(Exception::UnknownOperation, text)
}

async fn download(control: &Control, call: &ControlCall) -> Result<ControlAnswer, Failure> {
    if call.method != "GET" {
        return Err(ApiError::unknown_operation().into());
    }
    let linked = control.links.open(&call.target, control.clock.wall_ms())?;
    let qualifier = match linked.version {
        VersionId::Latest => None,
        VersionId::Published(_) => Some(model::Qualifier::Version(linked.version)),
    };
    let target = Target { account: linked.account, name: linked.name, qualifier };
    let config = control.catalogue.version(&target).await?;
    Ok(answer::archive(control.code.fetch(config.code.manifest).await?))
}
