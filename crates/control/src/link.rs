//! Download links for code (`Code.Location` of GetFunction): anybody who has one may
//! fetch that archive until it expires. The secret behind them is drawn at the start
//! of the process, so links do not outlive it.

use aws_api::{ApiError, Exception};
use model::{AccountId, FunctionName, VersionId};

use crate::limits::LINK_TTL_SECS;

pub(crate) const PATH: &str = "/lambent/v1/code/";

pub(crate) struct Links {
    secret: [u8; 32],
}

impl std::fmt::Debug for Links {
    /// Without the secret: secrets are never logged.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Links").finish_non_exhaustive()
    }
}

/// The archive that a link is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Linked {
    pub(crate) account: AccountId,
    pub(crate) name: FunctionName,
    pub(crate) version: VersionId,
}

impl Links {
    pub(crate) fn new(secret: [u8; 32]) -> Links {
        Links { secret }
    }

    pub(crate) fn make(&self, origin: &str, linked: &Linked, now_ms: u64) -> String {
        let expires = now_ms / 1_000 + LINK_TTL_SECS;
        let token = self.token(linked, expires).to_hex();
        let Linked { account, name, version } = linked;
        let version = version.to_string().replace('$', "%24");
        format!("{origin}{PATH}{account}/{name}/{version}?expires={expires}&token={token}")
    }

    /// What a link of ours that is still good leads to.
    pub(crate) fn open(&self, target: &str, now_ms: u64) -> Result<Linked, ApiError> {
        let denied = || ApiError::new(Exception::AccessDenied, "Access Denied");
        let (linked, expires, token) = parse(target).ok_or_else(denied)?;
        // Compared in constant time.
        if self.token(&linked, expires) != token {
            return Err(denied());
        }
        if now_ms / 1_000 >= expires {
            return Err(ApiError::new(Exception::AccessDenied, "Request has expired"));
        }
        Ok(linked)
    }

    fn token(&self, linked: &Linked, expires: u64) -> blake3::Hash {
        let Linked { account, name, version } = linked;
        // No part can contain a slash.
        let message = format!("{account}/{name}/{version}/{expires}");
        blake3::keyed_hash(&self.secret, message.as_bytes())
    }
}

fn parse(target: &str) -> Option<(Linked, u64, blake3::Hash)> {
    let (path, query) = target.split_once('?')?;
    let mut parts = path.strip_prefix(PATH)?.split('/');
    let account = AccountId::parse(parts.next()?)?;
    let name = FunctionName::parse(parts.next()?).ok()?;
    let version = match parts.next()? {
        "%24LATEST" | "$LATEST" => VersionId::Latest,
        number => VersionId::Published(number.parse().ok()?),
    };
    if parts.next().is_some() {
        return None;
    }
    let pair =
        |key: &str| query.split('&').find_map(|pair| pair.strip_prefix(key)?.strip_prefix('='));
    let expires = pair("expires")?.parse().ok()?;
    let token = blake3::Hash::from_hex(pair("token")?).ok()?;
    Some((Linked { account, name, version }, expires, token))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn linked(version: VersionId) -> Linked {
        Linked {
            account: AccountId::parse("000000000001").unwrap(),
            name: FunctionName::parse("f").unwrap(),
            version,
        }
    }

    fn target(links: &Links, version: VersionId) -> String {
        let url = links.make("http://h:1", &linked(version), 5_000_000);
        url.strip_prefix("http://h:1").unwrap().to_owned()
    }

    #[test]
    fn a_link_is_good_for_ten_minutes() {
        let links = Links::new([7; 32]);
        for version in [VersionId::Latest, VersionId::Published(3)] {
            let target = target(&links, version);
            assert_eq!(links.open(&target, 5_000_000), Ok(linked(version)));
            assert_eq!(links.open(&target, 5_599_999), Ok(linked(version)));
            assert_eq!(
                links.open(&target, 5_600_000).unwrap_err().message(),
                "Request has expired"
            );
        }
    }

    #[test]
    fn a_link_that_was_touched_leads_nowhere() {
        let links = Links::new([7; 32]);
        let good = target(&links, VersionId::Published(3));
        let cases = [
            good.replace("/f/", "/g/"),
            good.replace("/3?", "/4?"),
            good.replace("000000000001", "000000000002"),
            good.replace("expires=56", "expires=66"),
            good.replace("token=", "t="),
            good.split('?').next().unwrap().to_owned(),
            target(&Links::new([8; 32]), VersionId::Published(3)),
        ];
        for target in cases {
            assert_ne!(target, good);
            assert_eq!(links.open(&target, 5_000_000).unwrap_err().status(), 403, "{target}");
        }
    }
}
