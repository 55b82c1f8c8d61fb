//! A function's configuration as the platform keeps it. One record is one
//! function's head (`$LATEST`); a published version is the same record, frozen.

use alloc::{collections::BTreeMap, string::String, vec::Vec};

use serde::{Deserialize, Serialize};

use crate::{
    affinity::Affinity,
    ids::{AccountId, FunctionName, VersionId},
    limits,
    manifest::Manifest,
    payload::Digest,
    tenancy::Tenancy,
};

#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub enum Architecture {
    #[default]
    X86_64,
    Arm64,
}

impl Architecture {
    pub const fn as_str(self) -> &'static str {
        match self {
            Architecture::X86_64 => "x86_64",
            Architecture::Arm64 => "arm64",
        }
    }

    pub fn parse(text: &str) -> Option<Architecture> {
        [Architecture::X86_64, Architecture::Arm64].into_iter().find(|a| a.as_str() == text)
    }
}

/// A language runtime, by the identifier of the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Runtime {
    /// `python3.N`
    Python { minor: u8 },
    /// `nodejsN.x`
    Node { major: u8 },
    /// `provided.al2`
    ProvidedAl2,
    /// `provided.al2023`
    ProvidedAl2023,
}

impl Runtime {
    pub fn parse(text: &str) -> Option<Runtime> {
        match text {
            "provided.al2" => return Some(Runtime::ProvidedAl2),
            "provided.al2023" => return Some(Runtime::ProvidedAl2023),
            _ => {}
        }
        if let Some(minor) = text.strip_prefix("python3.") {
            return minor.parse().ok().map(|minor| Runtime::Python { minor });
        }
        let major = text.strip_prefix("nodejs")?.strip_suffix(".x")?;
        major.parse().ok().map(|major| Runtime::Node { major })
    }

    pub fn name(self) -> String {
        match self {
            Runtime::Python { minor } => alloc::format!("python3.{minor}"),
            Runtime::Node { major } => alloc::format!("nodejs{major}.x"),
            Runtime::ProvidedAl2 => "provided.al2".into(),
            Runtime::ProvidedAl2023 => "provided.al2023".into(),
        }
    }

    /// Whether the code brings its own runtime client (`bootstrap`).
    pub const fn is_provided(self) -> bool {
        match self {
            Runtime::ProvidedAl2 | Runtime::ProvidedAl2023 => true,
            Runtime::Python { .. } | Runtime::Node { .. } => false,
        }
    }
}

/// Whether a function can be invoked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum FunctionState {
    Pending,
    Active,
    Failed { code: String, reason: String },
}

/// How the last update of code or configuration went.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum UpdateStatus {
    Successful,
    InProgress,
    Failed { code: String, reason: String },
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum LogFormat {
    #[default]
    Text,
    Json,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Logging {
    pub format: LogFormat,
    /// `TRACE` … `FATAL`, JSON format only.
    pub application_level: Option<String>,
    /// `DEBUG`, `INFO` or `WARN`, JSON format only.
    pub system_level: Option<String>,
    pub group: String,
}

/// The code of one version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Code {
    /// SHA-256 of the zip, as the API shows it (there in base64).
    pub sha256: Digest,
    /// Bytes of the zip.
    pub size: u64,
    pub manifest: Manifest,
}

/// One immutable version, or the head.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FunctionConfig {
    pub account: AccountId,
    pub name: FunctionName,
    pub version: VersionId,
    /// Grows with every change of code or configuration; part of the pool key.
    pub revision: u64,
    /// The API's opaque `RevisionId`.
    pub revision_id: String,
    pub description: String,
    pub runtime: Runtime,
    pub handler: String,
    pub role: String,
    pub code: Code,
    pub memory_mb: u32,
    pub timeout_secs: u32,
    pub scratch_mb: u32,
    pub architecture: Architecture,
    pub environment: BTreeMap<String, String>,
    pub logging: Logging,
    pub tags: BTreeMap<String, String>,
    pub state: FunctionState,
    pub last_update: UpdateStatus,
    /// Milliseconds since the Unix epoch.
    pub modified_ms: u64,
    /// `PER_TENANT` functions only serve calls that name a tenant.
    pub per_tenant: bool,
    /// What the API stores and returns without effect yet, verbatim JSON by field.
    pub opaque: BTreeMap<String, String>,
}

/// What is set per function, not per version.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FunctionSettings {
    /// Reserved concurrency: a cap and a guarantee. 0 switches the function off.
    pub reserved: Option<u32>,
    /// Number of the newest published version.
    pub published: u64,
    pub versions: Vec<u64>,
    /// Of a `PER_TENANT` function.
    #[serde(default)]
    pub tenancy: Tenancy,
    /// Absent: calls take whatever is free.
    #[serde(default)]
    pub affinity: Option<Affinity>,
}

impl FunctionConfig {
    /// Processor share in thousandths of a CPU, as memory brings it.
    pub fn cpu_millis(&self) -> u32 {
        (self.memory_mb * 1_000).div_ceil(limits::MEMORY_MB_PER_CPU)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runtimes_round_trip() {
        for text in ["python3.11", "python3.8", "nodejs20.x", "provided.al2", "provided.al2023"] {
            assert_eq!(Runtime::parse(text).unwrap().name(), text);
        }
        for text in ["python2.7", "python3.", "nodejs20", "nodejs.x", "java21", "", "python3.300"] {
            assert_eq!(Runtime::parse(text), None, "{text}");
        }
    }
}
