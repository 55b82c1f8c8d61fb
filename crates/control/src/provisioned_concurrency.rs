//! Put-, Get-, List- and DeleteProvisionedConcurrencyConfig(s): how many environments
//! of a published version are kept ready. What is asked for is stored here; what came
//! of it is the provisioning controller's word, read and shown.
//!
//! What is provisioned shares the account's limit with what is reserved, so that each
//! change is one of the account's limits and of the function's settings too: of two
//! at once, the second counts the first.

use aws_api::{
    ApiError, Exception, enums,
    requests::{
        DeleteProvisionedConcurrencyConfigRequest, GetProvisionedConcurrencyConfigRequest,
        ListProvisionedConcurrencyConfigsRequest, PutProvisionedConcurrencyConfigRequest,
    },
    responses::{
        GetProvisionedConcurrencyConfigResponse, ListProvisionedConcurrencyConfigsResponse,
        PutProvisionedConcurrencyConfigResponse,
    },
    structures::ProvisionedConcurrencyConfigListItem,
};
use model::{
    AccountId, FunctionConfig, PoolKey, ProvisionedCause, ProvisionedConfig, ProvisionedState,
    ProvisionedStatus, Qualifier, VersionId, limits::UNRESERVED_CONCURRENCY_MIN,
};
use store::{
    AccountLimits, Transaction, TypedKey,
    limits::PAGE_ENTRIES_MAX,
    schema::{self, Place},
};
use wire::control::ControlAnswer;

use crate::{
    answer,
    catalogue::{Catalogue, Function},
    failure::Failure,
    function_concurrency::reserved,
    limits::{COMMIT_ATTEMPTS_MAX, PROVISIONED_CONFIGS_MAX},
    marker::{self, Marker},
    request::Request,
    role::Control,
    target::Target,
    tenancy, view,
};

/// A published version and its number.
struct Version {
    target: Target,
    number: u64,
    config: FunctionConfig,
}

impl Version {
    /// Where what is asked for the version is stored.
    fn key(&self) -> TypedKey<ProvisionedConfig> {
        schema::provisioned_config(self.target.account, &self.target.name, self.number)
    }
}

pub(crate) async fn put(
    control: &Control,
    request: &Request<'_>,
) -> Result<ControlAnswer, Failure> {
    let given: PutProvisionedConcurrencyConfigRequest = request.parse()?;
    let catalogue = &control.catalogue;
    let name = given.function_name.as_deref();
    let version = published(catalogue, request, name, given.qualifier.as_deref()).await?;
    let asked = given.provisioned_concurrent_executions.unwrap_or_default();
    let requested = u32::try_from(asked).map_err(|_| over_account(0))?;
    let config = ProvisionedConfig { requested, modified_ms: control.clock.wall_ms() };
    for _ in 0..COMMIT_ATTEMPTS_MAX {
        if provision(catalogue, &version, &config).await? {
            let shown = shown(&config, status(catalogue, &version, &config).await?);
            let body = PutProvisionedConcurrencyConfigResponse {
                allocated_provisioned_concurrent_executions: shown.allocated,
                available_provisioned_concurrent_executions: shown.available,
                last_modified: shown.last_modified,
                requested_provisioned_concurrent_executions: shown.requested,
                status: shown.status,
                status_reason: shown.reason,
            };
            return answer::json(request.success(), &body);
        }
    }
    Err(catalogue.contended(&version.target).into())
}

/// `false` where something changed in between.
async fn provision(
    catalogue: &Catalogue,
    version: &Version,
    config: &ProvisionedConfig,
) -> Result<bool, Failure> {
    let Version { target, number, .. } = version;
    let limits_key = schema::account_limits(target.account);
    // Read before what it limits: whoever adds to that after this changes it.
    let found = catalogue.store.read(&limits_key).await?;
    let limits = found.as_ref().map_or_else(AccountLimits::default, |found| found.value.clone());
    let Function { settings, .. } = catalogue.read(target).await?;
    tenancy::may_provision(&version.config, &settings.value)?;
    if !settings.value.versions.contains(number) {
        return Err(catalogue.not_found(target).into());
    }
    let others = others_of_function(catalogue, version).await?;
    let asked = others + u64::from(config.requested);
    match settings.value.reserved {
        Some(reserved) if asked > u64::from(reserved) => return Err(over_reserved().into()),
        Some(_) => {}
        None => {
            let claimed = reserved(catalogue, target.account, None).await?
                + provisioned_unreserved(catalogue, target).await?;
            let free = u64::from(limits.concurrency).saturating_sub(claimed);
            let free = free.saturating_sub(u64::from(UNRESERVED_CONCURRENCY_MIN));
            if asked > free {
                return Err(over_account(free).into());
            }
        }
    }
    let settings_key = schema::function_settings(target.account, &target.name);
    let transaction = Transaction::new().require_version(&settings_key, settings.revision);
    let transaction = match found {
        Some(found) => transaction.require_version(&limits_key, found.revision),
        None => transaction.require_absent(&limits_key),
    };
    let transaction = transaction
        .put(&settings_key, &settings.value)?
        .put(&limits_key, &limits)?
        .put(&version.key(), config)?;
    catalogue.committed(transaction).await
}

