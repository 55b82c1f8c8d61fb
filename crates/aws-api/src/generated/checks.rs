//! Generated from the published service model of Lambda (2015-03-31).
//! Not written by hand: `cargo run -p xtask -- codegen MODEL` makes it anew.

use super::constraints as c;
use super::requests::*;
use super::structures::*;
use crate::validate::{Check, Violations};

impl Check for CreateFunctionRequest {
    fn check(&self, v: &mut Violations) {
        v.nested("acceleratorConfig", self.accelerator_config.as_ref());
        v.enums("architectures", self.architectures.as_deref(), &c::ARCHITECTURES_LIST);
        v.nested("capacityProviderConfig", self.capacity_provider_config.as_ref());
        v.required("code", self.code.is_some());
        v.nested("code", self.code.as_ref());
        v.text(
            "codeSigningConfigArn",
            self.code_signing_config_arn.as_deref(),
            &c::CODE_SIGNING_CONFIG_ARN,
        );
        v.nested("deadLetterConfig", self.dead_letter_config.as_ref());
        v.text("description", self.description.as_deref(), &c::DESCRIPTION);
        v.nested("durableConfig", self.durable_config.as_ref());
        v.nested("environment", self.environment.as_ref());
        v.nested("ephemeralStorage", self.ephemeral_storage.as_ref());
        v.each(
            "fileSystemConfigs",
            self.file_system_configs.as_deref(),
            &c::FILE_SYSTEM_CONFIG_LIST,
        );
        v.required("functionName", self.function_name.is_some());
        v.text("functionName", self.function_name.as_deref(), &c::FUNCTION_NAME);
        v.text("handler", self.handler.as_deref(), &c::HANDLER);
        v.nested("imageConfig", self.image_config.as_ref());
        v.text("kMSKeyArn", self.kms_key_arn.as_deref(), &c::KMS_KEY_ARN);
        v.texts("layers", self.layers.as_deref(), &c::LAYER_LIST, &c::LAYER_VERSION_ARN);
        v.nested("loggingConfig", self.logging_config.as_ref());
        v.integer("memorySize", self.memory_size, &c::MEMORY_SIZE);
        v.one_of("packageType", self.package_type.as_ref());

        v.one_of("publishTo", self.publish_to.as_ref());
        v.required("role", self.role.is_some());
        v.text("role", self.role.as_deref(), &c::ROLE_ARN);
        v.one_of("runtime", self.runtime.as_ref());
        v.nested("runtimeConfig", self.runtime_config.as_ref());
        v.nested("snapStart", self.snap_start.as_ref());
        v.map("tags", self.tags.as_ref(), &c::TAG_KEY, &c::TAG_VALUE, false);
        v.nested("tenancyConfig", self.tenancy_config.as_ref());
        v.integer("timeout", self.timeout, &c::TIMEOUT);
        v.nested("tracingConfig", self.tracing_config.as_ref());
        v.nested("vpcConfig", self.vpc_config.as_ref());
    }
}

impl Check for DeleteFunctionConcurrencyRequest {
    fn check(&self, v: &mut Violations) {
        v.required("functionName", self.function_name.is_some());
        v.text("functionName", self.function_name.as_deref(), &c::FUNCTION_NAME);
    }
}

impl Check for DeleteFunctionRequest {
    fn check(&self, v: &mut Violations) {
        v.required("functionName", self.function_name.is_some());
        v.text("functionName", self.function_name.as_deref(), &c::NAMESPACED_FUNCTION_NAME);
        v.text(
            "qualifier",
            self.qualifier.as_deref(),
            &c::NUMERIC_LATEST_PUBLISHED_OR_ALIAS_QUALIFIER,
        );
    }
}

