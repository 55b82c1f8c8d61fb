//! The provisioning controller between the API and managers: what is asked for
//! becomes targets, what managers say becomes the status, and both survive restarts.
//! The managers are fakes that make what they are told at once; the choices are
//! tested in `decide`.

mod stage;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use control::{ManagerCaller, Provisioning};
use decide::ring::Ring;
use model::{Effort, Epoch, KeyHash, ManagerId, RingVersion, Span, TargetReport, Trouble};
use platform::{Clock, Inbox, Mail, Meters, TaskKind, Tasks, transport::in_process};
use serde_json::{Value, json};
use stage::{NOW_MS, Stage, path};
use wire::manager::{ManagerAnswer, ManagerCall, ManagerNote, TargetsHeld};

type ManagerInbox = Inbox<ManagerCall, ManagerAnswer, ManagerNote>;

#[derive(Clone, Copy, Debug)]
struct Target {
    share: u32,
    epoch: Epoch,
    envs: u32,
    told: bool,
}

/// What a manager was told and has.
#[derive(Debug, Default)]
struct Fake {
    life: u64,
    targets: BTreeMap<KeyHash, Target>,
    charged: Vec<u32>,
    /// Room for environments of each target.
    room: u32,
    configured: bool,
}

impl Fake {
    fn set(&mut self, hash: KeyHash, share: u32, epoch: Epoch) {
        let target = self.targets.entry(hash).or_insert(Target {
            share: 0,
            epoch: Epoch(0),
            envs: 0,
            told: false,
        });
        if epoch > target.epoch {
            (target.share, target.epoch) = (share, epoch);
            target.envs = target.envs.max(share.min(self.room));
        }
        target.told = false;
    }

    /// The surplus leaves.
    fn drain(&mut self) {
        for target in self.targets.values_mut() {
            target.envs = target.envs.min(target.share);
            target.told = false;
        }
    }

    fn held(&mut self) -> TargetsHeld {
        let mut changed = Vec::new();
        for (hash, target) in &mut self.targets {
            if !std::mem::replace(&mut target.told, true) {
                let Target { share, epoch, envs, .. } = *target;
                let full = envs >= share;
                let effort = if full { Effort::Going } else { Effort::Retrying(Trouble::NoRoom) };
                let (hash, busy, starting, failed) = (*hash, 0, 0, 0);
                changed.push(TargetReport {
                    hash,
                    epoch,
                    share,
                    envs,
                    busy,
                    idle: envs,
                    starting,
                    failed,
                    effort,
                });
            }
        }
        TargetsHeld { life: self.life, changed }
    }
}

type FakeArc = Arc<Mutex<Fake>>;

async fn play(fake: FakeArc, mut inbox: ManagerInbox) {
    while let Some(mail) = inbox.next().await {
        match mail {
            Mail::Call(call) => match call.message {
                ManagerCall::Targets => {
                    let held = fake.lock().unwrap().held();
                    call.reply.send(ManagerAnswer::Targets(held));
                }
                ManagerCall::Admit(_)
                | ManagerCall::Acquire(_)
                | ManagerCall::Enter(..)
                | ManagerCall::InFlight { .. }
                | ManagerCall::Borrow(..)
                | ManagerCall::Busiest
                | ManagerCall::TakeTokens { .. }
                | ManagerCall::Inspect => panic!("not the controller's"),
            },
            Mail::Note(ManagerNote::SetTarget(order)) => {
                let mut fake = fake.lock().unwrap();
                fake.configured |= order.config.is_some();
                fake.set(order.hash, order.share, order.epoch);
            }
            Mail::Note(ManagerNote::Provision { charge, .. }) => {
                fake.lock().unwrap().charged.push(charge.charged);
            }
            Mail::Note(note) => panic!("{note:?}"),
        }
    }
}

/// A control role, its controller, and two managers.
struct Region {
    stage: Stage,
    clock: Clock,
    fakes: [FakeArc; 2],
    managers: BTreeMap<ManagerId, ManagerCaller>,
    controller: Tasks,
}

impl Region {
    fn new(room: u32) -> Region {
        let stage = Stage::new();
        let mut managers = BTreeMap::new();
        let fakes = [0, 1].map(|id| {
            let fake = Arc::new(Mutex::new(Fake { room, life: 1, ..Fake::default() }));
            let (caller, inbox) = in_process("manager");
            managers.insert(ManagerId(id), caller);
            stage.tasks.spawn(TaskKind::Background, "fake manager", play(fake.clone(), inbox));
            fake
        });
        let clock = Clock::simulated(NOW_MS);
        let controller = Tasks::default();
        let region = Region { stage, clock, fakes, managers, controller };
        region.start();
        region
    }

    fn start(&self) {
        let ring = Ring::new(RingVersion(1), &[ManagerId(0), ManagerId(1)]);
        let provisioning = Provisioning { ring, managers: self.managers.clone() };
        let store = self.stage.store.clone();
        let (clock, meters) = (self.clock.clone(), Meters::default());
        control::start_provisioning(provisioning, clock, &self.controller, meters, store);
    }

    async fn restart(&mut self) {
        self.controller.stop(platform::tasks::Stop::Asked);
        self.pass(3).await;
        self.controller = Tasks::default();
        self.start();
    }

    async fn pass(&self, secs: u64) {
        self.clock.sleep_until(self.clock.now() + Span::secs(secs)).await;
    }

    async fn publish(&self, name: &str) {
        self.stage.create(name).await;
        self.stage.call("POST", &path(name, "/versions"), json!({})).await.expect(201);
    }

