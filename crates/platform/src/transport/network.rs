//! How bytes reach another process: sockets of the host, or a simulated network. What
//! comes out is a stream and the proof of who is at its other end.

use std::{
    io,
    net::SocketAddr,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use bytes::BytesMut;
use rustls::pki_types::CertificateDer;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream, UnixListener, UnixStream},
};
use wire::frame::{self, Frame, Greeting, GreetingError, Hello};

pub use super::simulated::Simulated;
use super::{
    Address,
    simulated::{End, Place},
    tls::{self, Identity},
};
use crate::listen;

/// A stream of whichever kind.
pub(super) trait Io: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}
pub(super) type Stream = Box<dyn Io>;

/// Who may be at the other end of a stream.
#[derive(Clone, Debug)]
pub(super) enum Proof {
    /// Nothing but its word: a process of this user, or one of this simulation.
    Word,
    /// One of the authority's.
    Certificate(CertificateDer<'static>),
}

impl Proof {
    pub(super) fn is_of(&self, member: &str) -> bool {
        match self {
            Proof::Word => true,
            Proof::Certificate(certificate) => tls::names(certificate, member),
        }
    }
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub(super) enum DialError {
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("no address is known for {0}")]
    NoAddress(String),
    #[error("without a certificate only loopback is spoken to, and only where it is set to plain")]
    NotSecured,
    #[error("the process at the other end belongs to another user")]
    OtherUser,
    #[error("the other end did not answer in time")]
    TooSlow,
    #[error("the other end hung up before its greeting")]
    HungUp,
    #[error(transparent)]
    Malformed(#[from] frame::Malformed),
    #[error(transparent)]
    Greeting(#[from] GreetingError),
    #[error("{0}")]
    NotAdmitted(String),
}

#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}: {reason}")]
pub struct ListenFailed {
    pub address: Address,
    pub reason: String,
}

/// How a process reaches others, chosen once.
#[derive(Clone, Debug)]
pub struct Network(Kind);

#[derive(Clone, Debug)]
enum Kind {
    Plain,
    Secured(Identity),
    Simulated(Simulated),
}

impl Network {
    /// Without certificates: unix sockets, and TCP where both ends are on loopback.
    pub fn plain() -> Network {
        Network(Kind::Plain)
    }

    /// With certificates: unix sockets as they are, and TCP under mutual TLS.
    pub fn secured(identity: Identity) -> Network {
        Network(Kind::Secured(identity))
    }

    pub fn simulated(simulated: &Simulated) -> Network {
        Network(Kind::Simulated(simulated.clone()))
    }

    /// `to` is the member that must be at the other end.
    pub(super) async fn dial(&self, address: &Address, to: &str) -> Result<Stream, DialError> {
        match (address, &self.0) {
            (Address::Simulated(name), Kind::Simulated(network)) => {
                Ok(Box::new(network.dial(name).await?))
            }
            (Address::Simulated(_), Kind::Plain | Kind::Secured(_))
            | (Address::Unix(_) | Address::Tcp { .. }, Kind::Simulated(_)) => {
                Err(DialError::NoAddress(address.to_string()))
            }
            (Address::Unix(path), Kind::Plain | Kind::Secured(_)) => dial_unix(path).await,
            (Address::Tcp { host, port }, Kind::Plain) => {
                Ok(Box::new(dial_tcp(host, *port, |at| at.ip().is_loopback()).await?))
            }
            (Address::Tcp { host, port }, Kind::Secured(identity)) => {
                let stream = dial_tcp(host, *port, |_| true).await?;
                Ok(Box::new(identity.connect(stream, to).await?))
            }
        }
    }

    pub(super) async fn listen(&self, address: &Address) -> Result<Listening, ListenFailed> {
        let failed = |reason: String| ListenFailed { address: address.clone(), reason };
        match (address, &self.0) {
            (Address::Simulated(name), Kind::Simulated(network)) => {
                let place = network.listen(name).ok_or_else(|| failed("it is taken".into()))?;
                Ok(Listening::Simulated(address.clone(), place))
            }
            (Address::Simulated(_), Kind::Plain | Kind::Secured(_))
            | (Address::Unix(_) | Address::Tcp { .. }, Kind::Simulated(_)) => {
                Err(failed("the network has no such addresses".into()))
            }
            (Address::Unix(path), Kind::Plain | Kind::Secured(_)) => {
                Listening::unix(path).map_err(|error| failed(error.to_string()))
            }
            (Address::Tcp { host, port }, kind @ (Kind::Plain | Kind::Secured(_))) => {
                let at = resolve(host, *port).await.map_err(|error| failed(error.to_string()))?;
                let at = at.into_iter().next().ok_or_else(|| failed("no such host".into()))?;
                if matches!(kind, Kind::Plain) && !at.ip().is_loopback() {
                    return Err(failed(DialError::NotSecured.to_string()));
                }
                Listening::tcp(at).map_err(failed)
            }
        }
    }
}

async fn resolve(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    Ok(tokio::net::lookup_host((host, port)).await?.collect())
}

/// The first address that answers, of those that may be spoken to.
async fn dial_tcp(
    host: &str,
    port: u16,
    may: fn(&SocketAddr) -> bool,
) -> Result<TcpStream, DialError> {
    let mut last = DialError::NoAddress(host.to_owned());
    for at in resolve(host, port).await? {
        if !may(&at) {
            last = DialError::NotSecured;
            continue;
        }
        match TcpStream::connect(at).await {
            Ok(stream) => {
                stream.set_nodelay(true)?;
                return Ok(stream);
            }
            Err(error) => last = error.into(),
        }
    }
    Err(last)
}

async fn dial_unix(path: &Path) -> Result<Stream, DialError> {
    let stream = UnixStream::connect(path).await?;
    same_user(&stream)?;
    Ok(Box::new(stream))
}

/// Processes of one user can do to each other what they like; others have no say.
fn same_user(stream: &UnixStream) -> Result<(), DialError> {
    let ours = rustix::process::geteuid().as_raw();
    let theirs = stream.peer_cred()?.uid();
    if theirs == ours || theirs == 0 { Ok(()) } else { Err(DialError::OtherUser) }
}

/// A place where others arrive.
#[derive(Debug)]
pub(super) enum Listening {
    Tcp(Address, TcpListener),
    Unix(Address, UnixListener),
    Simulated(Address, Place),
}

/// A connection before anything is known of its other end.
#[derive(Debug)]
pub(super) enum Arrived {
    Tcp(TcpStream, SocketAddr),
    Unix(UnixStream),
    Simulated(End),
}

impl Listening {
    fn tcp(at: SocketAddr) -> Result<Listening, String> {
        let listener = listen::tcp(at).map_err(|error| error.to_string())?;
        let at = listener.local_addr().map_err(|error| error.to_string())?;
        let address = Address::Tcp { host: at.ip().to_string(), port: at.port() };
        Ok(Listening::Tcp(address, listener))
    }

    /// A socket that a process left behind is replaced; one that answers is not.
    fn unix(path: &Path) -> io::Result<Listening> {
        if std::os::unix::net::UnixStream::connect(path).is_ok() {
            return Err(io::ErrorKind::AddrInUse.into());
        }
        match std::fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        let listener = UnixListener::bind(path)?;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
        Ok(Listening::Unix(Address::Unix(PathBuf::from(path)), listener))
    }

    pub(super) fn address(&self) -> &Address {
        match self {
            Listening::Tcp(address, _)
            | Listening::Unix(address, _)
            | Listening::Simulated(address, _) => address,
        }
    }

    /// `None` once nobody can arrive any more.
    pub(super) async fn accept(&mut self) -> Option<Arrived> {
        match self {
            Listening::Tcp(_, listener) => {
                let (stream, from) = listen::accept(listener).await;
                Some(Arrived::Tcp(stream, from))
            }
            Listening::Unix(_, listener) => {
                Some(Arrived::Unix(listen::accept_unix(listener).await))
            }
            Listening::Simulated(_, place) => place.accept().await.map(Arrived::Simulated),
        }
    }
}

impl Arrived {
    /// Both ends are certainly of one host.
    pub(super) fn is_near(&self) -> bool {
        match self {
            Arrived::Unix(_) => true,
            Arrived::Tcp(..) | Arrived::Simulated(_) => false,
        }
    }

    /// Nothing is read from an end that proves nothing, where it must.
    pub(super) async fn prove(self, network: &Network) -> Result<(Stream, Proof), DialError> {
        match (self, &network.0) {
            (Arrived::Simulated(stream), _) => Ok((Box::new(stream), Proof::Word)),
            (Arrived::Unix(stream), _) => {
                same_user(&stream)?;
                Ok((Box::new(stream), Proof::Word))
            }
            (Arrived::Tcp(stream, _), Kind::Secured(identity)) => {
                let (stream, certificate) = identity.accept(stream).await?;
                Ok((Box::new(stream), Proof::Certificate(certificate)))
            }
            (Arrived::Tcp(stream, from), Kind::Plain) if from.ip().is_loopback() => {
                Ok((Box::new(stream), Proof::Word))
            }
            (Arrived::Tcp(..), Kind::Plain | Kind::Simulated(_)) => Err(DialError::NotSecured),
        }
    }
}

/// Says who calls whom, and hears whether that is welcome. What was read beyond the
/// greeting comes back.
pub(super) async fn greet(stream: &mut Stream, hello: &Hello) -> Result<BytesMut, DialError> {
    say(stream, &hello.to_frame()).await?;
    let mut read = BytesMut::new();
    let Frame::Greeting(greeting) = next(stream, &mut read).await? else {
        return Err(GreetingError::NotLambent.into());
    };
    Greeting::read(&greeting)?;
    Ok(read)
}

/// Hears who calls whom.
pub(super) async fn hear(stream: &mut Stream) -> Result<(Hello, BytesMut), DialError> {
    let mut read = BytesMut::new();
    let Frame::Hello(hello) = next(stream, &mut read).await? else {
        return Err(GreetingError::NotLambent.into());
    };
    match Hello::read(&hello) {
        Ok(hello) => Ok((hello, read)),
        Err(error) => {
            let reason = match &error {
                GreetingError::Version { theirs } => {
                    format!("version {theirs} was offered, {} is spoken here", frame::VERSION)
                }
                GreetingError::NotLambent
                | GreetingError::Unreadable(_)
                | GreetingError::Refused(_) => error.to_string(),
            };
            // Magic and version stand first in every greeting: this one can be told.
            say(stream, &Greeting::Refused { reason }.to_frame()).await?;
            Err(error.into())
        }
    }
}

pub(super) async fn say(stream: &mut Stream, frame: &Frame) -> Result<(), DialError> {
    let mut bytes = BytesMut::new();
    frame::put(&mut bytes, frame);
    stream.write_all(&bytes).await?;
    Ok(stream.flush().await?)
}

/// Greetings are short and come first: whatever else arrives is refused by its head.
async fn next(stream: &mut Stream, read: &mut BytesMut) -> Result<Frame, DialError> {
    loop {
        if !frame::may_greet(read) {
            return Err(GreetingError::NotLambent.into());
        }
        if let Some(frame) = frame::take(read)? {
            return Ok(frame);
        }
        if stream.read_buf(read).await? == 0 {
            return Err(DialError::HungUp);
        }
    }
}
