//! Gossip between frontends about the sizes of clients' sets (A7): which peers hear
//! from us, and of which clients. What is heard joins by `Register::join`, so that
//! lost, repeated and late words do no harm; managers carry the same registers with
//! their answers, so that gossip only makes it sooner.

use alloc::vec::Vec;

use model::{FrontendId, Span};

use crate::dice::Dice;

/// Time between two rounds.
pub const EVERY: Span = Span::millis(500);
/// Clients whose register changed within this time are told of.
pub const RECENT: Span = Span::secs(10);
/// Frontends that one round tells.
pub const PEERS: usize = 3;
/// Clients of one message at most; the others follow with the next round.
pub const REGISTERS_MAX: usize = 192;
/// One register on the wire: the arc's start, whose it is, epoch, writer and size.
pub const REGISTER_BYTES: u64 = 8 + 6 + 8 + 8 + 2;
/// A message around its registers: frame, kind, count.
pub const MESSAGE_BYTES: u64 = 64;

/// Different peers by chance; all others where they are few. Appended to `into`.
pub fn peers(me: FrontendId, fleet: &[FrontendId], dice: &mut Dice, into: &mut Vec<FrontendId>) {
    let first = into.len();
    let others = fleet.iter().filter(|peer| **peer != me).count();
    while into.len() - first < PEERS.min(others) {
        let peer = fleet[dice.below(fleet.len() as u64) as usize];
        if peer != me && !into[first..].contains(&peer) {
            into.push(peer);
        }
    }
}

/// What a round costs on the wire: with `PEERS` and `REGISTERS_MAX`, and two rounds a
/// second, less than 50 kB/s whatever happens (A7.6).
pub fn bytes(registers: usize, peers: usize) -> u64 {
    if registers == 0 {
        0
    } else {
        (MESSAGE_BYTES + REGISTER_BYTES * registers as u64) * peers as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a7_6_the_most_that_a_frontend_says_is_bounded() {
        let rounds = 1_000 / EVERY.as_millis();
        assert!(bytes(REGISTERS_MAX, PEERS) * rounds < 50_000);
    }

    #[test]
    fn peers_are_others_and_different() {
        let mut dice = Dice::new(1);
        for fleet in [0, 1, 2, 3, 4, 50] {
            let all: Vec<FrontendId> = (0..fleet).map(FrontendId).collect();
            let mut into = Vec::new();
            peers(FrontendId(1), &all, &mut dice, &mut into);
            let others = all.iter().filter(|peer| **peer != FrontendId(1)).count();
            assert_eq!(into.len(), PEERS.min(others), "{fleet}");
            assert!(!into.contains(&FrontendId(1)));
            into.sort_unstable();
            into.dedup();
            assert_eq!(into.len(), PEERS.min(others));
        }
    }
}
