//! What happens to a region on purpose: frontends are added under load, all managers
//! of a zone are lost at once.

use super::*;

/// Until managers of a lost zone are there again, with empty books.
const BACK: Span = Span::millis(1_500);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Incident {
    /// From now on there are so many frontends.
    Frontends(usize),
    /// It takes its calls with it; another comes in its place.
    FrontendDies(usize),
    /// Every manager whose number leaves this remainder divided by that.
    ZoneLost {
        zone: usize,
        of: usize,
    },
    ZoneBack {
        zone: usize,
        of: usize,
    },
}

impl Region<'_> {
    pub(super) fn strike(&mut self, incident: Incident) {
        match incident {
            Incident::Frontends(count) => {
                let first = self.frontends.len();
                self.frontends.extend((first..count).map(Frontend::new));
            }
            Incident::FrontendDies(at) => {
                self.lives += 1;
                let id = self.config.frontends * 1_000 + self.lives;
                self.frontends[at] = Frontend::new(id);
                self.lose_calls(at);
            }
            Incident::ZoneLost { zone, of } => {
                self.sum.incident_at = Some(self.now);
                for at in (zone..self.managers.len()).step_by(of) {
                    self.managers[at].down = true;
                    self.sum.keep_leases(self.managers[at].book.lease_counts());
                }
                // Calls that wait for an answer of theirs see a broken connection.
                self.heap.push(self.now + BACK, Event::Incident(Incident::ZoneBack { zone, of }));
                self.break_questions(zone, of);
            }
            Incident::ZoneBack { zone, of } => {
                for at in (zone..self.managers.len()).step_by(of) {
                    let life = self.managers[at].life + 1;
                    self.managers[at] = Manager::new(self.config, life);
                    self.offer_to(at);
                }
            }
        }
    }

    fn break_questions(&mut self, zone: usize, of: usize) {
        for call in 0..self.calls.len() as u32 {
            if let Some((manager, ask)) = self.asked(call)
                && manager as usize % of == zone
            {
                let when = self.hop();
                self.heap.push(when, Event::Silent { call, ask, manager });
            }
        }
    }
}
