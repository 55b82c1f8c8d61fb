//! ListFunctions: the functions of an account in the order of their names, page by
//! page; on request with every published version after its function.

use aws_api::{requests::ListFunctionsRequest, responses::ListFunctionsResponse};
use model::{AccountId, FunctionConfig, VersionId};
use store::schema;
use wire::control::ControlAnswer;

use crate::{
    answer,
    catalogue::Catalogue,
    failure::Failure,
    list_versions_by_function::versions_after,
    marker::{self, Marker},
    request::Request,
    role::Control,
    view::{self, Shown},
};

pub(crate) async fn handle(
    control: &Control,
    request: &Request<'_>,
) -> Result<ControlAnswer, Failure> {
    let given: ListFunctionsRequest = request.parse()?;
    let catalogue = &control.catalogue;
    let after = marker::read_given(given.marker.as_deref())?;
    let all_versions = given.function_version.is_some();
    let items = marker::page_items(given.max_items);
    // One more than is shown tells whether there is a next page.
    let mut found = match all_versions {
        false => heads(catalogue, request.account, after.as_ref(), items + 1).await?,
        true => versions(catalogue, request.account, after, items + 1).await?,
    };
    let next = (found.len() > items).then(|| {
        found.truncate(items);
        found.last().map(|last| Marker { name: last.name.clone(), version: last.version }.write())
    });
    let shown = if all_versions { Shown::Version } else { Shown::Listed };
    let view = |config| view::configuration(&catalogue.region, config, shown);
    let body = ListFunctionsResponse {
        functions: Some(found.iter().map(view).collect()),
        next_marker: next.flatten(),
    };
    answer::json(request.success(), &body)
}

async fn heads(
    catalogue: &Catalogue,
    account: AccountId,
    after: Option<&Marker>,
    items: usize,
) -> Result<Vec<FunctionConfig>, Failure> {
    let after = after.map(|marker| schema::function_head(account, &marker.name).into_key());
    let prefix = schema::function_heads(account);
    let found = catalogue.store.read_first(&prefix, after, items).await?;
    Ok(found.into_iter().map(|(_, found)| found.value).collect())
}

async fn versions(
    catalogue: &Catalogue,
    account: AccountId,
    after: Option<Marker>,
    items: usize,
) -> Result<Vec<FunctionConfig>, Failure> {
    let mut found = Vec::new();
    if let Some(Marker { name, version }) = &after {
        found = versions_after(catalogue, account, name, *version, items).await?;
    }
    let mut last = after;
    while found.len() < items {
        // The next function after the one whose versions are all there.
        let head = heads(catalogue, account, last.as_ref(), 1).await?;
        let Some(head) = head.into_iter().next() else { break };
        let name = head.name.clone();
        found.push(head);
        let room = items - found.len();
        found.extend(versions_after(catalogue, account, &name, VersionId::Latest, room).await?);
        last = Some(Marker { name, version: VersionId::Latest });
    }
    Ok(found)
}
