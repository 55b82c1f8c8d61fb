//! Generated from the published service model of Lambda (2015-03-31).
//! Not written by hand: `cargo run -p xtask -- codegen MODEL` makes it anew.

#![allow(unused_imports, reason = "one list of imports for every generated file")]
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::enums::*;
use super::structures::*;
use crate::errors::ApiError;
use crate::request::{Request, Source};
use crate::shape::{Blob, Sensitive};

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct CreateFunctionRequest {
    #[serde(rename = "AcceleratorConfig", skip_serializing_if = "Option::is_none")]
    pub accelerator_config: Option<AcceleratorConfig>,
    #[serde(rename = "Architectures", skip_serializing_if = "Option::is_none")]
    pub architectures: Option<Vec<Architecture>>,
    #[serde(rename = "CapacityProviderConfig", skip_serializing_if = "Option::is_none")]
    pub capacity_provider_config: Option<CapacityProviderConfig>,
    #[serde(rename = "Code", skip_serializing_if = "Option::is_none")]
    pub code: Option<FunctionCode>,
    #[serde(rename = "CodeSigningConfigArn", skip_serializing_if = "Option::is_none")]
    pub code_signing_config_arn: Option<String>,
    #[serde(rename = "DeadLetterConfig", skip_serializing_if = "Option::is_none")]
    pub dead_letter_config: Option<DeadLetterConfig>,
    #[serde(rename = "Description", skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    #[serde(rename = "DurableConfig", skip_serializing_if = "Option::is_none")]
    pub durable_config: Option<DurableConfig>,
    #[serde(rename = "Environment", skip_serializing_if = "Option::is_none")]
    pub environment: Option<Environment>,
    #[serde(rename = "EphemeralStorage", skip_serializing_if = "Option::is_none")]
    pub ephemeral_storage: Option<EphemeralStorage>,
    #[serde(rename = "FileSystemConfigs", skip_serializing_if = "Option::is_none")]
    pub file_system_configs: Option<Vec<FileSystemConfig>>,
    #[serde(rename = "FunctionName", skip_serializing_if = "Option::is_none")]
    pub function_name: Option<String>,
    #[serde(rename = "Handler", skip_serializing_if = "Option::is_none")]
    pub handler: Option<String>,
    #[serde(rename = "ImageConfig", skip_serializing_if = "Option::is_none")]
    pub image_config: Option<ImageConfig>,
    #[serde(rename = "KMSKeyArn", skip_serializing_if = "Option::is_none")]
    pub kms_key_arn: Option<String>,
    #[serde(rename = "Layers", skip_serializing_if = "Option::is_none")]
    pub layers: Option<Vec<String>>,
    #[serde(rename = "LoggingConfig", skip_serializing_if = "Option::is_none")]
    pub logging_config: Option<LoggingConfig>,
    #[serde(rename = "MemorySize", skip_serializing_if = "Option::is_none")]
    pub memory_size: Option<i64>,
    #[serde(rename = "PackageType", skip_serializing_if = "Option::is_none")]
    pub package_type: Option<PackageType>,
    #[serde(rename = "Publish", skip_serializing_if = "Option::is_none")]
    pub publish: Option<bool>,
    #[serde(rename = "PublishTo", skip_serializing_if = "Option::is_none")]
    pub publish_to: Option<FunctionVersionLatestPublished>,
    #[serde(rename = "Role", skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    #[serde(rename = "Runtime", skip_serializing_if = "Option::is_none")]
    pub runtime: Option<Runtime>,
    #[serde(rename = "RuntimeConfig", skip_serializing_if = "Option::is_none")]
    pub runtime_config: Option<FunctionRuntimeConfig>,
    #[serde(rename = "SnapStart", skip_serializing_if = "Option::is_none")]
    pub snap_start: Option<SnapStart>,
    #[serde(rename = "Tags", skip_serializing_if = "Option::is_none")]
    pub tags: Option<BTreeMap<String, String>>,
    #[serde(rename = "TenancyConfig", skip_serializing_if = "Option::is_none")]
    pub tenancy_config: Option<TenancyConfig>,
    #[serde(rename = "Timeout", skip_serializing_if = "Option::is_none")]
    pub timeout: Option<i64>,
    #[serde(rename = "TracingConfig", skip_serializing_if = "Option::is_none")]
    pub tracing_config: Option<TracingConfig>,
    #[serde(rename = "VpcConfig", skip_serializing_if = "Option::is_none")]
    pub vpc_config: Option<VpcConfig>,
}