impl Check for DeleteProvisionedConcurrencyConfigRequest {
    fn check(&self, v: &mut Violations) {
        v.required("functionName", self.function_name.is_some());
        v.text("functionName", self.function_name.as_deref(), &c::FUNCTION_NAME);
        v.required("qualifier", self.qualifier.is_some());
        v.text("qualifier", self.qualifier.as_deref(), &c::QUALIFIER);
    }
}

impl Check for GetAccountSettingsRequest {
    fn check(&self, _v: &mut Violations) {}
}

impl Check for GetFunctionConcurrencyRequest {
    fn check(&self, v: &mut Violations) {
        v.required("functionName", self.function_name.is_some());
        v.text("functionName", self.function_name.as_deref(), &c::FUNCTION_NAME);
    }
}

impl Check for GetFunctionConfigurationRequest {
    fn check(&self, v: &mut Violations) {
        v.required("functionName", self.function_name.is_some());
        v.text("functionName", self.function_name.as_deref(), &c::NAMESPACED_FUNCTION_NAME);
        v.text(
            "qualifier",
            self.qualifier.as_deref(),
            &c::NUMERIC_LATEST_PUBLISHED_OR_ALIAS_QUALIFIER,
        );
    }
}

impl Check for GetFunctionRequest {
    fn check(&self, v: &mut Violations) {
        v.required("functionName", self.function_name.is_some());
        v.text("functionName", self.function_name.as_deref(), &c::NAMESPACED_FUNCTION_NAME);
        v.text(
            "qualifier",
            self.qualifier.as_deref(),
            &c::NUMERIC_LATEST_PUBLISHED_OR_ALIAS_QUALIFIER,
        );
    }
}

impl Check for GetProvisionedConcurrencyConfigRequest {
    fn check(&self, v: &mut Violations) {
        v.required("functionName", self.function_name.is_some());
        v.text("functionName", self.function_name.as_deref(), &c::FUNCTION_NAME);
        v.required("qualifier", self.qualifier.is_some());
        v.text("qualifier", self.qualifier.as_deref(), &c::QUALIFIER);
    }
}

impl Check for ListFunctionsRequest {
    fn check(&self, v: &mut Violations) {
        v.one_of("functionVersion", self.function_version.as_ref());
        v.text("marker", self.marker.as_deref(), &c::STRING);
        v.text("masterRegion", self.master_region.as_deref(), &c::MASTER_REGION);
        v.integer("maxItems", self.max_items, &c::MAX_LIST_ITEMS);
    }
}

impl Check for ListProvisionedConcurrencyConfigsRequest {
    fn check(&self, v: &mut Violations) {
        v.required("functionName", self.function_name.is_some());
        v.text("functionName", self.function_name.as_deref(), &c::FUNCTION_NAME);
        v.text("marker", self.marker.as_deref(), &c::STRING);
        v.integer("maxItems", self.max_items, &c::MAX_PROVISIONED_CONCURRENCY_CONFIG_LIST_ITEMS);
    }
}

impl Check for ListTagsRequest {
    fn check(&self, v: &mut Violations) {
        v.required("resource", self.resource.is_some());
        v.text("resource", self.resource.as_deref(), &c::TAGGABLE_RESOURCE);
    }
}

impl Check for ListVersionsByFunctionRequest {
    fn check(&self, v: &mut Violations) {
        v.required("functionName", self.function_name.is_some());
        v.text("functionName", self.function_name.as_deref(), &c::NAMESPACED_FUNCTION_NAME);
        v.text("marker", self.marker.as_deref(), &c::STRING);
        v.integer("maxItems", self.max_items, &c::MAX_LIST_ITEMS);
    }
}

impl Check for PublishVersionRequest {
    fn check(&self, v: &mut Violations) {
        v.text("codeSha256", self.code_sha256.as_deref(), &c::STRING);
        v.text("description", self.description.as_deref(), &c::DESCRIPTION);
        v.required("functionName", self.function_name.is_some());
        v.text("functionName", self.function_name.as_deref(), &c::FUNCTION_NAME);
        v.one_of("publishTo", self.publish_to.as_ref());
        v.text("revisionId", self.revision_id.as_deref(), &c::STRING);
    }
}

