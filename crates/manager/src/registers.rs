//! Sizes of clients' sets as this manager has heard of them (A7). Frontends bring
//! them with each question and get the widest back: they meet here without talking
//! to each other. Only registers that differ from the default come.

use std::collections::HashMap;

use model::Register;

/// Clients remembered; above it all are forgotten, which frontends make good.
const CLIENTS_MAX: usize = 65_536;

#[derive(Debug, Default)]
pub(crate) struct Registers(HashMap<u64, Register>);

impl Registers {
    /// Joins what a frontend holds and gives back what both hold now.
    pub(crate) fn meet(&mut self, client: u64, told: Option<Register>) -> Option<Register> {
        let Some(told) = told else { return self.0.get(&client).copied() };
        if self.0.len() >= CLIENTS_MAX && !self.0.contains_key(&client) {
            self.0.clear();
        }
        let held = self.0.entry(client).or_insert(told);
        *held = held.join(told);
        Some(*held)
    }
}

#[cfg(test)]
mod tests {
    use model::{Epoch, FrontendId};

    use super::*;

    fn register(epoch: u64, size: u16) -> Register {
        Register { epoch: Epoch(epoch), writer: FrontendId(1), size }
    }

    #[test]
    fn a_frontend_without_memory_learns_the_newest() {
        let mut registers = Registers::default();
        assert_eq!(registers.meet(7, None), None);
        assert_eq!(registers.meet(7, Some(register(2, 4))), Some(register(2, 4)));
        assert_eq!(registers.meet(7, Some(register(1, 9))), Some(register(2, 4)));
        assert_eq!(registers.meet(7, None), Some(register(2, 4)));
        assert_eq!(registers.meet(8, None), None);
    }
}