impl Request for CreateFunctionRequest {
    const HAS_BODY: bool = true;

    fn bind(&mut self, _source: &Source<'_>) -> Result<(), ApiError> {
        Ok(())
    }
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct DeleteFunctionConcurrencyRequest {
    #[serde(skip)]
    pub function_name: Option<String>,
}

impl Request for DeleteFunctionConcurrencyRequest {
    const HAS_BODY: bool = false;

    fn bind(&mut self, source: &Source<'_>) -> Result<(), ApiError> {
        self.function_name = source.param("FunctionName");
        Ok(())
    }
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct DeleteFunctionRequest {
    #[serde(skip)]
    pub function_name: Option<String>,
    #[serde(skip)]
    pub qualifier: Option<String>,
}

impl Request for DeleteFunctionRequest {
    const HAS_BODY: bool = false;

    fn bind(&mut self, source: &Source<'_>) -> Result<(), ApiError> {
        self.function_name = source.param("FunctionName");
        self.qualifier = source.query("Qualifier");
        Ok(())
    }
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct DeleteProvisionedConcurrencyConfigRequest {
    #[serde(skip)]
    pub function_name: Option<String>,
    #[serde(skip)]
    pub qualifier: Option<String>,
}

impl Request for DeleteProvisionedConcurrencyConfigRequest {
    const HAS_BODY: bool = false;

    fn bind(&mut self, source: &Source<'_>) -> Result<(), ApiError> {
        self.function_name = source.param("FunctionName");
        self.qualifier = source.query("Qualifier");
        Ok(())
    }
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct GetAccountSettingsRequest {}

impl Request for GetAccountSettingsRequest {
    const HAS_BODY: bool = false;

    fn bind(&mut self, _source: &Source<'_>) -> Result<(), ApiError> {
        Ok(())
    }
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct GetFunctionConcurrencyRequest {
    #[serde(skip)]
    pub function_name: Option<String>,
}

impl Request for GetFunctionConcurrencyRequest {
    const HAS_BODY: bool = false;

    fn bind(&mut self, source: &Source<'_>) -> Result<(), ApiError> {
        self.function_name = source.param("FunctionName");
        Ok(())
    }
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct GetFunctionConfigurationRequest {
    #[serde(skip)]
    pub function_name: Option<String>,
    #[serde(skip)]
    pub qualifier: Option<String>,
}

impl Request for GetFunctionConfigurationRequest {
    const HAS_BODY: bool = false;

    fn bind(&mut self, source: &Source<'_>) -> Result<(), ApiError> {
        self.function_name = source.param("FunctionName");
        self.qualifier = source.query("Qualifier");
        Ok(())
    }
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct GetFunctionRequest {
    #[serde(skip)]
    pub function_name: Option<String>,
    #[serde(skip)]
    pub qualifier: Option<String>,
}

impl Request for GetFunctionRequest {
    const HAS_BODY: bool = false;

    fn bind(&mut self, source: &Source<'_>) -> Result<(), ApiError> {
        self.function_name = source.param("FunctionName");
        self.qualifier = source.query("Qualifier");
        Ok(())
    }
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct GetProvisionedConcurrencyConfigRequest {
    #[serde(skip)]
    pub function_name: Option<String>,
    #[serde(skip)]
    pub qualifier: Option<String>,
}

impl Request for GetProvisionedConcurrencyConfigRequest {
    const HAS_BODY: bool = false;

    fn bind(&mut self, source: &Source<'_>) -> Result<(), ApiError> {
        self.function_name = source.param("FunctionName");
        self.qualifier = source.query("Qualifier");
        Ok(())
    }
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ListFunctionsRequest {
    #[serde(skip)]
    pub function_version: Option<FunctionVersion>,
    #[serde(skip)]
    pub marker: Option<String>,
    #[serde(skip)]
    pub master_region: Option<String>,
    #[serde(skip)]
    pub max_items: Option<i64>,
}

impl Request for ListFunctionsRequest {
    const HAS_BODY: bool = false;

    fn bind(&mut self, source: &Source<'_>) -> Result<(), ApiError> {
        self.function_version = source.query("FunctionVersion").map(Into::into);
        self.marker = source.query("Marker");
        self.master_region = source.query("MasterRegion");
        self.max_items = source.query_integer("MaxItems")?;
        Ok(())
    }
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ListProvisionedConcurrencyConfigsRequest {
    #[serde(skip)]
    pub function_name: Option<String>,
    #[serde(skip)]
    pub marker: Option<String>,
    #[serde(skip)]
    pub max_items: Option<i64>,
}

impl Request for ListProvisionedConcurrencyConfigsRequest {
    const HAS_BODY: bool = false;

