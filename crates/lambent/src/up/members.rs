//! Who there is in an installation of several processes, and where the others reach
//! it: a file that all processes share. One machine alone needs none.
//!
//! ```toml
//! [members]
//! control    = "tcp://10.0.0.1:4600"
//! frontend-1 = "tcp://10.0.0.1:4600"   # the same process
//! manager-1  = "tcp://10.0.0.2:4600"
//! worker-1   = "unix:///run/lambent/worker-1"
//! ```

use std::{collections::BTreeMap, fmt, fs, path::Path, str::FromStr};

use model::{FrontendId, ManagerId, WorkerId, limits};
use platform::transport::Address;
use serde::Deserialize;

use crate::failure::Failure;

/// One role of one process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Role {
    Control,
    Frontend(FrontendId),
    Manager(ManagerId),
    Worker(WorkerId),
}

/// The member that answers for the metadata store: it is where `control` is.
pub(crate) const STORE: &str = "store";

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Role::Control => f.write_str("control"),
            Role::Frontend(id) => write!(f, "frontend-{id}"),
            Role::Manager(id) => write!(f, "manager-{id}"),
            Role::Worker(id) => write!(f, "worker-{id}"),
        }
    }
}

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no role: control, frontend-N, manager-N or worker-N, N from 1")]
pub(crate) struct NoRole(String);

impl FromStr for Role {
    type Err = NoRole;

    /// A number that is left out is 1.
    fn from_str(text: &str) -> Result<Role, NoRole> {
        let no_role = || NoRole(text.to_owned());
        let (word, number) = text.split_once('-').unwrap_or((text, "1"));
        let number: u64 = number.parse().ok().filter(|n| *n > 0).ok_or_else(no_role)?;
        match word {
            "control" if text == word => Ok(Role::Control),
            "frontend" => Ok(Role::Frontend(FrontendId(number))),
            "manager" => Ok(Role::Manager(ManagerId(number))),
            "worker" => Ok(Role::Worker(WorkerId(number))),
            _ => Err(no_role()),
        }
    }
}

/// The members of an installation, with their addresses where they are not all here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Members {
    addresses: BTreeMap<Role, Option<Address>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    members: BTreeMap<String, String>,
}

impl Members {
    /// One of each, in this process.
    pub(crate) fn alone() -> Members {
        let roles = [
            Role::Control,
            Role::Frontend(FrontendId(1)),
            Role::Manager(ManagerId(1)),
            Role::Worker(WorkerId(1)),
        ];
        Members { addresses: roles.into_iter().map(|role| (role, None)).collect() }
    }

    pub(crate) fn read(path: &Path) -> Result<Members, Failure> {
        let wrong = |what: String| {
            let todo = "`lambent up --help` shows an example";
            Failure::usage(format!("--members {}: {what}", path.display()), todo)
        };
        let text = fs::read_to_string(path).map_err(|error| wrong(error.to_string()))?;
        Members::parse(&text).map_err(wrong)
    }

    fn parse(text: &str) -> Result<Members, String> {
        let file: File = toml::from_str(text).map_err(|error| error.to_string())?;
        let mut addresses = BTreeMap::new();
        for (name, address) in file.members {
            let role: Role = name.parse().map_err(|error: NoRole| error.to_string())?;
            let address: Address = address.parse().map_err(|e| format!("{name}: {e}"))?;
            if addresses.insert(role, Some(address)).is_some() {
                return Err(format!("{role} is named twice"));
            }
        }
        let members = Members { addresses };
        let lacks = |found: bool, what| if found { Ok(()) } else { Err(format!("no {what}")) };
        lacks(members.addresses.contains_key(&Role::Control), "control")?;
        lacks(members.frontends().next().is_some(), "frontend")?;
        lacks(members.managers().next().is_some(), "manager")?;
        lacks(members.workers().next().is_some(), "worker")?;
        members.fit_a_cell()?;
        Ok(members)
    }

    /// X4: nobody has tried more of them in one installation.
    fn fit_a_cell(&self) -> Result<(), String> {
        let kinds = [
            ("frontends", self.frontends().count(), limits::CELL_FRONTENDS_MAX),
            ("managers", self.managers().count(), limits::CELL_MANAGERS_MAX),
            ("workers", self.workers().count(), limits::CELL_WORKERS_MAX),
        ];
        match kinds.into_iter().find(|(_, count, max)| count > max) {
            None => Ok(()),
            Some((kind, count, max)) => Err(format!(
                "{count} {kind} are more than the {max} that a cell is tested with: make another \
                 installation for the rest"
            )),
        }
    }

