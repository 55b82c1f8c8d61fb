//! `Table`: a map by a specified hash, so that its order is the same on every
//! machine: the order in which rows were filled. A look-up touches one place of the
//! index and the row, at any size; a tree would touch a path. Where the order of
//! keys matters, the caller sorts.
//!
//! Open addressing with linear probing; a removed place is closed by moving those
//! behind it, so that nothing is left over. At most half of the index is used.
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

/// A place of the index. The bits that count its places hold the row, those above them
/// the same bits of the hash, so that few rows are looked at in vain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place(u32);

impl Place {
    /// No row has this number, because at most half of the index is used.
    const EMPTY: Place = Place(u32::MAX);
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
    /// A power of two of places, or none.
    index: Vec<Place>,
    rows: Vec<Row<K, V, B>>,
    free: Vec<u32>,
}

impl<K, V, B> Default for Table<K, V, B> {
    fn default() -> Table<K, V, B> {
        Table { index: Vec::new(), rows: Vec::new(), free: Vec::new() }
    }
}

impl<K: Hashed, V, B> Table<K, V, B> {
    pub(crate) fn len(&self) -> usize {
        self.rows.len() - self.free.len()
    }

    pub(crate) fn get(&self, key: &K) -> Option<&V> {
        let (_, row) = self.find(key)?;
        self.rows[row].0.as_ref().map(|(_, value)| value)
    }

    pub(crate) fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        let (_, row) = self.find(key)?;
        self.rows[row].0.as_mut().map(|(_, value)| value)
    }

    pub(crate) fn contains_key(&self, key: &K) -> bool {
        self.find(key).is_some()
    }

    /// Finds the value, or makes it.
    pub(crate) fn get_or_insert(&mut self, key: &K, make: impl FnOnce() -> V) -> &mut V
    where
        K: Clone,
    {
        let row = match self.find(key) {
            Some((_, row)) => row,
            None => self.add(key.clone()),
        };
        &mut self.rows[row].0.get_or_insert_with(|| (key.clone(), make())).1
    }

    /// Sets the value of a key, known or not.
    pub(crate) fn insert(&mut self, key: K, value: V)
    where
        K: Clone,
    {
        let row = match self.find(&key) {
            Some((_, row)) => row,
            None => self.add(key.clone()),
        };
        self.rows[row].0 = Some((key, value));
    }

    pub(crate) fn remove(&mut self, key: &K) -> Option<V> {
        let (at, row) = self.find(key)?;
        self.close(at);
        self.free.push(row as u32);
        self.rows[row].0.take().map(|(_, value)| value)
    }

    /// In the order of rows.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.rows.iter().flat_map(|row| &row.0).map(|(key, value)| (key, value))
    }

    /// In the order of rows.
    pub(crate) fn values_mut(&mut self) -> impl Iterator<Item = &mut V> {
        self.rows.iter_mut().flat_map(|row| &mut row.0).map(|(_, value)| value)
    }

    /// Place and row of a key.
    fn find(&self, key: &K) -> Option<(usize, usize)> {
        let mask = self.index.len().checked_sub(1)?;
        let hash = key.hash32();
        let (tag, bits) = (hash & !(mask as u32), mask as u32);
        let mut at = hash as usize & mask;
        loop {
            let place = self.index[at];
            if place == Place::EMPTY {
                return None;
            }
            let row = (place.0 & bits) as usize;
            let is_it = |row: &Row<K, V, B>| row.0.as_ref().is_some_and(|(known, _)| known == key);
            if place.0 & !bits == tag && is_it(&self.rows[row]) {
                return Some((at, row));
            }
            at = (at + 1) & mask;
        }
    }

    /// A row for a key that has none; the caller fills it.
    fn add(&mut self, key: K) -> usize {
        if (self.len() + 1) * 2 > self.index.len() {
            self.grow();
        }
        let row = match self.free.pop() {
            Some(row) => row as usize,
            None => {
                self.rows.push(Row(None, []));
                self.rows.len() - 1
            }
        };
        self.put(key.hash32(), row);
        row
    }

    fn put(&mut self, hash: u32, row: usize) {
        let mask = self.index.len() - 1;
        let mut at = hash as usize & mask;
        while self.index[at] != Place::EMPTY {
            at = (at + 1) & mask;
        }
        self.index[at] = Place((hash & !(mask as u32)) | row as u32);
    }

    fn grow(&mut self) {
        let size = (self.index.len() * 2).max(8);
        self.index.clear();
        self.index.resize(size, Place::EMPTY);
        for row in 0..self.rows.len() {
            if let Some(hash) = self.hash_of(row) {
                self.put(hash, row);
            }
        }
    }

    fn hash_of(&self, row: usize) -> Option<u32> {
        self.rows[row].0.as_ref().map(|(key, _)| key.hash32())
    }

    /// Empties a place and moves those behind it that it kept from their home.
    fn close(&mut self, emptied: usize) {
        let mask = self.index.len() - 1;
        let (mut hole, mut at) = (emptied, emptied);
        loop {
            at = (at + 1) & mask;
            let place = self.index[at];
            if place == Place::EMPTY {
                break;
            }
            let home = self.hash_of(place.0 as usize & mask).unwrap_or(0) as usize & mask;
            if at.wrapping_sub(home) & mask >= at.wrapping_sub(hole) & mask {
                self.index[hole] = place;
                hole = at;
            }
        }
        self.index[hole] = Place::EMPTY;
    }
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
        assert!(table.rows.iter().all(|row| core::ptr::from_ref(row).addr() % 64 == 0));
    }

    #[test]
    fn it_is_the_map_that_a_tree_is() {
        beside_a_tree(Crowded);
        beside_a_tree(EnvId);
        beside_a_tree(|n| KeyHash(u128::from(n) << 5));
        beside_a_tree(|n| FunctionName::parse(&alloc::format!("f{n}")).unwrap());
    }
}
