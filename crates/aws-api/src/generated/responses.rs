//! Generated from the published service model of Lambda (2015-03-31).
//! Not written by hand: `cargo run -p xtask -- codegen MODEL` makes it anew.

#![allow(unused_imports, reason = "one list of imports for every generated file")]
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::enums::*;
use super::structures::*;
use crate::shape::{Blob, Sensitive};

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Concurrency {
    #[serde(rename = "ReservedConcurrentExecutions", skip_serializing_if = "Option::is_none")]
    pub reserved_concurrent_executions: Option<i64>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct DeleteFunctionResponse {
    #[serde(skip)]
    pub status_code: Option<i64>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct FunctionConfiguration {
    #[serde(rename = "AcceleratorConfig", skip_serializing_if = "Option::is_none")]
    pub accelerator_config: Option<AcceleratorConfig>,
    #[serde(rename = "Architectures", skip_serializing_if = "Option::is_none")]
    pub architectures: Option<Vec<Architecture>>,
    #[serde(rename = "CapacityProviderConfig", skip_serializing_if = "Option::is_none")]
    pub capacity_provider_config: Option<CapacityProviderConfig>,
    #[serde(rename = "CodeSha256", skip_serializing_if = "Option::is_none")]
    pub code_sha256: Option<String>,
    #[serde(rename = "CodeSize", skip_serializing_if = "Option::is_none")]
    pub code_size: Option<i64>,
    #[serde(rename = "ConfigSha256", skip_serializing_if = "Option::is_none")]
    pub config_sha256: Option<String>,
    #[serde(rename = "DeadLetterConfig", skip_serializing_if = "Option::is_none")]
    pub dead_letter_config: Option<DeadLetterConfig>,
    #[serde(rename = "Description", skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    #[serde(rename = "DurableConfig", skip_serializing_if = "Option::is_none")]
    pub durable_config: Option<DurableConfig>,
    #[serde(rename = "Environment", skip_serializing_if = "Option::is_none")]
    pub environment: Option<EnvironmentResponse>,
    #[serde(rename = "EphemeralStorage", skip_serializing_if = "Option::is_none")]
    pub ephemeral_storage: Option<EphemeralStorage>,
    #[serde(rename = "FileSystemConfigs", skip_serializing_if = "Option::is_none")]
    pub file_system_configs: Option<Vec<FileSystemConfig>>,
    #[serde(rename = "FunctionArn", skip_serializing_if = "Option::is_none")]
    pub function_arn: Option<String>,
    #[serde(rename = "FunctionName", skip_serializing_if = "Option::is_none")]
    pub function_name: Option<String>,
    #[serde(rename = "Handler", skip_serializing_if = "Option::is_none")]
    pub handler: Option<String>,
    #[serde(rename = "ImageConfigResponse", skip_serializing_if = "Option::is_none")]
    pub image_config_response: Option<ImageConfigResponse>,
    #[serde(rename = "KMSKeyArn", skip_serializing_if = "Option::is_none")]
    pub kms_key_arn: Option<String>,
    #[serde(rename = "LastModified", skip_serializing_if = "Option::is_none")]
    pub last_modified: Option<String>,
    #[serde(rename = "LastUpdateStatus", skip_serializing_if = "Option::is_none")]
    pub last_update_status: Option<LastUpdateStatus>,
    #[serde(rename = "LastUpdateStatusReason", skip_serializing_if = "Option::is_none")]
    pub last_update_status_reason: Option<String>,
    #[serde(rename = "LastUpdateStatusReasonCode", skip_serializing_if = "Option::is_none")]
    pub last_update_status_reason_code: Option<LastUpdateStatusReasonCode>,
    #[serde(rename = "Layers", skip_serializing_if = "Option::is_none")]
    pub layers: Option<Vec<Layer>>,
    #[serde(rename = "LoggingConfig", skip_serializing_if = "Option::is_none")]
    pub logging_config: Option<LoggingConfig>,
    #[serde(rename = "MasterArn", skip_serializing_if = "Option::is_none")]
    pub master_arn: Option<String>,
    #[serde(rename = "MemorySize", skip_serializing_if = "Option::is_none")]
    pub memory_size: Option<i64>,
    #[serde(rename = "PackageType", skip_serializing_if = "Option::is_none")]
    pub package_type: Option<PackageType>,
    #[serde(rename = "RevisionId", skip_serializing_if = "Option::is_none")]
    pub revision_id: Option<String>,
    #[serde(rename = "Role", skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    #[serde(rename = "Runtime", skip_serializing_if = "Option::is_none")]
    pub runtime: Option<Runtime>,
    #[serde(rename = "RuntimeConfig", skip_serializing_if = "Option::is_none")]
    pub runtime_config: Option<FunctionRuntimeConfig>,
    #[serde(rename = "RuntimeVersionConfig", skip_serializing_if = "Option::is_none")]
    pub runtime_version_config: Option<RuntimeVersionConfig>,
    #[serde(rename = "SigningJobArn", skip_serializing_if = "Option::is_none")]
    pub signing_job_arn: Option<String>,
    #[serde(rename = "SigningProfileVersionArn", skip_serializing_if = "Option::is_none")]
    pub signing_profile_version_arn: Option<String>,
    #[serde(rename = "SnapStart", skip_serializing_if = "Option::is_none")]
    pub snap_start: Option<SnapStartResponse>,
    #[serde(rename = "State", skip_serializing_if = "Option::is_none")]
    pub state: Option<State>,
    #[serde(rename = "StateReason", skip_serializing_if = "Option::is_none")]
    pub state_reason: Option<String>,
    #[serde(rename = "StateReasonCode", skip_serializing_if = "Option::is_none")]
    pub state_reason_code: Option<StateReasonCode>,
    #[serde(rename = "TenancyConfig", skip_serializing_if = "Option::is_none")]
    pub tenancy_config: Option<TenancyConfig>,
    #[serde(rename = "Timeout", skip_serializing_if = "Option::is_none")]
    pub timeout: Option<i64>,
    #[serde(rename = "TracingConfig", skip_serializing_if = "Option::is_none")]
    pub tracing_config: Option<TracingConfigResponse>,
    #[serde(rename = "Version", skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    #[serde(rename = "VpcConfig", skip_serializing_if = "Option::is_none")]
    pub vpc_config: Option<VpcConfigResponse>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct GetAccountSettingsResponse {
    #[serde(rename = "AccountLimit", skip_serializing_if = "Option::is_none")]
    pub account_limit: Option<AccountLimit>,
    #[serde(rename = "AccountUsage", skip_serializing_if = "Option::is_none")]
    pub account_usage: Option<AccountUsage>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct GetFunctionConcurrencyResponse {
    #[serde(rename = "ReservedConcurrentExecutions", skip_serializing_if = "Option::is_none")]
    pub reserved_concurrent_executions: Option<i64>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct GetFunctionResponse {
    #[serde(rename = "Code", skip_serializing_if = "Option::is_none")]
    pub code: Option<FunctionCodeLocation>,
    #[serde(rename = "Concurrency", skip_serializing_if = "Option::is_none")]
    pub concurrency: Option<Concurrency>,
    #[serde(rename = "Configuration", skip_serializing_if = "Option::is_none")]
    pub configuration: Option<FunctionConfiguration>,
    #[serde(rename = "Tags", skip_serializing_if = "Option::is_none")]
    pub tags: Option<BTreeMap<String, String>>,
    #[serde(rename = "TagsError", skip_serializing_if = "Option::is_none")]
    pub tags_error: Option<TagsError>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct GetProvisionedConcurrencyConfigResponse {
    #[serde(
        rename = "AllocatedProvisionedConcurrentExecutions",
        skip_serializing_if = "Option::is_none"
    )]
    pub allocated_provisioned_concurrent_executions: Option<i64>,
    #[serde(
        rename = "AvailableProvisionedConcurrentExecutions",
        skip_serializing_if = "Option::is_none"
    )]
    pub available_provisioned_concurrent_executions: Option<i64>,
    #[serde(rename = "LastModified", skip_serializing_if = "Option::is_none")]
    pub last_modified: Option<String>,
    #[serde(
        rename = "RequestedProvisionedConcurrentExecutions",
        skip_serializing_if = "Option::is_none"
    )]
    pub requested_provisioned_concurrent_executions: Option<i64>,
    #[serde(rename = "Status", skip_serializing_if = "Option::is_none")]
    pub status: Option<ProvisionedConcurrencyStatusEnum>,
    #[serde(rename = "StatusReason", skip_serializing_if = "Option::is_none")]
    pub status_reason: Option<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct InvokeWithResponseStreamCompleteEvent {
    #[serde(rename = "ErrorCode", skip_serializing_if = "Option::is_none")]
    pub error_code: Option<String>,
    #[serde(rename = "ErrorDetails", skip_serializing_if = "Option::is_none")]
    pub error_details: Option<String>,
    #[serde(rename = "LogResult", skip_serializing_if = "Option::is_none")]
    pub log_result: Option<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ListFunctionsResponse {
    #[serde(rename = "Functions", skip_serializing_if = "Option::is_none")]
    pub functions: Option<Vec<FunctionConfiguration>>,
    #[serde(rename = "NextMarker", skip_serializing_if = "Option::is_none")]
    pub next_marker: Option<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ListProvisionedConcurrencyConfigsResponse {
    #[serde(rename = "NextMarker", skip_serializing_if = "Option::is_none")]
    pub next_marker: Option<String>,
    #[serde(rename = "ProvisionedConcurrencyConfigs", skip_serializing_if = "Option::is_none")]
    pub provisioned_concurrency_configs: Option<Vec<ProvisionedConcurrencyConfigListItem>>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ListTagsResponse {
    #[serde(rename = "Tags", skip_serializing_if = "Option::is_none")]
    pub tags: Option<BTreeMap<String, String>>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ListVersionsByFunctionResponse {
    #[serde(rename = "NextMarker", skip_serializing_if = "Option::is_none")]
    pub next_marker: Option<String>,
    #[serde(rename = "Versions", skip_serializing_if = "Option::is_none")]
    pub versions: Option<Vec<FunctionConfiguration>>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct PutProvisionedConcurrencyConfigResponse {
    #[serde(
        rename = "AllocatedProvisionedConcurrentExecutions",
        skip_serializing_if = "Option::is_none"
    )]
    pub allocated_provisioned_concurrent_executions: Option<i64>,
    #[serde(
        rename = "AvailableProvisionedConcurrentExecutions",
        skip_serializing_if = "Option::is_none"
    )]
    pub available_provisioned_concurrent_executions: Option<i64>,
    #[serde(rename = "LastModified", skip_serializing_if = "Option::is_none")]
    pub last_modified: Option<String>,
    #[serde(
        rename = "RequestedProvisionedConcurrentExecutions",
        skip_serializing_if = "Option::is_none"
    )]
    pub requested_provisioned_concurrent_executions: Option<i64>,
    #[serde(rename = "Status", skip_serializing_if = "Option::is_none")]
    pub status: Option<ProvisionedConcurrencyStatusEnum>,
    #[serde(rename = "StatusReason", skip_serializing_if = "Option::is_none")]
    pub status_reason: Option<String>,
}
