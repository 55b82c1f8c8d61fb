//! A process's place in the installation: its roles can be called from other processes
//! over one listener, and it calls the roles of others. Who may call a role is checked
//! once for each connection, before its first message.

use std::{
    collections::BTreeMap,
    fmt,
    future::Future,
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use bytes::BytesMut;
use serde::{Serialize, de::DeserializeOwned};
use tokio::{
    sync::{Semaphore, watch},
    time::timeout,
};
use wire::frame::{Greeting, Hello};

use super::{
    Address, Caller, Tongue, Way,
    driver::{Driver, Ending},
    link::Link,
    network::{self, ListenFailed, Network, Proof, Stream},
    remote::{Dialler, Remote},
    serving::ToRole,
};
use crate::{
    changing::Changing,
    limits::{CONNECTIONS_MAX, GREETING_TTL},
    tasks::{TaskKind, Tasks},
};

#[derive(Clone, Debug)]
pub struct Exchange {
    network: Network,
    tasks: Tasks,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    roles: Mutex<BTreeMap<String, Role>>,
    places: Arc<Semaphore>,
    connections: AtomicU64,
    closed: Changing<bool>,
}

/// A role of this process, as connections see it.
#[derive(Clone)]
struct Role {
    serve: Arc<dyn Fn(Accepted) -> Serving + Send + Sync>,
    admits: fn(&str) -> bool,
    peers: watch::Sender<BTreeMap<String, u64>>,
}

type Serving = Pin<Box<dyn Future<Output = Ending> + Send>>;

struct Accepted {
    stream: Stream,
    read: BytesMut,
    peer: String,
    near: bool,
}

impl fmt::Debug for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Role").field("peers", &*self.peers.borrow()).finish_non_exhaustive()
    }
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} serves in this process already")]
pub struct NameTaken(pub String);

/// The members connected to a role, each with the number of its newest connection.
/// Numbers grow over the life of the process.
#[derive(Debug)]
pub struct Peers(watch::Receiver<BTreeMap<String, u64>>);

impl Peers {
    pub fn now(&mut self) -> BTreeMap<String, u64> {
        self.0.borrow_and_update().clone()
    }

    /// Waits for a change. Never returns once the role is withdrawn.
    pub async fn changed(&mut self) -> BTreeMap<String, u64> {
        if self.0.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
        self.now()
    }
}

impl Exchange {
    pub fn new(network: Network, tasks: Tasks) -> Exchange {
        let shared = Shared {
            roles: Mutex::default(),
            places: Arc::new(Semaphore::new(CONNECTIONS_MAX)),
            connections: AtomicU64::new(0),
            closed: Changing::default(),
        };
        Exchange { network, tasks, shared: Arc::new(shared) }
    }

    /// A caller of the role named `to` at the address, speaking as `from`. Each makes
    /// its own connection when it is first used; clones share it.
    pub fn caller<Q, A, N>(
        &self,
        from: &str,
        role: &'static str,
        to: &str,
        address: Address,
    ) -> Caller<Q, A, N>
    where
        Q: Serialize,
        A: DeserializeOwned,
        N: Serialize,
    {
        let hello = Hello { to: to.to_owned(), from: from.to_owned() };
        let dialler = Dialler { network: self.network.clone(), address, hello };
        let (remote, keep) = Remote::new(dialler);
        let keep = self.until_closed(keep);
        self.tasks.spawn(TaskKind::Connection, "connection to a role", keep);
        Caller { role, way: Way::There(Arc::new(remote), Tongue::NEW) }
    }

    /// Lets members whom `admits` names call a role of this process. Only the owner of
    /// a caller that leads to this process itself can offer it.
    pub fn register<Q, A, N>(
        &self,
        name: &str,
        caller: &Caller<Q, A, N>,
        admits: fn(&str) -> bool,
    ) -> Result<Peers, NameTaken>
    where
        Q: DeserializeOwned + Send + 'static,
        A: Serialize + Send + 'static,
        N: DeserializeOwned + Send + 'static,
    {
        let Way::Here(sender) = &caller.way else { return Err(NameTaken(name.to_owned())) };
        let sender = sender.clone();
        let serve = move |accepted: Accepted| -> Serving {
            let link = Arc::new(Link::new(accepted.peer, accepted.near));
            let receiver = ToRole::new(sender.clone(), Arc::clone(&link));
            Box::pin(Driver::new(accepted.stream, accepted.read, link, receiver).run())
        };
        let (peers, seen) = watch::channel(BTreeMap::new());
        let role = Role { serve: Arc::new(serve), admits, peers };
        let mut roles = self.roles();
        if roles.contains_key(name) {
            return Err(NameTaken(name.to_owned()));
        }
        roles.insert(name.to_owned(), role);
        Ok(Peers(seen))
    }

