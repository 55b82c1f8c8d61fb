//! Signatures against two foreign signers: a checked-in table of requests signed
//! by botocore (`sign_with_botocore.py`), and AWS's own Rust signer on random
//! requests. Each accepted request is then spoiled in every part it covers.

use aws_api::sigv4::{
    AuthError, CLOCK_SKEW_S_MAX, Credential, ExpectedPayload, RequestParts, SIGNING_KEYS_MAX,
    Signer, Verifier, claim, sign,
};
use http::{HeaderMap, HeaderName, HeaderValue};
use proptest::prelude::*;

const KEY: &str = "AKIDEXAMPLE";
const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
const TOKEN: &str = "tok/en+with=signs==";
/// 2026-11-21T12:19:23Z, when the table was signed.
const SIGNED_S: u64 = 1_795_263_563;

#[derive(Clone, serde::Deserialize)]
struct Request {
    name: String,
    service: String,
    method: String,
    path: String,
    query: Option<String>,
    headers: Vec<(String, String)>,
    token: bool,
    body_sha256: String,
}

impl Request {
    fn header_map(&self) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in &self.headers {
            let name: HeaderName = name.parse().expect("a header name");
            map.append(name, HeaderValue::from_str(value).expect("a header value"));
        }
        map
    }

    fn credential(&self) -> Credential<'static> {
        Credential { secret: SECRET, session_token: self.token.then_some(TOKEN), expires_s: None }
    }

    fn verify_with(
        &self,
        verifier: &Verifier,
        now_s: u64,
        credential: Option<Credential<'_>>,
    ) -> Result<ExpectedPayload, AuthError> {
        let headers = self.header_map();
        let parts = RequestParts {
            method: &self.method,
            path: &self.path,
            query: self.query.as_deref(),
            headers: &headers,
        };
        let claim = claim(&parts)?;
        let mut body = [0; 32];
        hex::decode_to_slice(&self.body_sha256, &mut body).expect("a digest");
        let verified = verifier.verify(&parts, &claim, Some(&body), now_s, |id| {
            assert_eq!(id, KEY);
            credential
        })?;
        assert_eq!(verified.access_key_id, KEY);
        Ok(verified.payload)
    }

    fn verify(&self) -> Result<ExpectedPayload, AuthError> {
        let verifier = Verifier::new("us-east-1", &*self.service);
        self.verify_with(&verifier, SIGNED_S, Some(self.credential()))
    }

    fn header_mut(&mut self, name: &str) -> Option<&mut String> {
        self.headers.iter_mut().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v)
    }

    fn is_presigned(&self) -> bool {
        self.query.as_deref().is_some_and(|q| q.contains("X-Amz-Signature"))
    }
}

fn table() -> Vec<Request> {
    serde_json::from_str(include_str!("botocore_signed.json")).expect("the table")
}

fn named(name: &str) -> Request {
    table().into_iter().find(|r| r.name == name).expect("a row of that name")
}

#[test]
fn requests_signed_by_botocore_are_accepted() {
    let rows = table();
    assert_eq!(rows.len(), 12);
    for row in rows {
        let payload = row.verify().unwrap_or_else(|error| panic!("{}: {error}", row.name));
        let unsigned = row.name == "s3_presigned";
        assert_eq!(payload == ExpectedPayload::Unsigned, unsigned, "{}", row.name);
    }
}

#[test]
fn a_request_changed_in_any_part_is_refused() {
    for row in table() {
        let mut spoiled: Vec<(&str, Request)> = Vec::new();
        let mut spoil = |what, change: &dyn Fn(&mut Request)| {
            let mut copy = row.clone();
            change(&mut copy);
            spoiled.push((what, copy));
        };
        spoil("method", &|r| r.method = "PATCH".to_owned());
        spoil("path", &|r| r.path.push('x'));
        spoil("query", &|r| r.query = Some(format!("{}&x=1", r.query.clone().unwrap_or_default())));
        spoil("host", &|r| r.header_mut("host").expect("host").push('1'));
        if row.has_header("x-amz-invocation-type") {
            spoil("header", &|r| {
                *r.header_mut("x-amz-invocation-type").expect("present") = "Event".to_owned();
            });
        }
        if row.service == "lambda" {
            spoil("body", &|r| r.body_sha256 = "00".repeat(32));
        }
        if row.is_presigned() {
            spoil("signature", &|r| {
                let query = r.query.take().expect("a query");
                let flipped = if query.ends_with('0') { "1" } else { "0" };
                r.query = Some(format!("{}{flipped}", &query[..query.len() - 1]));
            });
        }
        for (what, request) in spoiled {
            assert_eq!(
                request.verify(),
                Err(AuthError::Mismatch),
                "{} with another {what}",
                row.name
            );
        }
        let wrong = Credential { secret: "wrong", ..row.credential() };
        let verifier = Verifier::new("us-east-1", &*row.service);
        assert_eq!(
            row.verify_with(&verifier, SIGNED_S, Some(wrong)),
            Err(AuthError::Mismatch),
            "{}",
            row.name
        );
        assert_eq!(row.verify_with(&verifier, SIGNED_S, None), Err(AuthError::UnknownKey));
        // The right secret after the wrong one: no stale key is used.
        assert!(row.verify_with(&verifier, SIGNED_S, Some(row.credential())).is_ok());
    }
}

