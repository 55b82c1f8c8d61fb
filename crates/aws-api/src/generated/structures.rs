//! Generated from the published service model of Lambda (2015-03-31).
//! Not written by hand: `cargo run -p xtask -- codegen MODEL` makes it anew.

#![allow(unused_imports, reason = "one list of imports for every generated file")]
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::enums::*;
use crate::shape::{Blob, Sensitive};

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct AcceleratorConfig {
    #[serde(rename = "AcceleratorMemorySize", skip_serializing_if = "Option::is_none")]
    pub accelerator_memory_size: Option<i64>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct AccountLimit {
    #[serde(rename = "CodeSizeUnzipped", skip_serializing_if = "Option::is_none")]
    pub code_size_unzipped: Option<i64>,
    #[serde(rename = "CodeSizeZipped", skip_serializing_if = "Option::is_none")]
    pub code_size_zipped: Option<i64>,
    #[serde(rename = "ConcurrentExecutions", skip_serializing_if = "Option::is_none")]
    pub concurrent_executions: Option<i64>,
    #[serde(rename = "TotalCodeSize", skip_serializing_if = "Option::is_none")]
    pub total_code_size: Option<i64>,
    #[serde(rename = "UnreservedConcurrentExecutions", skip_serializing_if = "Option::is_none")]
    pub unreserved_concurrent_executions: Option<i64>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct AccountUsage {
    #[serde(rename = "FunctionCount", skip_serializing_if = "Option::is_none")]
    pub function_count: Option<i64>,
    #[serde(rename = "TotalCodeSize", skip_serializing_if = "Option::is_none")]
    pub total_code_size: Option<i64>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct CapacityProviderConfig {
    #[serde(
        rename = "LambdaManagedInstancesCapacityProviderConfig",
        skip_serializing_if = "Option::is_none"
    )]
    pub lambda_managed_instances_capacity_provider_config:
        Option<LambdaManagedInstancesCapacityProviderConfig>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct DeadLetterConfig {
    #[serde(rename = "TargetArn", skip_serializing_if = "Option::is_none")]
    pub target_arn: Option<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct DurableConfig {
    #[serde(rename = "ExecutionTimeout", skip_serializing_if = "Option::is_none")]
    pub execution_timeout: Option<i64>,
    #[serde(rename = "KMSKeyArn", skip_serializing_if = "Option::is_none")]
    pub kms_key_arn: Option<String>,
    #[serde(rename = "RetentionPeriodInDays", skip_serializing_if = "Option::is_none")]
    pub retention_period_in_days: Option<i64>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Environment {
    #[serde(rename = "Variables", skip_serializing_if = "Option::is_none")]
    pub variables: Option<Sensitive<BTreeMap<String, String>>>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct EnvironmentError {
    #[serde(rename = "ErrorCode", skip_serializing_if = "Option::is_none")]
    pub error_code: Option<String>,
    #[serde(rename = "Message", skip_serializing_if = "Option::is_none")]
    pub message: Option<Sensitive<String>>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct EnvironmentResponse {
    #[serde(rename = "Error", skip_serializing_if = "Option::is_none")]
    pub error: Option<EnvironmentError>,
    #[serde(rename = "Variables", skip_serializing_if = "Option::is_none")]
    pub variables: Option<Sensitive<BTreeMap<String, String>>>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct EphemeralStorage {
    #[serde(rename = "Size", skip_serializing_if = "Option::is_none")]
    pub size: Option<i64>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct FileSystemConfig {
    #[serde(rename = "Arn", skip_serializing_if = "Option::is_none")]
    pub arn: Option<String>,
    #[serde(rename = "LocalMountPath", skip_serializing_if = "Option::is_none")]
    pub local_mount_path: Option<String>,
    #[serde(rename = "S3FilesConfig", skip_serializing_if = "Option::is_none")]
    pub s3_files_config: Option<S3FilesConfig>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct FunctionCode {
    #[serde(rename = "ImageUri", skip_serializing_if = "Option::is_none")]
    pub image_uri: Option<String>,
    #[serde(rename = "S3Bucket", skip_serializing_if = "Option::is_none")]
    pub s3_bucket: Option<String>,
    #[serde(rename = "S3Key", skip_serializing_if = "Option::is_none")]
    pub s3_key: Option<String>,
    #[serde(rename = "S3ObjectStorageMode", skip_serializing_if = "Option::is_none")]
    pub s3_object_storage_mode: Option<S3ObjectStorageMode>,
    #[serde(rename = "S3ObjectVersion", skip_serializing_if = "Option::is_none")]
    pub s3_object_version: Option<String>,
    #[serde(rename = "SourceKMSKeyArn", skip_serializing_if = "Option::is_none")]
    pub source_kms_key_arn: Option<String>,
    #[serde(rename = "ZipFile", skip_serializing_if = "Option::is_none")]
    pub zip_file: Option<Blob>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct FunctionCodeLocation {
    #[serde(rename = "Error", skip_serializing_if = "Option::is_none")]
    pub error: Option<FunctionCodeLocationError>,
    #[serde(rename = "ImageUri", skip_serializing_if = "Option::is_none")]
    pub image_uri: Option<String>,
    #[serde(rename = "Location", skip_serializing_if = "Option::is_none")]
    pub location: Option<String>,
    #[serde(rename = "RepositoryType", skip_serializing_if = "Option::is_none")]
    pub repository_type: Option<String>,
    #[serde(rename = "ResolvedImageUri", skip_serializing_if = "Option::is_none")]
    pub resolved_image_uri: Option<String>,
    #[serde(rename = "ResolvedS3Object", skip_serializing_if = "Option::is_none")]
    pub resolved_s3_object: Option<ResolvedS3Object>,
    #[serde(rename = "SourceKMSKeyArn", skip_serializing_if = "Option::is_none")]
    pub source_kms_key_arn: Option<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct FunctionCodeLocationError {
    #[serde(rename = "ErrorCode", skip_serializing_if = "Option::is_none")]
    pub error_code: Option<String>,
    #[serde(rename = "Message", skip_serializing_if = "Option::is_none")]
    pub message: Option<Sensitive<String>>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct FunctionRuntimeConfig {
    #[serde(rename = "RuntimeAlias", skip_serializing_if = "Option::is_none")]
    pub runtime_alias: Option<String>,
    #[serde(rename = "RuntimeArn", skip_serializing_if = "Option::is_none")]
    pub runtime_arn: Option<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ImageConfig {
    #[serde(rename = "Command", skip_serializing_if = "Option::is_none")]
    pub command: Option<Vec<String>>,
    #[serde(rename = "EntryPoint", skip_serializing_if = "Option::is_none")]
    pub entry_point: Option<Vec<String>>,
    #[serde(rename = "WorkingDirectory", skip_serializing_if = "Option::is_none")]
    pub working_directory: Option<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ImageConfigError {
    #[serde(rename = "ErrorCode", skip_serializing_if = "Option::is_none")]
    pub error_code: Option<String>,
    #[serde(rename = "Message", skip_serializing_if = "Option::is_none")]
    pub message: Option<Sensitive<String>>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ImageConfigResponse {
    #[serde(rename = "Error", skip_serializing_if = "Option::is_none")]
    pub error: Option<ImageConfigError>,
    #[serde(rename = "ImageConfig", skip_serializing_if = "Option::is_none")]
    pub image_config: Option<ImageConfig>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct LambdaManagedInstancesCapacityProviderConfig {
    #[serde(rename = "CapacityProviderArn", skip_serializing_if = "Option::is_none")]
    pub capacity_provider_arn: Option<String>,
    #[serde(
        rename = "ExecutionEnvironmentMemoryGiBPerVCpu",
        skip_serializing_if = "Option::is_none"
    )]
    pub execution_environment_memory_gib_per_vcpu: Option<f64>,
    #[serde(
        rename = "PerExecutionEnvironmentMaxConcurrency",
        skip_serializing_if = "Option::is_none"
    )]
    pub per_execution_environment_max_concurrency: Option<i64>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Layer {
    #[serde(rename = "Arn", skip_serializing_if = "Option::is_none")]
    pub arn: Option<String>,
    #[serde(rename = "CodeSize", skip_serializing_if = "Option::is_none")]
    pub code_size: Option<i64>,
    #[serde(rename = "SigningJobArn", skip_serializing_if = "Option::is_none")]
    pub signing_job_arn: Option<String>,
    #[serde(rename = "SigningProfileVersionArn", skip_serializing_if = "Option::is_none")]
    pub signing_profile_version_arn: Option<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct LoggingConfig {
    #[serde(rename = "ApplicationLogLevel", skip_serializing_if = "Option::is_none")]
    pub application_log_level: Option<ApplicationLogLevel>,
    #[serde(rename = "LogFormat", skip_serializing_if = "Option::is_none")]
    pub log_format: Option<LogFormat>,
    #[serde(rename = "LogGroup", skip_serializing_if = "Option::is_none")]
    pub log_group: Option<String>,
    #[serde(rename = "SystemLogLevel", skip_serializing_if = "Option::is_none")]
    pub system_log_level: Option<SystemLogLevel>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ProvisionedConcurrencyConfigListItem {
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
    #[serde(rename = "FunctionArn", skip_serializing_if = "Option::is_none")]
    pub function_arn: Option<String>,
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
pub struct ResolvedS3Object {
    #[serde(rename = "S3Bucket", skip_serializing_if = "Option::is_none")]
    pub s3_bucket: Option<String>,
    #[serde(rename = "S3Key", skip_serializing_if = "Option::is_none")]
    pub s3_key: Option<String>,
    #[serde(rename = "S3ObjectVersion", skip_serializing_if = "Option::is_none")]
    pub s3_object_version: Option<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct RuntimeVersionConfig {
    #[serde(rename = "Error", skip_serializing_if = "Option::is_none")]
    pub error: Option<RuntimeVersionError>,
    #[serde(rename = "RuntimeVersionArn", skip_serializing_if = "Option::is_none")]
    pub runtime_version_arn: Option<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct RuntimeVersionError {
    #[serde(rename = "ErrorCode", skip_serializing_if = "Option::is_none")]
    pub error_code: Option<String>,
    #[serde(rename = "Message", skip_serializing_if = "Option::is_none")]
    pub message: Option<Sensitive<String>>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct S3FilesConfig {
    #[serde(rename = "DirectS3Read", skip_serializing_if = "Option::is_none")]
    pub direct_s3_read: Option<DirectS3Read>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct SnapStart {
    #[serde(rename = "ApplyOn", skip_serializing_if = "Option::is_none")]
    pub apply_on: Option<SnapStartApplyOn>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct SnapStartResponse {
    #[serde(rename = "ApplyOn", skip_serializing_if = "Option::is_none")]
    pub apply_on: Option<SnapStartApplyOn>,
    #[serde(rename = "OptimizationStatus", skip_serializing_if = "Option::is_none")]
    pub optimization_status: Option<SnapStartOptimizationStatus>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct TagsError {
    #[serde(rename = "ErrorCode", skip_serializing_if = "Option::is_none")]
    pub error_code: Option<String>,
    #[serde(rename = "Message", skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct TenancyConfig {
    #[serde(rename = "TenantIsolationMode", skip_serializing_if = "Option::is_none")]
    pub tenant_isolation_mode: Option<TenantIsolationMode>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct TracingConfig {
    #[serde(rename = "Mode", skip_serializing_if = "Option::is_none")]
    pub mode: Option<TracingMode>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct TracingConfigResponse {
    #[serde(rename = "Mode", skip_serializing_if = "Option::is_none")]
    pub mode: Option<TracingMode>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct VpcConfig {
    #[serde(rename = "Ipv6AllowedForDualStack", skip_serializing_if = "Option::is_none")]
    pub ipv6_allowed_for_dual_stack: Option<bool>,
    #[serde(rename = "SecurityGroupIds", skip_serializing_if = "Option::is_none")]
    pub security_group_ids: Option<Vec<String>>,
    #[serde(rename = "SubnetIds", skip_serializing_if = "Option::is_none")]
    pub subnet_ids: Option<Vec<String>>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct VpcConfigResponse {
    #[serde(rename = "Ipv6AllowedForDualStack", skip_serializing_if = "Option::is_none")]
    pub ipv6_allowed_for_dual_stack: Option<bool>,
    #[serde(rename = "SecurityGroupIds", skip_serializing_if = "Option::is_none")]
    pub security_group_ids: Option<Vec<String>>,
    #[serde(rename = "SubnetIds", skip_serializing_if = "Option::is_none")]
    pub subnet_ids: Option<Vec<String>>,
    #[serde(rename = "VpcId", skip_serializing_if = "Option::is_none")]
    pub vpc_id: Option<String>,
}
