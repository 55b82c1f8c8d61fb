//! AWS signature version 4 on a request of a client command. The checking side is
//! `aws_api::sigv4`, written apart: each proves the other.

use std::time::{Duration, UNIX_EPOCH};

use anyhow::Context;
use aws_credential_types::Credentials;
use aws_sigv4::{
    http_request::{SignableBody, SignableRequest, SigningSettings, sign as signature},
    sign::v4,
};
use bytes::Bytes;
use http::Request;

use crate::data::Access;

pub(super) fn sign<B>(
    request: &mut Request<B>,
    body: &Bytes,
    access: &Access,
    authority: &str,
    wall_ms: u64,
) -> anyhow::Result<()> {
    let Access { access_key_id, secret_access_key, region, .. } = access;
    let identity = Credentials::new(access_key_id, secret_access_key, None, None, "lambent").into();
    let parameters = v4::SigningParams::builder()
        .identity(&identity)
        .region(region)
        .name("lambda")
        .time(UNIX_EPOCH + Duration::from_millis(wall_ms))
        .settings(SigningSettings::default())
        .build()?
        .into();
    let headers =
        request.headers().iter().map(|(name, value)| Ok((name.as_str(), value.to_str()?)));
    let headers: Vec<_> = headers.collect::<Result<_, http::header::ToStrError>>()?;
    let signable = SignableRequest::new(
        request.method().as_str(),
        format!("http://{authority}{}", request.uri()),
        headers.into_iter(),
        SignableBody::Bytes(body),
    );
    let signed = signature(signable.context("signing")?, &parameters).context("signing")?;
    let (instructions, _) = signed.into_parts();
    instructions.apply_to_request_http1x(request);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signature_names_key_day_region_and_service() {
        let access = Access {
            endpoint: "http://localhost:4574".into(),
            region: "eu-west-1".into(),
            account: String::new(),
            access_key_id: "AKIDEXAMPLE".into(),
            secret_access_key: "secret".into(),
        };
        let sign_at = |wall_ms, body: &'static [u8]| {
            let body = Bytes::from_static(body);
            let mut request = Request::get("/2015-03-31/functions/?MaxItems=50").body(()).unwrap();
            sign(&mut request, &body, &access, "localhost:4574", wall_ms).unwrap();
            request.headers()["authorization"].to_str().unwrap().to_owned()
        };
        let header = sign_at(1_440_938_160_000, b"");
        let scope = "Credential=AKIDEXAMPLE/20150830/eu-west-1/lambda/aws4_request";
        assert!(header.contains(scope), "{header}");
        assert_ne!(header, sign_at(1_440_938_160_000, b"x"), "the body is signed");
        assert_ne!(header, sign_at(1_440_938_161_000, b""), "the time is signed");
    }
}