impl Request {
    fn has_header(&self, name: &str) -> bool {
        self.headers.iter().any(|(n, _)| n.eq_ignore_ascii_case(name))
    }
}

#[test]
fn clocks_may_differ_by_fifteen_minutes() {
    let row = named("invoke");
    let verifier = Verifier::new("us-east-1", "lambda");
    let at = |now_s| row.verify_with(&verifier, now_s, Some(row.credential()));
    assert!(at(SIGNED_S - CLOCK_SKEW_S_MAX).is_ok());
    assert!(at(SIGNED_S + CLOCK_SKEW_S_MAX).is_ok());
    assert_eq!(
        at(SIGNED_S + CLOCK_SKEW_S_MAX + 1).expect_err("too old").to_string(),
        "Signature expired: 20261121T121923Z is now earlier than 20261121T121924Z \
         (20261121T123424Z - 15 min.)"
    );
    assert_eq!(
        at(SIGNED_S - CLOCK_SKEW_S_MAX - 1).expect_err("too new").to_string(),
        "Signature not yet current: 20261121T121923Z is still later than 20261121T121922Z \
         (20261121T120422Z + 15 min.)"
    );
}

#[test]
fn a_presigned_request_lives_as_long_as_it_says() {
    let row = named("presigned");
    let verifier = Verifier::new("us-east-1", "lambda");
    let at = |now_s| row.verify_with(&verifier, now_s, Some(row.credential()));
    assert!(at(SIGNED_S + 3600).is_ok());
    assert!(matches!(at(SIGNED_S + 3601), Err(AuthError::PresignedEnded { .. })));
    assert!(matches!(at(SIGNED_S - 901), Err(AuthError::TooNew { .. })));
    let mut longer = row.clone();
    longer.query = row.query.map(|q| q.replace("X-Amz-Expires=3600", "X-Amz-Expires=7200"));
    assert_eq!(longer.verify(), Err(AuthError::Mismatch));
    longer.query = longer.query.map(|q| q.replace("Expires=7200", "Expires=604801"));
    assert!(matches!(longer.verify(), Err(AuthError::Incomplete(_))));
}

#[test]
fn the_scope_must_be_ours() {
    let row = named("invoke");
    for (region, service, text) in
        [("eu-west-1", "lambda", "valid region"), ("us-east-1", "s3", "correct service: 's3'")]
    {
        let verifier = Verifier::new(region, service);
        let error = row.verify_with(&verifier, SIGNED_S, Some(row.credential()));
        assert!(error.expect_err("refused").to_string().contains(text));
    }
    for (from, to) in [("/20261121/", "/20261120/"), ("aws4_request", "aws5_request")] {
        let mut other = row.clone();
        let header = other.header_mut("authorization").expect("signed");
        *header = header.replace(from, to);
        assert!(matches!(other.verify(), Err(AuthError::Scope(_))), "{to}");
    }
}

#[test]
fn what_is_missing_is_named() {
    let mut bare = named("invoke");
    bare.headers.retain(|(name, _)| name != "Authorization");
    assert_eq!(bare.verify(), Err(AuthError::Missing));

    let row = named("invoke");
    for (from, to, text) in [
        ("Credential=", "Other=", "requires 'Credential' parameter"),
        ("Signature=", "Other=", "requires 'Signature' parameter"),
        ("SignedHeaders=", "Other=", "requires 'SignedHeaders' parameter"),
        ("/us-east-1", "", "five parts"),
        ("Signature=5f", "Signature=", "64 hexadecimal digits"),
        ("AWS4-HMAC-SHA256", "Bearer", "requires the algorithm"),
    ] {
        let mut other = row.clone();
        let header = other.header_mut("authorization").expect("signed");
        *header = header.replace(from, to);
        let error = other.verify().expect_err(text);
        assert!(matches!(&error, AuthError::Incomplete(e) if e.contains(text)), "{error}");
    }
    let mut undated = row.clone();
    undated.headers.retain(|(name, _)| name != "X-Amz-Date");
    assert!(matches!(undated.verify(), Err(AuthError::Incomplete(_))));
}