    /// No new connection reaches the role; those there are stay.
    pub fn withdraw(&self, name: &str) {
        self.roles().remove(name);
    }

    /// Ends everything at once, as the end of the process would: listeners, and the
    /// connections that others made or that this end's callers made.
    pub fn close(&self) {
        self.shared.closed.change(|closed| *closed = true);
    }

    fn until_closed<F>(&self, work: F) -> impl Future<Output = ()> + Send + 'static
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let shared = Arc::clone(&self.shared);
        async move {
            tokio::select! {
                biased;
                () = work => {}
                () = shared.closed.until(|closed| closed.then_some(())) => {}
            }
        }
    }

    fn roles(&self) -> MutexGuard<'_, BTreeMap<String, Role>> {
        self.shared.roles.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Listens for the life of the process, on the address that it answers: a port of
    /// 0 has been replaced by the one given.
    pub async fn listen(&self, address: &Address) -> Result<Address, ListenFailed> {
        let mut listening = self.network.listen(address).await?;
        let address = listening.address().clone();
        let exchange = self.clone();
        let listen = self.until_closed(async move {
            while let Some(arrived) = listening.accept().await {
                exchange.welcome(arrived);
            }
        });
        self.tasks.spawn(TaskKind::Listener, "listener for roles", listen);
        Ok(address)
    }

    fn welcome(&self, arrived: network::Arrived) {
        let Ok(place) = Arc::clone(&self.shared.places).try_acquire_owned() else {
            tracing::warn!(limit = CONNECTIONS_MAX, "too many connections between roles");
            return;
        };
        let exchange = self.clone();
        let serve = self.until_closed(async move {
            exchange.arrive(arrived).await;
            drop(place);
        });
        self.tasks.spawn(TaskKind::Connection, "connection of a role", serve);
    }

    async fn arrive(&self, arrived: network::Arrived) {
        let near = arrived.is_near();
        let greeted = timeout(GREETING_TTL.to_std(), async {
            let (mut stream, proof) = arrived.prove(&self.network).await?;
            let (hello, read) = network::hear(&mut stream).await?;
            let role = self.admit(&hello, &proof);
            let greeting = match &role {
                Ok(_) => Greeting::Welcome,
                Err(reason) => Greeting::Refused { reason: reason.clone() },
            };
            network::say(&mut stream, &greeting.to_frame()).await?;
            let role = role.map_err(network::DialError::NotAdmitted)?;
            Ok::<_, network::DialError>((role, hello, stream, read))
        });
        match greeted.await.unwrap_or(Err(network::DialError::TooSlow)) {
            Ok((role, Hello { from, to }, stream, read)) => {
                self.serve(&role, &to, Accepted { stream, read, peer: from, near }).await;
            }
            Err(error) => tracing::warn!(%error, "a connection between roles was refused"),
        }
    }

    async fn serve(&self, role: &Role, to: &str, accepted: Accepted) {
        let peer = accepted.peer.clone();
        let number = self.shared.connections.fetch_add(1, Relaxed) + 1;
        role.peers.send_modify(|peers| {
            peers.insert(peer.clone(), number);
        });
        let gone = Gone { role, peer: &peer, number };
        let ending = (role.serve)(accepted).await;
        tracing::info!(to, from = peer, %ending, "a connection is over");
        drop(gone);
    }

    fn admit(&self, hello: &Hello, proof: &Proof) -> Result<Role, String> {
        let Hello { from, to } = hello;
        if !proof.is_of(from) {
            return Err(format!("the certificate is not one of {from}"));
        }
        let role = self.roles().get(to).cloned();
        let role = role.ok_or_else(|| format!("{to} does not serve here"))?;
        if (role.admits)(from) { Ok(role) } else { Err(format!("{from} may not call {to}")) }
    }
}

/// Strikes off the connection, even where its task panics.
struct Gone<'a> {
    role: &'a Role,
    peer: &'a str,
    number: u64,
}

impl Drop for Gone<'_> {
    fn drop(&mut self) {
        self.role.peers.send_if_modified(|peers| {
            let newest = peers.get(self.peer) == Some(&self.number);
            newest && peers.remove(self.peer).is_some()
        });
    }
}
