//! `lambent doctor`: this host, checked without a platform running: what isolates
//! functions, which interpreters there are, whether the data directory and the port
//! can be used. Each row says what its lack means and what to do.

use std::{
    ffi::OsStr,
    fs, io,
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
};

use sandbox::probe::{self, Finding, Found, Strength, Weight};
use serde::Serialize;
use serde_json::json;
use worker::Interpreters;

use crate::{data, failure::Exit, print, up::settings::LISTEN_DEFAULT};

const EXAMPLES: &str = "\
Examples:
  lambent doctor
  lambent doctor --json | jq -r '.checks[] | select(.found != \"found\") | .name'

Exit code 1: something is missing without which `lambent up` does not start or no
function runs. What only makes isolation weaker is shown, and is no failure.";

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Doctor {
    /// The data directory that `up` would use.
    #[arg(long, value_name = "DIR", env = "LAMBENT_DATA")]
    data: Option<PathBuf>,
    /// The address that `up` would listen on.
    #[arg(long, value_name = "ADDRESS:PORT", default_value = LISTEN_DEFAULT)]
    listen: SocketAddr,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

/// One row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Check {
    area: &'static str,
    name: String,
    found: &'static str,
    /// Whether its lack keeps the platform from working.
    required: bool,
    detail: String,
    /// Only where something lacks.
    means: Option<String>,
    todo: Option<String>,
}

impl Doctor {
    pub(crate) fn run(self) -> anyhow::Result<Exit> {
        let directory = self.data.map_or_else(data::default_directory, Ok)?;
        let findings = probe::survey();
        let mut checks: Vec<_> = findings.iter().map(isolation).collect();
        checks.extend(interpreters(&Interpreters::find()));
        checks.push(data_directory(&directory));
        checks.push(port(self.listen, &directory));
        let strength = match probe::strength(&findings) {
            Strength::Full => "full",
            Strength::Reduced { .. } => "reduced",
            Strength::None => "none",
        };
        let broken: Vec<_> = checks.iter().filter(|check| check.breaks()).collect();
        let exit = if broken.is_empty() { Exit::Success } else { Exit::Failed };
        if self.json {
            let ok = exit == Exit::Success;
            print::json(&json!({ "ok": ok, "isolation": strength, "checks": checks }))?;
        } else {
            print::out(text(&checks, strength).as_bytes())?;
        }
        Ok(exit)
    }
}

impl Check {
    fn good(area: &'static str, name: impl Into<String>, detail: impl Into<String>) -> Check {
        let (name, detail) = (name.into(), detail.into());
        Check { area, name, found: "found", required: false, detail, means: None, todo: None }
    }

    fn lacks(self, means: impl Into<String>, todo: impl Into<String>) -> Check {
        let (means, todo) = (Some(means.into()), Some(todo.into()));
        Check { found: "missing", means, todo, ..self }
    }

    fn required(self) -> Check {
        Check { required: true, ..self }
    }

    fn breaks(&self) -> bool {
        self.required && self.found == "missing"
    }
}

fn isolation(finding: &Finding) -> Check {
    let required = match finding.weight {
        Weight::Required => true,
        Weight::Wanted | Weight::Extra => false,
    };
    let check = Check::good("isolation", finding.name, &finding.detail);
    let check = Check { required, ..check };
    match finding.found {
        Found::Found => check,
        Found::Partial => {
            Check { found: "partial", ..check.lacks(finding.meaning, finding.remedy) }
        }
        Found::Missing => check.lacks(finding.meaning, finding.remedy),
    }
}

/// A language without an interpreter is no failure: the others run.
fn interpreters(found: &Interpreters) -> Vec<Check> {
    let mut checks: Vec<_> = found
        .list()
        .map(|(name, program)| Check::good("runtime", name, program.display().to_string()))
        .collect();
    for (language, start, package) in
        [("Python", "python", "python3"), ("Node", "nodejs", "nodejs")]
    {
        if !checks.iter().any(|check| check.name.starts_with(start)) {
            let means = format!("{language} functions cannot run on this host");
            let todo =
                format!("install the distribution's package {package}; it has to be in /usr");
            let check = Check::good("runtime", language, "none in /usr/bin or /usr/local/bin");
            checks.push(check.lacks(means, todo));
        }
    }
    // A version manager's interpreter is seen by its user and by no sandbox.
    checks.extend(shadowed(found, std::env::var_os("PATH").as_deref().unwrap_or_default()));
    checks.push(Check::good("runtime", "provided.al2, provided.al2023", "bring their own program"));
    checks
}

/// Interpreters that the shell finds first and that functions do not run on.
fn shadowed(found: &Interpreters, path: &OsStr) -> Vec<Check> {
    let mut checks = Vec::new();
    for name in ["python3", "node"] {
        let first = std::env::split_paths(path).map(|d| d.join(name)).find(|file| file.is_file());
        let Some(first) = first.filter(|first| !first.starts_with("/usr")) else { continue };
        let own = found.list().map(|(_, program)| program.display().to_string());
        let own: Vec<_> = own.filter(|program| program.contains(name)).collect();
        let used = if own.is_empty() { "nothing".into() } else { own.join(", ") };
        let check = Check::good("runtime", format!("{name} on PATH"), first.display().to_string());
        let means = format!("functions do not run on it but on {used}");
        let partial =
            check.lacks(means, "nothing, unless they need that version: install it in /usr");
        checks.push(Check { found: "partial", ..partial });
    }
    checks
}

