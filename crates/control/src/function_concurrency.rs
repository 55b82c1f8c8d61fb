//! Put-, Get- and DeleteFunctionConcurrency: how much of the account's concurrency is
//! kept for one function.
//!
//! Reservations of different functions share one limit, so that each is a change of
//! the account's limits too: of two at once, the second counts the first.

use aws_api::{
    ApiError,
    requests::{
        DeleteFunctionConcurrencyRequest, GetFunctionConcurrencyRequest,
        PutFunctionConcurrencyRequest,
    },
    responses::{Concurrency, GetFunctionConcurrencyResponse},
};
use model::{AccountId, FunctionName, limits::UNRESERVED_CONCURRENCY_MIN};
use store::{AccountLimits, Transaction, limits::PAGE_ENTRIES_MAX, schema};
use wire::control::ControlAnswer;

use crate::{
    answer,
    catalogue::{Amendment, Catalogue, Function},
    failure::Failure,
    limits::COMMIT_ATTEMPTS_MAX,
    provisioned_concurrency::{provisioned, provisioned_unreserved},
    request::Request,
    role::Control,
    target::Target,
};

pub(crate) async fn put(
    control: &Control,
    request: &Request<'_>,
) -> Result<ControlAnswer, Failure> {
    let given: PutFunctionConcurrencyRequest = request.parse()?;
    let catalogue = &control.catalogue;
    let target = request.target(catalogue, given.function_name.as_deref(), None)?;
    let target = target.whole_function()?;
    // The model requires it and has no upper bound: what is too much is refused below.
    let asked = given.reserved_concurrent_executions.unwrap_or_default();
    let asked = u32::try_from(asked).map_err(|_| too_much())?;
    for _ in 0..COMMIT_ATTEMPTS_MAX {
        if reserve(catalogue, &target, asked).await? {
            let body = Concurrency { reserved_concurrent_executions: Some(asked.into()) };
            return answer::json(request.success(), &body);
        }
    }
    Err(catalogue.contended(&target).into())
}

/// `false` where something changed in between.
async fn reserve(catalogue: &Catalogue, target: &Target, asked: u32) -> Result<bool, Failure> {
    let limits_key = schema::account_limits(target.account);
    // Read before the reservations: whoever adds one after this changes it.
    let found = catalogue.store.read(&limits_key).await?;
    let limits = found.as_ref().map_or_else(AccountLimits::default, |found| found.value.clone());
    let Function { settings, .. } = catalogue.read(target).await?;
    if u64::from(asked) < provisioned(catalogue, target).await? {
        return Err(under_provisioned().into());
    }
    let others = reserved(catalogue, target.account, Some(&target.name)).await?;
    let others = others + provisioned_unreserved(catalogue, target).await?;
    let left = u64::from(limits.concurrency).saturating_sub(others + u64::from(asked));
    let grows = asked > settings.value.reserved.unwrap_or(0);
    if grows && left < u64::from(UNRESERVED_CONCURRENCY_MIN) {
        return Err(too_much().into());
    }
    let settings_key = schema::function_settings(target.account, &target.name);
    let mut changed = settings.value;
    changed.reserved = Some(asked);
    let transaction = Transaction::new().require_version(&settings_key, settings.revision);
    let transaction = match found {
        Some(found) => transaction.require_version(&limits_key, found.revision),
        None => transaction.require_absent(&limits_key),
    };
    let transaction = transaction.put(&settings_key, &changed)?.put(&limits_key, &limits)?;
    catalogue.committed(transaction).await
}

/// What all functions of an account have reserved, but for one.
pub(crate) async fn reserved(
    catalogue: &Catalogue,
    account: AccountId,
    but_for: Option<&FunctionName>,
) -> Result<u64, Failure> {
    let but_for = but_for.map(|name| schema::function_settings(account, name).into_key());
    let mut sum = 0;
    let mut after = None;
    loop {
        let prefix = schema::functions_settings(account);
        let page = catalogue.store.read_page(&prefix, after.as_ref(), PAGE_ENTRIES_MAX).await?;
        let others = page.found.iter().filter(|(key, _)| Some(key) != but_for.as_ref());
        sum += others.filter_map(|(_, found)| found.value.reserved).map(u64::from).sum::<u64>();
        match page.next {
            Some(next) => after = Some(next),
            None => return Ok(sum),
        }
    }
}

fn under_provisioned() -> ApiError {
    ApiError::invalid_parameter(
        "Specified ReservedConcurrentExecutions for function is less than the provisioned \
         concurrency of its versions.",
    )
}

fn too_much() -> ApiError {
    ApiError::invalid_parameter(format!(
        "Specified ReservedConcurrentExecutions for function decreases account's \
         UnreservedConcurrentExecution below its minimum value of [{UNRESERVED_CONCURRENCY_MIN}]."
    ))
}

pub(crate) async fn get(
    control: &Control,
    request: &Request<'_>,
) -> Result<ControlAnswer, Failure> {
    let given: GetFunctionConcurrencyRequest = request.parse()?;
    let catalogue = &control.catalogue;
    let target = request.target(catalogue, given.function_name.as_deref(), None)?;
    let target = target.whole_function()?;
    let reserved = catalogue.read(&target).await?.settings.value.reserved;
    let body =
        GetFunctionConcurrencyResponse { reserved_concurrent_executions: reserved.map(i64::from) };
    answer::json(request.success(), &body)
}

pub(crate) async fn delete(
    control: &Control,
    request: &Request<'_>,
) -> Result<ControlAnswer, Failure> {
    let given: DeleteFunctionConcurrencyRequest = request.parse()?;
    let catalogue = &control.catalogue;
    let target = request.target(catalogue, given.function_name.as_deref(), None)?;
    let target = target.whole_function()?;
    let change = |function: &Function| {
        let mut settings = function.settings.value.clone();
        settings.reserved = None;
        Ok((Amendment { settings: Some(settings), ..Amendment::default() }, ()))
    };
    catalogue.amend(&target, change).await?;
    Ok(answer::no_content())
}
