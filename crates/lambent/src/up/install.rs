//! The first start: an installation, its account and the credentials that sign for
//! it appear in the store together or not at all. Later starts find them.

use std::time::Duration;

use anyhow::Context;
use base64::{Engine, engine::general_purpose::STANDARD};
use model::{AccountId, Region, RequestId};
use platform::{Clock, Entropy};
use store::{AccessKeyId, Credential, Installation, Store, TransactError, Transaction, schema};

use super::settings::REGION_DEFAULT;
use crate::failure::Failure;

/// Between two looks for an installation that another process makes.
const RETRY: Duration = Duration::from_millis(200);
/// The account of the generated credentials: AWS's own example.
const ACCOUNT: &str = "123456789012";
/// Random characters after `AKIA`, as in AWS's key ids.
const KEY_CHARS: usize = 16;
/// What AWS's key ids are made of; 32, so that no character is likelier.
const KEY_ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
/// Forty characters of base64, as AWS's secrets have.
const SECRET_BYTES: usize = 30;

/// What an installation is, and a key pair that signs for it.
#[derive(Clone, Debug)]
pub(crate) struct Installed {
    pub(crate) installation: Installation,
    pub(crate) credential: Credential,
}

pub(crate) async fn install(
    store: &Store,
    clock: &Clock,
    entropy: &Entropy,
    region: Option<&Region>,
) -> anyhow::Result<Installed> {
    let key = schema::installation();
    if store.read(&key).await.context("reading the installation")?.is_none() {
        let made = make(clock.wall_ms(), entropy, region)?;
        let transaction = Transaction::new()
            .require_absent(&key)
            .put(&key, &made.installation)?
            .put(&schema::credential(&made.credential.id), &made.credential)?;
        match store.transact(transaction).await {
            // Somebody else made it meanwhile: that one counts.
            Ok(_) | Err(TransactError::Conflict { .. }) => {}
            Err(error) => return Err(error).context("writing the installation"),
        }
    }
    let Installed { installation, credential } =
        read(store).await?.context("the installation is not in the store")?;
    if let Some(asked) = region.filter(|region| **region != installation.region) {
        let what = format!("--region {asked}: this installation is {}", installation.region);
        let todo = "ARNs that exist name the region: leave --region out, or use another --data";
        return Err(Failure::usage(what, todo).into());
    }
    Ok(Installed { installation, credential })
}

/// Waits for the process that has control, which makes the installation.
pub(crate) async fn find(store: &Store) -> anyhow::Result<Installed> {
    let mut told = false;
    loop {
        let absent = match read(store).await {
            Ok(Some(installed)) => return Ok(installed),
            Ok(None) => "it holds no installation yet".to_owned(),
            Err(error) => format!("{error:#}"),
        };
        if !told {
            tracing::warn!(absent, "waiting for the metadata store");
            told = true;
        }
        tokio::time::sleep(RETRY).await;
    }
}

async fn read(store: &Store) -> anyhow::Result<Option<Installed>> {
    let found = store.read(&schema::installation()).await.context("reading the installation")?;
    let Some(installation) = found.map(|found| found.value) else { return Ok(None) };
    let page = store.read_page(&schema::credentials(), None, 1).await;
    let page = page.context("reading the credentials")?;
    let credential = page.found.into_iter().next().map(|(_, found)| found.value);
    let credential = credential.context("there are no credentials")?;
    Ok(Some(Installed { installation, credential }))
}

fn make(wall_ms: u64, entropy: &Entropy, region: Option<&Region>) -> anyhow::Result<Installed> {
    let account = AccountId::parse(ACCOUNT).context("the account's digits")?;
    let region = region.cloned().map_or_else(|| Region::parse(REGION_DEFAULT), Ok)?;
    let key: String = entropy
        .bytes::<KEY_CHARS>()
        .map(|byte| char::from(KEY_ALPHABET[usize::from(byte) % KEY_ALPHABET.len()]))
        .iter()
        .collect();
    let secret = STANDARD.encode(entropy.bytes::<SECRET_BYTES>());
    let id = AccessKeyId::parse(&format!("AKIA{key}"))?;
    let installation = Installation {
        id: RequestId::from_random(entropy.u128()).to_string(),
        region,
        account,
        created_ms: wall_ms,
    };
    let credential = Credential { id, secret, account, created_ms: wall_ms };
    Ok(Installed { installation, credential })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run<T>(test: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(test)
    }

    #[test]
    fn the_second_start_finds_what_the_first_made() {
        run(async {
            let (store, clock) = (Store::memory(), Clock::system());
            let first = install(&store, &clock, &Entropy::seeded(1), None).await.unwrap();
            let second = install(&store, &clock, &Entropy::seeded(2), None).await.unwrap();
            assert_eq!(first.installation, second.installation);
            assert!(first.credential == second.credential);
            assert_eq!(first.installation.region.as_str(), REGION_DEFAULT);
        });
    }

    #[test]
    fn credentials_have_the_shape_of_aws_and_are_of_this_installation_alone() {
        let make = |seed| make(5, &Entropy::seeded(seed), None).unwrap().credential;
        let (one, other) = (make(1), make(2));
        assert_eq!(one.id.as_str().len(), 20);
        assert!(one.id.as_str().starts_with("AKIA"));
        assert_eq!(one.secret.len(), 40);
        assert!(one.secret.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'+' || b == b'/'));
        assert_ne!(one.id, other.id);
        assert_ne!(one.secret, other.secret);
    }

    #[test]
    fn another_region_than_the_first_is_refused() {
        run(async {
            let (store, clock, entropy) = (Store::memory(), Clock::system(), Entropy::seeded(1));
            let region = |name| Region::parse(name).unwrap();
            let west = region("eu-west-1");
            install(&store, &clock, &entropy, Some(&west)).await.unwrap();
            assert!(install(&store, &clock, &entropy, Some(&west)).await.is_ok());
            let error = install(&store, &clock, &entropy, Some(&region("us-east-1"))).await;
            let text = error.unwrap_err().to_string();
            assert!(text.contains("us-east-1") && text.contains("eu-west-1"), "{text}");
        });
    }
}