/// Tried with a file where the directory is, else where it would be made.
fn data_directory(directory: &Path) -> Check {
    let existing = directory.ancestors().find(|ancestor| ancestor.is_dir());
    let check = Check::good("host", "data directory", directory.display().to_string()).required();
    let probe =
        existing.unwrap_or(Path::new("/")).join(format!(".lambent-doctor-{}", std::process::id()));
    match fs::File::create_new(&probe) {
        Ok(_) => {
            // What remains is an empty file that the next doctor's name does not meet.
            let _ = fs::remove_file(&probe);
            check
        }
        Err(error) => check
            .lacks(format!("nothing can be kept there: {error}"), "choose another with --data DIR"),
    }
}

fn port(listen: SocketAddr, directory: &Path) -> Check {
    let check = Check::good("host", "port", listen.to_string()).required();
    let Err(error) = TcpListener::bind(listen) else { return check };
    // The file outlives its platform: that the port is taken makes the difference.
    let own = data::read_access(directory).is_ok_and(|a| a.endpoint == format!("http://{listen}"));
    if own && error.kind() == io::ErrorKind::AddrInUse {
        return Check { detail: format!("{listen}: a platform with this data listens"), ..check };
    }
    check.lacks(
        format!("`lambent up` cannot listen there: {error}"),
        "end what has it, or choose another with --listen",
    )
}

fn text(checks: &[Check], strength: &str) -> String {
    let row = |check: &Check| {
        let Check { area, name, found, required, detail, .. } = check;
        let found = if *required && *found == "missing" { "MISSING" } else { found };
        [(*area).to_owned(), name.clone(), found.to_owned(), detail.clone()]
    };
    let mut text = print::table(["", "mechanism", "", "seen"], checks.iter().map(row));
    let lacking: Vec<_> = checks.iter().filter(|check| check.means.is_some()).collect();
    if !lacking.is_empty() {
        text.push_str("\nWhat lacks, what that means, what to do:\n");
    }
    for Check { name, means, todo, .. } in lacking {
        let (means, todo) = (means.as_deref().unwrap_or(""), todo.as_deref().unwrap_or(""));
        text.push_str(&format!("  {name}\n    means: {means}\n    to do: {todo}\n"));
    }
    let verdict = match strength {
        "full" => "full: functions are walled off from each other and from this host",
        "reduced" => "reduced: functions are walled off, less tightly than they could be",
        _ => "NONE: `lambent up` refuses to start without --allow-weak-isolation",
    };
    text.push_str(&format!("\nIsolation: {verdict}\n"));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(found: Found, weight: Weight) -> Finding {
        let detail = "seen".into();
        Finding { name: "wall", found, weight, detail, meaning: "weaker", remedy: "build it" }
    }

    #[test]
    fn only_a_missing_requirement_fails_the_check() {
        let cases = [
            (Found::Missing, Weight::Required, true),
            (Found::Partial, Weight::Required, false),
            (Found::Found, Weight::Required, false),
            (Found::Missing, Weight::Wanted, false),
            (Found::Missing, Weight::Extra, false),
        ];
        for (found, weight, breaks) in cases {
            assert_eq!(isolation(&finding(found, weight)).breaks(), breaks, "{found:?} {weight:?}");
        }
    }

    #[test]
    fn what_lacks_is_explained_and_what_is_there_is_not() {
        let there = isolation(&finding(Found::Found, Weight::Required));
        assert!(!text(std::slice::from_ref(&there), "full").contains("to do"));
        let lacks = isolation(&finding(Found::Missing, Weight::Required));
        let text = text(&[there, lacks], "none");
        assert!(text.contains("MISSING") && text.contains("means: weaker"), "{text}");
        assert!(text.contains("to do: build it"), "{text}");
        assert!(text.contains("--allow-weak-isolation"), "{text}");
    }

    #[test]
    fn a_port_in_use_and_a_directory_that_cannot_be_written_are_seen() {
        let nothing = Path::new("/no/such");
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        assert!(port(taken.local_addr().unwrap(), nothing).breaks());
        assert!(!port("127.77.3.1:0".parse().unwrap(), nothing).breaks());
        assert!(data_directory(Path::new("/proc/lambent")).breaks());
        let directory = tempfile::tempdir().unwrap();
        assert!(!data_directory(&directory.path().join("not/yet/there")).breaks());
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0, "nothing is left behind");
    }

    #[test]
    fn a_host_without_interpreters_still_runs_compiled_functions() {
        let checks = interpreters(&Interpreters::default());
        let missing: Vec<_> = checks.iter().filter(|c| c.found == "missing").collect();
        assert_eq!(missing.len(), 2);
        assert!(checks.iter().all(|check| !check.breaks()));
    }

    #[test]
    fn an_interpreter_of_a_version_manager_is_pointed_out() {
        let home = tempfile::tempdir().unwrap();
        fs::write(home.path().join("python3"), "").unwrap();
        let checks = shadowed(&Interpreters::default(), home.path().as_os_str());
        assert_eq!(checks.len(), 1);
        assert_eq!((checks[0].found, checks[0].breaks()), ("partial", false));
    }
}
