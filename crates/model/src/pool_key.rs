//! `PoolKey`: the unit of warm reuse. An environment serves a call only where the
//! keys are equal (I3); the only changes of a key are one-way and stand here.

use core::fmt;

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::{Xxh3, xxh3_64};

use crate::{
    function::{Architecture, FunctionConfig},
    ids::{AccountId, FunctionName, TenantId, VersionId},
    limits,
    payload::Digest,
    ring::Profile,
};

/// Why an environment exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Class {
    /// A call needed it.
    OnDemand,
    /// A provisioned target asked for it ahead of calls.
    Provisioned,
}

/// What of a processor code can rely on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct CpuClass {
    pub architecture: Architecture,
    /// Number of the CPU template; 0 is what the architecture guarantees.
    pub template: u16,
    pub emulated: bool,
}

/// Everything that must be equal for an environment to be reused.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PoolKey {
    pub account: AccountId,
    pub function: FunctionName,
    pub version: VersionId,
    /// SHA-256 of the code.
    pub code: Digest,
    /// Revision of the configuration the code runs with.
    pub revision: u64,
    /// Digest of the immutable runtime image or interpreter.
    pub runtime_version: u64,
    pub class: Class,
    pub tenant: Option<TenantId>,
    /// Digest of the effective policy; 0 is the function's own.
    pub policy: u64,
    pub cpu_class: CpuClass,
    pub memory_mb: u32,
    /// From the ring version that serves the key.
    pub profile: Profile,
}

/// Specified hash of a pool key: its place on a ring and in a book.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct KeyHash(pub u128);

impl fmt::Debug for KeyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl PoolKey {
    /// The on-demand, generic key of a version on plain hardware.
    pub fn of(config: &FunctionConfig) -> PoolKey {
        let architecture = config.architecture;
        PoolKey {
            account: config.account,
            function: config.name.clone(),
            version: config.version,
            code: config.code.sha256,
            revision: config.revision,
            runtime_version: xxh3_64(config.runtime.name().as_bytes()),
            class: Class::OnDemand,
            tenant: None,
            policy: 0,
            cpu_class: CpuClass { architecture, template: 0, emulated: false },
            memory_mb: config.memory_mb,
            profile: Profile::default(),
        }
    }

    /// The on-demand key of the head of a function of which nothing else is known. Those
    /// who try out decisions change of it what they are about.
    pub fn plain(account: AccountId, function: FunctionName) -> PoolKey {
        let architecture = Architecture::X86_64;
        PoolKey {
            account,
            function,
            version: VersionId::Latest,
            code: Digest([0; 32]),
            revision: 1,
            runtime_version: 1,
            class: Class::OnDemand,
            tenant: None,
            policy: 0,
            cpu_class: CpuClass { architecture, template: 0, emulated: false },
            memory_mb: limits::MEMORY_MB_MIN,
            profile: Profile::default(),
        }
    }

    /// The same for equal keys, on every machine and in every release.
    pub fn hash(&self) -> KeyHash {
        self.hash_with(self.tenant.as_ref().map_or("", TenantId::as_str))
    }

    /// The hash of the key that this one was bound from, or would have been. None
    /// for a key without a tenant.
    pub fn generic_hash(&self) -> Option<KeyHash> {
        self.tenant.is_some().then(|| self.hash_with(""))
    }

    fn hash_with(&self, tenant: &str) -> KeyHash {
        let mut hash = Xxh3::new();
        hash.update(&self.account.as_u64().to_le_bytes());
        update_text(&mut hash, self.function.as_str());
        hash.update(&version_bytes(self.version));
        hash.update(&self.code.0);
        hash.update(&self.revision.to_le_bytes());
        hash.update(&self.runtime_version.to_le_bytes());
        hash.update(&[self.class as u8]);
        update_text(&mut hash, tenant);
        hash.update(&self.policy.to_le_bytes());
        hash.update(&[self.cpu_class.architecture as u8, u8::from(self.cpu_class.emulated)]);
        hash.update(&self.cpu_class.template.to_le_bytes());
        hash.update(&self.memory_mb.to_le_bytes());
        // Added later: keys of the default profile keep the hash that they had.
        if self.profile != Profile::default() {
            hash.update(&self.profile.sandbox.to_le_bytes());
            hash.update(&self.profile.worker_class.to_le_bytes());
        }
        KeyHash(hash.digest128())
    }

