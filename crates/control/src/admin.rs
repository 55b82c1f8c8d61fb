//! The operators' API, `/admin/...`: ring versions are shown, deployed, taken a step
//! further, or taken back (A4). AWS has nothing like it.

use aws_api::{ApiError, Exception};
use decide::ring::{Version, publish::Facts};
use http::Method;
use model::{Attrs, FleetId, ManagerId, RingRecord};
use serde::{Deserialize, Serialize};
use wire::control::ControlAnswer;

use crate::{answer, failure::Failure, rings::PublishError, role::Control};

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
    idle_ttl_s: Option<u32>,
    per_mgr_cap: Option<u32>,
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

/// How many calls a key has in flight, nobody tells control: a version is refused for
/// them only by who knows (A4.5).
async fn deploy(control: &Control, wanted: Deployment) -> Result<(), PublishError> {
    let Deployment { members, idle_ttl_s, per_mgr_cap, key_share } = wanted;
    let rings = control.publisher.rings().await?;
    let newest = rings.newest().ok_or(PublishError::NoRing)?.record();
    let members = members.map(|members| members.into_iter().map(ManagerId).collect());
    let members: Vec<ManagerId> = members.unwrap_or_else(|| newest.members.clone());
    let attrs = Attrs {
        idle_ttl_s: idle_ttl_s.unwrap_or(newest.attrs.idle_ttl_s),
        per_mgr_cap: per_mgr_cap.unwrap_or(newest.attrs.per_mgr_cap),
        ..newest.attrs
    };
    let same_fleet = members == newest.members;
    let fleet = if same_fleet { newest.fleet } else { FleetId(newest.v.0 + 1) };
    let facts = Facts { managers: &control.managers, in_flight_max: 0 };
    control.publisher.deploy(fleet, members, attrs, key_share, facts).await.map(drop)
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
