//! Which platform a command talks to: the one that the AWS variables name, else
//! the one whose data directory is on this host.
//!
//! Credentials from the environment are used only together with an endpoint from
//! there: a key for AWS itself is never sent to, nor asked of, anything else.

use std::{env, path::PathBuf};

use platform::{Clock, Tasks};

use super::Client;
use crate::data::{self, Access};

#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct Reach {
    /// Data directory of the platform, for its endpoint and credentials. The
    /// variables that `lambent env` sets come first.
    #[arg(long, value_name = "DIR", env = "LAMBENT_DATA")]
    data: Option<PathBuf>,
}

impl Reach {
    /// Call inside the executor.
    pub(crate) fn client(self) -> anyhow::Result<Client> {
        let from_file = || self.data.map_or_else(data::default_directory, Ok);
        let access = choose(|name| env::var(name).ok(), || data::read_access(&from_file()?))?;
        Client::new(access, Clock::system(), Tasks::default())
    }
}

fn choose(
    variable: impl Fn(&str) -> Option<String>,
    file: impl FnOnce() -> anyhow::Result<Access>,
) -> anyhow::Result<Access> {
    let set = |name| variable(name).filter(|value| !value.is_empty());
    let Some(endpoint) = set("AWS_ENDPOINT_URL_LAMBDA").or_else(|| set("AWS_ENDPOINT_URL")) else {
        return file();
    };
    let region = set("AWS_REGION").or_else(|| set("AWS_DEFAULT_REGION"));
    match (region, set("AWS_ACCESS_KEY_ID"), set("AWS_SECRET_ACCESS_KEY")) {
        (Some(region), Some(access_key_id), Some(secret_access_key)) => {
            let account = String::new();
            Ok(Access { endpoint, region, account, access_key_id, secret_access_key })
        }
        _ => Ok(Access { endpoint, ..file()? }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file() -> anyhow::Result<Access> {
        Ok(Access {
            endpoint: "http://file".into(),
            region: "file-1".into(),
            account: "123456789012".into(),
            access_key_id: "file".into(),
            secret_access_key: "file".into(),
        })
    }

    #[test]
    fn credentials_of_the_environment_go_only_with_an_endpoint_from_there() {
        let keys = [("AWS_ACCESS_KEY_ID", "env"), ("AWS_SECRET_ACCESS_KEY", "env")];
        let region = [("AWS_REGION", "env-1")];
        let endpoint = [("AWS_ENDPOINT_URL_LAMBDA", "http://env")];
        let general = [("AWS_ENDPOINT_URL", "http://general")];
        let cases = [
            ([&keys[..], &region[..]].concat(), ("http://file", "file")),
            ([&keys[..], &region[..], &endpoint[..]].concat(), ("http://env", "env")),
            ([&keys[..], &region[..], &general[..]].concat(), ("http://general", "env")),
            ([&keys[..], &endpoint[..]].concat(), ("http://env", "file")),
            (endpoint.to_vec(), ("http://env", "file")),
            (vec![("AWS_ENDPOINT_URL_LAMBDA", "")], ("http://file", "file")),
        ];
        for (variables, (endpoint, key)) in cases {
            let find = |name: &str| {
                variables.iter().find(|(n, _)| *n == name).map(|(_, value)| (*value).to_owned())
            };
            let access = choose(find, file).unwrap();
            assert_eq!((&*access.endpoint, &*access.access_key_id), (endpoint, key));
        }
    }
}
