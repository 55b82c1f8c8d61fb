//! Requests as bytes, signed once with signature version 4 and then replayed:
//! AWS accepts a signature for 15 minutes, so a row that is signed at its start
//! costs the generator nothing per call.

use std::path::Path;

use anyhow::Context;
use hmac::{Hmac, Mac};
use model::Civil;
use platform::Clock;
use sha2::{Digest, Sha256};

/// How to reach a platform and whom to sign for, from its `credentials.json`.
#[derive(Clone)]
pub(crate) struct Access {
    pub(crate) host: String,
    region: String,
    key_id: String,
    secret: String,
}

impl Access {
    pub(crate) fn read(data: &Path) -> anyhow::Result<Access> {
        let path = data.join("credentials.json");
        let text = std::fs::read(&path).with_context(|| format!("reading {}", path.display()))?;
        let value: serde_json::Value = serde_json::from_slice(&text)?;
        let field = |name: &str| {
            let text = value[name].as_str().map(str::to_owned);
            text.with_context(|| format!("{} has no {name}", path.display()))
        };
        let endpoint = field("endpoint")?;
        let host = endpoint.strip_prefix("http://").context("the endpoint is not http")?;
        Ok(Access {
            host: host.trim_end_matches('/').to_owned(),
            region: field("region")?,
            key_id: field("access_key_id")?,
            secret: field("secret_access_key")?,
        })
    }

    /// A complete signed request. `path` holds nothing that needs escaping.
    pub(crate) fn request(
        &self,
        clock: &Clock,
        method: &str,
        path: &str,
        extra: &[(&str, &str)],
        body: &[u8],
    ) -> Vec<u8> {
        let date = amz_date(clock.wall_ms());
        let mut headers = vec![("host", self.host.as_str()), ("x-amz-date", date.as_str())];
        headers.extend_from_slice(extra);
        headers.sort_unstable();
        let authorization = self.authorization(method, path, &headers, &date, body);
        let mut request = format!("{method} {path} HTTP/1.1\r\n");
        for (name, value) in headers {
            request.push_str(&format!("{name}: {value}\r\n"));
        }
        request.push_str(&format!("authorization: {authorization}\r\n"));
        request.push_str(&format!("content-length: {}\r\n\r\n", body.len()));
        let mut request = request.into_bytes();
        request.extend_from_slice(body);
        request
    }

    fn authorization(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        date: &str,
        body: &[u8],
    ) -> String {
        let lines: String =
            headers.iter().map(|(name, value)| format!("{name}:{value}\n")).collect();
        let names: Vec<&str> = headers.iter().map(|(name, _)| *name).collect();
        let names = names.join(";");
        let digest = hex::encode(Sha256::digest(body));
        let canonical = format!("{method}\n{path}\n\n{lines}\n{names}\n{digest}");
        let day = &date[..8];
        let scope = format!("{day}/{}/lambda/aws4_request", self.region);
        let canonical = hex::encode(Sha256::digest(canonical));
        let text = format!("AWS4-HMAC-SHA256\n{date}\n{scope}\n{canonical}");
        let first = keyed(format!("AWS4{}", self.secret).as_bytes(), day);
        let parts = [self.region.as_str(), "lambda", "aws4_request"];
        let key = parts.iter().fold(first, |key, part| keyed(&key, part));
        let signature = hex::encode(keyed(&key, &text));
        let id = &self.key_id;
        format!(
            "AWS4-HMAC-SHA256 Credential={id}/{scope}, SignedHeaders={names}, Signature={signature}"
        )
    }
}

#[expect(clippy::expect_used, reason = "an HMAC takes keys of every length")]
fn keyed(key: &[u8], text: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("keys of every length are taken");
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

fn amz_date(wall_ms: u64) -> String {
    let c = Civil::of_epoch_ms(wall_ms);
    let Civil { year, month, day, hour, minute, second, .. } = c;
    format!("{year}{month:02}{day:02}T{hour:02}{minute:02}{second:02}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The key derivation example of AWS's documentation.
    #[test]
    fn keys_are_derived_as_documented() {
        let mut key = keyed(b"AWS4wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "20120215");
        for part in ["us-east-1", "iam", "aws4_request"] {
            key = keyed(&key, part);
        }
        let expected = "f4780e2d9f65fa895f9c67b32ce1baf0b0d8a43505a000a1a9e090d414db404d";
        assert_eq!(hex::encode(key), expected);
    }

    #[test]
    fn a_request_is_complete_and_its_date_is_compact() {
        assert_eq!(amz_date(1_440_938_160_000), "20150830T123600Z");
        let access = Access {
            host: "127.0.0.1:1".into(),
            region: "us-east-1".into(),
            key_id: "AKID".into(),
            secret: "s".into(),
        };
        let clock = Clock::system();
        let request = access.request(&clock, "POST", "/x", &[("x-amz-log-type", "Tail")], b"{}");
        let text = String::from_utf8(request).unwrap();
        assert!(text.starts_with("POST /x HTTP/1.1\r\n"), "{text}");
        assert!(text.contains("SignedHeaders=host;x-amz-date;x-amz-log-type,"), "{text}");
        assert!(text.ends_with("content-length: 2\r\n\r\n{}"), "{text}");
    }
}
