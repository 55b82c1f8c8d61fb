//! The functions that are measured: an echo in each language, as a zip. The
//! compiled one is built here with the host's C compiler where none is given.

use std::{
    fs,
    io::{Cursor, Write},
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, bail};
use zip::{ZipWriter, write::SimpleFileOptions};

use crate::args::Args;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    Python,
    Node,
    Compiled,
}

pub(crate) const KINDS: [Kind; 3] = [Kind::Python, Kind::Node, Kind::Compiled];
/// Where the repository's own compiled example lands when it is built.
const RUST_EXAMPLE: &str = "examples/rust/target/release/bootstrap";

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Kind::Python => "python",
            Kind::Node => "node",
            Kind::Compiled => "compiled",
        }
    }

    pub(crate) fn runtime(self) -> &'static str {
        match self {
            Kind::Python => "python3.11",
            Kind::Node => "nodejs20.x",
            Kind::Compiled => "provided.al2023",
        }
    }

    pub(crate) fn handler(self) -> &'static str {
        match self {
            Kind::Python | Kind::Node => "echo.handler",
            Kind::Compiled => "bootstrap",
        }
    }
}

/// The functions' files in a directory of the run, one folder per kind.
#[derive(Debug)]
pub(crate) struct Functions {
    directory: PathBuf,
    /// What the compiled function is, for the table.
    pub(crate) compiled: String,
    /// A static program that does nothing.
    pub(crate) nothing: PathBuf,
}

impl Functions {
    pub(crate) fn prepare(directory: &Path, args: &Args) -> anyhow::Result<Functions> {
        for kind in KINDS {
            fs::create_dir_all(directory.join(kind.name()))?;
        }
        fs::write(directory.join("python/echo.py"), include_str!("../functions/echo.py"))?;
        fs::write(directory.join("node/echo.js"), include_str!("../functions/echo.js"))?;
        let bootstrap = directory.join("compiled/bootstrap");
        let example = Some(PathBuf::from(RUST_EXAMPLE)).filter(|path| path.exists());
        let compiled = match args.compiled.clone().or(example) {
            Some(given) => {
                fs::copy(&given, &bootstrap)
                    .with_context(|| format!("copying {}", given.display()))?;
                given.display().to_string()
            }
            None => {
                compile(include_str!("../functions/bootstrap.c"), &bootstrap)?;
                "a small C client of the Runtime API".to_owned()
            }
        };
        let nothing = directory.join("nothing");
        compile(include_str!("../functions/nothing.c"), &nothing)?;
        Ok(Functions { directory: directory.to_owned(), compiled, nothing })
    }

    /// Where a kind's code lies unpacked.
    pub(crate) fn folder(&self, kind: Kind) -> PathBuf {
        self.directory.join(kind.name())
    }

    pub(crate) fn zip(&self, kind: Kind) -> anyhow::Result<Vec<u8>> {
        let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
        for entry in fs::read_dir(self.folder(kind))? {
            let entry = entry?;
            let options = SimpleFileOptions::default().unix_permissions(0o755);
            zip.start_file(entry.file_name().to_string_lossy(), options)?;
            zip.write_all(&fs::read(entry.path())?)?;
        }
        Ok(zip.finish()?.into_inner())
    }
}

fn compile(source: &str, program: &Path) -> anyhow::Result<()> {
    let text = program.with_extension("c");
    fs::write(&text, source)?;
    let mut command = Command::new("cc");
    command.args(["-O2", "-static", "-o"]).arg(program).arg(&text);
    let output = command.output().context("running cc; install a C compiler (gcc)")?;
    if !output.status.success() {
        bail!("cc failed:\n{}", String::from_utf8_lossy(&output.stderr));
    }
    // Beside the program, it would travel in the zip.
    fs::remove_file(text)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[test]
    fn each_kind_is_a_zip_of_its_own_files() {
        let directory = tempfile::tempdir().unwrap();
        let args = Args::try_parse_from(["bench"]).unwrap();
        let functions = Functions::prepare(directory.path(), &args).unwrap();
        for (kind, file) in
            [(Kind::Python, "echo.py"), (Kind::Node, "echo.js"), (Kind::Compiled, "bootstrap")]
        {
            let zip = zip::ZipArchive::new(Cursor::new(functions.zip(kind).unwrap())).unwrap();
            assert_eq!((zip.len(), zip.index_for_name(file)), (1, Some(0)), "{file}");
        }
        assert!(Command::new(&functions.nothing).status().unwrap().success());
    }
}
