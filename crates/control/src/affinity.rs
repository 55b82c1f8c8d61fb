//! A function's affinity (A8), which AWS does not have: what makes a call's value, and
//! what a call does while the environment of its value is busy.

use aws_api::{ApiError, Exception};
use model::{
    Affinity, Span, WhenBusy, affinity,
    limits::{AFFINITY_TTL_SECS_MAX, TIMEOUT_SECS_MAX},
};
use serde::{Deserialize, Serialize};
use wire::control::ControlAnswer;

use crate::{
    answer,
    catalogue::{Amendment, Function},
    failure::Failure,
    role::Control,
    target::Target,
};

const WAIT_MS_MAX: u64 = TIMEOUT_SECS_MAX as u64 * 1_000;

/// The setting as callers read and write it; a write replaces all of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Setting {
    source: Source,
    busy_policy: BusyPolicy,
    /// With `Wait` only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    wait_milliseconds: Option<u64>,
    /// How long a value keeps its environment after its last call.
    ttl_seconds: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Source {
    /// `X-Lambent-Affinity`.
    Header,
    Principal,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum BusyPolicy {
    Wait,
    Overflow,
    Reject,
}

pub(crate) async fn get(control: &Control, target: &Target) -> Result<ControlAnswer, Failure> {
    let function = control.catalogue.read(target).await?;
    match function.settings.value.affinity {
        Some(affinity) => answer::json(200, &Setting::from(affinity)),
        None => Err(ApiError::resource_not_found("The function has no affinity.").into()),
    }
}

pub(crate) async fn put(
    control: &Control,
    target: &Target,
    body: &[u8],
) -> Result<ControlAnswer, Failure> {
    let given: Setting = serde_json::from_slice(body).map_err(|error| {
        let message = format!("Could not parse request body into json: {error}");
        ApiError::new(Exception::InvalidRequestContent, message)
    })?;
    let affinity = checked(given)?;
    write(control, target, Some(affinity)).await?;
    answer::json(200, &Setting::from(affinity))
}

pub(crate) async fn delete(control: &Control, target: &Target) -> Result<ControlAnswer, Failure> {
    write(control, target, None).await?;
    Ok(answer::no_content())
}

async fn write(
    control: &Control,
    target: &Target,
    affinity: Option<Affinity>,
) -> Result<(), Failure> {
    let change = |function: &Function| {
        let mut settings = function.settings.value.clone();
        settings.affinity = affinity;
        Ok((Amendment { settings: Some(settings), ..Amendment::default() }, ()))
    };
    control.catalogue.amend(target, change).await
}

fn checked(given: Setting) -> Result<Affinity, ApiError> {
    let Setting { source, busy_policy, wait_milliseconds, ttl_seconds } = given;
    let source = match source {
        Source::Header => affinity::Source::Header,
        Source::Principal => affinity::Source::Principal,
    };
    let when_busy = match (busy_policy, wait_milliseconds) {
        (BusyPolicy::Wait, Some(wait)) if (1..=WAIT_MS_MAX).contains(&wait) => {
            WhenBusy::Wait(Span::millis(wait))
        }
        (BusyPolicy::Overflow, None) => WhenBusy::Overflow,
        (BusyPolicy::Reject, None) => WhenBusy::Reject,
        (BusyPolicy::Wait | BusyPolicy::Overflow | BusyPolicy::Reject, _) => {
            return Err(ApiError::invalid_parameter(format!(
                "WaitMilliseconds is given with BusyPolicy Wait and only with it, from 1 to \
                 {WAIT_MS_MAX}."
            )));
        }
    };
    if !(1..=AFFINITY_TTL_SECS_MAX).contains(&ttl_seconds) {
        return Err(ApiError::invalid_parameter(format!(
            "TtlSeconds is from 1 to {AFFINITY_TTL_SECS_MAX}."
        )));
    }
    Ok(Affinity { source, when_busy, ttl: Span::secs(ttl_seconds) })
}

impl From<Affinity> for Setting {
    fn from(stored: Affinity) -> Setting {
        let source = match stored.source {
            affinity::Source::Header => Source::Header,
            affinity::Source::Principal => Source::Principal,
        };
        let (busy_policy, wait_milliseconds) = match stored.when_busy {
            WhenBusy::Wait(wait) => (BusyPolicy::Wait, Some(wait.as_millis())),
            WhenBusy::Overflow => (BusyPolicy::Overflow, None),
            WhenBusy::Reject => (BusyPolicy::Reject, None),
        };
        let ttl_seconds = stored.ttl.as_millis() / 1_000;
        Setting { source, busy_policy, wait_milliseconds, ttl_seconds }
    }
}
