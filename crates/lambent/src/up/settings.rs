//! What `lambent up` can be told. `Settings` is what is written on the command
//! line; `Checked` is what it means, once nothing in it is wrong.

use std::{
    collections::BTreeSet,
    mem,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use clap::ValueEnum;
use model::{Region, limits::MEMORY_MB_MIN};
use platform::telemetry::LogStyle;

use super::{
    host,
    members::{Members, Role},
};
use crate::{data, failure::Failure};

pub(crate) const LISTEN_DEFAULT: &str = "127.0.0.1:4574";
const ALL_ROLES: &str = "all";
pub(crate) const REGION_DEFAULT: &str = "us-east-1";

/// Settings of the platform.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Settings {
    /// Where everything is kept. [default: /var/lib/lambent for root, else
    /// ~/.local/share/lambent]
    #[arg(long, value_name = "DIR", env = "LAMBENT_DATA")]
    pub(crate) data: Option<PathBuf>,
    /// Address and port of the API; port 0 takes a free one.
    #[arg(long, value_name = "ADDRESS:PORT", default_value = LISTEN_DEFAULT)]
    pub(crate) listen: SocketAddr,
    /// Where `GET /metrics` answers for this process, to anybody who reaches it. The API's
    /// own port answers it too where only this host reaches that.
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub(crate) metrics: Option<SocketAddr>,
    /// Metadata: sqlite:DIR. [default: sqlite:DATA/store]
    #[arg(long, value_name = "URL")]
    pub(crate) store: Option<String>,
    /// Stored bytes: file:DIR. [default: file:DATA/objects]
    #[arg(long, value_name = "URL")]
    pub(crate) objects: Option<String>,
    /// Roles that this process has: `all`, or some of control, frontend-N, manager-N
    /// and worker-N. Some need --members.
    #[arg(long, value_name = "ROLES", default_value = ALL_ROLES)]
    pub(crate) roles: String,
    /// Who there is in an installation of several processes, and where.
    #[arg(long, value_name = "FILE")]
    pub(crate) members: Option<PathBuf>,
    /// Certificates of this process, made by `lambent admin authority`. Without them
    /// only unix sockets and loopback are spoken over.
    #[arg(long, value_name = "DIR", requires = "members")]
    pub(crate) certificates: Option<PathBuf>,
    /// Who may call: holders of the generated credentials, or, on a loopback
    /// address only, anybody with any credentials.
    #[arg(long, value_enum, default_value_t = Auth::Signed)]
    pub(crate) auth: Auth,
    /// A runtime version that this host lacks: run on the nearest with a warning,
    /// or refuse.
    #[arg(long, value_enum, default_value_t = Runtimes::Nearest)]
    pub(crate) runtimes: Runtimes,
    /// Region that ARNs and signatures name; fixed at the first start.
    /// [default: us-east-1]
    #[arg(long)]
    pub(crate) region: Option<String>,
    /// Memory offered to functions, in MB. [default: that of the host, less a reserve]
    #[arg(long, value_name = "MB")]
    pub(crate) memory_mb: Option<u64>,
    /// Environments that may exist at once.
    #[arg(long, value_name = "COUNT", default_value_t = host::SLOTS_DEFAULT)]
    pub(crate) slots: u32,
    /// What is logged to standard error, such as `info` or `warn,worker=debug`.
    #[arg(long, value_name = "FILTER", env = "LAMBENT_LOG", default_value = "warn")]
    pub(crate) log: String,
    /// Log lines for people or for programs.
    #[arg(long, value_enum, default_value_t = Style::Text)]
    pub(crate) log_style: Style,
    /// Start although this host cannot isolate functions from each other and from
    /// itself. Only for code that you wrote.
    #[arg(long)]
    pub(crate) allow_weak_isolation: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Auth {
    Signed,
    Any,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Runtimes {
    Nearest,
    Strict,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Style {
    Text,
    Json,
}

/// Settings of which none is wrong.
#[derive(Clone, Debug)]
pub(crate) struct Checked {
    pub(crate) data: PathBuf,
    pub(crate) listen: SocketAddr,
    pub(crate) metrics: Option<SocketAddr>,
    pub(crate) store: PathBuf,
    pub(crate) objects: PathBuf,
    /// Those of this process.
    pub(crate) roles: BTreeSet<Role>,
    pub(crate) members: Members,
    pub(crate) certificates: Option<PathBuf>,
    pub(crate) auth: Auth,
    pub(crate) runtimes: Runtimes,
    /// Only if it was asked for.
    pub(crate) region: Option<Region>,
    pub(crate) memory_mb: u64,
    pub(crate) slots: u32,
    pub(crate) log: String,
    pub(crate) log_style: LogStyle,
    pub(crate) allow_weak_isolation: bool,
}

impl Checked {
    pub(crate) fn controls(&self) -> bool {
        self.roles.contains(&Role::Control)
    }

    pub(crate) fn hosts_functions(&self) -> bool {
        self.roles.iter().any(|role| matches!(role, Role::Worker(_)))
    }

    pub(crate) fn answers_the_public(&self) -> bool {
        self.roles.iter().any(|role| matches!(role, Role::Frontend(_)))
    }
}

impl Settings {
    pub(crate) fn check(self) -> anyhow::Result<Checked> {
        let data = self.data.clone().map_or_else(data::default_directory, Ok)?;
        let host_mb = host::memory_mb()?;
        let members = self.members.as_deref().map(Members::read).transpose()?;
        Ok(self.check_on(&data, host_mb, members)?)
    }

    /// Everything that can be judged without touching the host.
    fn check_on(
        self,
        data: &Path,
        host_mb: u64,
        members: Option<Members>,
    ) -> Result<Checked, Failure> {
        let (roles, members) = roles(&self.roles, members)?;
        if self.auth == Auth::Any && !self.listen.ip().is_loopback() {
            let what = format!("--auth any is refused with --listen {}", self.listen);
            let todo = "anybody who reaches the port could run code here: listen on 127.0.0.1, \
                        or leave --auth signed";
            return Err(Failure::usage(what, todo));
        }
        let memory_mb = self.memory_mb.unwrap_or_else(|| host::offered_mb(host_mb));
        if !(u64::from(MEMORY_MB_MIN)..=host_mb).contains(&memory_mb) {
            let what = format!("--memory-mb {memory_mb} is not possible");
            let todo = format!("this host allows {MEMORY_MB_MIN} to {host_mb}");
            return Err(Failure::usage(what, todo));
        }
        if !(1..=host::SLOTS_MAX).contains(&self.slots) {
            let what = format!("--slots {} is not possible", self.slots);
            return Err(Failure::usage(what, format!("1 to {} are allowed", host::SLOTS_MAX)));
        }
        let region = self.region.as_deref().map(|region| {
            Region::parse(region).map_err(|_| {
                let what = format!("--region {region:?} is no name of a region");
                Failure::usage(what, "it has the form us-east-1")
            })
        });
        Ok(Checked {
            store: directory("--store", self.store.as_deref(), "sqlite:", &data.join("store"))?,
            objects: directory(
                "--objects",
                self.objects.as_deref(),
                "file:",
                &data.join("objects"),
            )?,
            roles,
            members,
            certificates: self.certificates,
            region: region.transpose()?,
            data: data.to_owned(),
            listen: self.listen,
            metrics: self.metrics,
            auth: self.auth,
            runtimes: self.runtimes,
            memory_mb,
            slots: self.slots,
            log: self.log,
            log_style: match self.log_style {
                Style::Text => LogStyle::Text,
                Style::Json => LogStyle::Json,
            },
            allow_weak_isolation: self.allow_weak_isolation,
        })
    }
}

/// The roles of this process among the members of its installation.
fn roles(text: &str, members: Option<Members>) -> Result<(BTreeSet<Role>, Members), Failure> {
    let wrong = |what: String, todo: &str| Err(Failure::usage(what, todo.to_owned()));
    let Some(members) = members else {
        if text == ALL_ROLES {
            let members = Members::alone();
            return Ok((members.roles().collect(), members));
        }
        let todo = "name the other processes with --members FILE";
        return wrong(format!("--roles {text}: who has the other roles?"), todo);
    };
    if text == ALL_ROLES {
        let todo = "say which of the members this process is, as in --roles manager-2";
        return wrong("--members with --roles all".to_owned(), todo);
    }
    let mut roles = BTreeSet::new();
    for name in text.split(',') {
        let role: Role = match name.trim().parse() {
            Ok(role) => role,
            Err(error) => return wrong(format!("--roles: {error}"), "see lambent up --help"),
        };
        if !members.contains(role) {
            return wrong(format!("--roles {role}: --members does not name it"), "add it there");
        }
        let same_kind = |other: &Role| mem::discriminant(other) == mem::discriminant(&role);
        if roles.iter().any(same_kind) {
            let what = format!("--roles {text}: a process has one role of a kind");
            return wrong(what, "start another process for it");
        }
        roles.insert(role);
    }
    Ok((roles, members))
}

/// The directory in the one form of URL that this release has for a setting.
fn directory(
    setting: &str,
    given: Option<&str>,
    scheme: &str,
    default: &Path,
) -> Result<PathBuf, Failure> {
    let Some(given) = given else { return Ok(default.to_owned()) };
    let path = given.strip_prefix(scheme).map(|path| path.strip_prefix("//").unwrap_or(path));
    path.filter(|path| !path.is_empty()).map(PathBuf::from).ok_or_else(|| {
        let what = format!("{setting} {given:?} is not offered by this release");
        Failure::usage(what, format!("this release offers {scheme}DIR"))
    })
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Alone {
        #[command(flatten)]
        settings: Settings,
    }

    fn check(arguments: &[&str]) -> Result<Checked, String> {
        let all = std::iter::once("up").chain(arguments.iter().copied());
        let alone = Alone::try_parse_from(all).map_err(|error| error.to_string())?;
        let checked = alone.settings.check_on(Path::new("/data"), 8_000, None);
        checked.map_err(|failure| failure.to_string())
    }

    #[test]
    fn without_settings_all_is_below_the_data_directory() {
        let checked = check(&[]).unwrap();
        assert_eq!(checked.listen, "127.0.0.1:4574".parse().unwrap());
        assert_eq!(checked.store, Path::new("/data/store"));
        assert_eq!(checked.objects, Path::new("/data/objects"));
        assert_eq!(checked.auth, Auth::Signed);
        assert_eq!(checked.runtimes, Runtimes::Nearest);
        assert!(checked.memory_mb < 8_000, "a reserve stays with the host");
        assert!(!checked.allow_weak_isolation);
    }

    #[test]
    fn urls_of_what_exists_are_taken() {
        let checked = check(&["--store", "sqlite:/m", "--objects", "file:///o"]).unwrap();
        assert_eq!(checked.store, Path::new("/m"));
        assert_eq!(checked.objects, Path::new("/o"));
        assert!(check(&["--auth", "any", "--listen", "[::1]:80"]).is_ok());
        assert!(check(&["--auth", "signed", "--listen", "0.0.0.0:80"]).is_ok());
    }

    #[test]
    fn refusals_name_the_setting_and_what_is_allowed() {
        let cases: [(&[&str], &[&str]); 11] = [
            (&["--store", "etcd://a"], &["--store", "etcd://a", "sqlite:DIR"]),
            (&["--store", "sqlite:"], &["--store", "sqlite:DIR"]),
            (&["--objects", "s3://b"], &["--objects", "s3://b", "file:DIR"]),
            (
                &["--auth", "any", "--listen", "0.0.0.0:1"],
                &["--auth any", "0.0.0.0:1", "127.0.0.1"],
            ),
            (&["--memory-mb", "64"], &["--memory-mb 64", "128 to 8000"]),
            (&["--memory-mb", "9000"], &["--memory-mb 9000", "128 to 8000"]),
            (&["--slots", "0"], &["--slots 0", "1 to"]),
            (&["--region", "US East"], &["--region", "us-east-1"]),
            (&["--roles", "worker"], &["--roles worker", "--members FILE"]),
            (&["--queue", "nats://x"], &["--queue"]),
            (&["--listen", "4574"], &["--listen"]),
        ];
        for (arguments, words) in cases {
            let refusal = check(arguments).expect_err(&format!("{arguments:?}"));
            for word in words {
                assert!(refusal.contains(word), "{arguments:?}: {refusal}");
            }
        }
    }
}
