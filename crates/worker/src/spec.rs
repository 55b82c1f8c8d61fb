//! From a function's configuration to the sandbox it runs in: program, variables,
//! mounts and limits. Pure, so that what a function sees can be tested as data.

use std::path::PathBuf;

use model::{Class, EnvId, FunctionConfig, function::LogFormat, limits};

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
    class: Class,
    region: &str,
    runs: Option<&Chosen>,
    log_stream: &str,
) -> Vec<(String, String)> {
    let language = match config.runtime {
        model::Runtime::Python { .. } => Some("python"),
        model::Runtime::Node { .. } => Some("node"),
        model::Runtime::ProvidedAl2 | model::Runtime::ProvidedAl2023 => None,
    };
    let initialization = match class {
        Class::OnDemand => "on-demand",
        Class::Provisioned => "provisioned-concurrency",
    };
    let mut variables: Vec<(String, String)> = vec![
        ("AWS_REGION".into(), region.into()),
        ("AWS_DEFAULT_REGION".into(), region.into()),
        ("AWS_LAMBDA_FUNCTION_NAME".into(), config.name.to_string()),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE".into(), config.memory_mb.to_string()),
        ("AWS_LAMBDA_FUNCTION_VERSION".into(), config.version.to_string()),
        ("AWS_LAMBDA_INITIALIZATION_TYPE".into(), initialization.into()),
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use model::{
        AccountId, Digest, FunctionName, FunctionState, Manifest, RootId, Runtime, VersionId,
        function::{Architecture, Code, Logging, UpdateStatus},
    };

    use super::*;

    fn config(runtime: &str, environment: &[(&str, &str)]) -> FunctionConfig {
        let manifest = Manifest { root: RootId("r".into()), length: 0, chunks: Vec::new() };
        let pair = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        FunctionConfig {
            account: AccountId::parse("000000000001").unwrap(),
            name: FunctionName::parse("f").unwrap(),
            version: VersionId::Latest,
            revision: 1,
            revision_id: String::new(),
            description: String::new(),
            runtime: Runtime::parse(runtime).unwrap(),
            handler: "f.handler".into(),
            role: String::new(),
            code: Code { sha256: Digest([0; 32]), size: 0, manifest },
            memory_mb: 256,
            timeout_secs: 3,
            scratch_mb: 512,
            architecture: Architecture::X86_64,
            environment: environment.iter().map(pair).collect::<BTreeMap<_, _>>(),
            logging: Logging {
                format: LogFormat::Text,
                application_level: None,
                system_level: None,
                group: "/aws/lambda/f".into(),
            },
            tags: BTreeMap::new(),
            state: FunctionState::Active,
            last_update: UpdateStatus::Successful,
            modified_ms: 0,
            per_tenant: false,
            opaque: BTreeMap::new(),
        }
    }

    fn chosen() -> Chosen {
        Chosen { program: "/usr/bin/x".into(), runs: "python3.11".into(), warning: None }
    }

    fn seen(config: &FunctionConfig, runs: Option<&Chosen>) -> BTreeMap<String, String> {
        variables(config, Class::OnDemand, "us-east-1", runs, "stream").into_iter().collect()
    }

    #[test]
    fn a1_2_a_provisioned_environment_says_so() {
        let config = config("python3.11", &[]);
        let seen = variables(&config, Class::Provisioned, "us-east-1", None, "stream");
        let is = ("AWS_LAMBDA_INITIALIZATION_TYPE".into(), "provisioned-concurrency".into());
        assert!(seen.contains(&is));
    }

    #[test]
    fn a_managed_function_sees_the_documented_variables() {
        let seen =
            seen(&config("python3.11", &[("LANG", "de_DE.UTF-8"), ("A", "1")]), Some(&chosen()));
        let cases = [
            ("AWS_LAMBDA_FUNCTION_NAME", "f"),
            ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256"),
            ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
            ("AWS_EXECUTION_ENV", "AWS_Lambda_python3.11"),
            ("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand"),
            ("AWS_LAMBDA_LOG_GROUP_NAME", "/aws/lambda/f"),
            ("AWS_LAMBDA_LOG_STREAM_NAME", "stream"),
            ("_HANDLER", "f.handler"),
            ("TZ", ":UTC"),
            ("A", "1"),
            ("LANG", "de_DE.UTF-8"),
        ];
        for (name, value) in cases {
            assert_eq!(seen.get(name).map(String::as_str), Some(value), "{name}");
        }
        assert!(!seen.contains_key("AWS_LAMBDA_RUNTIME_API"), "it listens to the channel");
    }

    #[test]
    fn a_provided_function_is_told_where_the_runtime_api_is() {
        let seen = seen(&config("provided.al2023", &[]), None);
        assert_eq!(seen["AWS_LAMBDA_RUNTIME_API"], RUNTIME_API);
        assert!(!seen.contains_key("AWS_EXECUTION_ENV"));
        assert!(!seen.contains_key("LAMBENT_CHANNEL_FD"));
    }

    #[test]
    fn nothing_of_the_platform_is_in_the_environment() {
        let seen = seen(&config("nodejs20.x", &[]), Some(&chosen()));
        let secret = |name: &&String| name.contains("SECRET") || name.contains("ACCESS_KEY");
        assert_eq!(seen.keys().find(secret), None);
    }

    #[test]
    fn commands_of_each_kind_and_of_a_wrapper() {
        let command = |runtime, environment: &[_]| {
            let config = config(runtime, environment);
            let runs = (!config.runtime.is_provided()).then(chosen);
            command(&config, runs.as_ref())
        };
        let python = ["/usr/bin/x", "-S", "/var/runtime/bootstrap.py"];
        assert_eq!(command("python3.11", &[]), python);
        assert_eq!(command("nodejs20.x", &[]), ["/usr/bin/x", "/var/runtime/bootstrap.cjs"]);
        assert_eq!(command("provided.al2", &[]), [BOOTSTRAP]);
        let wrapped = command("python3.11", &[("AWS_LAMBDA_EXEC_WRAPPER", "/var/task/w")]);
        assert_eq!(wrapped, [&["/var/task/w"][..], &python[..]].concat());
    }
}
