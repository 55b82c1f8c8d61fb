//! `lambent admin authority`: the installation's own certificate authority. Whoever
//! holds its key can make members; whoever holds a member's key is that member.

use std::path::PathBuf;

use clap::Subcommand;
use platform::{
    Clock,
    authority::{Authority, AuthorityError, CERTIFICATE_DAYS},
};
use serde_json::json;

use crate::{
    failure::{Exit, Failure},
    print,
    up::members::{Role, STORE},
};

const EXAMPLES: &str = "\
Examples:
  lambent admin authority create ./authority
  lambent admin authority issue ./authority --roles control,frontend-1 --to ./host-1
  lambent up --roles control,frontend-1 --members members.toml --certificates ./host-1

Keep the authority's directory off the hosts: they need only what `issue` writes.";

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES, subcommand_required = true, arg_required_else_help = true)]
pub(super) struct AuthorityCommand {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Make a new authority in a directory; one that is there is never replaced
    #[command(after_help = EXAMPLES)]
    Create {
        /// Where its key and certificate go.
        directory: PathBuf,
        /// Print one JSON object.
        #[arg(long)]
        json: bool,
    },
    /// Make the certificate of a process
    #[command(after_help = EXAMPLES)]
    Issue {
        /// The authority's directory.
        directory: PathBuf,
        /// The roles of the process, as for `lambent up`.
        #[arg(long, value_name = "ROLES", value_delimiter = ',', required = true)]
        roles: Vec<Role>,
        /// Where the certificate, its key and the authority's certificate go.
        #[arg(long, value_name = "DIR")]
        to: PathBuf,
        /// How long it is good for.
        #[arg(long, default_value_t = CERTIFICATE_DAYS)]
        days: u64,
        /// Print one JSON object.
        #[arg(long)]
        json: bool,
    },
}

impl AuthorityCommand {
    pub(super) fn run(self) -> anyhow::Result<Exit> {
        let now_ms = Clock::system().wall_ms();
        match self.action {
            Action::Create { directory, json } => {
                Authority::create(&directory, now_ms).map_err(failed)?;
                let directory = directory.display().to_string();
                if json {
                    print::json(&json!({ "authority": directory }))?;
                } else {
                    print::line(&format!("made the authority in {directory}"))?;
                }
            }
            Action::Issue { directory, roles, to, days, json } => {
                let names = names(roles);
                let members: Vec<&str> = names.iter().map(String::as_str).collect();
                let authority = Authority::load(&directory).map_err(failed)?;
                let credentials = authority.issue(&members, now_ms, days).map_err(failed)?;
                let name = names.first().map(String::as_str).unwrap_or_default();
                credentials.write(&to, name).map_err(failed)?;
                let file = to.join(format!("{name}.pem")).display().to_string();
                if json {
                    print::json(&json!({ "certificate": file, "roles": names, "days": days }))?;
                } else {
                    let roles = names.join(", ");
                    print::line(&format!("made {file} for {roles}, good for {days} days"))?;
                }
            }
        }
        Ok(Exit::Success)
    }
}

/// In the order of `up`, which looks for the first; control also speaks for the store.
fn names(mut roles: Vec<Role>) -> Vec<String> {
    roles.sort_unstable();
    roles.dedup();
    let store = roles.contains(&Role::Control).then(|| STORE.to_owned());
    roles.iter().map(ToString::to_string).chain(store).collect()
}

fn failed(error: AuthorityError) -> Failure {
    let todo = match &error {
        AuthorityError::File { .. } => "name a directory that you may write, or read, as needed",
        AuthorityError::Name(_) | AuthorityError::NoName => "see lambent admin authority --help",
        AuthorityError::Certificate(_) => "make a new authority in another directory",
    };
    Failure::failed(error.to_string(), todo)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_is_named_as_up_looks_for_it() {
        let roles = ["worker-2", "control"].map(|text| text.parse().unwrap());
        assert_eq!(names(roles.to_vec()), ["control", "worker-2", "store"]);
    }
}