impl Check for PutFunctionConcurrencyRequest {
    fn check(&self, v: &mut Violations) {
        v.required("functionName", self.function_name.is_some());
        v.text("functionName", self.function_name.as_deref(), &c::FUNCTION_NAME);
        v.required("reservedConcurrentExecutions", self.reserved_concurrent_executions.is_some());
        v.integer(
            "reservedConcurrentExecutions",
            self.reserved_concurrent_executions,
            &c::RESERVED_CONCURRENT_EXECUTIONS,
        );
    }
}

impl Check for PutProvisionedConcurrencyConfigRequest {
    fn check(&self, v: &mut Violations) {
        v.required("functionName", self.function_name.is_some());
        v.text("functionName", self.function_name.as_deref(), &c::FUNCTION_NAME);
        v.required(
            "provisionedConcurrentExecutions",
            self.provisioned_concurrent_executions.is_some(),
        );
        v.integer(
            "provisionedConcurrentExecutions",
            self.provisioned_concurrent_executions,
            &c::POSITIVE_INTEGER,
        );
        v.required("qualifier", self.qualifier.is_some());
        v.text("qualifier", self.qualifier.as_deref(), &c::QUALIFIER);
    }
}

impl Check for TagResourceRequest {
    fn check(&self, v: &mut Violations) {
        v.required("resource", self.resource.is_some());
        v.text("resource", self.resource.as_deref(), &c::TAGGABLE_RESOURCE);
        v.required("tags", self.tags.is_some());
        v.map("tags", self.tags.as_ref(), &c::TAG_KEY, &c::TAG_VALUE, false);
    }
}

impl Check for UntagResourceRequest {
    fn check(&self, v: &mut Violations) {
        v.required("resource", self.resource.is_some());
        v.text("resource", self.resource.as_deref(), &c::TAGGABLE_RESOURCE);
        v.required("tagKeys", self.tag_keys.is_some());
        v.texts("tagKeys", self.tag_keys.as_deref(), &c::TAG_KEY_LIST, &c::TAG_KEY);
    }
}

impl Check for UpdateFunctionCodeRequest {
    fn check(&self, v: &mut Violations) {
        v.enums("architectures", self.architectures.as_deref(), &c::ARCHITECTURES_LIST);

        v.required("functionName", self.function_name.is_some());
        v.text("functionName", self.function_name.as_deref(), &c::FUNCTION_NAME);
        v.text("imageUri", self.image_uri.as_deref(), &c::STRING);

        v.one_of("publishTo", self.publish_to.as_ref());
        v.text("revisionId", self.revision_id.as_deref(), &c::STRING);
        v.text("s3Bucket", self.s3_bucket.as_deref(), &c::S3_BUCKET);
        v.text("s3Key", self.s3_key.as_deref(), &c::S3_KEY);
        v.one_of("s3ObjectStorageMode", self.s3_object_storage_mode.as_ref());
        v.text("s3ObjectVersion", self.s3_object_version.as_deref(), &c::S3_OBJECT_VERSION);
        v.text("sourceKMSKeyArn", self.source_kms_key_arn.as_deref(), &c::KMS_KEY_ARN);
    }
}

