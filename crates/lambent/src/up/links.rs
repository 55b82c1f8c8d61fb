//! The ways from one role to another: inside this process, or over the exchange that
//! all processes of an installation speak. Roles see no difference.

use std::{collections::BTreeMap, path::Path};

use model::{FrontendId, ManagerId, WorkerId};
use platform::{
    Tasks,
    authority::Credentials,
    transport::{Address, Caller, Exchange, Identity, Inbox, Network, in_process},
};
use serde::{Serialize, de::DeserializeOwned};
use store::{StoreCaller, StoreInbox};
use wire::{
    control::{ControlAnswer, ControlCall},
    frontend::FrontendNote,
    manager::{ManagerAnswer, ManagerCall, ManagerNote},
    worker::{WorkerAnswer, WorkerCall, WorkerNote},
};

use super::{
    members::{Role, STORE},
    settings::Checked,
};
use crate::failure::Failure;

pub(super) type ManagerCaller = Caller<ManagerCall, ManagerAnswer, ManagerNote>;
pub(super) type WorkerCaller = Caller<WorkerCall, WorkerAnswer, WorkerNote>;
pub(super) type FrontendCaller = Caller<(), (), FrontendNote>;
pub(super) type ControlCaller = Caller<ControlCall, ControlAnswer, ()>;

/// A role of this process: its own end, and the one that others get.
#[derive(Debug)]
pub(super) struct Local<Q, A, N> {
    caller: Caller<Q, A, N>,
    pub(super) inbox: Inbox<Q, A, N>,
}

#[derive(Debug)]
pub(super) struct Links<'s> {
    settings: &'s Checked,
    /// None where nobody else is.
    exchange: Option<Exchange>,
    manager: Option<ManagerCaller>,
    worker: Option<WorkerCaller>,
    control: Option<ControlCaller>,
}

impl<'s> Links<'s> {
    pub(super) fn new(settings: &'s Checked, tasks: &Tasks) -> anyhow::Result<Self> {
        let network = || match &settings.certificates {
            Some(directory) => identity(directory, settings).map(Network::secured),
            None => Ok(Network::plain()),
        };
        let alone = settings.members.address(Role::Control).is_none();
        let exchange = match alone {
            true => None,
            false => Some(Exchange::new(network()?, tasks.clone())),
        };
        Ok(Links { settings, exchange, manager: None, worker: None, control: None })
    }

    /// Makes a role of this process callable, by others as well.
    fn open<Q, A, N>(
        &self,
        role: &'static str,
        name: &str,
        admits: fn(&str) -> bool,
    ) -> anyhow::Result<Local<Q, A, N>>
    where
        Q: DeserializeOwned + Send + 'static,
        A: Serialize + Send + 'static,
        N: DeserializeOwned + Send + 'static,
    {
        let (caller, inbox) = in_process(role);
        if let Some(exchange) = &self.exchange {
            exchange.register(name, &caller, admits)?;
        }
        Ok(Local { caller, inbox })
    }

    pub(super) fn open_manager(
        &mut self,
        id: ManagerId,
    ) -> anyhow::Result<Inbox<ManagerCall, ManagerAnswer, ManagerNote>> {
        let name = Role::Manager(id).to_string();
        let local = self.open("manager", &name, |_| true)?;
        self.manager = Some(local.caller);
        Ok(local.inbox)
    }

    /// Where there are others, which tell it what they know.
    pub(super) fn open_frontend(
        &self,
        id: FrontendId,
    ) -> anyhow::Result<Option<Inbox<(), (), FrontendNote>>> {
        if self.exchange.is_none() {
            return Ok(None);
        }
        let asks = |peer: &str| peer.starts_with("frontend-");
        let name = Role::Frontend(id).to_string();
        Ok(Some(self.open("frontend", &name, asks)?.inbox))
    }

    pub(super) fn open_worker(
        &mut self,
        id: WorkerId,
    ) -> anyhow::Result<Inbox<WorkerCall, WorkerAnswer, WorkerNote>> {
        let asks = |peer: &str| peer.starts_with("frontend-") || peer.starts_with("manager-");
        let local = self.open("worker", &Role::Worker(id).to_string(), asks)?;
        self.worker = Some(local.caller);
        Ok(local.inbox)
    }

