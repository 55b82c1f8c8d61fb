//! What `up` says once it listens: where, how to use it, what this host runs, and
//! what it lacks. Standard output; the log goes to standard error.

use std::{net::SocketAddr, path::Path};

use platform::Tasks;
use serde_json::json;
use worker::Interpreters;

use super::{
    install::Installed,
    isolation::Isolation,
    settings::{Auth, Checked, Runtimes},
};
use crate::{
    data::{self, Access},
    print,
};

#[derive(Debug)]
pub(super) struct Banner {
    /// Where the public API is, if here.
    endpoint: Option<String>,
    /// Where this process shows its metrics.
    metrics: Option<String>,
    /// Of this process, where others have the rest.
    roles: Option<String>,
    region: String,
    account: String,
    data: String,
    /// As `lambent env` needs it: empty for the default directory.
    data_option: String,
    /// Where functions run here.
    host: Option<Host>,
    warnings: Vec<String>,
}

#[derive(Debug)]
struct Host {
    runtimes: Vec<String>,
    others: &'static str,
    isolation: &'static str,
}

impl Banner {
    /// Looks for interpreters, which takes longer than everything else of a start;
    /// the platform already answers meanwhile.
    pub(super) async fn gather(
        settings: &Checked,
        access: Option<&Access>,
        metrics: Option<SocketAddr>,
        installed: &Installed,
        isolation: Option<Isolation>,
        tasks: &Tasks,
    ) -> anyhow::Result<Banner> {
        let mut warnings = Vec::new();
        let host = match isolation {
            Some(isolation) => Some(Host::look(settings, isolation, tasks, &mut warnings).await?),
            None => None,
        };
        if settings.auth == Auth::Any && access.is_some() {
            warnings.push(
                "--auth any: every process on this host may call and change functions".into(),
            );
        }
        let all: Vec<_> = settings.members.roles().collect();
        let own: Vec<_> = settings.roles.iter().copied().collect();
        let names = || own.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        Ok(Banner {
            endpoint: access.map(|access| access.endpoint.clone()),
            metrics: metrics.map(|address| format!("http://{address}/metrics")),
            roles: (all != own).then(names),
            region: installed.installation.region.to_string(),
            account: installed.installation.account.to_string(),
            data_option: data_option(&settings.data),
            data: settings.data.display().to_string(),
            host,
            warnings,
        })
    }

    pub(super) fn text(&self) -> anyhow::Result<()> {
        let Banner { endpoint, region, account, data, data_option, .. } = self;
        let version = env!("CARGO_PKG_VERSION");
        let does = match endpoint {
            Some(endpoint) => format!("listens on {endpoint}"),
            None => "is up".to_owned(),
        };
        print::line(&format!("Lambent {version} {does} ({region}, {account})"))?;
        if endpoint.is_some() {
            print::line(&format!("  AWS clients   eval \"$(lambent env{data_option})\""))?;
            print::line(&format!(
                "  first steps   lambent deploy DIR{data_option}; lambent --help"
            ))?;
        }
        if let Some(metrics) = &self.metrics {
            print::line(&format!("  metrics       {metrics}"))?;
        }
        if let Some(roles) = &self.roles {
            print::line(&format!("  roles         {roles}"))?;
        }
        if let Some(Host { runtimes, others, isolation }) = &self.host {
            print::line(&format!("  runtimes      {}; {others}", runtimes.join(" ")))?;
            print::line(&format!("  isolation     {isolation}"))?;
        }
        print::line(&format!("  data          {data}"))?;
        for warning in &self.warnings {
            print::line(&format!("  WARN {warning}"))?;
        }
        Ok(())
    }

    pub(super) fn json(&self) -> anyhow::Result<()> {
        print::json(&json!({
            "endpoint": self.endpoint,
            "metrics": self.metrics,
            "roles": self.roles,
            "region": self.region,
            "account": self.account,
            "data": self.data,
            "runtimes": self.host.as_ref().map(|host| &host.runtimes),
            "isolation": self.host.as_ref().map(|host| host.isolation),
            "warnings": self.warnings,
        }))
    }
}

impl Host {
    async fn look(
        settings: &Checked,
        isolation: Isolation,
        tasks: &Tasks,
        warnings: &mut Vec<String>,
    ) -> anyhow::Result<Host> {
        let found = tasks.blocking("interpreter search", Interpreters::find).await?;
        let mut runtimes: Vec<_> = found.list().map(|(name, _)| name).collect();
        warnings.extend(isolation.warnings);
        for (language, start) in [("Python", "python"), ("Node", "nodejs")] {
            if !runtimes.iter().any(|name| name.starts_with(start)) {
                warnings.push(format!("no {language} under /usr: its functions cannot run here"));
            }
        }
        runtimes.extend(["provided.al2".into(), "provided.al2023".into()]);
        let others = match settings.runtimes {
            Runtimes::Nearest => "other versions run on the nearest, with a warning",
            Runtimes::Strict => "other versions are refused",
        };
        Ok(Host { runtimes, others, isolation: isolation.strength })
    }
}

fn data_option(data: &Path) -> String {
    match data::default_directory() {
        Ok(default) if default == data => String::new(),
        Ok(_) | Err(_) => format!(" --data {}", data.display()),
    }
}
