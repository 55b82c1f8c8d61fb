//! A record as the public API shows it: `FunctionConfiguration`, field by field. The
//! way back, from a request to a record, is in `settings`.

use aws_api::{
    enums,
    responses::FunctionConfiguration,
    shape::Sensitive,
    structures::{
        EnvironmentResponse, EphemeralStorage, ImageConfigResponse, LoggingConfig,
        RuntimeVersionConfig, SnapStart, SnapStartResponse, TenancyConfig, TracingConfigResponse,
        VpcConfigResponse,
    },
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use model::{
    Civil, FunctionConfig, FunctionState, Region, VersionId, arn,
    function::{LogFormat, Logging, UpdateStatus},
};

use crate::opaque::{self, Field};

/// Where the record is shown: AWS leaves some fields out of listings, and names the
/// version in the ARN where the caller did or where several are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shown {
    /// Alone, by its unqualified name where it is `$LATEST`.
    Alone,
    /// Alone, asked for with a qualifier.
    Qualified,
    /// In a list of functions.
    Listed,
    /// In a list of versions.
    Version,
}

pub(crate) fn configuration(
    region: &Region,
    config: &FunctionConfig,
    shown: Shown,
) -> FunctionConfiguration {
    let mut view = FunctionConfiguration {
        architectures: Some(vec![config.architecture.as_str().into()]),
        code_sha256: Some(STANDARD.encode(config.code.sha256.0)),
        code_size: Some(signed(config.code.size)),
        description: Some(config.description.clone()),
        environment: environment(config),
        ephemeral_storage: Some(EphemeralStorage { size: Some(config.scratch_mb.into()) }),
        function_arn: Some(function_arn(region, config, shown)),
        function_name: Some(config.name.to_string()),
        handler: Some(config.handler.clone()),
        last_modified: Some(timestamp(config.modified_ms)),
        logging_config: Some(logging(&config.logging)),
        memory_size: Some(config.memory_mb.into()),
        package_type: Some(enums::PackageType::Zip),
        revision_id: Some(config.revision_id.clone()),
        role: Some(config.role.clone()),
        runtime: Some(config.runtime.name().as_str().into()),
        tenancy_config: config.per_tenant.then_some(TenancyConfig {
            tenant_isolation_mode: Some(enums::TenantIsolationMode::PerTenant),
        }),
        timeout: Some(config.timeout_secs.into()),
        version: Some(config.version.to_string()),
        ..FunctionConfiguration::default()
    };
    stored_only(config, &mut view);
    match shown {
        Shown::Alone | Shown::Qualified => {
            state(config, &mut view);
            last_update(config, &mut view);
            view.runtime_version_config = Some(RuntimeVersionConfig {
                runtime_version_arn: Some(runtime_version_arn(region, config)),
                error: None,
            });
        }
        Shown::Listed | Shown::Version => {}
    }
    view
}

fn function_arn(region: &Region, config: &FunctionConfig, shown: Shown) -> String {
    let function = arn::function_arn(region, config.account, &config.name);
    let qualified = match (config.version, shown) {
        (VersionId::Latest, Shown::Alone | Shown::Listed) => false,
        (VersionId::Latest, Shown::Qualified | Shown::Version) | (VersionId::Published(_), _) => {
            true
        }
    };
    if qualified { format!("{function}:{}", config.version) } else { function }
}

fn environment(config: &FunctionConfig) -> Option<EnvironmentResponse> {
    let variables = (!config.environment.is_empty()).then(|| config.environment.clone())?;
    Some(EnvironmentResponse { error: None, variables: Some(Sensitive(variables)) })
}

fn logging(logging: &Logging) -> LoggingConfig {
    let format = match logging.format {
        LogFormat::Text => enums::LogFormat::Text,
        LogFormat::Json => enums::LogFormat::Json,
    };
    LoggingConfig {
        application_log_level: logging.application_level.as_deref().map(Into::into),
        log_format: Some(format),
        log_group: Some(logging.group.clone()),
        system_log_level: logging.system_level.as_deref().map(Into::into),
    }
}

fn state(config: &FunctionConfig, view: &mut FunctionConfiguration) {
    match &config.state {
        FunctionState::Active => view.state = Some(enums::State::Active),
        FunctionState::Pending => {
            view.state = Some(enums::State::Pending);
            view.state_reason = Some("The function is being created.".into());
            view.state_reason_code = Some(enums::StateReasonCode::Creating);
        }
        FunctionState::Failed { code, reason } => {
            view.state = Some(enums::State::Failed);
            view.state_reason = Some(reason.clone());
            view.state_reason_code = Some(code.as_str().into());
        }
    }
}

fn last_update(config: &FunctionConfig, view: &mut FunctionConfiguration) {
    match &config.last_update {
        UpdateStatus::Successful => {
            view.last_update_status = Some(enums::LastUpdateStatus::Successful);
        }
        UpdateStatus::InProgress => {
            view.last_update_status = Some(enums::LastUpdateStatus::InProgress);
        }
        UpdateStatus::Failed { code, reason } => {
            view.last_update_status = Some(enums::LastUpdateStatus::Failed);
            view.last_update_status_reason = Some(reason.clone());
            view.last_update_status_reason_code = Some(code.as_str().into());
        }
    }
}

/// Fields without an effect: as they were given, in the form of the answer.
fn stored_only(config: &FunctionConfig, view: &mut FunctionConfiguration) {
    view.dead_letter_config = opaque::get(config, Field::DeadLetter);
    view.kms_key_arn = opaque::get(config, Field::KmsKey);
    view.file_system_configs = opaque::get(config, Field::FileSystems);
    view.vpc_config = opaque::get(config, Field::Vpc)
        .map(|vpc: VpcConfigResponse| VpcConfigResponse { vpc_id: Some(String::new()), ..vpc });
    view.image_config_response = opaque::get(config, Field::Image)
        .map(|image| ImageConfigResponse { error: None, image_config: Some(image) });
    let tracing: Option<TracingConfigResponse> = opaque::get(config, Field::Tracing);
    view.tracing_config = Some(
        tracing.unwrap_or(TracingConfigResponse { mode: Some(enums::TracingMode::PassThrough) }),
    );
    let snap_start: Option<SnapStart> = opaque::get(config, Field::SnapStart);
    let apply_on = snap_start.and_then(|snap_start| snap_start.apply_on);
    view.snap_start = Some(SnapStartResponse {
        apply_on: Some(apply_on.unwrap_or(enums::SnapStartApplyOn::None)),
        // Nothing is snapshotted yet, whatever was asked for.
        optimization_status: Some(enums::SnapStartOptimizationStatus::Off),
    });
}

/// Names the runtime, in the form that AWS gives its releases.
fn runtime_version_arn(region: &Region, config: &FunctionConfig) -> String {
    let digest = blake3::hash(config.runtime.name().as_bytes()).to_hex();
    format!("arn:aws:lambda:{region}::runtime:{digest}")
}

pub(crate) fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// `2026-11-21T12:00:00.000+0000`
pub(crate) fn timestamp(epoch_ms: u64) -> String {
    let Civil { year, month, day, hour, minute, second, milli } = Civil::of_epoch_ms(epoch_ms);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{milli:03}+0000")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_has_awss_form() {
        assert_eq!(timestamp(1_795_262_461_001), "2026-11-21T12:01:01.001+0000");
    }
}
