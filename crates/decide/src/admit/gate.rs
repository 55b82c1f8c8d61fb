//! The create gate: one token of the function's bucket for each new environment
//! (A6). Idle environments are free; only a creation takes one. A token comes back
//! when the platform failed, never when the user's init did, or a crash loop would
//! create without limit.

use alloc::collections::BTreeMap;

use model::{AccountId, FunctionName, Now, Span, limits};

use super::bucket::Bucket;

/// Functions with a bucket that is not full; above it full ones are swept.
const SWEEP_AT: usize = 4_096;

#[derive(Debug)]
pub struct CreateGate {
    size: u64,
    per_sec: u64,
    functions: BTreeMap<AccountId, BTreeMap<FunctionName, Bucket>>,
    count: usize,
    sweep_at: usize,
}

impl Default for CreateGate {
    fn default() -> CreateGate {
        CreateGate::new(limits::CREATE_TOKENS_MAX, limits::CREATE_TOKENS_PER_SEC)
    }
}

impl CreateGate {
    pub fn new(size: u32, per_sec: u32) -> CreateGate {
        CreateGate {
            size: u64::from(size),
            per_sec: u64::from(per_sec),
            functions: BTreeMap::new(),
            count: 0,
            sweep_at: SWEEP_AT,
        }
    }

    /// Takes a create token, or says how long until there is one.
    pub fn take(
        &mut self,
        now: Now,
        account: AccountId,
        function: &FunctionName,
    ) -> Result<(), Span> {
        if let Some(bucket) = self.bucket(account, function) {
            return bucket.take(now);
        }
        let mut bucket = Bucket::full(self.size, self.per_sec, now);
        let taken = bucket.take(now);
        self.functions.entry(account).or_default().insert(function.clone(), bucket);
        self.count += 1;
        if self.count > self.sweep_at {
            self.sweep(now);
        }
        taken
    }

    pub fn give_back(&mut self, account: AccountId, function: &FunctionName) {
        if let Some(bucket) = self.bucket(account, function) {
            bucket.give_back();
        }
    }

    fn bucket(&mut self, account: AccountId, function: &FunctionName) -> Option<&mut Bucket> {
        self.functions.get_mut(&account)?.get_mut(function)
    }

    /// A full bucket is the same as none.
    fn sweep(&mut self, now: Now) {
        for functions in self.functions.values_mut() {
            functions.retain(|_, bucket| !bucket.is_full(now));
        }
        self.functions.retain(|_, functions| !functions.is_empty());
        self.count = self.functions.values().map(BTreeMap::len).sum();
        self.sweep_at = SWEEP_AT.max(self.count * 2);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> FunctionName {
        FunctionName::parse(text).unwrap()
    }

    fn account() -> AccountId {
        AccountId::parse("000000000001").unwrap()
    }

    fn taken(gate: &mut CreateGate, now: Now, function: &str) -> usize {
        (0..10_000).take_while(|_| gate.take(now, account(), &name(function)).is_ok()).count()
    }

    #[test]
    fn a6_4_each_function_has_its_own_thousand() {
        let mut gate = CreateGate::default();
        assert_eq!(taken(&mut gate, Now(0), "f"), 1_000);
        assert_eq!(taken(&mut gate, Now(0), "g"), 1_000);
        assert_eq!(gate.take(Now(0), account(), &name("f")), Err(Span::millis(10)));
    }

    #[test]
    fn a6_2_a_thousand_at_once_then_a_hundred_each_second() {
        let mut gate = CreateGate::default();
        assert_eq!(taken(&mut gate, Now(0), "f"), 1_000);
        let offers = (1..=200).map(|at| Now(at * 100_000));
        let later: usize = offers.map(|now| taken(&mut gate, now, "f")).sum();
        assert_eq!(later, 2_000);
    }

    #[test]
    fn full_buckets_are_forgotten() {
        let mut gate = CreateGate::new(2, 1);
        for at in 0..=SWEEP_AT {
            let now = Now(0) + Span::secs(at as u64);
            gate.take(now, account(), &name(&alloc::format!("f{at}"))).unwrap();
        }
        assert!(gate.count < 5, "{} buckets kept", gate.count);
    }
}
