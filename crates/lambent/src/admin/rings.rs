//! `lambent admin rings`: the published ring versions as a table, as JSON, and as a
//! picture of the newest one; a bake is taken a step further, or back.

mod picture;

use std::path::PathBuf;

use anyhow::Context;
use http::Method;
use serde::{Deserialize, Serialize};

use crate::{
    client::{self, reach::Reach},
    failure::Exit,
    print,
};

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  lambent admin rings\n  lambent admin rings --json\n  \
                        lambent admin rings --svg ring.svg\n  lambent admin rings step")]
pub(crate) struct Rings {
    /// What to do; without it the versions are shown as they are.
    #[arg(value_enum)]
    step: Option<Step>,
    /// Print one JSON value, as the operators' API gives it.
    #[arg(long)]
    json: bool,
    /// Draw the newest version into this file as well.
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
    #[command(flatten)]
    reach: Reach,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Step {
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
        let (method, target) = match self.step {
            None => (Method::GET, "/admin/rings"),
            Some(Step::Step) => (Method::POST, "/admin/rings/step"),
            Some(Step::Back) => (Method::POST, "/admin/rings/back"),
        };
        let doing = "asking for the ring versions";
        let asked = async { self.reach.client()?.admin(method, target, doing).await };
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
