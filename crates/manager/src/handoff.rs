//! Words of a handoff as they travel between managers, and as the book knows them.
//! Nothing is decided here (A3). Invariant: what is said comes back from `heard` as it
//! was.

use decide::{
    book::EnvRecord,
    handoff::{Ask, Given, Moved, Word},
    ring::{Pred, Preds},
};
use wire::{handoff as wired, worker::Hosted};

/// Of more than the book looks at, the last are left out.
pub(crate) fn preds(named: &[wired::Pred]) -> Preds {
    let mut preds = Preds::NONE;
    for wired::Pred { manager, tier, askers } in named {
        preds.push(Pred { manager: *manager, tier: *tier, askers: *askers });
    }
    preds
}

pub(crate) fn moved(hosted: Hosted) -> Moved {
    let Hosted { env, key, epoch, busy } = hosted;
    Moved { worker: env.worker(), record: EnvRecord { env, key, epoch, busy } }
}

fn hosted(moved: Moved) -> Hosted {
    let EnvRecord { env, key, epoch, busy } = moved.record;
    Hosted { env, key, epoch, busy }
}

pub(crate) fn heard(word: wired::Word) -> Word {
    match word {
        wired::Word::Ask(wired::Ask { hash, by, max, askers }) => {
            Word::Ask(Ask { hash, by, max, askers })
        }
        wired::Word::Answer { hash, given } => Word::Answer {
            hash,
            given: match given {
                wired::Given::Envs { moved: envs, more } => {
                    Given::Envs { moved: envs.into_iter().map(moved).collect(), more }
                }
                wired::Given::Empty => Given::Empty,
                wired::Given::Busy => Given::Busy,
            },
        },
        wired::Word::Offer(hosted) => Word::Offer(moved(hosted)),
    }
}

pub(crate) fn said(word: Word) -> wired::Word {
    match word {
        Word::Ask(Ask { hash, by, max, askers }) => {
            wired::Word::Ask(wired::Ask { hash, by, max, askers })
        }
        Word::Answer { hash, given } => wired::Word::Answer {
            hash,
            given: match given {
                Given::Envs { moved, more } => {
                    wired::Given::Envs { moved: moved.into_iter().map(hosted).collect(), more }
                }
                Given::Empty => wired::Given::Empty,
                Given::Busy => wired::Given::Busy,
            },
        },
        Word::Offer(moved) => wired::Word::Offer(hosted(moved)),
    }
}