    fn bind(&mut self, source: &Source<'_>) -> Result<(), ApiError> {
        self.function_name = source.param("FunctionName");
        self.marker = source.query("Marker");
        self.max_items = source.query_integer("MaxItems")?;
        Ok(())
    }
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ListTagsRequest {
    #[serde(skip)]
    pub resource: Option<String>,
}

impl Request for ListTagsRequest {
    const HAS_BODY: bool = false;

    fn bind(&mut self, source: &Source<'_>) -> Result<(), ApiError> {
        self.resource = source.param("Resource");
        Ok(())
    }
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ListVersionsByFunctionRequest {
    #[serde(skip)]
    pub function_name: Option<String>,
    #[serde(skip)]
    pub marker: Option<String>,
    #[serde(skip)]
    pub max_items: Option<i64>,
}

impl Request for ListVersionsByFunctionRequest {
    const HAS_BODY: bool = false;

    fn bind(&mut self, source: &Source<'_>) -> Result<(), ApiError> {
        self.function_name = source.param("FunctionName");
        self.marker = source.query("Marker");
        self.max_items = source.query_integer("MaxItems")?;
        Ok(())
    }
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct PublishVersionRequest {
    #[serde(rename = "CodeSha256", skip_serializing_if = "Option::is_none")]
    pub code_sha256: Option<String>,
    #[serde(rename = "Description", skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    #[serde(skip)]
    pub function_name: Option<String>,
    #[serde(rename = "PublishTo", skip_serializing_if = "Option::is_none")]
    pub publish_to: Option<FunctionVersionLatestPublished>,
    #[serde(rename = "RevisionId", skip_serializing_if = "Option::is_none")]
    pub revision_id: Option<String>,
}

impl Request for PublishVersionRequest {
    const HAS_BODY: bool = true;

    fn bind(&mut self, source: &Source<'_>) -> Result<(), ApiError> {
        self.function_name = source.param("FunctionName");
        Ok(())
    }
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct PutFunctionConcurrencyRequest {
    #[serde(skip)]
    pub function_name: Option<String>,
    #[serde(rename = "ReservedConcurrentExecutions", skip_serializing_if = "Option::is_none")]
    pub reserved_concurrent_executions: Option<i64>,
}

impl Request for PutFunctionConcurrencyRequest {
    const HAS_BODY: bool = true;

    fn bind(&mut self, source: &Source<'_>) -> Result<(), ApiError> {
        self.function_name = source.param("FunctionName");
        Ok(())
    }
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct PutProvisionedConcurrencyConfigRequest {
    #[serde(skip)]
    pub function_name: Option<String>,
    #[serde(rename = "ProvisionedConcurrentExecutions", skip_serializing_if = "Option::is_none")]
    pub provisioned_concurrent_executions: Option<i64>,
    #[serde(skip)]
    pub qualifier: Option<String>,
}

impl Request for PutProvisionedConcurrencyConfigRequest {
    const HAS_BODY: bool = true;

    fn bind(&mut self, source: &Source<'_>) -> Result<(), ApiError> {
        self.function_name = source.param("FunctionName");
        self.qualifier = source.query("Qualifier");
        Ok(())
    }
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct TagResourceRequest {
    #[serde(skip)]
    pub resource: Option<String>,
    #[serde(rename = "Tags", skip_serializing_if = "Option::is_none")]
    pub tags: Option<BTreeMap<String, String>>,
}

impl Request for TagResourceRequest {
    const HAS_BODY: bool = true;

    fn bind(&mut self, source: &Source<'_>) -> Result<(), ApiError> {
        self.resource = source.param("Resource");
        Ok(())
    }
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct UntagResourceRequest {
    #[serde(skip)]
    pub resource: Option<String>,
    #[serde(skip)]
    pub tag_keys: Option<Vec<String>>,
}

impl Request for UntagResourceRequest {
    const HAS_BODY: bool = false;