#[test]
fn an_added_header_of_aws_must_be_signed() {
    let mut row = named("token");
    row.headers.push(("X-Amz-Invocation-Type".to_owned(), "Event".to_owned()));
    assert_eq!(row.verify(), Err(AuthError::UnsignedHeader("x-amz-invocation-type".to_owned())));
}

#[test]
fn a_session_token_must_be_the_right_one_and_in_time() {
    let row = named("token");
    let verifier = Verifier::new("us-east-1", "lambda");
    let with = |session_token, expires_s| {
        let credential = Credential { secret: SECRET, session_token, expires_s };
        row.verify_with(&verifier, SIGNED_S, Some(credential))
    };
    assert!(with(Some(TOKEN), Some(SIGNED_S + 1)).is_ok());
    assert_eq!(with(Some(TOKEN), Some(SIGNED_S)), Err(AuthError::Expired));
    assert_eq!(with(Some("other"), None), Err(AuthError::UnknownKey));
    assert_eq!(with(None, None), Err(AuthError::UnknownKey));
    let plain = named("invoke");
    let credential = Credential { secret: SECRET, session_token: Some(TOKEN), expires_s: None };
    let answer = plain.verify_with(&verifier, SIGNED_S, Some(credential));
    assert_eq!(answer, Err(AuthError::UnknownKey));
}

#[test]
fn a_body_without_a_digest_is_not_believed() {
    let row = named("invoke");
    let headers = row.header_map();
    let parts = RequestParts { method: "POST", path: &row.path, query: None, headers: &headers };
    let claim = claim(&parts).expect("a claim");
    assert_eq!(claim.declared_payload(), None);
    let verifier = Verifier::new("us-east-1", "lambda");
    let answer = verifier.verify(&parts, &claim, None, SIGNED_S, |_| Some(row.credential()));
    assert_eq!(answer.expect_err("no digest"), AuthError::Mismatch);
}

#[test]
fn a_declared_payload_is_what_was_signed() {
    let row = named("s3_put");
    let declared = row.verify().expect("accepted");
    assert_eq!(
        hex::encode(match declared {
            ExpectedPayload::Sha256(digest) => digest,
            ExpectedPayload::Unsigned => panic!("botocore signs over plain HTTP"),
        }),
        row.body_sha256
    );
    for text in ["STREAMING-AWS4-HMAC-SHA256-PAYLOAD", "x"] {
        let mut other = row.clone();
        *other.header_mut("x-amz-content-sha256").expect("declared") = text.to_owned();
        assert_eq!(other.verify(), Err(AuthError::PayloadMode(text.to_owned())));
    }
    let mut other = row.clone();
    *other.header_mut("x-amz-content-sha256").expect("declared") = "UNSIGNED-PAYLOAD".to_owned();
    assert_eq!(other.verify(), Err(AuthError::Mismatch));
}

#[test]
fn more_keys_than_are_kept_still_verify() {
    let verifier = Verifier::new("us-east-1", "lambda");
    for round in 0..SIGNING_KEYS_MAX + 2 {
        let id = format!("AKID{round}");
        let credential = Credential { secret: &id, session_token: None, expires_s: None };
        let signer =
            Signer { access_key_id: &id, credential, region: "us-east-1", service: "lambda" };
        let mut headers =
            HeaderMap::from_iter([(http::header::HOST, HeaderValue::from_static("h"))]);
        sign(&signer, "GET", "/", None, &mut headers, b"", SIGNED_S).expect("signed");
        let parts = RequestParts { method: "GET", path: "/", query: None, headers: &headers };
        let claim = claim(&parts).expect("a claim");
        let answer = verifier.verify(&parts, &claim, None, SIGNED_S, |_| Some(credential));
        assert!(answer.is_ok(), "{round}");
    }
}

