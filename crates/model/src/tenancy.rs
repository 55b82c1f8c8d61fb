//! Tenancy: how the environments of a `PER_TENANT` function are divided among its
//! tenants (A9). The defaults are ours; `AtCap::Refuse` is what AWS does.

use serde::{Deserialize, Serialize};

use crate::limits;

/// What happens to a tenant's call where the function has as many environments of
/// tenants as it may.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum AtCap {
    /// The environment of another tenant that has been idle longest ends.
    #[default]
    Evict,
    /// 429, also while environments of others are idle.
    Refuse,
}

/// What a user sets for one function.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Tenancy {
    /// Environments kept ready that belong to no tenant yet.
    pub stock: u32,
    pub at_cap: AtCap,
    /// Calls of one tenant at a time, where limited.
    pub tenant_concurrency: Option<u32>,
    /// Whether provisioned environments may be bound to tenants; AWS refuses them.
    pub with_provisioned: bool,
}

/// Environments bound to tenants, active and idle, for so much concurrency.
pub const fn environments_max(concurrency: u32) -> u32 {
    let (many, per) = limits::TENANT_ENVIRONMENTS_PER_CONCURRENCY;
    let max = concurrency as u64 * many as u64 / per as u64;
    if max > u32::MAX as u64 { u32::MAX } else { max as u32 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_of_concurrency_bring_twenty_five_environments() {
        let cases = [(0, 0), (1, 2), (10, 25), (1_000, 2_500), (u32::MAX, u32::MAX)];
        for (concurrency, environments) in cases {
            assert_eq!(environments_max(concurrency), environments, "{concurrency}");
        }
    }
}
