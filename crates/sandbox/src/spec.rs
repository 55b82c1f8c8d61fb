//! What a sandbox shall be: directories, program, limits. Checked here, once, before
//! anything is sent to the spawner. Not here: how any of it is enforced.

use std::path::{Component, Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::limits;

/// A host path shown read-only at another place inside.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bind {
    pub source: PathBuf,
    /// Absolute, without `..`.
    pub target: PathBuf,
}

/// One sandbox. Code, runtime and layer directories must be readable for everyone:
/// inside, the files run as a user that owns nothing on the host.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spec {
    /// `[a-z0-9-]{1,64}`, unique among living sandboxes of one spawner.
    pub id: String,
    /// Shown as `/var/task`, read-only.
    pub code: PathBuf,
    /// Shown as `/var/runtime`, read-only.
    pub runtime: Option<PathBuf>,
    /// Shown as `/opt`, read-only.
    pub opt: Option<PathBuf>,
    pub binds: Vec<Bind>,
    /// `argv[0]` is an absolute path inside.
    pub argv: Vec<String>,
    /// The whole environment; nothing is inherited.
    pub env: Vec<(String, String)>,
    /// Working directory inside, absolute.
    pub cwd: String,
    /// Limit of memory, swap excluded. Files in `/dev/shm` count, and those in `/tmp`
    /// where scratch is not on disk.
    pub memory_bytes: u64,
    /// Thousandths of one CPU.
    pub cpu_millis: u32,
    /// Processes and threads.
    pub pids_max: u32,
    /// Size of `/tmp`; a full one answers `ENOSPC`.
    pub scratch_bytes: u64,
    pub hostname: String,
}

impl std::fmt::Debug for Spec {
    /// The environment holds credentials and is therefore left out.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Spec")
            .field("id", &self.id)
            .field("argv", &self.argv)
            .finish_non_exhaustive()
    }
}

/// Why a specification is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SpecError {
    #[error("sandbox id {0:?} is not 1 to 64 of a-z, 0-9 and '-'")]
    Id(String),
    #[error("sandbox {field} {path:?} is not an absolute path without '..'")]
    Path { field: &'static str, path: PathBuf },
    #[error("sandbox has no program to run")]
    NoProgram,
    #[error("sandbox {0} contains a NUL byte")]
    Nul(&'static str),
    #[error("sandbox {0} must be more than zero")]
    Zero(&'static str),
    #[error("sandbox has {0} binds, at most {max} are possible", max = limits::BINDS_MAX)]
    Binds(usize),
    #[error("sandbox host name has {0} bytes, 1 to 64 are possible")]
    Hostname(usize),
}

impl Spec {
    pub fn check(&self) -> Result<(), SpecError> {
        let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        if self.id.is_empty() || self.id.len() > 64 || !self.id.bytes().all(allowed) {
            return Err(SpecError::Id(self.id.clone()));
        }
        self.check_paths()?;
        self.check_program()?;
        for (name, zero) in [
            ("memory", self.memory_bytes == 0),
            ("cpu share", self.cpu_millis == 0),
            ("number of processes", self.pids_max == 0),
            ("scratch size", self.scratch_bytes == 0),
        ] {
            if zero {
                return Err(SpecError::Zero(name));
            }
        }
        if self.hostname.is_empty() || self.hostname.len() > 64 {
            return Err(SpecError::Hostname(self.hostname.len()));
        }
        Ok(())
    }

    fn check_paths(&self) -> Result<(), SpecError> {
        absolute("code directory", &self.code)?;
        absolute("working directory", Path::new(&self.cwd))?;
        for (field, path) in [("runtime", &self.runtime), ("layers", &self.opt)] {
            path.as_deref().map_or(Ok(()), |path| absolute(field, path))?;
        }
        if self.binds.len() > limits::BINDS_MAX {
            return Err(SpecError::Binds(self.binds.len()));
        }
        for bind in &self.binds {
            absolute("bind source", &bind.source)?;
            absolute("bind target", &bind.target)?;
        }
        Ok(())
    }

    fn check_program(&self) -> Result<(), SpecError> {
        let program = self.argv.first().ok_or(SpecError::NoProgram)?;
        absolute("program", Path::new(program))?;
        if self.argv.iter().any(|argument| argument.contains('\0')) {
            return Err(SpecError::Nul("argument"));
        }
        if self.env.iter().any(|(name, value)| name.contains('\0') || value.contains('\0')) {
            return Err(SpecError::Nul("variable"));
        }
        Ok(())
    }
}

fn absolute(field: &'static str, path: &Path) -> Result<(), SpecError> {
    let plain = path.components().all(|c| matches!(c, Component::RootDir | Component::Normal(_)));
    let nul = path.as_os_str().as_encoded_bytes().contains(&0);
    if path.is_absolute() && plain && !nul {
        return Ok(());
    }
    Err(SpecError::Path { field, path: path.to_owned() })
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn good() -> Spec {
        Spec {
            id: "a-1".into(),
            code: "/code".into(),
            runtime: None,
            opt: None,
            binds: Vec::new(),
            argv: vec!["/bin/true".into()],
            env: vec![("KEY".into(), "secret".into())],
            cwd: "/var/task".into(),
            memory_bytes: 1,
            cpu_millis: 1,
            pids_max: 1,
            scratch_bytes: 1,
            hostname: "h".into(),
        }
    }

    #[test]
    fn wrong_specifications_are_refused() {
        type Spoil = fn(&mut Spec);
        let cases: [(&str, Spoil); 13] = [
            ("empty id", |s| s.id.clear()),
            ("id that climbs", |s| s.id = "../x".into()),
            ("long id", |s| s.id = "a".repeat(65)),
            ("relative code", |s| s.code = "code".into()),
            ("climbing bind", |s| {
                s.binds.push(Bind { source: "/a".into(), target: "/a/../b".into() });
            }),
            ("many binds", |s| {
                s.binds = vec![Bind { source: "/a".into(), target: "/b".into() }; 65];
            }),
            ("no program", |s| s.argv.clear()),
            ("relative program", |s| s.argv[0] = "true".into()),
            ("NUL in argument", |s| s.argv.push("a\0b".into())),
            ("NUL in variable", |s| s.env.push(("A".into(), "\0".into()))),
            ("no memory", |s| s.memory_bytes = 0),
            ("no cpu", |s| s.cpu_millis = 0),
            ("no hostname", |s| s.hostname.clear()),
        ];
        assert_eq!(good().check(), Ok(()));
        for (name, spoil) in cases {
            let mut spec = good();
            spoil(&mut spec);
            assert!(spec.check().is_err(), "{name}");
        }
    }

    #[test]
    fn i10_debug_text_holds_no_variables() {
        assert!(!format!("{:?}", good()).contains("secret"));
    }
}
