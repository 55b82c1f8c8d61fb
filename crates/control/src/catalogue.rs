//! Functions as records: read together, changed in one transaction against what was
//! read. A change either happens whole or not at all (I26), and two concurrent
//! changes of one function happen one after the other.

use aws_api::ApiError;
use model::{
    AccountId, FunctionConfig, FunctionName, Qualifier, Region, VersionId,
    function::FunctionSettings,
};
use store::{Found, Store, TransactError, Transaction, limits::PAGE_ENTRIES_MAX, schema};

use crate::{failure::Failure, limits::COMMIT_ATTEMPTS_MAX, target::Target};

#[derive(Clone, Debug)]
pub(crate) struct Catalogue {
    pub(crate) region: Region,
    pub(crate) store: Store,
}

/// What is stored of a function, apart from its older versions.
#[derive(Clone, Debug)]
pub(crate) struct Function {
    pub(crate) head: Found<FunctionConfig>,
    pub(crate) settings: Found<FunctionSettings>,
    /// The newest published version, where it has not been deleted.
    pub(crate) newest: Option<FunctionConfig>,
}

/// What a change writes. What is `None` stays.
#[derive(Debug, Default)]
pub(crate) struct Amendment {
    pub(crate) head: Option<FunctionConfig>,
    pub(crate) settings: Option<FunctionSettings>,
    pub(crate) publish: Option<FunctionConfig>,
    pub(crate) forget: Option<u64>,
}

impl Catalogue {
    pub(crate) async fn read(&self, target: &Target) -> Result<Function, Failure> {
        // The two records are made and deleted together: one without the other was
        // read across such a change.
        for _ in 0..COMMIT_ATTEMPTS_MAX {
            let head = schema::function_head(target.account, &target.name);
            let Some(head) = self.store.read(&head).await? else {
                return Err(self.not_found(target).into());
            };
            let settings = schema::function_settings(target.account, &target.name);
            if let Some(settings) = self.store.read(&settings).await? {
                let newest = self.newest(target, &settings.value).await?;
                return Ok(Function { head, settings, newest });
            }
        }
        Err(self.contended(target).into())
    }

    async fn newest(
        &self,
        target: &Target,
        settings: &FunctionSettings,
    ) -> Result<Option<FunctionConfig>, Failure> {
        if !settings.versions.contains(&settings.published) {
            return Ok(None);
        }
        self.published(target.account, &target.name, settings.published).await
    }

    pub(crate) async fn published(
        &self,
        account: AccountId,
        name: &FunctionName,
        number: u64,
    ) -> Result<Option<FunctionConfig>, Failure> {
        let key = schema::function_version(account, name, number);
        Ok(self.store.read(&key).await?.map(|found| found.value))
    }

    /// The version that the target names; `$LATEST` where it names none.
    pub(crate) async fn version(&self, target: &Target) -> Result<FunctionConfig, Failure> {
        let found = match &target.qualifier {
            None | Some(Qualifier::Version(VersionId::Latest)) => {
                let key = schema::function_head(target.account, &target.name);
                self.store.read(&key).await?.map(|found| found.value)
            }
            Some(Qualifier::Version(VersionId::Published(number))) => {
                self.published(target.account, &target.name, *number).await?
            }
            Some(Qualifier::Alias(_)) => None,
        };
        found.ok_or_else(|| self.not_found(target).into())
    }

