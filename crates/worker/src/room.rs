//! What this host has for environments, and what they take of it. The worker is
//! the authority: managers reserve from what they know, and several of them may
//! know the same room. An environment holds its room until it is gone.

use model::Capacity;

#[derive(Debug)]
pub(crate) struct Room {
    capacity: Capacity,
    memory_mb: u64,
    slots: u32,
}

impl Room {
    pub(crate) fn new(capacity: Capacity) -> Room {
        Room { capacity, memory_mb: 0, slots: 0 }
    }

    pub(crate) fn capacity(&self) -> Capacity {
        self.capacity
    }

    /// False where it would be more than the host has.
    pub(crate) fn take(&mut self, memory_mb: u32) -> bool {
        let memory_mb = self.memory_mb + u64::from(memory_mb);
        let fits = memory_mb <= self.capacity.memory_mb && self.slots < self.capacity.slots;
        if fits {
            self.memory_mb = memory_mb;
            self.slots += 1;
        }
        fits
    }

    pub(crate) fn release(&mut self, memory_mb: u32) {
        self.memory_mb = self.memory_mb.saturating_sub(u64::from(memory_mb));
        self.slots = self.slots.saturating_sub(1);
    }
}

#[cfg(test)]
mod tests {
    use model::function::Architecture;

    use super::*;

    #[test]
    fn what_the_host_does_not_have_is_refused_and_takes_nothing() {
        let capacity = Capacity { memory_mb: 300, slots: 3, architecture: Architecture::X86_64 };
        let mut room = Room::new(capacity);
        let taken: Vec<bool> = [128, 128, 128, 44, 0].map(|mb| room.take(mb)).to_vec();
        assert_eq!(taken, [true, true, false, true, false], "memory, then slots");
        room.release(128);
        assert!(room.take(128));
    }
}
