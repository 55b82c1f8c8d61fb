//! Our runtime clients travel inside the binary and are written once per release
//! to the data directory, from where environments see them read-only.

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use rust_embed::RustEmbed;

#[derive(RustEmbed)]
#[folder = "../../runtimes"]
#[include = "python/*.py"]
#[include = "node/*.cjs"]
#[include = "node/*.mjs"]
struct Clients;

/// Writes the clients of this release, if they are not there yet, and names the
/// directory that holds one folder per language.
pub(crate) fn unpack(data: &Path) -> io::Result<PathBuf> {
    let mut digest = blake3::Hasher::new();
    for name in Clients::iter() {
        digest.update(name.as_bytes());
        digest.update(&Clients::get(&name).map(|file| file.data).unwrap_or_default());
    }
    let release = digest.finalize().to_hex();
    let target = data.join("runtimes").join(&release[..16]);
    if target.exists() {
        return Ok(target);
    }
    let partial = target.with_extension("partial");
    match fs::remove_dir_all(&partial) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    for name in Clients::iter() {
        let file = partial.join(&*name);
        if let Some(folder) = file.parent() {
            fs::create_dir_all(folder)?;
        }
        fs::write(&file, Clients::get(&name).map(|file| file.data).unwrap_or_default())?;
    }
    fs::rename(&partial, &target)?;
    Ok(target)
}

/// Compiles the Python client for one interpreter, which saves every start of it
/// some milliseconds. Without it the client works all the same.
pub(crate) fn compile(runtimes: &Path, python: &Path) {
    let compile = Command::new(python)
        .args(["-S", "-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash"])
        .arg(runtimes.join("python"))
        .env_clear()
        .stdin(Stdio::null())
        .output();
    match compile {
        Ok(output) if output.status.success() => {}
        Ok(output) => tracing::debug!(status = %output.status, "the client stays uncompiled"),
        Err(error) => tracing::debug!(%error, "the client stays uncompiled"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_clients_are_in_the_binary_and_unpacked_once() {
        let data = tempfile::tempdir().unwrap();
        let first = unpack(data.path()).unwrap();
        assert!(first.join("python/bootstrap.py").exists());
        assert!(first.join("node/bootstrap.cjs").exists());
        assert_eq!(unpack(data.path()).unwrap(), first);
    }
}
