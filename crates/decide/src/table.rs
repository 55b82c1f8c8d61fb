//! `Table`: a map by a specified hash, so that its order is the same on every
//! machine. A look-up touches one place of the tags, a byte for each place, and the row,
//! at any size; a tree would touch a path. Where the order of keys matters, the caller
//! sorts.
//!
//! Open addressing with linear probing; a removed row is replaced by one behind it that
//! it kept from its home, so that nothing is left over. At most three quarters of the
//! places are used.
//!
//! A row of up to 64 or 128 bytes that begins anywhere touches a cache line more than
//! one that begins with a line: tables of the call path are `Lined`.

use alloc::vec::Vec;

use model::{AccountId, EnvId, FrontendId, FunctionName, KeyHash};
use xxhash_rust::xxh3::xxh3_64;

/// A key whose hash is well spread over 32 bits.
pub(crate) trait Hashed: Eq {
    fn hash32(&self) -> u32;
}

/// Numbers that count up are spread by the golden ratio (Knuth, volume 3, 6.4).
fn spread(number: u64) -> u32 {
    (number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) as u32
}

impl Hashed for KeyHash {
    fn hash32(&self) -> u32 {
        self.0 as u32
    }
}

impl Hashed for EnvId {
    fn hash32(&self) -> u32 {
        spread(self.0)
    }
}

impl Hashed for FrontendId {
    fn hash32(&self) -> u32 {
        spread(self.0)
    }
}

/// A place on a ring, which is a hash.
impl Hashed for u64 {
    fn hash32(&self) -> u32 {
        (*self ^ (*self >> 32)) as u32
    }
}

impl Hashed for AccountId {
    fn hash32(&self) -> u32 {
        spread(self.as_u64())
    }
}

impl Hashed for FunctionName {
    fn hash32(&self) -> u32 {
        xxh3_64(self.as_str().as_bytes()) as u32
    }
}

/// Rows begin anywhere.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Anywhere;

/// Rows begin with a cache line.
#[derive(Clone, Copy, Debug)]
#[repr(align(64))]
pub(crate) struct Lined;

/// Empty while it is free. The second part takes no room: it says where rows begin.
#[derive(Clone, Debug)]
struct Row<K, V, B>(Option<(K, V)>, [B; 0]);

#[derive(Clone, Debug)]
pub(crate) struct Table<K, V, B = Anywhere> {
    /// A power of two of places, or none. `EMPTY`, or bits of the hash that are not those
    /// of the home.
    tags: Vec<u8>,
    /// One for each place.
    rows: Vec<Row<K, V, B>>,
    len: usize,
}

const EMPTY: u8 = 0;
const PLACES_MIN: usize = 8;

impl<K, V, B> Default for Table<K, V, B> {
    fn default() -> Table<K, V, B> {
        Table { tags: Vec::new(), rows: Vec::new(), len: 0 }
    }
}

impl<K: Hashed, V, B> Table<K, V, B> {
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn get(&self, key: &K) -> Option<&V> {
        let at = self.find(key)?;
        self.rows[at].0.as_ref().map(|(_, value)| value)
    }

