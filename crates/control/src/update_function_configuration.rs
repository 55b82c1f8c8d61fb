//! UpdateFunctionConfiguration: what is given replaces what was; the rest stays.
//! `revision` grows, so that no environment of the old settings serves a later call.

use aws_api::requests::UpdateFunctionConfigurationRequest;
use model::function::UpdateStatus;
use wire::control::ControlAnswer;

use crate::{
    answer,
    catalogue::{Amendment, Function},
    failure::Failure,
    publish_version::check_revision,
    request::Request,
    role::Control,
    settings, tenancy,
    view::{self, Shown},
};

pub(crate) async fn handle(
    control: &Control,
    request: &Request<'_>,
) -> Result<ControlAnswer, Failure> {
    tenancy::refuse_change(&request.body)?;
    let given: UpdateFunctionConfigurationRequest = request.parse()?;
    let catalogue = &control.catalogue;
    let target = request.target(catalogue, given.function_name.as_deref(), None)?.head_only()?;
    let change = |function: &Function| {
        let mut head = function.head.value.clone();
        check_revision(given.revision_id.as_deref(), &head)?;
        settings::apply(given.clone(), &mut head)?;
        head.last_update = UpdateStatus::Successful;
        control.fresh().revise(&mut head);
        Ok((Amendment { head: Some(head.clone()), ..Amendment::default() }, head))
    };
    let head = catalogue.amend(&target, change).await?;
    let body = view::configuration(&catalogue.region, &head, Shown::Alone);
    answer::json(request.success(), &body)
}
