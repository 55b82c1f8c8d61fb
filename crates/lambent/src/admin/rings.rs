//! `lambent admin rings`: the published ring versions as a table, as JSON, and as a
//! picture of the newest one; another version is deployed, taken a step further, or back.

mod picture;

use std::path::PathBuf;

use anyhow::Context;
use http::Method;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{
    client::{self, reach::Reach},
    failure::{Exit, Failure},
    print,
};

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  lambent admin rings\n  lambent admin rings --json\n  \
                        lambent admin rings --svg ring.svg\n  \
                        lambent admin rings deploy --managers 4,5,6\n  \
                        lambent admin rings deploy --spread 4 --cap 100\n  \
                        lambent admin rings step")]
pub(crate) struct Rings {
    /// What to do; without it the versions are shown as they are.
    #[arg(value_enum)]
    change: Option<Change>,
    /// deploy: the managers of the new version; without it those of the newest one.
    #[arg(long, value_name = "IDS", value_delimiter = ',')]
    managers: Option<Vec<u64>>,
    /// deploy: percent of the keys that the new version serves at once; without it the
    /// first step of a bake.
    #[arg(long, value_name = "PERCENT", value_parser = clap::value_parser!(u16).range(1..=100))]
    share: Option<u16>,
    /// deploy: over how many managers the calls of a function are spread at least.
    #[arg(long, value_name = "MANAGERS", value_parser = clap::value_parser!(u16).range(1..))]
    spread: Option<u16>,
    /// deploy: calls of one function that one manager may have in flight.
    #[arg(long, value_name = "CALLS", value_parser = clap::value_parser!(u32).range(1..))]
    cap: Option<u32>,
    /// deploy: a number of your own; environments of another profile are not taken over.
    #[arg(long, value_name = "NUMBER")]
    profile: Option<u16>,
    /// deploy: likewise, for a class of workers.
    #[arg(long, value_name = "NUMBER")]
    worker_class: Option<u16>,
    /// deploy: after how many seconds without a call an environment is let go.
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(1..))]
    idle: Option<u32>,
    /// Print one JSON value, as the operators' API gives it.
    #[arg(long)]
    json: bool,
    /// Draw the newest version into this file as well.
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
    #[command(flatten)]
    reach: Reach,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Change {
    /// Another version, of other managers or with other settings.
    Deploy,
    /// The newest version serves the next larger share of the keys.
    Step,
    /// The managers and settings before the newest version serve all keys again.
    Back,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Shown {
    /// Newest first.
    versions: Vec<Version>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Version {
    v: u64,
    fleet: u64,
    prev: Option<u64>,
    members: Vec<u64>,
    attrs: Attrs,
    /// In ten-thousandths.
    key_share: u16,
    state: String,
    shares: Vec<Share>,
    /// Owners of equal parts of the ring, clockwise.
    parts: Vec<u64>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Attrs {
    spread: u16,
    per_mgr_cap: u32,
    idle_ttl_s: u32,
    profile: Profile,
}

#[derive(Debug, Serialize, Deserialize)]
struct Profile {
    sandbox: u16,
    worker_class: u16,
}

#[derive(Debug, Serialize, Deserialize)]
struct Share {
    manager: u64,
    /// In millionths.
    share: u64,
}

impl Rings {
    pub(crate) fn run(self) -> anyhow::Result<Exit> {
        let body = self.deployment()?;
        let (method, target) = match self.change {
            None => (Method::GET, "/admin/rings"),
            Some(Change::Deploy) => (Method::POST, "/admin/rings"),
            Some(Change::Step) => (Method::POST, "/admin/rings/step"),
            Some(Change::Back) => (Method::POST, "/admin/rings/back"),
        };
        let doing = "asking for the ring versions";
        let asked = async { self.reach.client()?.admin(method, target, body, doing).await };
        let shown: Shown = client::block_on(asked)?;
        if self.json {
            print::json(&shown)?;
        } else if let Some(newest) = shown.versions.first() {
            print::out(table(&shown.versions).as_bytes())?;
            print::out(format!("\nversion {}\n{}", newest.v, picture::text(newest)).as_bytes())?;
        } else {
            print::line("no ring version is published")?;
        }
        if let (Some(file), Some(newest)) = (&self.svg, shown.versions.first()) {
            let drawn = picture::svg(newest);
            std::fs::write(file, drawn).with_context(|| format!("writing {}", file.display()))?;
        }
        Ok(Exit::Success)
    }

    fn deployment(&self) -> anyhow::Result<Option<Value>> {
        let same = self.managers.is_none()
            && self.spread.is_none()
            && self.cap.is_none()
            && self.profile.is_none()
            && self.worker_class.is_none()
            && self.idle.is_none();
        match self.change {
            Some(Change::Deploy) if same => {
                let todo = "name --managers or a setting: a version has to differ in something";
                Err(Failure::usage("nothing is to be deployed", todo).into())
            }
            Some(Change::Deploy) => Ok(Some(json!({
                "members": self.managers,
                "spread": self.spread,
                "per_mgr_cap": self.cap,
                "idle_ttl_s": self.idle,
                "sandbox_profile": self.profile,
                "worker_class": self.worker_class,
                "key_share": self.share.map(|percent| percent * 100),
            }))),
            None | Some(Change::Step | Change::Back) if same && self.share.is_none() => Ok(None),
            None | Some(Change::Step | Change::Back) => {
                let todo = "use `lambent admin rings deploy`";
                Err(Failure::usage("only a deployment has managers and settings", todo).into())
            }
        }
    }
}

fn table(versions: &[Version]) -> String {
    let head = [
        "version", "prev", "state", "keys", "fleet", "managers", "spread", "cap", "idle", "profile",
    ];
    let row = |version: &Version| {
        let Attrs { spread, per_mgr_cap, idle_ttl_s, profile } = &version.attrs;
        let cap = if *per_mgr_cap == u32::MAX { "none".into() } else { per_mgr_cap.to_string() };
        [
            version.v.to_string(),
            version.prev.map_or("-".into(), |prev| prev.to_string()),
            version.state.clone(),
            percent(u64::from(version.key_share), 10_000),
            version.fleet.to_string(),
            version.members.len().to_string(),
            spread.to_string(),
            cap,
            format!("{idle_ttl_s} s"),
            format!("{}/{}", profile.sandbox, profile.worker_class),
        ]
    };
    print::table(head, versions.iter().map(row))
}

/// With two digits after the point.
fn percent(part: u64, whole: u64) -> String {
    let hundredths = part * 10_000 / whole.max(1);
    format!("{}.{:02} %", hundredths / 100, hundredths % 100)
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn version() -> Version {
        let text = r#"{"v":3,"fleet":2,"prev":2,"members":[4,5],"key_share":500,
            "attrs":{"spread":2,"per_mgr_cap":4294967295,"idle_ttl_s":600,
                     "profile":{"sandbox":1,"worker_class":0}},
            "state":"Baking","parts":[4,4,5,4,5,5],
            "shares":[{"manager":4,"share":498000},{"manager":5,"share":502000}]}"#;
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn a_row_tells_what_a_version_is() {
        let table = table(&[version()]);
        let row: Vec<&str> = table.lines().nth(1).unwrap().split_whitespace().collect();
        let expected = ["3", "2", "Baking", "5.00", "%", "2", "2", "2", "none", "600", "s", "1/0"];
        assert_eq!(row, expected);
    }
}