    /// The tenant-bound form of a generic key. A bound key has none other.
    pub fn bound_to(&self, tenant: TenantId) -> Option<PoolKey> {
        self.tenant.is_none().then(|| PoolKey { tenant: Some(tenant), ..self.clone() })
    }

    /// The key of a provisioned environment once its target no longer wants it.
    pub fn drained(&self) -> Option<PoolKey> {
        let provisioned = self.class == Class::Provisioned;
        provisioned.then(|| PoolKey { class: Class::OnDemand, ..self.clone() })
    }

    /// Whether an environment of `self` may become one of `to` (I3).
    pub fn may_become(&self, to: &PoolKey) -> bool {
        self.drained().as_ref() == Some(to)
            || to.tenant.clone().and_then(|tenant| self.bound_to(tenant)).as_ref() == Some(to)
    }
}

fn version_bytes(version: VersionId) -> [u8; 9] {
    let (tag, number) = match version {
        VersionId::Latest => (0, 0),
        VersionId::Published(number) => (1, number),
    };
    let mut bytes = [tag; 9];
    bytes[1..].copy_from_slice(&number.to_le_bytes());
    bytes
}

fn update_text(hash: &mut Xxh3, text: &str) {
    hash.update(&(text.len() as u64).to_le_bytes());
    hash.update(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> PoolKey {
        PoolKey {
            account: AccountId::parse("000000000001").unwrap(),
            function: FunctionName::parse("f").unwrap(),
            version: VersionId::Latest,
            code: Digest([7; 32]),
            revision: 1,
            runtime_version: 1,
            class: Class::OnDemand,
            tenant: None,
            policy: 0,
            cpu_class: CpuClass {
                architecture: Architecture::X86_64,
                template: 0,
                emulated: false,
            },
            memory_mb: 128,
            profile: Profile::default(),
        }
    }

    #[test]
    fn every_field_tells_keys_apart() {
        let base = key();
        let others = [
            PoolKey { account: AccountId::parse("000000000002").unwrap(), ..base.clone() },
            PoolKey { function: FunctionName::parse("g").unwrap(), ..base.clone() },
            PoolKey { version: VersionId::Published(0), ..base.clone() },
            PoolKey { code: Digest([8; 32]), ..base.clone() },
            PoolKey { revision: 2, ..base.clone() },
            PoolKey { runtime_version: 2, ..base.clone() },
            PoolKey { class: Class::Provisioned, ..base.clone() },
            PoolKey { tenant: Some(TenantId::parse("t").unwrap()), ..base.clone() },
            PoolKey { policy: 1, ..base.clone() },
            PoolKey { cpu_class: CpuClass { template: 1, ..base.cpu_class }, ..base.clone() },
            PoolKey { memory_mb: 129, ..base.clone() },
            PoolKey { profile: Profile { sandbox: 1, worker_class: 0 }, ..base.clone() },
            PoolKey { profile: Profile { sandbox: 0, worker_class: 1 }, ..base.clone() },
        ];
        for other in &others {
            assert_ne!(base.hash(), other.hash(), "{other:?}");
        }
        assert_eq!(base.hash(), key().hash());
    }

    #[test]
    fn the_hash_is_the_one_that_was_published() {
        assert_eq!(alloc::format!("{:?}", key().hash()), PUBLISHED);
    }

    /// Changing it moves every key of every installation on the ring.
    const PUBLISHED: &str = "4b2f0fee9fd802bff41cafbc57112b67";

    #[test]
    fn i3_keys_change_one_way_only() {
        let generic = key();
        let bound = generic.bound_to(TenantId::parse("a").unwrap()).unwrap();
        assert!(generic.may_become(&bound));
        assert!(!bound.may_become(&generic));
        assert_eq!(bound.bound_to(TenantId::parse("b").unwrap()), None);
        assert_eq!((bound.generic_hash(), generic.generic_hash()), (Some(generic.hash()), None));
        let provisioned = PoolKey { class: Class::Provisioned, ..key() };
        assert!(provisioned.may_become(&generic));
        assert!(!generic.may_become(&provisioned));
        assert!(!generic.may_become(&generic));
    }
}
