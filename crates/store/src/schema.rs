//! Every key of the store, and the type of its value; one prefix holds one type.
//! The table stands at `Place`.

use model::{
    AccountId, FunctionConfig, FunctionName, KeyHash, ProvisionedConfig, ProvisionedSet,
    RingRecord, RingVersion, function::FunctionSettings,
};

use crate::{
    key::{Key, Prefix, TypedKey, TypedPrefix},
    lease::{LeaseName, LeaseRecord},
    record::Value,
    settings::{AccessKeyId, AccountLimits, Credential, Installation},
};

/// What a key is about; for watchers, that see keys of many types.
///
/// | key | value |
/// |---|---|
/// | `installation` | `Installation` |
/// | `credentials/{access key id}` | `Credential` |
/// | `accounts/{account}/limits` | `AccountLimits` |
/// | `functions/heads/{account}/{name}` | `FunctionConfig` (`$LATEST`) |
/// | `functions/versions/{account}/{name}/{number:020}` | `FunctionConfig` (published) |
/// | `functions/settings/{account}/{name}` | `FunctionSettings` |
/// | `provisioned/configs/{account}/{name}/{number:020}` | `ProvisionedConfig` |
/// | `provisioned/sets/{account}/{name}/{number:020}/{key hash:032x}` | `ProvisionedSet` |
/// | `rings/{version:020}` | `RingRecord` |
/// | `leases/{name}` | `LeaseRecord` |
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    Installation,
    Credential(AccessKeyId),
    AccountLimits(AccountId),
    FunctionHead(AccountId, FunctionName),
    FunctionVersion(AccountId, FunctionName, u64),
    FunctionSettings(AccountId, FunctionName),
    ProvisionedConfig(AccountId, FunctionName, u64),
    ProvisionedSet(AccountId, FunctionName, u64, KeyHash),
    Ring(RingVersion),
    Lease(LeaseName),
}

pub fn installation() -> TypedKey<Installation> {
    TypedKey::new("installation".into())
}

pub fn credential(id: &AccessKeyId) -> TypedKey<Credential> {
    TypedKey::new(format!("credentials/{id}"))
}

pub fn credentials() -> TypedPrefix<Credential> {
    TypedPrefix::new("credentials/".into())
}

pub fn account_limits(account: AccountId) -> TypedKey<AccountLimits> {
    TypedKey::new(format!("accounts/{account}/limits"))
}

/// All of `AccountLimits`.
pub fn accounts() -> TypedPrefix<AccountLimits> {
    TypedPrefix::new("accounts/".into())
}

pub fn function_head(account: AccountId, name: &FunctionName) -> TypedKey<FunctionConfig> {
    TypedKey::new(format!("functions/heads/{account}/{name}"))
}

/// Heads of one account, in the order of their names.
pub fn function_heads(account: AccountId) -> TypedPrefix<FunctionConfig> {
    TypedPrefix::new(format!("functions/heads/{account}/"))
}

pub fn function_version(
    account: AccountId,
    name: &FunctionName,
    number: u64,
) -> TypedKey<FunctionConfig> {
    TypedKey::new(format!("functions/versions/{account}/{name}/{number:020}"))
}

/// Published versions of one function, oldest first.
pub fn function_versions(account: AccountId, name: &FunctionName) -> TypedPrefix<FunctionConfig> {
    TypedPrefix::new(format!("functions/versions/{account}/{name}/"))
}

pub fn function_settings(account: AccountId, name: &FunctionName) -> TypedKey<FunctionSettings> {
    TypedKey::new(format!("functions/settings/{account}/{name}"))
}

/// Settings of every function of an account.
pub fn functions_settings(account: AccountId) -> TypedPrefix<FunctionSettings> {
    TypedPrefix::new(format!("functions/settings/{account}/"))
}

/// Everything about functions of all accounts: heads, settings and versions.
pub fn functions() -> Prefix {
    Prefix::new("functions/".into())
}

pub fn provisioned_config(
    account: AccountId,
    name: &FunctionName,
    number: u64,
) -> TypedKey<ProvisionedConfig> {
    TypedKey::new(format!("provisioned/configs/{account}/{name}/{number:020}"))
}

/// What is asked for of one function, by version.
pub fn function_provisioned_configs(
    account: AccountId,
    name: &FunctionName,
) -> TypedPrefix<ProvisionedConfig> {
    TypedPrefix::new(format!("provisioned/configs/{account}/{name}/"))
}

/// What is asked for of all functions of an account.
pub fn account_provisioned_configs(account: AccountId) -> TypedPrefix<ProvisionedConfig> {
    TypedPrefix::new(format!("provisioned/configs/{account}/"))
}

pub fn provisioned_set(
    account: AccountId,
    name: &FunctionName,
    number: u64,
    key: KeyHash,
) -> TypedKey<ProvisionedSet> {
    TypedKey::new(format!("provisioned/sets/{account}/{name}/{number:020}/{key:?}"))
}

/// The sets of one version: its own, and what is left of one of the same number
/// that was deleted with its function.
pub fn provisioned_sets(
    account: AccountId,
    name: &FunctionName,
    number: u64,
) -> TypedPrefix<ProvisionedSet> {
    TypedPrefix::new(format!("provisioned/sets/{account}/{name}/{number:020}/"))
}

/// Everything about provisioned concurrency: what is asked for, and the sets.
pub fn provisioned() -> Prefix {
    Prefix::new("provisioned/".into())
}