    /// A new function, or the refusal that there is one of its name.
    pub(crate) async fn create(
        &self,
        head: &FunctionConfig,
        settings: &FunctionSettings,
        version: Option<&FunctionConfig>,
    ) -> Result<(), Failure> {
        let head_key = schema::function_head(head.account, &head.name);
        let settings_key = schema::function_settings(head.account, &head.name);
        let mut transaction = Transaction::new()
            .require_absent(&head_key)
            .require_absent(&settings_key)
            .put(&head_key, head)?
            .put(&settings_key, settings)?;
        if let Some(version) = version {
            transaction = transaction.put(&version_key(version)?, version)?;
        }
        match self.store.transact(transaction).await {
            Ok(_) => Ok(()),
            Err(TransactError::Conflict { .. }) => {
                Err(ApiError::function_exists(head.name.as_str()).into())
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Reads, lets `change` decide, and writes if nothing changed in between; else it
    /// starts over, so `change` may be called several times.
    pub(crate) async fn amend<T>(
        &self,
        target: &Target,
        mut change: impl FnMut(&Function) -> Result<(Amendment, T), Failure>,
    ) -> Result<T, Failure> {
        for _ in 0..COMMIT_ATTEMPTS_MAX {
            let function = self.read(target).await?;
            let (amendment, outcome) = change(&function)?;
            if self.write(&function, &amendment).await? {
                return Ok(outcome);
            }
        }
        Err(self.contended(target).into())
    }

    async fn write(&self, was: &Function, amendment: &Amendment) -> Result<bool, Failure> {
        let Function { head, settings, .. } = was;
        let (account, name) = (head.value.account, &head.value.name);
        let head_key = schema::function_head(account, name);
        let settings_key = schema::function_settings(account, name);
        let mut transaction = Transaction::new()
            .require_version(&head_key, head.revision)
            .require_version(&settings_key, settings.revision);
        if let Some(head) = &amendment.head {
            transaction = transaction.put(&head_key, head)?;
        }
        if let Some(settings) = &amendment.settings {
            transaction = transaction.put(&settings_key, settings)?;
        }
        if let Some(version) = &amendment.publish {
            transaction = transaction.put(&version_key(version)?, version)?;
        }
        if let Some(number) = amendment.forget {
            transaction = transaction
                .delete(&schema::function_version(account, name, number))
                .delete(&schema::provisioned_config(account, name, number));
        }
        if transaction.ops.is_empty() {
            return Ok(true);
        }
        self.committed(transaction).await
    }

    /// The function with all its versions.
    pub(crate) async fn delete(&self, target: &Target) -> Result<(), Failure> {
        for _ in 0..COMMIT_ATTEMPTS_MAX {
            let Function { head, settings, .. } = self.read(target).await?;
            let head_key = schema::function_head(target.account, &target.name);
            let settings_key = schema::function_settings(target.account, &target.name);
            let mut transaction = Transaction::new()
                .require_version(&head_key, head.revision)
                .require_version(&settings_key, settings.revision)
                .delete(&head_key)
                .delete(&settings_key);
            for number in &settings.value.versions {
                let key = schema::function_version(target.account, &target.name, *number);
                transaction = transaction.delete(&key);
            }
            let prefix = schema::function_provisioned_configs(target.account, &target.name);
            let configs = self.store.read_page(&prefix, None, PAGE_ENTRIES_MAX).await?;
            for (key, _) in configs.found {
                transaction = transaction.delete_key(key);
            }
            if self.committed(transaction).await? {
                return Ok(());
            }
        }
        Err(self.contended(target).into())
    }

    /// `false` where a precondition did not hold.
    pub(crate) async fn committed(&self, transaction: Transaction) -> Result<bool, Failure> {
        match self.store.transact(transaction).await {
            Ok(_) => Ok(true),
            Err(TransactError::Conflict { .. }) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    pub(crate) fn not_found(&self, target: &Target) -> ApiError {
        ApiError::function_not_found(&target.arn(&self.region))
    }

    pub(crate) fn contended(&self, target: &Target) -> ApiError {
        ApiError::update_in_progress(&target.arn(&self.region))
    }
}

fn version_key(version: &FunctionConfig) -> Result<store::TypedKey<FunctionConfig>, Failure> {
    match version.version {
        VersionId::Published(number) => {
            Ok(schema::function_version(version.account, &version.name, number))
        }
        VersionId::Latest => Err(Failure::Inconsistent(format!("{} as a version", version.name))),
    }
}
