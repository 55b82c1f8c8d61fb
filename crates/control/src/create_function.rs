//! CreateFunction: settings and archive are checked, the code is stored, and one
//! transaction makes the function. It is active when it is acknowledged: nothing slow
//! is left to do.

use std::collections::BTreeMap;

use aws_api::{
    ApiError, enums,
    requests::{CreateFunctionRequest, UpdateFunctionConfigurationRequest},
    structures::FunctionCode,
};
use bytes::Bytes;
use model::{
    Digest, FunctionConfig, FunctionState, Manifest, RootId, VersionId,
    function::{Code, FunctionSettings, LogFormat, Logging, UpdateStatus},
    limits::{MEMORY_MB_DEFAULT, SCRATCH_MB_MIN, TIMEOUT_SECS_DEFAULT},
};
use wire::control::ControlAnswer;

use crate::{
    answer,
    failure::Failure,
    publish_version,
    request::Request,
    role::Control,
    settings, tags,
    target::Target,
    view::{self, Shown},
};

pub(crate) async fn handle(
    control: &Control,
    request: &Request<'_>,
) -> Result<ControlAnswer, Failure> {
    let mut given: CreateFunctionRequest = request.parse()?;
    let catalogue = &control.catalogue;
    let target = request.target(catalogue, given.function_name.as_deref(), None)?;
    let target = target.head_only()?;
    refuse_unsupported(&given)?;
    let zip = archive_of(given.code.take().unwrap_or_default())?;
    let publish = given.publish == Some(true);
    // Settings that would be refused cost no work on the archive.
    let mut head = draft(control, &target, given)?;
    refuse_existing(control, &target).await?;
    let upload = control.code.store(control.code.inspect(zip).await?).await?;
    head.code = upload.code.clone();
    control.fresh().revise(&mut head);
    let mut settings = FunctionSettings::default();
    let version = match publish {
        true => Some(publish_version::next(&head, &mut settings, None, &control.fresh())?),
        false => None,
    };
    catalogue.create(&head, &settings, version.as_ref()).await?;
    let shown = version.as_ref().unwrap_or(&head);
    let body = view::configuration(&catalogue.region, shown, Shown::Alone);
    answer::json(request.success(), &body)
}

/// The record as it will be, but for its code.
fn draft(
    control: &Control,
    target: &Target,
    given: CreateFunctionRequest,
) -> Result<FunctionConfig, ApiError> {
    let (Some(runtime), Some(_)) = (&given.runtime, &given.handler) else {
        return Err(ApiError::invalid_parameter(
            "Runtime and Handler are mandatory parameters for functions created with deployment \
             packages.",
        ));
    };
    let asked = given.architectures.as_deref().unwrap_or_default();
    let tags = given.tags.clone().unwrap_or_default();
    tags::check_count(&tags)?;
    let logging = Logging {
        format: LogFormat::Text,
        application_level: None,
        system_level: None,
        group: format!("/aws/lambda/{}", target.name),
    };
    let mut draft = FunctionConfig {
        account: target.account,
        name: target.name.clone(),
        version: VersionId::Latest,
        revision: 0,
        revision_id: String::new(),
        description: String::new(),
        runtime: settings::runtime_of(runtime)?,
        handler: String::new(),
        role: String::new(),
        code: no_code(),
        memory_mb: MEMORY_MB_DEFAULT,
        timeout_secs: TIMEOUT_SECS_DEFAULT,
        scratch_mb: SCRATCH_MB_MIN,
        architecture: settings::architecture_of(asked, control.architecture)?,
        environment: BTreeMap::new(),
        logging,
        tags,
        state: FunctionState::Active,
        last_update: UpdateStatus::Successful,
        modified_ms: 0,
        per_tenant: given.tenancy_config.is_some(),
        opaque: BTreeMap::new(),
    };
    settings::apply(settings_of(given), &mut draft)?;
    Ok(draft)
}

fn no_code() -> Code {
    let manifest = Manifest { root: RootId(String::new()), length: 0, chunks: Vec::new() };
    Code { sha256: Digest([0; 32]), size: 0, manifest }
}

fn refuse_unsupported(given: &CreateFunctionRequest) -> Result<(), ApiError> {
    let image = given.package_type == Some(enums::PackageType::Image);
    let asked = [
        ("PackageType Image", image),
        ("PublishTo", given.publish_to.is_some()),
        ("CodeSigningConfigArn", given.code_signing_config_arn.is_some()),
    ];
    match asked.into_iter().find(|(_, asked)| *asked) {
        Some((field, _)) => Err(settings::not_supported(field)),
        None => Ok(()),
    }
}

/// The archive in a request, the only source of code so far.
pub(crate) fn archive_of(code: FunctionCode) -> Result<Bytes, ApiError> {
    let asked = [
        ("Code from S3", code.s3_bucket.is_some() || code.s3_key.is_some()),
        ("ImageUri", code.image_uri.is_some()),
        ("SourceKMSKeyArn", code.source_kms_key_arn.is_some()),
    ];
    if let Some((field, _)) = asked.into_iter().find(|(_, asked)| *asked) {
        return Err(settings::not_supported(field));
    }
    let zip = code
        .zip_file
        .ok_or_else(|| ApiError::invalid_parameter("Please provide a source for function code."))?;
    Ok(zip.0.into())
}

/// Before the archive is read. The transaction decides; this spares the work.
async fn refuse_existing(control: &Control, target: &Target) -> Result<(), Failure> {
    let key = store::schema::function_head(target.account, &target.name);
    match control.catalogue.store.get(key.key()).await? {
        Some(_) => Err(ApiError::function_exists(target.name.as_str()).into()),
        None => Ok(()),
    }
}

/// What a new function and a changed one have in common.
fn settings_of(given: CreateFunctionRequest) -> UpdateFunctionConfigurationRequest {
    UpdateFunctionConfigurationRequest {
        accelerator_config: given.accelerator_config,
        capacity_provider_config: given.capacity_provider_config,
        dead_letter_config: given.dead_letter_config,
        description: given.description,
        durable_config: given.durable_config,
        environment: given.environment,
        ephemeral_storage: given.ephemeral_storage,
        file_system_configs: given.file_system_configs,
        function_name: None,
        handler: given.handler,
        image_config: given.image_config,
        kms_key_arn: given.kms_key_arn,
        layers: given.layers,
        logging_config: given.logging_config,
        memory_size: given.memory_size,
        revision_id: None,
        role: given.role,
        runtime: given.runtime,
        runtime_config: given.runtime_config,
        snap_start: given.snap_start,
        timeout: given.timeout,
        tracing_config: given.tracing_config,
        vpc_config: given.vpc_config,
    }
}
