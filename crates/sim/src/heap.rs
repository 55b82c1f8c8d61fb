//! Events by instant, and within an instant by the order in which they were made:
//! no two runs of one seed differ.

use std::{cmp::Reverse, collections::BinaryHeap};

use model::Now;

#[derive(Debug)]
struct Entry<E> {
    at: (Now, u64),
    event: E,
}

impl<E> PartialEq for Entry<E> {
    fn eq(&self, other: &Self) -> bool {
        self.at == other.at
    }
}

impl<E> Eq for Entry<E> {}

impl<E> PartialOrd for Entry<E> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl<E> Ord for Entry<E> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.at.cmp(&other.at)
    }
}

#[derive(Debug)]
pub(crate) struct Heap<E> {
    entries: BinaryHeap<Reverse<Entry<E>>>,
    made: u64,
}

impl<E> Heap<E> {
    pub(crate) fn new() -> Heap<E> {
        Heap { entries: BinaryHeap::new(), made: 0 }
    }

    pub(crate) fn push(&mut self, at: Now, event: E) {
        self.made += 1;
        self.entries.push(Reverse(Entry { at: (at, self.made), event }));
    }

    pub(crate) fn pop(&mut self) -> Option<(Now, E)> {
        self.entries.pop().map(|Reverse(entry)| (entry.at.0, entry.event))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_first_then_order_of_making() {
        let mut heap = Heap::new();
        for (at, event) in [(5, 'c'), (1, 'a'), (5, 'd'), (1, 'b')] {
            heap.push(Now(at), event);
        }
        let order: Vec<_> = std::iter::from_fn(|| heap.pop()).collect();
        assert_eq!(order, [(Now(1), 'a'), (Now(1), 'b'), (Now(5), 'c'), (Now(5), 'd')]);
    }
}
