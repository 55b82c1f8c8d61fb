//! Where a process of the installation listens: `tcp://host:port` or `unix:///path`.
//! What may be spoken there, and with whom, is the network's to say.

use std::{fmt, path::PathBuf, str::FromStr};

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Address {
    /// Between hosts: mutual TLS, or both ends on loopback and configured to be plain.
    Tcp { host: String, port: u16 },
    /// On one host: for processes of the same user.
    Unix(PathBuf),
    /// A place in a `Simulated` network. It has no text that configuration accepts.
    Simulated(String),
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not an address: expected tcp://HOST:PORT or unix:///PATH")]
pub struct BadAddress(pub String);

impl Address {
    /// Both ends are certainly of one host.
    pub(super) fn is_near(&self) -> bool {
        match self {
            Address::Unix(_) => true,
            Address::Tcp { .. } | Address::Simulated(_) => false,
        }
    }
}

impl FromStr for Address {
    type Err = BadAddress;

    fn from_str(text: &str) -> Result<Address, BadAddress> {
        let tcp = || {
            let (host, port) = text.strip_prefix("tcp://")?.rsplit_once(':')?;
            let plain = !host.contains(['/', ':', '[', ']']);
            let bracketed = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
            let host = bracketed.or(plain.then_some(host)).filter(|host| !host.is_empty())?;
            Some(Address::Tcp { host: host.to_owned(), port: port.parse().ok()? })
        };
        let unix = || {
            let path = text.strip_prefix("unix://").filter(|path| path.starts_with('/'))?;
            Some(Address::Unix(PathBuf::from(path)))
        };
        tcp().or_else(unix).ok_or_else(|| BadAddress(text.to_owned()))
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Tcp { host, port } if host.contains(':') => write!(f, "tcp://[{host}]:{port}"),
            Address::Tcp { host, port } => write!(f, "tcp://{host}:{port}"),
            Address::Unix(path) => write!(f, "unix://{}", path.display()),
            Address::Simulated(name) => write!(f, "simulated {name}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_round_trip_and_others_are_refused() {
        for text in ["tcp://10.0.0.1:7000", "tcp://host:1", "tcp://[::1]:65535", "unix:///a/b"] {
            assert_eq!(text.parse::<Address>().unwrap().to_string(), text);
        }
        for text in [
            "",
            "host:1",
            "tcp://",
            "tcp://:1",
            "tcp://h",
            "tcp://h:99999",
            "tcp://::1:1",
            "tcp://a/b:1",
            "unix://a",
            "simulated a",
        ] {
            assert!(text.parse::<Address>().is_err(), "{text}");
        }
    }
}
