//! The operators' API, `/admin/...`: ring versions are shown, taken a step further,
//! or taken back (A4). AWS has nothing like it.

use aws_api::{ApiError, Exception};
use decide::ring::Version;
use http::Method;
use model::RingRecord;
use serde::Serialize;
use wire::control::ControlAnswer;

use crate::{answer, failure::Failure, rings::PublishError, role::Control};

/// Parts in which a ring is shown.
const PARTS: u64 = 96;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Admin {
    ShowRings,
    /// The newest version serves a larger share of the keys.
    StepRing,
    /// The version before the newest takes its keys back.
    BackRing,
}

/// `None` where the path is not one of the operators'.
pub(crate) fn of(method: &Method, path: &str) -> Option<Admin> {
    match (method, path) {
        (&Method::GET, "/admin/rings") => Some(Admin::ShowRings),
        (&Method::POST, "/admin/rings/step") => Some(Admin::StepRing),
        (&Method::POST, "/admin/rings/back") => Some(Admin::BackRing),
        _ => None,
    }
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

pub(crate) async fn handle(control: &Control, asked: Admin) -> Result<ControlAnswer, Failure> {
    let publisher = &control.publisher;
    let done = match asked {
        Admin::ShowRings => Ok(()),
        Admin::StepRing => publisher.step().await.map(drop),
        Admin::BackRing => publisher.back().await.map(drop),
    };
    done.map_err(refusal)?;
    let rings = publisher.rings().await?;
    answer::json(200, &Shown { versions: rings.versions().iter().map(shown).collect() })
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
            (Method::POST, "/admin/rings", None),
            (Method::GET, "/admin/rings/step", None),
            (Method::GET, "/admin", None),
        ];
        for (method, path, asked) in cases {
            assert_eq!(of(&method, path), asked, "{method} {path}");
        }
    }
}
