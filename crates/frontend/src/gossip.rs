//! Gossip between frontends about the sizes of clients' sets (A7): a few of them hear,
//! twice a second, of what changed a short time ago. Managers carry the same with their
//! answers; this makes it sooner. Whom to tell what is `decide::arcs::gossip`'s.
//!
//! Who changed a size tells the set's first member as well: a frontend that knows
//! nothing of the client asks there first, and learns it with the answer.
//!
//! Nobody waits for a frontend that is slow or away: what cannot be said at once is
//! said again, to others, by the next round.

use std::{collections::BTreeMap, sync::Arc};

use decide::arcs::gossip;
use model::FrontendId;
use platform::transport::Mail;
use wire::{frontend::FrontendNote, manager::ManagerNote};

use crate::{FrontendCaller, FrontendInbox, Gate, route::News};

/// Until the process is asked to stop.
pub(crate) async fn tell(gate: Arc<Gate>, peers: BTreeMap<FrontendId, FrontendCaller>) {
    loop {
        tokio::select! {
            biased;
            _ = gate.tasks.stopped() => return,
            () = tokio::time::sleep(gossip::EVERY.to_std()) => {}
        }
        let News { sizes, told, first_members } = gate.router.news(gate.clock.now());
        for (manager, size) in first_members {
            if let Some(manager) = gate.managers.get(&manager) {
                let _ = manager.try_note(ManagerNote::Size(size));
            }
        }
        if sizes.is_empty() {
            continue;
        }
        for peer in told.iter().filter_map(|peer| peers.get(peer)) {
            let _ = peer.try_note(FrontendNote::Sizes(sizes.clone()));
        }
    }
}

pub(crate) async fn hear(gate: Arc<Gate>, mut inbox: FrontendInbox) {
    while let Some(mail) = inbox.next().await {
        match mail {
            Mail::Note(FrontendNote::Sizes(sizes)) => {
                gate.router.heard(gate.clock.now(), &sizes);
            }
            // Frontends ask each other nothing.
            Mail::Call(call) => call.reply.send(()),
        }
    }
}