/// Signs with AWS's crate; the query comes back changed for presigned requests.
fn sign_with_aws(
    service: &str,
    method: &str,
    url: &str,
    headers: &[(String, String)],
    body: &[u8],
    presigned: bool,
) -> (String, Vec<(String, String)>) {
    use aws_sigv4::http_request::{
        PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SignatureLocation,
        SigningSettings, UriPathNormalizationMode, sign,
    };
    let identity = aws_credential_types::Credentials::new(KEY, SECRET, None, None, "test").into();
    let mut settings = SigningSettings::default();
    settings.excluded_headers = None;
    if service == "s3" {
        settings.percent_encoding_mode = PercentEncodingMode::Single;
        settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
        settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
    }
    if presigned {
        settings.signature_location = SignatureLocation::QueryParams;
        settings.expires_in = Some(std::time::Duration::from_secs(60));
    }
    let params = aws_sigv4::sign::v4::SigningParams::builder()
        .identity(&identity)
        .region("us-east-1")
        .name(service)
        .time(std::time::UNIX_EPOCH + std::time::Duration::from_secs(SIGNED_S))
        .settings(settings)
        .build()
        .expect("parameters")
        .into();
    let pairs = headers.iter().map(|(n, v)| (n.as_str(), v.as_str()));
    let payload = if service == "s3" && presigned {
        SignableBody::UnsignedPayload
    } else {
        SignableBody::Bytes(body)
    };
    let request = SignableRequest::new(method, url, pairs, payload).expect("a request");
    let (instructions, _) = sign(request, &params).expect("signed").into_parts();
    let mut headers = headers.to_vec();
    headers.extend(instructions.headers().map(|(n, v)| (n.to_owned(), v.to_owned())));
    let mut query: Vec<String> =
        url.split_once('?').map(|(_, q)| q.to_owned()).into_iter().collect();
    for (name, value) in instructions.params() {
        query.push(format!("{name}={}", aws_api::encoding::percent_encode(value)));
    }
    (query.join("&"), headers)
}

fn segment() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-zA-Z0-9._~-]{0,8}",
        Just("arn%3Aaws%3Alambda".to_owned()),
        Just("%C3%BC%20".to_owned()),
        Just("..".to_owned()),
        Just(".".to_owned()),
        Just(String::new()),
    ]
}

proptest! {
    #[test]
    fn we_agree_with_the_signer_of_the_rust_sdk(
        service in prop_oneof![Just("lambda"), Just("s3")],
        method in prop_oneof![Just("GET"), Just("POST"), Just("PUT"), Just("DELETE")],
        segments in proptest::collection::vec(segment(), 1..6),
        pairs in proptest::collection::vec(("[a-zA-Z-]{1,5}", "\\PC{0,6}"), 0..5),
        extra in proptest::collection::vec(("x-amz-[a-z]{1,6}", "[ -~]{0,12}"), 0..4),
        body in any::<Vec<u8>>(),
        presigned in any::<bool>(),
    ) {
        let path = format!("/{}", segments.join("/"));
        let encode = aws_api::encoding::percent_encode;
        let query: Vec<String> = pairs.iter().map(|(k, v)| format!("{}={}", encode(k), encode(v))).collect();
        let query = query.join("&");
        let target = if query.is_empty() { path.clone() } else { format!("{path}?{query}") };
        let mut headers = vec![
            ("host".to_owned(), "localhost:4574".to_owned()),
            ("user-agent".to_owned(), "sdk/1".to_owned()),
            ("x-amzn-trace-id".to_owned(), "Root=1".to_owned()),
        ];
        for (index, (name, value)) in extra.iter().enumerate() {
            headers.push((format!("{name}{index}"), value.trim().to_owned()));
        }
        let url = format!("http://localhost:4574{target}");
        let (query, headers) = sign_with_aws(service, method, &url, &headers, &body, presigned);
        let digest = hex::encode(<sha2::Sha256 as sha2::Digest>::digest(&body));
        let request = Request {
            name: "random".to_owned(),
            service: service.to_owned(),
            method: method.to_owned(),
            path,
            query: Some(query).filter(|q| !q.is_empty()),
            headers,
            token: false,
            body_sha256: digest,
        };
        prop_assert!(request.verify().is_ok(), "{:?} {}", request.verify(), url);
        let mut other = request.clone();
        other.method = "PATCH".to_owned();
        prop_assert_eq!(other.verify(), Err(AuthError::Mismatch));
    }

    #[test]
    fn what_we_sign_we_believe(
        path in "/[a-z%20./]{0,12}",
        body in any::<Vec<u8>>(),
        token in any::<bool>(),
    ) {
        let credential = Credential {
            secret: SECRET,
            session_token: token.then_some(TOKEN),
            expires_s: None,
        };
        let signer = Signer { access_key_id: KEY, credential, region: "r-1", service: "lambda" };
        let mut headers = HeaderMap::from_iter([(http::header::HOST, HeaderValue::from_static("h"))]);
        sign(&signer, "POST", &path, Some("a=b"), &mut headers, &body, SIGNED_S).expect("signed");
        let parts = RequestParts { method: "POST", path: &path, query: Some("a=b"), headers: &headers };
        let claim = claim(&parts).expect("a claim");
        let verified = Verifier::new("r-1", "lambda")
            .verify(&parts, &claim, None, SIGNED_S, |_| Some(credential))
            .expect("believed");
        let digest: [u8; 32] = <sha2::Sha256 as sha2::Digest>::digest(&body).into();
        prop_assert_eq!(verified.payload, ExpectedPayload::Sha256(digest));
    }
}