pub fn ring(v: RingVersion) -> TypedKey<RingRecord> {
    TypedKey::new(format!("rings/{:020}", v.0))
}

/// Every published ring version, oldest first.
pub fn rings() -> TypedPrefix<RingRecord> {
    TypedPrefix::new("rings/".into())
}

pub(crate) fn lease(name: &LeaseName) -> TypedKey<LeaseRecord> {
    TypedKey::new(format!("leases/{name}"))
}

/// Formats of the records. A new format raises the number and keeps reading the old.
impl Value for Installation {
    const FORMAT: u32 = 1;
}
impl Value for Credential {
    const FORMAT: u32 = 1;
}
impl Value for AccountLimits {
    const FORMAT: u32 = 1;
}
impl Value for FunctionConfig {
    const FORMAT: u32 = 1;
}
impl Value for FunctionSettings {
    const FORMAT: u32 = 1;
}
impl Value for ProvisionedConfig {
    const FORMAT: u32 = 1;
}
impl Value for ProvisionedSet {
    const FORMAT: u32 = 1;
}
impl Value for RingRecord {
    const FORMAT: u32 = 1;
}
impl Value for LeaseRecord {
    const FORMAT: u32 = 1;
}

impl Place {
    pub fn key(&self) -> Key {
        match self {
            Place::Installation => installation().into_key(),
            Place::Credential(id) => credential(id).into_key(),
            Place::AccountLimits(account) => account_limits(*account).into_key(),
            Place::FunctionHead(account, name) => function_head(*account, name).into_key(),
            Place::FunctionVersion(account, name, number) => {
                function_version(*account, name, *number).into_key()
            }
            Place::FunctionSettings(account, name) => function_settings(*account, name).into_key(),
            Place::ProvisionedConfig(account, name, number) => {
                provisioned_config(*account, name, *number).into_key()
            }
            Place::ProvisionedSet(account, name, number, key) => {
                provisioned_set(*account, name, *number, *key).into_key()
            }
            Place::Ring(v) => ring(*v).into_key(),
            Place::Lease(name) => lease(name).into_key(),
        }
    }

    /// `None` for a key that this release does not know.
    pub fn of(key: &Key) -> Option<Place> {
        let mut parts = key.as_str().split('/');
        let place = match (parts.next()?, parts.next()) {
            ("installation", None) => return Some(Place::Installation),
            ("credentials", Some(id)) => Place::Credential(AccessKeyId::parse(id).ok()?),
            ("leases", Some(name)) => Place::Lease(LeaseName::parse(name).ok()?),
            ("rings", Some(v)) => Place::Ring(RingVersion(v.parse().ok()?)),
            ("accounts", Some(account)) => {
                let account = AccountId::parse(account)?;
                (parts.next()? == "limits").then_some(Place::AccountLimits(account))?
            }
            ("functions", Some(kind)) => {
                let account = AccountId::parse(parts.next()?)?;
                let name = FunctionName::parse(parts.next()?).ok()?;
                match kind {
                    "heads" => Place::FunctionHead(account, name),
                    "settings" => Place::FunctionSettings(account, name),
                    "versions" => {
                        Place::FunctionVersion(account, name, parts.next()?.parse().ok()?)
                    }
                    _ => return None,
                }
            }
            ("provisioned", Some(kind)) => {
                let account = AccountId::parse(parts.next()?)?;
                let name = FunctionName::parse(parts.next()?).ok()?;
                let number = parts.next()?.parse().ok()?;
                match kind {
                    "configs" => Place::ProvisionedConfig(account, name, number),
                    "sets" => {
                        let key = u128::from_str_radix(parts.next()?, 16).ok()?;
                        Place::ProvisionedSet(account, name, number, KeyHash(key))
                    }
                    _ => return None,
                }
            }
            _ => return None,
        };
        (parts.next().is_none() && place.key() == *key).then_some(place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_place_is_found_again_by_its_key() {
        let account = AccountId::parse("000000000001").unwrap();
        let name = FunctionName::parse("heads-_9").unwrap();
        let places = [
            Place::Installation,
            Place::Credential(AccessKeyId::parse("AKIAIOSFODNN7EXAMPLE").unwrap()),
            Place::AccountLimits(account),
            Place::FunctionHead(account, name.clone()),
            Place::FunctionVersion(account, name.clone(), 10),
            Place::FunctionSettings(account, name.clone()),
            Place::ProvisionedConfig(account, name.clone(), 3),
            Place::ProvisionedSet(account, name, 3, KeyHash(0xabc << 100)),
            Place::Ring(RingVersion(7)),
            Place::Lease(LeaseName::parse("manager-1").unwrap()),
        ];
        for place in places {
            assert_eq!(Place::of(&place.key()), Some(place));
        }
    }

    #[test]
    fn what_no_release_wrote_has_no_place() {
        let cases = [
            "x",
            "installation/x",
            "functions/heads/000000000001",
            "functions/heads/000000000001/f/1",
            "functions/versions/000000000001/f/1",
            "functions/tails/000000000001/f",
            "accounts/000000000001/limit",
            "rings/1",
        ];
        for text in cases {
            assert_eq!(Place::of(&Key::new(text.into())), None, "{text}");
        }
    }

    #[test]
    fn versions_are_ordered_as_numbers() {
        let account = AccountId::parse("000000000001").unwrap();
        let name = FunctionName::parse("f").unwrap();
        let key = |number| function_version(account, &name, number).into_key();
        assert!(key(9) < key(10));
        assert!(key(10) < key(u64::MAX));
    }
}
