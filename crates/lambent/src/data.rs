//! The data directory and what the command line finds there: `credentials.json`,
//! written by `up` at each start for the commands of the same user.

use std::{
    env,
    fs::{self, OpenOptions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use anyhow::Context;
use serde::{Deserialize, Serialize};

use crate::failure::Failure;

/// Readable by nobody else: function code and secrets are below.
const DIRECTORY_MODE: u32 = 0o700;
const CREDENTIALS_MODE: u32 = 0o600;

/// Where a platform on this host listens, and how to sign for it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Access {
    /// `http://host:port`
    pub(crate) endpoint: String,
    pub(crate) region: String,
    pub(crate) account: String,
    pub(crate) access_key_id: String,
    pub(crate) secret_access_key: String,
}

/// `/var/lib/lambent` for root, below the user's data home for anybody else.
pub(crate) fn default_directory() -> anyhow::Result<PathBuf> {
    if rustix::process::geteuid().is_root() {
        return Ok("/var/lib/lambent".into());
    }
    let set = |name| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let home = || set("HOME").map(|home| home.join(".local/share"));
    let base = set("XDG_DATA_HOME").or_else(home);
    let base = base.ok_or_else(|| {
        Failure::usage("there is no home directory to keep data in", "name one with --data DIR")
    })?;
    Ok(base.join("lambent"))
}

pub(crate) fn create(directory: &Path) -> anyhow::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(DIRECTORY_MODE).create(directory).map_err(|error| {
        let what = format!("the data directory {} cannot be made: {error}", directory.display());
        Failure::failed(what, "choose one that you may write with --data DIR").into()
    })
}

/// Replaces the file whole: a reader sees the old or the new one.
pub(crate) fn write_access(directory: &Path, access: &Access) -> anyhow::Result<()> {
    let beside = directory.join("credentials.json.new");
    let write = || -> io::Result<()> {
        // A leftover may have other permissions.
        match fs::remove_file(&beside) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        let mut options = OpenOptions::new();
        let mut file = options.create_new(true).write(true).mode(CREDENTIALS_MODE).open(&beside)?;
        let mut text = serde_json::to_vec_pretty(access)?;
        text.push(b'\n');
        file.write_all(&text)?;
        file.sync_all()?;
        fs::rename(&beside, file_in(directory))
    };
    write().with_context(|| format!("writing {}", file_in(directory).display()))
}

pub(crate) fn read_access(directory: &Path) -> anyhow::Result<Access> {
    let path = file_in(directory);
    let text = fs::read(&path).map_err(|error| {
        let todo = if error.kind() == io::ErrorKind::PermissionDenied {
            "run this as the user that ran `lambent up`"
        } else {
            "start the platform with `lambent up`, or say where its data is with --data DIR"
        };
        Failure::failed(format!("{} cannot be read: {error}", path.display()), todo)
    })?;
    serde_json::from_slice(&text).map_err(|error| {
        let what = format!("{} is not what `lambent up` writes: {error}", path.display());
        Failure::failed(what, "start `lambent up` again; it writes the file anew").into()
    })
}

fn file_in(directory: &Path) -> PathBuf {
    directory.join("credentials.json")
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn access() -> Access {
        Access {
            endpoint: "http://127.0.0.1:4574".into(),
            region: "us-east-1".into(),
            account: "123456789012".into(),
            access_key_id: "AKIAEXAMPLEEXAMPLE22".into(),
            secret_access_key: "secret".into(),
        }
    }

    #[test]
    fn what_is_written_is_read_and_nobody_else_may_read_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("credentials.json");
        fs::write(&path, "older").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        write_access(directory.path(), &access()).unwrap();
        assert!(read_access(directory.path()).unwrap() == access());
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, CREDENTIALS_MODE);
    }

    #[test]
    fn a_missing_file_says_how_to_make_one() {
        let directory = tempfile::tempdir().unwrap();
        let error = read_access(directory.path()).err().unwrap().to_string();
        assert!(error.contains("lambent up"), "{error}");
    }

    #[test]
    fn the_data_directory_is_private() {
        let directory = tempfile::tempdir().unwrap();
        let data = directory.path().join("a/b");
        create(&data).unwrap();
        assert_eq!(fs::metadata(&data).unwrap().permissions().mode() & 0o777, DIRECTORY_MODE);
    }
}
