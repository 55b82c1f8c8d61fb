//! UpdateFunctionCode: another archive for `$LATEST`, published too where asked.
//! The archive is stored first; one transaction then puts it in the place of the old.

use aws_api::{requests::UpdateFunctionCodeRequest, structures::FunctionCode};
use model::{FunctionConfig, function::Code, function::UpdateStatus};
use wire::control::ControlAnswer;

use crate::{
    answer,
    catalogue::{Amendment, Function},
    code::Archive,
    create_function,
    failure::Failure,
    publish_version::{check_revision, publish},
    request::Request,
    role::Control,
    settings,
    target::Target,
    view::{self, Shown},
};

pub(crate) async fn handle(
    control: &Control,
    request: &Request<'_>,
) -> Result<ControlAnswer, Failure> {
    let mut given: UpdateFunctionCodeRequest = request.parse()?;
    let catalogue = &control.catalogue;
    let target = request.target(catalogue, given.function_name.as_deref(), None)?.head_only()?;
    if given.publish_to.is_some() {
        return Err(settings::not_supported("PublishTo").into());
    }
    let asked = given.architectures.as_deref().unwrap_or_default();
    settings::architecture_of(asked, control.architecture)?;
    let zip = create_function::archive_of(code_of(&mut given))?;
    let head = catalogue.read(&target).await?.head.value;
    check_revision(given.revision_id.as_deref(), &head)?;
    let archive = control.code.inspect(zip).await?;
    let config = match given.dry_run == Some(true) {
        true => dry(head, &archive),
        false => update(control, &target, &given, archive, &head).await?,
    };
    let body = view::configuration(&catalogue.region, &config, Shown::Alone);
    answer::json(request.success(), &body)
}

async fn update(
    control: &Control,
    target: &Target,
    given: &UpdateFunctionCodeRequest,
    archive: Archive,
    head: &FunctionConfig,
) -> Result<FunctionConfig, Failure> {
    let sha256 = archive.sha256;
    // The same archive again is not stored again, and environments stay warm.
    let upload = match head.code.sha256 == sha256 {
        true => None,
        false => Some(control.code.store(archive).await?),
    };
    let code: Option<&Code> = upload.as_ref().map(|upload| &upload.code);
    let change = |function: &Function| {
        let mut head = function.head.value.clone();
        check_revision(given.revision_id.as_deref(), &head)?;
        let fresh = control.fresh();
        match code {
            _ if head.code.sha256 == sha256 => fresh.touch(&mut head),
            Some(code) => {
                head.code = code.clone();
                fresh.revise(&mut head);
            }
            // It was the same when it was read, and another update came in between.
            None => return Err(control.catalogue.contended(target).into()),
        }
        head.last_update = UpdateStatus::Successful;
        let mut amendment = Amendment::default();
        let shown = match given.publish == Some(true) {
            true => publish(function, &head, None, &control.fresh(), &mut amendment)?,
            false => head.clone(),
        };
        amendment.head = Some(head);
        Ok((amendment, shown))
    };
    control.catalogue.amend(target, change).await
}

/// What the function would be; nothing is stored.
fn dry(mut head: FunctionConfig, archive: &Archive) -> FunctionConfig {
    head.code.sha256 = archive.sha256;
    head.code.size = archive.size();
    head
}

/// The same fields as in CreateFunction, without their own object.
fn code_of(given: &mut UpdateFunctionCodeRequest) -> FunctionCode {
    FunctionCode {
        image_uri: given.image_uri.take(),
        s3_bucket: given.s3_bucket.take(),
        s3_key: given.s3_key.take(),
        s3_object_storage_mode: given.s3_object_storage_mode.take(),
        s3_object_version: given.s3_object_version.take(),
        source_kms_key_arn: given.source_kms_key_arn.take(),
        zip_file: given.zip_file.take(),
    }
}
