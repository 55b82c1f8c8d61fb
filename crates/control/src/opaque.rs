//! Fields of a function that are kept and shown and have no effect yet, as the JSON
//! they came in, by name.

use model::FunctionConfig;
use serde_json::Value;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Field {
    DeadLetter,
    FileSystems,
    Image,
    KmsKey,
    SnapStart,
    Tracing,
    Vpc,
}

impl Field {
    const fn name(self) -> &'static str {
        match self {
            Field::DeadLetter => "DeadLetterConfig",
            Field::FileSystems => "FileSystemConfigs",
            Field::Image => "ImageConfig",
            Field::KmsKey => "KMSKeyArn",
            Field::SnapStart => "SnapStart",
            Field::Tracing => "TracingConfig",
            Field::Vpc => "VpcConfig",
        }
    }
}

/// `None` where it was not given, or was given as empty, which takes it away.
pub(crate) fn get<T: serde::de::DeserializeOwned>(
    config: &FunctionConfig,
    field: Field,
) -> Option<T> {
    serde_json::from_str(config.opaque.get(field.name())?).ok()
}

pub(crate) fn set(config: &mut FunctionConfig, field: Field, value: &Value) {
    let empty = match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(members) => members.is_empty(),
        Value::Bool(_) | Value::Number(_) => false,
    };
    if empty {
        config.opaque.remove(field.name());
    } else {
        config.opaque.insert(field.name().into(), value.to_string());
    }
}
