//! The settings of a function as callers give them: checked beyond what the service
//! model says, and written into a record. The same for a new function and for a
//! change; only what was given is written.

use aws_api::{
    ApiError, enums, requests::UpdateFunctionConfigurationRequest as Given, shape::OpenEnum as _,
    structures::LoggingConfig,
};
use model::{
    FunctionConfig, Runtime,
    function::{Architecture, LogFormat, Logging},
    limits::{MEMORY_MB_MAX, SCRATCH_MB_MAX, TIMEOUT_SECS_MAX},
};
use serde_json::Value;

use crate::{
    environment,
    opaque::{self, Field},
    tenancy,
};

/// Writes what was given.
///
/// # Errors
/// Where this installation cannot do what is asked for: nothing that changes what
/// code sees is accepted and then ignored.
pub(crate) fn apply(given: Given, config: &mut FunctionConfig) -> Result<(), ApiError> {
    refuse_unsupported(&given)?;
    if config.per_tenant && wants_snap_start(&given) {
        return Err(tenancy::not_with("SnapStart"));
    }
    store_only(&given, config);
    if let Some(runtime) = &given.runtime {
        config.runtime = runtime_of(runtime)?;
    }
    if let Some(megabytes) = given.memory_size {
        config.memory_mb = bounded("MemorySize", megabytes, MEMORY_MB_MAX)?;
    }
    if let Some(seconds) = given.timeout {
        config.timeout_secs = bounded("Timeout", seconds, TIMEOUT_SECS_MAX)?;
    }
    if let Some(megabytes) = given.ephemeral_storage.and_then(|storage| storage.size) {
        config.scratch_mb = bounded("EphemeralStorage.Size", megabytes, SCRATCH_MB_MAX)?;
    }
    if let Some(environment) = given.environment {
        let variables = environment.variables.map(|sensitive| sensitive.0).unwrap_or_default();
        environment::check(&variables)?;
        config.environment = variables;
    }
    if let Some(logging) = &given.logging_config {
        config.logging = logging_of(logging, &config.logging)?;
    }
    let texts = [
        (given.description, &mut config.description),
        (given.handler, &mut config.handler),
        (given.role, &mut config.role),
    ];
    for (given, kept) in texts {
        if let Some(text) = given {
            *kept = text;
        }
    }
    Ok(())
}

fn refuse_unsupported(given: &Given) -> Result<(), ApiError> {
    let asked = [
        ("Layers", given.layers.as_ref().is_some_and(|layers| !layers.is_empty())),
        ("CapacityProviderConfig", given.capacity_provider_config.is_some()),
        ("DurableConfig", given.durable_config.is_some()),
        ("RuntimeConfig", given.runtime_config.is_some()),
        ("AcceleratorConfig", given.accelerator_config.is_some()),
    ];
    match asked.into_iter().find(|(_, asked)| *asked) {
        Some((field, _)) => Err(not_supported(field)),
        None => Ok(()),
    }
}

fn wants_snap_start(given: &Given) -> bool {
    let apply_on = given.snap_start.as_ref().and_then(|snap_start| snap_start.apply_on.as_ref());
    apply_on == Some(&enums::SnapStartApplyOn::PublishedVersions)
}

pub(crate) fn not_supported(field: &str) -> ApiError {
    ApiError::invalid_parameter(format!("{field} is not supported by this installation yet."))
}

fn store_only(given: &Given, config: &mut FunctionConfig) {
    let mut keep = |field, value: Option<serde_json::Result<Value>>| {
        if let Some(Ok(value)) = value {
            opaque::set(config, field, &value);
        }
    };
    keep(Field::DeadLetter, given.dead_letter_config.as_ref().map(serde_json::to_value));
    keep(Field::FileSystems, given.file_system_configs.as_ref().map(serde_json::to_value));
    keep(Field::Image, given.image_config.as_ref().map(serde_json::to_value));
    keep(Field::KmsKey, given.kms_key_arn.as_ref().map(serde_json::to_value));
    keep(Field::SnapStart, given.snap_start.as_ref().map(serde_json::to_value));
    keep(Field::Tracing, given.tracing_config.as_ref().map(serde_json::to_value));
    keep(Field::Vpc, given.vpc_config.as_ref().map(serde_json::to_value));
}

/// The model's names of runtimes are more than those that can be run here.
pub(crate) fn runtime_of(asked: &enums::Runtime) -> Result<Runtime, ApiError> {
    let name = asked.as_str();
    Runtime::parse(name).ok_or_else(|| {
        ApiError::invalid_parameter(format!(
            "The runtime {name} is not supported by this installation. Supported are python3.N, \
             nodejsN.x, provided.al2 and provided.al2023."
        ))
    })
}

/// Code for another architecture would not start here, so it is refused at once.
pub(crate) fn architecture_of(
    asked: &[enums::Architecture],
    here: Architecture,
) -> Result<Architecture, ApiError> {
    match asked.first() {
        None => Ok(here),
        Some(asked) if asked.as_str() == here.as_str() => Ok(here),
        Some(asked) => Err(ApiError::invalid_parameter(format!(
            "The architecture {} is not available on this installation, which runs {} only.",
            asked.as_str(),
            here.as_str()
        ))),
    }
}

/// The lower bounds stand in the service model and have been checked.
fn bounded(field: &str, given: i64, max: u32) -> Result<u32, ApiError> {
    let fits = u32::try_from(given).ok().filter(|given| *given <= max);
    fits.ok_or_else(|| {
        ApiError::invalid_parameter(format!(
            "'{field}' value failed to satisfy constraint: Member must have value less than or \
             equal to {max}"
        ))
    })
}

/// What is not given stays; levels exist in JSON only and begin at INFO there.
fn logging_of(given: &LoggingConfig, was: &Logging) -> Result<Logging, ApiError> {
    let format = match &given.log_format {
        None => was.format,
        Some(enums::LogFormat::Json) => LogFormat::Json,
        Some(enums::LogFormat::Text | enums::LogFormat::Other(_)) => LogFormat::Text,
    };
    let application = given.application_log_level.as_ref().map(|level| level.as_str().to_owned());
    let system = given.system_log_level.as_ref().map(|level| level.as_str().to_owned());
    let group = given.log_group.clone().unwrap_or_else(|| was.group.clone());
    let levels = match format {
        LogFormat::Json => {
            let level = |given: Option<String>, was: &Option<String>| {
                given.or_else(|| was.clone()).or_else(|| Some("INFO".into()))
            };
            (level(application, &was.application_level), level(system, &was.system_level))
        }
        LogFormat::Text if application.is_some() || system.is_some() => {
            return Err(ApiError::invalid_parameter(
                "ApplicationLogLevel and SystemLogLevel can be set only where LogFormat is JSON.",
            ));
        }
        LogFormat::Text => (None, None),
    };
    Ok(Logging { format, application_level: levels.0, system_level: levels.1, group })
}
