//! `PER_TENANT` functions (A9): what AWS refuses for them, and the settings that AWS
//! does not have. The mode itself is given at creation and never changes.

use aws_api::{ApiError, Exception};
use model::{AtCap, FunctionConfig, Tenancy, function::FunctionSettings, limits::TENANT_STOCK_MAX};
use serde::{Deserialize, Serialize, de::IgnoredAny};
use wire::control::ControlAnswer;

use crate::{
    answer,
    catalogue::{Amendment, Function},
    failure::Failure,
    role::Control,
    target::Target,
};

/// The settings as callers read and write them; a write replaces all of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields, default)]
struct Settings {
    /// Environments kept ready that belong to no tenant yet.
    stock: u32,
    #[serde(with = "Cap")]
    at_cap: AtCap,
    /// Calls of one tenant at a time; absent: as many as the function may have.
    #[serde(skip_serializing_if = "Option::is_none")]
    tenant_concurrency: Option<u32>,
    /// Whether the function may also have provisioned concurrency.
    allow_provisioned: bool,
}

/// The words that callers have for it.
#[derive(Serialize, Deserialize)]
#[serde(remote = "AtCap")]
enum Cap {
    Evict,
    Refuse,
}

pub(crate) async fn get(control: &Control, target: &Target) -> Result<ControlAnswer, Failure> {
    let function = control.catalogue.read(target).await?;
    per_tenant(&function.head.value)?;
    answer::json(200, &Settings::from(function.settings.value.tenancy))
}

pub(crate) async fn put(
    control: &Control,
    target: &Target,
    body: &[u8],
) -> Result<ControlAnswer, Failure> {
    let given = parse(body)?;
    let change = |function: &Function| {
        per_tenant(&function.head.value)?;
        let mut settings = function.settings.value.clone();
        settings.tenancy = given.into();
        Ok((Amendment { settings: Some(settings), ..Amendment::default() }, ()))
    };
    control.catalogue.amend(target, change).await?;
    answer::json(200, &given)
}

fn parse(body: &[u8]) -> Result<Settings, ApiError> {
    let given: Settings = serde_json::from_slice(body).map_err(|error| {
        let message = format!("Could not parse request body into json: {error}");
        ApiError::new(Exception::InvalidRequestContent, message)
    })?;
    if given.stock > TENANT_STOCK_MAX {
        return Err(ApiError::invalid_parameter(format!(
            "Stock is at most {TENANT_STOCK_MAX} environments."
        )));
    }
    if given.tenant_concurrency == Some(0) {
        return Err(ApiError::invalid_parameter(
            "TenantConcurrency is at least 1; leave it out for no limit.",
        ));
    }
    Ok(given)
}

fn per_tenant(head: &FunctionConfig) -> Result<(), ApiError> {
    if head.per_tenant {
        return Ok(());
    }
    Err(ApiError::invalid_parameter(
        "The function was created without TenancyConfig: its environments are not divided among \
         tenants.",
    ))
}

/// The mode of isolation cannot be changed after a function was created, nor can it
/// be taken away.
pub(crate) fn refuse_change(body: &[u8]) -> Result<(), ApiError> {
    #[derive(Deserialize)]
    struct Peek {
        #[serde(rename = "TenancyConfig")]
        tenancy_config: Option<IgnoredAny>,
    }
    // What is no JSON object is refused with the words of the operation's own shape.
    let peek = serde_json::from_slice::<Peek>(body);
    match peek.ok().and_then(|peek| peek.tenancy_config) {
        None => Ok(()),
        Some(_) => Err(ApiError::invalid_parameter(
            "TenancyConfig cannot be modified after the function has been created.",
        )),
    }
}

/// AWS has no provisioned environments for tenants; ours are bound on first use where
/// the function's settings say so.
pub(crate) fn may_provision(
    version: &FunctionConfig,
    settings: &FunctionSettings,
) -> Result<(), ApiError> {
    if version.per_tenant && !settings.tenancy.with_provisioned {
        return Err(not_with("Provisioned Concurrency"));
    }
    Ok(())
}

pub(crate) fn not_with(feature: &str) -> ApiError {
    ApiError::invalid_parameter(format!(
        "{feature} is not supported for functions with tenant isolation mode PER_TENANT."
    ))
}

impl From<Tenancy> for Settings {
    fn from(stored: Tenancy) -> Settings {
        let Tenancy { stock, at_cap, tenant_concurrency, with_provisioned } = stored;
        Settings { stock, at_cap, tenant_concurrency, allow_provisioned: with_provisioned }
    }
}

impl From<Settings> for Tenancy {
    fn from(given: Settings) -> Tenancy {
        let Settings { stock, at_cap, tenant_concurrency, allow_provisioned } = given;
        Tenancy { stock, at_cap, tenant_concurrency, with_provisioned: allow_provisioned }
    }
}
