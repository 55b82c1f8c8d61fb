//! ListVersionsByFunction: `$LATEST`, then the published versions, oldest first, page
//! by page. `list_functions` takes versions from here where it shows them too.

use aws_api::{requests::ListVersionsByFunctionRequest, responses::ListVersionsByFunctionResponse};
use model::{AccountId, FunctionConfig, FunctionName, VersionId};
use store::schema;
use wire::control::ControlAnswer;

use crate::{
    answer,
    catalogue::Catalogue,
    failure::Failure,
    marker::{self, Marker},
    request::Request,
    role::Control,
    view::{self, Shown},
};

pub(crate) async fn handle(
    control: &Control,
    request: &Request<'_>,
) -> Result<ControlAnswer, Failure> {
    let given: ListVersionsByFunctionRequest = request.parse()?;
    let catalogue = &control.catalogue;
    let target = request.target(catalogue, given.function_name.as_deref(), None)?.head_only()?;
    let head = catalogue.version(&target).await?;
    let items = marker::page_items(given.max_items);
    let mut found = Vec::new();
    let after = match marker::read_given(given.marker.as_deref())? {
        Some(marker) if marker.name == target.name => marker.version,
        Some(_) => return Err(marker::invalid().into()),
        None => {
            found.push(head);
            VersionId::Latest
        }
    };
    // One more than is shown tells whether there is a next page.
    let room = items + 1 - found.len();
    found.extend(versions_after(catalogue, target.account, &target.name, after, room).await?);
    let next = (found.len() > items).then(|| {
        found.truncate(items);
        found.last().map(|last| Marker { name: last.name.clone(), version: last.version }.write())
    });
    let view = |config| view::configuration(&catalogue.region, config, Shown::Version);
    let body = ListVersionsByFunctionResponse {
        versions: Some(found.iter().map(view).collect()),
        next_marker: next.flatten(),
    };
    answer::json(request.success(), &body)
}

/// Published versions after the given one, at most `items`.
pub(crate) async fn versions_after(
    catalogue: &Catalogue,
    account: AccountId,
    name: &FunctionName,
    after: VersionId,
    items: usize,
) -> Result<Vec<FunctionConfig>, Failure> {
    if items == 0 {
        return Ok(Vec::new());
    }
    let after = match after {
        VersionId::Latest => None,
        VersionId::Published(number) => {
            Some(schema::function_version(account, name, number).into_key())
        }
    };
    let prefix = schema::function_versions(account, name);
    let found = catalogue.store.read_first(&prefix, after, items).await?;
    Ok(found.into_iter().map(|(_, found)| found.value).collect())
}
