//! Whose an environment is, as its worker knows. Invariant (I3): the key changes at
//! most once, from generic to a tenant's, and never after a call without a tenant.
//! It is changed before anything of the tenant's call runs, so that an environment
//! which dies in that call was the tenant's.

use std::sync::Arc;

use model::{PoolKey, TenantId};

#[derive(Debug)]
pub(crate) struct Binding {
    key: Arc<PoolKey>,
    /// A call without a tenant ran.
    shared: bool,
}

impl Binding {
    pub(crate) fn new(key: Arc<PoolKey>) -> Binding {
        Binding { key, shared: false }
    }

    pub(crate) fn key(&self) -> &Arc<PoolKey> {
        &self.key
    }

    /// Whether a call of this tenant, or of none, may run; from then on it is theirs.
    pub(crate) fn admit(&mut self, tenant: Option<&TenantId>) -> bool {
        match (&self.key.tenant, tenant) {
            (Some(mine), Some(theirs)) => mine == theirs,
            (Some(_), None) => false,
            (None, None) => {
                self.shared = true;
                true
            }
            (None, Some(theirs)) => {
                let bound = self.key.bound_to(theirs.clone()).filter(|_| !self.shared);
                let may = bound.is_some();
                self.key = bound.map_or_else(|| Arc::clone(&self.key), Arc::new);
                may
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use model::{AccountId, FunctionName};

    use super::*;

    fn generic() -> PoolKey {
        PoolKey::plain(AccountId::parse("000000000001").unwrap(), FunctionName::parse("f").unwrap())
    }

    /// Which of the calls, one after the other, may run.
    fn admitted(key: PoolKey, calls: &[Option<&str>]) -> (Vec<bool>, Option<String>) {
        let mut binding = Binding::new(Arc::new(key));
        let tenant = |name: &str| TenantId::parse(name).unwrap();
        let admit = |call: &Option<&str>| binding.admit(call.map(tenant).as_ref());
        let may = calls.iter().map(admit).collect();
        (may, binding.key().tenant.as_ref().map(TenantId::to_string))
    }

    #[test]
    fn i3_the_first_tenant_is_the_only_one() {
        let (a, b) = (Some("a"), Some("b"));
        let own = generic().bound_to(TenantId::parse("a").unwrap()).unwrap();
        let cases = [
            (generic(), vec![a, a, b, None, a], vec![true, true, false, false, true], a),
            (generic(), vec![None, a, None], vec![true, false, true], None),
            (own, vec![b, None, a], vec![false, false, true], a),
        ];
        for (key, calls, may, whose) in cases {
            assert_eq!(admitted(key, &calls), (may, whose.map(String::from)), "{calls:?}");
        }
    }
}