    pub(super) fn open_control(&mut self) -> anyhow::Result<Inbox<ControlCall, ControlAnswer, ()>> {
        let asks = |peer: &str| peer.starts_with("frontend-");
        let local = self.open("control", &Role::Control.to_string(), asks)?;
        self.control = Some(local.caller);
        Ok(local.inbox)
    }

    /// Only where somebody else needs it.
    pub(super) fn open_store(&self) -> anyhow::Result<Option<StoreInbox>> {
        if self.exchange.is_none() {
            return Ok(None);
        }
        Ok(Some(self.open("store", STORE, |_| true)?.inbox))
    }

    /// The metadata store of another process.
    pub(super) fn store(&self) -> Option<StoreCaller> {
        let speaker = self.settings.roles.first()?;
        let address = self.settings.members.address(Role::Control)?;
        let exchange = self.exchange.as_ref()?;
        Some(exchange.caller(&speaker.to_string(), "store", STORE, address.clone()))
    }

    /// All managers, as `from` calls them.
    pub(super) fn managers(&self, from: Role) -> BTreeMap<ManagerId, ManagerCaller> {
        let members = &self.settings.members;
        let caller = |id| {
            let role = Role::Manager(id);
            let here = self.manager.clone().filter(|_| self.is_here(role));
            Some((id, here.or_else(|| self.elsewhere(from, "manager", role))?))
        };
        members.managers().filter_map(caller).collect()
    }

    pub(super) fn workers(&self, from: Role) -> BTreeMap<WorkerId, WorkerCaller> {
        let members = &self.settings.members;
        let caller = |id| {
            let role = Role::Worker(id);
            let here = self.worker.clone().filter(|_| self.is_here(role));
            Some((id, here.or_else(|| self.elsewhere(from, "worker", role))?))
        };
        members.workers().filter_map(caller).collect()
    }

    /// The other frontends.
    pub(super) fn frontends(&self, from: FrontendId) -> BTreeMap<FrontendId, FrontendCaller> {
        let members = self.settings.members.frontends().filter(|id| *id != from);
        let (from, to) = (Role::Frontend(from), Role::Frontend);
        let caller = |id| Some((id, self.elsewhere(from, "frontend", to(id))?));
        members.filter_map(caller).collect()
    }

    pub(super) fn control(&self, from: Role) -> Option<ControlCaller> {
        self.control.clone().or_else(|| self.elsewhere(from, "control", Role::Control))
    }

    /// Lets others in, at every address that this process's roles have.
    pub(super) async fn listen(&self) -> anyhow::Result<Vec<Address>> {
        let Some(exchange) = &self.exchange else { return Ok(Vec::new()) };
        let members = &self.settings.members;
        let mut addresses: Vec<_> =
            self.settings.roles.iter().filter_map(|role| members.address(*role)).collect();
        addresses.sort_unstable();
        addresses.dedup();
        let mut listening = Vec::new();
        for address in addresses {
            let listened = exchange.listen(address).await.map_err(|error| {
                let todo = "--members names the address that this process listens on";
                Failure::failed(error.to_string(), todo)
            })?;
            listening.push(listened);
        }
        Ok(listening)
    }

    fn is_here(&self, role: Role) -> bool {
        self.settings.roles.contains(&role)
    }

    fn elsewhere<Q, A, N>(
        &self,
        from: Role,
        kind: &'static str,
        to: Role,
    ) -> Option<Caller<Q, A, N>>
    where
        Q: Serialize,
        A: DeserializeOwned,
        N: Serialize,
    {
        let address = self.settings.members.address(to)?.clone();
        let exchange = self.exchange.as_ref()?;
        Some(exchange.caller(&from.to_string(), kind, &to.to_string(), address))
    }
}

/// A process's certificate has the name of its first role.
fn identity(directory: &Path, settings: &Checked) -> anyhow::Result<Identity> {
    let name = settings.roles.first().map(ToString::to_string).unwrap_or_default();
    let wrong = |error: String| {
        let todo = format!("make it with `lambent admin authority issue --roles {name},…`");
        Failure::failed(format!("--certificates: {error}"), todo)
    };
    let credentials =
        Credentials::load(directory, &name).map_err(|error| wrong(error.to_string()))?;
    Ok(Identity::new(&credentials).map_err(|error| wrong(error.to_string()))?)
}
