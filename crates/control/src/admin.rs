//! The operators' API, `/admin/...`: ring versions are shown, deployed, taken a step
//! further, or taken back (A4). AWS has nothing like it.

use aws_api::{ApiError, Exception};
use decide::ring::{Version, publish::Facts};
use http::Method;
use model::{Attrs, FleetId, ManagerId, Profile, RingRecord};
use serde::{Deserialize, Serialize};
use wire::control::ControlAnswer;

use crate::{answer, busiest, failure::Failure, rings::PublishError, role::Control};

/// Parts in which a ring is shown.
const PARTS: u64 = 96;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Admin {
    ShowRings,
    /// Other managers, or other settings, as a version of their own.
    DeployRing,
    /// The newest version serves a larger share of the keys.
    StepRing,
    /// The version before the newest takes its keys back.
    BackRing,
}

/// `None` where the path is not one of the operators'.
pub(crate) fn of(method: &Method, path: &str) -> Option<Admin> {
    match (method, path) {
        (&Method::GET, "/admin/rings") => Some(Admin::ShowRings),
        (&Method::POST, "/admin/rings") => Some(Admin::DeployRing),
        (&Method::POST, "/admin/rings/step") => Some(Admin::StepRing),
        (&Method::POST, "/admin/rings/back") => Some(Admin::BackRing),
        _ => None,
    }
}

/// What is left out stays as the newest version has it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Deployment {
    members: Option<Vec<u64>>,
    /// Managers of one key.
    spread: Option<u16>,
    /// Calls of one key at one of its managers.
    per_mgr_cap: Option<u32>,
    idle_ttl_s: Option<u32>,
    /// What no environment changes to: those of another number are not handed over.
    sandbox_profile: Option<u16>,
    worker_class: Option<u16>,
    /// Of the keys, in ten-thousandths; without it the first step of a bake.
    key_share: Option<u16>,
}

#[derive(Debug, Serialize)]
struct Shown {
    versions: Vec<ShownVersion>,
}

#[derive(Debug, Serialize)]
struct ShownVersion {
    #[serde(flatten)]
    record: RingRecord,
    /// Parts of all keys that the members own, in millionths.
    shares: Vec<ShownShare>,
    /// The owner of each of `PARTS` equal parts of the ring, clockwise.
    parts: Vec<u64>,
}

#[derive(Debug, Serialize)]
struct ShownShare {
    manager: u64,
    share: u64,
}

pub(crate) async fn handle(
    control: &Control,
    asked: Admin,
    body: &[u8],
) -> Result<ControlAnswer, Failure> {
    let publisher = &control.publisher;
    let done = match asked {
        Admin::ShowRings => Ok(()),
        Admin::DeployRing => deploy(control, read(body)?).await,
        Admin::StepRing => publisher.step().await.map(drop),
        Admin::BackRing => publisher.back().await.map(drop),
    };
    done.map_err(refusal)?;
    let rings = publisher.rings().await?;
    answer::json(200, &Shown { versions: rings.versions().iter().map(shown).collect() })
}

fn read(body: &[u8]) -> Result<Deployment, ApiError> {
    serde_json::from_slice(body).map_err(|error| {
        let message = format!("Could not parse request body into json: {error}");
        ApiError::new(Exception::InvalidRequestContent, message)
    })
}

async fn deploy(control: &Control, wanted: Deployment) -> Result<(), PublishError> {
    let rings = control.publisher.rings().await?;
    let newest = rings.newest().ok_or(PublishError::NoRing)?.record();
    let attrs = wanted.attrs(newest.attrs);
    let members = wanted.members.map(|members| members.into_iter().map(ManagerId).collect());
    let members: Vec<ManagerId> = members.unwrap_or_else(|| newest.members.clone());
    let same_fleet = members == newest.members;
    let fleet = if same_fleet { newest.fleet } else { FleetId(newest.v.0 + 1) };
    let managers: Vec<ManagerId> = control.managers.keys().copied().collect();
    let in_flight_max = match attrs.per_mgr_cap {
        u32::MAX => 0,
        _ => busiest::in_flight_max(&control.clock, &control.managers).await,
    };
    let facts = Facts { managers: &managers, in_flight_max };
    control.publisher.deploy(fleet, members, attrs, wanted.key_share, facts).await.map(drop)
}

impl Deployment {
    fn attrs(&self, newest: Attrs) -> Attrs {
        let Attrs { spread, per_mgr_cap, idle_ttl_s, profile } = newest;
        let Profile { sandbox, worker_class } = profile;
        Attrs {
            spread: self.spread.unwrap_or(spread),
            per_mgr_cap: self.per_mgr_cap.unwrap_or(per_mgr_cap),
            idle_ttl_s: self.idle_ttl_s.unwrap_or(idle_ttl_s),
            profile: Profile {
                sandbox: self.sandbox_profile.unwrap_or(sandbox),
                worker_class: self.worker_class.unwrap_or(worker_class),
            },
        }
    }
}

fn shown(version: &Version) -> ShownVersion {
    let share =
        |(manager, share): (model::ManagerId, u64)| ShownShare { manager: manager.0, share };
    ShownVersion {
        record: version.record().clone(),
        shares: version.ring().shares().into_iter().map(share).collect(),
        parts: version.ring().parts(PARTS).into_iter().map(|manager| manager.0).collect(),
    }
}

fn refusal(error: PublishError) -> Failure {
    match error {
        PublishError::Unfit(_)
        | PublishError::NoRing
        | PublishError::Baked(_)
        | PublishError::NoWayBack(_)
        | PublishError::Contended => {
            ApiError::new(Exception::ResourceConflict, error.to_string()).into()
        }
        PublishError::Read(error) => error.into(),
        PublishError::Write(error) => error.into(),
        PublishError::Record(error) => error.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_operators_paths_are_theirs() {
        let cases = [
            (Method::GET, "/admin/rings", Some(Admin::ShowRings)),
            (Method::POST, "/admin/rings/step", Some(Admin::StepRing)),
            (Method::POST, "/admin/rings/back", Some(Admin::BackRing)),
            (Method::POST, "/admin/rings", Some(Admin::DeployRing)),
            (Method::PUT, "/admin/rings", None),
            (Method::GET, "/admin/rings/step", None),
            (Method::GET, "/admin", None),
        ];
        for (method, path, asked) in cases {
            assert_eq!(of(&method, path), asked, "{method} {path}");
        }
    }
}
