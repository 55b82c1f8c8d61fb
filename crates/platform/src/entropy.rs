//! Randomness: the system's, or a seed's in simulation. Drawn in blocks, so that
//! an id costs no system call.

use std::sync::{Arc, Mutex, PoisonError};

#[derive(Clone, Debug)]
pub struct Entropy {
    source: Arc<Mutex<Source>>,
}

#[derive(Debug)]
enum Source {
    System { block: Box<[u8; BLOCK]>, used: usize },
    Seeded(u64),
}

const BLOCK: usize = 4_096;

impl Entropy {
    pub fn system() -> Entropy {
        Entropy::of(Source::System { block: Box::new([0; BLOCK]), used: BLOCK })
    }

    pub fn seeded(seed: u64) -> Entropy {
        Entropy::of(Source::Seeded(seed))
    }

    fn of(source: Source) -> Entropy {
        Entropy { source: Arc::new(Mutex::new(source)) }
    }

    pub fn u64(&self) -> u64 {
        let mut source = self.source.lock().unwrap_or_else(PoisonError::into_inner);
        match &mut *source {
            Source::System { block, used } => {
                if *used + 8 > BLOCK {
                    fill(&mut block[..]);
                    *used = 0;
                }
                let mut bytes = [0; 8];
                bytes.copy_from_slice(&block[*used..*used + 8]);
                // A value once given is not kept in memory.
                block[*used..*used + 8].fill(0);
                *used += 8;
                u64::from_le_bytes(bytes)
            }
            Source::Seeded(state) => splitmix(state),
        }
    }

    pub fn u128(&self) -> u128 {
        (u128::from(self.u64()) << 64) | u128::from(self.u64())
    }

    pub fn bytes<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        for chunk in bytes.chunks_mut(8) {
            let drawn = self.u64().to_le_bytes();
            chunk.copy_from_slice(&drawn[..chunk.len()]);
        }
        bytes
    }
}

/// A system without entropy cannot make ids or credentials: nothing may go on.
#[expect(clippy::expect_used, reason = "there is no safe way to continue")]
fn fill(block: &mut [u8]) {
    getrandom::fill(block).expect("the system's entropy source answers");
}

/// SplitMix64 (Steele, Lea, Flood 2014).
fn splitmix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn same_seed_same_draws() {
        let (a, b, c) = (Entropy::seeded(1), Entropy::seeded(1), Entropy::seeded(2));
        let draw = |e: &Entropy| (0..100).map(|_| e.u64()).collect::<Vec<_>>();
        let first = draw(&a);
        assert_eq!(first, draw(&b));
        assert_ne!(first, draw(&c));
    }

    #[test]
    fn system_draws_differ() {
        let entropy = Entropy::system();
        let drawn: std::collections::BTreeSet<u64> = (0..2_000).map(|_| entropy.u64()).collect();
        assert_eq!(drawn.len(), 2_000);
    }
}
