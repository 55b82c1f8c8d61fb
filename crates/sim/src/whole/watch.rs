//! What is looked at while a schedule is played: that epochs only grow (I6), that keys
//! of environments change one way only (I3), and that limits hold at every moment, as
//! far as the counter can know.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use model::{EnvId, Epoch, Hosted, Now, PoolKey, Span};
use tokio::time::{sleep, timeout};

use super::{World, play, schedule::Schedule};

/// Between two looks.
const PERIOD: Duration = Duration::from_secs(1);
/// A worker that cannot be asked now is asked the next time.
const ASK_TTL: Duration = Duration::from_millis(500);
/// After a fault of the kind that unsettles limits is over, its effects may last so
/// long: an answer that was held back, and a handler that began by it.
const UNSETTLED: Span = Span::secs(45);

#[derive(Debug, Default)]
pub(super) struct Watch {
    known: BTreeMap<EnvId, (Epoch, Arc<PoolKey>)>,
}

impl Watch {
    /// For ever.
    pub(super) async fn go_on(&mut self, world: &World, schedule: &Schedule, began: Now) {
        loop {
            sleep(PERIOD).await;
            self.look(world, schedule, began).await;
        }
    }

    pub(super) async fn look(&mut self, world: &World, schedule: &Schedule, began: Now) {
        limits(world, schedule, began);
        for worker in &world.land.workers {
            for manager in &world.land.managers {
                let ask = timeout(ASK_TTL, world.hosted_for(*worker, *manager));
                for hosted in ask.await.ok().flatten().unwrap_or_default() {
                    self.compare(world, &hosted);
                }
            }
        }
    }

    fn compare(&mut self, world: &World, hosted: &Hosted) {
        let Hosted { env, key, epoch, .. } = hosted;
        let now = (*epoch, Arc::clone(key));
        let Some((epoch_before, key_before)) = self.known.insert(*env, now) else { return };
        if *epoch < epoch_before {
            let what = format_args!("I6: the epoch of {env} fell from {epoch_before} to {epoch}");
            world.record.violation(what);
        }
        let bound = || {
            let tenant = key.tenant.clone()?;
            key_before.bound_to(tenant)
        };
        if *key != key_before && bound().is_none_or(|bound| bound != **key) {
            let what = format_args!("I3: {env} of {key_before:?} became {key:?}");
            world.record.violation(what);
        }
    }
}

/// Reserved concurrency, as guests see it. While the counter's memory is lost, or a
/// frontend was cut off from what it had asked for, each such fault may add what one
/// more counter would have let in.
fn limits(world: &World, schedule: &Schedule, began: Now) {
    let Some(counter) = play::counter(world) else { return };
    let now_ms = world.clock.now().since(began).as_millis();
    let unsettled = schedule.faults.iter().filter(|fault| {
        let begun = fault.at_ms <= now_ms;
        let lasts = now_ms <= fault.at_ms + fault.for_ms + UNSETTLED.as_millis();
        begun && lasts && fault.what.unsettles(counter)
    });
    let times = 1 + u32::try_from(unsettled.count()).unwrap_or(u32::MAX);
    for function in &schedule.functions {
        let peak = world.guests.seen().take_peak(&function.name);
        let Some(reserved) = function.reserved else { continue };
        let bound = reserved * times;
        if peak > bound {
            let name = &function.name;
            let what =
                format_args!("{name} ran {peak} times at once, {reserved} x {times} allowed");
            world.record.violation(what);
        }
    }
}