impl Check for UpdateFunctionConfigurationRequest {
    fn check(&self, v: &mut Violations) {
        v.nested("acceleratorConfig", self.accelerator_config.as_ref());
        v.nested("capacityProviderConfig", self.capacity_provider_config.as_ref());
        v.nested("deadLetterConfig", self.dead_letter_config.as_ref());
        v.text("description", self.description.as_deref(), &c::DESCRIPTION);
        v.nested("durableConfig", self.durable_config.as_ref());
        v.nested("environment", self.environment.as_ref());
        v.nested("ephemeralStorage", self.ephemeral_storage.as_ref());
        v.each(
            "fileSystemConfigs",
            self.file_system_configs.as_deref(),
            &c::FILE_SYSTEM_CONFIG_LIST,
        );
        v.required("functionName", self.function_name.is_some());
        v.text("functionName", self.function_name.as_deref(), &c::FUNCTION_NAME);
        v.text("handler", self.handler.as_deref(), &c::HANDLER);
        v.nested("imageConfig", self.image_config.as_ref());
        v.text("kMSKeyArn", self.kms_key_arn.as_deref(), &c::KMS_KEY_ARN);
        v.texts("layers", self.layers.as_deref(), &c::LAYER_LIST, &c::LAYER_VERSION_ARN);
        v.nested("loggingConfig", self.logging_config.as_ref());
        v.integer("memorySize", self.memory_size, &c::MEMORY_SIZE);
        v.text("revisionId", self.revision_id.as_deref(), &c::STRING);
        v.text("role", self.role.as_deref(), &c::ROLE_ARN);
        v.one_of("runtime", self.runtime.as_ref());
        v.nested("runtimeConfig", self.runtime_config.as_ref());
        v.nested("snapStart", self.snap_start.as_ref());
        v.integer("timeout", self.timeout, &c::TIMEOUT);
        v.nested("tracingConfig", self.tracing_config.as_ref());
        v.nested("vpcConfig", self.vpc_config.as_ref());
    }
}

impl Check for AcceleratorConfig {
    fn check(&self, v: &mut Violations) {
        v.required("acceleratorMemorySize", self.accelerator_memory_size.is_some());
        v.integer("acceleratorMemorySize", self.accelerator_memory_size, &c::ACCELERATOR_MEMORY_GB);
    }
}

impl Check for CapacityProviderConfig {
    fn check(&self, v: &mut Violations) {
        v.required(
            "lambdaManagedInstancesCapacityProviderConfig",
            self.lambda_managed_instances_capacity_provider_config.is_some(),
        );
        v.nested(
            "lambdaManagedInstancesCapacityProviderConfig",
            self.lambda_managed_instances_capacity_provider_config.as_ref(),
        );
    }
}

impl Check for DeadLetterConfig {
    fn check(&self, v: &mut Violations) {
        v.text("targetArn", self.target_arn.as_deref(), &c::RESOURCE_ARN);
    }
}

impl Check for DurableConfig {
    fn check(&self, v: &mut Violations) {
        v.integer("executionTimeout", self.execution_timeout, &c::EXECUTION_TIMEOUT);
        v.text("kMSKeyArn", self.kms_key_arn.as_deref(), &c::KMS_KEY_ARN);
        v.integer(
            "retentionPeriodInDays",
            self.retention_period_in_days,
            &c::RETENTION_PERIOD_IN_DAYS,
        );
    }
}

impl Check for Environment {
    fn check(&self, v: &mut Violations) {
        v.map(
            "variables",
            self.variables.as_deref(),
            &c::ENVIRONMENT_VARIABLE_NAME,
            &c::ENVIRONMENT_VARIABLE_VALUE,
            true,
        );
    }
}

impl Check for EphemeralStorage {
    fn check(&self, v: &mut Violations) {
        v.required("size", self.size.is_some());
        v.integer("size", self.size, &c::EPHEMERAL_STORAGE_SIZE);
    }
}

impl Check for FileSystemConfig {
    fn check(&self, v: &mut Violations) {
        v.required("arn", self.arn.is_some());
        v.text("arn", self.arn.as_deref(), &c::FILE_SYSTEM_ARN);
        v.required("localMountPath", self.local_mount_path.is_some());
        v.text("localMountPath", self.local_mount_path.as_deref(), &c::LOCAL_MOUNT_PATH);
        v.nested("s3FilesConfig", self.s3_files_config.as_ref());
    }
}