    pub(crate) fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        let at = self.find(key)?;
        self.rows[at].0.as_mut().map(|(_, value)| value)
    }

    pub(crate) fn contains_key(&self, key: &K) -> bool {
        self.find(key).is_some()
    }

    /// Finds the value, or makes it.
    pub(crate) fn get_or_insert(&mut self, key: &K, make: impl FnOnce() -> V) -> &mut V
    where
        K: Clone,
    {
        let at = match self.find(key) {
            Some(at) => at,
            None => self.add(key.hash32()),
        };
        &mut self.rows[at].0.get_or_insert_with(|| (key.clone(), make())).1
    }

    /// Sets the value of a key, known or not.
    pub(crate) fn insert(&mut self, key: K, value: V) {
        let at = match self.find(&key) {
            Some(at) => at,
            None => self.add(key.hash32()),
        };
        self.rows[at].0 = Some((key, value));
    }

    pub(crate) fn remove(&mut self, key: &K) -> Option<V> {
        let at = self.find(key)?;
        let removed = self.rows[at].0.take();
        self.close(at);
        self.len -= 1;
        removed.map(|(_, value)| value)
    }

    /// In the order of places.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.rows.iter().flat_map(|row| &row.0).map(|(key, value)| (key, value))
    }

    /// In the order of places.
    pub(crate) fn values_mut(&mut self) -> impl Iterator<Item = &mut V> {
        self.rows.iter_mut().flat_map(|row| &mut row.0).map(|(_, value)| value)
    }

    fn find(&self, key: &K) -> Option<usize> {
        let mask = self.tags.len().checked_sub(1)?;
        let hash = key.hash32();
        let (tag, mut at) = (tag_of(hash), hash as usize & mask);
        loop {
            let found = self.tags[at];
            if found == EMPTY {
                return None;
            }
            let is_it = |row: &Row<K, V, B>| row.0.as_ref().is_some_and(|(known, _)| known == key);
            if found == tag && is_it(&self.rows[at]) {
                return Some(at);
            }
            at = (at + 1) & mask;
        }
    }

    /// A place for a key that has none; the caller fills it.
    fn add(&mut self, hash: u32) -> usize {
        if (self.len + 1) * 4 > self.tags.len() * 3 {
            self.grow();
        }
        self.len += 1;
        self.claim(hash)
    }

    fn claim(&mut self, hash: u32) -> usize {
        let mask = self.tags.len() - 1;
        let mut at = hash as usize & mask;
        while self.tags[at] != EMPTY {
            at = (at + 1) & mask;
        }
        self.tags[at] = tag_of(hash);
        at
    }

    fn grow(&mut self) {
        let size = (self.tags.len() * 2).max(PLACES_MIN);
        let before = core::mem::take(&mut self.rows);
        self.tags.clear();
        self.tags.resize(size, EMPTY);
        self.rows.resize_with(size, || Row(None, []));
        for (key, value) in before.into_iter().filter_map(|row| row.0) {
            let at = self.claim(key.hash32());
            self.rows[at].0 = Some((key, value));
        }
    }

    /// Closes a place whose row was taken out, with those behind it that it kept from
    /// their home.
    fn close(&mut self, emptied: usize) {
        let mask = self.tags.len() - 1;
        let (mut hole, mut at) = (emptied, emptied);
        loop {
            at = (at + 1) & mask;
            let Some((key, _)) = &self.rows[at].0 else { break };
            let home = key.hash32() as usize & mask;
            if at.wrapping_sub(home) & mask >= at.wrapping_sub(hole) & mask {
                self.rows.swap(hole, at);
                self.tags[hole] = self.tags[at];
                hole = at;
            }
        }
        self.tags[hole] = EMPTY;
    }
}

/// Upper bits, because the lower ones are the home's.
fn tag_of(hash: u32) -> u8 {
    ((hash >> 24) as u8).max(1)
}

#[cfg(test)]
mod tests {
    use alloc::collections::BTreeMap;

    use super::*;
    use crate::dice::Dice;

    /// A key of which many have the same home.
    #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
    struct Crowded(u64);

    impl Hashed for Crowded {
        fn hash32(&self) -> u32 {
            (self.0 % 7) as u32 * 3
        }
    }

    fn beside_a_tree<K: Hashed + Ord + Clone + core::fmt::Debug>(key: impl Fn(u64) -> K) {
        let mut table: Table<K, u64, Lined> = Table::default();
        let mut tree = BTreeMap::new();
        let mut dice = Dice::new(9);
        for step in 0..20_000_u64 {
            let key = key(dice.below(60));
            match dice.below(4) {
                0 => {
                    table.insert(key.clone(), step);
                    tree.insert(key, step);
                }
                1 => {
                    let made = *table.get_or_insert(&key, || step);
                    assert_eq!(made, *tree.entry(key).or_insert(step));
                }
                2 => assert_eq!(table.remove(&key), tree.remove(&key)),
                _ => assert_eq!(table.get(&key), tree.get(&key)),
            }
            assert_eq!(table.len(), tree.len());
        }
        let mut rows: Vec<_> = table.iter().map(|(k, v)| (k.clone(), *v)).collect();
        rows.sort();
        assert_eq!(rows, tree.into_iter().collect::<Vec<_>>());
    }

    #[test]
    fn lined_rows_begin_with_a_cache_line() {
        let mut table: Table<EnvId, [u64; 9], Lined> = Table::default();
        (0..100).for_each(|n| table.insert(EnvId(n), [0; 9]));
        assert_eq!(size_of::<Row<EnvId, [u64; 9], Lined>>(), 128);
        assert!(table.rows.iter().all(|row| core::ptr::from_ref(row).addr().is_multiple_of(64)));
    }

    #[test]
    fn it_is_the_map_that_a_tree_is() {
        beside_a_tree(Crowded);
        beside_a_tree(EnvId);
        beside_a_tree(|n| KeyHash(u128::from(n) << 5));
        beside_a_tree(|n| FunctionName::parse(&alloc::format!("f{n}")).unwrap());
    }
}
