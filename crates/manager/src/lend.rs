//! Blocks of a large account's slots for a frontend: the counter decides, here it is
//! put into the words of the wire.

use decide::admit;
use model::FrontendId;
use wire::manager::{BlockAsk, Lent};

use crate::owner::Owner;

impl Owner {
    /// None where a later question of the frontend was answered before.
    pub(crate) fn lend(&mut self, holder: FrontendId, ask: BlockAsk) -> Option<Lent> {
        let BlockAsk { account, seq, held, want } = ask;
        let ask = admit::BlockAsk { account, seq, held, want };
        let lent = self.counter.lend(self.clock.now(), holder, ask)?;
        let admit::Lent { account, seq, slots, block, pressed, limit, frontends } = lent;
        Some(Lent { account, seq, slots, block, pressed, limit, frontends })
    }
}
