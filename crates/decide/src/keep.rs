//! How long an environment is kept for what it stores (A8): a longer time for more
//! bytes, and a budget for each account, so that nobody pins the installation's
//! memory. Over the budget, what is cheapest to rebuild per byte goes first.
//! Invariant: an account's sum is the sum of its environments' bytes.

use alloc::collections::BTreeMap;

use model::{AccountId, EnvId, Span, limits};

/// Times are multiples of this, so that the number of different ones is small.
const STEP: Span = Span::secs(150);
const MIB: u64 = 1 << 20;
/// ln 2 in 1/65536.
const LN_2: u64 = 45_426;

/// Idle time of an environment that stores so much, where `base` is that of an
/// empty one: `base + k * ln(1 + bytes / 1 MiB)`, at most `KEEP_MAX`.
pub fn keep(base: Span, bytes: u64) -> Span {
    if bytes == 0 || base >= limits::KEEP_MAX {
        return base;
    }
    let folds = (u128::from(log2(bytes.saturating_add(MIB)) - (20 << 16)) * u128::from(LN_2)) >> 16;
    let more = (u128::from(limits::KEEP_PER_FOLD.as_micros()) * folds) >> 16;
    let long = base.as_micros().saturating_add(u64::try_from(more).unwrap_or(u64::MAX));
    let whole = long / STEP.as_micros() * STEP.as_micros();
    Span(whole).clamp(base, limits::KEEP_MAX)
}

/// Binary logarithm in 1/65536, by squaring: bit by bit, the same on every machine.
fn log2(number: u64) -> u64 {
    let whole = u64::from(number.max(1).ilog2());
    // In [1, 2) with 31 bits behind the point.
    let mut rest = if whole >= 31 { number >> (whole - 31) } else { number << (31 - whole) };
    let mut bits = 0;
    for _ in 0..16 {
        rest = (rest * rest) >> 31;
        bits <<= 1;
        if rest >= 1 << 32 {
            rest >>= 1;
            bits |= 1;
        }
    }
    (whole << 16) | bits
}

/// What one environment stores, and what making it again would take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stored {
    bytes: u64,
    cost: Span,
}

#[derive(Debug, Default)]
struct Account {
    bytes: u64,
    envs: BTreeMap<EnvId, Stored>,
}

/// What the environments of one manager store, by account.
#[derive(Debug, Default)]
pub struct Kept {
    accounts: BTreeMap<AccountId, Account>,
}

impl Kept {
    pub fn bytes(&self, account: AccountId) -> u64 {
        self.accounts.get(&account).map_or(0, |account| account.bytes)
    }

    /// `cost`: its init and its runs so far.
    pub fn stores(&mut self, account: AccountId, env: EnvId, bytes: u64, cost: Span) {
        self.forget(account, env);
        if bytes > 0 {
            let of = self.accounts.entry(account).or_default();
            of.bytes = of.bytes.saturating_add(bytes);
            of.envs.insert(env, Stored { bytes, cost });
        }
    }

    pub fn forget(&mut self, account: AccountId, env: EnvId) {
        let Some(of) = self.accounts.get_mut(&account) else { return };
        if let Some(stored) = of.envs.remove(&env) {
            of.bytes = of.bytes.saturating_sub(stored.bytes);
        }
        if of.envs.is_empty() {
            self.accounts.remove(&account);
        }
    }

    /// The environment, of those that may go, whose bytes are cheapest to make again.
    pub fn cheapest(&self, account: AccountId, may_go: impl Fn(EnvId) -> bool) -> Option<EnvId> {
        let of = self.accounts.get(&account)?;
        let may = of.envs.iter().filter(|(env, _)| may_go(**env));
        // cost / bytes, compared without dividing.
        let cheaper = |a: &Stored, b: &Stored| {
            let left = u128::from(a.cost.as_micros()) * u128::from(b.bytes);
            left.cmp(&(u128::from(b.cost.as_micros()) * u128::from(a.bytes)))
        };
        may.min_by(|(_, a), (_, b)| cheaper(a, b)).map(|(env, _)| *env)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a8_5_what_stores_much_is_kept_twice_as_long_and_nothing_beyond_the_maximum() {
        let base = limits::IDLE_TTL;
        assert_eq!(keep(base, 0), base);
        assert!(keep(base, 200 * MIB).as_micros() >= 2 * keep(base, 0).as_micros());
        assert!(keep(base, u64::MAX) <= limits::KEEP_MAX);
        let sizes = (0..64).map(|bit| keep(base, 1 << bit));
        assert!(sizes.clone().zip(sizes.skip(1)).all(|(less, more)| less <= more), "monotonic");
        assert_eq!(keep(limits::KEEP_MAX, MIB), limits::KEEP_MAX);
    }

    #[test]
    fn the_logarithm_is_one() {
        let cases =
            [(1, 0), (2, 1 << 16), (3, 103_872), (1 << 20, 20 << 16), (u64::MAX, 4_194_303)];
        for (number, log) in cases {
            assert!(log2(number).abs_diff(log) <= 1, "{number}: {}", log2(number));
        }
    }

    #[test]
    fn the_cheapest_per_byte_goes_first() {
        let account = AccountId::parse("000000000001").unwrap();
        let mut kept = Kept::default();
        kept.stores(account, EnvId(1), 100, Span::secs(10));
        kept.stores(account, EnvId(2), 100, Span::secs(1));
        kept.stores(account, EnvId(3), 10_000, Span::secs(10));
        assert_eq!(kept.cheapest(account, |_| true), Some(EnvId(3)));
        assert_eq!(kept.cheapest(account, |env| env != EnvId(3)), Some(EnvId(2)));
        kept.stores(account, EnvId(3), 100, Span::secs(20));
        assert_eq!((kept.bytes(account), kept.cheapest(account, |_| true)), (300, Some(EnvId(2))));
        for env in 1..=3 {
            kept.forget(account, EnvId(env));
        }
        assert_eq!((kept.bytes(account), kept.cheapest(account, |_| true)), (0, None));
    }
}
