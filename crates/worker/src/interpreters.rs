//! Which interpreters this host has, and which of them runs a function of a given
//! runtime: the exact version, else the nearest the host has, with a warning.
//!
//! Only interpreters under `/usr` count: the sandbox shows that tree and no other.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::Command,
};

use model::Runtime;

const DIRECTORIES: [&str; 2] = ["/usr/bin", "/usr/local/bin"];
/// Python minor versions that the API has ever named.
const PYTHON_MINORS: std::ops::RangeInclusive<u8> = 6..=15;

/// What the host offers, found once at the start.
#[derive(Clone, Debug, Default)]
pub struct Interpreters {
    python: BTreeMap<u8, PathBuf>,
    node: BTreeMap<u8, PathBuf>,
}

/// What to do about a version that the host lacks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missing {
    /// Run on the nearest and say so.
    Nearest,
    /// Refuse.
    Strict,
}

/// An interpreter for a function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chosen {
    pub program: PathBuf,
    /// The version that runs, as the runtime's identifier.
    pub runs: String,
    /// What the user has to know, where it is not the version asked for.
    pub warning: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unavailable {
    #[error("runtime {runtime} is not on this host, and --runtimes strict forbids another version")]
    Strict { runtime: String },
    #[error("this host has no {language} under /usr; install one to run {runtime}")]
    NoInterpreter { language: &'static str, runtime: String },
}

impl Interpreters {
    pub fn find() -> Interpreters {
        let directories = DIRECTORIES.map(Path::new);
        let mut found = Interpreters::default();
        for directory in directories {
            for minor in PYTHON_MINORS {
                let program = directory.join(format!("python3.{minor}"));
                if program.exists() {
                    found.python.entry(minor).or_insert(program);
                }
            }
            let program = directory.join("node");
            if let Some(major) = node_major(&program) {
                found.node.entry(major).or_insert(program);
            }
        }
        found
    }

    /// A host with one Python, of this minor version.
    pub fn python(minor: u8, program: PathBuf) -> Interpreters {
        Interpreters { python: BTreeMap::from([(minor, program)]), ..Interpreters::default() }
    }

    /// Runtime identifiers that run exactly as asked, with their programs.
    pub fn list(&self) -> impl Iterator<Item = (String, &Path)> {
        let python = self.python.iter().map(|(minor, p)| (format!("python3.{minor}"), &**p));
        let node = self.node.iter().map(|(major, p)| (format!("nodejs{major}.x"), &**p));
        python.chain(node)
    }

    pub(crate) fn pythons(&self) -> impl Iterator<Item = &Path> {
        self.python.values().map(PathBuf::as_path)
    }

    /// `None` for runtimes that bring their own program.
    pub fn choose(
        &self,
        runtime: Runtime,
        missing: Missing,
    ) -> Result<Option<Chosen>, Unavailable> {
        let (language, versions, wanted, name): (_, _, _, fn(u8) -> Runtime) = match runtime {
            Runtime::Python { minor } => {
                ("python3", &self.python, minor, |minor| Runtime::Python { minor })
            }
            Runtime::Node { major } => ("node", &self.node, major, |major| Runtime::Node { major }),
            Runtime::ProvidedAl2 | Runtime::ProvidedAl2023 => return Ok(None),
        };
        let runtime = runtime.name();
        let nearest = versions.iter().min_by_key(|(version, _)| version.abs_diff(wanted));
        let Some((version, program)) = nearest else {
            return Err(Unavailable::NoInterpreter { language, runtime });
        };
        let runs = name(*version).name();
        let exact = *version == wanted;
        if !exact && missing == Missing::Strict {
            return Err(Unavailable::Strict { runtime });
        }
        let warning = (!exact).then(|| {
            format!(
                "[lambent] WARNING: {runtime} is not on this host; this function runs on {runs} \
                 (lambent up --runtimes strict refuses instead)"
            )
        });
        Ok(Some(Chosen { program: program.clone(), runs, warning }))
    }
}

fn node_major(program: &Path) -> Option<u8> {
    if !program.exists() {
        return None;
    }
    let version = Command::new(program).arg("--version").output().ok()?;
    let text = String::from_utf8(version.stdout).ok()?;
    text.trim().strip_prefix('v')?.split('.').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host() -> Interpreters {
        Interpreters {
            python: BTreeMap::from([(9, "/usr/bin/python3.9".into()), (11, "/p11".into())]),
            node: BTreeMap::new(),
        }
    }

    #[test]
    fn the_exact_version_runs_without_a_warning() {
        let chosen = host().choose(Runtime::Python { minor: 11 }, Missing::Strict);
        let chosen = chosen.unwrap().unwrap();
        assert_eq!((chosen.runs.as_str(), chosen.warning), ("python3.11", None));
    }

    #[test]
    fn a_missing_version_runs_on_the_nearest_and_says_so() {
        let chosen = host().choose(Runtime::Python { minor: 13 }, Missing::Nearest);
        let chosen = chosen.unwrap().unwrap();
        assert_eq!(chosen.runs, "python3.11");
        assert!(chosen.warning.unwrap().contains("python3.13 is not on this host"));
    }

    #[test]
    fn strict_refuses_and_nothing_is_found_where_nothing_is() {
        let strict = host().choose(Runtime::Python { minor: 13 }, Missing::Strict);
        assert!(matches!(strict, Err(Unavailable::Strict { .. })));
        let node = host().choose(Runtime::Node { major: 20 }, Missing::Nearest);
        assert!(matches!(node, Err(Unavailable::NoInterpreter { .. })));
        let own = host().choose(Runtime::ProvidedAl2023, Missing::Strict);
        assert_eq!(own, Ok(None));
    }
}
