//! Cold starts that nobody could avoid: keep every environment for ever, have all
//! the memory, and count. What a policy makes above this number is its own doing.

use std::{cmp::Reverse, collections::BinaryHeap};

use model::{Now, Span};

use crate::workload::Workload;

/// How long an init takes in the world that is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Init {
    Instant,
    /// As the workload says; each call that finds none idle makes its own and waits.
    Own,
}

/// Cold starts with infinite keep-alive and unlimited memory.
pub fn cold_starts(workload: &Workload, init: Init) -> u64 {
    let mut busy: Vec<BinaryHeap<Reverse<Now>>> = Vec::new();
    busy.resize_with(workload.functions.len(), BinaryHeap::new);
    let mut idle = vec![0_u64; workload.functions.len()];
    let mut cold = 0;
    for call in &workload.calls {
        let (busy, idle) = (&mut busy[call.function], &mut idle[call.function]);
        while busy.peek().is_some_and(|Reverse(ends)| *ends <= call.at) {
            busy.pop();
            *idle += 1;
        }
        let function = &workload.functions[call.function];
        let mut takes = function.run;
        if *idle > 0 {
            *idle -= 1;
        } else {
            cold += 1;
            takes = takes
                + match init {
                    Init::Instant => Span::ZERO,
                    Init::Own => function.init,
                };
        }
        busy.push(Reverse(call.at + takes));
    }
    cold
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overlapping_calls_need_one_each() {
        let metadata = "h\nf,100,30,64\ng,10,10,64\n";
        let cases = [
            ("h\nf,0\nf,30\nf,60\n", 1, 3),
            ("h\nf,0\nf,29\nf,200\n", 2, 2),
            ("h\nf,0\ng,0\nf,100\ng,10\n", 2, 2),
            ("h\n", 0, 0),
        ];
        for (trace, instant, own) in cases {
            let workload = Workload::parse(trace, metadata).unwrap();
            assert_eq!(cold_starts(&workload, Init::Instant), instant, "{trace}");
            assert_eq!(cold_starts(&workload, Init::Own), own, "{trace}");
        }
    }
}