impl Check for FunctionCode {
    fn check(&self, v: &mut Violations) {
        v.text("imageUri", self.image_uri.as_deref(), &c::STRING);
        v.text("s3Bucket", self.s3_bucket.as_deref(), &c::S3_BUCKET);
        v.text("s3Key", self.s3_key.as_deref(), &c::S3_KEY);
        v.one_of("s3ObjectStorageMode", self.s3_object_storage_mode.as_ref());
        v.text("s3ObjectVersion", self.s3_object_version.as_deref(), &c::S3_OBJECT_VERSION);
        v.text("sourceKMSKeyArn", self.source_kms_key_arn.as_deref(), &c::KMS_KEY_ARN);
    }
}

impl Check for FunctionRuntimeConfig {
    fn check(&self, v: &mut Violations) {
        v.required("runtimeAlias", self.runtime_alias.is_some());
        v.text("runtimeAlias", self.runtime_alias.as_deref(), &c::FUNCTION_RUNTIME_ALIAS);
        v.required("runtimeArn", self.runtime_arn.is_some());
        v.text("runtimeArn", self.runtime_arn.as_deref(), &c::FUNCTION_RUNTIME_ARN);
    }
}

impl Check for ImageConfig {
    fn check(&self, v: &mut Violations) {
        v.texts("command", self.command.as_deref(), &c::STRING_LIST, &c::STRING);
        v.texts("entryPoint", self.entry_point.as_deref(), &c::STRING_LIST, &c::STRING);
        v.text("workingDirectory", self.working_directory.as_deref(), &c::WORKING_DIRECTORY);
    }
}

impl Check for LambdaManagedInstancesCapacityProviderConfig {
    fn check(&self, v: &mut Violations) {
        v.required("capacityProviderArn", self.capacity_provider_arn.is_some());
        v.text(
            "capacityProviderArn",
            self.capacity_provider_arn.as_deref(),
            &c::CAPACITY_PROVIDER_ARN,
        );
        v.double(
            "executionEnvironmentMemoryGiBPerVCpu",
            self.execution_environment_memory_gib_per_vcpu,
            &c::EXECUTION_ENVIRONMENT_MEMORY_GIB_PER_VCPU,
        );
        v.integer(
            "perExecutionEnvironmentMaxConcurrency",
            self.per_execution_environment_max_concurrency,
            &c::PER_EXECUTION_ENVIRONMENT_MAX_CONCURRENCY,
        );
    }
}

impl Check for LoggingConfig {
    fn check(&self, v: &mut Violations) {
        v.one_of("applicationLogLevel", self.application_log_level.as_ref());
        v.one_of("logFormat", self.log_format.as_ref());
        v.text("logGroup", self.log_group.as_deref(), &c::LOG_GROUP);
        v.one_of("systemLogLevel", self.system_log_level.as_ref());
    }
}

impl Check for S3FilesConfig {
    fn check(&self, v: &mut Violations) {
        v.one_of("directS3Read", self.direct_s3_read.as_ref());
    }
}

impl Check for SnapStart {
    fn check(&self, v: &mut Violations) {
        v.one_of("applyOn", self.apply_on.as_ref());
    }
}

impl Check for TenancyConfig {
    fn check(&self, v: &mut Violations) {
        v.required("tenantIsolationMode", self.tenant_isolation_mode.is_some());
        v.one_of("tenantIsolationMode", self.tenant_isolation_mode.as_ref());
    }
}

impl Check for TracingConfig {
    fn check(&self, v: &mut Violations) {
        v.one_of("mode", self.mode.as_ref());
    }
}

impl Check for VpcConfig {
    fn check(&self, v: &mut Violations) {
        v.texts(
            "securityGroupIds",
            self.security_group_ids.as_deref(),
            &c::SECURITY_GROUP_IDS,
            &c::SECURITY_GROUP_ID,
        );
        v.texts("subnetIds", self.subnet_ids.as_deref(), &c::SUBNET_IDS, &c::SUBNET_ID);
    }
}
