//! Ring versions of a world, as `control` would publish them, and which manager has
//! what: keys move from some managers to others.

use model::{
    Attrs, FleetId, Hosted, KeyHash, ManagerId, RingRecord, RingState, RingVersion, WorkerId,
};
use store::{Transaction, schema};
use wire::manager::{ManagerAnswer, ManagerCall};

use super::World;

impl World {
    /// A ring version that serves every key, after the one named.
    pub async fn publish(&self, v: u64, members: &[u64], prev: Option<u64>) {
        self.publish_as(RingState::Active, v, members, prev).await;
    }

    pub async fn publish_as(&self, state: RingState, v: u64, members: &[u64], prev: Option<u64>) {
        self.publish_record(RingRecord { state, ..World::ring_record(v, members, prev) }).await;
    }

    #[expect(clippy::expect_used, reason = "a world whose store fails has no history")]
    pub async fn publish_record(&self, record: RingRecord) {
        let publish = Transaction::new().put(&schema::ring(record.v), &record);
        let publish = publish.expect("a ring version can be written");
        self.land.store.transact(publish).await.expect("the store in memory takes it");
        self.settle().await;
    }

    /// A version after the last, of the managers whose bits are set.
    pub(super) async fn publish_next(&self, members: u64, spread: u16) {
        let v = {
            let mut versions = self.versions();
            *versions += 1;
            *versions
        };
        let within = |manager: &&ManagerId| members & (1 << (manager.0 - 1)) != 0;
        let members: Vec<u64> = self.land.managers.iter().filter(within).map(|m| m.0).collect();
        let record = World::ring_record(v, &members, (v > 1).then_some(v - 1));
        let attrs = Attrs { spread, ..record.attrs };
        self.publish_record(RingRecord { attrs, ..record }).await;
    }

    /// A version that serves every key, with the settings that are in force by default.
    pub fn ring_record(v: u64, members: &[u64], prev: Option<u64>) -> RingRecord {
        RingRecord {
            v: RingVersion(v),
            fleet: FleetId(v),
            members: members.iter().copied().map(ManagerId).collect(),
            attrs: Attrs::default(),
            prev: prev.map(RingVersion),
            key_share: model::ring::KEY_SHARE_WHOLE,
            state: RingState::Active,
        }
    }

    /// What one manager says to those who publish ring versions: calls in flight of its
    /// keys.
    pub async fn busiest_at(&self, manager: u64) -> Vec<(KeyHash, u32)> {
        let Some(caller) = self.managers.get(&ManagerId(manager)) else { return Vec::new() };
        match caller.call(ManagerCall::Busiest).await {
            Ok(ManagerAnswer::Busiest(keys)) => keys,
            Ok(_) | Err(_) => Vec::new(),
        }
    }

    /// Environments in the book of one manager.
    pub async fn held_by(&self, manager: u64) -> u64 {
        self.settle().await;
        let inspected = self.inspect_one(ManagerId(manager)).await;
        inspected.map_or(0, |seen| seen.environments)
    }

    /// What the first worker hosts for one manager.
    pub async fn hosted_by(&self, manager: u64) -> Vec<Hosted> {
        self.settle().await;
        self.hosted_for(WorkerId(1), ManagerId(manager)).await.unwrap_or_default()
    }
}
