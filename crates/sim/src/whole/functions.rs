//! The functions of a world, as `control` would write them into the store, and their
//! changes. A revision can be seen from inside the environments that were made of it.

use std::collections::BTreeMap;

use model::{
    FunctionConfig, FunctionName, FunctionState, Runtime, Tenancy, VersionId,
    function::{Architecture, FunctionSettings, LogFormat, Logging, UpdateStatus},
};
use store::{Transaction, schema};

use super::world::{WALL_MS, World, account};

/// Where a function's environments read which revision they are of.
pub(super) const REVISION: &str = "REVISION";

/// A function that is to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct New<'n> {
    pub name: &'n str,
    pub timeout_secs: u32,
    pub memory_mb: u32,
    pub reserved: Option<u32>,
    pub handler: &'n str,
    pub per_tenant: bool,
}

impl Default for New<'_> {
    fn default() -> Self {
        New {
            name: "f",
            timeout_secs: 3,
            memory_mb: 128,
            reserved: None,
            handler: "f.handler",
            per_tenant: false,
        }
    }
}

impl World {
    pub async fn create(&self, name: &str, timeout_secs: u32, reserved: Option<u32>) {
        self.add(&New { name, timeout_secs, reserved, ..New::default() }).await;
    }

    #[expect(clippy::expect_used, reason = "a world whose store fails has no history")]
    pub async fn add(&self, new: &New<'_>) {
        let name = name(new.name);
        let config = self.config(&name, new);
        let settings = FunctionSettings { reserved: new.reserved, ..FunctionSettings::default() };
        let create = Transaction::new()
            .put(&schema::function_head(account(), &name), &config)
            .and_then(|create| create.put(&schema::function_settings(account(), &name), &settings))
            .expect("a function can be written");
        self.land.store.transact(create).await.expect("the store in memory takes it");
        self.settle().await;
    }

    /// Makes it a function whose callers name a tenant.
    pub async fn separate_tenants(&self, name: &str) {
        self.amend(name, |config| config.per_tenant = true).await;
    }

    pub async fn set_tenancy(&self, name: &str, tenancy: Tenancy) {
        self.set(name, |settings| settings.tenancy = tenancy).await;
    }

    #[expect(clippy::expect_used, reason = "a world whose store fails has no history")]
    pub async fn set(&self, function: &str, change: impl FnOnce(&mut FunctionSettings)) {
        let key = schema::function_settings(account(), &name(function));
        let stored = self.land.store.read(&key).await.expect("the store in memory answers");
        let mut settings = stored.expect("the function is there").value;
        change(&mut settings);
        let change = Transaction::new().put(&key, &settings).expect("settings can be written");
        self.land.store.transact(change).await.expect("the store in memory takes it");
        self.settle().await;
    }

    /// What the account may have in flight.
    #[expect(clippy::expect_used, reason = "a world whose store fails has no history")]
    pub async fn limit(&self, concurrency: u32) {
        let limits = store::AccountLimits { concurrency };
        let put = Transaction::new().put(&schema::account_limits(account()), &limits);
        let put = put.expect("limits can be written");
        self.land.store.transact(put).await.expect("the store in memory takes it");
        self.settle().await;
    }

    /// A change of configuration: another revision. Which one.
    pub async fn change(&self, name: &str) -> u64 {
        let revision = self.amend(name, |_| {}).await;
        self.revisions().insert(name.to_owned(), revision);
        revision
    }

    /// The one that every call made from now on has to run, or a later one.
    pub(super) fn revision(&self, name: &str) -> u64 {
        self.revisions().get(name).copied().unwrap_or(1)
    }

    #[expect(clippy::expect_used, reason = "a world whose store fails has no history")]
    async fn amend(&self, function: &str, amend: impl FnOnce(&mut FunctionConfig)) -> u64 {
        let key = schema::function_head(account(), &name(function));
        let stored = self.land.store.read(&key).await.expect("the store in memory answers");
        let mut config = stored.expect("the function is there").value;
        config.revision += 1;
        config.environment.insert(REVISION.into(), config.revision.to_string());
        amend(&mut config);
        let revision = config.revision;
        let change = Transaction::new().put(&key, &config).expect("a function can be written");
        self.land.store.transact(change).await.expect("the store in memory takes it");
        self.settle().await;
        revision
    }

    fn config(&self, name: &FunctionName, new: &New<'_>) -> FunctionConfig {
        FunctionConfig {
            account: account(),
            name: name.clone(),
            version: VersionId::Latest,
            revision: 1,
            revision_id: "r".into(),
            description: String::new(),
            runtime: Runtime::Python { minor: 11 },
            handler: new.handler.to_owned(),
            role: String::new(),
            code: self.land.disk.code.clone(),
            memory_mb: new.memory_mb,
            timeout_secs: new.timeout_secs,
            scratch_mb: 512,
            architecture: Architecture::X86_64,
            environment: BTreeMap::from([(REVISION.to_owned(), "1".to_owned())]),
            logging: Logging {
                format: LogFormat::Text,
                application_level: None,
                system_level: None,
                group: format!("/aws/lambda/{name}"),
            },
            tags: BTreeMap::new(),
            state: FunctionState::Active,
            last_update: UpdateStatus::Successful,
            modified_ms: WALL_MS,
            per_tenant: new.per_tenant,
            opaque: BTreeMap::new(),
        }
    }
}

fn name(text: &str) -> FunctionName {
    #[expect(clippy::expect_used, reason = "names of functions are ours")]
    FunctionName::parse(text).expect("a function's name")
}
