//! Which environment variables a function may bring, and how many. What the platform
//! adds to them is known to the worker only.

use std::collections::BTreeMap;

use aws_api::ApiError;
use model::limits::ENVIRONMENT_BYTES_MAX;

/// Names that the platform sets itself (AWS documentation, "Defined runtime
/// environment variables": reserved).
const RESERVED: &[&str] = &[
    "AWS_ACCESS_KEY",
    "AWS_ACCESS_KEY_ID",
    "AWS_DEFAULT_REGION",
    "AWS_EXECUTION_ENV",
    "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
    "AWS_LAMBDA_FUNCTION_NAME",
    "AWS_LAMBDA_FUNCTION_VERSION",
    "AWS_LAMBDA_INITIALIZATION_TYPE",
    "AWS_LAMBDA_LOG_GROUP_NAME",
    "AWS_LAMBDA_LOG_STREAM_NAME",
    "AWS_LAMBDA_MAX_CONCURRENCY",
    "AWS_LAMBDA_RUNTIME_API",
    "AWS_REGION",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SECRET_KEY",
    "AWS_SESSION_TOKEN",
    "LAMBDA_RUNTIME_DIR",
    "LAMBDA_TASK_ROOT",
    "_HANDLER",
    "_X_AMZN_TRACE_ID",
];

pub(crate) fn check(variables: &BTreeMap<String, String>) -> Result<(), ApiError> {
    let used: Vec<&str> =
        variables.keys().map(String::as_str).filter(|key| RESERVED.contains(key)).collect();
    if !used.is_empty() {
        return Err(ApiError::invalid_parameter(format!(
            "Lambda was unable to configure your environment variables because the environment \
             variables you have provided contains reserved keys that are currently not supported \
             for modification. Reserved keys used in this request: {}",
            used.join(", ")
        )));
    }
    // AWS measures the variables as the JSON they are kept in.
    let measured = serde_json::json!(variables).to_string();
    if measured.len() > ENVIRONMENT_BYTES_MAX {
        return Err(ApiError::invalid_parameter(format!(
            "Lambda was unable to configure your environment variables because the environment \
             variables you have provided exceeded the 4KB limit. String measured: {measured}"
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_one(key: &str, value: String) -> Result<(), ApiError> {
        check(&BTreeMap::from([(key.to_owned(), value)]))
    }

    #[test]
    fn reserved_names_are_refused_and_named() {
        let error = check_one("AWS_REGION", "x".into()).unwrap_err();
        assert!(error.message().ends_with("Reserved keys used in this request: AWS_REGION"));
        for key in ["PATH", "TZ", "AWS_LAMBDA_EXEC_WRAPPER", "KEY"] {
            assert_eq!(check_one(key, "x".into()), Ok(()), "{key}");
        }
    }

    #[test]
    fn four_kilobytes_are_allowed_and_one_byte_more_is_not() {
        let around = r#"{"K":""}"#.len();
        assert_eq!(check_one("K", "x".repeat(4096 - around)), Ok(()));
        let error = check_one("K", "x".repeat(4097 - around)).unwrap_err();
        assert!(error.message().contains("exceeded the 4KB limit"));
    }
}