/// What the function's other versions have provisioned.
async fn others_of_function(catalogue: &Catalogue, version: &Version) -> Result<u64, Failure> {
    let (target, own) = (&version.target, version.key().into_key());
    let prefix = schema::function_provisioned_configs(target.account, &target.name);
    let page = catalogue.store.read_page(&prefix, None, PAGE_ENTRIES_MAX).await?;
    let others: Vec<u32> = page
        .found
        .iter()
        .filter(|(key, _)| *key != own)
        .map(|(_, found)| found.value.requested)
        .collect();
    if others.len() >= PROVISIONED_CONFIGS_MAX {
        return Err(ApiError::invalid_parameter(format!(
            "{PROVISIONED_CONFIGS_MAX} versions of the function have provisioned concurrency, \
             which is the limit of this installation."
        ))
        .into());
    }
    Ok(others.into_iter().map(u64::from).sum())
}

/// What other functions of the account have provisioned that reserve nothing: inside
/// a reservation it is counted already.
pub(crate) async fn provisioned_unreserved(
    catalogue: &Catalogue,
    but_for: &Target,
) -> Result<u64, Failure> {
    let mut sum = 0;
    for (target, requested) in account_configs(catalogue, but_for.account).await? {
        if target.name == but_for.name {
            continue;
        }
        let key = schema::function_settings(target.account, &target.name);
        let settings = catalogue.store.read(&key).await?;
        if settings.is_some_and(|settings| settings.value.reserved.is_none()) {
            sum += u64::from(requested);
        }
    }
    Ok(sum)
}

async fn account_configs(
    catalogue: &Catalogue,
    account: AccountId,
) -> Result<Vec<(Target, u32)>, Failure> {
    let mut found = Vec::new();
    let mut after = None;
    loop {
        let prefix = schema::account_provisioned_configs(account);
        let page = catalogue.store.read_page(&prefix, after.as_ref(), PAGE_ENTRIES_MAX).await?;
        for (key, config) in page.found {
            if let Some(Place::ProvisionedConfig(account, name, _)) = Place::of(&key) {
                let target = Target { account, name, qualifier: None };
                found.push((target, config.value.requested));
            }
        }
        match page.next {
            Some(next) => after = Some(next),
            None => return Ok(found),
        }
    }
}

/// What a function's versions have provisioned together.
pub(crate) async fn provisioned(catalogue: &Catalogue, target: &Target) -> Result<u64, Failure> {
    let prefix = schema::function_provisioned_configs(target.account, &target.name);
    let page = catalogue.store.read_page(&prefix, None, PAGE_ENTRIES_MAX).await?;
    Ok(page.found.iter().map(|(_, found)| u64::from(found.value.requested)).sum())
}

pub(crate) async fn get(
    control: &Control,
    request: &Request<'_>,
) -> Result<ControlAnswer, Failure> {
    let given: GetProvisionedConcurrencyConfigRequest = request.parse()?;
    let catalogue = &control.catalogue;
    let name = given.function_name.as_deref();
    let version = published(catalogue, request, name, given.qualifier.as_deref()).await?;
    let found = catalogue.store.read(&version.key()).await?.ok_or_else(none_found)?;
    let shown = shown(&found.value, status(catalogue, &version, &found.value).await?);
    let body = GetProvisionedConcurrencyConfigResponse {
        allocated_provisioned_concurrent_executions: shown.allocated,
        available_provisioned_concurrent_executions: shown.available,
        last_modified: shown.last_modified,
        requested_provisioned_concurrent_executions: shown.requested,
        status: shown.status,
        status_reason: shown.reason,
    };
    answer::json(request.success(), &body)
}

pub(crate) async fn delete(
    control: &Control,
    request: &Request<'_>,
) -> Result<ControlAnswer, Failure> {
    let given: DeleteProvisionedConcurrencyConfigRequest = request.parse()?;
    let catalogue = &control.catalogue;
    let name = given.function_name.as_deref();
    let version = published(catalogue, request, name, given.qualifier.as_deref()).await?;
    catalogue.committed(Transaction::new().delete(&version.key())).await?;
    Ok(answer::no_content())
}