    pub(crate) fn roles(&self) -> impl Iterator<Item = Role> + '_ {
        self.addresses.keys().copied()
    }

    pub(crate) fn contains(&self, role: Role) -> bool {
        self.addresses.contains_key(&role)
    }

    pub(crate) fn address(&self, role: Role) -> Option<&Address> {
        self.addresses.get(&role)?.as_ref()
    }

    pub(crate) fn frontends(&self) -> impl Iterator<Item = FrontendId> + '_ {
        self.addresses.keys().filter_map(|role| match role {
            Role::Frontend(id) => Some(*id),
            Role::Control | Role::Manager(_) | Role::Worker(_) => None,
        })
    }

    pub(crate) fn managers(&self) -> impl Iterator<Item = ManagerId> + '_ {
        self.addresses.keys().filter_map(|role| match role {
            Role::Manager(id) => Some(*id),
            Role::Control | Role::Frontend(_) | Role::Worker(_) => None,
        })
    }

    pub(crate) fn workers(&self) -> impl Iterator<Item = WorkerId> + '_ {
        self.addresses.keys().filter_map(|role| match role {
            Role::Worker(id) => Some(*id),
            Role::Control | Role::Frontend(_) | Role::Manager(_) => None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = r#"
        [members]
        control = "tcp://127.0.0.1:1"
        frontend-1 = "tcp://127.0.0.1:1"
        frontend-2 = "tcp://127.0.0.1:2"
        manager-7 = "unix:///m"
        worker = "unix:///w"
    "#;

    #[test]
    fn members_are_read_with_their_addresses() {
        let members = Members::parse(FILE).unwrap();
        assert_eq!(members.frontends().collect::<Vec<_>>(), [FrontendId(1), FrontendId(2)]);
        assert_eq!(members.managers().collect::<Vec<_>>(), [ManagerId(7)]);
        assert_eq!(members.workers().collect::<Vec<_>>(), [WorkerId(1)]);
        let manager = members.address(Role::Manager(ManagerId(7))).unwrap();
        assert_eq!(manager.to_string(), "unix:///m");
        assert!(!members.contains(Role::Manager(ManagerId(1))));
    }

    #[test]
    fn what_is_wrong_is_named() {
        let cases = [
            (FILE.replace("worker", "walker"), "walker"),
            (FILE.replace("manager-7", "manager-0"), "manager-0"),
            (FILE.replace("unix:///m", "m"), "manager-7"),
            (FILE.replace("control ", "frontend-3 "), "no control"),
            (FILE.replace("manager-7", "worker-7"), "no manager"),
            (FILE.replace("frontend-2", "worker-1"), "worker-1 is named twice"),
            (FILE.replace("[members]", "[members]\n[other]"), "other"),
        ];
        for (file, named) in cases {
            let error = Members::parse(&file).unwrap_err();
            assert!(error.contains(named), "{error} does not name {named}");
        }
    }

    #[test]
    fn x4_more_of_a_kind_than_a_cell_is_tested_with_are_refused() {
        let maxima = [
            ("frontend", limits::CELL_FRONTENDS_MAX),
            ("manager", limits::CELL_MANAGERS_MAX),
            ("worker", limits::CELL_WORKERS_MAX),
        ];
        for (kind, max) in maxima {
            let more = |count: usize| {
                let others: Vec<&str> = FILE.lines().filter(|line| !line.contains(kind)).collect();
                let line = |n: usize| format!("{kind}-{n} = \"tcp://127.0.0.1:1\"\n");
                others.join("\n") + "\n" + &(1..=count).map(line).collect::<String>()
            };
            assert!(Members::parse(&more(max)).is_ok(), "{max} {kind}s fit");
            let error = Members::parse(&more(max + 1)).unwrap_err();
            assert!(error.contains(&format!("{} {kind}s are more than", max + 1)), "{error}");
        }
    }

    #[test]
    fn roles_are_written_as_they_are_read() {
        for text in ["control", "frontend-1", "manager-12", "worker-3"] {
            assert_eq!(text.parse::<Role>().unwrap().to_string(), text);
        }
        assert_eq!("worker".parse(), Ok(Role::Worker(WorkerId(1))));
        for text in ["", "control-1", "worker-", "worker-x", "cache"] {
            assert!(text.parse::<Role>().is_err(), "{text}");
        }
    }
}
