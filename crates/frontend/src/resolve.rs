//! From what the caller wrote to an immutable version: name, qualifier, and the
//! state of what they mean.

use std::sync::Arc;

use model::{AccountId, AffinityAsk, FunctionState, Qualifier, VersionId, arn};

use crate::{Gate, affinity, head::Head, refusal::Refusal, view::Callable};

/// What will run, and the ARN that the function is told it was called by.
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) callable: Arc<Callable>,
    pub(crate) invoked_arn: Arc<str>,
    /// Where the function's calls have values: this one's.
    pub(crate) affinity: Option<AffinityAsk>,
}

pub(crate) fn resolve(gate: &Gate, account: AccountId, head: &Head) -> Result<Target, Refusal> {
    let unqualified = || arn::function_arn(&gate.region, account, &head.function.name);
    let not_found = || {
        let qualifier = head.qualifier.as_ref().map(|q| format!(":{q}")).unwrap_or_default();
        Refusal::FunctionNotFound { arn: format!("{}{qualifier}", unqualified()) }
    };
    // Another account's or region's function is none of this caller's.
    let here = head.function.region.as_ref().is_none_or(|region| *region == gate.region)
        && head.function.account.is_none_or(|named| named == account);
    if !here {
        return Err(not_found());
    }
    let version = match &head.qualifier {
        None => VersionId::Latest,
        Some(Qualifier::Version(version)) => *version,
        Some(Qualifier::Alias(_)) => return Err(not_found()),
    };
    let function = (account, head.function.name.clone());
    let callable = gate.view.find(&function, version).ok_or_else(not_found)?;
    match &callable.config.state {
        FunctionState::Active => {}
        FunctionState::Pending => return Err(Refusal::Pending),
        FunctionState::Failed { code, reason } => {
            return Err(Refusal::Failed { code: code.clone(), reason: reason.clone() });
        }
    }
    check_tenant(callable.config.per_tenant, head)?;
    let setting = gate.view.affinity(&function);
    let affinity = affinity::ask(setting, account, head.affinity.as_deref())?;
    let invoked_arn = match &head.qualifier {
        None => Arc::clone(&callable.arn),
        Some(qualifier) => format!("{}:{qualifier}", callable.arn).into(),
    };
    Ok(Target { callable, invoked_arn, affinity })
}

fn check_tenant(per_tenant: bool, head: &Head) -> Result<(), Refusal> {
    match (per_tenant, &head.tenant) {
        (true, Some(_)) | (false, None) => Ok(()),
        (true, None) => Err(Refusal::InvalidParameter {
            message: "Add a valid tenant ID in your request, and try again.".into(),
        }),
        (false, Some(_)) => Err(Refusal::InvalidParameter {
            message: "The invoked function is not enabled with tenancy configuration. Remove \
                      the tenant ID from your request, and try again."
                .into(),
        }),
    }
}