pub(crate) async fn list(
    control: &Control,
    request: &Request<'_>,
) -> Result<ControlAnswer, Failure> {
    let given: ListProvisionedConcurrencyConfigsRequest = request.parse()?;
    let catalogue = &control.catalogue;
    let target = request.target(catalogue, given.function_name.as_deref(), None)?;
    let target = target.whole_function()?;
    catalogue.read(&target).await?;
    let after = match marker::read_given(given.marker.as_deref())? {
        Some(Marker { name, version: VersionId::Published(number) }) if name == target.name => {
            Some(schema::provisioned_config(target.account, &name, number).into_key())
        }
        Some(_) => return Err(marker::invalid().into()),
        None => None,
    };
    let prefix = schema::function_provisioned_configs(target.account, &target.name);
    let items = marker::page_items(given.max_items);
    let page = catalogue.store.read_page(&prefix, after.as_ref(), items).await?;
    let mut next_marker = None;
    let mut configs = Vec::new();
    for (key, found) in page.found {
        let Some(Place::ProvisionedConfig(account, name, number)) = Place::of(&key) else {
            continue;
        };
        let Some(config) = catalogue.published(account, &name, number).await? else { continue };
        let marker = Marker { name: name.clone(), version: config.version };
        next_marker = page.next.as_ref().map(|_| marker.write());
        let qualifier = Some(Qualifier::Version(config.version));
        let target = Target { account, name, qualifier };
        configs.push(item(catalogue, Version { target, number, config }, &found.value).await?);
    }
    let body = ListProvisionedConcurrencyConfigsResponse {
        next_marker,
        provisioned_concurrency_configs: Some(configs),
    };
    answer::json(request.success(), &body)
}

async fn item(
    catalogue: &Catalogue,
    version: Version,
    config: &ProvisionedConfig,
) -> Result<ProvisionedConcurrencyConfigListItem, Failure> {
    let shown = shown(config, status(catalogue, &version, config).await?);
    Ok(ProvisionedConcurrencyConfigListItem {
        allocated_provisioned_concurrent_executions: shown.allocated,
        available_provisioned_concurrent_executions: shown.available,
        function_arn: Some(version.target.arn(&catalogue.region)),
        last_modified: shown.last_modified,
        requested_provisioned_concurrent_executions: shown.requested,
        status: shown.status,
        status_reason: shown.reason,
    })
}

/// The version that a request names, which has to be a published one.
async fn published(
    catalogue: &Catalogue,
    request: &Request<'_>,
    name: Option<&str>,
    qualifier: Option<&str>,
) -> Result<Version, Failure> {
    let target = request.target(catalogue, name, qualifier)?;
    let config = catalogue.version(&target).await?;
    match config.version {
        VersionId::Published(number) => Ok(Version { target, number, config }),
        VersionId::Latest => Err(ApiError::invalid_parameter(
            "Provisioned Concurrency Configs cannot be applied to unpublished function versions.",
        )
        .into()),
    }
}

/// The controller's word about what is asked for now; none yet is in progress.
async fn status(
    catalogue: &Catalogue,
    version: &Version,
    config: &ProvisionedConfig,
) -> Result<ProvisionedStatus, Failure> {
    let Version { target, number, config: function } = version;
    let hash = PoolKey::provisioned(function).hash();
    let key = schema::provisioned_set(target.account, &target.name, *number, hash);
    let set = catalogue.store.read(&key).await?.map(|found| found.value.status);
    let current = set.filter(|status| status.requested == config.requested);
    Ok(current.unwrap_or_default())
}

/// As the API names the parts.
struct View {
    allocated: Option<i64>,
    available: Option<i64>,
    requested: Option<i64>,
    last_modified: Option<String>,
    status: Option<enums::ProvisionedConcurrencyStatusEnum>,
    reason: Option<String>,
}

fn shown(config: &ProvisionedConfig, status: ProvisionedStatus) -> View {
    View {
        allocated: Some(status.allocated.into()),
        available: Some(status.available.into()),
        requested: Some(config.requested.into()),
        last_modified: Some(view::timestamp(config.modified_ms)),
        status: Some(match status.state {
            ProvisionedState::InProgress => enums::ProvisionedConcurrencyStatusEnum::InProgress,
            ProvisionedState::Ready => enums::ProvisionedConcurrencyStatusEnum::Ready,
            ProvisionedState::Failed => enums::ProvisionedConcurrencyStatusEnum::Failed,
        }),
        reason: status.cause.map(|cause| reason(cause).to_owned()),
    }
}

fn reason(cause: ProvisionedCause) -> &'static str {
    match cause {
        ProvisionedCause::Init => "FUNCTION_ERROR_INIT_FAILURE",
        ProvisionedCause::NoCapacity => "No worker has room for more; it is tried again.",
        ProvisionedCause::Platform => "Environments could not be built; it is tried again.",
    }
}

fn none_found() -> ApiError {
    let text = "No Provisioned Concurrency Config found for this function";
    ApiError::new(Exception::ProvisionedConcurrencyConfigNotFound, text)
}

fn over_reserved() -> ApiError {
    ApiError::invalid_parameter(
        "Requested Provisioned Concurrency should not be greater than the \
         reservedConcurrentExecution for function",
    )
}

fn over_account(free: u64) -> ApiError {
    ApiError::invalid_parameter(format!(
        "Specified ConcurrentExecutions for function is greater than account's unreserved \
         concurrency [{free}]."
    ))
}
