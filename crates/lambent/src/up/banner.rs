//! What `up` says once it listens: where, how to use it, what this host runs, and
//! what it lacks. Standard output; the log goes to standard error.

use std::path::Path;

use platform::Tasks;
use serde_json::json;
use worker::Interpreters;

use super::{
    isolation::Isolation,
    settings::{Auth, Checked, Runtimes},
};
use crate::{
    data::{self, Access},
    print,
};

#[derive(Debug)]
pub(super) struct Banner {
    endpoint: String,
    region: String,
    account: String,
    data: String,
    /// As `lambent env` needs it: empty for the default directory.
    data_option: String,
    runtimes: Vec<String>,
    others: &'static str,
    isolation: &'static str,
    warnings: Vec<String>,
}

impl Banner {
    /// Looks for interpreters, which takes longer than everything else of a start;
    /// the platform already answers meanwhile.
    pub(super) async fn gather(
        settings: &Checked,
        access: &Access,
        isolation: Isolation,
        tasks: &Tasks,
    ) -> anyhow::Result<Banner> {
        let found = tasks.blocking("interpreter search", Interpreters::find).await?;
        let mut runtimes: Vec<_> = found.list().map(|(name, _)| name).collect();
        let mut warnings = isolation.warnings;
        for (language, start) in [("Python", "python"), ("Node", "nodejs")] {
            if !runtimes.iter().any(|name| name.starts_with(start)) {
                warnings.push(format!("no {language} under /usr: its functions cannot run here"));
            }
        }
        if settings.auth == Auth::Any {
            warnings.push(
                "--auth any: every process on this host may call and change functions".into(),
            );
        }
        runtimes.extend(["provided.al2".into(), "provided.al2023".into()]);
        Ok(Banner {
            endpoint: access.endpoint.clone(),
            region: access.region.clone(),
            account: access.account.clone(),
            data_option: data_option(&settings.data),
            data: settings.data.display().to_string(),
            runtimes,
            others: match settings.runtimes {
                Runtimes::Nearest => "other versions run on the nearest, with a warning",
                Runtimes::Strict => "other versions are refused",
            },
            isolation: isolation.strength,
            warnings,
        })
    }

    pub(super) fn text(&self) -> anyhow::Result<()> {
        let Banner { endpoint, region, account, data, data_option, .. } = self;
        let version = env!("CARGO_PKG_VERSION");
        print::line(&format!("Lambent {version} listens on {endpoint} ({region}, {account})"))?;
        print::line(&format!("  AWS clients   eval \"$(lambent env{data_option})\""))?;
        print::line(&format!("  first steps   lambent deploy DIR{data_option}; lambent --help"))?;
        print::line(&format!("  runtimes      {}; {}", self.runtimes.join(" "), self.others))?;
        print::line(&format!("  isolation     {}", self.isolation))?;
        print::line(&format!("  data          {data}"))?;
        for warning in &self.warnings {
            print::line(&format!("  WARN {warning}"))?;
        }
        Ok(())
    }

    pub(super) fn json(&self) -> anyhow::Result<()> {
        print::json(&json!({
            "endpoint": self.endpoint,
            "region": self.region,
            "account": self.account,
            "data": self.data,
            "runtimes": self.runtimes,
            "isolation": self.isolation,
            "warnings": self.warnings,
        }))
    }
}

fn data_option(data: &Path) -> String {
    match data::default_directory() {
        Ok(default) if default == data => String::new(),
        Ok(_) | Err(_) => format!(" --data {}", data.display()),
    }
}