    fn bind(&mut self, source: &Source<'_>) -> Result<(), ApiError> {
        self.resource = source.param("Resource");
        self.tag_keys = source.query_all("tagKeys");
        Ok(())
    }
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct UpdateFunctionCodeRequest {
    #[serde(rename = "Architectures", skip_serializing_if = "Option::is_none")]
    pub architectures: Option<Vec<Architecture>>,
    #[serde(rename = "DryRun", skip_serializing_if = "Option::is_none")]
    pub dry_run: Option<bool>,
    #[serde(skip)]
    pub function_name: Option<String>,
    #[serde(rename = "ImageUri", skip_serializing_if = "Option::is_none")]
    pub image_uri: Option<String>,
    #[serde(rename = "Publish", skip_serializing_if = "Option::is_none")]
    pub publish: Option<bool>,
    #[serde(rename = "PublishTo", skip_serializing_if = "Option::is_none")]
    pub publish_to: Option<FunctionVersionLatestPublished>,
    #[serde(rename = "RevisionId", skip_serializing_if = "Option::is_none")]
    pub revision_id: Option<String>,
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

impl Request for UpdateFunctionCodeRequest {
    const HAS_BODY: bool = true;

    fn bind(&mut self, source: &Source<'_>) -> Result<(), ApiError> {
        self.function_name = source.param("FunctionName");
        Ok(())
    }
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct UpdateFunctionConfigurationRequest {
    #[serde(rename = "AcceleratorConfig", skip_serializing_if = "Option::is_none")]
    pub accelerator_config: Option<AcceleratorConfig>,
    #[serde(rename = "CapacityProviderConfig", skip_serializing_if = "Option::is_none")]
    pub capacity_provider_config: Option<CapacityProviderConfig>,
    #[serde(rename = "DeadLetterConfig", skip_serializing_if = "Option::is_none")]
    pub dead_letter_config: Option<DeadLetterConfig>,
    #[serde(rename = "Description", skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    #[serde(rename = "DurableConfig", skip_serializing_if = "Option::is_none")]
    pub durable_config: Option<DurableConfig>,
    #[serde(rename = "Environment", skip_serializing_if = "Option::is_none")]
    pub environment: Option<Environment>,
    #[serde(rename = "EphemeralStorage", skip_serializing_if = "Option::is_none")]
    pub ephemeral_storage: Option<EphemeralStorage>,
    #[serde(rename = "FileSystemConfigs", skip_serializing_if = "Option::is_none")]
    pub file_system_configs: Option<Vec<FileSystemConfig>>,
    #[serde(skip)]
    pub function_name: Option<String>,
    #[serde(rename = "Handler", skip_serializing_if = "Option::is_none")]
    pub handler: Option<String>,
    #[serde(rename = "ImageConfig", skip_serializing_if = "Option::is_none")]
    pub image_config: Option<ImageConfig>,
    #[serde(rename = "KMSKeyArn", skip_serializing_if = "Option::is_none")]
    pub kms_key_arn: Option<String>,
    #[serde(rename = "Layers", skip_serializing_if = "Option::is_none")]
    pub layers: Option<Vec<String>>,
    #[serde(rename = "LoggingConfig", skip_serializing_if = "Option::is_none")]
    pub logging_config: Option<LoggingConfig>,
    #[serde(rename = "MemorySize", skip_serializing_if = "Option::is_none")]
    pub memory_size: Option<i64>,
    #[serde(rename = "RevisionId", skip_serializing_if = "Option::is_none")]
    pub revision_id: Option<String>,
    #[serde(rename = "Role", skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    #[serde(rename = "Runtime", skip_serializing_if = "Option::is_none")]
    pub runtime: Option<Runtime>,
    #[serde(rename = "RuntimeConfig", skip_serializing_if = "Option::is_none")]
    pub runtime_config: Option<FunctionRuntimeConfig>,
    #[serde(rename = "SnapStart", skip_serializing_if = "Option::is_none")]
    pub snap_start: Option<SnapStart>,
    #[serde(rename = "Timeout", skip_serializing_if = "Option::is_none")]
    pub timeout: Option<i64>,
    #[serde(rename = "TracingConfig", skip_serializing_if = "Option::is_none")]
    pub tracing_config: Option<TracingConfig>,
    #[serde(rename = "VpcConfig", skip_serializing_if = "Option::is_none")]
    pub vpc_config: Option<VpcConfig>,
}

impl Request for UpdateFunctionConfigurationRequest {
    const HAS_BODY: bool = true;

    fn bind(&mut self, source: &Source<'_>) -> Result<(), ApiError> {
        self.function_name = source.param("FunctionName");
        Ok(())
    }
}
