//! GetAccountSettings: the limits of an account and what it uses of them. Counted when
//! asked, over every record of the account: nothing keeps a sum that could drift.

use aws_api::{
    requests::GetAccountSettingsRequest,
    responses::GetAccountSettingsResponse,
    structures::{AccountLimit, AccountUsage},
};
use model::{
    AccountId,
    limits::{UNZIPPED_BYTES_MAX, ZIP_BYTES_MAX},
};
use store::{limits::PAGE_ENTRIES_MAX, schema};
use wire::control::ControlAnswer;

use crate::{
    answer,
    catalogue::Catalogue,
    failure::Failure,
    function_concurrency,
    limits::{ACCOUNT_CODE_BYTES_MAX, VERSIONS_MAX},
    request::Request,
    role::Control,
    view::signed,
};

pub(crate) async fn handle(
    control: &Control,
    request: &Request<'_>,
) -> Result<ControlAnswer, Failure> {
    let GetAccountSettingsRequest {} = request.parse()?;
    let catalogue = &control.catalogue;
    let account = request.account;
    let limits = catalogue.store.read(&schema::account_limits(account)).await?;
    let concurrency = limits.map(|found| found.value).unwrap_or_default().concurrency;
    let reserved = function_concurrency::reserved(catalogue, account, None).await?;
    let unreserved = u64::from(concurrency).saturating_sub(reserved);
    let (functions, bytes) = usage(catalogue, account).await?;
    let body = GetAccountSettingsResponse {
        account_limit: Some(AccountLimit {
            code_size_unzipped: Some(signed(UNZIPPED_BYTES_MAX)),
            code_size_zipped: Some(signed(ZIP_BYTES_MAX)),
            concurrent_executions: Some(concurrency.into()),
            total_code_size: Some(signed(ACCOUNT_CODE_BYTES_MAX)),
            unreserved_concurrent_executions: Some(signed(unreserved)),
        }),
        account_usage: Some(AccountUsage {
            function_count: Some(signed(functions)),
            total_code_size: Some(signed(bytes)),
        }),
    };
    answer::json(request.success(), &body)
}

/// Functions, and bytes of the archives of all their versions.
async fn usage(catalogue: &Catalogue, account: AccountId) -> Result<(u64, u64), Failure> {
    let (mut functions, mut bytes) = (0, 0);
    let mut after = None;
    loop {
        let prefix = schema::function_heads(account);
        let page = catalogue.store.read_page(&prefix, after.as_ref(), PAGE_ENTRIES_MAX).await?;
        for (_, head) in page.found {
            functions += 1;
            bytes += head.value.code.size;
            let versions = schema::function_versions(account, &head.value.name);
            let versions = catalogue.store.read_first(&versions, None, VERSIONS_MAX).await?;
            bytes += versions.iter().map(|(_, found)| found.value.code.size).sum::<u64>();
        }
        match page.next {
            Some(next) => after = Some(next),
            None => return Ok((functions, bytes)),
        }
    }
}
