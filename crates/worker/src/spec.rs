//! From a function's configuration to the sandbox it runs in: program, variables,
//! mounts and limits. Pure, so that what a function sees can be tested as data.

use std::path::PathBuf;

use model::{EnvId, FunctionConfig, function::LogFormat, limits};

use crate::interpreters::Chosen;

/// Where the pieces of an environment lie on the host.
#[derive(Clone, Debug)]
pub(crate) struct Places {
    /// The function's unpacked code.
    pub(crate) code: PathBuf,
    /// Our runtime clients, one folder per language.
    pub(crate) runtimes: PathBuf,
}

pub(crate) const CHANNEL_FD: i32 = 3;
const RUNTIME_API: &str = "127.0.0.1:9001";
const BOOTSTRAP: &str = "/var/task/bootstrap";

/// Variables that AWS's documentation lets a user override; other reserved names
/// are refused when the function is configured.
pub(crate) fn variables(
    config: &FunctionConfig,
    region: &str,
    runs: Option<&Chosen>,
    log_stream: &str,
) -> Vec<(String, String)> {
    let language = match config.runtime {
        model::Runtime::Python { .. } => Some("python"),
        model::Runtime::Node { .. } => Some("node"),
        model::Runtime::ProvidedAl2 | model::Runtime::ProvidedAl2023 => None,
    };
    let mut variables: Vec<(String, String)> = vec![
        ("AWS_REGION".into(), region.into()),
        ("AWS_DEFAULT_REGION".into(), region.into()),
        ("AWS_LAMBDA_FUNCTION_NAME".into(), config.name.to_string()),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE".into(), config.memory_mb.to_string()),
        ("AWS_LAMBDA_FUNCTION_VERSION".into(), config.version.to_string()),
        ("AWS_LAMBDA_INITIALIZATION_TYPE".into(), "on-demand".into()),
        ("AWS_LAMBDA_LOG_GROUP_NAME".into(), config.logging.group.clone()),
        ("AWS_LAMBDA_LOG_STREAM_NAME".into(), log_stream.into()),
        ("AWS_XRAY_CONTEXT_MISSING".into(), "LOG_ERROR".into()),
        ("LAMBDA_RUNTIME_DIR".into(), "/var/runtime".into()),
        ("LAMBDA_TASK_ROOT".into(), "/var/task".into()),
        ("LANG".into(), "en_US.UTF-8".into()),
        ("LC_CTYPE".into(), "C.UTF-8".into()),
        (
            "LD_LIBRARY_PATH".into(),
            "/var/lang/lib:/lib64:/usr/lib64:/var/runtime:/var/runtime/lib:/var/task:\
             /var/task/lib:/opt/lib"
                .into(),
        ),
        ("PATH".into(), "/var/lang/bin:/usr/local/bin:/usr/bin/:/bin:/opt/bin".into()),
        ("PWD".into(), "/var/task".into()),
        ("SHLVL".into(), "0".into()),
        ("TZ".into(), ":UTC".into()),
        ("_HANDLER".into(), config.handler.clone()),
    ];
    if config.logging.format == LogFormat::Json {
        let level = config.logging.application_level.clone().unwrap_or_else(|| "INFO".into());
        variables.push(("AWS_LAMBDA_LOG_FORMAT".into(), "JSON".into()));
        variables.push(("AWS_LAMBDA_LOG_LEVEL".into(), level));
    }
    match (language, runs) {
        (Some(_), Some(_)) => {
            let name = format!("AWS_Lambda_{}", config.runtime.name());
            variables.push(("AWS_EXECUTION_ENV".into(), name));
            variables.push(("LAMBENT_CHANNEL_FD".into(), CHANNEL_FD.to_string()));
        }
        _ => variables.push(("AWS_LAMBDA_RUNTIME_API".into(), RUNTIME_API.into())),
    }
    for (name, value) in &config.environment {
        variables.retain(|(known, _)| known != name);
        variables.push((name.clone(), value.clone()));
    }
    variables
}

/// The command that starts the runtime.
pub(crate) fn command(config: &FunctionConfig, runs: Option<&Chosen>) -> Vec<String> {
    let Some(chosen) = runs else { return vec![BOOTSTRAP.into()] };
    let program = chosen.program.display().to_string();
    let mut command = match config.runtime {
        model::Runtime::Python { .. } => {
            vec![program, "-S".into(), "/var/runtime/bootstrap.py".into()]
        }
        model::Runtime::Node { .. } => vec![program, "/var/runtime/bootstrap.cjs".into()],
        model::Runtime::ProvidedAl2 | model::Runtime::ProvidedAl2023 => {
            return vec![BOOTSTRAP.into()];
        }
    };
    // A wrapper gets the command of the runtime as its arguments.
    if let Some(wrapper) = config.environment.get("AWS_LAMBDA_EXEC_WRAPPER") {
        command.insert(0, wrapper.clone());
    }
    command
}

pub(crate) fn sandbox_spec(
    env: EnvId,
    config: &FunctionConfig,
    places: &Places,
    runs: Option<&Chosen>,
    variables: Vec<(String, String)>,
) -> sandbox::Spec {
    let client = match config.runtime {
        model::Runtime::Python { .. } => Some("python"),
        model::Runtime::Node { .. } => Some("node"),
        model::Runtime::ProvidedAl2 | model::Runtime::ProvidedAl2023 => None,
    };
    sandbox::Spec {
        id: format!("env-{:x}", env.0),
        code: places.code.clone(),
        runtime: client.map(|folder| places.runtimes.join(folder)),
        opt: None,
        binds: Vec::new(),
        argv: command(config, runs),
        env: variables,
        cwd: "/var/task".into(),
        memory_bytes: u64::from(config.memory_mb) * 1024 * 1024,
        cpu_millis: config.cpu_millis().max(limits::INIT_CPU_MILLIS),
        pids_max: limits::SANDBOX_PIDS_MAX,
        scratch_bytes: u64::from(config.scratch_mb) * 1024 * 1024,
        hostname: "169-254-100-1".into(),
    }
}