    async fn put(&self, units: u32) -> Value {
        let body = json!({ "ProvisionedConcurrentExecutions": units });
        self.stage.put(TARGET, body).await.expect(202)
    }

    async fn status(&self) -> Value {
        self.stage.get(TARGET).await.expect(200)
    }

    fn shares(&self) -> Vec<u32> {
        let share =
            |fake: &FakeArc| fake.lock().unwrap().targets.values().map(|target| target.share).sum();
        self.fakes.iter().map(share).collect()
    }

    fn epochs(&self) -> Vec<Epoch> {
        let epoch = |fake: &FakeArc| {
            fake.lock().unwrap().targets.values().map(|target| target.epoch).max().unwrap()
        };
        self.fakes.iter().map(epoch).collect()
    }

    fn drain(&self) {
        self.fakes.iter().for_each(|fake| fake.lock().unwrap().drain());
    }

    async fn sets_stored(&self) -> usize {
        let prefix = store::schema::provisioned();
        let all = self.stage.store.list(&prefix, None, 100).await.unwrap().entries;
        all.iter().filter(|entry| entry.key.as_str().contains("/sets/")).count()
    }
}

const TARGET: &str = "/2019-09-30/functions/f/provisioned-concurrency?Qualifier=1";

#[tokio::test(start_paused = true)]
async fn what_is_asked_for_becomes_targets_and_is_shown_ready() {
    let region = Region::new(100);
    region.publish("f").await;
    assert_eq!(region.put(9).await["Status"], "IN_PROGRESS");
    region.pass(4).await;
    let mut shares = region.shares();
    shares.sort_unstable();
    assert_eq!(shares, [4, 5]);
    let status = region.status().await;
    assert_eq!(status["Status"], "READY");
    assert_eq!(status["AvailableProvisionedConcurrentExecutions"], 9);
    assert_eq!(status["AllocatedProvisionedConcurrentExecutions"], 9);
    for fake in &region.fakes {
        let fake = fake.lock().unwrap();
        assert!(fake.configured, "environments are built from a configuration");
        assert_eq!(fake.charged.last(), Some(&9));
    }
    assert_eq!(region.put(12).await["Status"], "IN_PROGRESS");
    region.pass(4).await;
    assert_eq!(region.shares(), [6, 6]);
    assert_eq!(region.status().await["Status"], "READY");
}

#[tokio::test(start_paused = true)]
async fn a2_3_a_deleted_set_is_not_found_at_once_and_kept_until_it_is_empty() {
    let region = Region::new(100);
    region.publish("f").await;
    region.put(10).await;
    region.pass(4).await;
    region.stage.delete(TARGET).await.expect(204);
    region.stage.get(TARGET).await.refused(404, "ProvisionedConcurrencyConfigNotFoundException");
    region.pass(10).await;
    assert_eq!(region.shares(), [0, 0]);
    assert_eq!(region.sets_stored().await, 1, "its environments stay findable");
    region.drain();
    region.pass(4).await;
    assert_eq!(region.sets_stored().await, 0);
    for fake in &region.fakes {
        assert_eq!(fake.lock().unwrap().charged.last(), Some(&0));
    }
    // Made again, its epochs are above those of its first life.
    let before = region.epochs();
    region.put(4).await;
    region.pass(4).await;
    assert_eq!(region.shares(), [2, 2]);
    assert!(region.epochs().iter().zip(&before).all(|(now, before)| now > before));
}

#[tokio::test(start_paused = true)]
async fn missing_room_is_shown_with_what_there_is() {
    let region = Region::new(3);
    region.publish("f").await;
    region.put(10).await;
    region.pass(4).await;
    let status = region.status().await;
    assert_eq!(status["Status"], "IN_PROGRESS");
    assert_eq!(status["AvailableProvisionedConcurrentExecutions"], 6);
    assert_eq!(status["StatusReason"], "No worker has room for more; it is tried again.");
}

#[tokio::test(start_paused = true)]
async fn a_manager_in_another_life_is_told_again() {
    let region = Region::new(100);
    region.publish("f").await;
    region.put(10).await;
    region.pass(4).await;
    {
        let mut fake = region.fakes[0].lock().unwrap();
        *fake = Fake { room: 100, life: 2, ..Fake::default() };
    }
    region.pass(6).await;
    assert_eq!(region.shares(), [5, 5]);
    assert_eq!(region.status().await["Status"], "READY");
    assert_eq!(region.fakes[0].lock().unwrap().charged, [10]);
}

#[tokio::test(start_paused = true)]
async fn i6_a_restarted_controller_goes_on_above_its_epochs() {
    let mut region = Region::new(100);
    region.publish("f").await;
    region.put(10).await;
    region.pass(4).await;
    let before = region.epochs();
    region.restart().await;
    region.pass(6).await;
    assert_eq!(region.shares(), [5, 5]);
    assert!(region.epochs().iter().zip(&before).all(|(now, before)| now > before));
    assert_eq!(region.status().await["Status"], "READY");
}

#[tokio::test(start_paused = true)]
async fn what_was_deleted_while_nobody_looked_is_freed_after_the_start() {
    let mut region = Region::new(100);
    region.publish("f").await;
    region.put(10).await;
    region.pass(4).await;
    region.controller.stop(platform::tasks::Stop::Asked);
    region.pass(3).await;
    region.stage.delete(&path("f", "")).await.expect(204);
    region.restart().await;
    region.pass(6).await;
    assert_eq!(region.shares(), [0, 0]);
    region.drain();
    region.pass(4).await;
    assert_eq!(region.sets_stored().await, 0);
}
